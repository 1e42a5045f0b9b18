package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	inspector "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A page is at rest once nothing has been under way for quiet after its load
// event; patience is how long that is waited for. Paints and shifts come until
// then.
const (
	quiet    = 500 * time.Millisecond
	patience = 3 * time.Second
)

// watch follows one load.
type watch struct {
	config Config
	relay  *relay
	cancel context.CancelFunc // ends the load
	page   Page
	calls  sync.WaitGroup

	ctx  context.Context // for answers to events
	main cdp.FrameID

	mu       sync.Mutex // protects following
	entries  map[network.RequestID]*entry
	order    []*entry
	document *entry // the latest of the main frame
	loaders  map[cdp.LoaderID]bool
	requests int
	busy     int       // under way
	first    time.Time // when the first request was made
	changed  time.Time // when busy last was
	errors   int
	excess   bool
	opened   bool          // the relay has let Chromium in
	loaded   chan struct{} // has room for one
}

// entry is one request, of which redirects are one each.
type entry struct {
	id       network.RequestID
	method   string
	url      string
	kind     network.ResourceType
	wall     time.Time
	began    cdp.MonotonicTime
	answered cdp.MonotonicTime
	ended    cdp.MonotonicTime
	request  network.Headers
	response *network.Response
	bytes    float64
	failed   string
	over     bool
}

func newWatch(c Config, r *relay, cancel context.CancelFunc) *watch {
	return &watch{
		config: c, relay: r, cancel: cancel, entries: map[network.RequestID]*entry{},
		loaders: map[cdp.LoaderID]bool{}, loaded: make(chan struct{}, 1),
	}
}

// load navigates and waits until the page is at rest, or until loading ends.
// What there is by then is measured under whole.
func (w *watch) load(loading, whole context.Context) error {
	w.ctx = loading
	w.relay.onTooMuch(w.exceeded)
	if err := w.prepare(loading); err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	gone, err := chromedp.Call(loading, page.Navigate, page.NavigateParams{URL: w.config.URL})
	if err == nil && gone.ErrorText == "" {
		err = w.rest(loading)
	}
	w.mu.Lock()
	excess, document := w.excess, w.document
	w.mu.Unlock()
	w.measure(whole)
	own := w.refusal(document)
	switch {
	case excess:
		return ErrTooMuch
	case own != nil:
		return own
	case loading.Err() != nil:
		return context.DeadlineExceeded
	case err != nil:
		return fmt.Errorf("%w: %w", ErrStart, err)
	case gone.ErrorText != "":
		return &NetError{gone.ErrorText}
	}
	return nil
}

// refusal is why the relay could not fetch the document, if so.
func (w *watch) refusal(document *entry) error {
	if document == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := document.response
	if answer != nil && headerOf(answer.Headers).Get(refusedHeader) == "" {
		return nil
	}
	u, err := url.Parse(document.url)
	if err != nil {
		return nil
	}
	otherwise := "80"
	if u.Scheme == "https" {
		otherwise = "443"
	}
	return w.relay.failure(address(u.Hostname(), u.Port(), otherwise))
}

