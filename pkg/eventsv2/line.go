package eventsv2

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// line is a TCP connection of a transport. It knows when something last came, and lets
// somebody wait for what is written next: net/http tells neither.
type line struct {
	net.Conn
	heard  atomic.Int64 // when something was last received, by [sinceStart]
	ended  chan struct{}
	ending sync.Once   // of ended
	given  atomic.Bool // up: by drop

	mu      sync.Mutex
	waiting []chan struct{} // closed at the end of the next write that begins
}

// dialLine makes the connections of a transport.
func dialLine(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l := &line{Conn: conn, ended: make(chan struct{})}
		l.heard.Store(int64(sinceStart()))
		return l, nil
	}
}

var started = time.Now()

// sinceStart is the time on a clock that nobody sets.
func sinceStart() time.Duration { return time.Since(started) }

// lineOf finds the connection below TLS, nil if it was not made by dialLine.
func lineOf(conn net.Conn) *line {
	for {
		switch c := conn.(type) {
		case *line:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard.Store(int64(sinceStart()))
	}
	if err != nil && l.given.Load() {
		err = ErrSilent // for the others that use it
	}
	return n, err
}

func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	n, err := l.Conn.Write(b)
	for _, written := range waiting {
		close(written)
	}
	return n, err
}

// nextWrite returns a channel that is closed when something has been written that was
// not being written before the call.
func (l *line) nextWrite() <-chan struct{} {
	written := make(chan struct{})
	l.mu.Lock()
	l.waiting = append(l.waiting, written)
	l.mu.Unlock()
	return written
}

func (l *line) Close() error {
	defer l.ending.Do(func() { close(l.ended) })
	return l.Conn.Close()
}

// drop closes the connection with a reset. A plain close would leave it to the kernel to
// send what it still holds, for a quarter of an hour, and a network that comes back then
// would bring an event to PagerDuty behind those that came after it.
func (l *line) drop() {
	l.given.Store(true)
	if tcp, ok := l.Conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // it is closed already then
	}
	_ = l.Close() // whoever uses it hears of it
}
