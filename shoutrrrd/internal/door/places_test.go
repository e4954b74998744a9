package door

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// from is a connection of another address than it really has.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.address))
}

// dialFrom opens a connection from an address.
func (p *pipes) dialFrom(address string) net.Conn {
	client, server := net.Pipe()
	p.conns <- from{server, address}
	return client
}

// bench serves a listener in memory, by the clock of the test's bubble.
type bench struct {
	t        *testing.T
	listener *pipes
	server   *Server
	ended    chan error
	clients  sync.WaitGroup
	conns    []net.Conn
}

func newBench(t *testing.T, o Options) *bench {
	o.Log = discard()
	b := &bench{t: t, listener: newPipes(), ended: make(chan error, 1)}
	b.server = New(b.listener, o)
	go func() { b.ended <- b.server.Serve() }()
	return b
}

// end closes what the clients have left open.
func (b *bench) end() {
	for _, c := range b.conns {
		_ = c.Close()
	}
	if err := b.server.Shutdown(context.Background()); err != nil {
		b.t.Errorf("Shutdown: %v", err)
	}
	if err := <-b.ended; err != nil {
		b.t.Errorf("Serve: %v", err)
	}
	b.clients.Wait()
}

// client is a connection, and what has been read from it.
type client struct {
	net.Conn
	mu     sync.Mutex
	answer string
	closed bool
}

// open opens a connection and sends a text.
func (b *bench) open(address, text string) *client {
	c := &client{Conn: b.listener.dialFrom(address)}
	b.conns = append(b.conns, c.Conn)
	b.clients.Go(func() {
		for r := bufio.NewReader(c.Conn); ; {
			resp, err := http.ReadResponse(r, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			c.mu.Lock()
			if err != nil {
				c.closed = true
				c.mu.Unlock()
				return
			}
			c.answer += resp.Status[:3]
			c.mu.Unlock()
		}
	})
	if text != "" {
		b.clients.Go(func() { _, _ = io.WriteString(c.Conn, text) }) // it may be cut
	}
	synctest.Wait()
	return c
}

// state is the statuses that came, and whether the connection is closed.
func (c *client) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return strings.TrimSpace(c.answer + " closed")
	}
	return c.answer
}

func want(t *testing.T, what string, c *client, state string) {
	t.Helper()
	synctest.Wait()
	if got := c.state(); got != state {
		t.Errorf("%s: %q, want %q", what, got, state)
	}
}

// Where places are short the client with the most connections loses one: one that is
// idle, else the one whose request has been incomplete for longest, whether that is
// its head or its body.
func TestWhoMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Handler: &served{}, MaxConnections: 6})
		defer b.end()
		ana := b.open("203.0.113.1:1", "POST / HT")
		tick(time.Second)
		body := b.open("203.0.113.9:1", post("Content-Length: 2\r\n", "{"))
		tick(time.Second)
		head := b.open("203.0.113.9:2", "POST /")
		tick(time.Second)
		idle := b.open("203.0.113.9:3", hidden)
		silent := b.open("203.0.113.9:4", "")
		tick(time.Second)
		_ = b.open("203.0.113.9:5", "G")
		want(t, "the idle one", idle, "202")
		want(t, "a body while no place is needed", body, "")

		_ = b.open("203.0.113.2:1", hidden)
		want(t, "the idle one", idle, "202 closed")
		tick(time.Second)
		ben := b.open("203.0.113.3:1", hidden)
		want(t, "ben", ben, "202")
		want(t, "the oldest body", body, "closed")
		want(t, "a younger head", head, "")
		tick(time.Second)
		_ = b.open("203.0.113.4:1", hidden)
		want(t, "the older head", head, "closed")
		want(t, "a younger one that has sent nothing", silent, "")
		want(t, "the oldest of all, of a client with one connection", ana, "")
		if idle, incomplete := b.server.Cut(); idle != 1 || incomplete != 2 {
			t.Errorf("%d idle and %d incomplete ones were cut, want 1 and 2", idle, incomplete)
		}
	})
}

// A connection that has just come has a moment to send its request, so that a burst of
// honest clients does not cut itself; until then a further one is held.
func TestNewConnectionsHaveAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Handler: &served{}, MaxConnections: 2})
		defer b.end()
		first, second := b.open("203.0.113.1:1", ""), b.open("203.0.113.1:2", "")
		began := time.Now()
		third := b.open("203.0.113.1:3", hidden)
		want(t, "the first", first, "")
		want(t, "the third", third, "")
		tick(grace)
		want(t, "the first", first, "closed")
		want(t, "the third", third, "202")
		want(t, "the second", second, "")
		if waited := time.Since(began); waited != grace {
			t.Errorf("the third has waited for %v", waited)
		}
	})
}

// However many connections of one address come, each cut one anew: the others keep
// theirs and get their answers.
func TestFloodOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Handler: &served{}, MaxConnections: 64})
		defer b.end()
		others := make([]*client, 20)
		for i := range others {
			others[i] = b.open(fmt.Sprintf("203.0.113.%d:1", i+10), "POST / HTTP/1.1\r\nHost: relay\r\nX-Slow: ")
		}
		for i := range 500 {
			_ = b.open(fmt.Sprintf("[2001:db8::%x]:1", i+1), "GET / HT")
			tick(10 * time.Millisecond)
		}
		for i, c := range others {
			_, _ = io.WriteString(c.Conn, "yes\r\n\r\n")
			want(t, fmt.Sprint("client ", i), c, "202")
		}
		if n := b.server.Connections(); n > 64 {
			t.Errorf("%d connections are open", n)
		}
	})
}

