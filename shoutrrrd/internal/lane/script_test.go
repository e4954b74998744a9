package lane_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// script drives a core by hand. A claim is answered with as many events as are
// announced and left.
type script struct {
	t        *testing.T
	core     *lane.Core
	now      time.Time
	ready    map[int64][]queue.Event
	nextID   int64
	attempts []queue.Event
	hedges   []int64 // events that are to leave once more
	given    []int64 // events both of whose copies are to be cancelled
	settled  map[int64]queue.Settlement
	saved    map[int64]queue.Lane
	tells    []lane.Change
	hastened []string // hosts
	released int
	claims   int
	closed   []int64
	mayBreak bool // the test provokes that
	broken   []lane.Broken

	moves      []lane.Move
	moved      int            // chains, by these
	old        map[int64]bool // events whose chains are not new
	cannotMove bool           // the store
}

// take answers an ask as a store does.
func (s *script) take(ask queue.Ask) lane.Taken {
	var taken, left []queue.Event
	list := slices.Clone(s.ready[ask.Lane])
	switch ask.Pick {
	case queue.MostUrgent:
		slices.SortStableFunc(list, func(a, b queue.Event) int { return int(a.Priority) - int(b.Priority) })
	case queue.Oldest:
		slices.SortStableFunc(list, func(a, b queue.Event) int { return int(a.ID - b.ID) })
	case queue.LeastTried:
		slices.SortStableFunc(list, func(a, b queue.Event) int { return a.Attempts - b.Attempts })
	}
	more := false
	for _, e := range list {
		switch {
		case (ask.Pick == queue.OnlyCritical || ask.Pick == queue.LeastTried) && e.Priority != queue.Critical:
			left = append(left, e)
		case len(taken) < ask.N:
			taken = append(taken, e)
		default:
			left, more = append(left, e), true
		}
	}
	s.ready[ask.Lane] = left
	return lane.Taken{Taken: queue.Taken{Events: taken, More: more}}
}

func newScript(t *testing.T, o lane.Options) *script {
	return &script{
		t: t, core: lane.New(o), now: epoch, ready: map[int64][]queue.Event{},
		settled: map[int64]queue.Settlement{}, saved: map[int64]queue.Lane{},
	}
}

func (s *script) step(in lane.Input) {
	for _, d := range s.core.Step(s.now, in) {
		switch d := d.(type) {
		case lane.Claim:
			s.claims++
			in := lane.Claimed{Token: d.Token}
			for _, ask := range d.Asks {
				in.Taken = append(in.Taken, s.take(ask))
			}
			s.step(in)
		case lane.Close:
			s.closed = append(s.closed, d.Lane)
		case lane.Broken:
			if !s.mayBreak {
				s.t.Fatalf("the core says of itself: %s\n%s", d.What, strings.Join(d.Trace, "\n"))
			}
			s.broken = append(s.broken, d)
		case lane.Attempt:
			s.attempts = append(s.attempts, d.Event)
		case lane.Hedge:
			s.hedges = append(s.hedges, d.ID)
		case lane.Abandon:
			s.given = append(s.given, d.ID)
		case lane.Settle:
			s.settled[d.ID] = d.Settlement
		case lane.Move:
			if s.cannotMove {
				s.moves = append(s.moves, d)
				s.step(lane.Moved{From: d.From, To: d.To, Rank: d.Rank, Failed: true})
				continue
			}
			s.give(d)
		case lane.Save:
			s.saved[d.Lane.ID] = d.Lane
		case lane.Hasten:
			if d.Lane != 0 {
				s.tells = append(s.tells, "hastened")
				continue
			}
			s.hastened = append(s.hastened, d.Host)
		case lane.Tell:
			s.tells = append(s.tells, d.What)
		case lane.Release:
			s.released += len(d.Events)
		}
	}
}

func (s *script) open(id int64, host string, limit int) {
	s.step(lane.Opened{Lane: queue.Lane{ID: id}, Host: host, Limit: limit, Listed: true})
}

// arrive announces new events of a lane.
func (s *script) arrive(id int64, severity queue.Rank, n int) {
	for range n {
		s.nextID++
		s.ready[id] = append(s.ready[id], queue.Event{
			ID: s.nextID, Lane: id, Action: eventsv2.Trigger, DedupKey: fmt.Sprint(s.nextID), Severity: severity, Priority: severity, Fresh: s.now,
		})
	}
	s.step(lane.Arrived{Lane: id, Rank: severity})
}

// again announces an event anew that was settled Ready, or is due.
func (s *script) again(e queue.Event) {
	s.ready[e.Lane] = append(s.ready[e.Lane], e)
	s.step(lane.Arrived{Lane: e.Lane, Rank: e.Priority})
}

// answer ends the oldest attempt.
func (s *script) answer(err *eventsv2.Error) queue.Event {
	s.t.Helper()
	if len(s.attempts) == 0 {
		s.t.Fatal("nothing is in flight")
	}
	e := s.attempts[0]
	s.attempts = s.attempts[1:]
	s.step(lane.Answered{Lane: e.Lane, ID: e.ID, Err: err})
	return e
}

// wait lets time pass, with the ticks that the core wants.
func (s *script) wait(d time.Duration) {
	until := s.now.Add(d)
	for {
		at, ok := s.core.Next()
		if !ok || at.After(until) {
			break
		}
		if at.Before(s.now) {
			s.t.Fatalf("a tick is wanted at %s, which is over", at)
		}
		s.now = at
		s.step(lane.Tick{})
	}
	s.now = until
}

// acceptAll lets that many events arrive and all that can leave be accepted.
func (s *script) acceptAll(id int64, severity queue.Rank, n int) {
	s.arrive(id, severity, n)
	for len(s.attempts) > 0 {
		s.answer(nil)
	}
}

func (s *script) inFlight(want int) {
	s.t.Helper()
	if len(s.attempts) != want {
		s.t.Fatalf("%d attempts are in flight, want %d: %+v", len(s.attempts), want, s.core.Statuses(s.now))
	}
}
