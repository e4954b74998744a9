package eventsv2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hangingServer answers nothing on requests whose body has "hang" until their client
// leaves, or the test lets them go, and accepts all others.
type hangingServer struct {
	*testServer
	mu      sync.Mutex
	bodies  []string      // as they arrived
	from    []string      // the client's end of the connection of each
	arrived chan struct{} // has a value for each request
	left    chan string   // the bodies of those whose client has left
	release chan struct{} // closed when those go on that hang
	letGo   func()        // closes it
}

func newHangingServer(t *testing.T, proto string) (*hangingServer, *Client) {
	t.Helper()
	s := &hangingServer{arrived: make(chan struct{}, 100), left: make(chan string, 100), release: make(chan struct{})}
	s.letGo = sync.OnceFunc(func() { close(s.release) })
	s.testServer = &testServer{Server: httptest.NewUnstartedServer(http.HandlerFunc(s.serve)), open: map[net.Conn]bool{}}
	s.Config.ConnState = s.track
	t.Cleanup(func() { s.letGo(); s.Close() })
	lazy := lazyWith()
	if proto == "HTTP/1.1" {
		s.Start()
	} else {
		s.EnableHTTP2 = proto == "HTTP/2"
		s.StartTLS()
		lazy = lazyWith(pemFile(t, s.Certificate()))
	}
	return s, clientOver(t, lazy, s.URL)
}

