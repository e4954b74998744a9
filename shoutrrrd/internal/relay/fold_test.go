package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// flaps is the story of alerts that are opened and resolved ten times each, a minute apart,
// while nothing can be sent; one of them is open at the end, and one was open before.
func (w *world) flaps(outage, over func()) {
	w.submit(event{key: 1, severity: queue.Critical, action: eventsv2.Trigger, dedup: "was-open"})
	w.wait(time.Minute)
	outage()
	flapping := []event{
		{key: 0, severity: queue.Critical, dedup: "critical"},
		{key: 1, severity: queue.Warning, dedup: "warning"},
		{key: 1, severity: queue.Error, dedup: "stays"},
		{key: 1, severity: queue.Error, dedup: "was-open"},
	}
	for range 10 {
		for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve} {
			for _, e := range flapping {
				e.action = action
				w.submit(e)
			}
			w.wait(20 * time.Second)
		}
	}
	w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Trigger, dedup: "stays"})
	w.wait(time.Second)
	over()
	w.wait(5 * time.Minute)
	if n := w.queued(); n > 0 {
		w.fail("%d events are queued", n)
	}
}

func (w *world) flapsWhilePaused() {
	w.flaps(func() {
		w.holdKey(0, 11*time.Minute)
		w.holdKey(1, 11*time.Minute)
	}, func() { w.wait(time.Minute) })
}

func (w *world) flapsWhileAway() {
	w.flaps(func() { w.hostMood(common, "away") }, func() { w.hostMood(common, "") })
}

func (w *world) flapsWhileHanging() {
	w.flaps(func() { w.hostMood(common, "hanging") }, func() { w.hostMood(common, "") })
}

var flapping = options{seed: 1, store: "file", limit: 120, maxAge: 8 * time.Hour, waiting: "one"}

// arrivals counts the triggers and the change events of an alert that PagerDuty has taken.
func (j *judge) arrivals(dedup string) (triggers, notes int) {
	for id, c := range j.chains {
		for _, r := range c.records {
			switch {
			case len(r.takes) == 0:
			case id.dedup == dedup && r.action == eventsv2.Trigger:
				triggers++
			case strings.HasPrefix(id.dedup, "note ") && strings.HasSuffix(id.dedup, " of "+dedup):
				notes++
			}
		}
	}
	return triggers, notes
}

// Alerts are opened and resolved ten times while their lanes are paused: each is one
// incident that tells of all, or a change event, or all that was sent, as the setting says.
// What is open at the end pages, and what was open before is resolved first.
func TestFlappingWhilePaused(t *testing.T) {
	for way, wants := range map[string]map[string][2]int{ // triggers and change events
		"one":  {"critical": {1, 0}, "warning": {1, 0}, "stays": {1, 0}, "was-open": {3, 0}},
		"note": {"critical": {0, 1}, "warning": {0, 1}, "stays": {1, 0}, "was-open": {2, 1}},
		"all":  {"critical": {10, 0}, "warning": {10, 0}, "stays": {11, 0}, "was-open": {11, 0}},
	} {
		o := flapping
		o.store, o.waiting = "twin", way
		w := flapped(t, o, (*world).flapsWhilePaused)
		for dedup, want := range wants {
			if triggers, notes := w.judge.arrivals(dedup); triggers != want[0] || notes != want[1] {
				t.Errorf("%s: of %s PagerDuty has got %d triggers and %d change events, want %d and %d", way, dedup, triggers, notes, want[0], want[1])
			}
		}
	}
}

// A host is away for as long, and the first trigger of each alert was tried in vain: that
// changes nothing.
func TestFlappingWhileTheHostIsAway(t *testing.T) {
	// Triggers and change events of what is over. A probe that is claimed meanwhile makes a
	// change event of what has come by then.
	for way, wants := range map[string][2]int{"": {1, 0}, "one": {1, 0}, "note": {0, 2}} {
		o := flapping
		o.store, o.waiting = "twin", way
		w := flapped(t, o, (*world).flapsWhileAway)
		for dedup, want := range map[string][2]int{"critical": wants, "warning": wants, "stays": {1, wants[1]}} {
			if triggers, notes := w.judge.arrivals(dedup); triggers != want[0] || notes > want[1] || triggers+notes == 0 {
				t.Errorf("%q: of %s PagerDuty has got %d triggers and %d change events, want %d and at most %d", way, dedup, triggers, notes, want[0], want[1])
			}
		}
		if w.judge.reached["folded after an attempt in vain"] == 0 {
			t.Errorf("%q: nothing was folded that was tried", way)
		}
	}
}

func flapped(t *testing.T, o options, story func(*world)) *world {
	t.Helper()
	w, verdict := simulate(t, o, story)
	if verdict != "" {
		t.Fatal(verdict)
	}
	return w
}

// What waits for a turn for some seconds is no flapping: each event is sent.
func TestQuickPairsAreSent(t *testing.T) {
	w := flapped(t, options{seed: 1, store: "twin", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
		for range 5 {
			w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Trigger, dedup: "quick"})
			w.wait(time.Millisecond)
			w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Resolve, dedup: "quick"})
			w.wait(time.Millisecond)
		}
		w.wait(time.Minute)
	})
	if triggers, _ := w.judge.arrivals("quick"); triggers != 5 || w.judge.reached["folded"] > 0 {
		t.Errorf("%d triggers have arrived, want 5; %d chains were folded", triggers, w.judge.reached["folded"])
	}
}
