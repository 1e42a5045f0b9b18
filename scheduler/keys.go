package scheduler

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"nines/internal/civil"
	"nines/scheduler/store"
)

// keys make the secrets of links: whoever has a link may do what it is for and
// nothing else. They are random, made with the store and kept in it.
type keys struct {
	links   []byte
	reports []byte
}

func readKeys(ctx context.Context, s *store.Store) (k keys, err error) {
	if k.links, err = s.Key(ctx, "links"); err != nil {
		return k, err
	}
	k.reports, err = s.Key(ctx, "reports")
	return k, err
}

// lowercase writes bytes so that they survive SMS, e-mail and being read out.
var lowercase = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// seal returns 80 bits that only whoever has the key can make of the parts.
func seal(key []byte, parts ...string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return lowercase.EncodeToString(mac.Sum(nil)[:10])
}

func sealed(got string, key []byte, parts ...string) bool {
	return hmac.Equal([]byte(got), []byte(seal(key, parts...)))
}

// link returns where a person sees and acknowledges an incident; the person is
// empty for the Slack channel.
func (s *Scheduler) link(incident int64, person string) string {
	return fmt.Sprintf("%s/i/%d?k=%s", publicURL(s.config.Load()), incident, s.linkKey(incident, person))
}

// linkKey names the person and proves that the link was made for them.
func (s *Scheduler) linkKey(incident int64, person string) string {
	key := seal(s.keys.links, itoa(incident), person)
	if person == "" {
		return key
	}
	return person + "." + key
}

// linkPerson returns for whom a link was made; ok is false for a wrong key.
func (s *Scheduler) linkPerson(incident int64, key string) (person string, ok bool) {
	if name, rest, named := strings.Cut(key, "."); named {
		return name, name != "" && sealed(rest, s.keys.links, itoa(incident), name)
	}
	return "", sealed(key, s.keys.links, itoa(incident), "")
}

// ReportLink returns where an SLA's report of a month is read by whoever has
// the link.
func (s *Scheduler) ReportLink(sla string, month civil.Month) string {
	return fmt.Sprintf("%s/reports/%s/%s?k=%s", publicURL(s.config.Load()), sla, month, seal(s.keys.reports, sla, month.String()))
}

// calendarToken is what a calendar feed's address carries; the empty rotation
// is all of them. It changes with api_token, and there is none without one.
func (s *Scheduler) calendarToken(rotation string) string {
	token := s.config.Load().APIToken
	if token.IsZero() {
		return ""
	}
	return seal([]byte(token.Reveal()), "calendar", rotation)
}

// CalendarLink returns the address of a rotation's calendar feed, or of that of
// all when the name is empty; empty without an api_token.
func (s *Scheduler) CalendarLink(rotation string) string {
	token := s.calendarToken(rotation)
	if token == "" {
		return ""
	}
	path := "/oncall.ics"
	if rotation != "" {
		path = "/oncall/" + rotation + ".ics"
	}
	return publicURL(s.config.Load()) + path + "?token=" + token
}
