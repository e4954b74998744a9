package eventsv2

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testKey mixes its cases, as servers change them.
const testKey = "0123456789abcdef0123456789ABCDEF"

// testServer counts the connections it accepts and can cut those that are open.
type testServer struct {
	*httptest.Server
	accepted atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]bool
}

func (s *testServer) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.accepted.Add(1)
		s.open[conn] = true
	case http.StateClosed:
		delete(s.open, conn)
	}
}

func (s *testServer) cutConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		if tcp, ok := underlying(conn).(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

func underlying(conn net.Conn) net.Conn {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return wrapped.NetConn()
	}
	return conn
}

// newServer starts a plain server, or with TLS one that speaks HTTP/2 as well.
func newServer(t *testing.T, withTLS bool, handler http.HandlerFunc) *testServer {
	t.Helper()
	s := &testServer{Server: httptest.NewUnstartedServer(handler), open: map[net.Conn]bool{}}
	s.Config.ConnState = s.track
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if withTLS {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// newClient returns a client for the server; its connections end with the test.
func newClient(t *testing.T, s *testServer) *Client {
	t.Helper()
	hc := s.Client()
	t.Cleanup(hc.CloseIdleConnections)
	return &Client{BaseURL: s.URL, HTTP: hc}
}

func answerWith(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// protocols runs a test over HTTP/1.1 and over TLS with HTTP/2.
func protocols(t *testing.T, run func(t *testing.T, withTLS bool, proto string)) {
	t.Run("HTTP/1.1", func(t *testing.T) { run(t, false, "HTTP/1.1") })
	t.Run("HTTP/2", func(t *testing.T) { run(t, true, "HTTP/2.0") })
}

// checkNoKey fails when text holds the key, or a long piece of it, in any case.
func checkNoKey(t testing.TB, what, text string) {
	t.Helper()
	lower, secret := strings.ToLower(text), strings.ToLower(testKey)
	for i := 0; i+16 <= len(secret); i++ {
		if strings.Contains(lower, secret[i:i+16]) {
			t.Errorf("%s holds the key: %q", what, text)
			return
		}
	}
}