func (s *hangingServer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	first := true
	for _, other := range s.bodies {
		first = first && other != string(body)
	}
	s.bodies, s.from = append(s.bodies, string(body)), append(s.from, r.RemoteAddr)
	s.mu.Unlock()
	s.arrived <- struct{}{}
	if strings.Contains(string(body), "hang") && first || strings.Contains(string(body), "for ever") {
		select {
		case <-r.Context().Done():
			s.left <- string(body)
			// A handler that returns has answered 200, and over TLS a client reads on
			// after it has said goodbye.
			panic(http.ErrAbortHandler)
		case <-s.release:
		}
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"success","dedup_key":"d"}`)
}

// has reports whether the server has so many connections.
func (s *hangingServer) has(n int) bool {
	s.testServer.mu.Lock()
	defer s.testServer.mu.Unlock()
	return len(s.open) == n
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came about that " + what)
		}
	}
}

type outcomeOf struct {
	receipt Receipt
	err     error
}

func begin(ctx context.Context, attempt func(context.Context) (Receipt, error)) chan outcomeOf {
	ended := make(chan outcomeOf, 1)
	go func() {
		receipt, err := attempt(ctx)
		ended <- outcomeOf{receipt, err}
	}()
	return ended
}

// The first attempt hangs by a connection that has carried others before. The second one
// is accepted by a new connection while it does, and what comes after that goes by the
// new one. The first one ends when its connection has.
func TestSecondAttemptTakesANewConnection(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/1.1 with TLS", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			s, c := newHangingServer(t, proto)
			key := mustKey(t, testKey)
			if _, err := c.Post(t.Context(), key, []byte("before")); err != nil {
				t.Fatal(err)
			}
			first, second := c.Twice(key, []byte("hang"))
			ctx, cancel := context.WithCancel(t.Context())
			one := begin(ctx, first)
			<-s.arrived
			<-s.arrived
			if receipt, err := second(t.Context()); err != nil || receipt.DedupKey != "d" {
				t.Fatal(receipt, err)
			}
			select {
			case got := <-one:
				t.Fatalf("the first attempt has ended: %+v", got)
			default:
			}
			cancel()
			got := <-one
			var failed *Error
			if !errors.As(got.err, &failed) || !errors.Is(failed, context.Canceled) || !failed.Sent {
				t.Errorf("the first attempt ended with %+v", got)
			}
			if body := <-s.left; body != "hang" {
				t.Errorf("%q was left", body)
			}
			if _, err := c.Post(t.Context(), key, []byte("after")); err != nil {
				t.Fatal(err)
			}
			if s.from[0] != s.from[1] || s.from[1] == s.from[2] || s.from[2] != s.from[3] {
				t.Errorf("the connections of %q: %q", s.bodies, s.from)
			}
			eventually(t, "the silent connection is closed and the other one is not", func() bool { return s.has(1) })
		})
	}
}

// With HTTP/2 a single request hangs on a connection that lives. Its stream is reset, and
// the others go on; the connection of the second attempt serves nobody else.
func TestLivingConnectionStays(t *testing.T) {
	s, c := newHangingServer(t, "HTTP/2")
	key := mustKey(t, testKey)
	if _, err := c.Post(t.Context(), key, []byte("before")); err != nil {
		t.Fatal(err)
	}
	other := begin(t.Context(), func(ctx context.Context) (Receipt, error) { return c.Post(ctx, key, []byte("hang, too")) })
	p := &pair{c: c, key: key, body: []byte("hang")}
	ctx, cancel := context.WithCancel(t.Context())
	one := begin(ctx, p.first)
	for range 3 {
		<-s.arrived
	}
	p.one.at.Load().line.heard.Store(int64(sinceStart() + time.Hour)) // something has come since then
	if _, err := p.second(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-one
	if body := <-s.left; body != "hang" {
		t.Errorf("%q was left", body)
	}
	s.letGo()
	if got := <-other; got.err != nil {
		t.Errorf("the other request of the connection: %v", got.err)
	}
	if _, err := c.Post(t.Context(), key, []byte("after")); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from[0] != s.from[1] || s.from[1] != s.from[2] || s.from[2] == s.from[3] || s.from[4] != s.from[0] {
		t.Errorf("the connections of %q: %q", s.bodies, s.from)
	}
	eventually(t, "the second attempt's connection is closed", func() bool { return s.has(1) })
}

// With HTTP/2 others may be on their way by a connection that is given up. They hear why.
func TestOthersOnASilentConnection(t *testing.T) {
	s, c := newHangingServer(t, "HTTP/2")
	key := mustKey(t, testKey)
	if _, err := c.Post(t.Context(), key, []byte("before")); err != nil {
		t.Fatal(err)
	}
	other := begin(t.Context(), func(ctx context.Context) (Receipt, error) { return c.Post(ctx, key, []byte("hang, too")) })
	ctx, cancel := context.WithCancel(t.Context())
	first, second := c.Twice(key, []byte("hang"))
	one := begin(ctx, first)
	for range 3 {
		<-s.arrived
	}
	if _, err := second(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if got := <-one; !errors.Is(got.err, context.Canceled) || errors.Is(got.err, ErrSilent) {
		t.Errorf("the first attempt ended with %v", got.err)
	}
	var failed *Error
	if got := <-other; !errors.As(got.err, &failed) || !errors.Is(failed, ErrSilent) || !failed.Sent || !failed.Temporary() {
		t.Errorf("the other request ended with %v", got.err)
	}
}

// Of two that hang both end with the time limit of the first, and their connections do.
func TestTwiceHasOneTimeLimit(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			s, c := newHangingServer(t, proto)
			c.wire.timeout = 500 * time.Millisecond
			first, second := c.Twice(mustKey(t, testKey), []byte("for ever"))
			began := time.Now()
			one := begin(t.Context(), first)
			<-s.arrived
			_, err := second(t.Context())
			for _, err := range []error{err, (<-one).err} {
				var failed *Error
				if !errors.As(err, &failed) || !errors.Is(failed, context.DeadlineExceeded) || !failed.Sent || !failed.Temporary() {
					t.Errorf("it ended with %v", err)
				}
			}
			if took := time.Since(began); took < c.wire.timeout {
				t.Errorf("they ended after %s", took)
			}
			eventually(t, "the connections are closed", func() bool {
				c.wire.lazy.CloseIdleConnections()
				return s.has(0)
			})
		})
	}
}

// The first attempt is answered after all. The second one's connection is closed when it
// is cancelled.
func TestSecondAttemptIsCancelled(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			s, c := newHangingServer(t, proto)
			first, second := c.Twice(mustKey(t, testKey), []byte("for ever"))
			one := begin(t.Context(), first)
			<-s.arrived
			ctx, cancel := context.WithCancel(t.Context())
			two := begin(ctx, second)
			<-s.arrived
			cancel()
			if got := <-two; !errors.Is(got.err, context.Canceled) {
				t.Errorf("the second attempt ended with %v", got.err)
			}
			if body := <-s.left; body != "for ever" {
				t.Errorf("%q was left", body)
			}
			s.letGo()
			if got := <-one; got.err != nil {
				t.Errorf("the first attempt ended with %v", got.err)
			}
		})
	}
}

// Nobody listens, so neither attempt has anything to close.
func TestTwiceWithoutAConnection(t *testing.T) {
	c := clientOver(t, lazyWith(), "http://127.0.0.1:9")
	first, second := c.Twice(mustKey(t, testKey), []byte("e"))
	for _, attempt := range []func(context.Context) (Receipt, error){first, second} {
		var failed *Error
		if _, err := attempt(t.Context()); !errors.As(err, &failed) || failed.Sent {
			t.Errorf("it ended with %v", err)
		}
	}
}

// A connection that takes no bytes any more is reset when it is closed, so that the
// kernel does not go on to bring them.
func TestDropResets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	conn, err := dialLine(new(net.Dialer).DialContext)(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	lineOf(conn).drop()
	<-lineOf(conn).ended
	if _, err := other.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other side has %v", err)
	}
}
