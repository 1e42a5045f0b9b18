package statuspage

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// discard is a ResponseWriter that costs little, so that what is measured is
// the handler.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func serveAll(b *testing.B, h http.Handler) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		d := &discard{http.Header{}}
		for pb.Next() {
			clear(d.header)
			h.ServeHTTP(d, r)
		}
	})
}

// The page's handler alone, and a bare one that writes the same bytes.
func BenchmarkHandler(b *testing.B) {
	s := newSite(b, many(12))
	page := s.get("/", "Accept-Encoding", "gzip")
	b.Run("page", func(b *testing.B) { serveAll(b, s.mux) })
	b.Run("bare", func(b *testing.B) {
		mux := http.NewServeMux()
		mux.Handle("GET /{$}", bare(page))
		serveAll(b, mux)
	})
}

func bare(page *httptest.ResponseRecorder) http.Handler {
	body, contentType, length := page.Body.Bytes(), page.Header().Get("Content-Type"), strconv.Itoa(page.Body.Len())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", length)
		w.Write(body)
	})
}

// The same over HTTP on loopback, where the server's own cost is in both.
func BenchmarkHTTP(b *testing.B) {
	s := newSite(b, many(12))
	page := s.get("/", "Accept-Encoding", "gzip")
	for name, h := range map[string]http.Handler{"page": s.mux, "bare": bare(page)} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(h)
			defer server.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
			b.RunParallel(func(pb *testing.PB) {
				buffer := make([]byte, 64<<10)
				for pb.Next() {
					r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
					r.Header.Set("Accept-Encoding", "gzip")
					response, err := client.Do(r)
					if err != nil {
						b.Fatal(err)
					}
					for {
						if _, err := response.Body.Read(buffer); err != nil {
							break
						}
					}
					response.Body.Close()
				}
			})
		})
	}
}

// What one change costs.
func BenchmarkRender(b *testing.B) {
	for name, checks := range map[string]int{"12 checks": 12, "200 checks": 200} {
		for _, path := range []string{"/", "/api/v2/summary.json"} {
			b.Run(name+strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
				s := newSite(b, many(checks))
				b.ReportAllocs()
				for b.Loop() {
					s.Changed()
					s.get(path, "Accept-Encoding", "gzip")
				}
			})
		}
	}
}
