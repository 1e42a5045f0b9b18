package checkstest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func Example() {
	server, err := NewHTTP()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.Set(Behaviour{Status: 503, Body: "Back soon"})
	resp, err := http.Get(server.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s %q\n", resp.Status, body)
	// Output: 503 Service Unavailable "Back soon"
}

// Behaviour changes while the server runs, and by path.
func TestHTTPBehaviour(t *testing.T) {
	server, err := NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	get := func(path string) (int, string, error) {
		resp, err := http.Get(server.URL() + path)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	server.SetPath("/down", Behaviour{Status: 500})
	for range 2 {
		server.Set(Behaviour{Body: "a"})
		if status, body, err := get("/"); status != 200 || body != "a" || err != nil {
			t.Errorf("%d %q %v", status, body, err)
		}
		server.Set(Behaviour{Fault: ResetBeforeReply})
		if _, _, err := get("/"); err == nil {
			t.Error("no reset")
		}
		if status, _, err := get("/down"); status != 500 || err != nil {
			t.Errorf("%d %v", status, err)
		}
	}
	if all := server.Requests(); len(all) < 6 || all[0].Path != "/" || server.Connections() < 2 {
		t.Errorf("%d requests on %d connections", len(all), server.Connections())
	}
	for range maxRequests + 10 {
		get("/down")
	}
	if n := len(server.Requests()); n != maxRequests {
		t.Errorf("%d requests are remembered", n)
	}
}

// Close ends everything at once, whatever hangs.
func TestCloseEndsWhatHangs(t *testing.T) {
	server, err := NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range []Behaviour{{Fault: StallBeforeReply}, {Fault: Drip, Every: time.Hour}, {Delay: time.Hour}, {Fault: EndlessBody}} {
		path := fmt.Sprintf("/%d", i)
		server.SetPath(path, b)
		go func() {
			if resp, err := http.Get(server.URL() + path); err == nil {
				defer resp.Body.Close()
				buf := make([]byte, 1)
				for err == nil {
					time.Sleep(time.Millisecond)
					_, err = resp.Body.Read(buf)
				}
			}
		}()
	}
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	if err := server.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestCAIssues(t *testing.T) {
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca.PEM())) {
		t.Fatal("no certificate in PEM")
	}
	for _, tt := range []struct {
		name  string
		leaf  Leaf
		valid bool
	}{
		{"plain", Leaf{}, true},
		{"named", Leaf{Names: []string{"localhost", "127.0.0.1"}}, true},
		{"other", Leaf{Names: []string{"shop.example.com"}}, false},
		{"expired", ExpiringIn(-time.Hour, "127.0.0.1"), false},
		{"expiring", ExpiringIn(time.Hour, "127.0.0.1"), true},
		{"early", NotYetValid("127.0.0.1"), false},
		{"self-signed", Leaf{SelfSigned: true}, false},
		{"bare", Leaf{Bare: true}, false},
	} {
		cert, err := ca.Issue(tt.leaf)
		if err != nil {
			t.Fatal(err)
		}
		server, err := NewTLS(cert)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
		if (err == nil) != tt.valid {
			t.Errorf("%s: %v", tt.name, err)
		}
		if conn != nil {
			conn.Close()
		}
		server.Close()
	}
}

func TestDNSAnswers(t *testing.T) {
	server, err := NewDNS("example.test. 60 IN A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ask := func(network, name string) string {
		client := dns.Client{Net: network, Timeout: 5 * time.Second}
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), server.Addr())
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%s %d", dns.RcodeToString[reply.Rcode], len(reply.Answer))
	}
	for _, network := range []string{"udp", "tcp"} {
		if got := ask(network, "Example.test."); got != "NOERROR 1" {
			t.Errorf("%s: %s", network, got)
		}
		if got := ask(network, "other.test."); got != "NXDOMAIN 0" {
			t.Errorf("%s: %s", network, got)
		}
	}
	server.Set(DNSServfail, 0)
	if got := ask("udp", "example.test."); got != "SERVFAIL 0" {
		t.Error(got)
	}
	server.Set(DNSHealthy, 0)
	server.Remove("example.test")
	if got := ask("udp", "example.test."); got != "NXDOMAIN 0" {
		t.Error(got)
	}
	if server.Asked() != 6 {
		t.Errorf("asked %d times", server.Asked())
	}
	if err := server.Add("no record"); err == nil {
		t.Error("took nonsense for a record")
	}
}
