package lane_test

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	listedLane   = 1
	provenLane   = 2
	strangerLane = 1000 // and those that follow: their keys are unknown
	strangers    = 10_000
	pages        = 70 // one each second, so that attempts that hang have ended before the last ones
)

// flood is a script whose attempts take time, with many lanes of unknown keys beside one
// that the configuration lists and one of which PagerDuty has accepted something before.
type flood struct {
	*script
	takes  func(queue.Event) time.Duration // how long the attempt of an event takes
	ends   map[int64]time.Time             // of the attempts in flight, by event
	begun  map[int64]time.Time             // of all attempts, by event
	turned int                             // attempts that are in ends
}

func newFlood(t *testing.T, plant string) *flood {
	t.Helper()
	s := newScript(t, lane.Options{})
	lane.Break(s.core, plant)
	s.open(listedLane, "pagerduty", 300)
	s.step(lane.Opened{Lane: queue.Lane{ID: provenLane, Proven: true}, Host: "pagerduty", Limit: 300})
	return &flood{script: s, ends: map[int64]time.Time{}, begun: map[int64]time.Time{}}
}

// stranger lets a critical event of an unknown key arrive.
func (f *flood) stranger(n int64) {
	f.step(lane.Opened{Lane: queue.Lane{ID: strangerLane + n}, Host: "pagerduty", Limit: 60})
	f.arrive(strangerLane+n, queue.Critical, 1)
}

// run lets time pass. An attempt that takes no more than that ends, and is accepted
// unless it took longer than a client waits.
func (f *flood) run(d time.Duration) {
	until := f.now.Add(d)
	for {
		for _, e := range f.attempts[f.turned:] {
			f.begun[e.ID], f.ends[e.ID] = f.now, f.now.Add(f.takes(e))
		}
		f.turned = len(f.attempts)
		next := -1 // the first attempt to end
		for i, e := range f.attempts {
			if next < 0 || f.ends[e.ID].Before(f.ends[f.attempts[next].ID]) {
				next = i
			}
		}
		if next < 0 || f.ends[f.attempts[next].ID].After(until) {
			break
		}
		e := f.attempts[next]
		f.attempts = append(f.attempts[:next:next], f.attempts[next+1:]...)
		f.turned--
		f.wait(f.ends[e.ID].Sub(f.now))
		var err *eventsv2.Error
		if f.takes(e) >= 30*time.Second {
			err = &eventsv2.Error{Err: errAway, Sent: true}
		}
		f.step(lane.Answered{Lane: e.Lane, ID: e.ID, Err: err})
	}
	f.wait(until.Sub(f.now))
	for _, e := range f.attempts[f.turned:] {
		f.begun[e.ID], f.ends[e.ID] = f.now, f.now.Add(f.takes(e))
	}
	f.turned = len(f.attempts)
}

// Ten thousand unknown keys send a critical event each. One of a lane that is listed, or
// of which PagerDuty has accepted something, leaves within a second all the same, and
// the others leave as well.
func TestStrangersDoNotDelayTrustedLanes(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
	}{{"slow", 300 * time.Millisecond}, {"hanging", 30 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			if late := strangersDelay(t, c.takes, ""); late != "" {
				t.Error(late)
			}
			if late := strangersDelay(t, c.takes, "strangers are trusted"); late == "" {
				t.Error("it is not noticed that strangers are trusted")
			}
		})
	}
}

func strangersDelay(t *testing.T, takes time.Duration, plant string) (late string) {
	f := newFlood(t, plant)
	f.takes = func(e queue.Event) time.Duration {
		if e.Lane < strangerLane {
			return 300 * time.Millisecond
		}
		return takes
	}
	for n := range int64(strangers) {
		f.stranger(n)
	}
	f.run(100 * time.Millisecond)
	for i := range pages {
		from := f.now
		of := int64(listedLane + i%2)
		f.arrive(of, queue.Critical, 1)
		id := f.nextID
		f.run(time.Second)
		if at, left := f.begun[id]; !left || at.Sub(from) > time.Second {
			return "a critical event of a trusted lane has not left within a second"
		}
	}
	if takes < time.Second {
		f.run(time.Minute)
		if len(f.begun) != strangers+pages {
			return "not all events of unknown keys have left"
		}
	}
	return ""
}

