package checks

import (
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

func TestHTTPForm(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	form := map[string]secret.String{"user": secret.New("żółw & co"), "password": secret.New("a=b")}
	h := httpAt(server.URL() + "/login")
	h.Form = form
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	got := server.Requests()[0]
	if got.Method != "POST" || got.Body != "password=a%3Db&user=%C5%BC%C3%B3%C5%82w+%26+co" || got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("the server got %+v", got)
	}
	h = httpAt(server.URL())
	h.Form, h.Method, h.Headers = form, "PUT", map[string]secret.String{"content-type": secret.New("application/x-www-form-urlencoded; charset=utf-8")}
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	if got := server.Requests()[1]; got.Method != "PUT" || !strings.HasSuffix(got.Header.Get("Content-Type"), "utf-8") {
		t.Errorf("the server got %+v", got)
	}
	h = httpAt("https://example.com/")
	h.Form, h.Body = form, "x"
	oneFault(t, "beside a body", h.Faults(), "form")
}
