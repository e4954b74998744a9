package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// relaySection measures the relay against servers that do less.
func relaySection(s setting) error {
	title := fmt.Sprintf("The relay (%d rounds of %v; durable: each 202 after an fsync)", s.loads, s.loadFor)
	return measureRelay(s, title, (*relayBench).largestBodies, (*relayBench).ingest, (*relayBench).strangers, (*relayBench).lanes, (*relayBench).consoles,
		(*relayBench).latency, (*relayBench).million, (*relayBench).purge)
}

// measureRelay builds the relay, opens an upstream for it, and takes the steps one
// after another.
func measureRelay(s setting, title string, steps ...func(*relayBench, table) error) error {
	dir, err := os.MkdirTemp("", "shoutrrrd-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &relayBench{s: s, dir: dir, binary: filepath.Join(dir, "shoutrrrd")}
	if err := buildRelay("../shoutrrrd", b.binary); err != nil {
		return err
	}
	if b.upstream, err = newPlainReceiver(); err != nil {
		return err
	}
	defer b.upstream.close()
	t := newTable(s.out, title)
	for _, step := range steps {
		if err := step(b, t); err != nil {
			return err
		}
		t.flush() // some take minutes
	}
	return nil
}

func buildRelay(source, binary string) error {
	build := exec.Command("go", "build", "-C", source, "-trimpath", "-ldflags=-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	return nil
}

type relayBench struct {
	s        setting
	dir      string
	binary   string
	upstream *plainReceiver
	number   int
}

// ingest compares what is accepted per second.
func (b *relayBench) ingest(t table) error {
	noop, err := b.startOwn("noop")
	if err != nil {
		return err
	}
	defer noop.stop()
	plain, err := b.startOwn("append")
	if err != nil {
		return err
	}
	defer plain.stop()
	relay, err := b.startRelay(filepath.Join(b.dir, "ingest.db"), 300)
	if err != nil {
		return err
	}
	defer relay.stop()
	many, err := b.rates(64, relay, noop)
	if err != nil {
		return err
	}
	t.row("relay / no-op handler, 64 connections: events per second", ratiosOf(many[0], many[1]), atLeast(0.3), scale(many))
	one, err := b.rates(1, relay, plain)
	if err != nil {
		return err
	}
	t.row("relay / append and fsync, 1 connection: events per second", ratiosOf(one[0], one[1]), atLeast(0.5), scale(one))
	return nil
}

func scale(rates [][]float64) string {
	return fmt.Sprintf("%.0f / %.0f", median(rates[0]), median(rates[1]))
}

// rates measures servers in turn.
func (b *relayBench) rates(connections int, servers ...*served) ([][]float64, error) {
	rates := make([][]float64, len(servers))
	for range b.s.loads {
		for i, server := range servers {
			n, err := b.load(server.addr, connections, b.s.loadFor, -1)
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], float64(n)/b.s.loadFor.Seconds())
		}
	}
	return rates, nil
}

// load posts events with dedup keys of their own over that many connections, for
// that long or until so many were accepted.
func (b *relayBench) load(addr string, connections int, lasts time.Duration, most int64) (int64, error) {
	b.number++
	var accepted atomic.Int64
	end := time.Now().Add(lasts)
	err := connect(addr, connections, func(c int, send poster) error {
		for i := 0; time.Now().Before(end) && (most < 0 || accepted.Load() < most); i++ {
			if err := send(request(addr, fmt.Sprintf("%d-%d-%d", b.number, c, i))); err != nil {
				return err
			}
			accepted.Add(1)
		}
		return nil
	})
	return accepted.Load(), err
}

// poster sends a request over one connection and wants a 202.
type poster func(request []byte) error

// connect opens so many connections and does something with each, all at once. It
// waits for all of them and returns the first error.
func connect(addr string, connections int, do func(n int, send poster) error) error {
	var all sync.WaitGroup
	failed := make(chan error, connections)
	for n := range connections {
		all.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				failed <- err
				return
			}
			defer func() { _ = conn.Close() }()
			answers := bufio.NewReader(conn)
			if err := do(n, func(request []byte) error { return exchange(conn, answers, request) }); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// exchange sends a request and wants a 202. It costs next to nothing, as it shares
// the machine with what is measured.
func exchange(conn net.Conn, answers *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = errors.New(resp.Status)
	}
	return err
}

// request is one info of 600 bytes.
func request(addr, dedup string) []byte { return event(addr, integrationKey, dedup, "info") }

