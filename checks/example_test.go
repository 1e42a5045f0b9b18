package checks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"nines/checks"
	"nines/checks/checkstest"
)

// A check is options of a kind, here decoded from JSON, and a Spec around them.
func Example() {
	server, err := checkstest.NewHTTP()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.Set(checkstest.Behaviour{Status: 503, Body: "Back soon"})

	kind, _ := checks.KindOf("http")
	options := kind.New()
	asked := fmt.Sprintf(`{"url": %q, "expect": {"status": ["2xx"]}}`, server.URL())
	if err := json.Unmarshal([]byte(asked), options); err != nil {
		fmt.Println(err)
		return
	}
	spec := checks.Spec{Name: "shop", Kind: "http", Every: time.Minute, Timeout: 10 * time.Second, Options: options}
	env := &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

	r := spec.Run(context.Background(), env, time.Now())
	fmt.Println(r.Status, r.Reason, r.Facts["http_status"])
	fmt.Println(r.Detail)
	fmt.Println(r.Reason.Meaning())
	// Output:
	// down http.status 503
	// the status is 503 Service Unavailable; expected 200-299
	// the answer has another status code than expected
}
