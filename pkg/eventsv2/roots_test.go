package eventsv2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
)

// testCA is a certificate authority made for one test.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	name string
}

func newCA(t *testing.T, name string) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &testCA{key: key, name: name}
	ca.cert = ca.root(t, time.Now().Add(time.Hour))
	return ca
}

// root signs a root certificate with the CA's key: several may stand for one CA.
func (ca *testCA) root(t *testing.T, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(until.Unix()),
		Subject:               pkix.Name{CommonName: ca.name},
		NotBefore:             time.Now().Add(-48 * time.Hour),
		NotAfter:              until,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return sign(t, template, template, ca.key, ca.key)
}

// issue signs a server certificate.
func (ca *testCA) issue(t *testing.T, host string, until time.Time) tls.Certificate {
	t.Helper()
	return ca.issueFrom(t, host, time.Now().Add(-48*time.Hour), until)
}

func (ca *testCA) issueFrom(t *testing.T, host string, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotBefore:    from,
		NotAfter:     until,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	cert := sign(t, template, ca.cert, key, ca.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func sign(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pemFile(t *testing.T, certs ...*x509.Certificate) string {
	t.Helper()
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tlsServer accepts every event whose body is as it should be, and counts.
type tlsServer struct {
	*httptest.Server
	requests, connections atomic.Int64
}

var rootsBody = testBody(300_000)

func newTLSServer(t *testing.T, cert tls.Certificate) *tlsServer {
	t.Helper()
	s := &tlsServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if body, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(body, rootsBody) {
			t.Errorf("got a body of %d bytes, %v", len(body), err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// clientOver returns a client that uses the transport as it would the shared one.
func clientOver(t *testing.T, lazy *lazyTransport, base string) *Client {
	t.Helper()
	t.Cleanup(lazy.CloseIdleConnections)
	c := &Client{BaseURL: base}
	c.once.Do(c.prepare)
	c.wire.lazy, c.wire.send = lazy, lazy.RoundTrip
	c.wire.trust.roots = []*x509.CertPool{lazy.pool, nil}
	return c
}

func lazyWith(files ...string) *lazyTransport {
	return newLazyTransport(func() []string { return files })
}

func TestBundleVerifies(t *testing.T) {
	ca := newCA(t, "in the bundle")
	s := newTLSServer(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)))
	lazy := lazyWith(filepath.Join(t.TempDir(), "absent"), pemFile(t, newCA(t, "another").cert, ca.cert))
	c := clientOver(t, lazy, s.URL)
	for range 3 {
		if _, err := c.Post(context.Background(), mustKey(t, testKey), rootsBody); err != nil {
			t.Fatal(err)
		}
	}
	if lazy.whole.Load() || s.connections.Load() != 1 {
		t.Errorf("all roots were read: %v, connections: %d", lazy.whole.Load(), s.connections.Load())
	}
}

// TestFirstRequestsShareTheBundle: those that come while it is being parsed wait
// for it, none verifies against a part of it.
func TestFirstRequestsShareTheBundle(t *testing.T) {
	ca := newCA(t, "the last one")
	s := newTLSServer(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)))
	certs := slices.Repeat([]*x509.Certificate{newCA(t, "another").cert}, 2000)
	file := pemFile(t, append(certs, ca.cert)...)
	var looked atomic.Int64
	lazy := newLazyTransport(func() []string { looked.Add(1); return []string{file} })
	c := clientOver(t, lazy, s.URL)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := c.Post(context.Background(), mustKey(t, testKey), rootsBody); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if lazy.whole.Load() || looked.Load() != 1 {
		t.Errorf("all roots were read: %v, the bundle was looked for %d times", lazy.whole.Load(), looked.Load())
	}
}

// TestVerificationIsNotWeakened: in none of these cases does a request leave, and
// only where more roots could change the verdict are they asked.
func TestVerificationIsNotWeakened(t *testing.T) {
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	ca, other := newCA(t, "trusted"), newCA(t, "not trusted")
	tests := []struct {
		name  string
		cert  tls.Certificate
		whole bool
		want  string
	}{
		{"unknown CA", other.issue(t, "127.0.0.1", later), true, "certificate signed by unknown authority"},
		{"CA of the same name", newCA(t, "trusted").issue(t, "127.0.0.1", later), true, "certificate signed by unknown authority"},
		{"wrong host", ca.issue(t, "events.pagerduty.com", later), false, "cannot validate certificate for 127.0.0.1"},
		{"expired", ca.issue(t, "127.0.0.1", before), false, "certificate has expired"},
		{"unknown CA and wrong host", other.issue(t, "events.pagerduty.com", later), false, "cannot validate certificate for 127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTLSServer(t, tt.cert)
			lazy := lazyWith(pemFile(t, ca.cert))
			c := clientOver(t, lazy, s.URL)
			for range 2 {
				_, err := c.Post(context.Background(), mustKey(t, testKey), rootsBody)
				var e *Error
				if !errors.As(err, &e) || e.Temporary() || e.Sent || !errors.Is(err, ErrUnreachable) {
					t.Fatalf("got %#v", err)
				}
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %q, want it to say %q", err, tt.want)
				}
			}
			if got := lazy.whole.Load(); got != tt.whole {
				t.Errorf("all roots were asked: %v, want %v", got, tt.whole)
			}
			if n := s.requests.Load(); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
			for _, transport := range []*http.Transport{lazy.bundle, lazy.system} {
				if transport.TLSClientConfig.InsecureSkipVerify {
					t.Error("InsecureSkipVerify is set")
				}
			}
		})
	}
}

// TestCertificateOfTheFuture: nothing is sent to a server whose certificate is not valid
// yet, but it may be later: the clock of a machine that boots is often behind.
func TestCertificateOfTheFuture(t *testing.T) {
	ca := newCA(t, "trusted")
	s := newTLSServer(t, ca.issueFrom(t, "127.0.0.1", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)))
	c := clientOver(t, lazyWith(pemFile(t, ca.cert)), s.URL)
	_, err := c.Post(context.Background(), mustKey(t, testKey), rootsBody)
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || e.Sent || errors.Is(err, ErrUnreachable) {
		t.Fatalf("got %#v", err)
	}
	if want := "cannot trust the certificate of " + s.Listener.Addr().String() + ": certificate is not valid yet (clock?): it is valid from "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want it to begin %q", err, want)
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestBundleThatIsNoBundle: all roots are asked at once, in the only handshake.
func TestBundleThatIsNoBundle(t *testing.T) {
	ca := newCA(t, "unknown to this machine")
	cert := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	empty, junk := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "junk")
	if err := errors.Join(
		os.WriteFile(empty, nil, 0o600),
		os.WriteFile(junk, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{
		"no candidates":                      nil,
		"absent":                             {filepath.Join(t.TempDir(), "absent")},
		"a folder":                           {t.TempDir()},
		"empty":                              {empty},
		"the first readable one is decisive": {empty, pemFile(t, ca.cert)},
		"junk":                               {junk},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTLSServer(t, cert)
			lazy := lazyWith(files...)
			_, err := clientOver(t, lazy, s.URL).Post(context.Background(), mustKey(t, testKey), rootsBody)
			if !isUntrusted(err) || !lazy.whole.Load() {
				t.Errorf("got %v, all roots asked: %v", err, lazy.whole.Load())
			}
			if n := s.connections.Load(); n != 1 {
				t.Errorf("got %d handshakes, want 1", n)
			}
		})
	}
}

