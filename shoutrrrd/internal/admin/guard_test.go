package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

var guarded = []string{"/", "/api/status", "/api/lanes", "/api/lanes/db", "/api/events", "/api/events/1", "/api/shape", "/api/nothing"}

// Who may do what: by token, by role, and without tokens by where he sits.
func TestAuthentication(t *testing.T) {
	auth := door.NewAuthenticator()
	b := newBench(t, func(o *parts) { o.Auth = auth })
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	for _, path := range append(guarded[:6:6], "/metrics") {
		if g := b.get(path); g.status != http.StatusOK {
			t.Errorf("without tokens, on this machine, %s: %d %s", path, g.status, g.body)
		}
	}
	auth.Replace([]door.Credential{door.NewCredential("ana", true, "operator-token"), door.NewCredential("wall", false, "viewer-token")})
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	for _, tt := range []struct {
		name         string
		header       map[string]string
		look, change int
	}{
		{"nobody", nil, 401, 401},
		{"a wrong token", bearer("viewer-tokem"), 401, 401},
		{"a viewer", bearer("viewer-token"), 200, 403},
		{"an operator", bearer("operator-token"), 200, 200},
	} {
		for _, path := range append(guarded[:6:6], "/metrics") {
			g := b.do(call{method: "GET", path: path, header: tt.header})
			if g.status != tt.look {
				t.Errorf("%s, GET %s: %d, want %d", tt.name, path, g.status, tt.look)
			}
			if asked := g.header.Get("WWW-Authenticate"); (asked != "") != (tt.look == 401) {
				t.Errorf("%s, GET %s: WWW-Authenticate %q", tt.name, path, asked)
			}
		}
		for _, path := range []string{"/api/lanes/db/pause", "/api/lanes/db/resume", "/api/events/1/drop", "/api/events/1/requeue"} {
			if g := b.do(call{method: "POST", path: path, header: tt.header}); g.status != tt.change {
				t.Errorf("%s, POST %s: %d %s, want %d", tt.name, path, g.status, g.body, tt.change)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			if g := b.do(call{method: "GET", path: path, header: tt.header}); g.status != http.StatusOK {
				t.Errorf("%s, GET %s: %d, want 200", tt.name, path, g.status)
			}
		}
	}
}

// The name of a token stands in the history, whatever the client calls itself.
func TestActorIsTheToken(t *testing.T) {
	b := newBench(t, func(o *parts) { o.Auth = door.NewAuthenticator(door.NewCredential("ana", true, "operator-token")) })
	id := b.put(dbKey, "a", queue.Critical, body("disk full"))
	header := map[string]string{"Authorization": "Bearer operator-token", "X-Shoutrrr-Actor": "eve"}
	if g := b.do(call{method: "POST", path: "/api/events/1/drop", header: header}); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	_, history, err := b.store.Event(context.Background(), id)
	if err != nil || history[len(history)-1].Who != "ana" {
		t.Errorf("the history ends with %+v, %v", history[len(history)-1], err)
	}
}

// Without tokens nobody of another machine gets in, even if the door is opened to
// him by mistake.
func TestNoTokensOffLoopback(t *testing.T) {
	b := newBench(t, nil)
	for _, tt := range []struct {
		local  net.IP
		peer   string
		header string // one that a proxy adds
		status int
	}{
		{net.IPv4(127, 0, 0, 1), "127.0.0.1:1", "", 200},
		{net.IPv4(127, 0, 0, 2), "127.0.0.1:1", "", 200},
		{net.IPv6loopback, "[::1]:1", "", 200},
		{net.IPv4(10, 0, 0, 5), "10.0.0.6:1", "", 403},
		{net.IPv4(10, 0, 0, 5), "127.0.0.1:1", "", 403},
		{net.ParseIP("2001:db8::1"), "[2001:db8::2]:1", "", 403},
		{net.IPv4(127, 0, 0, 1), "10.0.0.6:1", "", 403}, // as with route_localnet
		{net.IPv4(127, 0, 0, 1), "", "", 403},
		{net.IPv4(127, 0, 0, 1), "127.0.0.1:1", "X-Forwarded-For", 403},
		{net.IPv4(127, 0, 0, 1), "127.0.0.1:1", "Forwarded", 403},
		{net.IPv4(127, 0, 0, 1), "127.0.0.1:1", "Via", 403},
	} {
		address := &net.TCPAddr{IP: tt.local, Port: 8687}
		for _, path := range []string{"/api/status", "/metrics"} {
			req := httptest.NewRequest("GET", path, nil)
			req.Host, req.RemoteAddr = address.String(), tt.peer
			if tt.header != "" {
				req.Header.Set(tt.header, "203.0.113.9")
			}
			w := httptest.NewRecorder()
			b.door.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, net.Addr(address))))
			if w.Code != tt.status {
				t.Errorf("%s at %s from %s %s: %d %s, want %d", path, tt.local, tt.peer, tt.header, w.Code, w.Body, tt.status)
			}
		}
	}
}

