package door

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// patience is how long a request waits for its turn before it is turned away. A
// client that gets no answer for much longer than this gives up.
const patience = 5 * time.Second

// leastLocal requests of this machine's programs may be in hand on a listener with
// few places: streams of HTTP/2, of which each costs some 10 KiB while it waits.
const leastLocal = 1024

// requests bounds what is in hand. Its fields are nil without a bound.
type requests struct {
	ofClient *share.Pool // requests of one client, from the end of the head to the answer
	whole    *share.Pool // whole requests of all clients: the connections that cannot make room
}

// newRequests returns the bounds of a listener with so many places.
func newRequests(o Options) requests {
	var r requests
	if o.MaxConnections <= 0 {
		return r
	}
	places := int64(o.MaxConnections)
	// An eighth of the places is never held by a request in hand, so that a new
	// connection always finds one that can make room for it, and what is reserved
	// is answered. One client, as a proxy is, leaves an eighth of the rest to others.
	held := max(1, places-max(1, places/8))
	r.whole = share.NewPool(held, func(share.Client) int64 { return held - held/8 }, o.MaxConnections)
	if o.MaxRequestsPerClient > 0 {
		// This machine's programs, a proxy among them, may have as many in hand as there
		// are places, and over HTTP/2 some more than that. Other clients may have as many
		// together.
		most, local := int64(o.MaxRequestsPerClient), max(places, leastLocal)
		r.ofClient = share.NewPool(2*local, func(c share.Client) int64 {
			if c.IsLoopback() {
				return local
			}
			return most
		}, o.MaxRequestsPerClient)
	}
	return r
}

// admitted has a request wait until it may be taken in hand, and keeps its
// connection from being cut as soon as it is whole.
func (s *Server) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, _ := r.Context().Value(connKey{}).(*conn)
		if own == nil {
			next.ServeHTTP(w, r)
			return
		}
		in := &inHand{own: own}
		if !slices.Contains(s.o.Reserved, r.URL.Path) {
			in.bounds = s.requests
		}
		defer func() { in.end(r, w.Header()) }()
		if err := in.begin(); err != nil {
			s.busy(w, r)
			return
		}
		arriving := r.ContentLength != 0
		r = r.WithContext(context.WithValue(r.Context(), inHandKey{}, in)) // a copy: net/http needs its own body where it put it
		if arriving {
			r.Body = &wholeness{r.Body, in}
		} else if err := in.arrived(); errors.Is(err, errCut) {
			panic(http.ErrAbortHandler)
		} else if err != nil {
			s.busy(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type (
	connKey   struct{} // of a *conn in a context
	inHandKey struct{} // of an *inHand
)

// busy turns a request away.
func (s *Server) busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Connection", "close")
	s.o.Busy(w, r)
}

// inHand is a request with what it has of the bounds. Its handler uses it, and no
// other goroutine.
type inHand struct {
	own       *conn
	bounds    requests
	counted   bool  // it is one of bounds.ofClient
	whole     bool  // it is one of bounds.whole
	protected bool  // its connection cannot be cut
	wrong     error // why it could not be taken in hand when it had come whole
}

var errCut = errors.New("the connection was cut to make room")

// begin waits until its client may have one more.
func (in *inHand) begin() error {
	if in.bounds.ofClient == nil {
		return nil
	}
	if err := in.bounds.ofClient.Take(in.own.left.Done(), in.own.client, 1, patience); err != nil {
		return err
	}
	in.counted = true
	return nil
}

// arrived waits until one more whole request may be in hand.
func (in *inHand) arrived() error {
	if in.protected || in.wrong != nil {
		return in.wrong
	}
	if in.bounds.whole != nil {
		if in.wrong = in.bounds.whole.Take(in.own.left.Done(), in.own.client, 1, patience); in.wrong != nil {
			return in.wrong
		}
		in.whole = true
	}
	if in.protected = in.own.protect(); !in.protected {
		in.wrong = errCut
	}
	return in.wrong
}

// yield gives everything back before the request ends.
func (in *inHand) yield() {
	if in.counted {
		in.bounds.ofClient.Give(in.own.client, 1)
	}
	if in.whole {
		in.bounds.whole.Give(in.own.client, 1)
	}
	if in.protected {
		in.own.expose()
	}
	in.counted, in.whole, in.protected = false, false, false
}

// end gives back what the request has. Over HTTP/1.1 its connection stays protected
// until net/http has sent the answer and reports that it is idle.
func (in *inHand) end(r *http.Request, answer http.Header) {
	if r.ProtoMajor == 1 && !r.Close && !strings.EqualFold(answer.Get("Connection"), "close") {
		in.protected = false
	}
	in.yield()
}

// wholeness is a body that returns io.EOF only when its request may be taken in hand.
type wholeness struct {
	io.ReadCloser
	in *inHand
}

// Read reads the body.
func (b *wholeness) Read(p []byte) (int, error) {
	if b.in.wrong != nil {
		return 0, b.in.wrong
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		if wrong := b.in.arrived(); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}
