package agreement

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/checks/checkstest"
	"nines/internal/peer"
)

// site is one server of nginx, with what its certificate and its settings have
// that others have not.
type site struct {
	name     string
	leaf     checkstest.Leaf
	stranger bool     // issued by an authority that nobody trusts
	extra    bool     // one more certificate is served, which has expired and vouches for nothing
	openssl  []string // how openssl makes the certificate, in the place of leaf
	config   string   // beside listen, names and certificate

	module string         // of blackbox_exporter for a page of the site; default http
	kind   map[string]any // options beside url or address and ca
	code   int            // openssl's verify return code
	http   checks.Reason
	tls    checks.Reason // of the kind tls; default as http
	// or is a reason that says more than http and tls do, for a check that looks
	// closer, and orDiffers what then differs.
	or        checks.Reason
	orDiffers string
	// differs says what of the page differs, and why; handshakes what of the
	// handshake does. They begin with the figure.
	differs, handshakes string
}

// Codes that openssl verifies with (openssl-verification-options(1), x509_vfy.h).
const (
	codeOK           = 0
	codeNotYetValid  = 9
	codeExpired      = 10
	codeSelfSigned   = 18
	codeNoIssuer     = 20 // of a certificate in the chain, locally
	codeNoFirst      = 21 // of the first certificate
	codeWrongName    = 62
	codeAddressWrong = 64
	codeKeyTooSmall  = 66
	codeDigestWeak   = 68
)

func sites() []site {
	day := 24 * time.Hour
	return []site{
		{name: "good"},
		{name: "expired-extra", extra: true},
		{name: "expires-soon", leaf: checkstest.ExpiringIn(10 * day), tls: checks.TLSExpiresSoon},
		{name: "expired", leaf: checkstest.ExpiringIn(-day), code: codeExpired, http: checks.TLSExpired},
		{name: "not-yet-valid", leaf: checkstest.NotYetValid(), code: codeNotYetValid, http: checks.TLSNotYetValid},
		{name: "wrong-name", leaf: checkstest.Leaf{Names: []string{"other.example.com"}}, code: codeAddressWrong, http: checks.TLSWrongName},
		{name: "wrong-address", leaf: checkstest.Leaf{Names: []string{"127.0.0.9"}}, code: codeAddressWrong, http: checks.TLSWrongName},
		{name: "self-signed", leaf: checkstest.Leaf{SelfSigned: true}, code: codeSelfSigned, http: checks.TLSSelfSigned},
		{name: "untrusted", stranger: true, code: codeNoIssuer, http: checks.TLSUntrusted},
		{name: "no-intermediate", leaf: checkstest.Leaf{Bare: true}, code: codeNoFirst, http: checks.TLSUntrusted, or: checks.TLSIncomplete},
		{name: "tls-1-2", config: "ssl_protocols TLSv1.2;"},
		{name: "tls-1-3", config: "ssl_protocols TLSv1.3;"},
		{name: "tls-1-1", config: "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;", code: -1, http: checks.TLSHandshake,
			or: checks.TLSWeak, orDiffers: "success: blackbox_exporter cannot shake hands; to us it works, and is weak"},
		{name: "rsa-1024", openssl: []string{"-newkey", "rsa:1024", "-sha256"}, config: "ssl_ciphers ALL:@SECLEVEL=0;",
			code: codeKeyTooSmall, or: checks.TLSWeak},
		{name: "sha-1", openssl: []string{"-newkey", "rsa:2048", "-sha1"}, config: "ssl_ciphers ALL:@SECLEVEL=0;",
			code: codeDigestWeak, http: checks.TLSUntrusted, or: checks.TLSWeak},
		{name: "redirects", config: "location = / { return 301 /end; } location = /end { return 200 'the end'; }"},
		{name: "packed", config: "gzip on; gzip_min_length 1; gzip_types *; gzip_proxied any;", module: "http_gzip"},
		{name: "missing", config: "location = / { return 404; }", http: checks.HTTPStatus, tls: "-"},
		{name: "broken", config: "location = / { return 500; }", http: checks.HTTPStatus, tls: "-"},
		{name: "cut", config: "location = / { return 444; }", http: checks.HTTPReset, tls: "-"},
		{name: "insecure", stranger: true, code: codeNoIssuer, module: "http_insecure", kind: map[string]any{"insecure": true}, tls: "-"},
	}
}

