package api

import (
	"bufio"
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/notifier"
	"nines/notifier/rotation"
	"nines/scheduler/config"
	"nines/scheduler/incident"
)

// operator is who did something when nobody says who.
const operator = "operator"

func (a *API) status(ctx context.Context, _ *http.Request) (Status, error) {
	s, err := a.cfg.Watcher.Status(ctx)
	if err != nil {
		return s, err
	}
	open, err := a.cfg.Store.OpenIncidents(ctx)
	if err != nil {
		return s, err
	}
	silences, err := a.cfg.Store.Silences(ctx, a.cfg.Now())
	if err != nil {
		return s, err
	}
	s.Incidents, s.Silences = each(open, ofIncident), each(silences, ofSilence)
	return s, nil
}

func (a *API) incidents(ctx context.Context, r *http.Request) ([]Incident, error) {
	limit := 100
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, problem(http.StatusBadRequest, "limit: %q is not a number from 1 to 1000", text)
		}
		limit = n
	}
	switch state := cmp.Or(r.FormValue("state"), "all"); state {
	case "all":
		list, err := a.cfg.Store.LastIncidents(ctx, limit)
		return each(list, ofIncident), err
	case "open":
		list, err := a.cfg.Store.OpenIncidents(ctx)
		slices.Reverse(list)
		return each(list[:min(limit, len(list))], ofIncident), err
	default:
		return nil, problem(http.StatusBadRequest, "state: %q is neither open nor all", state)
	}
}

// number reads the id of a path.
func number(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, problem(http.StatusNotFound, "%q is not a number that anything has", r.PathValue("id"))
	}
	return id, nil
}

func (a *API) incident(ctx context.Context, r *http.Request) (Incident, error) {
	id, err := number(r)
	if err != nil {
		return Incident{}, err
	}
	i, err := a.cfg.Store.Incident(ctx, id)
	if err != nil {
		return Incident{}, err
	}
	log, err := a.cfg.Store.Events(ctx, id)
	if err != nil {
		return Incident{}, err
	}
	notices, err := a.cfg.Store.Notices(ctx, id)
	if err != nil {
		return Incident{}, err
	}
	out := ofIncident(i)
	out.Log, out.Notices = each(log, ofEvent), each(notices, ofNotice)
	return out, nil
}

// who returns a name of whoever does something, within reason.
func who(name string) (incident.By, error) {
	name = strings.TrimSpace(name)
	if len(name) > 63 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return incident.By{}, problem(http.StatusBadRequest, "who: a name of at most 63 bytes")
	}
	return incident.By{Who: cmp.Or(name, operator), Via: "api"}, nil
}

func (a *API) ack(ctx context.Context, r *http.Request, in By) (Change, error) {
	return a.change(r, in.Who, func(id int64, by incident.By) (incident.Incident, bool, error) {
		return a.cfg.Incidents.Acknowledge(ctx, id, by)
	})
}

func (a *API) resolve(ctx context.Context, r *http.Request, in By) (Change, error) {
	return a.change(r, in.Who, func(id int64, by incident.By) (incident.Incident, bool, error) {
		return a.cfg.Incidents.Resolve(ctx, id, by)
	})
}

func (a *API) snooze(ctx context.Context, r *http.Request, in Snooze) (Change, error) {
	d, err := duration("for", cmp.Or(in.For, "1h"), 7*24*time.Hour)
	if err != nil {
		return Change{}, err
	}
	return a.change(r, in.Who, func(id int64, by incident.By) (incident.Incident, bool, error) {
		return a.cfg.Incidents.Snooze(ctx, id, by, a.cfg.Now().Add(d))
	})
}

func (a *API) change(r *http.Request, name string, f func(id int64, by incident.By) (incident.Incident, bool, error)) (Change, error) {
	id, err := number(r)
	if err != nil {
		return Change{}, err
	}
	by, err := who(name)
	if err != nil {
		return Change{}, err
	}
	i, changed, err := f(id, by)
	return Change{ofIncident(i), changed}, err
}

