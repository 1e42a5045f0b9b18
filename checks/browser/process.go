package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// running is one Chromium.
type running struct {
	ctx     context.Context // chromedp's
	cancels []context.CancelFunc
	cmd     *exec.Cmd
	dir     string
}

// folderPrefix begins the names of the folders that loads have, before the
// number of our process.
const folderPrefix = "nines-browser-"

// flags are how Chromium is started, beyond what depends on the load: without
// a screen, without errands of its own, and with no way past the proxy.
var flags = map[string]any{
	"headless":                               true,
	"no-first-run":                           true,
	"no-default-browser-check":               true,
	"disable-background-networking":          true,
	"disable-background-timer-throttling":    true,
	"disable-backgrounding-occluded-windows": true,
	"disable-renderer-backgrounding":         true,
	"disable-breakpad":                       true,
	"disable-crash-reporter":                 true,
	"disable-client-side-phishing-detection": true,
	"disable-component-update":               true,
	"disable-default-apps":                   true,
	"disable-dev-shm-usage":                  true,
	"disable-domain-reliability":             true,
	"disable-extensions":                     true,
	"disable-gpu":                            true,
	"disable-sync":                           true,
	"disable-search-engine-choice-screen":    true,
	"metrics-recording-only":                 true,
	"no-pings":                               true,
	"mute-audio":                             true,
	"hide-scrollbars":                        true,
	"password-store":                         "basic",
	"disable-quic":                           true,
	"force-webrtc-ip-handling-policy":        "disable_non_proxied_udp",
	"webrtc-ip-handling-policy":              "disable_non_proxied_udp",
	"proxy-bypass-list":                      "<-loopback>",
	"host-resolver-rules":                    "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
	"disable-features":                       "Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,CertificateTransparencyComponentUpdater,AutofillServerCommunication,PrivacySandboxSettings4,NetworkTimeServiceQuerying,Prerender2",
	"disable-hang-monitor":                   true,
	"disable-prompt-on-repost":               true,
	"disable-blink-features":                 "WebTransport",
	"dns-prefetch-disable":                   true,
	"disable-field-trial-config":             true,
	"deny-permission-prompts":                true,
	"force-color-profile":                    "srgb",
	"disable-notifications":                  true,
	"noerrdialogs":                           true,
}

// errands are where Chromium would go by itself. A name that cannot exist
// (RFC 6761) takes their place, which the relay refuses without a word.
var errands = []string{
	"gaia-url", "lso-url", "google-apis-url", "oauth-account-manager-url", "variations-server-url",
	"variations-insecure-server-url", "gcm-checkin-url", "gcm-registration-url", "optimization-guide-service-get-hints-url",
}

const errandHost = "errand.invalid"

// start starts Chromium and connects to it.
func start(ctx context.Context, c Config, through *relay) (*running, error) {
	dir, err := os.MkdirTemp("", folderPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, err
	}
	r := &running{dir: dir}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(c.Program),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.ProxyServer("http://" + through.addr()),
		chromedp.NoInheritEnv,
		chromedp.Env("PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", "HOME="+dir, "TMPDIR="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_RUNTIME_DIR="+dir),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = apart()
			cmd.Dir = dir
			r.cmd = cmd
		}),
	}
	for name, value := range flags {
		options = append(options, chromedp.Flag(name, value))
	}
	for _, name := range errands {
		options = append(options, chromedp.Flag(name, "https://"+errandHost+"/"))
	}
	if c.Insecure {
		options = append(options, chromedp.IgnoreCertErrors)
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	r.cancels = append(r.cancels, cancel)
	r.ctx, cancel = chromedp.NewContext(ctx)
	r.cancels = append(r.cancels, cancel)
	if err := chromedp.Do(r.ctx); err != nil { // nothing yet, which starts it
		r.end()
		return nil, fmt.Errorf("starting %s: %w", c.Program, err)
	}
	return r, nil
}

// end ends Chromium, with every process of its group, and removes its folder.
func (r *running) end() {
	if r.cmd != nil && r.cmd.Process != nil {
		syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	}
	for i := len(r.cancels) - 1; i >= 0; i-- {
		r.cancels[i]()
	}
	// A process that was still writing may have made a file meanwhile.
	for range 50 {
		if os.RemoveAll(r.dir) == nil {
			if _, err := os.Lstat(r.dir); os.IsNotExist(err) {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// sweep removes the folders of programs that were killed.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*-*"))
	for _, dir := range left {
		digits, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folderPrefix), "-")
		pid, err := strconv.Atoi(digits)
		if err == nil && pid > 0 && syscall.Kill(pid, 0) == syscall.ESRCH {
			os.RemoveAll(dir)
		}
	}
}
