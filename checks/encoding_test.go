package checks

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// packedAs returns text packed in that way.
func packedAs(t testing.TB, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch name {
	case "gzip":
		return zipped(text)
	case "br":
		w = brotli.NewWriter(&b)
	case "br, large window":
		w = brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 5, LGWin: 24})
	case "zstd":
		w = must(zstd.NewWriter(&b))(t)
	case "zstd, large window": // a frame by hand (RFC 8878, section 3.1.1): 16 MiB, one raw block
		return "\x28\xb5\x2f\xfd\x00\x70" + string([]byte{byte(len(text)<<3 | 1), byte(len(text) >> 5), byte(len(text) >> 13)}) + text
	case "deflate":
		w = zlib.NewWriter(&b)
	case "deflate, bare":
		w = must(flate.NewWriter(&b, 6))(t)
	default:
		t.Fatalf("%s is no way to pack", name)
	}
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestHTTPUnpacks(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	page := "Welcome " + strings.Repeat("to our shop ", 2000)
	for _, tt := range []struct {
		name, encoding, body string
		limit                int
		reason               Reason
		says                 string
		fact                 any
	}{
		{"gzip", "gzip", packedAs(t, "gzip", page), 1 << 20, "", "", "gzip"},
		{"x-gzip in capitals", "X-GZIP", packedAs(t, "gzip", page), 1 << 20, "", "", "gzip"},
		{"br", "br", packedAs(t, "br", page), 1 << 20, "", "", "br"},
		{"br, large window", "br", packedAs(t, "br, large window", page), 1 << 20, "", "", "br"},
		{"zstd", "zstd", packedAs(t, "zstd", page), 1 << 20, "", "", "zstd"},
		{"deflate", "deflate", packedAs(t, "deflate", page), 1 << 20, "", "", "deflate"},
		{"deflate, bare", "deflate", packedAs(t, "deflate, bare", page), 1 << 20, "", "", "deflate"},
		{"identity", "identity", page, 1 << 20, "", "", nil},
		{"two", "gzip, br", packedAs(t, "br", packedAs(t, "gzip", page)), 1 << 20, "", "", "br, gzip"},
		{"exactly the limit", "zstd", packedAs(t, "zstd", page), len(page), "", "", "zstd"},
		{"unknown", "rot13", page, 1 << 20, "", "", nil},
		{"unknown within", "rot13, gzip", packedAs(t, "gzip", page), 1 << 20, "", "", "gzip"},
		{"empty", "br", "", 1 << 20, ContentMismatch, "", "br"},
		{"four", "br, br, br, br", page, 1 << 20, HTTPProtocol, "4 times", nil},
		{"br over the limit", "br", packedAs(t, "br", page), len(page) - 1, HTTPTooLarge, "max_body", nil},
		{"zstd over the limit", "zstd", packedAs(t, "zstd", page), len(page) - 1, HTTPTooLarge, "max_body", nil},
		{"zstd, large window", "zstd", packedAs(t, "zstd, large window", page), 1 << 20, HTTPTooLarge, "window", nil},
		{"not br", "br", "<h1>Welcome to plain text</h1>", 1 << 20, HTTPProtocol, "not the br that Content-Encoding says", nil},
		{"not zstd", "zstd", page, 1 << 20, HTTPProtocol, "not the zstd", nil},
		{"not deflate", "deflate", "\xff\xff" + page, 1 << 20, HTTPProtocol, "not the deflate", nil},
		{"not gzip within br", "gzip, br", packedAs(t, "br", page), 1 << 20, HTTPProtocol, "not the br within gzip", nil},
		{"br cut short", "br", packedAs(t, "br", page)[:30], 1 << 20, HTTPTruncated, "", nil},
		{"zstd cut short", "zstd", packedAs(t, "zstd", page)[:30], 1 << 20, HTTPTruncated, "", nil},
		{"deflate cut short", "deflate", packedAs(t, "deflate", page)[:30], 1 << 20, HTTPTruncated, "", nil},
		{"more after br", "br", packedAs(t, "br", page) + "more", 1 << 20, HTTPProtocol, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.Set(checkstest.Behaviour{Header: http.Header{"Content-Encoding": {tt.encoding}}, Body: tt.body})
			h := httpAt(server.URL())
			h.MaxBody = tt.limit
			h.Expect.BodyContains = []string{"Welcome"}
			r := run(t, h, 10*time.Second, loopback())
			if r.Reason != tt.reason || !strings.Contains(r.Detail, tt.says) {
				t.Errorf("%s %s (%s), want %q with %q", r.Status, r.Reason, r.Detail, tt.reason, tt.says)
			}
			if tt.reason == "" && (r.Facts["content_encoding"] != tt.fact || r.Facts["body_bytes"] != len(page)) {
				t.Errorf("facts %v", r.Facts)
			}
		})
	}
	if got := server.Requests()[0].Header.Get("Accept-Encoding"); got != "gzip, br, zstd" {
		t.Errorf("asked for %q", got)
	}
	h := httpAt(server.URL())
	h.Headers = map[string]secret.String{"accept-encoding": secret.New("br")}
	run(t, h, 10*time.Second, loopback())
	all := server.Requests()
	if got := all[len(all)-1].Header.Values("Accept-Encoding"); len(got) != 1 || got[0] != "br" {
		t.Errorf("asked for %q", got)
	}
}

