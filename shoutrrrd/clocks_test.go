package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
)

// hands are the clocks of a machine, which a test sets.
type hands struct {
	begun time.Time // when they were set first
	mu    sync.Mutex
	r     clock.Reading // as they would be at that moment
}

func (h *hands) read() clock.Reading {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, passed := h.r, time.Since(h.begun)
	r.Wall, r.Boot = r.Wall.Add(passed), r.Boot+passed
	return r
}

// suspend lets a time pass that no timer sees.
func (h *hands) suspend(long time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.r.Wall, h.r.Boot = h.r.Wall.Add(long), h.r.Boot+long
}

// set sets the wall clock.
func (h *hands) set(by time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.r.Wall = h.r.Wall.Add(by)
}

// relayWith runs a relay within the test, with these clocks.
func relayWith(t *testing.T, h *hands, dir, upstream string) (p *process, end func()) {
	t.Helper()
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	p = &process{log: &watchedLog{lines: make(chan string, 10_000)}}
	ended := make(chan int, 1)
	go p.log.follow(reader)
	go func() {
		ended <- run(ctx, &system{
			args: []string{
				"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", filepath.Join(dir, "queue.db"), "--upstream", upstream, "--log-format", "json",
			},
			getenv: func(string) string { return "" }, stdout: io.Discard, stderr: writer, isTerminal: func(any) bool { return false }, clock: h.read,
		})
		_ = writer.Close()
	}()
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if status := <-ended; status != exitOK {
				t.Errorf("it ended with status %d:\n%s", status, p.log)
			}
		})
	}
	t.Cleanup(end)
	return p, end
}

// A machine was suspended for 80 hours, and then its clock is set, forward and back, by ten
// years. What is accepted after that has the date that the clock shows, also in its history
// and after a restart, and nobody is told that it has waited for days. It is delivered when
// the upstream is back, though its date and that of the next process differ by years.
func TestDatesAndAges(t *testing.T) {
	const years = 10 * 365 * 24 * time.Hour
	h := &hands{begun: time.Now(), r: clock.Reading{Wall: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Boot: time.Hour, ID: "a"}}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := "http://" + nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, end := relayWith(t, h, dir, away)
	for n, by := range []time.Duration{0, years, -2 * years, years} {
		h.suspend(20 * time.Hour)
		h.set(by)
		p.accept(t, string(rune(97+n)), "critical")
		p.looksRight(t, h, n+1, 20*time.Hour)
	}
	h.suspend(time.Minute)
	end()
	h.set(-years)
	upstream, err := pagerdutytest.StartServer(pagerdutytest.New(pagerdutytest.Options{Limit: -1}), pagerdutytest.ServerOptions{Listen: nobody.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upstream.Close)
	p, _ = relayWith(t, h, dir, away)
	p.drained(t, time.Minute)
	if n := len(upstream.Incidents()); n != 4 {
		t.Errorf("%d incidents are open, want 4", n)
	}
	p.looksRight(t, h, 4, 20*time.Hour)
}

// looksRight looks at the dates and the age of the latest of some events, which was accepted
// at most two minutes ago. Those before it were accepted as long before each other as it says.
func (p *process) looksRight(t *testing.T, h *hands, events int, apart time.Duration) {
	t.Helper()
	now := h.read().Wall
	near := func(what string, at, want time.Time) {
		t.Helper()
		if d := at.Sub(want).Abs(); d > 2*time.Minute {
			t.Errorf("%s is %s, want %s", what, at, want)
		}
	}
	var status struct{ Now, Started_at time.Time }
	var list struct {
		Events []struct {
			ID          string
			Accepted_at time.Time
		}
	}
	for path, into := range map[string]any{"/api/status": &status, "/api/events": &list} {
		if err := json.Unmarshal([]byte(p.get(t, path)), into); err != nil {
			t.Fatal(err)
		}
	}
	near("now", status.Now, now)
	if len(list.Events) != events {
		t.Fatalf("%d events are listed, want %d", len(list.Events), events)
	}
	for i, e := range list.Events {
		near("the acceptance of event "+e.ID, e.Accepted_at, now.Add(-time.Duration(i)*apart))
		var full struct{ History []struct{ At time.Time } }
		if err := json.Unmarshal([]byte(p.get(t, "/api/events/"+e.ID)), &full); err != nil {
			t.Fatal(err)
		}
		near("the beginning of its history", full.History[0].At, now.Add(-time.Duration(i)*apart))
	}
	page := p.get(t, "/events/"+list.Events[0].ID)
	if want := now.UTC().Format(time.DateOnly); !strings.Contains(page, want) {
		t.Errorf("the page of an event that was just accepted does not say %s:\n%.2000s", want, page)
	}
}
