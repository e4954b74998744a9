package door

import (
	"container/list"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections keeps the number of connections that are served within its bound.
// While it is reached one more is held and nothing else accepted, so that further
// ones cost nothing but a place in the kernel's queue; the one that has been idle
// for longest makes room.
type connections struct {
	net.Listener
	slots   chan struct{} // nil: no bound
	done    chan struct{}
	closing sync.Once
	answer  time.Duration // for a client to take an answer
	tls     bool          // what comes may be TLS, which nobody can read along
	open    atomic.Int64
	waiting atomic.Bool // somebody waits to be accepted

	mu   sync.Mutex
	idle *list.List // of *conn, the longest idle first
}

func newConnections(l net.Listener, most int, answer time.Duration, tls bool) *connections {
	c := &connections{Listener: l, done: make(chan struct{}), answer: answer, tls: tls, idle: list.New()}
	if most > 0 {
		c.slots = make(chan struct{}, most)
	}
	return c
}

// Accept takes a connection and waits for a free place for it.
func (c *connections) Accept() (net.Conn, error) {
	raw, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := c.take(); err != nil {
		_ = raw.Close() // nobody has been answered
		return nil, err
	}
	c.open.Add(1)
	return &conn{Conn: raw, of: c}, nil
}

func (c *connections) take() error {
	if c.slots == nil {
		return nil
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	c.closeOldest()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-c.done:
		return net.ErrClosed
	}
}

func (c *connections) free() {
	if c.slots != nil {
		<-c.slots
	}
}

// Close ends accepting.
func (c *connections) Close() error {
	c.closing.Do(func() { close(c.done) })
	return c.Listener.Close()
}

// closeOldest closes the connection that has been idle for longest.
func (c *connections) closeOldest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.idle.Front(); e != nil; e = c.idle.Front() {
		oldest := c.idle.Remove(e).(*conn)
		oldest.place = nil
		if oldest.use.CompareAndSwap(isIdle, isDoomed) { // else a request has just come
			_ = oldest.Conn.Close() // its reader gives the place back
			return
		}
	}
}

// changed follows the states of connections, as http.Server.ConnState.
func (c *connections) changed(nc net.Conn, state http.ConnState) {
	for {
		wrapped, ok := nc.(interface{ NetConn() net.Conn }) // of TLS
		if !ok {
			break
		}
		nc = wrapped.NetConn()
	}
	own, ok := nc.(*conn)
	if !ok {
		return
	}
	c.mu.Lock()
	if own.place != nil {
		c.idle.Remove(own.place)
		own.place = nil
	}
	switch {
	case state == http.StateIdle && own.use.CompareAndSwap(isBusy, isIdle):
		own.place = c.idle.PushBack(own)
	case state == http.StateActive: // net/http had a pipelined request already
		own.use.CompareAndSwap(isIdle, isBusy)
	}
	c.mu.Unlock()
	if state == http.StateIdle && c.waiting.Load() {
		c.closeOldest()
	}
}

// What a connection is used for. The first byte of a request makes an idle one
// busy: net/http says so only when it has read the head.
const (
	isBusy int32 = iota
	isIdle
	isDoomed // makes room for another one
)

// conn is a connection that holds a place.
type conn struct {
	net.Conn
	of        *connections
	closing   sync.Once
	place     *list.Element // among the idle ones
	use       atomic.Int32
	framing   framing
	broken    atomic.Bool // framing has failed
	known     bool        // whether it is TLS
	isTLS     bool
	answering atomic.Bool
}

// Read passes on what is clear.
func (c *conn) Read(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errFraming
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	if c.use.Load() != isBusy && !c.use.CompareAndSwap(isIdle, isBusy) {
		return 0, net.ErrClosed
	}
	c.answering.Store(false)
	if !c.known {
		c.known = true
		c.isTLS = c.of.tls && p[0] == 0x16 // a handshake; no request begins with it
	}
	if c.isTLS {
		return n, err
	}
	clear, broken := c.framing.scan(p[:n])
	if broken != nil {
		c.broken.Store(true)
		return clear, broken
	}
	return n, err
}

// Write gives the client a bounded time for an answer, from its first byte on. A
// bound for each write would let it take a long answer in sips.
func (c *conn) Write(p []byte) (int, error) {
	if !c.answering.Swap(true) {
		if err := c.SetWriteDeadline(time.Now().Add(c.of.answer)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// Close gives the place back.
func (c *conn) Close() error {
	var err error
	c.closing.Do(func() {
		if c.broken.Load() {
			c.linger()
		}
		err = c.Conn.Close()
		c.of.open.Add(-1)
		c.of.free()
	})
	return err
}

const (
	lingerFor   = 500 * time.Millisecond // as net/http does where it refuses by itself
	lingerBytes = 256 << 10
)

// linger lets the client read why it was refused. If a connection is closed while
// there is something to read, the kernel throws the answer away.
func (c *conn) linger() {
	if c.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerFor)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // whatever it is
}

// CloseWrite ends what is sent; net/http looks for it.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
