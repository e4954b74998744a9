package conformance

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// repository is the root of the module, seen from this package.
const repository = "../.."

// sandbox is an emulator that a sender reaches at any host name, and the machine's own state folder.
type sandbox struct {
	*pagerdutytest.Server
	proxy *pagerdutytest.Proxy
	ca    string // file of the certificate that signs for every host
	home  string
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	server := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	proxy, err := pagerdutytest.StartProxy(server.Emulator, pagerdutytest.ProxyOptions{Listen: "127.0.0.1:0", All: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	b := &sandbox{Server: server, proxy: proxy, home: t.TempDir()}
	b.ca = filepath.Join(b.home, "ca.pem")
	if err := os.WriteFile(b.ca, proxy.CA().CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// env is the whole environment of a program in the sandbox. The sandbox's CA is all that is trusted, so nothing leads outside.
func (b *sandbox) env(stateHome string) []string {
	return []string{
		"PATH=" + binaries + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + b.home,
		"XDG_STATE_HOME=" + stateHome,
		"HTTPS_PROXY=" + b.proxy.URL(),
		"SSL_CERT_FILE=" + b.ca,
		"SSL_CERT_DIR=" + filepath.Join(b.home, "none"),
	}
}

// client reaches the emulator at any host name from within the test.
func (b *sandbox) client(t *testing.T) *http.Client {
	t.Helper()
	proxyURL, err := url.Parse(b.proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b.proxy.CA().CertPEM()) {
		t.Fatal("the proxy's CA is no certificate")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = pool
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme == "https" {
			return proxyURL, nil
		}
		return nil, nil // the test server itself
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// since gives the requests that came after the first n.
func (b *sandbox) since(n int) []request {
	var requests []request
	for _, entry := range b.Journal()[n:] {
		requests = append(requests, request{entry.Method, entry.Path, entry.Header.Get("Content-Type"), entry.Target, entry.Body})
	}
	return requests
}

// wantNoLeak looks for each integration key of the URLs in the sinks.
func wantNoLeak(t *testing.T, urls []string, sinks ...keyleak.Sink) {
	t.Helper()
	for _, u := range urls {
		for _, key := range keysOf(u) {
			keyleak.Check(t, key, sinks...)
		}
	}
}

// keysOf gives what stands in the place of integration keys in a URL, valid or not, but for what is too short to tell anything.
func keysOf(serviceURL string) []string {
	_, rest, _ := strings.Cut(serviceURL, "://")
	rest, _, _ = strings.Cut(rest, "?")
	_, path, _ := strings.Cut(rest, "/")
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	var keys []string
	for key := range strings.SplitSeq(strings.Trim(path, "/"), ",") {
		if key = strings.TrimSpace(key); len(key) >= 8 {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestKeysOf(t *testing.T) {
	tests := []struct{ url, want string }{
		{"pagerduty:///0123456789abcdef0123456789abcdef?source=a/b", "0123456789abcdef0123456789abcdef"},
		{"pagerduty://h:1/11111111111111111111111111111111,2222222222?x=y", "11111111111111111111111111111111 2222222222"},
		{"pagerduty://h/eb243592faa24ba2a5511afdf565c889%20", "eb243592faa24ba2a5511afdf565c889"},
		{"pagerduty://[2001:db8::5]:8443/eb243592faa24ba2a5511afdf565c889/", "eb243592faa24ba2a5511afdf565c889"},
		{"pagerduty://h/", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(keysOf(tt.url), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
	}
}
