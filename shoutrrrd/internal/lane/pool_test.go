package lane_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// member opens a lane of a pool with a limit of 20, of which 2 are reserved.
func (s *script) member(id int64, pool string) {
	s.step(lane.Opened{Lane: queue.Lane{ID: id}, Host: "pagerduty", Limit: 20, Listed: true, Pool: pool})
}

// give does what a store does with a move, for chains that are all new.
func (s *script) give(m lane.Move) {
	s.moves = append(s.moves, m)
	var moved, left []queue.Event
	in := lane.Moved{From: m.From, To: m.To, Rank: m.Rank}
	for _, e := range s.ready[m.From] {
		if e.Priority == m.Rank && e.ID > m.After && len(moved) < m.N && !s.old[e.ID] {
			e.Lane = m.To
			moved = append(moved, e)
			in.Next = e.ID
			continue
		}
		left = append(left, e)
	}
	if len(moved) < m.N {
		in.Next = 0
	}
	s.moved += len(moved)
	s.ready[m.From], in.Chains = left, len(moved)
	s.ready[m.To] = append(s.ready[m.To], moved...)
	if len(moved) > 0 {
		s.step(lane.Arrived{Lane: m.To, Rank: m.Rank})
	}
	s.step(in)
}

func rejects() *eventsv2.Error {
	return &eventsv2.Error{Rejected: true, Status: 403, Message: "account is disabled", Err: eventsv2.ErrForbidden}
}

// What a lane of a pool cannot send leaves by another one, and says why.
func TestNewChainsMove(t *testing.T) {
	cases := []struct {
		name string
		rank queue.Rank
		do   func(s *script) // to lane 1, before three events come to it
		why  string          // "" if they stay
	}{
		{"nothing is wrong", queue.Critical, func(*script) {}, ""},
		{"paused by an operator", queue.Info, func(s *script) { s.step(lane.Hold{Lane: 1, Held: true}) }, "paused by an operator"},
		{"both paused", queue.Info, func(s *script) { s.step(lane.Hold{Lane: 1, Held: true}); s.step(lane.Hold{Lane: 2, Held: true}) }, ""},
		{"rate limited", queue.Critical, func(s *script) {
			s.arrive(1, queue.Info, 1)
			s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Minute})
		}, "rate limited"},
		{"both rate limited", queue.Critical, func(s *script) {
			for id := range int64(2) {
				s.arrive(id+1, queue.Info, 1)
				s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Minute})
			}
		}, ""},
		{"key rejected", queue.Error, func(s *script) { s.arrive(1, queue.Info, 1); s.answer(rejects()) }, "key rejected"},
		{"the other key is rejected as well", queue.Error, func(s *script) {
			for id := range int64(2) {
				s.arrive(id+1, queue.Info, 1)
				s.answer(rejects())
			}
		}, ""},
		{"at its limit", queue.Info, func(s *script) { s.acceptAll(1, queue.Info, 18) }, "at its limit"},
		{"at its limit, but for what is critical", queue.Critical, func(s *script) { s.acceptAll(1, queue.Info, 18); s.acceptAll(1, queue.Critical, 2) }, "at its limit"},
		{"a place is left for what is critical", queue.Info, func(s *script) { s.acceptAll(1, queue.Info, 15) }, ""},
		{"both at their limits", queue.Info, func(s *script) { s.acceptAll(1, queue.Info, 18); s.acceptAll(2, queue.Info, 18) }, ""},
		{"at its limit, and the other one fails", queue.Info, func(s *script) {
			s.arrive(2, queue.Info, 1)
			s.answer(&eventsv2.Error{Status: 500})
			s.acceptAll(1, queue.Info, 18)
		}, ""},
		{"attempts hang", queue.Critical, func(s *script) {
			s.arrive(1, queue.Critical, 4)
			s.wait(2 * time.Second)
			s.attempts = nil
		}, "attempts in flight without an answer"},
		{"of another pool", queue.Info, func(s *script) {
			s.step(lane.Configured{Lane: 2, Host: "pagerduty", Limit: 20, Listed: true, Pool: "another"})
			s.step(lane.Hold{Lane: 1, Held: true})
		}, ""},
		{"of a pool since now", queue.Info, func(s *script) {
			s.step(lane.Configured{Lane: 2, Host: "pagerduty", Limit: 20, Listed: true})
			s.step(lane.Configured{Lane: 2, Host: "pagerduty", Limit: 20, Listed: true, Pool: "web"})
			s.step(lane.Hold{Lane: 1, Held: true})
		}, "paused by an operator"},
		{"the disk fails", queue.Info, func(s *script) { s.step(lane.Hold{Lane: 1, Held: true}); s.step(lane.Storage{Failing: true}) }, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.member(1, "web")
			s.member(2, "web")
			c.do(s)
			s.attempts = nil
			s.arrive(1, c.rank, 3)
			var whys []string
			for _, m := range s.moves {
				whys = append(whys, m.Why)
			}
			if c.why == "" && len(whys) > 0 || c.why != "" && !slices.Contains(whys, c.why) {
				t.Errorf("the moves are %+v, want one because of %q", s.moves, c.why)
			}
			for _, m := range s.moves {
				if m.From != 1 || m.To != 2 || m.Pool != "web" || m.Rank != c.rank {
					t.Errorf("moved by %+v", m)
				}
			}
		})
	}
}

