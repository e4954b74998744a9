package door

import (
	"container/heap"
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// connections keeps the number of open connections within its bound, and accepts
// all the same: the connection that is least worth keeping makes room. That is one
// of the client with the most connections on which no whole request is in hand: the
// one that has been idle for longest, then the one whose request has been incomplete
// for longest. A connection with a whole request in hand is never cut. If there is
// no other, one more is held and nothing else accepted, so that further ones cost
// nothing but a place in the kernel's queue.
type connections struct {
	net.Listener
	most   int           // open at once; 0 for no bound
	answer time.Duration // for a client to take an answer
	done   chan struct{} // closed by Close
	room   chan struct{} // holds one if something has changed that Accept may wait for

	closing sync.Once
	cutIdle atomic.Int64 // connections that made room while they were idle
	cutHalf atomic.Int64 // and while their request was incomplete

	mu      sync.Mutex // guards what follows, and the state of each conn
	open    int        // connections that have a place
	cut     int        // connections that have made room and are not closed yet
	clients map[share.Client]*holding
	ranked  ranking
}

const (
	// grace is the time that a client has to send its first request before its
	// connection can make room. Without it a burst of honest clients beyond the bound
	// would cut each other before the relay could read what they have sent, and so would
	// one that is far away (TLS takes two round trips) or lacks processor time. It lets
	// 4,096 places take 10,000 new connections a second, as many as a client can open.
	grace = 400 * time.Millisecond

	// unread is that time for a connection of which the relay has read nothing yet, as it
	// lacks processor time: its request may have come. After a first read the other counts.
	unread = time.Second

	// A quarter of the bound may be on its way out while others come in: it takes the
	// goroutine of a connection a moment to close it, more so in a flood.
	slackShare = 4
)

func newConnections(l net.Listener, most int, answer time.Duration) *connections {
	return &connections{
		Listener: l, most: most, answer: answer, done: make(chan struct{}), room: make(chan struct{}, 1), clients: map[share.Client]*holding{},
	}
}

// Accept takes a connection and makes room for it.
func (c *connections) Accept() (net.Conn, error) {
	raw, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		own, wait := c.place(raw)
		if own != nil {
			return own, nil
		}
		var later <-chan time.Time // nil: only a change helps
		if wait > 0 {
			later = time.After(wait)
		}
		select {
		case <-c.room:
		case <-later:
		case <-c.done:
			_ = raw.Close() // no request of it has been read
			return nil, net.ErrClosed
		}
	}
}

// place gives a new connection a place, that of another one if there is no other.
// If there is none to be had it returns nil, and after which time to ask again; 0 if
// time alone will not help.
func (c *connections) place(raw net.Conn) (*conn, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.most > 0 {
		if c.cut > c.most/slackShare {
			return nil, 0
		}
		if c.open >= c.most {
			victim, wait := c.worst(now)
			if victim == nil {
				return nil, wait
			}
			c.evict(victim)
		}
	}
	c.open++
	own := &conn{Conn: raw, of: c, client: share.ClientOf(raw.RemoteAddr().String())}
	own.left, own.leave = context.WithCancel(context.Background())
	held := c.clients[own.client]
	if held == nil {
		held = &holding{at: -1}
		c.clients[own.client] = held
	}
	held.open++
	c.file(own, isHalf, now)
	return own, 0
}

// worst returns the connection that is least worth keeping, else in which time there
// will be one.
func (c *connections) worst(now time.Time) (*conn, time.Duration) {
	if len(c.ranked) == 0 {
		return nil, 0
	}
	candidate := c.ranked[0].oldest()
	if candidate.use == isHalf {
		moment := unread
		if candidate.begun {
			moment = grace
		}
		if age := now.Sub(candidate.since); age < moment {
			return nil, min(grace, moment-age)
		}
	}
	return candidate, 0
}

// evict cuts a connection. Its place is free at once.
func (c *connections) evict(victim *conn) {
	if victim.use == isIdle {
		c.cutIdle.Add(1)
	} else {
		c.cutHalf.Add(1)
		if tcp, ok := victim.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // thousands of them would fill the kernel's table of those that wait
		}
	}
	c.file(victim, isDoomed, time.Time{})
	c.open--
	c.cut++
	victim.leave()
	_ = victim.Conn.Close() // net/http finds it closed, and closes the conn
}

// file puts a connection where its new use belongs.
func (c *connections) file(own *conn, use usage, now time.Time) {
	held := c.clients[own.client]
	if own.place != nil {
		held.of(own.use).Remove(own.place)
		own.place = nil
	}
	own.use = use
	if use == isIdle || use == isHalf {
		own.since = now
		own.place = held.of(use).PushBack(own)
	}
	switch size := held.size(); {
	case size > 0 && held.at < 0:
		heap.Push(&c.ranked, held)
	case size > 0:
		heap.Fix(&c.ranked, held.at)
	case held.at >= 0:
		heap.Remove(&c.ranked, held.at)
	}
	if use == isDoomed {
		if held.open--; held.open == 0 {
			delete(c.clients, own.client)
		}
	}
	c.changedRoom()
}

