package lane_test

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

func (s *script) status(id int64) lane.Status {
	s.t.Helper()
	status, ok := s.core.Status(s.now, id)
	if !ok {
		s.t.Fatalf("lane %d is not open", id)
	}
	return status
}

// The status of a lane of a pool has the lane by which new critical chains leave instead.
func TestStatusHasTheSister(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "keys")
	s.member(2, "keys")
	if got := s.status(1).Sister; got != nil {
		t.Errorf("while it can send: %+v", got)
	}
	s.step(lane.Hold{Lane: 1, Held: true})
	if got := s.status(1).Sister; got == nil || got.Lane != 2 || got.Sister != nil {
		t.Errorf("while it is paused: %+v", got)
	}
	s.step(lane.Hold{Lane: 2, Held: true})
	if got := s.status(1).Sister; got != nil {
		t.Errorf("while both are paused: %+v", got)
	}
}

// A page of a lane whose key is rejected tries the key now and then, and leaves by the
// sister at once.
func TestSisterOfARejectedKey(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "keys")
	s.member(2, "keys")
	s.arrive(1, queue.Critical, 1)
	e := s.attempts[0]
	s.attempts = nil
	s.step(lane.Answered{Lane: 1, ID: e.ID, Err: &eventsv2.Error{Status: 403, Rejected: true}, Other: 2})
	for range 8 {
		if got := s.status(1); !got.KeyRefused || got.Sister == nil || got.Sister.Lane != 2 {
			t.Errorf("%+v", got)
		}
		s.wait(15 * time.Second)
	}
	closed := lane.Opened{Lane: queue.Lane{ID: 3, KeyRefused: s.now}, Host: "pagerduty", Limit: 20, Pool: "keys"}
	if got := s.core.Prospect(s.now, closed); !got.KeyRefused || got.Sister == nil {
		t.Errorf("one that is not open: %+v", got)
	}
	if closed.Pool = ""; s.core.Prospect(s.now, closed).Sister != nil {
		t.Error("one of no pool has a sister")
	}
}

// A rejected key is what is the matter with its lane, also if attempts have failed before
// that, and with the lane of a pool, which goes on. The time of the next attempt is told
// where it is known.
func TestConditionOfARejectedKey(t *testing.T) {
	for _, other := range []int64{0, 2} {
		s := newScript(t, lane.Options{})
		s.member(1, "keys")
		s.member(2, "keys")
		s.arrive(1, queue.Critical, 1)
		s.again(s.answer(&eventsv2.Error{Status: 500}))
		if got := s.status(1).Condition; got != lane.Failing {
			t.Errorf("after a 500 it is %s", got)
		}
		s.wait(10 * time.Second)
		e := s.attempts[0]
		s.attempts = nil
		s.step(lane.Answered{Lane: 1, ID: e.ID, Err: &eventsv2.Error{Status: 400, Rejected: true, Message: "Invalid routing key"}, Other: other})
		got := s.status(1)
		if got.Condition != lane.KeyRejected || got.Until.IsZero() == (other == 0) || other == 0 && !got.Until.After(s.now) {
			t.Errorf("with the other key %d, after a rejection: %s until %s", other, got.Condition, got.Until)
		}
		if s.wait(16 * time.Minute); other == 0 {
			s.step(lane.Hold{Lane: 2, Held: true})
		}
		if got = s.status(1); got.Condition != lane.KeyRejected || !got.Until.IsZero() {
			t.Errorf("with the other key %d, while nothing keeps an event from trying it: %s until %s", other, got.Condition, got.Until)
		}
	}
}

