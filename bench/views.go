package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// largeEvents and largeSource make a list of events that are as large as PagerDuty
	// takes them.
	largeEvents = 500
	largeSource = 480_000
	// searchers is how many browsers follow a search of their own.
	searchers = 60
	// lookEvery is longer than the second for which the relay answers from one look at
	// the queue, so that each request that is measured pays for its own. No answer
	// shows when that second is over.
	lookEvery = 1200 * time.Millisecond
	lookTimes = 7
)

// viewSection measures what people and their monitoring wait for: with many lanes, and
// with large events. Nothing leaves meanwhile, as no upstream takes connections.
func viewSection(s setting) error {
	noUpstream := func(b *relayBench, _ table) error { b.upstream.close(); return nil }
	return measureRelay(s, "What people and monitoring wait for", noUpstream, (*relayBench).manyLanes, (*relayBench).largeLists)
}

// manyLanes asks for status, lanes, console and metrics of a relay with many lanes,
// each of which has an event queued.
func (b *relayBench) manyLanes(t table) error {
	relay, err := b.startRelay(filepath.Join(b.dir, "lanes.db"), 300)
	if err != nil {
		return err
	}
	defer relay.stop()
	if err := postOver(relay.addr, b.s.lanes, b.s.lanes); err != nil {
		return err
	}
	for _, page := range []struct{ name, path string }{
		{"the status", "/api/status"},
		{"the first page of the lanes", "/api/lanes"},
		{"a search among the lanes for what is not there", "/api/lanes?q=nothing"},
		{"the metrics", "/metrics"},
		{"the console's overview", "/"},
	} {
		took, err := looks(relay.admin, page.path, lookTimes)
		if err != nil {
			return fmt.Errorf("%s: %w", page.path, err)
		}
		t.row(fmt.Sprintf("%s, %d lanes with an event each / 300 ms", page.name, b.s.lanes), over(took, 0.3), atMost(1), fmt.Sprintf("%.0f ms", median(took)*1000))
	}
	return nil
}

// largeLists asks for a list of large events, and for the status while many browsers
// follow searches in them.
func (b *relayBench) largeLists(t table) error {
	relay, err := b.startRelay(filepath.Join(b.dir, "large.db"), 300)
	if err != nil {
		return err
	}
	defer relay.stop()
	conn, err := net.Dial("tcp", relay.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	source := strings.Repeat("A", largeSource)
	for n := range largeEvents {
		body := fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":"large-%d","payload":{"summary":"number %[2]d","source":%q,"severity":"info"}}`, integrationKey, n, source)
		if err := exchange(conn, answers, fmt.Appendf(nil, "POST /v2/enqueue HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", relay.addr, len(body), body)); err != nil {
			return err
		}
	}
	before := relay.rss()
	took, err := looks(relay.admin, "/api/events?limit=500", lookTimes)
	if err != nil {
		return err
	}
	grown := relay.rss() - before
	what := fmt.Sprintf("a list of %d events of %d kB", largeEvents, largeSource/1000)
	t.row(what+" / 1 s", over(took, 1), atMost(1), fmt.Sprintf("%.0f ms", median(took)*1000))
	t.row("memory that it takes / 50 MiB", ratios{max(0, grown) / 50}, atMost(1), fmt.Sprintf("%.0f MiB", grown))

	for _, page := range []string{"/api/status", "/metrics"} {
		alone, err := looks(relay.admin, page, lookTimes)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}
		var all sync.WaitGroup
		for n := range searchers {
			url := fmt.Sprintf("http://%s/live?page=%%2Fevents%%3Fq%%3Dnothing%d", relay.admin, n)
			all.Go(func() { follow(ctx, client, url, func(error) {}) })
		}
		during, err := looks(relay.admin, page, lookTimes)
		cancel()
		all.Wait()
		if err != nil {
			return err
		}
		t.row(fmt.Sprintf("%s while %d browsers follow searches in them / 300 ms", page, searchers), over(during, 0.3), atMost(1),
			fmt.Sprintf("%.0f ms, without them %.0f ms", median(during)*1000, median(alone)*1000))
	}
	return nil
}

// looks asks for a page so often and returns the seconds that each answer took. A
// browser gets the console, other clients a list of paths.
func looks(admin, path string, times int) ([]float64, error) {
	var took []float64
	for range times {
		time.Sleep(lookEvery)
		seconds, err := look(admin, path)
		if err != nil {
			return nil, err
		}
		took = append(took, seconds)
	}
	return took, nil
}

func look(admin, path string) (seconds float64, err error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+admin+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "text/html")
	begun := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return time.Since(begun).Seconds(), err
}

// over are times in terms of a goal.
func over(took []float64, goal float64) ratios {
	r := make(ratios, len(took))
	for i := range took {
		r[i] = took[i] / goal
	}
	return r
}