// rootsTarget makes the test binary a program that posts twice through the shared
// transport: crypto/x509 reads SSL_CERT_FILE and SSL_CERT_DIR once in a process.
const rootsTarget = "EVENTSV2_TEST_ROOTS_TARGET"

func postAndTell(target string) int {
	key, _ := ParseKey(testKey)
	c := &Client{BaseURL: target}
	for range 2 {
		if _, err := c.Post(context.Background(), key, rootsBody); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Printf("accepted, all roots: %v\n", shared().whole.Load())
	return 0
}

func TestRootsOfTheFolder(t *testing.T) {
	if len(bundleFiles()) == 0 {
		prove.Missing(t, "a file of certificates (Windows and macOS have none: the system verifies by itself)")
	}
	ca, other := newCA(t, "in the folder"), newCA(t, "in the bundle")
	cert := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	expired := ca.root(t, time.Now().Add(-time.Hour))
	folder, nothing := filepath.Dir(pemFile(t, ca.cert)), t.TempDir()
	tests := []struct {
		name, file, dir string
		want            string
		connections     int64
	}{
		{"in the bundle", pemFile(t, ca.cert), nothing, "accepted, all roots: false", 1},
		{"only in the folder", pemFile(t, other.cert), folder, "accepted, all roots: true", 2},
		{"expired in the bundle, renewed in the folder", pemFile(t, expired), folder, "accepted, all roots: true", 2},
		{"no bundle", filepath.Join(nothing, "absent"), folder, "accepted, all roots: true", 1},
		{"in neither", pemFile(t, other.cert), nothing, "unknown authority", 2},
		{"expired in the bundle, in the folder not at all", pemFile(t, expired), nothing, "has expired", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTLSServer(t, cert)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), rootsTarget+"="+s.URL, "SSL_CERT_FILE="+tt.file, "SSL_CERT_DIR="+tt.dir,
				"GORACE=atexit_sleep_ms=0")
			out, _ := cmd.CombinedOutput()
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("got %q, want %q", out, tt.want)
			}
			if n := s.connections.Load(); n != tt.connections {
				t.Errorf("got %d handshakes, want %d", n, tt.connections)
			}
		})
	}
}

// TestFallbackNeedsTheBodyAnew: without GetBody the first verdict stands.
func TestFallbackNeedsTheBodyAnew(t *testing.T) {
	ca := newCA(t, "not trusted")
	s := newTLSServer(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)))
	lazy := lazyWith(pemFile(t, newCA(t, "trusted").cert))
	t.Cleanup(lazy.CloseIdleConnections)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		req, err := http.NewRequest(method, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Body = io.NopCloser(strings.NewReader("x"))
		}
		_, err = lazy.RoundTrip(req)
		if !isUntrusted(err) {
			t.Errorf("%s: got %v", method, err)
		}
		if got, want := lazy.whole.Load(), method == http.MethodGet; got != want {
			t.Errorf("%s: all roots asked: %v, want %v", method, got, want)
		}
	}
}

func TestBundleFiles(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", "/tmp/own.pem")
	if got := bundleFiles(); len(got) > 1 || len(got) == 1 && got[0] != "/tmp/own.pem" {
		t.Errorf("with SSL_CERT_FILE: got %v", got)
	}
	t.Setenv("GODEBUG", "x509usefallbackroots=1")
	if got := bundleFiles(); got != nil {
		t.Errorf("with other roots wanted: got %v", got)
	}
}
