package eventsv2

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// settling is how long after a request the last bytes of the connection's own
	// handshake may come (TLS tickets, HTTP/2 settings): a round trip. They say nothing
	// about the request.
	settling = time.Second

	// resetWithin is how long the reset of an HTTP/2 stream may take to be written. A
	// connection that takes no bytes for longer is closed.
	resetWithin = time.Second
)

// Twice returns two attempts to send the same alert event. The second one is for a
// caller who has waited for the answer to the first for seconds: it may be made while
// the first is in flight, and takes a connection that is made for it alone. If nothing
// has come by the connection of the first one since its request left, requests that
// begin from then on do not use that connection, nor any other one to this host that was
// there before. When the first attempt is cancelled then that connection is closed, and
// what else is on its way by it fails with [ErrSilent]. Neither attempt lasts longer than the Timeout from the beginning of the
// first.
//
// An attempt whose context is cancelled returns when its way is closed: its connection
// is reset, or, with HTTP/2 and a connection that lives, its stream. That is what this
// side can do. PagerDuty may have read the event before, and take it later.
//
// With an HTTP of the caller's that is not [SharedTransport] or an http.Client on it
// the second attempt goes the way that the HTTP chooses, and the end of a connection is
// not waited for.
func (c *Client) Twice(key Key, body []byte) (first, second func(context.Context) (Receipt, error)) {
	c.once.Do(c.prepare)
	p := &pair{c: c, key: key, body: body}
	return p.first, p.second
}

// pair is the two copies of one event.
type pair struct {
	c     *Client
	key   Key
	body  []byte
	began time.Time    // the first attempt
	by    *connections // of the first attempt; nil if the transport is not ours
	one   attempt
	other attempt
	// hedged says that the second attempt has begun, so the first has been waited for.
	hedged atomic.Bool
}

// attempt is one of the two.
type attempt struct {
	exchange
	at    atomic.Pointer[seat] // nil until there is a connection
	alone bool                 // nobody else uses its connections
}

// seat is an attempt's place on a connection.
type seat struct {
	line   *line
	since  time.Duration // when it was taken, by sinceStart
	shared bool          // HTTP/2: other requests may use the connection as well
}

// silent reports whether nothing has come by the connection that has to do with requests
// since the seat was taken.
func (s *seat) silent() bool {
	return s != nil && time.Duration(s.line.heard.Load()) <= s.since+settling
}

func (p *pair) first(ctx context.Context) (Receipt, error) {
	p.began = time.Now()
	send := p.c.wire.send
	if t := p.c.wire.lazy; t != nil && p.c.wire.err == nil {
		p.by = t.of(p.c.wire.enqueue.URL.Host)
		send = func(req *http.Request) (*http.Response, error) { return t.roundTrip(p.by, req) }
	}
	return p.send(ctx, &p.one, send)
}

func (p *pair) second(ctx context.Context) (Receipt, error) {
	p.hedged.Store(true)
	t := p.c.wire.lazy
	if t == nil || p.c.wire.err != nil {
		return p.send(ctx, &p.other, p.c.wire.send)
	}
	fresh := t.newConnections()
	if p.one.at.Load().silent() {
		p.other.alone = !t.renew(p.c.wire.enqueue.URL.Host, p.by, fresh)
	} else {
		p.other.alone = true
	}
	receipt, err := p.send(ctx, &p.other, func(req *http.Request) (*http.Response, error) { return t.roundTrip(fresh, req) })
	if p.other.alone {
		fresh.CloseIdleConnections()
		if at := p.other.at.Load(); at != nil {
			_ = at.line.Close() // HTTP/2 may still count its stream, and stay
		}
	}
	return receipt, err
}

// send makes one attempt. The request has a context of its own that ends after the
// caller's: net/http would close the connection at that one's end, but so that the
// kernel goes on to send what it holds.
func (p *pair) send(ctx context.Context, a *attempt, through func(*http.Request) (*http.Response, error)) (Receipt, error) {
	w := &p.c.wire
	if w.err != nil {
		return Receipt{}, &Error{Err: withoutKey(w.err, p.key)}
	}
	bounded, cancel := context.WithDeadline(ctx, p.began.Add(w.timeout))
	defer cancel()
	own, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	var reset <-chan struct{}
	left := make(chan struct{})
	leave := context.AfterFunc(bounded, func() {
		defer close(left)
		reset = p.leave(a)
		abort()
	})
	a.got = func(got httptrace.GotConnInfo) {
		if l := lineOf(got.Conn); l != nil {
			a.at.Store(&seat{line: l, since: sinceStart(), shared: speaksHTTP2(got)})
		}
	}
	resp, err := through(a.request(own, w, w.enqueue, p.body))
	if leave() { // from the head of an answer on net/http closes the connection well enough
		defer context.AfterFunc(bounded, abort)()
	} else {
		<-left
		a.awaitEnd(reset)
		if err != nil && bounded.Err() != nil {
			err = bounded.Err() // not the end of the request's own context
		}
	}
	return w.outcome(ctx, bounded, p.key, &a.exchange, resp, err)
}

func speaksHTTP2(got httptrace.GotConnInfo) bool {
	secure, ok := got.Conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// leave closes the way of an attempt whose answer is not wanted any more. An HTTP/2
// connection stays while it lives, for the others that use it: then leave returns a
// channel that is closed when something has been written by it from now on, as the reset
// of the stream is.
func (p *pair) leave(a *attempt) (reset <-chan struct{}) {
	at := a.at.Load()
	switch {
	case at == nil:
		return nil
	case !at.shared, a.alone, p.hedged.Load() && a == &p.one && at.silent():
		at.line.drop()
		return nil
	}
	return at.line.nextWrite()
}

// awaitEnd waits until the connection is closed or the stream is reset.
func (a *attempt) awaitEnd(reset <-chan struct{}) {
	at := a.at.Load()
	if at == nil {
		return // nothing has left, and nothing will
	}
	if !at.shared {
		at.line.drop() // it can have been given to the request after leave had looked
		return
	}
	if reset == nil {
		return
	}
	late := time.NewTimer(resetWithin)
	defer late.Stop()
	select {
	case <-reset:
	case <-at.line.ended:
	case <-late.C:
		at.line.drop()
	}
}
