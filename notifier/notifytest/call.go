package notifytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Call is a phone call.
type Call struct {
	SID        string
	To, From   string
	Said       []string // what the person hears
	Status     string   // queued, ringing, in-progress, completed, no-answer
	AnsweredBy string   // human or machine_start, where that was asked for
	Pressed    string   // keys
	Action     string   // where a key goes; empty: none is asked for
	At         time.Time

	after    []string // said when no key was pressed
	callback string
	events   []string
	ended    chan struct{} // closed when the call ends early
	end      func()
}

// Calls returns the calls to all phones, oldest first.
func (s *Sandbox) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Call
	for _, c := range s.calls {
		copied := *c
		copied.Said = slices.Clone(c.Said)
		all = append(all, copied)
	}
	return all
}

// twiml is what a script comes to.
type twiml struct {
	said     []string // until a key is asked for, and while it is
	action   string   // where a key goes
	after    []string // said when none is pressed
	messages []string // of an answer to an SMS
}

func readTwiML(script string) (m twiml, err error) {
	d := xml.NewDecoder(strings.NewReader(script))
	var within []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			return twiml{}, fmt.Errorf("reading TwiML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(within) == 0 && t.Name.Local != "Response" {
				return twiml{}, fmt.Errorf("TwiML is a Response, not a %s", t.Name.Local)
			}
			within = append(within, t.Name.Local)
			for _, a := range t.Attr {
				if t.Name.Local == "Gather" && a.Name.Local == "action" {
					m.action = a.Value
				}
			}
		case xml.EndElement:
			within = within[:len(within)-1]
		case xml.CharData:
			text := strings.TrimSpace(string(t))
			if text == "" || len(within) == 0 {
				continue
			}
			switch within[len(within)-1] {
			case "Say":
				if m.action != "" && !slices.Contains(within, "Gather") {
					m.after = append(m.after, text)
				} else {
					m.said = append(m.said, text)
				}
			case "Message", "Body":
				m.messages = append(m.messages, text)
			}
		}
	}
}

func (s *Sandbox) createCall(w http.ResponseWriter, r *http.Request) error {
	if err := s.checkNumbers(r); err != nil {
		return err
	}
	form := r.PostForm
	if form.Get("Twiml") == "" {
		return twilioError{400, 21205, "The sandbox calls with Twiml alone"}
	}
	script, err := readTwiML(form.Get("Twiml"))
	if err != nil {
		return twilioError{400, 12100, err.Error()}
	}
	if callback := form.Get("StatusCallback"); callback != "" && !absolute(callback) {
		return twilioError{400, 21609, "The 'StatusCallback' URL is not a valid URL."}
	}
	f, _ := s.fault(CreateCall, true)
	c := &Call{
		SID: sid("CA"), To: form.Get("To"), From: form.Get("From"), Said: script.said, Action: script.action, after: script.after, Status: "queued", At: s.cfg.Now(),
		callback: form.Get("StatusCallback"), events: form["StatusCallbackEvent"], ended: make(chan struct{}),
	}
	ended := false
	c.end = func() { // the caller holds mu
		if !ended {
			ended = true
			close(c.ended)
		}
	}
	detect := form.Get("MachineDetection") != ""
	s.mu.Lock()
	s.calls = latest(append(s.calls, c), kept)
	wire := s.call(c)
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, wire)
	s.work.Go(func() { s.ring(c, f, detect) })
	return nil
}

// ring is the life of a call.
func (s *Sandbox) ring(c *Call, f Fault, detect bool) {
	s.become(c, f, "ringing", "ringing")
	s.arrived(Message{Channel: "voice", To: c.To, Person: s.person(c.To), Text: strings.Join(c.Said, " ")})
	if f.Kind == Silent || !s.sleep(s.cfg.DeliverAfter) {
		return
	}
	if f.Kind == Undelivered {
		s.become(c, f, "no-answer", "completed")
		return
	}
	if detect {
		s.mu.Lock()
		c.AnsweredBy = "human"
		if f.Kind == Voicemail {
			c.AnsweredBy = "machine_start"
		}
		s.mu.Unlock()
	}
	s.become(c, f, "in-progress", "answered")
	talk := time.NewTimer(s.cfg.TalkFor)
	defer talk.Stop()
	select {
	case <-talk.C:
		s.mu.Lock()
		c.Said = append(c.Said, c.after...)
		s.mu.Unlock()
	case <-c.ended:
	case <-s.ctx.Done():
		return
	}
	s.become(c, f, "completed", "completed")
}

// become sets a call's status and reports it, if it was asked to.
func (s *Sandbox) become(c *Call, f Fault, status, event string) {
	s.mu.Lock()
	c.Status = status
	wanted := slices.Contains(c.events, event) || len(c.events) == 0 && event == "completed"
	form := url.Values{
		"CallSid": {c.SID}, "AccountSid": {s.cfg.AccountSID}, "ApiVersion": {"2010-04-01"}, "Direction": {"outbound-api"},
		"To": {c.To}, "From": {c.From}, "CallStatus": {status},
	}
	if c.AnsweredBy != "" {
		form.Set("AnsweredBy", c.AnsweredBy)
	}
	s.mu.Unlock()
	if wanted {
		s.report(c.callback, f, form)
	}
}

func (s *Sandbox) fetchCall(w http.ResponseWriter, r *http.Request) error {
	c, ok := s.callOf(strings.TrimSuffix(r.PathValue("file"), ".json"))
	if !ok {
		return twilioError{404, 20404, "The requested resource was not found"}
	}
	s.mu.Lock()
	wire := s.call(c)
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, wire)
	return nil
}

func (s *Sandbox) callOf(sid string) (*Call, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.calls, func(c *Call) bool { return c.SID == sid })
	if i < 0 {
		return nil, false
	}
	return s.calls[i], true
}

// call is a Call resource. The caller holds mu.
func (s *Sandbox) call(c *Call) map[string]any {
	m := map[string]any{
		"sid": c.SID, "account_sid": s.cfg.AccountSID, "api_version": "2010-04-01",
		"to": c.To, "from": c.From, "status": c.Status, "direction": "outbound-api", "answered_by": nil,
		"date_created": c.At.UTC().Format(time.RFC1123Z), "date_updated": c.At.UTC().Format(time.RFC1123Z),
		"start_time": nil, "end_time": nil, "duration": nil, "price": nil, "price_unit": "USD", "queue_time": strconv.Itoa(0),
		"uri":              fmt.Sprintf("/2010-04-01/Accounts/%s/Calls/%s.json", s.cfg.AccountSID, c.SID),
		"subresource_uris": map[string]any{},
	}
	if c.AnsweredBy != "" {
		m["answered_by"] = c.AnsweredBy
	}
	return m
}
