// Package door is what both listeners of the relay have in common: a server that no
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

// Options says how a listener is served.
type Options struct {
	Handler http.Handler
	// MaxConnections that are open at once. For a further one, one that is idle or
	// whose request is incomplete makes room. 0 is for no bound.
	MaxConnections int
	// MaxRequestsPerClient that are in hand at once for one address beyond loopback,
	// or one IPv6 network of 64 bits. Further ones wait. 0 is for no bound.
	MaxRequestsPerClient int
	// Reserved are paths that are answered however many requests are in hand.
	Reserved []string
	// Busy answers a request that has waited for its turn for too long. It has
	// Retry-After already. Defaults to a 503 in JSON.
	Busy http.HandlerFunc
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

	// maxStreams of HTTP/2 on one connection. Events are small and answered within
	// milliseconds; a client that needs more opens another connection.
	maxStreams = 16

	// maxFrame of HTTP/2 is what a connection's reader keeps a buffer for: the least
	// that net/http takes.
	maxFrame = 16 << 10

	// connectionWindow is what all streams of a connection may have sent that no
	// handler has read: the least that net/http takes.
	connectionWindow = 64 << 10

	// StreamWindow is what one stream may have sent that its handler has not read.
	// It is memory that a request holds beside its body.
	StreamWindow = 32 << 10
)

// Server serves a listener.
type Server struct {
	http        *http.Server
	o           Options
	connections *connections
	requests    requests
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
	if o.Busy == nil {
		o.Busy = busyAnswer
	}
	s := &Server{o: o, connections: newConnections(listener, o.MaxConnections, o.Whole), requests: newRequests(o)}
	s.http = &http.Server{
		Handler:           hygiene(s.admitted(o.Handler)),
		ReadHeaderTimeout: o.Header,
		ReadTimeout:       o.Whole,
		// From the end of the header, so that there is Whole for the body and as much
		// for the handler and the answer; conn bounds the answer itself.
		WriteTimeout:   2 * o.Whole,
		IdleTimeout:    o.Idle,
		MaxHeaderBytes: maxHeader,
		ConnState:      s.connections.changed,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			own := unwrap(nc)
			if own == nil {
				return ctx
			}
			return context.WithValue(own.within(ctx), connKey{}, own)
		},
		// It would answer OPTIONS * before the handler sees it.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: connectionWindow, MaxReceiveBufferPerStream: StreamWindow, MaxReadFrameSize: maxFrame,
			SendPingTimeout: o.Whole, PingTimeout: o.Header, WriteByteTimeout: o.Whole,
		},
		ErrorLog: log.New(serverLog{o.Log}, "", 0),
	}
	return s
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.connections.Addr() }

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	return s.connections.open + s.connections.cut
}

// Cut returns how many connections have made room for others: those that were idle,
// and those whose request was incomplete.
func (s *Server) Cut() (idle, incomplete int64) {
	return s.connections.cutIdle.Load(), s.connections.cutHalf.Load()
}

func busyAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"error":"too many requests are in hand; try again in 5 s"}`)) // a client that has left needs no answer
}

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
