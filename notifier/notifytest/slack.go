package notifytest

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Post is a message in the Slack channel or in a thread.
type Post struct {
	Channel  string
	TS       string // its id
	ThreadTS string // of the message that it answers; empty: in the channel itself
	Text     string // what notifications show
	Blocks   []Block
	Metadata json.RawMessage // null: none
	Edits    int
	At       time.Time

	raw json.RawMessage // blocks as they came
}

// Block is a Block Kit block, of the kinds that nines uses.
type Block struct {
	Type     string  `json:"type"` // section, context, actions
	BlockID  string  `json:"block_id"`
	Text     *Label  `json:"text"`
	Fields   []Label `json:"fields"`
	Elements []struct {
		Type     string          `json:"type"`
		Raw      json.RawMessage `json:"text"` // a Label in actions, a string in context
		ActionID string          `json:"action_id"`
		Value    string          `json:"value"`
		Style    string          `json:"style"`
	} `json:"elements"`
}

// Label is a text object.
type Label struct {
	Type string `json:"type"` // mrkdwn or plain_text
	Text string `json:"text"`
}

// Button is a button of a message.
type Button struct {
	Label, ActionID, BlockID, Value, Style string
}

// Buttons returns the message's buttons.
func (p Post) Buttons() []Button {
	var all []Button
	for _, b := range p.Blocks {
		if b.Type != "actions" {
			continue
		}
		for _, e := range b.Elements {
			var label Label
			if json.Unmarshal(e.Raw, &label) == nil && e.Type == "button" {
				all = append(all, Button{label.Text, e.ActionID, b.BlockID, e.Value, e.Style})
			}
		}
	}
	return all
}

// Said returns all of the message's text.
func (p Post) Said() string {
	if len(p.Blocks) == 0 {
		return p.Text
	}
	var all []string
	for _, b := range p.Blocks {
		if b.Text != nil {
			all = append(all, b.Text.Text)
		}
		for _, f := range b.Fields {
			all = append(all, f.Text)
		}
		if b.Type == "context" {
			all = append(all, b.context()...)
		}
	}
	return strings.Join(all, "\n")
}

// context returns the texts of a context block.
func (b Block) context() []string {
	var all []string
	for _, e := range b.Elements {
		var text string
		if json.Unmarshal(e.Raw, &text) == nil {
			all = append(all, text)
		}
	}
	return all
}

// Posts returns the Slack messages, oldest first.
func (s *Sandbox) Posts() []Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Post
	for _, p := range s.posts {
		all = append(all, *p)
	}
	return all
}

// slackError is an error that Slack names by a word.
type slackError string

func (e slackError) Error() string { return string(e) }

// slackAPI answers https://docs.slack.dev/reference/methods.
func (s *Sandbox) slackAPI(w http.ResponseWriter, r *http.Request) {
	token := r.Form.Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	methods := map[string]func(*http.Request) (map[string]any, error){
		"auth.test":   s.authTest,
		PostMessage:   s.postMessage,
		UpdateMessage: s.updateMessage,
		History:       s.history,
		Replies:       s.replies,
		"users.info":  s.usersInfo,
	}
	answer := map[string]any{}
	err := error(slackError("unknown_method"))
	if subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.SlackToken.Reveal())) == 0 {
		err = slackError("invalid_auth")
	} else if method := methods[r.PathValue("method")]; method != nil {
		answer, err = method(r)
	}
	if err != nil {
		writeJSON(w, http.StatusOK, map[string]any{"ok": false, "error": err.Error()})
		return
	}
	answer["ok"] = true
	writeJSON(w, http.StatusOK, answer)
}

func (s *Sandbox) authTest(*http.Request) (map[string]any, error) {
	return map[string]any{"url": s.URL(), "team": "sandbox", "user": "nines", "team_id": "T0SANDBOX", "user_id": "U0NINES"}, nil
}

func (s *Sandbox) usersInfo(r *http.Request) (map[string]any, error) {
	for _, p := range s.cfg.People {
		if p.Slack != "" && p.Slack == r.Form.Get("user") {
			return map[string]any{"user": map[string]any{"id": p.Slack, "name": p.Name, "real_name": p.Name}}, nil
		}
	}
	return nil, slackError("user_not_found")
}

// content reads and checks what a message says.
func content(r *http.Request) (text string, raw json.RawMessage, blocks []Block, err error) {
	text = r.Form.Get("text")
	if b := r.Form.Get("blocks"); b != "" {
		raw = json.RawMessage(b)
		if json.Unmarshal(raw, &blocks) != nil || !valid(blocks) {
			return "", nil, nil, slackError("invalid_blocks")
		}
	}
	switch {
	case text == "" && len(blocks) == 0:
		return "", nil, nil, slackError("no_text")
	case utf8.RuneCountInString(text) > 40000:
		return "", nil, nil, slackError("msg_too_long")
	}
	return text, raw, blocks, nil
}

