package lane_test

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// tries fails unless the critical event is tried within that time from now.
func (s *script) tries(id int64, what string, within time.Duration) {
	s.t.Helper()
	for until := s.now.Add(within); ; s.wait(50 * time.Millisecond) {
		for _, e := range s.attempts {
			if e.ID == id {
				return
			}
		}
		if !s.now.Before(until) {
			s.t.Fatalf("%s was not tried within %s: %+v", what, within, s.core.Statuses(s.now))
		}
	}
}

// A host is down, because of events that hang. A critical event is tried within a
// second, also if others became ready right before it and right behind it, and those
// are tried as well: one each second.
func TestCriticalsProbeInTheirOrder(t *testing.T) {
	s := newScript(t, lane.Options{})
	for id := range int64(6) {
		s.open(id+1, "pagerduty", 60)
	}
	s.down(1)
	for range 6 { // probes that hang; the interval has grown
		s.arrive(1, queue.Error, 1)
		s.wait(40 * time.Second)
	}
	s.arrive(2, queue.Critical, 1)
	s.tries(s.nextID, "the first critical event", time.Second)
	ids := map[int64]int64{}
	for id := int64(3); id <= 6; id++ {
		s.arrive(id, queue.Critical, 1)
		ids[id] = s.nextID
		s.wait(10 * time.Millisecond)
	}
	for id := int64(3); id <= 6; id++ {
		s.tries(ids[id], "a critical event", time.Second)
	}
}

// The lane of a critical event has others that always fail. The new one is tried first.
func TestProbeTakesTheLeastTried(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 300)
	s.open(2, "pagerduty", 300)
	s.down(1)
	for id := int64(1); id <= 2; id++ { // one of each lane has failed in this outage
		s.arrive(id, queue.Critical, 1)
		s.wait(time.Second)
		s.answer(&eventsv2.Error{Err: errAway, Sent: true})
	}
	for id := int64(1); id <= 2; id++ {
		for i := range int64(10) {
			s.again(queue.Event{ID: 100*id + i, Lane: id, Action: eventsv2.Trigger, Priority: queue.Critical, Attempts: 5, Fresh: s.now})
		}
	}
	s.arrive(2, queue.Critical, 1)
	s.tries(s.nextID, "the new critical event", 2*time.Second)
}

// A lane's turn has come for its oldest event, as every tenth. The probe that goes out
// because a critical event waits is of that one all the same.
func TestCriticalProbeIsNotTheOldestEvents(t *testing.T) {
	for turns := range 10 {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 300)
		s.open(2, "pagerduty", 300)
		s.acceptAll(2, queue.Info, turns)
		s.down(1)
		for range 3 { // the interval of ordinary probes has grown
			s.arrive(1, queue.Error, 1)
			s.wait(20 * time.Second)
			s.answer(&eventsv2.Error{Err: errAway, Sent: true})
		}
		s.arrive(1, queue.Error, 1) // the probe of these seconds
		s.arrive(2, queue.Info, 1)
		s.arrive(2, queue.Critical, 1)
		s.tries(s.nextID, "the critical event", 50*time.Millisecond)
	}
}
