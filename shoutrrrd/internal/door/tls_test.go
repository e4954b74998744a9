package door

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority makes certificates, for the door and for its clients.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
	last int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{dir: t.TempDir(), key: key, pool: x509.NewCertPool(), last: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the test's authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	a.store(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) store(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(a.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue makes NAME.pem and NAME.key.
func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.last++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.store(t, name+".pem", "CERTIFICATE", der)
	a.store(t, name+".key", "PRIVATE KEY", raw)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// webConfig writes a file in the form of Prometheus.
func (a *authority) webConfig(t *testing.T, more string) string {
	t.Helper()
	path := filepath.Join(a.dir, "web.yml")
	text := "tls_server_config:\n  cert_file: door.pem\n  key_file: door.key\n" + more
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *authority) client(t *testing.T, http2 bool, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: a.pool, Certificates: certificates}, ForceAttemptHTTP2: http2, DisableKeepAlives: !http2,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// proto answers with the protocol's version.
var proto = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TLS comes from a file in Prometheus' form; HTTP/2 with TLS only, and a new
// certificate without a new start.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "door")
	s := start(t, Options{Handler: proto, WebConfig: a.webConfig(t, ""), MaxConnections: 10})
	url := "https://" + s.Addr().String()
	if got, err := get(t, a.client(t, false), url); got != "HTTP/1.1" {
		t.Errorf("HTTP/1.1 over TLS: %q, %v", got, err)
	}
	if got, err := get(t, a.client(t, true), url); got != "HTTP/2.0" {
		t.Errorf("HTTP/2 over TLS: %q, %v", got, err)
	}
	if got := first(talk(t, send(t, s.Addr().String(), ""), hidden)); got != http.StatusBadRequest {
		t.Errorf("plain HTTP at a TLS door: %d, want 400", got)
	}
	before := serial(t, a, s)
	a.issue(t, "door")
	if after := serial(t, a, s); after.Cmp(before) == 0 {
		t.Error("the old certificate is still shown")
	}
}

func serial(t *testing.T, a *authority, s *Server) *big.Int {
	t.Helper()
	c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{RootCAs: a.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].SerialNumber
}

func TestClientCertificates(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "door")
	s := start(t, Options{Handler: proto, WebConfig: a.webConfig(t, "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n")})
	url := "https://" + s.Addr().String()
	if got, err := get(t, a.client(t, false, a.issue(t, "ana")), url); got != "HTTP/1.1" {
		t.Errorf("with a certificate: %q, %v", got, err)
	}
	if got, err := get(t, a.client(t, false), url); err == nil {
		t.Errorf("without a certificate: %q, want none", got)
	}
	stranger := newAuthority(t)
	if got, err := get(t, a.client(t, false, stranger.issue(t, "eve")), url); err == nil {
		t.Errorf("with another authority's certificate: %q, want none", got)
	}
}

// A file that is wrong ends Serve with an error; the door is never plain instead.
func TestWrongWebConfig(t *testing.T) {
	a := newAuthority(t)
	for i, text := range []string{"tls_server_config:\n  cert_file: missing.pem\n  key_file: missing.key\n", "tls: yes\n", "{"} {
		path := filepath.Join(a.dir, fmt.Sprintf("%d.yml", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := New(l, Options{Handler: proto, WebConfig: path, Log: discard()})
		if err := s.Serve(); err == nil {
			t.Errorf("%q: Serve ended without an error", text)
		}
		_ = l.Close()
	}
}