// valid checks the limits of https://docs.slack.dev/reference/block-kit/blocks.
func valid(blocks []Block) bool {
	long := func(s string, most int) bool { return s == "" || utf8.RuneCountInString(s) > most }
	for _, b := range blocks {
		switch b.Type {
		case "section":
			if b.Text == nil && len(b.Fields) == 0 || b.Text != nil && long(b.Text.Text, 3000) || len(b.Fields) > 10 ||
				slices.ContainsFunc(b.Fields, func(f Label) bool { return long(f.Text, 2000) }) {
				return false
			}
		case "actions":
			if len(b.Elements) == 0 || len(b.Elements) > 25 {
				return false
			}
		case "context":
			if len(b.Elements) == 0 || len(b.Elements) > 10 {
				return false
			}
		default:
			return false
		}
	}
	return len(blocks) <= 50
}

func (s *Sandbox) postMessage(r *http.Request) (map[string]any, error) {
	text, raw, blocks, err := content(r)
	if err != nil {
		return nil, err
	}
	if r.Form.Get("channel") != s.cfg.SlackChannel {
		return nil, slackError("channel_not_found")
	}
	p := &Post{Channel: s.cfg.SlackChannel, ThreadTS: r.Form.Get("thread_ts"), Text: text, Blocks: blocks, raw: raw, At: s.cfg.Now()}
	if m := r.Form.Get("metadata"); m != "" {
		if !json.Valid([]byte(m)) {
			return nil, slackError("invalid_metadata_format")
		}
		p.Metadata = json.RawMessage(m)
	}
	s.mu.Lock()
	if p.ThreadTS != "" && !slices.ContainsFunc(s.posts, func(q *Post) bool { return q.TS == p.ThreadTS }) {
		s.mu.Unlock()
		return nil, slackError("thread_not_found")
	}
	s.lastTS = max(s.lastTS+1, p.At.UnixMicro())
	p.TS = fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
	s.posts = latest(append(s.posts, p), kept)
	answer := map[string]any{"channel": p.Channel, "ts": p.TS, "message": p.wire(true)}
	s.mu.Unlock()
	s.arrived(Message{Channel: "slack", To: p.Channel, Text: p.Text, Thread: p.ThreadTS != ""})
	return answer, nil
}

func (s *Sandbox) updateMessage(r *http.Request) (map[string]any, error) {
	text, raw, blocks, err := content(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	i := slices.IndexFunc(s.posts, func(p *Post) bool { return p.TS == r.Form.Get("ts") })
	if i < 0 || r.Form.Get("channel") != s.cfg.SlackChannel {
		s.mu.Unlock()
		return nil, slackError("message_not_found")
	}
	p := s.posts[i]
	p.Text, p.Blocks, p.raw = text, blocks, raw
	p.Edits++
	answer := map[string]any{"channel": p.Channel, "ts": p.TS, "text": p.Text}
	s.mu.Unlock()
	s.arrived(Message{Channel: "slack", To: s.cfg.SlackChannel, Text: text, Edited: true})
	return answer, nil
}

// Forget deletes a Slack message, as anybody there may.
func (s *Sandbox) Forget(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = slices.DeleteFunc(s.posts, func(p *Post) bool { return p.TS == ts || p.ThreadTS == ts })
}

// history returns the channel's messages, latest first.
func (s *Sandbox) history(r *http.Request) (map[string]any, error) {
	if r.Form.Get("channel") != s.cfg.SlackChannel {
		return nil, slackError("channel_not_found")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Post
	for _, p := range slices.Backward(s.posts) {
		if p.ThreadTS == "" && p.since(r.Form.Get("oldest")) {
			found = append(found, p)
		}
	}
	return list(found, r), nil
}

// replies returns a message and its thread, oldest first.
func (s *Sandbox) replies(r *http.Request) (map[string]any, error) {
	ts := r.Form.Get("ts")
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Post
	for _, p := range s.posts {
		if p.TS == ts || p.ThreadTS == ts && p.since(r.Form.Get("oldest")) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, slackError("thread_not_found")
	}
	return list(found, r), nil
}

// since reports whether the message is later than a timestamp of Slack's.
func (p *Post) since(oldest string) bool {
	if oldest == "" {
		return true
	}
	at, _ := strconv.ParseFloat(p.TS, 64)
	from, _ := strconv.ParseFloat(oldest, 64)
	return at > from
}

// list answers one page of messages.
func list(found []*Post, r *http.Request) map[string]any {
	limit, err := strconv.Atoi(r.Form.Get("limit"))
	if err != nil || limit <= 0 {
		limit = 100
	}
	start, _ := strconv.Atoi(r.Form.Get("cursor")) // none: the first page
	start = min(max(start, 0), len(found))
	end := min(start+limit, len(found))
	next := ""
	if end < len(found) {
		next = strconv.Itoa(end)
	}
	messages := []map[string]any{}
	for _, p := range found[start:end] {
		messages = append(messages, p.wire(r.Form.Get("include_all_metadata") == "1"))
	}
	return map[string]any{"messages": messages, "has_more": next != "", "response_metadata": map[string]string{"next_cursor": next}}
}

// wire is the message as Slack's API shows it.
func (p *Post) wire(metadata bool) map[string]any {
	m := map[string]any{"type": "message", "bot_id": "B0NINES", "ts": p.TS, "text": p.Text}
	if p.ThreadTS != "" {
		m["thread_ts"] = p.ThreadTS
	}
	if len(p.raw) > 0 {
		m["blocks"] = p.raw
	}
	if metadata && len(p.Metadata) > 0 {
		m["metadata"] = p.Metadata
	}
	return m
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // a client that has gone does not read it
}
