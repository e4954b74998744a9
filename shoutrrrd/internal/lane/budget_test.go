package lane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

var badGateway = &eventsv2.Error{Status: 502}

// failAll answers what is in flight with 502 until no more starts, and returns how many
// attempts that were.
func (s *script) failAll() (n int) {
	for ; len(s.attempts) > 0; n++ {
		s.answer(badGateway)
	}
	return n
}

// crowd opens lanes that send to one host, each with infos that wait.
func (s *script) crowd(lanes int64, limit, infos int) {
	for id := int64(1); id <= lanes; id++ {
		s.open(id, "pagerduty", limit)
		s.arrive(id, queue.Info, infos)
	}
}

// The longest wait of a critical event is 4 s, and of any other a minute; where so many
// wait in a lane that this would take more than half of its limit, they wait for longer.
func TestCriticalRetries(t *testing.T) {
	for _, c := range []struct {
		rank    queue.Rank
		others  int
		longest time.Duration
	}{
		{queue.Critical, 0, 4 * time.Second},
		{queue.Critical, 3, 4 * time.Second},
		{queue.Critical, 39, 40 * time.Second},
		{queue.Error, 0, time.Minute},
	} {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 120)
		s.open(2, "pagerduty", 300)
		for id := int64(1); id <= int64(c.others+1); id++ {
			s.again(queue.Event{ID: 1000 + id, Lane: 2, Action: eventsv2.Trigger, Priority: queue.Info, Fresh: s.now})
			s.answer(nil) // the host is well
			s.again(queue.Event{ID: id, Lane: 1, Action: eventsv2.Trigger, Attempts: 20, Priority: c.rank, Severity: c.rank, Fresh: s.now})
			s.failAll()
		}
		last := s.settled[int64(c.others+1)]
		if wait := last.Due.Sub(last.At); wait < c.longest*3/4 || wait > c.longest*5/4 {
			t.Errorf("%s behind %d others waits for %s, want about %s", c.rank, c.others, wait, c.longest)
		}
	}
}

// While most attempts fail a host gets 20 requests a second, of which a quarter waits for
// critical events; when they are accepted again twice as many each second.
func TestFailingHostGetsLess(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.crowd(30, 120, 50)
	for range 10 { // until most of the recent attempts have failed
		s.answer(badGateway)
	}
	s.failAll()
	s.wait(time.Second)
	if n := s.failAll(); n > 20 {
		t.Errorf("%d infos have left in a second in which most attempts fail", n)
	}
	for range 5 {
		s.wait(100 * time.Millisecond)
		s.failAll()
	}
	s.arrive(7, queue.Critical, 3)
	critical := 0
	for _, e := range s.attempts {
		if e.Priority == queue.Critical {
			critical++
		}
	}
	if critical != 3 {
		t.Errorf("%d of 3 critical events leave at once behind infos", critical)
	}
	s.failAll()
	var each []int
	for range 4 {
		n := 0
		for range 20 {
			s.wait(50 * time.Millisecond)
			for ; len(s.attempts) > 0; n++ {
				s.answer(nil)
			}
		}
		each = append(each, n)
	}
	if each[0] > 60 || each[1] <= each[0] || each[2] <= each[1] {
		t.Errorf("in the seconds after the outage there were %v attempts", each)
	}
	if !slices.Contains(s.hastened, "pagerduty") {
		t.Error("what waits for the host was not made due")
	}
}

// A new process sends no burst to a host that has failed until the last one ended.
func TestNewProcessBeginsSlowly(t *testing.T) {
	for _, failing := range []bool{false, true} {
		s := newScript(t, lane.Options{})
		if failing {
			s.step(lane.Began{Failing: []string{"pagerduty"}})
		}
		s.crowd(20, 120, 0)
		for id := int64(1); id <= 20; id++ {
			s.arrive(id, queue.Critical, 2)
		}
		if most := map[bool]int{false: 40, true: 20}[failing]; len(s.attempts) != most {
			t.Errorf("%d attempts begin at once, want %d", len(s.attempts), most)
		}
	}
}