// Lanes that are not listed, of which PagerDuty has accepted something, may be thousands
// as well. They do not delay a listed one.
func TestProvenLanesDoNotDelayListedOnes(t *testing.T) {
	for _, takes := range []time.Duration{300 * time.Millisecond, 25 * time.Second} {
		f := newFlood(t, "")
		f.takes = func(e queue.Event) time.Duration {
			if e.Lane == listedLane {
				return 300 * time.Millisecond
			}
			return takes
		}
		for n := range int64(strangers) {
			id := strangerLane + n
			f.step(lane.Opened{Lane: queue.Lane{ID: id, Proven: true}, Host: "pagerduty", Limit: 60})
			f.arrive(id, queue.Critical, 1)
		}
		for range 20 {
			f.arrive(listedLane, queue.Critical, 1)
			id := f.nextID
			f.run(time.Second)
			if _, left := f.begun[id]; !left {
				t.Fatalf("attempts take %s: a critical event of a listed lane has not left within a second", takes)
			}
		}
	}
}

// Where lanes that are trusted have critical events without end, a critical event of an
// unknown key still leaves.
func TestStrangersDoNotStarve(t *testing.T) {
	f := newFlood(t, "")
	f.takes = func(queue.Event) time.Duration { return 300 * time.Millisecond }
	const storming = 500
	for id := int64(listedLane); id < listedLane+storming; id++ {
		f.step(lane.Opened{Lane: queue.Lane{ID: id, Proven: true}, Host: "pagerduty", Limit: 1_000_000})
		f.arrive(id, queue.Critical, 100)
	}
	f.run(time.Second)
	f.stranger(0)
	id := f.nextID
	f.run(10 * time.Second)
	if _, left := f.begun[id]; !left {
		t.Error("a critical event of an unknown key has not left within 10 s")
	}
}

// Five hundred keys that are listed and rejected are tried again, as after a reload.
// What tries them holds no place that is reserved for listed keys which are valid.
func TestRejectedKeysHoldNoPlaceOfListedOnes(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(listedLane, "pagerduty", 300)
	for n := range int64(500) {
		rejected := queue.Lane{ID: strangerLane + n, KeyRefused: s.now.Add(-time.Hour)}
		s.step(lane.Opened{Lane: rejected, Host: "pagerduty", Limit: 300, Listed: true})
		s.arrive(rejected.ID, queue.Critical, 1)
	}
	s.arrive(listedLane, queue.Critical, 1)
	last := s.attempts[len(s.attempts)-1]
	if last.Lane != listedLane {
		t.Errorf("beside %d attempts of rejected keys the page has not left", len(s.attempts))
	}
}

// All that two listed keys send hangs, and so does what strangers send. A third listed
// key is paged within a second all the same.
func TestHangingListedLanesLeavePlaces(t *testing.T) {
	f := newFlood(t, "")
	f.takes = func(e queue.Event) time.Duration {
		if e.Lane == listedLane {
			return 300 * time.Millisecond
		}
		return 25 * time.Second
	}
	for n := range int64(400) {
		f.stranger(n)
	}
	for id := int64(strangerLane - 3); id < strangerLane; id++ {
		f.step(lane.Opened{Lane: queue.Lane{ID: id}, Host: "pagerduty", Limit: 300, Listed: true})
		f.arrive(id, queue.Critical, 20)
	}
	for range 20 {
		f.arrive(listedLane, queue.Critical, 1)
		id := f.nextID
		f.run(time.Second)
		if _, left := f.begun[id]; !left {
			t.Fatal("a critical event of a listed lane has not left within a second")
		}
	}
}
