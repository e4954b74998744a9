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
// over TLS 1.2 or later, honours HTTPS_PROXY and NO_PROXY, refuses to send an http URL
// to a proxy ([ProxyFromEnvironment]), and reads no more of the system's CA certificates than it needs, at its first TLS
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
	*connections // of every host that has no own ones in renewed

	files    func() []string
	pool     *x509.CertPool         // empty, which verifies nothing, until load has filled it
	sessions tls.ClientSessionCache // of all connections, so that a new one is made in one round trip less
	start    sync.Once
	whole    atomic.Bool // the bundle was not enough, or there is none

	renewing sync.Mutex // of renewed, which is copied for each change
	// renewed has the connections of hosts that were silent once, by host and port.
	renewed atomic.Pointer[map[string]*connections]
}

// connections are what requests share, and each of them goes by one way or the other.
type connections struct {
	bundle *http.Transport // RootCAs is the transport's pool
	system *http.Transport // RootCAs is nil: the system's verifier
}

func newLazyTransport(files func() []string) *lazyTransport {
	t := &lazyTransport{files: files, pool: x509.NewCertPool(), sessions: tls.NewLRUClientSessionCache(32)}
	t.connections = t.newConnections()
	return t
}

// newConnections returns a set with nothing in it.
func (t *lazyTransport) newConnections() *connections {
	return &connections{bundle: newTransport(t.pool, t.sessions), system: newTransport(nil, t.sessions)}
}

// CloseIdleConnections closes the connections that no request uses.
func (c *connections) CloseIdleConnections() {
	c.bundle.CloseIdleConnections()
	c.system.CloseIdleConnections()
}

// of returns the connections to a host.
func (t *lazyTransport) of(host string) *connections {
	if renewed := t.renewed.Load(); renewed != nil {
		if c := (*renewed)[host]; c != nil {
			return c
		}
	}
	return t.connections
}

// renew has requests to a host use other connections from now on, unless that has been
// done since somebody got the ones that are silent. Those that were idle among them may
// have died with them, when a NAT or a host has forgotten all.
func (t *lazyTransport) renew(host string, silent, fresh *connections) bool {
	t.renewing.Lock()
	defer t.renewing.Unlock()
	if t.of(host) != silent {
		return false
	}
	all := map[string]*connections{host: fresh}
	if renewed := t.renewed.Load(); renewed != nil {
		for other, c := range *renewed {
			if other != host {
				all[other] = c
			}
		}
	}
	t.renewed.Store(&all)
	if silent != t.connections { // which other hosts use
		silent.CloseIdleConnections()
	}
	return true
}

// newTransport does not start from http.DefaultTransport: a program may have
// changed that, TLS verification included.
func newTransport(roots *x509.CertPool, sessions tls.ClientSessionCache) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  ProxyFromEnvironment,
		OnProxyConnectResponse: checkTunnel,
		DialContext:            dialLine(dialer.DialContext),
		ForceAttemptHTTP2:      true,
		// A connection that has died in silence (a NAT forgot it, a host is gone) is
		// found out within an attempt, not at its end.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            roots,
			ClientSessionCache: sessions,
		},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        512,
		// A relay has up to 256 attempts in flight. With fewer idle connections than that
		// each answer over HTTP/1.1 would close one that the next attempt opens anew.
		MaxIdleConnsPerHost:    256,
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

// RoundTrip performs one exchange.
func (t *lazyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(t.of(req.URL.Host), req)
}

// roundTrip performs one exchange over some of these connections. A request whose
// handshake failed has not been sent, so it can go the second way.
func (t *lazyTransport) roundTrip(c *connections, req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" { // the others go to no proxy, which could have a certificate
		t.start.Do(t.load)
	}
	if t.whole.Load() {
		return c.system.RoundTrip(req)
	}
	resp, err := c.bundle.RoundTrip(req)
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
	c.bundle.CloseIdleConnections()
	return c.system.RoundTrip(again)
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
	t.connections.CloseIdleConnections()
	if renewed := t.renewed.Load(); renewed != nil {
		for _, c := range *renewed {
			c.CloseIdleConnections()
		}
	}
}

// load reads the bundle. It does so before the connection is made: parsing beside
// the handshake was tried and gained nothing that could be measured.
func (t *lazyTransport) load() {
	if !t.pool.AppendCertsFromPEM(readBundle(t.files())) {
		t.whole.Store(true)
	}
}
