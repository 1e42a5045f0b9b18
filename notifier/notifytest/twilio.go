package notifytest

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/notifier"
)

// Text is an SMS.
type Text struct {
	SID        string
	To, From   string
	Body       string
	Status     string // queued, sent, delivered, undelivered, failed; received for what a person wrote
	ErrorCode  int
	Direction  string // outbound-api, outbound-reply or inbound
	Segments   int
	ValidFor   int // seconds
	At         time.Time
	callback   string
	optOutType string
}

// Texts returns the SMS of all phones, oldest first.
func (s *Sandbox) Texts() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Text
	for _, t := range s.texts {
		all = append(all, *t)
	}
	return all
}

// handler answers one of Twilio's operations, or refuses with a twilioError.
type handler func(w http.ResponseWriter, r *http.Request) error

// twilioError is an error as Twilio answers it.
type twilioError struct {
	status, code int
	message      string
}

func (e twilioError) Error() string { return e.message }

// twilioAPI checks the account and its token.
func (s *Sandbox) twilioAPI(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		good := subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(s.cfg.AccountSID+":"+s.cfg.AuthToken.Reveal())) == 1
		switch {
		case !good:
			writeTwilioError(w, http.StatusUnauthorized, 20003, "Authenticate")
		case r.PathValue("account") != s.cfg.AccountSID:
			writeTwilioError(w, http.StatusNotFound, 20404, "The requested resource was not found")
		default:
			if err := next(w, r); err != nil {
				refused, ok := err.(twilioError)
				if !ok {
					refused = twilioError{http.StatusInternalServerError, 20500, err.Error()}
				}
				writeTwilioError(w, refused.status, refused.code, refused.message)
			}
		}
	}
}

func writeTwilioError(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, map[string]any{
		"status": status, "code": code, "message": message,
		"more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code),
	})
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// checkNumbers checks both ends of a message or a call.
func (s *Sandbox) checkNumbers(r *http.Request) error {
	to := r.PostForm.Get("To")
	switch {
	case !e164.MatchString(to):
		return twilioError{400, 21211, "Invalid 'To' Phone Number: " + to}
	case r.PostForm.Get("From") != s.cfg.From:
		return twilioError{400, 21606, "The 'From' phone number provided is not a valid message-capable Twilio phone number"}
	}
	return nil
}

func (s *Sandbox) createText(w http.ResponseWriter, r *http.Request) error {
	if err := s.checkNumbers(r); err != nil {
		return err
	}
	s.mu.Lock()
	stopped := s.stopped[r.PostForm.Get("To")]
	s.mu.Unlock()
	body := r.PostForm.Get("Body")
	switch {
	case stopped:
		return twilioError{400, 21610, "Attempt to send to unsubscribed recipient"}
	case body == "":
		return twilioError{400, 21602, "Message body is required."}
	case len([]rune(body)) > 1600:
		return twilioError{400, 21617, "The concatenated message body exceeds the 1600 character limit"}
	}
	callback := r.PostForm.Get("StatusCallback")
	if callback != "" && !absolute(callback) {
		return twilioError{400, 21609, "The 'StatusCallback' URL is not a valid URL."}
	}
	t := &Text{
		SID: sid("SM"), To: r.PostForm.Get("To"), From: r.PostForm.Get("From"), Body: body,
		Status: "queued", Direction: "outbound-api", At: s.cfg.Now(), callback: callback,
	}
	t.ValidFor, _ = strconv.Atoi(r.PostForm.Get("ValidityPeriod")) // absent: the account's
	f, _ := s.fault(CreateMessage, true)
	s.keep(t)
	writeJSON(w, http.StatusCreated, s.textWire(t.SID))
	s.work.Go(func() { s.deliver(t, f) })
	return nil
}