// A bomb ends at the limit and takes little memory; nothing runs on after it.
func TestUnpackBombs(t *testing.T) {
	const limit = 1 << 20
	zeros := strings.Repeat("\x00", 48<<20)
	goroutines := runtime.NumGoroutine()
	for _, name := range []string{"gzip", "br", "br, large window", "zstd", "deflate"} {
		t.Run(name, func(t *testing.T) {
			bomb := packedAs(t, name, zeros)
			encoding, _, _ := strings.Cut(name, ",")
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			u, err := unpack(strings.NewReader(bomb), []string{encoding}, limit)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, io.LimitReader(u, limit+1))
			u.Close()
			runtime.ReadMemStats(&after)
			if n != limit+1 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			// zstd may need the window of 8 MiB that every browser gives it.
			if took := after.TotalAlloc - before.TotalAlloc; took > 10<<20 || encoding != "zstd" && took > 5<<20 {
				t.Errorf("%d KiB of memory for a limit of %d", took>>10, limit>>10)
			}
		})
	}
	if after := runtime.NumGoroutine(); after > goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, after)
	}
}

// A window cut down to the limit changes nothing of what is in the limit.
func TestBrotliWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	page := make([]byte, 3<<20)
	for i := range page {
		page[i] = byte(random.IntN(256))
	}
	copy(page[2<<20:], page[:1<<20]) // what only a large window can refer to
	packed := packedAs(t, "br, large window", string(page))
	for _, limit := range []int{1, 1 << 10, 1<<18 - 17, 1<<18 - 16, 1 << 18, 1 << 20, 2<<20 - 20, 3<<20 - 1, 3 << 20, 16 << 20} {
		u, err := unpack(strings.NewReader(packed), []string{"br"}, int64(limit))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(u, int64(limit)+1))
		want := page[:min(limit+1, len(page))]
		if err != nil && !errors.Is(err, errTooLarge) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
		}
		if limit >= len(page) && err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

// Nothing that a server sends makes unpacking panic, hang or go over its limit.
func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"gzip", "br", "br, large window", "zstd", "zstd, large window", "deflate", "deflate, bare"} {
		encoding, _, _ := strings.Cut(name, ",")
		f.Add(encoding, []byte(packedAs(f, name, "Welcome "+strings.Repeat("to our shop ", 20))))
	}
	f.Add("gzip, br", []byte(packedAs(f, "br", zipped("Welcome"))))
	f.Add("identity,x-gzip,, ", []byte{})
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		const limit = 64 << 10
		names, err := encodings([]string{header})
		if err != nil {
			return
		}
		u, err := unpack(bytes.NewReader(body), names, limit)
		if err != nil {
			return
		}
		defer u.Close()
		if n, _ := io.Copy(io.Discard, io.LimitReader(u, limit+1)); n > limit+1 {
			t.Errorf("%d bytes", n)
		}
	})
}
