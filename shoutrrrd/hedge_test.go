package main

import (
	"fmt"
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
	t.Parallel()
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

// Both copies of a page hang. Another page is accepted, which shows that PagerDuty answers:
// the first one is cut off and sent anew, and its resolve comes after that. A third page
// hangs twice as well, and an operator has it tried by the number of its resolve.
func TestBothCopiesHang(t *testing.T) {
	t.Parallel()
	if _, err := builtCommand(); err != nil { // that takes longer than an attempt lasts
		t.Fatal(err)
	}
	roads(t, func(t *testing.T, p *process, r *road, upstream *pagerdutytest.Server) {
		begun := time.Now()
		twice := func(page string) {
			upstream.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultHang, Count: 2})
			p.answer(t, trigger(page, "critical", "the database is gone"))
			p.answer(t, strings.Replace(trigger(page, "critical", "the database is back"), `"trigger"`, `"resolve"`, 1))
			eventually(t, "the second copy of "+page, time.Minute, func() bool { return len(sentOf(upstream, page)) == 2 })
		}
		twice("page")
		p.answer(t, trigger("later", "critical", "another database is gone"))
		upstream.WantIncident(t, "later").Within(time.Minute).Triggered()
		upstream.WantIncident(t, "page").Within(time.Minute).Resolved()
		t.Logf("triggered and resolved after %s", time.Since(begun)) // 6.1 s
		twice("third")
		t.Log(p.command(t, "queue", "try", "6", "--why", "it hangs"))
		upstream.WantIncident(t, "third").Within(time.Minute).Resolved()
		t.Logf("and the third one after %s", time.Since(begun)) // 12.2 s
		for _, page := range []string{"page", "third"} {
			if got, want := sentOf(upstream, page), []string{"trigger", "trigger", "trigger", "resolve"}; !slices.Equal(got, want) {
				t.Errorf("of %s PagerDuty got %q, want %q", page, got, want)
			}
		}
		p.drained(t, time.Minute)
		for id, why := range map[int]string{2: "while the upstream accepted an event that left later", 5: "an operator had the event tried again"} {
			if history := p.get(t, fmt.Sprint("/api/events/", id)); !strings.Contains(history, why) {
				t.Errorf("the history of event %d does not say %q: %s", id, why, history)
			}
		}
		if log := p.log.String(); strings.Contains(log, "upstream down") {
			t.Errorf("what hangs by two connections is taken for the upstream:\n%s", log)
		}
	})
}

// sentOf are the actions of a dedup key in the order in which they came to PagerDuty.
func sentOf(upstream *pagerdutytest.Server, dedup string) (actions []string) {
	for _, entry := range upstream.Journal() {
		if entry.DedupKey == dedup {
			actions = append(actions, entry.Action)
		}
	}
	return actions
}

// A connection goes silent that has carried events before. All pages that come then are
// accepted by other connections while it is open still, and before anything else has
// found out.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
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
