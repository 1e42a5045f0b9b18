package prober

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"nines/checks"
	"nines/regions"
)

const (
	// streamSilence is how long the scheduler may send nothing.
	streamSilence = 25 * time.Second
	// streamSettled is how long a stream must live before the next attempt
	// does not wait longer than the one before.
	streamSettled = 10 * time.Second
	// maxLine is the longest message that is read, in bytes: some hundred
	// thousand checks.
	maxLine = 64 << 20
)

// listen keeps a stream open until ctx ends.
func (p *Prober) listen(ctx context.Context) {
	l := link{log: p.log, what: "stream from the scheduler"}
	for ctx.Err() == nil {
		begun := time.Now()
		err := p.readStream(ctx, func() {
			l.works()
			p.shipper.hurry()
		})
		p.counts.connected.Store(false)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > streamSettled {
			l.settled()
		}
		p.shipper.failed(&l, err)
		l.pause(ctx)
	}
}

// readStream opens a stream and follows it until it breaks. opened is called
// after the first message.
func (p *Prober) readStream(ctx context.Context, opened func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(streamSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	req, err := p.shipper.request(ctx, http.MethodGet, regions.StreamPath, nil)
	if err != nil {
		return err
	}
	sent := p.clock.stamp()
	resp, err := p.shipper.client.Do(req)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusalOf(resp)
	}
	lines := bufio.NewReaderSize(watched{resp.Body, silence}, 64<<10)
	for first := true; ; first = false {
		line, err := readLine(lines)
		if err != nil {
			return causeOf(ctx, err)
		}
		var m regions.Message
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("reading the scheduler's stream: %w", err)
		}
		if first {
			p.clock.measure(sent, m.Now)
			p.counts.connected.Store(true)
			opened()
		}
		switch {
		case m.Assignment != nil:
			p.adopt(m.Assignment, true)
		case m.Run != nil:
			if t := p.schedule.ask(*m.Run); t != nil {
				p.start(t)
			}
		}
	}
}

var errSilent = fmt.Errorf("nothing came for %s", streamSilence)

// causeOf returns why ctx ended if it has, else err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the scheduler ended it")
	}
	return err
}

// watched puts off the silence with every byte that comes.
type watched struct {
	r       io.Reader
	silence *time.Timer
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if n > 0 {
		w.silence.Reset(streamSilence)
	}
	return n, err
}

// readLine returns the next line, without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("the scheduler sent a line of more than %d bytes", maxLine)
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// adopt makes an assignment the one in force. One that the scheduler itself
// sent is kept on disk, and says which missed slots are ours to account for.
func (p *Prober) adopt(a *regions.Assignment, fromScheduler bool) {
	p.adopting.Lock()
	defer p.adopting.Unlock()
	if !checks.ValidName(a.Prober) || !checks.ValidName(a.Region) {
		p.log.Error("assignment is of no use", "assigned", a.Prober, "region", a.Region)
		return
	}
	if p.config.Name != "" && a.Prober != p.config.Name {
		p.log.Error("token belongs to another prober; nothing is run", "assigned", a.Prober)
		return
	}
	if !fromScheduler && p.heard {
		return // the scheduler was faster
	}
	first := fromScheduler && !p.heard
	p.heard = p.heard || fromScheduler
	encoded, err := json.Marshal(a)
	if err != nil {
		p.log.Error("assignment is of no use", "err", err)
		return
	}
	if string(encoded) != p.adopted {
		list := p.schedule.drafts(a)
		p.schedule.assign(a.Region, a.Prober, list)
		p.adopted = string(encoded)
		p.log.Info("assignment taken over", "region", a.Region, "checks", len(list), "from_disk", !fromScheduler)
		if fromScheduler {
			p.keepAssignment(encoded)
		}
	}
	if first {
		p.accountForAbsence()
	}
	p.clean()
}

// accountForAbsence records the slots that former processes missed.
func (p *Prober) accountForAbsence() {
	list, closed := p.schedule.offline()
	p.recording.Go(func() {
		p.recordSkipped(list)
		closed()
		p.clean()
	})
}

func (p *Prober) assignmentPath() string { return filepath.Join(p.config.DataDir, "assignment.json") }

// keepAssignment writes the assignment to disk, whole or not at all. It holds
// the secrets of checks.
func (p *Prober) keepAssignment(encoded []byte) {
	err := func() error {
		f, err := os.OpenFile(p.assignmentPath()+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.Write(encoded); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		return os.Rename(f.Name(), p.assignmentPath())
	}()
	if err != nil {
		p.log.Error("assignment cannot be kept; a restart needs the scheduler", "err", err)
	}
}

// recall takes the assignment from disk if the scheduler has not sent one
// within a moment.
func (p *Prober) recall(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(clockHold):
	}
	p.adopting.Lock()
	heard := p.heard
	p.adopting.Unlock()
	if heard {
		return
	}
	data, err := os.ReadFile(p.assignmentPath())
	if os.IsNotExist(err) {
		return
	}
	var a regions.Assignment
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		p.log.Error("the last assignment cannot be read; waiting for the scheduler", "err", err)
		return
	}
	p.adopt(&a, false)
}