// prepare listens, and makes the browser what the configuration says.
func (w *watch) prepare(ctx context.Context) error {
	if err := chromedp.Listen(ctx, w.event); err != nil {
		return err
	}
	w.main = cdp.FrameID(chromedp.FromContext(ctx).Target.TargetID)
	auth := true
	d := w.config.Device
	steps := []func() error{
		func() error { _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); return err },
		func() error { _, err := chromedp.Call(ctx, inspector.Enable, cdp.Empty{}); return err },
		func() error {
			_, err := chromedp.Call(ctx, page.SetLifecycleEventsEnabled, page.SetLifecycleEventsEnabledParams{Enabled: true})
			return err
		},
		func() error {
			_, err := chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &auth})
			return err
		},
	}
	if d.Width > 0 {
		steps = append(steps, func() error {
			_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: int64(d.Width), Height: int64(d.Height), DeviceScaleFactor: d.DPR, Mobile: d.Mobile})
			return err
		}, func() error {
			_, err := chromedp.Call(ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: d.Touch})
			return err
		})
	}
	if d.UserAgent != "" {
		steps = append(steps, func() error {
			_, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
				UserAgent: d.UserAgent, UserAgentMetadata: &emulation.UserAgentMetadata{Mobile: d.Mobile}})
			return err
		})
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// rest returns when the page is at rest, or when ctx ends.
func (w *watch) rest(ctx context.Context) error {
	select {
	case <-w.loaded:
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < patience; {
		select {
		case <-ctx.Done():
			return nil // it has loaded
		case <-tick.C:
		}
		w.mu.Lock()
		still := w.busy == 0 && time.Since(w.changed) >= quiet && time.Since(start) >= quiet
		w.mu.Unlock()
		if still {
			return nil
		}
	}
	return nil
}

// exceeded ends the load because it asks for too much.
func (w *watch) exceeded() {
	w.mu.Lock()
	w.excess = true
	w.mu.Unlock()
	w.cancel()
}

// answer runs a call that an event asks for, apart from the events.
func (w *watch) answer(call func() error) {
	w.calls.Go(func() { call() }) // should it fail, the load ends by its deadline
}

// event takes what Chromium says. It must not wait.
func (w *watch) event(ev any) {
	switch ev := ev.(type) {
	case *fetch.EventRequestPaused:
		w.answer(func() error { return w.pass(ev) })
	case *fetch.EventAuthRequired:
		w.answer(func() error { return w.letIn(ev) })
	case *page.EventJavascriptDialogOpening:
		w.answer(func() error {
			_, err := chromedp.Call(w.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
			return err
		})
	default:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.note(ev)
	}
}

// note keeps what an event says. w.mu is held.
func (w *watch) note(ev any) {
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		w.sent(ev)
	case *network.EventResponseReceived:
		if e := w.entries[ev.RequestID]; e != nil {
			e.response, e.answered = ev.Response, ev.Timestamp
			if e == w.document && !w.opened && len(w.config.Header) == 0 {
				w.opened = true // from now on nothing is to be held up
				w.answer(func() error { _, err := chromedp.Call(w.ctx, fetch.Disable, cdp.Empty{}); return err })
			}
		}
	case *network.EventLoadingFinished:
		w.over(ev.RequestID, ev.Timestamp, ev.EncodedDataLength, "")
	case *network.EventLoadingFailed:
		w.over(ev.RequestID, ev.Timestamp, 0, ev.ErrorText)
	case *page.EventLifecycleEvent:
		if ev.Name == "load" && ev.FrameID == w.main && w.loaders[ev.LoaderID] {
			select {
			case w.loaded <- struct{}{}:
			default:
			}
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" {
			w.errors++
		}
	case *runtime.EventExceptionThrown:
		w.errors++
	case *inspector.EventEntryAdded:
		if ev.Entry.Level == inspector.EntryLevelError {
			w.errors++
		}
	}
}

// sent notes a request. What a page makes of itself (data:, blob:) is none.
// w.mu is held.
func (w *watch) sent(ev *network.EventRequestWillBeSent) {
	if !strings.HasPrefix(ev.Request.URL, "http:") && !strings.HasPrefix(ev.Request.URL, "https:") {
		return
	}
	if before := w.entries[ev.RequestID]; before != nil && ev.RedirectResponse != nil {
		before.response, before.answered = ev.RedirectResponse, ev.Timestamp
		if before == w.document {
			w.page.Redirects++
		}
		w.over(ev.RequestID, ev.Timestamp, ev.RedirectResponse.EncodedDataLength, "")
	}
	e := &entry{
		id: ev.RequestID, method: ev.Request.Method, url: ev.Request.URL, kind: ev.Type,
		wall: time.UnixMicro(int64(float64(ev.WallTime) * 1e6)), began: ev.Timestamp, request: ev.Request.Headers,
	}
	w.entries[ev.RequestID] = e
	w.order = append(w.order, e)
	w.requests++
	w.busy++
	w.changed = time.Now()
	if w.first.IsZero() {
		w.first = w.changed
	}
	if ev.Type == network.ResourceTypeDocument && ev.FrameID == w.main {
		w.document = e
		w.loaders[ev.LoaderID] = true
	}
	if w.requests > w.config.MaxRequests && !w.excess {
		w.excess = true
		w.cancel()
	}
}

// over notes that a request has ended. w.mu is held.
func (w *watch) over(id network.RequestID, at cdp.MonotonicTime, bytes float64, failed string) {
	e := w.entries[id]
	if e == nil || e.over {
		return
	}
	e.over, e.ended, e.bytes, e.failed = true, at, bytes, failed
	w.busy--
	w.changed = time.Now()
}

// pass lets a request go on, with the configured headers if it is to the
// page's own origin.
func (w *watch) pass(ev *fetch.EventRequestPaused) error {
	on := fetch.ContinueRequestParams{RequestID: ev.RequestID}
	if len(w.config.Header) > 0 && sameOrigin(ev.Request.URL, w.config.URL) {
		header := headerOf(ev.Request.Headers)
		for name, values := range w.config.Header {
			header[http.CanonicalHeaderKey(name)] = values
		}
		for name, values := range header {
			for _, value := range values {
				on.Headers = append(on.Headers, &fetch.HeaderEntry{Name: name, Value: value})
			}
		}
	}
	_, err := chromedp.Call(w.ctx, fetch.ContinueRequest, on)
	return err
}

func sameOrigin(a, b string) bool {
	one, err1 := url.Parse(a)
	two, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && one.Scheme == two.Scheme && strings.EqualFold(one.Host, two.Host)
}

// letIn gives Chromium the relay's password. What a server asks for it does
// not know.
func (w *watch) letIn(ev *fetch.EventAuthRequired) error {
	response := &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth}
	if ev.AuthChallenge.Source == fetch.AuthChallengeSourceProxy {
		response = &fetch.AuthChallengeResponse{
			Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: w.relay.user, Password: w.relay.password,
		}
	}
	_, err := chromedp.Call(w.ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{RequestID: ev.RequestID, AuthChallengeResponse: response})
	return err
}

// headerOf turns Chromium's headers into Go's. Several of one name stand in
// lines of one value there.
func headerOf(from network.Headers) http.Header {
	header := http.Header{}
	for name, value := range from {
		for line := range strings.Lines(fmt.Sprint(value)) {
			header.Add(name, strings.TrimSuffix(line, "\n"))
		}
	}
	return header
}
