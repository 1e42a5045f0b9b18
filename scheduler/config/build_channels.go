package config

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

func (b *builder) buildChannels() {
	if s := b.doc.Slack; s != nil && s.At != nil {
		b.cfg.Slack = &Slack{
			Token: s.Token, Channel: string(s.Channel), SigningSecret: s.SigningSecret,
			APIURL: string(s.APIURL) + "/",
		}
		b.checkAPI(s.At, s.APIURL)
		if strings.HasPrefix(string(s.Channel), "#") {
			b.warn(s.At, "channel", "is a channel's name, which anybody may change; write its ID, such as C0INCIDENTS")
		}
	}
	if s := b.doc.Twilio; s != nil && s.At != nil {
		b.cfg.Twilio = &Twilio{
			AccountSID: string(s.AccountSID), AuthToken: s.AuthToken, From: string(s.From), APIURL: string(s.APIURL),
		}
		b.checkAPI(s.At, s.APIURL)
	}
	if s := b.doc.Email; s != nil && s.At != nil {
		b.cfg.Email = &Email{
			Server: string(s.Server), Username: s.Username, Password: s.Password, From: string(s.From), TLS: s.TLS,
		}
		b.checkEmail(s)
	}
}

// checkAPI warns of a token that would travel in the clear.
func (b *builder) checkAPI(section *node, api baseURL) {
	u, err := url.Parse(string(api))
	if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		b.warn(section, "api_url", "is http, so that tokens travel in the clear; write https")
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (b *builder) checkEmail(s *emailSection) {
	host, _, err := net.SplitHostPort(string(s.Server))
	if err == nil && host == "" {
		b.fault(s.At, "server", "names no host; write it as smtp.example.com:587")
	}
	switch signsIn := s.Username != ""; {
	case signsIn && s.Password.IsZero():
		b.fault(s.At, "password", "is missing, and username is given; write both, or neither")
	case !signsIn && !s.Password.IsZero():
		b.fault(s.At, "username", "is missing, and password is given; write both, or neither")
	case signsIn && s.TLS == "none" && !isLoopback(host):
		b.warn(s.At, "tls", "is none, so that the password travels in the clear; write starttls or tls")
	}
}