func event(addr, key, dedup, severity string) []byte {
	body := fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{"summary":%q,"source":"db-01.example.com","severity":%q,"timestamp":"2026-11-24T10:00:00.000Z","component":"postgres","group":"prod","class":"disk","custom_details":{"mount":"/var/lib/postgresql","used":"95 %%","free":"12.3 GB","runbook":"https://runbooks.example.com/disk","text":""}}}`,
		key, dedup, message, severity)
	if missing := 600 - len(body); missing > 0 {
		body = strings.Replace(body, `"text":""`, `"text":"`+strings.Repeat("x", missing)+`"`, 1)
	}
	return fmt.Appendf(nil, "POST /v2/enqueue HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)
}

// latency measures how long after its 202 an event reaches the upstream of an idle
// relay.
func (b *relayBench) latency(t table) error {
	relay, err := b.startRelay(filepath.Join(b.dir, "latency.db"), 100_000)
	if err != nil {
		return err
	}
	defer relay.stop()
	through, err := b.hops(relay.addr)
	if err != nil {
		return err
	}
	direct, err := b.hops(b.upstream.addr)
	if err != nil {
		return err
	}
	over := make([]float64, len(through))
	raw := median(direct)
	for i := range over {
		over[i] = (through[i] - raw) / 1e6 / 2
	}
	t.row("from 202 to the upstream, over the raw hop, p50 / 2 ms", ratios(over), atMost(1), fmt.Sprintf("%.2f ms, raw %.2f ms", median(through)/1e6, raw/1e6))
	return nil
}

// hops returns, for single events, the nanoseconds from the client's answer (or,
// if the upstream sees the event before that, from its request) to the upstream.
func (b *relayBench) hops(addr string) ([]float64, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	b.upstream.drain()
	b.number++
	var hops []float64
	for i := range 300 {
		sent := time.Now()
		if err := exchange(conn, answers, request(addr, fmt.Sprintf("hop-%d-%d", b.number, i))); err != nil {
			return nil, err
		}
		answered := time.Now()
		seen := <-b.upstream.seen
		from := answered
		if addr == b.upstream.addr {
			from = sent
		}
		hops = append(hops, float64(max(0, seen.Sub(from))))
	}
	return hops, nil
}

// million compares a queue of a million events with an empty one.
func (b *relayBench) million(t table) error {
	queue := filepath.Join(b.dir, "million.db")
	relay, err := b.startRelay(queue, 1)
	if err != nil {
		return err
	}
	empty := relay.rss()
	var before, after []float64
	for range b.s.loads {
		n, err := b.load(relay.addr, 64, b.s.loadFor, -1)
		if err != nil {
			return err
		}
		before = append(before, float64(n)/b.s.loadFor.Seconds())
	}
	if _, err := b.load(relay.addr, 64, 10*time.Minute, int64(b.s.rows)); err != nil {
		return err
	}
	full := relay.rss()
	for range b.s.loads {
		n, err := b.load(relay.addr, 64, b.s.loadFor, -1)
		if err != nil {
			return err
		}
		after = append(after, float64(n)/b.s.loadFor.Seconds())
	}
	first, err := firstPages(relay.admin)
	if err != nil {
		return err
	}
	relay.stop()
	t.row(fmt.Sprintf("ingest with %d queued / empty: events per second", b.s.rows), ratiosOf(after, before), atLeast(0.5), fmt.Sprintf("%.0f / %.0f", median(after), median(before)))
	t.row("memory with them, over the empty relay / 100 MiB", ratios{(full - empty) / 100}, atMost(1), fmt.Sprintf("%.0f MiB, empty %.0f MiB", full, empty))
	t.row("the console's first page with them, of a search for what is not there / 100 ms", first, atMost(1), fmt.Sprintf("%.0f ms", median(first)*100))
	started := time.Now()
	if relay, err = b.startRelay(queue, 100_000); err != nil {
		return err
	}
	t.row("start with them / 2 s", ratios{time.Since(started).Seconds() / 2}, atMost(1), time.Since(started).Round(time.Millisecond).String())
	large := b.settleRate()
	relay.stop()

	small := filepath.Join(b.dir, "small.db")
	if relay, err = b.startRelay(small, 1); err != nil {
		return err
	}
	if _, err := b.load(relay.addr, 64, time.Minute, 10_000); err != nil {
		return err
	}
	relay.stop()
	if relay, err = b.startRelay(small, 100_000); err != nil {
		return err
	}
	few := b.settleRate()
	relay.stop()
	t.row(fmt.Sprintf("settled per second, 10,000 queued / %d queued", b.s.rows), ratios{few / large}, atMost(1.5), fmt.Sprintf("%.0f / %.0f", few, large))
	return nil
}

// settleRate is how many events the upstream gets per second.
func (b *relayBench) settleRate() float64 {
	const count = 4000
	b.upstream.drain()
	first := <-b.upstream.seen
	last := first
	for range count {
		last = <-b.upstream.seen
	}
	return count / last.Sub(first).Seconds()
}

// plainReceiver is an upstream over plain HTTP that reports when it saw each event.
type plainReceiver struct {
	server *http.Server
	addr   string
	seen   chan time.Time
}

func newPlainReceiver() (*plainReceiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &plainReceiver{addr: l.Addr().String(), seen: make(chan time.Time, 1<<20)}
	r.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.seen <- time.Now()
		_, _ = io.Copy(io.Discard, req.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, acceptance)
	})}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// drain forgets what earlier measurements have left.
func (r *plainReceiver) drain() {
	for len(r.seen) > 0 {
		<-r.seen
	}
}

func (r *plainReceiver) close() { _ = r.server.Close() }