// A lane becomes able to send by the time alone: what waits for its sister moves then.
func TestChainsMoveWhenThereIsRoom(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.member(2, "web")
	s.acceptAll(2, queue.Info, 18)
	s.wait(10 * time.Second)
	s.step(lane.Hold{Lane: 1, Held: true})
	s.arrive(1, queue.Info, 3)
	s.wait(49 * time.Second)
	if len(s.moves) > 0 {
		t.Fatalf("moved by %+v to a lane without room", s.moves)
	}
	s.wait(2 * time.Second)
	for len(s.attempts) > 0 {
		s.answer(nil)
	}
	if len(s.ready[1])+len(s.ready[2]) > 0 {
		t.Errorf("%d events wait in the paused lane, %d in the other one", len(s.ready[1]), len(s.ready[2]))
	}
}

// The most severe chains move first, and no more than can leave.
func TestMostSevereMoveFirst(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.member(2, "web")
	s.step(lane.Hold{Lane: 1, Held: true})
	s.step(lane.Hold{Lane: 2, Held: true})
	for _, rank := range []queue.Rank{queue.Info, queue.Critical, queue.Error} {
		s.arrive(1, rank, 10)
	}
	s.step(lane.Hold{Lane: 2})
	var ranks []queue.Rank
	for len(s.attempts) > 0 {
		ranks = append(ranks, s.answer(nil).Priority)
	}
	if len(ranks) < 10 || !slices.IsSorted(ranks) {
		t.Errorf("left as %v", ranks)
	}
	if used := len(ranks); len(s.ready[2]) > 0 || len(s.ready[1]) != 30-used {
		t.Errorf("%d wait in the lane that is at its limit, %d in the paused one, %d have left", len(s.ready[2]), len(s.ready[1]), used)
	}
}

// What may not leave a retiring lane leaves by it at once, also while another lane of its pool
// has something that none of them can send.
func TestRetiringLaneDoesNotWaitForItsPool(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.step(lane.Opened{Lane: queue.Lane{ID: 2}, Host: "pagerduty", Limit: 20, Listed: true, Pool: "web", Way: lane.Way{Retiring: true}})
	s.member(3, "web")
	s.step(lane.Hold{Lane: 1, Held: true})
	s.step(lane.Hold{Lane: 3, Held: true})
	s.arrive(1, queue.Critical, 1)
	s.old = map[int64]bool{s.nextID + 1: true, s.nextID + 2: true}
	s.arrive(2, queue.Warning, 1)
	s.arrive(2, queue.Critical, 1)
	if len(s.attempts) != 2 || len(s.ready[2]) > 0 {
		t.Errorf("of a retiring lane %d events are in flight, and %d wait", len(s.attempts), len(s.ready[2]))
	}
}

