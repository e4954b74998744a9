package lane_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// crowd is a world without faults of many lanes, those with odd numbers on one host
// and the others on another, and places for few attempts.
func crowd(t tb, lanes, capacity int, plant string) *world {
	t.Helper()
	return newWorld(t, options{seed: 1, limit: 300, keys: lanes, capacity: capacity, ordered: true, maxAge: 72 * time.Hour, plant: plant})
}

// put submits a trigger of a lane and returns its number.
func (w *world) put(id int64, dedup string, severity queue.Rank) int64 {
	e := queue.New{Lane: id, Action: eventsv2.Trigger, DedupKey: dedup, Severity: severity, Accepted: w.wall()}
	w.check.submitted(&e)
	placed, err := w.store.Put(w.ctx(), e)
	if err != nil {
		w.fatalf("put: %v", err)
	}
	w.settleDown()
	return placed.ID
}

// leaves fails unless the event leaves within that time from now.
func (w *world) leaves(id int64, what string, within time.Duration) {
	start := w.now
	w.run(w.now.Add(within))
	if at, ok := w.check.left[id]; !ok || at.Sub(start) > within {
		w.fatalf("%s has not left within %s: %+v", what, within, w.core.Statuses(w.wall()))
	}
}

// When places are short, the critical events of all lanes leave before what is milder
// in any of them, every tenth place excepted.
func TestCriticalsOfAllLanesLeaveFirst(t *testing.T) {
	withAndWithout(t, "one queue for all ranks", "milder events have left", criticalsOfAllLanesLeaveFirst)
}

func criticalsOfAllLanesLeaveFirst(t tb, plant string) {
	const lanes, capacity = 300, 16
	w := crowd(t, lanes, capacity, plant)
	for id := range int64(lanes) {
		for i := range 4 {
			w.put(id+1, fmt.Sprintf("info-%d", i), queue.Rank(1+i%3))
		}
	}
	w.run(w.now.Add(500 * time.Millisecond))
	w.check.order = nil
	for id := range int64(lanes / 3) {
		w.put(1+id*3, "critical", queue.Critical)
	}
	w.run(w.now.Add(time.Minute))
	criticals, milder := 0, 0
	for _, e := range w.check.order {
		if e.Priority != queue.Critical {
			milder++
		} else if criticals++; criticals == lanes/3 {
			break
		}
	}
	// In a claim of a lane whose tenth slot it is, one of its own oldest events goes too.
	if most := capacity + criticals/5; criticals < lanes/3 || milder > most {
		t.Fatalf("%d milder events have left before %d criticals, want at most %d", milder, criticals, most)
	}
	w.run(w.now.Add(10 * time.Minute))
	w.check.end()
}

// Where criticals without end take all places, an info of another lane still leaves.
func TestNoLaneStarves(t *testing.T) {
	withAndWithout(t, "no tenth slot", "the info has not left within", noLaneStarves)
}

func noLaneStarves(t tb, plant string) {
	const lanes = 41
	w := crowd(t, lanes, 4, plant)
	n := 0
	more := func() { // each lane has a few at any time, many more than there are places
		for id := range int64(lanes - 1) {
			for range 4 {
				n++
				w.put(id+1, fmt.Sprintf("critical-%d", n), queue.Critical)
			}
		}
	}
	more()
	w.run(w.now.Add(time.Second))
	info := w.put(lanes, "info", queue.Info)
	for range 60 {
		w.run(w.now.Add(time.Second))
		if _, left := w.check.left[info]; left {
			return
		}
		if w.check.waiting() < 4*lanes {
			more()
		}
	}
	t.Fatalf("the info has not left within a minute")
}

// Infos whose attempts hang do not keep the critical events of idle lanes from
// leaving, also not on the same host.
func TestPlacesAreReservedForCriticals(t *testing.T) {
	withAndWithout(t, "no place is reserved", "a critical event has not left", placesAreReserved)
}

func placesAreReserved(t tb, plant string) {
	w := crowd(t, 100, 16, plant)
	for id := int64(1); id < 60; id += 2 {
		for i := range 5 {
			w.put(id, fmt.Sprintf("hanging-%d", i), queue.Info)
		}
	}
	w.run(w.now.Add(5 * time.Second))
	w.leaves(w.put(61, "page", queue.Critical), "a critical event", time.Second)
}

