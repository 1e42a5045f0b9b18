// Package browser loads one page in Chromium and says how that went: when it
// was parsed, painted and loaded, how far it moved meanwhile, what it asked
// for and what its scripts complained of.
//
// Chromium never touches the network itself. All that it asks for goes through
// a proxy on loopback that lives as long as the load, that only this browser
// can use, and that connects by the caller's Dial: whoever calls decides what
// may be reached, how names are looked up and how slow it is. QUIC, WebRTC
// past the proxy and Chromium's own errands are switched off.
//
// Each load has a process group and a folder of its own. Both are gone when
// Load returns; should the whole program be killed, the kernel ends Chromium
// and the next load removes the folder. Its environment holds no variable of
// ours.
//
// Left to others: what a page must be like (package checks). It imports nothing
// of this module, and no other package imports chromedp.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// Config says what to load, and how.
type Config struct {
	// Program is Chromium's path; see Find.
	Program string
	// URL is the page's address, http or https.
	URL string
	// Dial connects to a host, by name or address, and a port. Its errors are
	// handed back by Load.
	Dial func(ctx context.Context, host string, port string) (net.Conn, error)
	// Header is sent with each request to the URL's own origin, and to no
	// other. Its values are kept out of the archive.
	Header http.Header
	// Device is what to make oneself out to be; the zero Device is Chromium
	// on a desk.
	Device Device
	// Insecure accepts any certificate.
	Insecure bool
	// MaxRequests and MaxBytes end a load that goes beyond them; MaxBody is
	// how much of the document is kept. All are to be set.
	MaxRequests int
	MaxBytes    int64
	MaxBody     int
	// Failed says whether a load is worth a picture and an archive; nil: none
	// is.
	Failed func(*Page) bool
}

// Device is a screen and what the browser calls itself.
type Device struct {
	UserAgent     string
	Width, Height int // in CSS pixels
	DPR           float64
	Mobile, Touch bool
}

// Page is how a load went, as far as it came. Times are from the navigation's
// start; those that did not come are zero.
type Page struct {
	Status     int // of the document; zero: it did not come
	StatusText string
	Protocol   string // h2, http/1.1
	TLS        string // TLS 1.3; empty without
	Header     http.Header
	Body       []byte // of the document, up to MaxBody
	Redirects  int

	FirstByte        time.Duration // of the document
	DOMContentLoaded time.Duration
	Load             time.Duration
	LCP              time.Duration // largest contentful paint
	CLS              float64       // cumulative layout shift, by session windows
	Requests         int
	Refused          int // of those, the ones that Dial did not connect
	Bytes            int64
	ConsoleErrors    int
	// Active is from the first request to when the last one so far ended.
	Active time.Duration

	Screenshot []byte // PNG; when Failed said so
	Archive    []byte // HAR 1.2; when Failed said so
}

// ErrStart says that Chromium could not be started or used.
var ErrStart = errors.New("the browser does not start")

// ErrTooMuch says that a page went beyond MaxRequests or MaxBytes.
var ErrTooMuch = errors.New("the page asks for more than is allowed")

// NetError is Chromium's own word for why a document did not come, such as
// net::ERR_CERT_DATE_INVALID.
type NetError struct{ Code string }

func (e *NetError) Error() string { return e.Code }

// Variable names the environment variable that says where Chromium is.
const Variable = "NINES_BROWSER"

// Find returns the path of Chromium or Chrome: what NINES_BROWSER names, or the
// first of the usual names that is in PATH. It is empty if there is none.
func Find() string {
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	if named := os.Getenv(Variable); named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// reserve is what of a load's time is kept for the picture and for ending
// Chromium: a tenth, and two seconds at most.
func reserve(left time.Duration) time.Duration { return min(left/10, 2*time.Second) }

// Load loads the page and returns by ctx's deadline. The Page is never nil; it
// says how far the load came even when there is an error.
func Load(ctx context.Context, c Config) (*Page, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return &Page{}, fmt.Errorf("%w: a load needs a deadline", ErrStart)
	}
	sweep()
	relay, err := newRelay(c.Dial, c.MaxBytes)
	if err != nil {
		return &Page{}, fmt.Errorf("%w: %w", ErrStart, err)
	}
	defer relay.close()
	run, err := start(ctx, c, relay)
	if err != nil {
		return &Page{}, fmt.Errorf("%w: %w", ErrStart, err)
	}
	defer run.end()
	loading, cancel := context.WithDeadlineCause(run.ctx, deadline.Add(-reserve(time.Until(deadline))), context.DeadlineExceeded)
	defer cancel()
	w := newWatch(c, relay, cancel)
	err = w.load(loading, run.ctx)
	if c.Failed != nil && !errors.Is(err, ErrStart) && (err != nil || c.Failed(&w.page)) {
		w.picture(run.ctx)
	}
	return &w.page, err
}
