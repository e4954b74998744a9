// Package door is what both doors of the relay have in common: a server that no
// slow, greedy or devious client can hold up, and who may come in.
package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// Options says how a door is served.
type Options struct {
	Handler http.Handler
	// MaxConnections that are open at once; further ones wait in the kernel's queue.
	// 0 is for no bound.
	MaxConnections int
	// WebConfig is a file with TLS settings in the form of Prometheus'
	// exporter-toolkit; "" for plain HTTP.
	WebConfig string
	Log       *slog.Logger

	// Whole is the time for a request and for its answer, each. Defaults to 30 s.
	Whole time.Duration
	// Header is the time for a request's header. Defaults to 10 s.
	Header time.Duration
	// Idle is the time between two requests. Defaults to 2 min.
	Idle time.Duration
}

const (
	defaultWhole  = 30 * time.Second
	defaultHeader = 10 * time.Second
	defaultIdle   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// Server serves a door.
type Server struct {
	http        *http.Server
	o           Options
	connections *connections
}

// New returns a server that does nothing until Serve.
func New(listener net.Listener, o Options) *Server {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&o.Whole, defaultWhole}, {&o.Header, defaultHeader}, {&o.Idle, defaultIdle}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	s := &Server{o: o, connections: newConnections(listener, o.MaxConnections, o.Whole, o.WebConfig != "")}
	s.http = &http.Server{
		Handler:           hygiene(o.Handler),
		ReadHeaderTimeout: o.Header,
		ReadTimeout:       o.Whole,
		// From the end of the header, so that there is Whole for the body and as much
		// for the handler and the answer; conn bounds the answer itself.
		WriteTimeout:   2 * o.Whole,
		IdleTimeout:    o.Idle,
		MaxHeaderBytes: maxHeader,
		ConnState:      s.connections.changed,
		// It would answer OPTIONS * before the handler sees it.
		DisableGeneralOptionsHandler: true,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: 100, SendPingTimeout: o.Whole, PingTimeout: o.Header, WriteByteTimeout: o.Whole},
		ErrorLog:                     log.New(serverLog{o.Log}, "", 0),
	}
	return s
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.connections.Addr() }

// Connections returns how many connections are open.
func (s *Server) Connections() int { return int(s.connections.open.Load()) }

// Serve answers until Shutdown.
func (s *Server) Serve() error {
	var err error
	if s.o.WebConfig == "" {
		err = s.http.Serve(s.connections)
	} else {
		err = web.Serve(s.connections, s.http, &web.FlagConfig{WebConfigFile: &s.o.WebConfig}, s.o.Log)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown accepts nothing more and waits for the requests in hand. Those that
// have not ended with the context are cut, and it returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = s.http.Close() // they are cut already
	return fmt.Errorf("requests in hand were cut: %w", err)
}

// serverLog takes what net/http has to say: of clients that misbehave, which is
// for those who look for it, and of handlers that have panicked.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(p, []byte("panic")) {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, strings.TrimSpace(string(p)))
	return len(p), nil
}