func absolute(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// keep stores a text.
func (s *Sandbox) keep(t *Text) {
	t.Segments, _ = notifier.Segments(t.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = latest(append(s.texts, t), kept)
}

// deliver takes a text to its phone and reports how that goes.
func (s *Sandbox) deliver(t *Text, f Fault) {
	statuses := []string{"sent", "delivered"}
	code := 0
	switch f.Kind {
	case Undelivered:
		statuses = []string{"sent", "undelivered"}
		if code, _ = strconv.Atoi(f.Code); code == 0 {
			code = 30008
		}
	case Silent:
		statuses = []string{"sent"}
	}
	var reports []url.Values
	for i, status := range statuses {
		if i == len(statuses)-1 && !s.sleep(s.cfg.DeliverAfter) {
			return
		}
		s.mu.Lock()
		t.Status = status
		if i == len(statuses)-1 {
			t.ErrorCode = code
		}
		report := url.Values{
			"MessageSid": {t.SID}, "SmsSid": {t.SID}, "AccountSid": {s.cfg.AccountSID}, "ApiVersion": {"2010-04-01"},
			"To": {t.To}, "From": {t.From}, "MessageStatus": {status}, "SmsStatus": {status},
		}
		s.mu.Unlock()
		if status == "undelivered" {
			report.Set("ErrorCode", strconv.Itoa(code))
		}
		if status == "delivered" {
			s.arrived(Message{Channel: "sms", To: t.To, Person: s.person(t.To), Text: t.Body})
		}
		if f.Kind == Disorder {
			reports = slices.Insert(reports, 0, report)
		} else {
			s.report(t.callback, f, report)
		}
	}
	for _, report := range reports {
		s.report(t.callback, f, report)
	}
}

// report posts a status callback, unless the fault is that it does not come.
func (s *Sandbox) report(callback string, f Fault, form url.Values) {
	if callback == "" || f.Kind == Lost || f.Kind == Silent {
		return
	}
	times := 1
	if f.Kind == Twice {
		times = 2
	}
	for range times {
		if _, _, err := s.twilioHook(s.ctx, callback, form); err != nil {
			s.cfg.Log.Warn("posting a status callback", "err", err)
		}
	}
}

func (s *Sandbox) listTexts(w http.ResponseWriter, r *http.Request) error {
	size, err := strconv.Atoi(r.Form.Get("PageSize"))
	if err != nil || size <= 0 || size > 1000 {
		size = 50
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []map[string]any{}
	for _, t := range slices.Backward(s.texts) {
		if to := r.Form.Get("To"); to != "" && t.To != to {
			continue
		}
		if from := r.Form.Get("From"); from != "" && t.From != from {
			continue
		}
		if len(found) < size {
			found = append(found, s.text(t))
		}
	}
	uri := r.URL.RequestURI()
	writeJSON(w, http.StatusOK, map[string]any{
		"messages": found, "page": 0, "page_size": size, "start": 0, "end": max(len(found)-1, 0),
		"uri": uri, "first_page_uri": uri, "next_page_uri": nil, "previous_page_uri": nil,
	})
	return nil
}

func (s *Sandbox) fetchText(w http.ResponseWriter, r *http.Request) error {
	t := s.textWire(strings.TrimSuffix(r.PathValue("file"), ".json"))
	if t == nil {
		return twilioError{404, 20404, "The requested resource was not found"}
	}
	writeJSON(w, http.StatusOK, t)
	return nil
}

// textWire returns the text of that SID as Twilio's API shows it, or nil.
func (s *Sandbox) textWire(sid string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.texts {
		if t.SID == sid {
			return s.text(t)
		}
	}
	return nil
}

// text is a Message resource. The caller holds mu.
func (s *Sandbox) text(t *Text) map[string]any {
	m := map[string]any{
		"sid": t.SID, "account_sid": s.cfg.AccountSID, "api_version": "2010-04-01",
		"to": t.To, "from": t.From, "body": t.Body, "status": t.Status, "direction": t.Direction,
		"num_segments": strconv.Itoa(t.Segments), "num_media": "0", "messaging_service_sid": nil,
		"error_code": nil, "error_message": nil, "price": nil, "price_unit": "USD",
		"date_created": t.At.UTC().Format(time.RFC1123Z), "date_updated": t.At.UTC().Format(time.RFC1123Z), "date_sent": nil,
		"uri":              fmt.Sprintf("/2010-04-01/Accounts/%s/Messages/%s.json", s.cfg.AccountSID, t.SID),
		"subresource_uris": map[string]any{},
	}
	if t.Status != "queued" {
		m["date_sent"] = m["date_created"]
	}
	if t.ErrorCode != 0 {
		m["error_code"] = t.ErrorCode
	}
	return m
}