// duration reads a span of time such as 90s, 30m, 1h30m or 2d.
func duration(field, text string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); err != nil && ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil && n < 10_000 {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d <= 0 || d > most {
		return 0, problem(http.StatusBadRequest, "%s: %q is not a time such as 30m, 2h or 1d, at most %dh", field, text, int(most.Hours()))
	}
	return d, nil
}

func (a *API) silences(ctx context.Context, _ *http.Request) ([]Silence, error) {
	list, err := a.cfg.Store.Silences(ctx, a.cfg.Now())
	return each(list, ofSilence), err
}

func (a *API) addSilence(ctx context.Context, _ *http.Request, in NewSilence) (Silence, error) {
	if a.cfg.Config().Check(in.Check) == nil {
		return Silence{}, problem(http.StatusBadRequest, "check: no check is called %q", in.Check)
	}
	d, err := duration("for", in.For, 30*24*time.Hour)
	if err != nil {
		return Silence{}, err
	}
	by, err := who(in.Who)
	if err != nil {
		return Silence{}, err
	}
	if len(in.Why) > 1000 {
		return Silence{}, problem(http.StatusBadRequest, "why: at most 1000 bytes")
	}
	s, err := a.cfg.Operator.AddSilence(ctx, in.Check, a.cfg.Now().Add(d), in.Why, by.Who)
	return ofSilence(s), err
}

func (a *API) endSilence(ctx context.Context, r *http.Request, _ none) (none, error) {
	id, err := number(r)
	if err != nil {
		return none{}, err
	}
	return none{}, a.cfg.Operator.EndSilence(ctx, id)
}

func (a *API) quarantines(ctx context.Context, _ *http.Request) ([]Quarantine, error) {
	list, err := a.cfg.Store.Quarantines(ctx, time.Unix(0, 0), farFuture)
	return each(list, func(q Quarantine) Quarantine { return q }), err
}

// farFuture is later than any result.
var farFuture = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func (a *API) addQuarantine(ctx context.Context, _ *http.Request, in Quarantine) (Quarantine, error) {
	if !slices.ContainsFunc(a.cfg.Config().Probers, func(p config.Prober) bool { return p.Name == in.Prober }) {
		return in, problem(http.StatusBadRequest, "prober: no prober is called %q", in.Prober)
	}
	if !in.From.Before(in.To) || in.From.Year() < 2000 || in.To.Year() >= 2100 {
		return in, problem(http.StatusBadRequest, "from and to: need to be times of this century, the first before the second")
	}
	if len(in.Why) > 1000 {
		return in, problem(http.StatusBadRequest, "why: at most 1000 bytes")
	}
	return in, a.cfg.Quarantiner.AddQuarantine(ctx, in)
}

// span reads from and to of the query.
func span(r *http.Request, from, to time.Time) (civil.Span, error) {
	s := civil.Span{From: from, To: to}
	for name, into := range map[string]*time.Time{"from": &s.From, "to": &s.To} {
		text := r.FormValue(name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			return s, problem(http.StatusBadRequest, "%s: %q is not a time; write it as 2026-10-01T00:00:00Z or 2026-10-01", name, text)
		}
		*into = t
	}
	if !s.From.Before(s.To) {
		return s, problem(http.StatusBadRequest, "from is not before to")
	}
	return s, nil
}

// exportMost bounds how long an export may take to be read.
const exportMost = time.Hour

func (a *API) export(w http.ResponseWriter, r *http.Request) error {
	s, err := span(r, time.Unix(0, 0), farFuture)
	if err != nil {
		return err
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportMost)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := bufio.NewWriterSize(w, 64<<10)
	for rec, err := range a.cfg.Store.Export(r.Context(), s.From, s.To) {
		if err == nil {
			err = checks.WriteRecord(out, rec)
		}
		if err != nil {
			// What was sent cannot be taken back: cut it, so that nobody takes
			// it for the whole.
			a.cfg.Log.Error("exporting results", "err", err)
			panic(http.ErrAbortHandler)
		}
	}
	out.Flush() // whoever went away has no use for the error
	return nil
}