// That an upstream has accepted nothing since its last failure is remembered until it
// accepts, also when nothing is queued any more and the lane is closed.
func TestFailureIsRemembered(t *testing.T) {
	for _, listed := range []bool{true, false} {
		s := newScript(t, lane.Options{})
		opened := lane.Opened{Lane: queue.Lane{ID: 1}, Host: "pagerduty", Limit: 20, Listed: listed}
		s.step(opened)
		s.arrive(1, queue.Critical, 1)
		s.answer(&eventsv2.Error{Status: 500})
		s.wait(10 * time.Minute)
		told, ok := s.core.Report(s.now, 1)
		if !listed {
			told, ok = s.core.Prospect(s.now, opened), true
		}
		if !ok || told.Upstream.Record.Failures != 1 {
			t.Errorf("listed %t: after its only failure: %t %+v", listed, ok, told.Upstream)
		}
		s.step(opened)
		s.acceptAll(1, queue.Info, 1)
		s.wait(10 * time.Minute)
		if told, ok := s.core.Report(s.now, 1); ok {
			t.Errorf("listed %t: after an acceptance: %+v", listed, told)
		}
	}
}

// The next attempt at what cannot be reached is a critical event's that is due before the
// ordinary probe.
func TestNextAttempt(t *testing.T) {
	refused := &eventsv2.Error{Err: errAway}
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.open(2, "pagerduty", 60)
	s.down(1)
	for range 6 { // the interval of ordinary probes has grown
		s.arrive(1, queue.Error, 1)
		s.wait(40 * time.Second)
		for len(s.attempts) > 0 {
			s.answer(refused)
		}
	}
	s.arrive(2, queue.Critical, 1)
	s.wait(time.Second)
	s.answer(refused)
	due, e := s.settled[s.nextID].Due, s.nextID
	for id := range int64(2) {
		if got := s.status(id + 1); !got.Until.Equal(due) || !got.Upstream.Next.Equal(due) {
			t.Errorf("lane %d: %s, of the upstream %s, want %s", id+1, got.Until, got.Upstream.Next, due)
		}
	}
	s.wait(due.Sub(s.now))
	s.again(queue.Event{ID: e, Lane: 2, Action: eventsv2.Trigger, DedupKey: "a", Priority: queue.Critical, Attempts: 1, Fresh: s.now})
	s.inFlight(1)
}

// Requests in flight are counted with second copies; what hung without one is told apart.
func TestRecordOfWhatHangs(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.acceptAll(1, queue.Error, 3)
	s.arrive(1, queue.Info, 1)
	s.wait(10 * time.Second)
	if r := s.status(1).Record; r.Flying != 1 || r.Silent != 10*time.Second {
		t.Errorf("one hangs: %+v", r)
	}
	s.answer(timedOut)
	if r := s.status(1).Record; r.Broken != 0 || r.Hung != 0 { // of one dedup key alone
		t.Errorf("it has failed, and its own body may have caused that: %+v", r)
	}
	s.arrive(1, queue.Critical, 1)
	s.wait(5 * time.Second)
	if r := s.status(1).Record; r.Flying != 2 {
		t.Errorf("both copies hang: %+v", r)
	}
	s.both(timedOut, timedOut)
	if r := s.status(1).Record; r.Broken != 2 || r.Hung != 1 || r.Lost != 5*time.Second || r.Flying != 0 {
		t.Errorf("both have failed: %+v", r)
	}
}

// A lane that waits for what its account may have says so.
func TestAtTheLimitOfTheAccount(t *testing.T) {
	s := newScript(t, lane.Options{Capacity: 1000})
	s.crowd(40, 120, 30)
	for range 200 {
		s.answer(nil)
	}
	for len(s.attempts) > 0 {
		s.again(s.answer(&eventsv2.Error{Status: 429}))
	}
	limit := s.core.Upstreams(s.now)[0]
	if limit.Account == 0 || limit.Rate != limit.Account {
		t.Fatalf("nothing was learned of the account: %+v", limit)
	}
	together := 0
	for _, l := range s.core.Statuses(s.now) {
		if l.Condition == lane.AtLimit && l.Together {
			together++
		}
		if l.Roomy {
			t.Errorf("lane %d is said to be limited alone", l.Lane)
		}
	}
	if together == 0 {
		t.Errorf("no lane waits for its account: %+v", limit)
	}
}