// A page that has given its own name our address is not served.
func TestHosts(t *testing.T) {
	b := newBench(t, func(o *parts) { o.Hosts = func() []string { return []string{"relay.example", "Other.Example"} } })
	_, port, _ := strings.Cut(strings.TrimPrefix(b.url, "http://"), ":")
	for _, tt := range []struct {
		host string
		ours bool
	}{
		{"127.0.0.1:" + port, true},
		{"127.0.0.1", true},
		{"127.1.2.3:1", true},
		{"localhost:" + port, true},
		{"LOCALHOST", true},
		{"localhost.", true},
		{"[::1]:" + port, true},
		{"[::1]", true},
		{"relay.example", true},
		{"relay.example:443", true},
		{"other.example", true},
		{"evil.example", false},
		{"evil.example:" + port, false},
		{"localhost.evil.example", false},
		{"evil-localhost", false},
		{"127.0.0.1.evil.example", false},
		{"10.0.0.5", false},
		{"relay.example.evil", false},
		{"[::2]", false},
		{"0.0.0.0:" + port, false},
	} {
		for _, path := range append(guarded, "/metrics") {
			g := b.do(call{method: "GET", path: path, host: tt.host})
			if refused := g.status == http.StatusForbidden; refused == tt.ours {
				t.Errorf("%s%s: %d %s", tt.host, path, g.status, g.body)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			if g := b.do(call{method: "GET", path: path, host: tt.host}); g.status != http.StatusOK {
				t.Errorf("%s%s: %d, want 200 for a health check by any name", tt.host, path, g.status)
			}
		}
	}
}

// A page of another origin changes nothing.
func TestCrossOrigin(t *testing.T) {
	b := newBench(t, nil)
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	host := strings.TrimPrefix(b.url, "http://")
	for _, tt := range []struct {
		name   string
		header map[string]string
		status int
	}{
		{"no browser", nil, 200},
		{"the same origin", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": b.url}, 200},
		{"typed by a person", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"an old browser, the same origin", map[string]string{"Origin": "http://" + host}, 200},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		{"another port", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}, 403},
		{"an old browser, another origin", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a sandboxed frame", map[string]string{"Origin": "null"}, 403},
	} {
		if g := b.do(call{method: "POST", path: "/api/lanes/db/resume", header: tt.header}); g.status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, g.status, g.body, tt.status)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	b := newBench(t, nil)
	for _, path := range append(guarded, "/metrics", "/healthz", "/readyz") {
		g := b.get(path)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := g.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if !strings.Contains(g.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy is %q", path, g.header.Get("Content-Security-Policy"))
		}
		if g.header.Get("Content-Type") == "" {
			t.Errorf("%s has no Content-Type", path)
		}
	}
}

// Ready is a relay that can keep events, whatever is wrong with PagerDuty.
func TestHealth(t *testing.T) {
	var failure error
	b := newBench(t, func(o *parts) { o.told.Accepting = func() error { return failure } })
	if g := b.get("/readyz"); g.status != 200 || g.body != "ok\n" {
		t.Errorf("readyz: %d %q", g.status, g.body)
	}
	failure = errors.Join(queue.ErrUnavailable, errors.New("no space left on device, "+dbKey))
	b.put(dbKey, "a", queue.Critical, body("so that the key is known"))
	if g := b.get("/readyz"); g.status != 503 || !strings.Contains(g.body, "no space left on device") {
		t.Errorf("readyz of a full disk: %d %q", g.status, g.body)
	}
	if g := b.get("/healthz"); g.status != 200 || g.body != "ok\n" {
		t.Errorf("healthz: %d %q", g.status, g.body)
	}
	if g := b.do(call{method: "HEAD", path: "/readyz"}); g.status != 503 || g.body != "" {
		t.Errorf("HEAD: %d %q", g.status, g.body)
	}
}

// The index names every path that there is.
func TestIndex(t *testing.T) {
	b := newBench(t, nil)
	g := b.get("/")
	for _, path := range []string{
		"/api/status", "/api/lanes", "/api/lanes/{lane}", "/api/lanes/{lane}/pause", "/api/lanes/{lane}/resume", "/api/events", "/api/events/{id}",
		"/api/events/{id}/requeue", "/api/events/{id}/drop", "/api/shape", "/metrics", "/healthz", "/readyz",
	} {
		if !strings.Contains(g.body, path) {
			t.Errorf("%s is missing in\n%s", path, g.body)
		}
	}
}

// failing is a queue that cannot be read.
type failing struct {
	insight.Store
	err error
}

func (s failing) Lanes(context.Context) ([]queue.Lane, error) { return nil, s.err }

func (s failing) Overview(context.Context, []int64, int) (queue.Overview, error) {
	return queue.Overview{}, s.err
}

func (s failing) Shapes(context.Context, time.Time) ([]queue.Shape, error) { return nil, s.err }

func (s failing) Events(context.Context, queue.Filter) (queue.Page, error) {
	return queue.Page{}, s.err
}

func (s failing) Event(context.Context, int64) (queue.Event, []queue.Entry, error) {
	return queue.Event{}, nil, s.err
}

func (s failing) Counted(context.Context, int64) (queue.Counted, error) {
	return queue.Counted{}, s.err
}

// A queue that is slow has not failed, whoever's deadline it was.
func TestSlowQueue(t *testing.T) {
	b := newBench(t, func(o *parts) {
		o.told.Store = failing{o.told.Store, fmt.Errorf("list the lanes: %w", context.DeadlineExceeded)}
	})
	for _, path := range []string{"/api/status", "/api/lanes", "/api/events/1"} {
		if g := b.get(path); g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" || !strings.Contains(g.body, "did not answer in time") {
			t.Errorf("%s: %d %s", path, g.status, g.body)
		}
	}
	if log := b.log.String(); strings.Contains(log, "has failed") {
		t.Errorf("the log calls it a failure:\n%s", log)
	}
}

// A queue that fails is a 503 that comes again; the log has the reason, the answer
// has not, and the metrics still say that it fails.
func TestFailingQueue(t *testing.T) {
	b := newBench(t, func(o *parts) { o.told.Store = failing{o.told.Store, errors.New("disk I/O error in sector 7")} })
	for _, path := range []string{"/api/status", "/api/lanes", "/api/lanes/db", "/api/lanes/" + dbKey, "/api/events", "/api/events?lane=db", "/api/events/1", "/api/shape"} {
		g := b.get(path)
		if g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" || strings.Contains(g.body, "sector") {
			t.Errorf("%s: %d %s", path, g.status, g.body)
		}
	}
	if log := b.log.String(); strings.Count(log, "sector 7") != 8 || !strings.Contains(log, "/api/lanes/{lane}") {
		t.Errorf("want one line for each of 8 requests:\n%s", log)
	}
	if g := b.get("/metrics"); g.status != 200 || !strings.Contains(g.body, "shoutrrrd_store_healthy 1") || strings.Contains(g.body, "shoutrrrd_queued_events") {
		t.Errorf("metrics: %d %s", g.status, g.body)
	}
}
