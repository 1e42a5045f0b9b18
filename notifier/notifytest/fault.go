package notifytest

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// What a fault can be in.
const (
	PostMessage   = "chat.postMessage"
	UpdateMessage = "chat.update"
	History       = "conversations.history"
	Replies       = "conversations.replies"
	CreateMessage = "create message"
	ListMessages  = "list messages"
	FetchMessage  = "fetch message"
	CreateCall    = "create call"
	FetchCall     = "fetch call"
)

// Kind is how something fails.
type Kind string

// Faults of a request.
const (
	RateLimit   Kind = "rate limit"   // 429, with RetryAfter if it is not zero
	ServerError Kind = "server error" // 500, and nothing was taken
	Refuse      Kind = "refuse"       // the vendor's error Code, such as channel_not_found or 21610
	Stall       Kind = "stall"        // no answer, and nothing was taken
	StallTaken  Kind = "stall, taken" // no answer, though the request was taken
	Cut         Kind = "cut"          // the connection ends without an answer, and nothing was taken
	CutTaken    Kind = "cut, taken"   // the connection ends without an answer, though the request was taken
	Garbage     Kind = "garbage"      // 200 with half of an answer, and the request was taken
	Unavailable Kind = "unavailable"  // 503, and nothing was taken
)

// Faults of what becomes of an SMS or a call; they are in CreateMessage or
// CreateCall.
const (
	Undelivered Kind = "undelivered" // an SMS ends so, with Code; a call is not answered
	Silent      Kind = "silent"      // it stays on its way: no report, and none to be asked for
	Lost        Kind = "lost"        // it arrives, and no report of it does
	Twice       Kind = "twice"       // every report comes twice
	Disorder    Kind = "disorder"    // reports come in the wrong order
	Voicemail   Kind = "voicemail"   // a machine answers the call
)

// Fault is something that goes wrong.
type Fault struct {
	In         string // one of the constants above
	Kind       Kind
	Times      int // how often; 0: until Mend
	RetryAfter time.Duration
	Code       string
}

// delivery reports whether the fault is one of what becomes of a message.
func (f Fault) delivery() bool {
	return slices.Contains([]Kind{Undelivered, Silent, Lost, Twice, Disorder, Voicemail}, f.Kind)
}

// Break makes something go wrong from now on. Of several faults in the same,
// the earliest goes first.
func (s *Sandbox) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Mend ends all faults.
func (s *Sandbox) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the fault that the operation has now, of requests or of
// deliveries.
func (s *Sandbox) fault(in string, delivery bool) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.In != in || f.delivery() != delivery {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return *f, true
	}
	return Fault{}, false
}

// breakable makes an operation fail as Break asked for.
func (s *Sandbox) breakable(operation func(*http.Request) string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil { // before a stall, so that the client's body is read
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f, broken := s.fault(operation(r), false)
		if !broken {
			next(w, r)
			return
		}
		switch f.Kind {
		case RateLimit:
			if f.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
			}
			s.refuse(w, r, http.StatusTooManyRequests, "ratelimited", 20429)
		case ServerError:
			s.refuse(w, r, http.StatusInternalServerError, "internal_error", 20500)
		case Unavailable:
			s.refuse(w, r, http.StatusServiceUnavailable, "service_unavailable", 20503)
		case Refuse:
			code, _ := strconv.Atoi(f.Code) // Slack's are words
			s.refuse(w, r, 0, f.Code, code)
		case Stall, StallTaken:
			if f.Kind == StallTaken {
				next(&discarded{header: http.Header{}}, r)
			}
			select {
			case <-r.Context().Done():
			case <-s.ctx.Done():
			}
			panic(http.ErrAbortHandler)
		case Cut, CutTaken:
			if f.Kind == CutTaken {
				next(&discarded{header: http.Header{}}, r)
			}
			panic(http.ErrAbortHandler)
		case Garbage:
			answer := &discarded{header: http.Header{}}
			next(answer, r)
			w.Header().Set("Content-Type", "application/json")
			w.Write(answer.body.Bytes()[:answer.body.Len()/2])
		}
	})
}

// refuse answers as the vendor of the request does. A status of 0 is the one
// that refusals have.
func (s *Sandbox) refuse(w http.ResponseWriter, r *http.Request, status int, word string, code int) {
	if r.PathValue("method") != "" {
		if status == 0 {
			status = http.StatusOK
		}
		writeJSON(w, status, map[string]any{"ok": false, "error": word})
		return
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	writeTwilioError(w, status, code, word)
}

// discarded is an answer that does not reach the client.
type discarded struct {
	header http.Header
	body   bytes.Buffer
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(b []byte) (int, error) { return d.body.Write(b) }
func (d *discarded) WriteHeader(int)             {}