// A few events that a host dislikes say nothing of it: it is not slowed.
func TestPoisonDoesNotSlow(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 300)
	s.arrive(1, queue.Critical, 3)
	s.failAll()
	s.wait(11 * time.Second)
	s.arrive(1, queue.Info, 200)
	n := 0
	for ; len(s.attempts) > 0; n++ {
		s.answer(nil)
	}
	if n != 200 {
		t.Errorf("%d of 200 events leave at once", n)
	}
}

// A lane has many critical events that always fail. A new one leaves at once.
func TestNewCriticalBeforeThoseThatFail(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 120)
	s.arrive(1, queue.Critical, 40)
	var back []queue.Event
	tried := func(e queue.Event) {
		x := s.settled[e.ID]
		e.Attempts, e.Due = x.Attempts, x.Due
		back = append(back, e)
	}
	for range 40 * 20 {
		for len(s.attempts) > 0 {
			tried(s.answer(badGateway))
		}
		s.wait(100 * time.Millisecond)
		for i := 0; i < len(back); i++ {
			if !back[i].Due.After(s.now) {
				s.again(back[i])
				back = slices.Delete(back, i, i+1)
				i--
			}
		}
	}
	for len(s.attempts) > 0 {
		tried(s.answer(badGateway))
	}
	s.arrive(1, queue.Critical, 1)
	s.tries(s.nextID, "a new critical event", time.Second)
}

// Five lanes are rate limited far below their own limits, and nothing else is accepted:
// all lanes wait, and leave together at what was accepted less a tenth, critical first.
func TestAccountOfAllLanes(t *testing.T) {
	s := newScript(t, lane.Options{Capacity: 1000})
	s.crowd(40, 120, 30)
	for range 200 {
		s.answer(nil)
	}
	for range 60 {
		s.again(s.answer(&eventsv2.Error{Status: 429}))
	}
	if !slices.Contains(s.tells, lane.AccountLimited) {
		t.Fatalf("nothing was learned of the account: %v", s.tells)
	}
	for len(s.attempts) > 0 {
		s.again(s.answer(&eventsv2.Error{Status: 429}))
	}
	s.inFlight(0)
	s.arrive(3, queue.Critical, 1)
	s.arrive(33, queue.Critical, 1)
	s.inFlight(0)
	s.wait(59 * time.Second)
	s.inFlight(0)
	s.wait(2 * time.Second)
	var first []int64
	for _, e := range s.attempts[:min(4, len(s.attempts))] { // with the oldest of each of these lanes, if it is its turn
		first = append(first, e.ID)
	}
	if !slices.Contains(first, 1201) || !slices.Contains(first, 1202) {
		t.Errorf("the critical events are not the first to leave: %v", first)
	}
	most := 0
	minute := func() (n int) {
		for range 12 {
			before := n
			for ; len(s.attempts) > 0; n++ {
				s.answer(nil)
			}
			most = max(most, n-before)
			s.wait(5 * time.Second)
		}
		return n
	}
	n := minute()
	if n < 150 || n > 180 {
		t.Errorf("%d events have left in the next minute, 200 were accepted in the first", n)
	}
	if most > 180/12+2 { // and two critical ones
		t.Errorf("%d events have left in five seconds", most)
	}
	for i := range int64(20) { // it is not met any more
		s.arrive(1+i%40, queue.Info, 300)
		minute()
	}
	if !slices.Contains(s.tells, lane.AccountFree) {
		t.Errorf("the limit of the account never ends: %v", s.tells)
	}
}

// Where only single lanes are limited the others know nothing of it.
func TestSingleLimitsAreNotTheAccounts(t *testing.T) {
	s := newScript(t, lane.Options{Capacity: 1000})
	s.crowd(40, 120, 30)
	for len(s.attempts) > 0 {
		if s.attempts[0].Lane <= 3 {
			s.answer(&eventsv2.Error{Status: 429})
			continue
		}
		s.answer(nil)
	}
	if slices.Contains(s.tells, lane.AccountLimited) {
		t.Errorf("three lanes of forty were limited, and all are paced: %v", s.tells)
	}
}
