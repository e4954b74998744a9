package lane_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// both ends the oldest attempt and its second copy.
func (s *script) both(first, second *eventsv2.Error) queue.Event {
	s.t.Helper()
	s.inFlight(1)
	e := s.attempts[0]
	s.attempts, s.hedges = nil, nil
	s.step(lane.Answered{Lane: e.Lane, ID: e.ID, Err: first, Second: &lane.Copy{Err: second}})
	return e
}

func (s *script) wantHedges(n int, when string) {
	s.t.Helper()
	if len(s.hedges) != n {
		s.t.Fatalf("%s: %d second copies have left, want %d", when, len(s.hedges), n)
	}
}

func (s *script) used(id int64) int {
	status, _ := s.core.Status(s.now, id)
	return status.Used
}

var timedOut = &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}

var silent = &eventsv2.Error{Err: eventsv2.ErrSilent, Sent: true}

var givenUp = &eventsv2.Error{Err: context.Canceled, Sent: true}

func TestHedgeAfterThreeSeconds(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Critical, 1)
	s.wait(3*time.Second - time.Millisecond)
	s.wantHedges(0, "before")
	s.wait(time.Millisecond)
	s.wantHedges(1, "after 3 s")
	if got := s.used(1); got != 2 {
		t.Errorf("%d slots of the window are taken, want that of each copy", got)
	}
	s.wait(time.Minute)
	s.wantHedges(1, "after a minute")
	e := s.both(givenUp, nil)
	if x := s.settled[e.ID]; x.State != queue.Delivered || x.Hedged != queue.SecondAccepted || x.Attempts != 1 {
		t.Errorf("settled as %+v", x)
	}
	if got := s.used(1); got != 2 {
		t.Errorf("%d slots of the window are taken, want that of each copy: the other may have been accepted", got)
	}
	s.wait(time.Minute)
	if got := s.used(1); got != 0 {
		t.Errorf("%d slots are taken a minute later", got)
	}
}

// An alarm is set for critical alerts alone.
func TestOnlyCriticalAlertsAreHedged(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 600)
	for rank := queue.Error; rank <= queue.Info; rank++ {
		s.arrive(1, rank, 1)
	}
	change := queue.Event{ID: 100, Lane: 1, Kind: queue.Change, Severity: queue.Critical, Priority: queue.Critical, Fresh: s.now}
	s.again(change)
	resolve := queue.Event{ID: 101, Lane: 1, Action: eventsv2.Resolve, DedupKey: "d", Severity: queue.Error, Priority: queue.Critical, Fresh: s.now}
	s.inFlight(4)
	if at, ok := s.core.Next(); ok {
		t.Errorf("a tick is wanted at %s", at.Sub(s.now))
	}
	s.again(resolve)
	s.inFlight(5)
	s.wait(time.Minute)
	if len(s.hedges) != 1 || s.hedges[0] != 101 {
		t.Errorf("second copies left of %v, want that of the critical chain's resolve", s.hedges)
	}
}

// No second copy leaves where the lane must not send, or there is no room for it.
func TestHedgeIsRefused(t *testing.T) {
	cases := []struct {
		name  string
		limit int
		o     lane.Options
		do    func(*script)
		want  int
	}{
		{"nothing is in the way", 60, lane.Options{}, func(*script) {}, 1},
		{"answered", 60, lane.Options{}, func(s *script) { s.answer(nil) }, 0},
		{"failed, and sent again since", 60, lane.Options{}, func(s *script) {
			e := s.answer(timedOut)
			s.wait(2 * time.Second)
			s.again(e)
			s.wait(3*time.Second - time.Millisecond)
			s.wantHedges(0, "less than 3 s after the second attempt began")
		}, 1},
		{"paused by an operator", 60, lane.Options{}, func(s *script) { s.step(lane.Hold{Lane: 1, Held: true}) }, 0},
		{"rate limited", 60, lane.Options{}, func(s *script) {
			s.arrive(1, queue.Error, 1)
			e := s.attempts[1]
			s.attempts = s.attempts[:1]
			s.step(lane.Answered{Lane: 1, ID: e.ID, Err: &eventsv2.Error{Status: 429, RetryAfter: time.Minute}})
		}, 0},
		{"the relay stops", 60, lane.Options{}, func(s *script) { s.step(lane.Stop{}) }, 0},
		{"the window is used up", 1, lane.Options{}, func(*script) {}, 0},
		{"the common window is used up, the reserved one is not", 2, lane.Options{}, func(*script) {}, 1},
		{"there is no place", 60, lane.Options{Capacity: 1}, func(*script) {}, 0},
		{"there is a place", 60, lane.Options{Capacity: 2}, func(*script) {}, 1},
		{"the store cannot be written", 60, lane.Options{}, func(s *script) { s.step(lane.Storage{Failing: true}) }, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, c.o)
			s.open(1, "pagerduty", c.limit)
			s.arrive(1, queue.Critical, 1)
			s.inFlight(1)
			c.do(s)
			s.wait(4 * time.Second)
			s.wantHedges(c.want, c.name)
		})
	}
}