// One host whose attempts hang does not take all places: events of any severity that
// go to another host leave at once.
func TestNoHostTakesAllPlaces(t *testing.T) {
	withAndWithout(t, "one host takes all places", "an info to the other host has not left", noHostTakesAllPlaces)
}

func noHostTakesAllPlaces(t tb, plant string) {
	w := crowd(t, 100, 16, plant)
	for id := int64(1); id < 60; id += 2 {
		for i := range 5 {
			w.put(id, fmt.Sprintf("hanging-%d", i), queue.Error)
		}
	}
	w.run(w.now.Add(5 * time.Second))
	w.leaves(w.put(2, "other", queue.Info), "an info to the other host", time.Second)
}

// An event whose body something on the way dislikes, however that shows, waits alone:
// what else goes to that host leaves at once, minutes later as well.
func TestOneEventWaitsAlone(t *testing.T) {
	for _, dedup := range []string{"cursed", "hanging", "poison"} {
		t.Run(dedup, func(t *testing.T) {
			oneEventWaitsAlone(t, dedup, "")
		})
	}
	if got := failureOf(func(f *failure) { oneEventWaitsAlone(f, "cursed", "one chain opens the breaker") }); got == "" {
		t.Error("a breaker that one chain opens is not noticed")
	}
}

func oneEventWaitsAlone(t tb, dedup, plant string) {
	w := crowd(t, 8, 64, plant)
	w.put(1, dedup, queue.Critical)
	for i := range 40 {
		w.run(w.now.Add(7 * time.Second))
		w.leaves(w.put([]int64{1, 3, 5}[i%3], fmt.Sprintf("good-%d", i), queue.Rank(i%4)), "an event behind a disliked one", time.Second)
	}
	if w.check.reached["upstream down"] > 0 {
		t.Fatalf("one event has opened the breaker")
	}
	w.up.heal()
	w.run(w.now.Add(2 * time.Minute))
	w.check.end()
}

// Several disliked events open the breaker, and a critical one of another lane still
// leaves as soon as the last probe is a second old.
func TestCriticalTriesAHostThatIsDown(t *testing.T) {
	w := crowd(t, 9, 64, "")
	for i := range int64(4) {
		w.put(1+2*i, fmt.Sprintf("cursed-%d", i), queue.Critical)
	}
	for i := range 20 {
		w.run(w.now.Add(33 * time.Second))
		w.leaves(w.put(9, fmt.Sprintf("good-%d", i), queue.Critical), "a critical event behind disliked ones", 1010*time.Millisecond)
	}
	if w.check.reached["upstream down"] == 0 {
		t.Fatal("four events have not opened the breaker")
	}
}

// When the host is reached again, everything leaves at once, also what was tried while
// no connection could be made.
func TestEverythingLeavesWhenTheHostIsBack(t *testing.T) {
	w := crowd(t, 8, 64, "")
	w.up.mood = "away"
	var all []int64
	for i := range int64(8) {
		all = append(all, w.put(1+i, "page", queue.Rank(i%4)))
	}
	w.run(w.now.Add(20 * time.Minute))
	w.up.heal()
	w.run(w.now.Add(maxProbe + time.Second))
	for _, id := range all {
		if e, ok := w.event(id); !ok || e.State != queue.Delivered {
			t.Errorf("event %d is %s", id, e.State)
		}
	}
}

// maxProbe is the longest time between two probes, a quarter of spread included.
const maxProbe = 30 * time.Second * 5 / 4

// Many events of one lane that something on the way dislikes do not go before a
// critical event of another lane that is new, however often they are tried.
func TestFailingLaneDoesNotTakeTheProbes(t *testing.T) {
	w := crowd(t, 4, 64, "")
	for i := range 100 {
		w.put(1, fmt.Sprintf("cursed-%d", i), queue.Critical)
	}
	for i := range 40 {
		w.run(w.now.Add(700 * time.Millisecond))
		w.leaves(w.put(3, fmt.Sprintf("page-%d", i), queue.Critical), "a new critical event", 1010*time.Millisecond)
	}
}