func (a *API) report(w http.ResponseWriter, r *http.Request) error {
	month, err := monthOf(r)
	if err != nil {
		return err
	}
	body, err := a.cfg.Reporter.Report(r.Context(), r.PathValue("sla"), month)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body) // whoever went away has no use for the error
	return nil
}

// monthOf reads the month of a path.
func monthOf(r *http.Request) (civil.Month, error) {
	month, err := civil.ParseMonth(r.PathValue("month"))
	if err != nil {
		return month, problem(http.StatusBadRequest, "%s", err)
	}
	return month, nil
}

func (a *API) revisions(ctx context.Context, r *http.Request) ([]Revision, error) {
	month, err := monthOf(r)
	if err != nil {
		return nil, err
	}
	return a.cfg.Reporter.Revisions(ctx, r.PathValue("sla"), month)
}

func (a *API) onCall(_ context.Context, r *http.Request) ([]OnCall, error) {
	c := a.cfg.Config()
	rotations := c.Rotations
	if name := r.FormValue("rotation"); name != "" {
		one := c.Rotation(name)
		if one == nil {
			return nil, problem(http.StatusBadRequest, "rotation: no rotation is called %q", name)
		}
		rotations = []*rotation.Rotation{one}
	}
	now := a.cfg.Now()
	asked := r.FormValue("from") != "" || r.FormValue("to") != ""
	// A shift under way is shown whole, up to a year.
	s, err := span(r, now, now.AddDate(1, 0, 0))
	if err != nil {
		return nil, err
	}
	if s.To.Sub(s.From) > 3*366*24*time.Hour {
		return nil, problem(http.StatusBadRequest, "from and to are more than three years apart")
	}
	list := []OnCall{}
	for _, rota := range rotations {
		shifts := rota.Shifts(s.From, s.To)
		if !asked {
			shifts = slices.DeleteFunc(rota.Begun(s.From, s.To), func(sh rotation.Shift) bool { return sh.From.After(now) })
		}
		for _, sh := range shifts {
			list = append(list, OnCall{rota.Name, sh.Person, sh.From.UTC(), sh.To.UTC()})
		}
	}
	return list, nil
}

func (a *API) testPage(ctx context.Context, _ *http.Request, in TestPage) ([]Notice, error) {
	c := a.cfg.Config()
	if c.Person(in.Person) == nil {
		return nil, problem(http.StatusBadRequest, "person: nobody is called %q", in.Person)
	}
	all := []string{}
	for name, has := range map[string]bool{
		notifier.Slack: c.Slack != nil, notifier.SMS: c.Twilio != nil, notifier.Voice: c.Twilio != nil, notifier.Email: c.Email != nil,
	} {
		if has {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	for _, name := range in.By {
		if !slices.Contains(all, name) {
			return nil, problem(http.StatusBadRequest, "by: %q is not configured; there are: %s", name, strings.Join(all, ", "))
		}
	}
	by := in.By
	if len(by) == 0 {
		by = all
	}
	ids, err := a.cfg.Operator.TestPage(ctx, in.Person, by)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, problem(http.StatusBadRequest, "%s has no address for any of: %s", in.Person, strings.Join(by, ", "))
	}
	list := []Notice{}
	for _, id := range ids {
		n, err := a.cfg.Store.Notice(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, ofNotice(n))
	}
	return list, nil
}

func (a *API) notice(ctx context.Context, r *http.Request) (Notice, error) {
	id, err := number(r)
	if err != nil {
		return Notice{}, err
	}
	n, err := a.cfg.Store.Notice(ctx, id)
	return ofNotice(n), err
}

func (a *API) links(context.Context, *http.Request) (Links, error) { return a.cfg.Watcher.Links(), nil }

func (a *API) description(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Write(a.openAPI) // whoever went away has no use for the error
	return nil
}