// Both keys answer 429 to everything, with pauses of a second. A chain moves once a
// second at most, and nothing is lost.
func TestNoPingPong(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.member(2, "web")
	s.arrive(1, queue.Critical, 1)
	for range 600 {
		for len(s.attempts) > 0 {
			s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Second}))
		}
		s.wait(100 * time.Millisecond)
	}
	if s.moved == 0 || s.moved > 61 {
		t.Errorf("the chain has moved %d times in a minute", s.moved)
	}
}

// A store that cannot move is asked again in a second, and what cannot move is not
// asked for again and again.
func TestMovesThatFail(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.member(2, "web")
	s.step(lane.Hold{Lane: 1, Held: true})
	s.cannotMove = true
	s.arrive(1, queue.Critical, 1)
	s.wait(10 * time.Second)
	if n := len(s.moves); n < 9 || n > 11 {
		t.Errorf("asked %d times in 10 s", n)
	}
	s.cannotMove, s.moves = false, nil
	s.old = map[int64]bool{1: true}
	s.wait(time.Minute)
	s.arrive(1, queue.Info, 1)
	s.old[3] = true
	s.arrive(1, queue.Critical, 1)
	s.wait(time.Minute)
	if len(s.moves) > 4 {
		t.Errorf("asked %d times for what cannot move", len(s.moves))
	}
	if len(s.ready[1]) != 2 || len(s.attempts) != 1 {
		t.Errorf("%d wait, %d are in flight", len(s.ready[1]), len(s.attempts))
	}
}

// A new incident may begin in a lane that nothing keeps from sending.
func TestCanSend(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	want := func(what string, critical, info bool) {
		t.Helper()
		for rank, want := range map[queue.Rank]bool{queue.Critical: critical, queue.Info: info} {
			if can, known := s.core.CanSend(s.now, 1, rank); can != want || !known {
				t.Errorf("%s: %s: %v", what, rank, can)
			}
		}
	}
	want("idle", true, true)
	s.acceptAll(1, queue.Info, 18)
	want("at its limit", true, false)
	s.step(lane.Hold{Lane: 1, Held: true})
	want("paused", false, false)
	if _, known := s.core.CanSend(s.now, 9, queue.Info); known {
		t.Error("a lane is known that was never opened")
	}
}

// A chain of a thousand-key pool costs a step no more than its pool has lanes.
func BenchmarkPool(b *testing.B) {
	for _, lanes := range []int64{2, 100} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			core := lane.New(lane.Options{MaxAge: time.Hour})
			for id := range lanes {
				core.Step(epoch, lane.Opened{Lane: queue.Lane{ID: id + 1, Held: true}, Host: "pagerduty", Limit: 300, Listed: true, Pool: "web"})
			}
			now := epoch
			for b.Loop() {
				now = now.Add(time.Second)
				core.Step(now, lane.Arrived{Lane: 1, Rank: queue.Info})
			}
		})
	}
}

// What belongs to an incident that a retiring key has opened leaves by it at once, also while
// the key that takes its place can send nothing and has something of its own that waits.
func TestRetiringLaneSendsItsOwn(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.step(lane.Opened{Lane: queue.Lane{ID: 2}, Host: "pagerduty", Limit: 20, Listed: true, Pool: "web", Way: lane.Way{Retiring: true}})
	s.step(lane.Hold{Lane: 1, Held: true})
	s.arrive(1, queue.Critical, 1)
	s.inFlight(0)
	s.old = map[int64]bool{s.nextID + 1: true}
	s.arrive(2, queue.Critical, 1)
	s.inFlight(1)
}

// A host that comes up again lets the lanes of its pools send for each other, also those
// in which nothing waits.
func TestHostThatComesUpRelievesItsPools(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.member(1, "web")
	s.member(2, "web")
	s.open(3, "pagerduty", 60)
	s.down(3)
	s.arrive(3, queue.Critical, 1) // the probe
	s.step(lane.Hold{Lane: 1, Held: true})
	s.arrive(1, queue.Critical, 2)
	if s.moved > 0 {
		t.Fatalf("%d chains have moved to a lane whose host is down", s.moved)
	}
	s.answer(nil)
	if s.moved != 2 {
		t.Errorf("%d chains have moved when the host was up again, want 2: %+v", s.moved, s.moves)
	}
}