// Second copies take places of the relay: with all of them taken nothing else leaves, and
// with the answers all are free again.
func TestHedgesTakePlaces(t *testing.T) {
	s := newScript(t, lane.Options{Capacity: 4})
	s.open(1, "pagerduty", 600)
	s.arrive(1, queue.Critical, 2)
	s.inFlight(2)
	s.wait(3 * time.Second)
	hedged := len(s.hedges)
	if hedged == 0 {
		t.Fatal("no second copy has left")
	}
	s.arrive(1, queue.Critical, 8)
	if n := len(s.attempts); n+hedged > 4 {
		t.Errorf("%d attempts and %d second copies are in flight, there are 4 places", n, hedged)
	}
	for len(s.attempts) > 0 {
		s.hedges = nil
		e := s.attempts[0]
		s.attempts = s.attempts[1:]
		s.step(lane.Answered{Lane: 1, ID: e.ID, Second: &lane.Copy{Err: givenUp}})
		if len(s.settled) == 10 {
			break
		}
	}
	if len(s.settled) != 10 {
		t.Errorf("%d events were settled, want 10", len(s.settled))
	}
}

// What counts decides of lane, host and event; the other copy only holds its slot.
func TestTheBetterOutcomeCounts(t *testing.T) {
	cases := []struct {
		name          string
		first, second *eventsv2.Error
		state         queue.State
		status        int
		hedged        queue.Hedged
		used          int
	}{
		{"the first is accepted", nil, givenUp, queue.Delivered, 202, queue.FirstAccepted, 2},
		{"the first is accepted, the second did not leave", nil, &eventsv2.Error{Err: context.Canceled}, queue.Delivered, 202, queue.FirstAccepted, 1},
		{"both are accepted", nil, nil, queue.Delivered, 202, queue.FirstAccepted, 2},
		{"a time-out and a 500", timedOut, &eventsv2.Error{Status: 500}, queue.Waiting, 500, queue.NeitherAccepted, 2},
		{"a 429 and a time-out", &eventsv2.Error{Status: 429}, timedOut, queue.Ready, 429, queue.NeitherAccepted, 1},
		{"a time-out and a rejection", timedOut, &eventsv2.Error{Status: 400, Rejected: true}, queue.Refused, 400, queue.NeitherAccepted, 2},
		{"both time out", timedOut, timedOut, queue.Waiting, 0, queue.NeitherAccepted, 2},
		{"by a connection that was given up, and a 502", silent, &eventsv2.Error{Status: 502, Sent: true}, queue.Waiting, 502, queue.NeitherAccepted, 2},
		{"both are cancelled", givenUp, givenUp, queue.Ready, 0, queue.NeitherAccepted, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 60)
			s.arrive(1, queue.Critical, 1)
			s.wait(3 * time.Second)
			e := s.both(c.first, c.second)
			if x := s.settled[e.ID]; x.State != c.state || x.Status != c.status || x.Hedged != c.hedged {
				t.Errorf("settled as %+v", x)
			}
			if got := s.used(1); got != c.used {
				t.Errorf("%d slots are taken, want %d", got, c.used)
			}
			if x := s.settled[e.ID]; x.Counts != c.used {
				t.Errorf("the store keeps %d slots for the next process, want %d", x.Counts, c.used)
			}
		})
	}
}

// A connection was given up that was silent while another one brought an answer. What was
// on its way by it leaves anew at once, and the host is not blamed.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 3)
	for range 3 {
		e := s.answer(silent)
		if x := s.settled[e.ID]; x.State != queue.Ready || x.Attempts != 0 || !x.Tried || x.Reason == "" {
			t.Errorf("settled as %+v", x)
		}
	}
	if got := s.used(1); got != 3 {
		t.Errorf("%d slots are taken, want 3: the events may have been accepted", got)
	}
	if len(s.tells) > 0 {
		t.Errorf("people are told %q", s.tells)
	}
}

