package lane_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// peaceful is a world without faults, in which a test submits by itself.
func peaceful(t tb, limit int, plant string) *world {
	t.Helper()
	return newWorld(t, options{seed: 1, limit: limit, keys: 1, maxAge: 72 * time.Hour, plant: plant})
}

// withAndWithout runs a test as it is, and once more with a fault that it has to
// notice.
func withAndWithout(t *testing.T, plant, want string, test func(t tb, plant string)) {
	t.Helper()
	test(t, "")
	if got := failureOf(func(f *failure) { test(f, plant) }); !strings.Contains(got, want) {
		t.Errorf("with the fault %q it says %q, want %q", plant, got, want)
	}
}

func (w *world) trigger(dedup string, severity queue.Rank) {
	w.submit(queue.New{Lane: 1, Action: eventsv2.Trigger, DedupKey: dedup, Severity: severity, Accepted: w.now})
	w.settleDown()
}

// sentAt notes when each chain is accepted upstream.
func (w *world) sentAt() map[string]time.Time {
	at := map[string]time.Time{}
	for _, e := range w.store.All() {
		if e.State == queue.Delivered {
			at[e.DedupKey] = e.Ended
		}
	}
	return at
}

// A critical event leaves at once, whenever it comes, however many infos wait.
func TestCriticalPassesABacklog(t *testing.T) {
	withAndWithout(t, "nothing is reserved", "has not left within a second", criticalPassesABacklog)
}

func criticalPassesABacklog(t tb, plant string) {
	w := peaceful(t, 300, plant)
	for i := range 1500 { // more than leave while the criticals come
		w.trigger(fmt.Sprintf("info-%d", i), queue.Info)
	}
	for i := range 20 {
		w.run(w.now.Add(9 * time.Second))
		w.trigger(fmt.Sprintf("critical-%d", i), queue.Critical)
		before := w.now
		w.run(w.now.Add(time.Second))
		if at, ok := w.sentAt()[fmt.Sprintf("critical-%d", i)]; !ok || at.Sub(before) > time.Second {
			t.Fatalf("critical event %d has not left within a second: %+v", i, w.core.Statuses(w.now))
		}
	}
	w.run(w.now.Add(20 * time.Minute))
	w.check.end()
}

// A critical event behind a milder one of its own chain takes that with it.
func TestCriticalLiftsItsChain(t *testing.T) {
	w := peaceful(t, 60, "")
	for i := range 500 {
		w.trigger(fmt.Sprintf("info-%d", i), queue.Info)
	}
	w.trigger("db", queue.Info)
	w.submit(queue.New{Lane: 1, Action: eventsv2.Resolve, DedupKey: "db", Severity: queue.Info, Accepted: w.now})
	w.trigger("db", queue.Critical)
	w.run(w.now.Add(2 * time.Second))
	for _, e := range w.store.All() {
		if e.DedupKey == "db" && e.State != queue.Delivered {
			t.Errorf("event %d (%s) of the critical chain is %s", e.ID, e.Action, e.State)
		}
	}
}

// Under criticals without end an info still leaves: every tenth slot is the oldest
// chain's.
func TestNothingStarves(t *testing.T) {
	withAndWithout(t, "no tenth slot", "the info has not left", nothingStarves)
}

func nothingStarves(t tb, plant string) {
	const limit = 60
	w := peaceful(t, limit, plant)
	n := 0
	more := func() {
		for range 10 {
			n++
			w.trigger(fmt.Sprintf("critical-%d", n), queue.Critical)
		}
	}
	for range 20 { // 200 wait before the info comes
		more()
	}
	older := n
	w.trigger("info", queue.Info)
	for start := w.now; ; {
		more() // 60 a minute, as many as leave
		w.run(w.now.Add(10 * time.Second))
		if _, sent := w.sentAt()["info"]; sent {
			break
		}
		// What is older than the info needs a tenth of the slots, and it itself one.
		if bound := time.Duration(older*10/limit+2) * time.Minute; w.now.Sub(start) > bound {
			t.Fatalf("the info has not left within %s", bound)
		}
	}
}

// Ten thousand repeats of one trigger behind a backlog leave as one event that
// knows how many they were, and with the most severe of their severities.
func TestRepeatsLeaveAsOne(t *testing.T) {
	w := peaceful(t, 30, "")
	for i := range 100 {
		w.trigger(fmt.Sprintf("error-%d", i), queue.Error)
	}
	for i := range 10_000 {
		severity := queue.Info
		if i == 5000 {
			severity = queue.Warning
		}
		w.submit(queue.New{Lane: 1, Action: eventsv2.Trigger, DedupKey: "again", Severity: severity, Accepted: w.now})
	}
	w.run(w.now.Add(10 * time.Minute))
	for _, e := range w.store.All() {
		if e.DedupKey == "again" && (e.State != queue.Delivered || e.Repeats != 9_999 || e.Severity != queue.Warning) {
			t.Errorf("event %d is %s, with %d repeats, %s", e.ID, e.State, e.Repeats, e.Severity)
		}
	}
	if times := w.up.taken[1]; len(times) > 30 {
		t.Errorf("%d events were sent within a minute", len(times))
	}
	w.check.end()
}
