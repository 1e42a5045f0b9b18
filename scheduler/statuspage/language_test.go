package statuspage

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var verbs = regexp.MustCompile(`%(\[\d\])?[a-z0-9]+|%%`)

// Every language says everything, with the same verbs, and nothing else.
func TestLanguagesAreWhole(t *testing.T) {
	for _, words := range languages {
		t.Run(words["lang"], func(t *testing.T) {
			for key, text := range english {
				theirs, ok := words[key]
				switch {
				case !ok:
					t.Errorf("%s is missing", key)
				case strings.TrimSpace(theirs) == "":
					t.Errorf("%s is empty", key)
				case !slices.Equal(verbs.FindAllString(text, -1), verbs.FindAllString(theirs, -1)) && !strings.HasPrefix(key, "date."):
					t.Errorf("%s is %q, with other verbs than %q", key, theirs, text)
				}
				base, _ := strings.CutSuffix(key, ".one")
				_, counts := english[base+".other"]
				if _, ok := words[base+".few"]; base != key && counts && words["plural"] == "one-few-other" && !ok {
					t.Errorf("%s.few is missing", base)
				}
			}
			for key := range words {
				_, ok := english[key]
				if base, few := strings.CutSuffix(key, ".few"); few {
					_, ok = english[base+".one"]
				}
				if !ok {
					t.Errorf("%s is said nowhere", key)
				}
			}
			for _, key := range []string{"months", "months.short"} {
				if n := len(strings.Fields(words[key])); n != 12 {
					t.Errorf("%s are %d", key, n)
				}
			}
		})
	}
}

func TestForms(t *testing.T) {
	for n, want := range map[int]string{
		1: "1 system nie działa", 2: "2 systemy nie działają", 4: "4 systemy nie działają", 5: "5 systemów nie działa",
		12: "12 systemów nie działa", 14: "14 systemów nie działa", 21: "21 systemów nie działa", 22: "22 systemy nie działają",
		112: "112 systemów nie działa", 0: "0 systemów nie działa",
	} {
		if got := polish.count("summary.down", n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := german.count("summary.down", 3); got != "3 Systeme sind ausgefallen" {
		t.Errorf("got %q", got)
	}
}

func TestReadersLanguage(t *testing.T) {
	h, err := New(Config{Source: example(), PublicURL: "https://status.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	for _, test := range []struct{ accepted, want string }{
		{"", "en"},
		{"de", "de"},
		{"de-AT,de;q=0.9,en;q=0.5", "de"},
		{"pl-PL", "pl"},
		{"ja,fr;q=0.3", "fr"},
		{"ja", "en"},
		{"*", "en"},
		{"es-419;q=0.8, it;q=0.9", "it"},
		{"en-GB,de;q=0.9", "en"},
		{"nonsense;;;q=x", "en"},
		{strings.Repeat("de,", 200), "en"},
	} {
		for _, path := range []string{"/", "/history", "/checks/nosuch"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if test.accepted != "" {
				r.Header.Set("Accept-Language", test.accepted)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if got := w.Header().Get("Content-Language"); got != test.want {
				t.Errorf("%s with %.40q is in %q, want %q", path, test.accepted, got, test.want)
			}
			if !strings.Contains(w.Body.String(), `<html lang="`+test.want+`"`) {
				t.Errorf("%s with %.40q does not say that it is in %q", path, test.accepted, test.want)
			}
			if vary := w.Header().Get("Vary"); vary != "Accept-Encoding, Accept-Language" {
				t.Errorf("%s varies with %q", path, vary)
			}
		}
	}
}

// What readers send never costs more memory than so much.
func TestReadersAreBounded(t *testing.T) {
	r := newReaders()
	for i := range 3 * maxReaders {
		r.choose(strings.Repeat("x", i%200) + ";q=0." + strings.Repeat("1", i/200+1))
	}
	if len(r.chosen) > maxReaders {
		t.Errorf("%d headers are remembered", len(r.chosen))
	}
}

// A page with one language is in that, whatever the reader's.
func TestOneLanguage(t *testing.T) {
	h, err := New(Config{Source: example(), Language: "pl", PublicURL: "https://status.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	r := httptest.NewRequest(http.MethodGet, "/checks/nosuch", nil)
	r.Header.Set("Accept-Language", "de")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Language"); got != "pl" || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("the page is in %q and varies with %q", got, w.Header().Get("Vary"))
	}
	if _, err := New(Config{Source: &fake{}, Language: "tlh"}); err == nil || !strings.Contains(err.Error(), "en, de, es, fr, it, pl") {
		t.Errorf("got %v", err)
	}
}
