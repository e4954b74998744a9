package eventsv2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"runtime"
	"testing"
)

// expiring is a context whose deadline passes when the test says so.
type expiring struct {
	context.Context
	done chan struct{}
}

func (x expiring) Done() <-chan struct{} { return x.done }

func (x expiring) Err() error {
	select {
	case <-x.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// An attempt hangs by a connection that has carried others before, until its time is
// up. The next one goes by a fresh connection: the old one may be dead, and HTTP/2
// would keep it.
func TestAttemptAfterOneThatHung(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/1.1 with TLS", "HTTP/2"} {
		for _, whose := range []string{"ours", "the caller's"} {
			t.Run(proto+", "+whose, func(t *testing.T) {
				s, c := newHangingServer(t, proto)
				if whose == "the caller's" {
					transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: nil, InsecureSkipVerify: true}}
					t.Cleanup(transport.CloseIdleConnections)
					c = &Client{BaseURL: s.URL, HTTP: &http.Client{Transport: transport}}
				}
				key := mustKey(t, testKey)
				if _, err := c.Post(t.Context(), key, []byte("before")); err != nil {
					t.Fatal(err)
				}
				<-s.arrived
				ctx := expiring{t.Context(), make(chan struct{})}
				ended := begin(ctx, func(ctx context.Context) (Receipt, error) { return c.Post(ctx, key, []byte("hang")) })
				<-s.arrived
				close(ctx.done)
				if hung := <-ended; !errors.Is(hung.err, context.DeadlineExceeded) {
					t.Fatalf("got %v", hung.err)
				}
				<-s.left                                                         // the server has seen the end of the stream, so the client has written it
				for bytes.Contains(stacks(), []byte("lientStream).doRequest")) { // net/http takes the stream out of its connection there
					runtime.Gosched()
				}
				if _, err := c.Post(t.Context(), key, []byte("hang")); err != nil {
					t.Fatal(err)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.from[1] != s.from[0] || s.from[2] == s.from[1] {
					t.Errorf("the attempts came by %v", s.from)
				}
			})
		}
	}
}

// stacks are those of all goroutines.
func stacks() []byte {
	all := make([]byte, 1<<20)
	return all[:runtime.Stack(all, true)]
}

// A program hands over a nil *http.Client when it has none.
func TestNilHTTPClientIsNone(t *testing.T) {
	var none *http.Client
	s, _ := newHangingServer(t, "HTTP/1.1")
	if _, err := (&Client{BaseURL: s.URL, HTTP: none}).Post(t.Context(), mustKey(t, testKey), []byte("m")); err != nil {
		t.Error(err)
	}
}