// An attempt ended while its second copy was decided on: that never left, and takes
// nothing.
func TestHedgeThatComesTooLate(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Critical, 1)
	s.wait(3 * time.Second)
	s.wantHedges(1, "after 3 s")
	e := s.answer(nil)
	if x := s.settled[e.ID]; x.State != queue.Delivered || x.Hedged != queue.NotHedged {
		t.Errorf("settled as %+v", x)
	}
	if got := s.used(1); got != 1 {
		t.Errorf("%d slots are taken, want 1", got)
	}
}

// hang lets criticals leave twice, and be silent for so long since the second copy left.
func (s *script) hang(id int64, n int, silent time.Duration) {
	s.t.Helper()
	s.arrive(id, queue.Critical, n)
	s.wait(3 * time.Second)
	s.wantHedges(n, "after 3 s")
	s.wait(silent)
}

// accept sends one more critical event, which is accepted.
func (s *script) accept(id int64) {
	s.t.Helper()
	before := len(s.attempts)
	s.arrive(id, queue.Critical, 1)
	s.inFlight(before + 1)
	e := s.attempts[before]
	s.attempts = s.attempts[:before]
	s.step(lane.Answered{Lane: e.Lane, ID: e.ID})
}

func (s *script) wantGiven(want []int64, when string) {
	s.t.Helper()
	if !slices.Equal(s.given, want) {
		s.t.Fatalf("%s: given up are %v, want %v", when, s.given, want)
	}
}

// cancelled ends an attempt that was given up.
func (s *script) cancelled(id int64) queue.Settlement {
	s.t.Helper()
	at := slices.IndexFunc(s.attempts, func(e queue.Event) bool { return e.ID == id })
	if at < 0 {
		s.t.Fatalf("event %d is not in flight", id)
	}
	e := s.attempts[at]
	s.attempts = slices.Delete(s.attempts, at, at+1)
	s.step(lane.Answered{Lane: e.Lane, ID: id, Err: givenUp, Second: &lane.Copy{Err: givenUp}})
	return s.settled[id]
}

// Both copies of several events hang. The host accepts another one that began later: all of
// them are given up, and are due at once.
func TestSilentCopiesAreGivenUpWhenTheHostAccepts(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.open(2, "pagerduty", 60)
	s.open(3, "elsewhere", 60)
	s.hang(1, 2, 4*time.Second)
	s.accept(3)
	s.wantGiven(nil, "another host has accepted something")
	s.accept(2)
	s.wantGiven([]int64{1, 2}, "the host has accepted something")
	s.accept(2)
	s.wantGiven([]int64{1, 2}, "it has accepted more")
	for id := range int64(2) {
		x := s.cancelled(id + 1)
		if x.State != queue.Ready || x.Attempts != 1 || !x.Tried || x.Counts != 2 || !x.MaybeAccepted || x.Hedged != queue.NeitherAccepted || x.Failure != string(lane.TimedOut) {
			t.Errorf("settled as %+v", x)
		}
		if x.Reason == "" {
			t.Error("its history does not say why")
		}
	}
	if got := s.used(1); got != 4 {
		t.Errorf("%d slots of the window are taken, want that of each copy: each may have been accepted", got)
	}
	if len(s.tells) > 0 {
		t.Errorf("people are told %q", s.tells)
	}
}

// An acceptance is no reason before the second copy has been silent for 3 s, nor if its
// request left before that copy. It is one as soon as the 3 s are over.
func TestCopiesAreNotGivenUpTooSoon(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Critical, 1)
	s.arrive(1, queue.Info, 1)
	s.wait(7 * time.Second)
	s.wantHedges(1, "after 7 s")
	earlier := s.attempts[1]
	s.attempts = s.attempts[:1]
	s.step(lane.Answered{Lane: 1, ID: earlier.ID})
	s.wantGiven(nil, "a request that left before the second copy was accepted")
	s.accept(1)
	s.wantGiven([]int64{1}, "one that left after it was accepted")

	s = newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.hang(1, 1, time.Second)
	s.accept(1)
	s.wait(2*time.Second - time.Millisecond)
	s.wantGiven(nil, "before the second copy has been silent for 3 s")
	s.wait(time.Millisecond)
	s.wantGiven([]int64{1}, "after 3 s")
}

// The acceptance of a second copy says that the host answers as any other does.
func TestSecondCopyShowsThatTheHostAnswers(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.hang(1, 1, time.Second)
	s.arrive(1, queue.Critical, 1)
	s.wait(3 * time.Second)
	s.wantHedges(2, "3 s later")
	e := s.attempts[1]
	s.attempts = s.attempts[:1]
	s.step(lane.Answered{Lane: 1, ID: e.ID, Err: givenUp, Second: &lane.Copy{}})
	s.wantGiven([]int64{1}, "a second copy has been accepted")
}