// One client has so many requests in hand at once; a further one waits for 5 s and gets
// a 503 with Retry-After. Others, and this machine, do not wait for that.
func TestRequestsPerClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var turnedAway int
		b := newBench(t, Options{
			MaxConnections: 100, MaxRequestsPerClient: 3, Reserved: []string{"/healthz"},
			Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/busy" {
					<-release
				}
			}),
			Busy: func(w http.ResponseWriter, _ *http.Request) {
				turnedAway++
				if w.Header().Get("Retry-After") != "5" {
					t.Errorf("Retry-After: %q", w.Header().Get("Retry-After"))
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			},
		})
		defer b.end()
		const busy = "GET /busy HTTP/1.1\r\nHost: relay\r\n\r\n"
		var inHand []*client
		for i := range 3 {
			inHand = append(inHand, b.open(fmt.Sprintf("[2001:db8::%d]:1", i+1), busy))
		}
		began := time.Now()
		waits := b.open("[2001:db8::9]:1", hidden)
		neighbor := b.open("[2001:db8:0:1::1]:1", hidden)
		health := b.open("[2001:db8::9]:2", "GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
		for i := range 20 {
			inHand = append(inHand, b.open(fmt.Sprintf("127.0.0.1:%d", i+1), busy))
		}
		want(t, "the fourth of a network", waits, "")
		want(t, "another network", neighbor, "200")
		want(t, "a reserved path", health, "200")
		tick(patience)
		want(t, "the fourth of a network", waits, "503 closed")
		if waited := time.Since(began); waited != patience || turnedAway != 1 {
			t.Errorf("it has waited for %v; %d were turned away", waited, turnedAway)
		}
		again := b.open("[2001:db8::a]:1", hidden)
		close(release)
		want(t, "one that waited", again, "200")
		for i, c := range inHand {
			want(t, fmt.Sprint("in hand ", i), c, "200")
		}
	})
}

// Places that are all held by requests in hand leave some for what is reserved.
func TestReservedPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := newBench(t, Options{MaxConnections: 16, MaxRequestsPerClient: 64, Reserved: []string{"/healthz"}, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/busy" {
				<-release
			}
		})})
		defer b.end()
		for i := range 40 {
			_ = b.open(fmt.Sprintf("127.0.0.1:%d", i+1), "GET /busy HTTP/1.1\r\nHost: relay\r\n\r\n")
			tick(grace)
		}
		want(t, "a reserved path", b.open("127.0.0.1:99", "GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n"), "200")
		close(release)
	})
}

// A request that has come whole on a connection that was cut meanwhile is not taken in
// hand: its client would have no answer.
func TestCutRequestsAreNotHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := &served{}
		b := newBench(t, Options{MaxConnections: 2, Handler: handler})
		defer b.end()
		slow := b.open("203.0.113.1:1", "POST /slow HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{")
		_ = b.open("203.0.113.1:2", "POST /")
		tick(time.Second)
		b.server.connections.mu.Lock()
		victim, _ := b.server.connections.worst(time.Now())
		b.server.connections.evict(victim)
		b.server.connections.mu.Unlock()
		if victim.protect() {
			t.Error("a connection that was cut is protected")
		}
		want(t, "the slow one", slow, "closed")
	})
}

// Over HTTP/2 a connection can be cut while none of its requests is whole, and cannot
// while one is.
func TestHTTP2ConnectionsMakeRoom(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "door")
	release, busy := make(chan struct{}), make(chan struct{})
	s := start(t, Options{WebConfig: a.webConfig(t, ""), MaxConnections: 2, MaxRequestsPerClient: 64, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			close(busy)
			<-release
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})})
	url := "https://" + s.Addr().String()
	working, stalling, late := a.client(t, true), a.client(t, true), a.client(t, true)
	answers := make(chan error, 2)
	go func() {
		_, err := get(t, working, url+"/busy")
		answers <- err
	}()
	<-busy
	body, stall := io.Pipe()
	defer stall.Close()
	go func() {
		resp, err := stalling.Post(url, "application/json", body)
		if err == nil {
			_ = resp.Body.Close()
		}
		answers <- err
	}()
	_, _ = stall.Write([]byte("{"))
	for s.connections.inUse(isHalf) < 1 {
		tick(time.Millisecond)
	}
	ended := make(chan error)
	go func() {
		_, err := get(t, late, url)
		ended <- err
	}()
	if err := <-answers; err == nil {
		t.Error("the stream that stalls got an answer")
	}
	close(release)
	if err := <-answers; err != nil {
		t.Errorf("the request in hand: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the late one: %v", err)
	}
}

// What is remembered of connections ends with them.
func TestConnectionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Handler: &served{}, MaxConnections: 8, MaxRequestsPerClient: 4})
		for i := range 100 {
			c := b.open(fmt.Sprintf("203.0.113.%d:1", i), []string{hidden, "POST / HT", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")}[i%3])
			tick(grace)
			if i%2 == 0 {
				_ = c.Close()
			}
		}
		b.end()
		c := b.server.connections
		if c.open != 0 || c.cut != 0 || len(c.clients) != 0 || len(c.ranked) != 0 {
			t.Errorf("%d open, %d cut, %d clients, %d ranked", c.open, c.cut, len(c.clients), len(c.ranked))
		}
		for _, p := range []*share.Pool{b.server.requests.ofClient, b.server.requests.whole} {
			if p.Used() != 0 {
				t.Errorf("%d requests are still in hand", p.Used())
			}
		}
	})
}
