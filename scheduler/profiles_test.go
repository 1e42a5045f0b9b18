package scheduler

import (
	"context"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/scheduler/statuspage"
)

// A bandwidth check is compared with the public ones of its group, and no other
// check with any.
func TestLoadTimesByProfile(t *testing.T) {
	h := build(t, "  - {name: ns, kind: dns", `  - {name: phone, title: On a phone, group: Storefront, kind: bandwidth, url: "https://shop.example.com/", profile: slow-4g}
  - {name: cable, group: Storefront, kind: bandwidth, url: "https://shop.example.com/", profile: {down_kbps: 5000, up_kbps: 1000, rtt_ms: 28}}
  - {name: secret, group: Storefront, public: false, kind: bandwidth, url: "https://shop.example.com/", profile: edge}
  - {name: other, group: Elsewhere, kind: bandwidth, url: "https://shop.example.com/", profile: 3g}
  - {name: ns, kind: dns`)
	for _, name := range []string{"shop", "phone", "cable", "secret", "other"} {
		h.see(name, checks.Up, everywhere...)
	}
	h.pass(time.Minute)
	ctx := context.Background()
	page := func(name string) []statuspage.ProfileLatency {
		told, err := public{h.Scheduler}.CheckPage(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return told.ByProfile
	}
	var names []string
	for _, l := range page("phone") {
		names = append(names, l.Check+": "+l.Profile)
		if l.N != len(everywhere) || l.P50 <= 0 || l.P95 < l.P50 {
			t.Errorf("%+v", l)
		}
	}
	if got := strings.Join(names, "; "); got != "phone: slow-4g; cable: 5000/1000 kbit/s, 28 ms" {
		t.Errorf("compared: %s", got)
	}
	if list := page("shop"); list != nil {
		t.Errorf("of an http check: %+v", list)
	}
	if list := page("other"); len(list) != 1 {
		t.Errorf("of a check alone in its group: %+v", list)
	}
	answer, body := h.ask("GET", "/checks/phone")
	if answer.StatusCode != 200 || !strings.Contains(body, `class="rank"`) || strings.Contains(body, "edge") || strings.Contains(body, "shop.example.com") {
		t.Errorf("%d\n%.3000s", answer.StatusCode, body)
	}
}
