package door

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// pipes is a listener whose connections are pipes in memory, so that a test's
// clock drives them.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// tick waits, by the clock of the test's bubble.
func tick(d time.Duration) { <-time.After(d) }

// large answers with more than any buffer holds.
var large = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
})

// drip sends the text byte by byte, one in each interval, until it cannot.
func drip(c net.Conn, text string, every time.Duration) {
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		tick(every)
	}
}

// A client that is slow in any way is cut in its time, not before and not much
// later.
func TestSlowClients(t *testing.T) {
	endless := strings.Repeat("a", 1<<12)
	whole := post("Content-Length: 2\r\n", "{}")
	tests := []struct {
		name     string
		behave   func(c net.Conn, on *sync.WaitGroup)
		min, max time.Duration
	}{
		{"says nothing", func(net.Conn, *sync.WaitGroup) {}, defaultHeader, defaultHeader + time.Second},
		{"a slow header", func(c net.Conn, on *sync.WaitGroup) { on.Go(func() { drip(c, "GET /"+endless, time.Second) }) }, defaultHeader, defaultHeader + time.Second},
		{"a header line every 3 s", func(c net.Conn, on *sync.WaitGroup) {
			on.Go(func() {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n")
				for range 100 {
					if _, err := io.WriteString(c, "X-A: b\r\n"); err != nil {
						return
					}
					tick(3 * time.Second)
				}
			})
		}, defaultHeader, defaultHeader + time.Second},
		{"a slow body", func(c net.Conn, on *sync.WaitGroup) {
			on.Go(func() { drip(c, post("Content-Length: 4096\r\n", endless), 50*time.Millisecond) })
		}, defaultWhole - time.Second, defaultWhole + time.Second},
		{"slow chunks", func(c net.Conn, on *sync.WaitGroup) {
			on.Go(func() {
				_, _ = io.WriteString(c, post("Transfer-Encoding: chunked\r\n", ""))
				drip(c, strings.Repeat("1\r\nx\r\n", 1000), time.Second)
			})
		}, defaultWhole - time.Second, defaultWhole + time.Second},
		{"a body that stops", func(c net.Conn, on *sync.WaitGroup) {
			on.Go(func() { _, _ = io.WriteString(c, post("Content-Length: 10\r\n", "{")) })
		}, defaultWhole - time.Second, defaultWhole + time.Second},
		{"keeps the connection", func(c net.Conn, on *sync.WaitGroup) {
			on.Go(func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: relay\r\n\r\n") })
			_, _ = io.CopyN(io.Discard, c, 1<<20)
		}, defaultIdle - time.Second, defaultIdle + time.Second},
		{"takes nothing of the answer", func(c net.Conn, on *sync.WaitGroup) { on.Go(func() { _, _ = io.WriteString(c, whole) }) }, defaultWhole, defaultWhole + time.Second},
		{"sips the answer and sends on", func(c net.Conn, on *sync.WaitGroup) {
			on.Go(func() {
				_, _ = io.WriteString(c, whole)
				drip(c, "GET / HTTP/1.1\r\n"+endless, time.Second) // each byte would be a sign of life
			})
		}, defaultWhole, 2*defaultWhole + time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took := timeOpen(t, tt.behave, strings.Contains(tt.name, "answer"))
				if took < tt.min || took > tt.max {
					t.Errorf("cut after %v, want %v to %v", took, tt.min, tt.max)
				}
			})
		})
	}
}

// timeOpen returns how long a door bears with a client, in the time of the bubble.
func timeOpen(t *testing.T, behave func(net.Conn, *sync.WaitGroup), sips bool) time.Duration {
	listener := newPipes()
	s := New(listener, Options{Handler: large, Log: discard()})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	started := time.Now()
	c := listener.dial()
	var client sync.WaitGroup
	behave(c, &client)
	if sips {
		client.Go(func() { sip(c) })
	} else {
		client.Go(func() { _, _ = io.Copy(io.Discard, c) })
	}
	synctest.Wait()
	for s.Connections() > 0 && time.Since(started) < time.Hour {
		tick(100 * time.Millisecond)
	}
	took := time.Since(started)
	_ = c.Close()
	client.Wait()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	return took
}

// sip takes a byte of an answer in each second.
func sip(c net.Conn) {
	var one [1]byte
	for {
		if _, err := c.Read(one[:]); err != nil {
			return
		}
		tick(time.Second)
	}
}

