package browser

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// measured is what the page's own clock says, in milliseconds.
type measured struct {
	FirstByte        float64 `json:"first_byte"`
	DOMContentLoaded float64 `json:"dom"`
	Load             float64 `json:"load"`
	LCP              float64 `json:"lcp"`
	CLS              float64 `json:"cls"`
}

// script asks a page for its times. Shifts that no input explains are added up
// within windows of at most five seconds without a pause of one, and the worst
// window counts, as web.dev defines the metric.
const script = `new Promise(done => {
	const out = {first_byte: 0, dom: 0, load: 0, lcp: 0, cls: 0};
	let from = 0, last = 0, sum = 0;
	const observer = new PerformanceObserver(list => {
		for (const e of list.getEntries()) {
			if (e.entryType === 'largest-contentful-paint') out.lcp = e.startTime;
			else if (!e.hadRecentInput) {
				if (e.startTime - last > 1000 || e.startTime - from > 5000) { from = e.startTime; sum = 0; }
				last = e.startTime;
				sum += e.value;
				out.cls = Math.max(out.cls, sum);
			}
		}
	});
	for (const type of ['largest-contentful-paint', 'layout-shift']) observer.observe({type, buffered: true});
	setTimeout(() => {
		const nav = performance.getEntriesByType('navigation')[0];
		if (nav) {
			out.first_byte = nav.responseStart;
			out.dom = nav.domContentLoadedEventEnd;
			out.load = nav.loadEventEnd;
		}
		done(JSON.stringify(out));
	}, 50);
})`

// measureLimit is how long a page may take to say its times, and to hand over
// its document.
const measureLimit = time.Second

// measure fills in the page from what came.
func (w *watch) measure(whole context.Context) {
	ctx, cancel := context.WithTimeout(whole, measureLimit)
	defer cancel()
	w.mu.Lock()
	document := w.document
	w.page.Requests, w.page.ConsoleErrors = w.requests, w.errors
	w.page.Bytes, w.page.Refused = w.relay.counts()
	w.page.Active = w.changed.Sub(w.first)
	if w.busy > 0 {
		w.page.Active = time.Since(w.first)
	}
	var answer *network.Response
	if document != nil {
		answer = document.response
	}
	w.mu.Unlock()
	if answer == nil || headerOf(answer.Headers).Get(refusedHeader) != "" {
		return
	}
	w.page.Status, w.page.StatusText, w.page.Protocol = int(answer.Status), answer.StatusText, answer.Protocol
	w.page.Header = headerOf(answer.Headers)
	if answer.SecurityDetails != nil {
		w.page.TLS = answer.SecurityDetails.Protocol
	}
	if m, err := w.ask(ctx); err == nil {
		millis := func(ms float64) time.Duration { return time.Duration(max(0, ms) * float64(time.Millisecond)) }
		w.page.FirstByte, w.page.DOMContentLoaded, w.page.Load = millis(m.FirstByte), millis(m.DOMContentLoaded), millis(m.Load)
		w.page.LCP, w.page.CLS = millis(m.LCP), max(0, m.CLS)
	}
	if body, err := chromedp.Call(ctx, network.GetResponseBody, network.GetResponseBodyParams{RequestID: document.id}); err == nil {
		w.page.Body = body.Body[:min(len(body.Body), w.config.MaxBody)]
	}
}

// ask runs the script where the page's own scripts cannot change what it says.
func (w *watch) ask(ctx context.Context) (m measured, err error) {
	apart, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: w.main, WorldName: "nines"})
	if err != nil {
		return m, err
	}
	wait, byValue := true, true
	said, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: script, ContextID: apart.ExecutionContextID, AwaitPromise: &wait, ReturnByValue: &byValue,
	})
	if err != nil {
		return m, err
	}
	if said.Result == nil || said.ExceptionDetails != nil {
		return m, errors.New("the page does not say its times")
	}
	var text string
	if err := json.Unmarshal([]byte(said.Result.Value), &text); err != nil {
		return m, err
	}
	return m, json.Unmarshal([]byte(text), &m)
}

// picture takes what is kept of a load that failed.
func (w *watch) picture(ctx context.Context) {
	if shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{}); err == nil {
		w.page.Screenshot = shot.Data
	}
	w.page.Archive = w.archive()
}
