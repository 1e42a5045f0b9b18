package prober

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nines/internal/secret"
	"nines/regions"
)

const (
	// batchCount and batchBytes bound one request, before compression.
	batchCount = 1000
	batchBytes = 1 << 20
	// shipLinger is how long a result that nobody waits for is held back for
	// others to come along.
	shipLinger = time.Second
	// shipTimeout bounds one request.
	shipTimeout = 30 * time.Second
	// lastTimeout bounds what is sent when the prober stops.
	lastTimeout = 5 * time.Second
	// shipSpacing is the least time between two requests with new results, so
	// that in a great outage they carry many.
	shipSpacing = 25 * time.Millisecond
	// flights is how many requests with new results may be under way, so that
	// an urgent one does not wait for the answer to another.
	flights = 4
	// backfillPause is how often the back-fill looks whether it may go on.
	backfillPause = 250 * time.Millisecond
)

// shipper sends results to the scheduler: new ones at once or within a second,
// older ones behind them.
type shipper struct {
	p      *Prober
	client *http.Client
	link   link

	wanted atomic.Bool  // somebody wants to know the scheduler's clock
	flying atomic.Int64 // requests with new results that are under way
	sentAt atomic.Int64 // when the last one began, by clock.mono
	token  atomic.Pointer[secret.String]
	packer sync.Pool // of *gzip.Writer
}

func newShipper(p *Prober) *shipper {
	s := &shipper{p: p, link: link{log: p.log, what: "results to the scheduler", failed: true}}
	s.packer.New = func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level exists
		return w
	}
	transport := p.config.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = flights + 2
		if p.config.Proxy != nil {
			t.Proxy = http.ProxyURL(p.config.Proxy)
		}
		if p.config.Roots != nil {
			t.TLSClientConfig = &tls.Config{RootCAs: p.config.Roots, MinVersion: tls.VersionTLS12}
		}
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second}
		transport = t
	}
	s.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.sentAt.Store(int64(-regions.BeatEvery))
	s.token.Store(&p.config.Token)
	return s
}

// failed notes a request's failure. A token that was refused is read anew: it
// may have been replaced on disk since.
func (s *shipper) failed(l *link, err error) {
	l.fails(err)
	var r *refused
	if !errors.As(err, &r) || r.status != http.StatusUnauthorized || s.p.config.Renew == nil {
		return
	}
	token, err := s.p.config.Renew()
	switch {
	case err != nil:
		s.p.log.Error("token cannot be read again", "err", err)
	case !token.Equal(*s.token.Load()):
		s.token.Store(&token)
		s.p.log.Info("token read again")
		l.hurry()
	}
}

// request makes a request to the scheduler.
func (s *shipper) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.p.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token.Load().Reveal())
	req.Header.Set("User-Agent", "nines-prober/"+s.p.config.Version)
	return req, nil
}

// beat makes the next request go out at once.
func (s *shipper) beat() {
	s.wanted.Store(true)
	s.p.outbox.nudge()
}

// hurry tries again at once, because the scheduler has just been heard.
func (s *shipper) hurry() {
	s.link.hurry()
	s.p.outbox.nudge()
}

// run sends until ctx ends and what is under way has been answered.
func (s *shipper) run(ctx context.Context) {
	var sends sync.WaitGroup
	defer sends.Wait()
	sends.Go(func() { s.backfill(ctx) })
	places := make(chan struct{}, flights)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.p.outbox.kick:
		case <-timer.C:
		}
		for {
			wait := s.wait()
			if wait > 0 {
				timer.Reset(wait)
				break
			}
			select {
			case <-ctx.Done():
				return
			case places <- struct{}{}:
			}
			records := s.p.outbox.take(batchCount, batchBytes)
			s.wanted.Store(false)
			s.sentAt.Store(int64(s.p.clock.mono()))
			s.flying.Add(1)
			sends.Go(func() {
				s.send(ctx, records)
				s.flying.Add(-1)
				<-places
				s.p.outbox.nudge()
			})
		}
	}
}

// wait returns how long until the next request is due.
func (s *shipper) wait() time.Duration {
	hold, failed := s.link.hold()
	if hold > 0 {
		return hold
	}
	if failed && s.flying.Load() > 0 {
		return time.Hour // its answer wakes us
	}
	if s.wanted.Load() {
		return 0
	}
	since := s.p.clock.mono() - time.Duration(s.sentAt.Load())
	wait := regions.BeatEvery - since
	if failed {
		wait = 0
	}
	if due, ok := s.p.outbox.due(shipLinger, batchCount); ok {
		wait = min(wait, max(due, shipSpacing-since))
	}
	return wait
}

// backfill sends what is older, oldest first, while new results go out
// smoothly.
func (s *shipper) backfill(ctx context.Context) {
	for ctx.Err() == nil {
		if s.backfillBatch(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(backfillPause):
		}
	}
}

// backfillBatch sends the next batch of what is older, and reports whether
// there may be more at once.
func (s *shipper) backfillBatch(ctx context.Context) bool {
	o := s.p.outbox
	if _, failed := s.link.hold(); failed {
		return false
	}
	at, backlog := o.position()
	if !backlog || o.crowded(batchCount) {
		return false
	}
	records, upTo, end, err := s.p.spool.read(ctx, at.cursor, batchCount, batchBytes)
	if err != nil {
		if ctx.Err() == nil && unreadable(err) {
			s.p.spool.do(&write{repair: err})
		}
		return false
	}
	records = s.sound(records)
	if records = o.unsent(records); len(records) > 0 && s.send(ctx, records) != nil {
		return false
	}
	o.advance(at, upTo, end)
	return true
}

