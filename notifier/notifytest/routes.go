package notifytest

import (
	"net/http"
)

// maxBody bounds what is read of any request.
const maxBody = 1 << 20

// Handler answers Slack's API under /api/, Twilio's under /2010-04-01/, and the
// page for people at /sandbox.
func (s *Sandbox) Handler() http.Handler {
	const account = "/2010-04-01/Accounts/{account}"
	mux := http.NewServeMux()
	mux.Handle("POST /api/{method}", s.breakable(slackMethod, s.slackAPI))
	mux.Handle("POST "+account+"/Messages.json", s.breakable(fixed(CreateMessage), s.twilioAPI(s.createText)))
	mux.Handle("GET "+account+"/Messages.json", s.breakable(fixed(ListMessages), s.twilioAPI(s.listTexts)))
	mux.Handle("GET "+account+"/Messages/{file}", s.breakable(fixed(FetchMessage), s.twilioAPI(s.fetchText)))
	mux.Handle("POST "+account+"/Calls.json", s.breakable(fixed(CreateCall), s.twilioAPI(s.createCall)))
	mux.Handle("GET "+account+"/Calls/{file}", s.breakable(fixed(FetchCall), s.twilioAPI(s.fetchCall)))

	// Only the page's own forms may press its buttons.
	own := http.NewCrossOriginProtection()
	mux.HandleFunc("GET /sandbox", s.page)
	mux.HandleFunc("GET /sandbox/style.css", style)
	mux.Handle("POST /sandbox/press", own.Handler(http.HandlerFunc(s.pressForm)))
	mux.Handle("POST /sandbox/reply", own.Handler(http.HandlerFunc(s.replyForm)))
	mux.Handle("POST /sandbox/key", own.Handler(http.HandlerFunc(s.keyForm)))
	mux.Handle("GET /{$}", http.RedirectHandler("/sandbox", http.StatusFound))
	return http.MaxBytesHandler(mux, maxBody)
}

func slackMethod(r *http.Request) string { return r.PathValue("method") }

func fixed(operation string) func(*http.Request) string {
	return func(*http.Request) string { return operation }
}
