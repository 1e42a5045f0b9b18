package statuspage_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"nines/scheduler/statuspage"
)

// quiet is a Source in whose world one system works.
type quiet struct{}

func (quiet) Page(context.Context) (*statuspage.Page, error) {
	now := time.Date(2026, 11, 23, 14, 2, 0, 0, time.UTC)
	shop := statuspage.Check{Name: "shop", Title: "Shop", State: statuspage.Up, Since: now.AddDate(0, 0, -3)}
	return &statuspage.Page{Now: now, Newest: now, Days: 90, Groups: []statuspage.Group{{Checks: []statuspage.Check{shop}}}}, nil
}

func (quiet) CheckPage(context.Context, string) (*statuspage.CheckPage, error) {
	return &statuspage.CheckPage{}, nil
}

func (quiet) Incident(context.Context, int64) (*statuspage.Incident, error) {
	return nil, statuspage.ErrNotFound
}

func Example() {
	h, err := statuspage.New(statuspage.Config{Source: quiet{}, Title: "Example Status", PublicURL: "https://status.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	mux.HandleFunc("/", h.NotFound)
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, path := range []string{"/", "/badge/shop.json", "/incidents/1"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(response.StatusCode, path, strings.Contains(string(body), "perational"))
	}
	// Output:
	// 200 / true
	// 200 /badge/shop.json true
	// 404 /incidents/1 false
}
