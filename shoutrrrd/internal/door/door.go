// Package door is what both doors of the relay have in common: a server that no
// slow, greedy or devious client can hold up.
package door

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// Options says how a door is served.
type Options struct {
	Handler http.Handler
	// MaxConnections that are open at once; further ones wait in the kernel's queue.
	MaxConnections int
	// WebConfig is a file with TLS settings in the form of Prometheus'
	// exporter-toolkit; "" for plain HTTP.
	WebConfig string
	Log       *slog.Logger

	// Whole is the time for a request and for its answer, each. Defaults to 30 s.
	Whole time.Duration
	// Header is the time for a request's header. Defaults to 10 s.
	Header time.Duration
}

const (
	defaultWhole  = 30 * time.Second
	defaultHeader = 10 * time.Second
	idle          = 2 * time.Minute
	maxHeader     = 16 << 10
)

// Server serves a door.
type Server struct {
	http     *http.Server
	o        Options
	listener net.Listener
}

// New returns a server that does nothing until Serve.
func New(listener net.Listener, o Options) *Server {
	if o.Whole <= 0 {
		o.Whole = defaultWhole
	}
	if o.Header <= 0 {
		o.Header = defaultHeader
	}
	s := &Server{o: o, listener: limit(listener, o.MaxConnections)}
	s.http = &http.Server{
		Handler:           hygiene(o.Handler),
		ReadHeaderTimeout: o.Header,
		ReadTimeout:       o.Whole,
		WriteTimeout:      2 * o.Whole, // counted from the end of the header: reading may take half of it
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until Shutdown.
func (s *Server) Serve() error {
	var err error
	if s.o.WebConfig == "" {
		err = s.http.Serve(s.listener)
	} else {
		err = web.Serve(s.listener, s.http, &web.FlagConfig{WebConfigFile: &s.o.WebConfig}, s.o.Log)
	}
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

// Shutdown accepts nothing more and waits for the requests in hand.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

// limit keeps the number of open connections at most n.
func limit(l net.Listener, n int) net.Listener {
	if n <= 0 {
		return l
	}
	return &limited{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

// Accept waits for a free slot first, so that connections beyond the limit cost
// nothing but a place in the kernel's queue.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, release: func() { <-l.slots }}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *limitedConn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}
