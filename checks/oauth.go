package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"nines/internal/secret"
)

// OAuth2 is how to get an access token by client credentials (RFC 6749, section
// 4.4). The zero OAuth2 gets none.
type OAuth2 struct {
	TokenURL     string                   `json:"token_url" doc:"The address that gives out tokens, http or https." example:"https://login.example.com/oauth2/token"`
	ClientID     string                   `json:"client_id" doc:"The client's identifier." example:"nines"`
	ClientSecret secret.String            `json:"client_secret" doc:"The client's secret." example:"${SHOP_CLIENT_SECRET}"`
	Scopes       []string                 `json:"scopes" doc:"The scopes to ask for; default none." example:"[orders.read]"`
	Params       map[string]secret.String `json:"params" doc:"Further parameters of the token request; their values are kept secret." example:"{audience: https://api.example.com}"`
	AuthStyle    string                   `json:"auth_style" enum:"header,body" doc:"Where the client's identifier and secret go: in the header, as basic authentication, or in the body."`
}

// The two places of a client's credentials.
const (
	authInHeader = "header"
	authInBody   = "body"
)

// maxTokenAnswer is how many bytes the answer of a token endpoint may have.
const maxTokenAnswer = 64 << 10

func (o *OAuth2) set() bool {
	return o.TokenURL != "" || o.ClientID != "" || !o.ClientSecret.IsZero() || len(o.Scopes)+len(o.Params) > 0
}

// ownParams are those that the token request has anyway.
var ownParams = []string{"grant_type", "client_id", "client_secret", "scope"}

func (o *OAuth2) faults() []Fault {
	if !o.set() {
		return nil
	}
	var faults []Fault
	add := func(path, message string) { faults = append(faults, Fault{"oauth2." + path, message}) }
	u, err := url.Parse(o.TokenURL)
	switch {
	case o.TokenURL == "":
		add("token_url", "is missing; write the address that gives out tokens, such as https://login.example.com/oauth2/token")
	case err != nil:
		add("token_url", "is not a URL; write one such as https://login.example.com/oauth2/token")
	case u.User != nil:
		add("token_url", "has a user in it, and would be printed; write client_id and client_secret")
	default:
		if _, err := placeOf(u); err != nil {
			add("token_url", err.Error())
		}
	}
	if o.ClientID == "" {
		add("client_id", "is missing; write the client's identifier")
	}
	if o.ClientSecret.IsZero() {
		add("client_secret", "is missing; write the client's secret, or name its file as client_secret_file")
	}
	for i, scope := range o.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }) {
			add(fmt.Sprintf("scopes[%d]", i), "is not a scope; write one without spaces, quotes and backslashes, such as orders.read")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Params)) {
		if name == "" || slices.Contains(ownParams, name) {
			add("params."+clip(name, 80), "is set by nines itself; leave it out")
		}
	}
	if o.AuthStyle != "" && o.AuthStyle != authInHeader && o.AuthStyle != authInBody {
		add("auth_style", fmt.Sprintf("%q is none of header, body", clip(o.AuthStyle, 40)))
	}
	return faults
}

// authorize returns h with an access token: the one at hand, unless it is the
// one that h has in vain. The time for getting one is not part of the run's,
// but for a run that ends there.
func (x *exchange) authorize(ctx context.Context, h *hop) (*hop, finding) {
	a, start := x.answer, time.Now()
	defer a.watch.skip()
	var token *oauth2.Token
	select {
	case token = <-x.tokens:
	case <-ctx.Done(): // while another run was getting one
		if len(a.watch.phases) == 0 {
			a.watch.mark(phaseFirstByte)
		}
		return h, x.OAuth2.failed(ctx, ctx.Err())
	}
	defer func() { x.tokens <- token }()
	if token.Valid() && authorization(token) != h.token {
		return h.withToken(authorization(token)), finding{}
	}
	ask := &asking{exchange{HTTPRequest: x.HTTPRequest, env: x.env, answer: &answer{watch: startWatch(), now: a.now}}}
	defer ask.close()
	var f finding
	token, f = ask.token(ctx)
	a.token += time.Since(start)
	if f.status != "" {
		if len(a.watch.phases) == 0 {
			a.watch = ask.answer.watch
		}
		return h, f
	}
	return h.withToken(authorization(token)), finding{}
}

