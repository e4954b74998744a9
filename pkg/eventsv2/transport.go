package eventsv2

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

var shared = sync.OnceValue(func() *lazyTransport { return newLazyTransport(bundleFiles) })

// SharedTransport returns the transport of every [Client] without an HTTP of its
// own, so that all of them share its connections. It speaks HTTP/1.1 and HTTP/2
// over TLS 1.2 or later, honours HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and reads
// no more of the system's CA certificates than it needs, at its first TLS
// request. What it trusts is what any Go program on this machine trusts.
//
// Requests with a body need GetBody, which http.NewRequest sets. It implements
// CloseIdleConnections, as http.Client expects.
func SharedTransport() http.RoundTripper { return shared() }

// lazyTransport verifies servers against the system's bundle file, and only if
// that does not verify one, against all of the system's roots. Reading the
// folders of single certificates that crypto/x509 reads besides the bundle takes
// more than half of the time of a program that sends one event: the bundle of
// 144 certificates takes 1.5 ms, all roots take 20 ms, and nearly always hold the
// same.
//
// The bundle is a part of the system's roots. So what is verified against it would
// be verified against all, and what is not is decided by all: verification is the
// one of crypto/x509, neither weaker nor stricter.
type lazyTransport struct {
	files  func() []string
	pool   *x509.CertPool  // empty, which verifies nothing, until load has filled it
	bundle *http.Transport // RootCAs is pool
	system *http.Transport // RootCAs is nil: the system's verifier
	start  sync.Once
	whole  atomic.Bool // the bundle was not enough, or there is none
}

func newLazyTransport(files func() []string) *lazyTransport {
	pool := x509.NewCertPool()
	return &lazyTransport{files: files, pool: pool, bundle: newTransport(pool), system: newTransport(nil)}
}

// newTransport does not start from http.DefaultTransport: a program may have
// changed that, TLS verification included.
func newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: checkTunnel,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		// A connection that has died in silence (a NAT forgot it, a host is gone) is
		// found out within an attempt, not at its end.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(32),
		},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // answers have some hundred bytes
	}
}

// checkTunnel keeps the status of a proxy that refuses; net/http would return its
// text only.
func checkTunnel(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{proxy.Host, resp.StatusCode}
}

// RoundTrip performs one exchange. A request whose handshake failed has not been
// sent, so it can go the second way.
func (t *lazyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if needsRoots(req) {
		t.start.Do(t.load)
	}
	if t.whole.Load() {
		return t.system.RoundTrip(req)
	}
	resp, err := t.bundle.RoundTrip(req)
	if err == nil || !moreRootsMayHelp(err) {
		return resp, err
	}
	again := req.WithContext(req.Context())
	if again.Body, err = bodyAgain(req, err); err != nil {
		return nil, err
	}
	// From here on all go the second way: the roots are read now, and a host that
	// needs them costs one handshake instead of two.
	t.whole.Store(true)
	t.bundle.CloseIdleConnections()
	return t.system.RoundTrip(again)
}

// bodyAgain returns the body of a request anew, or cause if that cannot be done.
func bodyAgain(req *http.Request, cause error) (io.ReadCloser, error) {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return req.Body, nil
	case req.GetBody == nil:
		return nil, cause
	}
	return req.GetBody()
}

// CloseIdleConnections closes the connections that no request uses.
func (t *lazyTransport) CloseIdleConnections() {
	t.bundle.CloseIdleConnections()
	t.system.CloseIdleConnections()
}

// needsRoots reports whether a request will verify a certificate, its proxy's
// perhaps.
func needsRoots(req *http.Request) bool {
	if req.URL.Scheme == "https" {
		return true
	}
	proxy, err := http.ProxyFromEnvironment(req)
	return err == nil && proxy != nil && proxy.Scheme == "https"
}

// load reads the bundle. It does so before the connection is made: parsing beside
// the handshake was tried and gained nothing that could be measured.
func (t *lazyTransport) load() {
	if !t.pool.AppendCertsFromPEM(readBundle(t.files())) {
		t.whole.Store(true)
	}
}