// sound returns the records that could be read; the others are given up.
func (s *shipper) sound(records []*record) []*record {
	var sound, damaged []*record
	for _, r := range records {
		if r.body != nil {
			sound = append(sound, r)
			continue
		}
		damaged = append(damaged, r)
		s.p.spool.damaged.Add(1)
		s.p.log.Error("spooled result is damaged and given up", "seq", r.seq, "check", r.check, "slot", time.UnixMilli(r.slot).UTC())
	}
	s.p.outbox.discard(damaged)
	return sound
}

// last sends, for a bounded time, the new results that are left.
func (s *shipper) last() {
	ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	for {
		records := s.p.outbox.take(batchCount, batchBytes)
		if len(records) == 0 || s.send(ctx, records) != nil {
			break
		}
	}
	s.client.CloseIdleConnections()
}

// send delivers records, or none as a beat, and settles what becomes of them.
func (s *shipper) send(ctx context.Context, records []*record) error {
	err := s.deliver(ctx, records)
	switch {
	case err == nil:
		s.link.works()
		s.link.settled()
	case ctx.Err() == nil:
		s.failed(&s.link, err)
	}
	return err
}

// deliver posts records. A batch that the scheduler cannot read is halved
// until the entry is found that is to blame.
func (s *shipper) deliver(ctx context.Context, records []*record) error {
	ack, err := s.post(ctx, records)
	var r *refused
	if errors.As(err, &r) && len(records) > 0 && (r.status == http.StatusBadRequest || r.status == http.StatusRequestEntityTooLarge) {
		if half := len(records) / 2; half > 0 {
			return errors.Join(s.deliver(ctx, records[:half]), s.deliver(ctx, records[half:]))
		}
		ack, err = regions.Ack{Rejected: map[int64]string{records[0].seq: r.detail}}, nil
	}
	if err != nil {
		s.p.outbox.back(records)
		return err
	}
	settled := s.p.outbox.settle(records, ack)
	s.p.counts.delivered.Add(int64(settled))
	s.noteRejected(records, ack)
	if settled == 0 && len(records) > 0 {
		return errors.New("the scheduler acknowledged none of the results")
	}
	return nil
}

// noteRejected counts and logs results that the scheduler will never take.
func (s *shipper) noteRejected(records []*record, ack regions.Ack) {
	logged := 0
	for _, r := range records {
		why, rejected := ack.Rejected[r.seq]
		if !rejected {
			continue
		}
		s.p.counts.rejected.Add(1)
		s.p.counts.delivered.Add(-1)
		if logged++; logged <= 10 {
			s.p.log.Error("scheduler rejects a result; it is dropped", "check", r.check, "slot", time.UnixMilli(r.slot).UTC(), "seq", r.seq, "err", why)
		}
	}
}

// post makes one request.
func (s *shipper) post(ctx context.Context, records []*record) (ack regions.Ack, err error) {
	ctx, cancel := context.WithTimeout(ctx, shipTimeout)
	defer cancel()
	body, err := s.pack(records)
	if err != nil {
		return ack, err
	}
	req, err := s.request(ctx, http.MethodPost, regions.ResultsPath, body)
	if err != nil {
		return ack, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	sent := s.p.clock.stamp()
	s.p.counts.batches.Add(1)
	resp, err := s.client.Do(req)
	if err != nil {
		return ack, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return ack, refusalOf(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return ack, fmt.Errorf("reading the scheduler's answer: %w", err)
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return ack, fmt.Errorf("reading the scheduler's answer: %w", err)
	}
	s.p.clock.measure(sent, ack.Now)
	return ack, nil
}

// pack encodes a regions.Batch of results that are JSON already.
func (s *shipper) pack(records []*record) (*bytes.Buffer, error) {
	name := s.p.spool.nameOf(len(records) > 0 && records[0].memory)
	now, err := s.p.clock.wall().MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := s.packer.Get().(*gzip.Writer)
	defer s.packer.Put(w)
	w.Reset(&out)
	var head []byte
	head = append(head, `{"spool":"`...)
	head = append(head, name...)
	head = append(head, `","now":`...)
	head = append(head, now...)
	head = append(head, `,"entries":[`...)
	for i, r := range records {
		if i > 0 {
			head = append(head, ',')
		}
		head = append(head, `{"seq":`...)
		head = strconv.AppendInt(head, r.seq, 10)
		head = append(head, `,"result":`...)
		head = append(head, r.body...)
		head = append(head, '}')
		if _, err := w.Write(head); err != nil {
			return nil, err
		}
		head = head[:0]
	}
	head = append(head, ']')
	if shaper := s.p.calibration.tell(time.Now()); shaper != nil {
		text, err := json.Marshal(shaper)
		if err != nil {
			return nil, err
		}
		head = append(append(head, `,"shaper":`...), text...)
	}
	head = append(head, '}')
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	return &out, w.Close()
}
