package eventsv2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
)

func testBody(size int) []byte {
	body := make([]byte, size)
	for i := range body {
		body[i] = 'a' + byte(i*7%26)
	}
	return body
}

// TestBodyIsRebuiltPerAttempt: the classic of the trade is a retry that sends an
// empty body.
func TestBodyIsRebuiltPerAttempt(t *testing.T) {
	protocols(t, func(t *testing.T, withTLS bool, proto string) {
		for _, size := range []int{200, 300_000} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				body := testBody(size)
				var requests atomic.Int64
				var s *testServer
				s = newServer(t, withTLS, func(w http.ResponseWriter, r *http.Request) {
					n := requests.Add(1)
					got, err := io.ReadAll(r.Body)
					if err != nil || !bytes.Equal(got, body) || r.ContentLength != int64(size) || r.Proto != proto {
						t.Errorf("request %d: %s, %d bytes, length %d, %v", n, r.Proto, len(got), r.ContentLength, err)
					}
					switch n {
					case 1:
						w.WriteHeader(http.StatusInternalServerError)
					case 2:
						w.WriteHeader(http.StatusTooManyRequests)
					case 3:
						s.cutConnections()
					case 4:
						panic(http.ErrAbortHandler)
					default:
						w.WriteHeader(http.StatusAccepted)
					}
				})
				c := newClient(t, s)
				for attempt := 1; attempt <= 5; attempt++ {
					_, err := c.Post(context.Background(), mustKey(t, testKey), body)
					if attempt == 5 {
						if err != nil {
							t.Fatalf("attempt 5: %v", err)
						}
						break
					}
					var e *Error
					if !errors.As(err, &e) || !e.Temporary() {
						t.Fatalf("attempt %d: got %v, want a temporary *Error", attempt, err)
					}
				}
				if got := requests.Load(); got != 5 {
					t.Errorf("got %d requests, want 5: one for each attempt", got)
				}
			})
		}
	})
}

// TestDeadIdleConnectionIsReplaced: the request finds its kept connection dead
// before a byte was written, and goes out on a new one within the same attempt. A
// body that does not fit into net/http's write buffer of 4 KB does not: there the
// failed write counts as a failure of the body, and the next attempt has to do it.
func TestDeadIdleConnectionIsReplaced(t *testing.T) {
	for _, size := range []int{200, 3_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			body := testBody(size)
			var requests atomic.Int64
			s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
				w.WriteHeader(http.StatusAccepted)
			})
			var dead atomic.Pointer[killableConn]
			transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				k := &killableConn{Conn: conn}
				dead.Store(k)
				return k, err
			}}
			t.Cleanup(transport.CloseIdleConnections)
			c := &Client{BaseURL: s.URL, HTTP: &http.Client{Transport: transport}}
			for range 2 {
				if _, err := c.Post(context.Background(), mustKey(t, testKey), body); err != nil {
					t.Fatal(err)
				}
				dead.Load().dead.Store(true)
			}
			if got := requests.Load(); got != 2 {
				t.Errorf("got %d requests, want 2", got)
			}
			if got := s.accepted.Load(); got != 2 {
				t.Errorf("got %d connections, want 2", got)
			}
		})
	}
}

// killableConn fails every write once it is dead, as a connection does that the
// other side has reset.
type killableConn struct {
	net.Conn
	dead atomic.Bool
}

func (c *killableConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return 0, syscall.ECONNRESET
	}
	return c.Conn.Write(p)
}
