package checks

import (
	"encoding/base64"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"nines/internal/secret"
)

// Basic is a user name and password.
type Basic struct {
	Username string        `json:"username" doc:"The user's name."`
	Password secret.String `json:"password" doc:"The user's password."`
}

func (b *Basic) set() bool { return b.Username != "" || !b.Password.IsZero() }

// basicAuthorization is what an Authorization header says for a user (RFC 7617).
func basicAuthorization(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// authorizes adds the login that r brings along to header. An access token is
// added when there is one.
func (r *HTTPRequest) authorizes(header http.Header) {
	switch {
	case r.Basic.set():
		header.Set("Authorization", basicAuthorization(r.Basic.Username, r.Basic.Password.Reveal()))
	case !r.Bearer.IsZero():
		header.Set("Authorization", "Bearer "+r.Bearer.Reveal())
	}
}

// loginFaults says what is wrong with the ways to log in, of which a request
// has one.
func (r *HTTPRequest) loginFaults() []Fault {
	var given []string
	for name, set := range map[string]bool{"basic": r.Basic.set(), "bearer": !r.Bearer.IsZero(), "oauth2": r.OAuth2.set()} {
		if set {
			given = append(given, name)
		}
	}
	switch {
	case len(given) > 1 && r.OAuth2.set():
		return []Fault{{"oauth2", "is given beside basic or bearer, and only one of them can be sent; keep one"}}
	case len(given) > 1:
		return []Fault{{"bearer", "is given beside basic, and only one of them can be sent; keep one"}}
	case len(given) == 1 && headerNamed(r.Headers, "Authorization"):
		return []Fault{{"headers.Authorization", "is given beside " + given[0] + ", which sets it; keep one"}}
	case strings.Contains(r.Basic.Username, ":"):
		return []Fault{{"basic.username", "has a colon in it, which basic authentication cannot carry"}}
	case !httpguts.ValidHeaderFieldValue(r.Bearer.Reveal()):
		return []Fault{{"bearer", "has characters in it that no header can carry, such as a line's end"}}
	}
	return r.OAuth2.faults()
}