// An answer that is on its way when the attempt is given up is the answer.
func TestAnswerOfWhatWasGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		first, second *eventsv2.Error
		want          queue.State
		attempts      int
	}{
		"accepted":                  {givenUp, nil, queue.Delivered, 1},
		"rejected":                  {givenUp, &eventsv2.Error{Status: 400, Rejected: true}, queue.Refused, 1},
		"a 503":                     {&eventsv2.Error{Status: 503}, givenUp, queue.Waiting, 1},
		"one was lost before":       {timedOut, givenUp, queue.Ready, 1},
		"neither had a connection":  {&eventsv2.Error{Err: context.Canceled}, &eventsv2.Error{Err: context.Canceled}, queue.Ready, 1},
		"both were cancelled by it": {givenUp, givenUp, queue.Ready, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 60)
			s.hang(1, 1, 3*time.Second)
			s.accept(1)
			s.wantGiven([]int64{1}, "the host has accepted something")
			e := s.both(c.first, c.second)
			x := s.settled[e.ID]
			if x.State != c.want || x.Attempts != c.attempts {
				t.Errorf("settled as %+v", x)
			}
			if reached := c.first.Sent || c.second != nil && c.second.Sent; x.State == queue.Ready && x.MaybeAccepted != reached {
				t.Errorf("it may have been accepted: %v", x.MaybeAccepted)
			}
		})
	}
}

// An event that hangs again while the host goes on to accept others waits as after any
// failure. One that came after the last acceptance has met the host's trouble, however
// often it was tried.
func TestWhatHangsByItselfWaits(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.hang(1, 1, 3*time.Second)
	s.accept(1)
	e := s.attempts[0]
	if x := s.cancelled(1); x.State != queue.Ready {
		t.Errorf("settled as %+v", x)
	}
	e.Attempts, s.hedges, s.given = 1, nil, nil
	s.again(e)
	s.wait(6 * time.Second)
	s.accept(1)
	s.wantGiven([]int64{1}, "it hangs again")
	if x := s.cancelled(1); x.State != queue.Waiting || !x.Due.After(s.now) || x.Attempts != 2 {
		t.Errorf("settled as %+v", x)
	}

	s = newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.accept(1)
	s.wait(time.Minute)
	e = queue.Event{ID: 50, Lane: 1, Action: eventsv2.Trigger, DedupKey: "d", Severity: queue.Critical, Priority: queue.Critical, Fresh: s.now.Add(-31 * time.Second), Attempts: 1}
	s.again(e)
	s.wait(6 * time.Second)
	s.accept(1)
	s.wantGiven([]int64{50}, "the host accepts again")
	if x := s.cancelled(50); x.State != queue.Ready || x.Attempts != 2 {
		t.Errorf("settled as %+v", x)
	}
}

// An operator tries an event, or its lane: what has no answer by either connection is given
// up, if the lane may send.
func TestOperatorTriesWhatHangs(t *testing.T) {
	event, all := lane.TryEvent{ID: 2}, lane.Try{Lane: 1}
	cases := []struct {
		name   string
		silent time.Duration
		try    lane.Input
		do     func(*script)
		after  time.Duration
		want   []int64
	}{
		{"an event", 3 * time.Second, event, nil, 0, []int64{2}},
		{"an event, early", 2 * time.Second, event, nil, time.Second, []int64{2}},
		{"an event, earlier still", 2 * time.Second, event, nil, time.Second - time.Millisecond, nil},
		{"its lane", 3 * time.Second, all, nil, 0, []int64{1, 2}},
		{"another event", 3 * time.Second, lane.TryEvent{ID: 9}, nil, 0, nil},
		{"another lane", 3 * time.Second, lane.Try{Lane: 2}, nil, 0, nil},
		{"the lane is paused", 3 * time.Second, event, func(s *script) { s.step(lane.Hold{Lane: 1, Held: true}) }, time.Minute, nil},
		{"the store cannot be written", 3 * time.Second, event, func(s *script) { s.step(lane.Storage{Failing: true}) }, time.Minute, nil},
		{"the relay stops", 3 * time.Second, event, func(s *script) { s.step(lane.Stop{}) }, time.Minute, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 60)
			s.hang(1, 2, c.silent)
			if c.do != nil {
				c.do(s)
			}
			s.step(c.try)
			s.step(c.try)
			s.wait(c.after)
			s.wantGiven(c.want, c.name)
			for _, id := range c.want {
				if x := s.cancelled(id); x.State != queue.Ready || x.Reason == "" {
					t.Errorf("settled as %+v", x)
				}
			}
		})
	}
}