// The same over a socket, where the kernel's buffers are between: 60 slow clients
// of three kinds are cut, and honest ones are served all the while.
func TestSlowClientsOverSockets(t *testing.T) {
	chunk := []byte(strings.Repeat("x", 64<<10))
	s := start(t, Options{Header: time.Second, Whole: 3 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		large.ServeHTTP(w, r)
		for range 256 * len(r.URL.Query()) { // more than the kernel keeps for a client
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})})
	openings := []string{"POST / HTTP/1.1\r\nHost: re", post("Content-Length: 10\r\n", "{"), "POST /?large HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}"}
	for i := range 60 {
		c := send(t, s.Addr().String(), openings[i%len(openings)])
		if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
	}
	limit := time.Now().Add(30 * time.Second) // a machine may be slow, but the door has to get there
	for honest := 0; ; honest++ {
		resp, err := http.Get("http://" + s.Addr().String())
		if err != nil {
			t.Fatalf("an honest request: %v", err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil || n != 1<<20 {
			t.Fatalf("an honest request got %d bytes: %v", n, err)
		}
		http.DefaultClient.CloseIdleConnections()
		if s.Connections() <= 1 { // the honest one's may not be gone yet
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d connections are still open after %d honest requests", s.Connections(), honest)
		}
	}
}

// send opens a connection and sends a text.
func send(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// keepAlive asks once and keeps the connection.
func keepAlive(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := send(t, address, "")
	r := bufio.NewReader(c)
	ask(t, c, r)
	return c, r
}

func ask(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(c, hidden); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// At the bound nothing more is accepted; the connection that has been idle for
// longest makes room.
func TestMaxConnections(t *testing.T) {
	s := start(t, Options{Handler: &served{}, MaxConnections: 3})
	idle := func(n int) { // the client has its answer a moment before
		for s.connections.idleNow() < n {
			tick(time.Millisecond)
		}
	}
	first, firstReader := keepAlive(t, s.Addr().String())
	idle(1)
	second, secondReader := keepAlive(t, s.Addr().String())
	idle(2)
	third, thirdReader := keepAlive(t, s.Addr().String())
	idle(3)
	ask(t, first, firstReader) // so that the second is idle for longest
	idle(3)
	keepAlive(t, s.Addr().String())
	if n := s.Connections(); n != 3 {
		t.Errorf("%d connections are open, want 3", n)
	}
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || secondReader.Buffered() > 0 {
		t.Errorf("the connection that was idle for longest: %v, want it closed", err)
	}
	ask(t, first, firstReader)
	ask(t, third, thirdReader)
}

func (c *connections) idleNow() int { return c.inUse(isIdle) }

// inUse counts the connections of loopback in a use that can make room.
func (c *connections) inUse(use usage) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.clients[share.Loopback]
	if held == nil {
		return 0
	}
	return held.of(use).Len()
}

// No request that the relay has taken in hand is cut to make room: clients that use a
// listener at its bound, and open new connections all the while, get an answer to
// every request that the handler has seen. One that was cut before that asks again.
func TestMaxConnectionsUnderLoad(t *testing.T) {
	var handled atomic.Int64
	s := start(t, Options{MaxConnections: 4, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { handled.Add(1) })})
	var answered atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			mine := 0
			for mine < 30 {
				c, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					continue // it was cut before it could send anything
				}
				r := bufio.NewReader(c)
				for range 5 { // until the listener makes room
					if _, err := io.WriteString(c, hidden); err != nil {
						break
					}
					if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusOK {
						break
					}
					mine++
				}
				_ = c.Close()
			}
			answered.Add(int64(mine))
		})
	}
	clients.Wait()
	if handled.Load() != answered.Load() {
		t.Errorf("%d requests were handled, %d answered", handled.Load(), answered.Load())
	}
}

// Connections with a whole request in hand are not cut for one that waits. It is
// served when one of them has its answer.
func TestMaxConnectionsBusy(t *testing.T) {
	release, busy := make(chan struct{}), make(chan struct{}, 2)
	s := start(t, Options{MaxConnections: 3, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			busy <- struct{}{}
			<-release
		}
	})})
	var statuses [2]chan error
	for i := range statuses {
		statuses[i] = make(chan error, 1)
		c := send(t, s.Addr().String(), "GET /busy HTTP/1.1\r\nHost: relay\r\n\r\n")
		go func() {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
			statuses[i] <- err
		}()
		<-busy
	}
	silent := send(t, s.Addr().String(), "")
	late := send(t, s.Addr().String(), hidden)
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a silent connection got an answer")
	}
	close(release)
	if resp, err := http.ReadResponse(bufio.NewReader(late), nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the one that waited got %v, %v", resp, err)
	}
	for _, status := range statuses {
		if err := <-status; err != nil {
			t.Errorf("a busy connection: %v", err)
		}
	}
}

// Shutdown ends what is in hand, and accepts nothing more.
func TestShutdown(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	s := start(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		w.WriteHeader(http.StatusAccepted)
	})})
	c := send(t, s.Addr().String(), hidden)
	<-began
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	for {
		late, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			break
		}
		_ = late.Close()
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Errorf("the request in hand got %v, %v, want 202", resp, err)
	}
}

// A request that does not end is cut when the time for that is over.
func TestShutdownCuts(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	s := start(t, Options{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(began)
		<-release
	})})
	defer close(release)
	send(t, s.Addr().String(), hidden)
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want that requests were cut", err)
	}
}

// A handler that panics ends its connection and nothing else, and is told of.
func TestPanic(t *testing.T) {
	var told, debug strings.Builder
	handler := http.NewServeMux()
	handler.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("a mistake") })
	s := start(t, Options{Handler: handler, Log: slog.New(slog.NewTextHandler(&told, nil))})
	if got := talk(t, send(t, s.Addr().String(), ""), "GET /panic HTTP/1.1\r\nHost: relay\r\n\r\n"); len(got) > 0 {
		t.Errorf("answers %v, want none", got)
	}
	if got := first(talk(t, send(t, s.Addr().String(), ""), hidden)); got != http.StatusNotFound {
		t.Errorf("the next request got %d", got)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := told.String(); !strings.Contains(text, "a mistake") || !strings.Contains(text, "level=ERROR") {
		t.Errorf("the log says %q", text)
	}
	quiet := serverLog{slog.New(slog.NewTextHandler(&debug, nil))}
	if _, err := quiet.Write([]byte("http: TLS handshake error from 10.0.0.5: EOF\n")); err != nil || debug.Len() > 0 {
		t.Errorf("a client's mistake is told as %q, %v", debug.String(), err)
	}
}