// served is nginx with all sites, by their name.
type served struct {
	openssl, ca string
	addrs       map[string]string
}

func serve(t testing.TB) *served {
	t.Helper()
	nginx, dir := peer.Program(t, "nginx"), t.TempDir()
	s := &served{openssl: peer.Program(t, "openssl"), addrs: map[string]string{}}
	ca, stranger := must(checkstest.NewCA())(t), must(checkstest.NewCA())(t)
	weak := weakAuthority(t, s.openssl, dir)
	s.ca = fileOf(t, "ca.pem", ca.PEM()+weak.pem)
	var blocks strings.Builder
	all := sites()
	addrs := freeAddresses(t, len(all))
	for i, site := range all {
		path := filepath.Join(dir, site.name)
		if site.openssl != nil {
			weak.issue(t, path, site.openssl)
		} else {
			issuer := ca
			if site.stranger {
				issuer = stranger
			}
			cert := must(issuer.Issue(site.leaf))(t)
			if site.extra {
				cert.Certificate = append(cert.Certificate, must(ca.Issue(checkstest.ExpiringIn(-time.Hour)))(t).Certificate[0])
			}
			write(t, path, cert)
		}
		s.addrs[site.name] = addrs[i]
		fmt.Fprintf(&blocks, "server { listen %s ssl http2; ssl_certificate %s.pem; ssl_certificate_key %[2]s.key; root %s; %s }\n", addrs[i], path, dir, site.config)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<h1>Welcome</h1>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	conf := filepath.Join(dir, "nginx.conf")
	main := fmt.Sprintf("daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr crit;\nevents {}\nhttp {\naccess_log off;\nssl_protocols TLSv1.2 TLSv1.3;\n%s%s}\n", dir, temp.String(), blocks.String())
	if err := os.WriteFile(conf, []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, s.addrs["good"], nginx, "-c", conf, "-p", dir, "-e", "stderr")
	return s
}

// write puts a certificate with its chain, and its key, beside each other.
func write(t testing.TB, path string, cert tls.Certificate) {
	t.Helper()
	var chain []byte
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey))(t)})
	for ext, text := range map[string][]byte{".pem": chain, ".key": key} {
		if err := os.WriteFile(path+ext, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// authority is one that openssl makes and issues with, since Go signs nothing
// weak.
type authority struct{ openssl, path, pem string }

func weakAuthority(t testing.TB, openssl, dir string) *authority {
	t.Helper()
	a := &authority{openssl: openssl, path: filepath.Join(dir, "weak")}
	a.run(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=Weak Root",
		"-addext", "keyUsage=critical,keyCertSign", "-keyout", a.path+".key", "-out", a.path+".pem")
	a.pem = string(must(os.ReadFile(a.path + ".pem"))(t))
	return a
}

func (a *authority) run(t testing.TB, args ...string) {
	t.Helper()
	if said, err := exec.Command(a.openssl, args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, said)
	}
}

// issue makes a certificate with the key and the digest that how names.
func (a *authority) issue(t testing.TB, path string, how []string) {
	t.Helper()
	digest := how[len(how)-1]
	a.run(t, append([]string{"req", "-new", "-nodes", "-subj", "/CN=localhost", "-keyout", path + ".key", "-out", path + ".csr"}, how...)...)
	extensions := fileOf(t, "extensions", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
	a.run(t, "x509", "-req", "-in", path+".csr", "-CA", a.path+".pem", "-CAkey", a.path+".key", "-CAcreateserial",
		"-days", "20", digest, "-extfile", extensions, "-out", path+".pem")
}

// verified is what openssl says of a handshake: the code that it verified with,
// -1 when no handshake came about, the version, and when the certificate ends.
type verified struct {
	code    int
	text    string
	version string
	ends    time.Time
}

func (s *served) verify(t testing.TB, addr string) verified {
	t.Helper()
	client := exec.Command(s.openssl, "s_client", "-connect", addr, "-CAfile", s.ca, "-verify_ip", "127.0.0.1", "-showcerts")
	client.Stdin = strings.NewReader("")
	said, _ := client.CombinedOutput() // it ends badly when the handshake does
	v := verified{code: -1}
	if found := regexp.MustCompile(`Verify return code: (\d+) \(([^)]*)\)`).FindSubmatch(said); found != nil {
		fmt.Sscan(string(found[1]), &v.code)
		v.text = string(found[2])
	}
	if found := regexp.MustCompile(`(?m)^New, (TLSv[0-9.]+), Cipher is (\S+)`).FindSubmatch(said); found != nil {
		v.version = strings.Replace(string(found[1]), "v", " ", 1)
	} else {
		v.code = -1
	}
	leaf := exec.Command(s.openssl, "x509", "-noout", "-enddate")
	leaf.Stdin = strings.NewReader(string(said))
	if text, err := leaf.Output(); err == nil {
		v.ends, err = time.Parse("Jan _2 15:04:05 2006 MST", strings.TrimPrefix(strings.TrimSpace(string(text)), "notAfter="))
		if err != nil {
			t.Errorf("openssl's date %q: %v", text, err)
		}
	}
	return v
}

// reasons are ours for openssl's codes.
var reasons = map[int]checks.Reason{
	codeOK: "", codeExpired: checks.TLSExpired, codeNotYetValid: checks.TLSNotYetValid, codeSelfSigned: checks.TLSSelfSigned,
	codeNoIssuer: checks.TLSUntrusted, codeNoFirst: checks.TLSUntrusted, codeWrongName: checks.TLSWrongName, codeAddressWrong: checks.TLSWrongName,
	codeDigestWeak: checks.TLSUntrusted, -1: checks.TLSHandshake,
}

// agree is agree, for either of the site's reasons.
func (s *site) agree(t *testing.T, r checks.Result, m metrics, reason checks.Reason, differs string) {
	t.Helper()
	if s.or != "" && r.Reason == s.or {
		reason, differs = s.or, s.orDiffers
	}
	agree(t, r, m, reason, differs)
}

func TestNginx(t *testing.T) {
	t.Parallel()
	s := serve(t)
	theirs := newBlackbox(t, s.ca)
	ca := string(must(os.ReadFile(s.ca))(t))
	for _, site := range sites() {
		addr := s.addrs[site.name]
		t.Run(site.name, func(t *testing.T) {
			if site.module == "" {
				site.module = "http"
			}
			options := map[string]any{"url": "https://" + addr + "/", "ca": ca}
			for name, value := range site.kind {
				options[name] = value
			}
			page := check(t, "http", options, 5*time.Second)
			measured := theirs.probe(t, site.module, "https://"+addr+"/")
			site.agree(t, page, measured, site.http, site.differs)
			// Of what is served the earliest end counts for one of their figures,
			// whatever it vouches for; ours is the other, of the last chain that
			// leads to a root. Without superfluous certificates they are one.
			earliest, last := measured.value("probe_ssl_earliest_cert_expiry"), measured.value("probe_ssl_last_chain_expiry_timestamp_seconds")
			if works(page) && site.kind["insecure"] == nil && (earliest != last) != site.extra {
				t.Errorf("the earliest end is %.0f, that of the last chain %.0f", earliest, last)
			}

			v := s.verify(t, addr)
			if v.code != site.code {
				t.Errorf("openssl: %d (%s), want %d", v.code, v.text, site.code)
			}
			if site.tls == "-" {
				return
			}
			reason := site.tls
			if reason == "" {
				reason = site.http
			}
			shaken := check(t, "tls", map[string]any{"address": addr, "ca": ca}, 5*time.Second)
			site.agree(t, shaken, theirs.probe(t, "tls", addr), reason, site.handshakes)
			if want, known := reasons[v.code]; known && reason != checks.TLSExpiresSoon && shaken.Reason != want && shaken.Reason != site.or {
				t.Errorf("openssl says %d (%s), and we say %q", v.code, v.text, shaken.Reason)
			}
			if v.code >= 0 && (shaken.Facts["tls_version"] != v.version || shaken.Facts["cert_expires"] != v.ends.Format(time.RFC3339)) {
				t.Errorf("openssl: %s until %v; ours: %v", v.version, v.ends, shaken.Facts)
			}
		})
	}
}