// authorization is what the Authorization header says for a token.
func authorization(token *oauth2.Token) string { return token.Type() + " " + token.AccessToken }

// asking is a request for a token, over an exchange of its own: it meets the
// guard, the proxy, the trust and the limits that the check's request does.
type asking struct{ exchange }

// token gets a new token.
func (k *asking) token(ctx context.Context) (*oauth2.Token, finding) {
	o := &k.OAuth2
	config := clientcredentials.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), TokenURL: o.TokenURL, Scopes: o.Scopes,
		EndpointParams: url.Values{}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	if o.AuthStyle == authInBody {
		config.AuthStyle = oauth2.AuthStyleInParams
	}
	for name, value := range o.Params {
		config.EndpointParams.Set(name, value.Reveal())
	}
	client := &http.Client{
		Transport: k,
		// A redirect would take the secret to wherever it leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if k.answer.status != 0 {
		k.answer.watch.mark(phaseTransfer)
	}
	switch {
	case err != nil:
		return nil, o.failed(ctx, err)
	case !httpguts.ValidHeaderFieldValue(authorization(token)):
		return nil, o.failed(ctx, errors.New("the token has characters in it that no header can carry"))
	}
	return token, finding{}
}

// RoundTrip sends what the OAuth 2.0 library asks for.
func (k *asking) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := placeOf(req.URL)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	header := req.Header.Clone()
	header.Set("User-Agent", userAgent)
	header.Set("Accept", "application/json")
	answered, f := k.send(req.Context(), &hop{method: req.Method, url: req.URL, place: to, server: to.host, header: header, body: string(body)})
	if f.status != "" {
		return nil, &foundError{f}
	}
	answered.Body = struct {
		io.Reader
		io.Closer
	}{&limited{r: answered.Body, left: maxTokenAnswer}, answered.Body}
	return answered, nil
}

// foundError carries a finding through a library.
type foundError struct{ finding }

func (e *foundError) Error() string { return e.detail }

// failed says what it means that no token was got. The token endpoint is part
// of what is checked: without it, nobody else gets in either.
func (o *OAuth2) failed(ctx context.Context, err error) finding {
	found, wasFound := errors.AsType[*foundError](err)
	refused, wasRefused := errors.AsType[*oauth2.RetrieveError](err)
	var why string
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return classify(stageHeader, context.Canceled)
	case wasFound && found.status == Unknown:
		return against(found.reason, "getting an access token: %s", found.detail)
	case wasFound:
		why = fmt.Sprintf("%s (%s)", found.detail, found.reason)
	case ctx.Err() != nil:
		why = "no time left while waiting for it"
	case wasRefused && refused.ErrorCode != "":
		why = fmt.Sprintf("it answered %s: %s", statusText(refused.Response.StatusCode), strings.TrimSuffix(refused.ErrorCode+": "+refused.ErrorDescription, ": "))
	case wasRefused:
		why = fmt.Sprintf("it answered %s: %s", statusText(refused.Response.StatusCode), refused.Body)
	default:
		why = strings.TrimPrefix(err.Error(), "oauth2: ")
	}
	from := o.TokenURL
	if u, err := url.Parse(o.TokenURL); err == nil {
		from = shownURL(u)
	}
	return against(HTTPToken, "no access token from %s: %s", from, clip(o.redact(why), 300))
}

// redact takes out of text what a token endpoint may have sent back of the
// secrets that it got.
func (o *OAuth2) redact(text string) string {
	login := basicAuthorization(url.QueryEscape(o.ClientID), url.QueryEscape(o.ClientSecret.Reveal()))
	forms := []string{strings.TrimPrefix(login, "Basic ")}
	for _, s := range append(slices.Collect(maps.Values(o.Params)), o.ClientSecret) {
		if !s.IsZero() {
			forms = append(forms, s.Reveal(), url.QueryEscape(s.Reveal()))
		}
	}
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, secret.Redacted)
	}
	return text
}
