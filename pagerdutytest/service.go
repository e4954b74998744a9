package pagerdutytest

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// connection is what a request may know of the TCP connection that it came on.
type connection struct {
	number      int
	target      string // of the CONNECT
	intercepted bool   // meant for PagerDuty's host, not for ours
}

type connectionKey struct{}

func connectionOf(ctx context.Context) connection {
	c, _ := ctx.Value(connectionKey{}).(connection)
	return c
}

// innermost unwraps a connection down to the one of the operating system.
func innermost(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// service is an http.Server that can be closed without a goroutine left behind.
type service struct {
	http    *http.Server
	serving sync.WaitGroup
	open    sync.WaitGroup // connections
}

// newService serves h, with TLS if there is a configuration for it. Each
// connection gets its number from e.
func newService(h http.Handler, e *Emulator, config *tls.Config, failures *log.Logger, intercepted bool) *service {
	if failures == nil {
		failures = log.New(io.Discard, "", 0)
	}
	s := &service{}
	s.http = &http.Server{
		Handler:           h,
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          failures,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, connection{
				number: int(e.conns.Add(1)), target: targetOfTunnel(c), intercepted: intercepted,
			})
		},
		ConnState: s.count,
	}
	return s
}

func (s *service) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Done()
	}
}

// serve answers on l until close. Its error is the one that close causes.
func (s *service) serve(l net.Listener) {
	if s.http.TLSConfig != nil {
		// Not ServeTLS: it links the reading of key files, 0.1 MB that nobody uses.
		l = tls.NewListener(l, s.http.TLSConfig)
	}
	s.serving.Go(func() { _ = s.http.Serve(l) })
}

// close ends all connections, which ends the contexts of their requests, and
// waits until they have ended. Only when nobody accepts any more can their number
// not grow.
func (s *service) close() {
	_ = s.http.Close() // an error says that a connection was closed already
	s.serving.Wait()
	_ = s.http.Close() // those that were accepted meanwhile
	s.open.Wait()
}