// changedRoom wakes Accept, if it waits.
func (c *connections) changedRoom() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// Close ends accepting.
func (c *connections) Close() error {
	c.closing.Do(func() { close(c.done) })
	return c.Listener.Close()
}

// changed follows the states of connections, as http.Server.ConnState.
func (c *connections) changed(nc net.Conn, state http.ConnState) {
	own := unwrap(nc)
	if own == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case own.use == isDoomed:
	case state == http.StateIdle:
		own.whole = 0
		c.file(own, isIdle, time.Now())
	case state == http.StateActive && own.use == isIdle: // net/http had a pipelined request already
		c.file(own, isHalf, time.Now())
	}
}

// unwrap returns the conn within what net/http has, nil if there is none.
func unwrap(nc net.Conn) *conn {
	for {
		wrapped, ok := nc.(interface{ NetConn() net.Conn }) // of TLS
		if !ok {
			break
		}
		nc = wrapped.NetConn()
	}
	own, _ := nc.(*conn)
	return own
}

// usage is what a connection is used for.
type usage uint8

const (
	isHalf   usage = iota // a request is expected or incomplete, or waits for its turn
	isIdle                // between two requests
	isWhole               // a whole request is in hand
	isDoomed              // it has made room for another one
)

// holding is what one client has open, and what of it may be cut.
type holding struct {
	open       int       // its connections, those with a whole request in hand too
	idle, half list.List // of *conn, the oldest first
	at         int       // its index in the ranking, -1 if it is not there
}

func (h *holding) of(use usage) *list.List {
	if use == isIdle {
		return &h.idle
	}
	return &h.half
}

func (h *holding) size() int { return h.idle.Len() + h.half.Len() }

func (h *holding) oldest() *conn {
	first := h.idle.Front()
	if first == nil {
		first = h.half.Front()
	}
	return first.Value.(*conn)
}

// ranking is a heap of those who have something to lose: the client with the most
// connections first, then one that has an idle connection, then the oldest.
type ranking []*holding

func (r ranking) Len() int { return len(r) }

func (r ranking) Less(i, j int) bool {
	a, b := r[i], r[j]
	if a.size() != b.size() {
		return a.size() > b.size()
	}
	if idle := a.idle.Len() > 0; idle != (b.idle.Len() > 0) {
		return idle
	}
	return a.oldest().since.Before(b.oldest().since)
}

func (r ranking) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].at, r[j].at = i, j
}

// Push is for container/heap.
func (r *ranking) Push(x any) {
	held := x.(*holding)
	held.at = len(*r)
	*r = append(*r, held)
}

// Pop is for container/heap.
func (r *ranking) Pop() any {
	last := len(*r) - 1
	held := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	held.at = -1
	return held
}

// conn is a connection that holds a place.
type conn struct {
	net.Conn
	of        *connections
	client    share.Client
	closing   sync.Once
	answering atomic.Bool        // something of an answer has been written since the last read
	left      context.Context    // ends when the connection is cut or closed
	leave     context.CancelFunc // ends it

	// These are guarded by connections.mu.
	use   usage
	since time.Time     // that use has been what it is
	begun bool          // the relay has begun to read it
	place *list.Element // in its client's holding, nil if it cannot make room
	whole int           // whole requests in hand; over HTTP/2 there are several
}

// within returns a context that ends when the connection is cut or closed: a request
// that waits then waits for nothing.
func (c *conn) within(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(c.left, cancel)
	return ctx
}

// Read notices the first byte of a request. net/http reports it only when it has
// read the head.
func (c *conn) Read(p []byte) (int, error) {
	c.begin()
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	c.answering.Store(false)
	c.of.mu.Lock()
	if c.use == isIdle {
		c.of.file(c, isHalf, time.Now())
	}
	c.of.mu.Unlock()
	return n, err
}

// begin notices that the relay reads the connection: its client's moment begins now.
func (c *conn) begin() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.begun {
		return
	}
	c.begun = true
	if c.use == isHalf {
		c.of.file(c, isHalf, time.Now())
	}
}

// protect keeps the connection from being cut until a whole request has been
// answered. It returns false if it has been cut already.
func (c *conn) protect() bool {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.use == isDoomed {
		return false
	}
	c.whole++
	c.of.file(c, isWhole, time.Time{})
	return true
}

// expose ends the protection of one request, for a connection that net/http does not
// report as idle after it: one of HTTP/2, and one that is to be closed. For half a
// second more net/http holds the latter open, for its client to read the answer.
func (c *conn) expose() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.use == isWhole && c.whole > 0 { // else it is idle since
		if c.whole--; c.whole == 0 {
			c.of.file(c, isHalf, time.Now())
		}
	}
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
		err = c.Conn.Close()
		c.leave()
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		if c.use == isDoomed {
			c.of.cut--
			c.of.changedRoom()
			return
		}
		c.of.open--
		c.of.file(c, isDoomed, time.Time{})
	})
	return err
}

// CloseWrite ends what is sent; net/http looks for it.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
