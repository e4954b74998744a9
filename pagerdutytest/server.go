package pagerdutytest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// TB is the part of testing.TB that this package needs; it does not link package
// testing into programs.
type TB interface {
	Helper()
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
}

// ServerOptions says where and how a server listens.
type ServerOptions struct {
	// Listen is the address. Defaults to a free port of 127.0.0.1.
	Listen string
	// TLS serves HTTPS, HTTP/2 included, with certificates of CA, or of a new CA
	// if that is nil.
	TLS bool
	CA  *Authority
	// Token is what every request has to bring: as a bearer, or as the password in the
	// URL. Defaults to none, so that every user of this machine may read and write.
	Token string
	// ErrorLog hears of connections that failed, such as those of clients that do
	// not trust the CA. Defaults to none.
	ErrorLog *log.Logger
}

// Server is an emulator with an address.
type Server struct {
	*Emulator
	service  *service
	listener *countingListener
	token    string     // "" admits everybody
	ca       *Authority // nil: plain HTTP
	caFile   string
	once     sync.Once
}

// StartServer serves an emulator until Close.
func StartServer(e *Emulator, o ServerOptions) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s := &Server{Emulator: e, token: o.Token}
	var config *tls.Config
	if o.TLS {
		var err error
		if config, err = s.prepareTLS(o.CA); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		s.removeCAFile()
		return nil, fmt.Errorf("start the emulator: %w", err)
	}
	s.listener = &countingListener{Listener: l}
	s.service = newService(s.admitted(e), e, config, o.ErrorLog, false)
	s.service.serve(s.listener)
	return s, nil
}

// prepareTLS makes the certificates and writes the CA where a client can read it.
func (s *Server) prepareTLS(ca *Authority) (*tls.Config, error) {
	var err error
	if ca == nil {
		if ca, err = NewAuthority(s.options.Now()); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "pagerdutytest-")
	if err != nil {
		return nil, fmt.Errorf("write the emulator's CA: %w", err)
	}
	s.ca, s.caFile = ca, filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(s.caFile, ca.CertPEM(), 0o600); err != nil {
		s.removeCAFile()
		return nil, fmt.Errorf("write the emulator's CA: %w", err)
	}
	return ca.config(), nil
}

func (s *Server) removeCAFile() {
	if s.caFile != "" {
		_ = os.RemoveAll(filepath.Dir(s.caFile)) // a leftover in the temporary folder harms nobody
	}
}

// NewServer serves a new emulator over plain HTTP on a free port of 127.0.0.1
// until the test ends. If the test has failed by then, the journal is logged.
func NewServer(t TB, opts ...Options) *Server {
	t.Helper()
	return startFor(t, ServerOptions{}, opts)
}

// NewTLSServer is [NewServer] over HTTPS with HTTP/2 and a CA of its own. Its
// certificates are good for 127.0.0.1, ::1, localhost and PagerDuty's hosts.
func NewTLSServer(t TB, opts ...Options) *Server {
	t.Helper()
	return startFor(t, ServerOptions{TLS: true}, opts)
}

func startFor(t TB, o ServerOptions, opts []Options) *Server {
	t.Helper()
	var options Options
	if len(opts) > 0 {
		options = opts[0]
	}
	s, err := StartServer(New(options), o)
	if err != nil {
		t.Fatalf("pagerdutytest: %v", err)
		return nil
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("%s", s.journalText())
		}
	})
	return s
}

// Addr returns the host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// admitted asks for the token, and refuses names that are not ours: a page whose name
// was made to point here has a browser that may know the token.
func (s *Server) admitted(next http.Handler) http.Handler {
	if s.token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.isCalledRight(r); err != nil {
			sandboxError(w, http.StatusForbidden, err)
			return
		}
		if !knowsToken(r.Header.Get("Authorization"), s.token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="sandbox"`)
			sandboxError(w, http.StatusUnauthorized, errors.New("this sandbox is for the program that runs in it: SHOUTRRR_SANDBOX and SHOUTRRR_SANDBOX_TOKEN have the token"))
			return
		}
		r.Header.Del("Authorization") // it is no part of an event
		next.ServeHTTP(w, r)
	})
}

// TokenURL returns the base URL with the token in it: it is a secret. Without a token it
// is the same as URL.
func (s *Server) TokenURL() string {
	scheme, rest, _ := strings.Cut(s.URL(), "://")
	return scheme + "://" + userInfo(s.token) + rest
}

// URL returns the base URL, without a slash at its end.
func (s *Server) URL() string {
	if s.ca != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// ServiceURL returns the URL by which shoutrrr sends to this server.
func (s *Server) ServiceURL(key string) string {
	u := "pagerduty://" + s.Addr() + "/" + key
	if s.ca == nil {
		u += "?disabletls=yes"
	}
	return u
}

// CAFile returns the path of a PEM file with the CA, which Close removes; it is
// empty for plain HTTP.
func (s *Server) CAFile() string { return s.caFile }

// CertPool returns a pool that holds the CA alone; it is nil for plain HTTP.
func (s *Server) CertPool() *x509.CertPool {
	if s.ca == nil {
		return nil
	}
	return s.ca.Pool()
}

// Connections returns the number of TCP connections accepted so far.
func (s *Server) Connections() int { return int(s.listener.accepted.Load()) }

// Close ends all connections, also those that hang, and waits for them.
func (s *Server) Close() {
	s.once.Do(func() {
		s.service.close()
		s.removeCAFile()
	})
}

// journalText is the journal for people.
func (e *Emulator) journalText() string {
	entries := e.Journal()
	if len(entries) == 0 {
		return "pagerdutytest: no request came"
	}
	lines := make([]string, len(entries))
	for i, x := range entries {
		lines[i] = x.String()
	}
	return "pagerdutytest: requests in order of arrival:\n" + strings.Join(lines, "\n")
}

// redact takes every key that was seen out of a text.
func (e *Emulator) redact(s string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys.redact(s)
}

type countingListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}
