package main

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// road is a way to an upstream that counts its connections, and can let those that are
// open go silent: they take all bytes and bring none, as when a NAT has forgotten them.
type road struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	silent   []chan struct{} // of each connection: closed when it is
	news     []string        // "open" and "end" of connections, in their order; the relay has ended them
	going    sync.WaitGroup
}

func newRoad(t *testing.T, to string) *road {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{listener: listener, to: to}
	r.going.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.carry(conn)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.silence()
		r.going.Wait()
	})
	return r
}

func (r *road) carry(conn net.Conn) {
	other, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	silent := make(chan struct{})
	r.mu.Lock()
	r.silent, r.news = append(r.silent, silent), append(r.news, "open")
	r.mu.Unlock()
	r.going.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				break
			}
			select {
			case <-silent:
			default:
				_, _ = other.Write(buffer[:n])
			}
		}
		r.mu.Lock()
		r.news = append(r.news, "end")
		r.mu.Unlock()
		_ = other.Close()
		_ = conn.Close()
	})
	r.going.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := other.Read(buffer)
			if err != nil {
				break
			}
			select {
			case <-silent:
			default:
				_, _ = conn.Write(buffer[:n])
			}
		}
		select {
		case <-silent: // whose other side tells nothing any more
		default:
			_ = conn.Close()
		}
	})
}

// silence lets the connections go silent that are open.
func (r *road) silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, silent := range r.silent {
		if silent != nil {
			close(silent)
			r.silent[i] = nil
		}
	}
}

// happened is what became of the connections so far.
func (r *road) happened() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.news)
}

// roads runs a test over HTTP/1.1 and over HTTP/2 with TLS, with a relay that has
// delivered something by the road.
func roads(t *testing.T, run func(t *testing.T, p *process, r *road, upstream *pagerdutytest.Server)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			var environ []string
			scheme, upstream := "http://", pagerdutytest.NewServer
			if proto == "HTTP/2" {
				scheme, upstream = "https://", pagerdutytest.NewTLSServer
			}
			s := upstream(t, pagerdutytest.Options{Limit: -1})
			if proto == "HTTP/2" {
				environ = []string{"SSL_CERT_FILE=" + s.CAFile()}
			}
			r := newRoad(t, s.Addr())
			p := launchWith(t, t.TempDir(), environ, "--upstream", scheme+r.listener.Addr().String())
			t.Cleanup(p.kill)
			if !p.await() {
				t.Fatalf("the daemon has ended:\n%s", p.log)
			}
			p.answer(t, trigger("before", "info", "all is well"))
			s.WantIncident(t, "before").Within(time.Minute).Triggered()
			p.drained(t, time.Minute) // its answer has come
			run(t, p, r, s)
		})
	}
}

// One request hangs. The page goes out once more by a second connection while the first
// copy is in flight, and its resolve comes after it.
func TestHangingRequest(t *testing.T) {
	roads(t, func(t *testing.T, p *process, r *road, upstream *pagerdutytest.Server) {
		upstream.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultHang})
		begun := time.Now()
		p.answer(t, trigger("page", "critical", "the database is gone"))
		p.answer(t, strings.Replace(trigger("page", "critical", "the database is back"), `"trigger"`, `"resolve"`, 1))
		upstream.WantIncident(t, "page").Within(time.Minute).Resolved()
		t.Logf("triggered and resolved after %s", time.Since(begun)) // 3.1 s
		if news := r.happened(); len(news) < 2 || news[1] != "open" {
			t.Errorf("the connections: %q, want the second one before the end of the first", news)
		}
		var actions []string
		for _, entry := range upstream.Journal() {
			actions = append(actions, entry.Action+" "+entry.DedupKey)
		}
		if want := []string{"trigger before", "trigger page", "trigger page", "resolve page"}; !slices.Equal(actions, want) {
			t.Errorf("PagerDuty got %q, want %q", actions, want)
		}
		p.drained(t, time.Minute)
		if n := p.metric(t, `shoutrrrd_hedges_total{won="second"}`); n != 1 {
			t.Errorf("%v second copies were accepted", n)
		}
		if text := "sent twice, as there was no answer within 3 s: the second copy was accepted"; !strings.Contains(p.get(t, "/api/events/2"), text) {
			t.Errorf("the history does not say %q", text)
		}
	})
}

// A connection goes silent that has carried events before. All pages that come then are
// accepted by other connections while it is open still, and before anything else has
// found out.
func TestSilentConnection(t *testing.T) {
	roads(t, func(t *testing.T, p *process, r *road, upstream *pagerdutytest.Server) {
		r.silence()
		begun := time.Now()
		for _, page := range []string{"one", "two", "three", "four", "five"} {
			p.answer(t, trigger(page, "critical", "page "+page))
		}
		p.answer(t, trigger("ticket", "info", "a ticket"))
		for _, page := range []string{"one", "two", "three", "four", "five"} {
			upstream.WantIncident(t, page).Within(time.Minute).Triggered()
			t.Logf("%s after %s", page, time.Since(begun)) // 3.1 s
		}
		if news := r.happened(); len(news) < 2 || news[1] != "open" {
			t.Errorf("the connections: %q, want the second one before the end of the first", news)
		}
		upstream.WantIncident(t, "ticket").Within(time.Minute).Triggered()
		t.Logf("the info after %s", time.Since(begun))
		p.answer(t, trigger("after", "critical", "a page later"))
		upstream.WantIncident(t, "after").Within(time.Minute).Triggered()
		t.Logf("all of it after %s; %q", time.Since(begun), r.happened())
		if log := p.log.String(); strings.Contains(log, "upstream down") {
			t.Errorf("one connection is taken for the upstream:\n%s", log)
		}
		if err := p.stop(t); err != nil {
			t.Error(err)
		}
	})
}
