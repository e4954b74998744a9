package lane_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Every answer, and what it means for the event, its slot and its lane.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		err      *eventsv2.Error
		state    queue.State
		attempts int
		used     int
		cond     lane.Condition
	}{
		"accepted":        {nil, queue.Delivered, 3, 1, lane.Idle},
		"429":             {&eventsv2.Error{Status: 429}, queue.Ready, 2, 0, lane.Paused},
		"500":             {&eventsv2.Error{Status: 500}, queue.Waiting, 3, 1, lane.Idle},
		"408":             {&eventsv2.Error{Status: 408}, queue.Waiting, 3, 1, lane.Idle},
		"lost answer":     {&eventsv2.Error{Err: errAway, Sent: true}, queue.Waiting, 3, 1, lane.Idle},
		"nobody there":    {&eventsv2.Error{Err: errAway}, queue.Ready, 2, 0, lane.Idle},
		"redirect":        {&eventsv2.Error{Status: 302}, queue.Ready, 2, 0, lane.UpstreamDown},
		"proxy login":     {&eventsv2.Error{Status: 407}, queue.Ready, 2, 0, lane.UpstreamDown},
		"unknown path":    {&eventsv2.Error{Status: 404}, queue.Ready, 2, 0, lane.UpstreamDown},
		"bad event":       {&eventsv2.Error{Status: 400}, queue.Refused, 3, 0, lane.Idle},
		"too large":       {&eventsv2.Error{Status: 413}, queue.Refused, 3, 0, lane.Idle},
		"unauthorized":    {&eventsv2.Error{Status: 401}, queue.Refused, 3, 0, lane.Idle},
		"no such service": {&eventsv2.Error{Status: 403}, queue.Refused, 3, 0, lane.Idle},
		"firewall's page": {&eventsv2.Error{Status: 403, Page: true}, queue.Waiting, 3, 1, lane.Idle},
		"gateway's page":  {&eventsv2.Error{Status: 401, Page: true}, queue.Waiting, 3, 1, lane.Idle},
		"page with 200":   {&eventsv2.Error{Status: 200, Page: true}, queue.Waiting, 3, 1, lane.Idle},
		"page with 400":   {&eventsv2.Error{Status: 400, Page: true}, queue.Refused, 3, 0, lane.Idle},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 60)
			e := queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, Attempts: 2, Fresh: s.now, Claim: 9}
			s.again(e)
			s.answer(c.err)
			x := s.settled[1]
			if x.State != c.state || x.Attempts != c.attempts || !x.Tried || x.Claim != 9 {
				t.Errorf("settled as %+v, want %s after %d attempts", x, c.state, c.attempts)
			}
			if status := s.core.Statuses(s.now)[0]; status.Used != c.used || status.Condition != c.cond {
				t.Errorf("the lane is %s with %d slots taken, want %s with %d", status.Condition, status.Used, c.cond, c.used)
			}
			if refused := x.State == queue.Refused && (c.err.Status == 401 || c.err.Status == 403); s.saved[1].KeyRefused.IsZero() == refused {
				t.Errorf("the key counts as refused since %s", s.saved[1].KeyRefused)
			}
		})
	}
}

// A host that is down is probed by one lane at a time, the one with the gravest
// event; one that turns out to have nothing leaves the probe to the others.
func TestProbesOfAHost(t *testing.T) {
	s := newScript(t, lane.Options{})
	for id := range int64(3) {
		s.open(id+1, "pagerduty", 60)
	}
	s.arrive(1, queue.Info, 1)
	first := s.answer(&eventsv2.Error{Status: 302})
	s.again(first)
	s.arrive(2, queue.Warning, 1)
	s.step(lane.Arrived{Lane: 3, Rank: queue.Critical}) // announced, and gone since
	s.inFlight(0)
	s.wait(2 * time.Second)
	s.inFlight(1)
	if s.attempts[0].Lane != 2 {
		t.Errorf("lane %d probes, want lane 2 with the warning", s.attempts[0].Lane)
	}
	s.answer(nil)
	s.inFlight(1) // the info follows at once
}

// The breaker opens with the third failure in a row, and probes ever more seldom.
func TestBreaker(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Critical, 1)
	for range 2 {
		s.again(s.answer(&eventsv2.Error{Err: errAway}))
	}
	s.inFlight(1)
	var gaps []time.Duration
	for range 8 {
		s.again(s.answer(&eventsv2.Error{Err: errAway}))
		s.inFlight(0)
		start := s.now
		for len(s.attempts) == 0 {
			s.wait(100 * time.Millisecond)
		}
		gaps = append(gaps, s.now.Sub(start))
	}
	for i, least := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		if from, to := least*time.Second*3/4, least*time.Second*5/4+100*time.Millisecond; gaps[i] < from || gaps[i] > to {
			t.Errorf("probe %d came after %s, want %s to %s", i+1, gaps[i], from, to)
		}
	}
	s.answer(nil)
	want := []lane.Change{lane.HostDown, lane.HostUp}
	if fmt.Sprint(s.tells) != fmt.Sprint(want) {
		t.Errorf("people are told %q, want %q", s.tells, want)
	}
}

// A refused key is told once, and the next acceptance takes it back.
func TestRefusedKey(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Critical, 2)
	s.answer(&eventsv2.Error{Status: 401})
	s.answer(&eventsv2.Error{Status: 403})
	if s.saved[1].KeyRefused.IsZero() || !s.core.Statuses(s.now)[0].KeyRefused {
		t.Errorf("saved as %+v", s.saved[1])
	}
	s.acceptAll(1, queue.Info, 1)
	if !s.saved[1].KeyRefused.IsZero() || s.core.Statuses(s.now)[0].KeyRefused {
		t.Errorf("saved as %+v after an acceptance", s.saved[1])
	}
	want := []lane.Change{lane.KeyIsRefused, lane.KeyIsTaken}
	if fmt.Sprint(s.tells) != fmt.Sprint(want) {
		t.Errorf("people are told %q, want %q", s.tells, want)
	}
}

// A lane that moves to another host while it probes the old one leaves that to be
// probed by the lanes that stay.
func TestProbeMovesAway(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "old", 60)
	s.open(2, "old", 60)
	s.arrive(1, queue.Critical, 1)
	s.again(s.answer(&eventsv2.Error{Status: 302}))
	s.arrive(2, queue.Info, 1)
	s.wait(2 * time.Second)
	s.inFlight(1)
	s.step(lane.Configured{Lane: 1, Host: "new", Limit: 60})
	s.inFlight(2)
	s.answer(&eventsv2.Error{Err: errAway}) // about the old host
	if got := s.core.Statuses(s.now)[0].Condition; got == lane.UpstreamDown {
		t.Errorf("the new host is down for what the old one did")
	}
	s.answer(nil)
	if got := s.core.Statuses(s.now)[1].Condition; got == lane.UpstreamDown {
		t.Errorf("the old host is still down")
	}
}

// PagerDuty has throttled everybody for two hours, whatever their rate. The limit
// must not collapse over that, however often critical events probe.
func TestBlanketThrottle(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, time.Minute} {
		t.Run("retry after "+after.String(), func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 300)
			for range 10 { // the window empties bit by bit while probes meet 429s
				s.acceptAll(1, queue.Error, 20)
				s.wait(5 * time.Second)
			}
			s.arrive(1, queue.Critical, 5)
			for end := s.now.Add(2 * time.Hour); s.now.Before(end); s.wait(time.Second) {
				for range s.attempts {
					s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: after}))
				}
			}
			if learned := s.core.Statuses(s.now)[0].Learned; learned < 150 {
				t.Errorf("after two hours of 429s the limit is %d of 300", learned)
			}
			s.wait(20 * time.Minute)
			for len(s.attempts) > 0 {
				s.answer(nil)
			}
			if s.saved[1].Pauses != 0 || len(s.ready[1]) > 0 {
				t.Errorf("all is well again, but %d events wait: %+v", len(s.ready[1]), s.core.Statuses(s.now)[0])
			}
		})
	}
}

// A critical event that waits in a paused lane whose window is full leaves with
// the first slot, not with the end of the pause.
func TestPausedAndFull(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 10)
	for range 9 {
		s.arrive(1, queue.Critical, 1)
		s.answer(nil)
	}
	s.arrive(1, queue.Critical, 1)
	s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Hour}))
	if late := s.core.Statuses(s.now)[0].TimeToPage; late < 10*time.Second || late > time.Minute {
		t.Errorf("a page would be %s late", late)
	}
	s.wait(61 * time.Second)
	s.inFlight(1)
	s.answer(nil)
	if got := s.core.Statuses(s.now)[0].Condition; got != lane.Idle {
		t.Errorf("the lane is %s after an accepted probe", got)
	}
}

// What had left before a 429 and is accepted after it does not end the pause.
func TestLateAcceptance(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 3)
	s.answer(&eventsv2.Error{Status: 429})
	s.answer(nil)
	if got := s.core.Statuses(s.now)[0]; got.Condition != lane.Paused || s.saved[1].Pauses != 1 {
		t.Errorf("the lane is %s after %d pauses", got.Condition, s.saved[1].Pauses)
	}
}

// A 429 lowers the limit to less than what was accepted. It grows again while it
// is used: to just below the place of the 429 at first, and beyond it after a
// quarter of an hour without another.
func TestLearnedLimit(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 100)
	s.acceptAll(1, queue.Critical, 80)
	s.arrive(1, queue.Critical, 1)
	s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Second}))
	learned := func() int { return s.core.Statuses(s.now)[0].Learned }
	if got := learned(); got != 72 {
		t.Fatalf("after 80 were accepted and a 429 the limit is %d, want 72", got)
	}
	s.ready[1] = nil
	use := func(d time.Duration) {
		for end := s.now.Add(d); s.now.Before(end); s.wait(61 * time.Second) {
			s.acceptAll(1, queue.Critical, 100)
			s.ready[1] = nil
		}
	}
	s.wait(61 * time.Second)
	use(10 * time.Minute)
	if got := learned(); got != 77 {
		t.Errorf("after ten minutes of use the limit is %d, want 77, just below 80", got)
	}
	s.wait(30 * time.Minute)
	if got := learned(); got != 77 {
		t.Errorf("without any use the limit has become %d", got)
	}
	use(20 * time.Minute)
	if got := learned(); got != 100 || s.saved[1].Learned != 0 {
		t.Errorf("after half an hour the limit is %d, want 100 as configured", got)
	}
}

// After a pause one event goes first; the others follow when it was accepted.
func TestOneGoesFirst(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 1)
	s.again(s.answer(&eventsv2.Error{Status: 429}))
	s.arrive(1, queue.Info, 20)
	s.wait(2 * time.Minute)
	s.inFlight(1)
	s.again(s.answer(&eventsv2.Error{Status: 429}))
	if pauses := s.saved[1].Pauses; pauses != 2 {
		t.Errorf("the second pause in a row is number %d", pauses)
	}
	s.wait(100 * time.Second) // three quarters of two minutes are 90 s
	if at := s.saved[1].PausedUntil.Sub(s.now); at > 50*time.Second || at < -10*time.Second {
		t.Errorf("the second pause ends in %s", at)
	}
	s.wait(time.Minute)
	s.inFlight(1)
	s.answer(nil)
	s.inFlight(6)
}

// An event that is too old is given up without a slot; an acknowledge or resolve
// lives an hour longer than its trigger.
func TestTooOld(t *testing.T) {
	const age = 72 * time.Hour
	for _, c := range []struct {
		action eventsv2.Action
		age    time.Duration
		sent   bool
	}{
		{eventsv2.Trigger, age, true},
		{eventsv2.Trigger, age + time.Millisecond, false},
		{"", age + time.Millisecond, false},
		{eventsv2.Resolve, age + time.Hour, true},
		{eventsv2.Acknowledge, age + time.Hour, true},
		{eventsv2.Resolve, age + time.Hour + time.Millisecond, false},
	} {
		s := newScript(t, lane.Options{MaxAge: age})
		s.open(1, "pagerduty", 60)
		s.again(queue.Event{ID: 1, Lane: 1, Action: c.action, Attempts: 2, Fresh: s.now.Add(-c.age)})
		x, ended := s.settled[1]
		if sent := len(s.attempts) == 1; sent != c.sent || ended == c.sent {
			t.Errorf("%q of %s: sent %v, settled %+v", c.action, c.age, sent, x)
		}
		if ended && (x.State != queue.Expired || x.Tried || x.Attempts != 2 || s.core.Statuses(s.now)[0].Used != 0) {
			t.Errorf("%q of %s: settled as %+v", c.action, c.age, x)
		}
	}
}

// An age that has changed holds from the next attempt on.
func TestAgeChanges(t *testing.T) {
	s := newScript(t, lane.Options{MaxAge: time.Hour})
	s.open(1, "pagerduty", 60)
	s.step(lane.Aged{MaxAge: time.Minute})
	s.again(queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, Fresh: s.now.Add(-2 * time.Minute)})
	if x := s.settled[1]; x.State != queue.Expired || x.Reason != "older than 1m0s before it could leave" {
		t.Errorf("settled as %+v", x)
	}
}

// As long as ends of attempts are not on the disk, they count as in flight.
func TestUnsettledCount(t *testing.T) {
	s := newScript(t, lane.Options{Told: true})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 50)
	s.inFlight(6)
	for range 6 {
		s.answer(nil)
	}
	s.inFlight(0)
	s.step(lane.Settled{Lane: 1})
	s.inFlight(1)
}

// Nothing is claimed by a relay that stops, and what it has claimed goes back.
func TestStop(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 10)
	s.step(lane.Stop{})
	for len(s.attempts) > 0 {
		s.answer(nil)
	}
	s.arrive(1, queue.Critical, 1)
	s.wait(time.Hour)
	s.inFlight(0)
	s.step(lane.Claimed{Lane: 1, Pick: queue.MostUrgent, N: 1, Events: s.ready[1][:1]})
	if s.released != 1 {
		t.Errorf("%d events were given back", s.released)
	}
}

// After an unclean end as many slots are taken as may have been in flight, and a
// delivery in the future counts as one of now.
func TestOpened(t *testing.T) {
	s := newScript(t, lane.Options{})
	recent := []time.Time{epoch.Add(-50 * time.Second), epoch.Add(time.Hour)}
	s.step(lane.Opened{Lane: queue.Lane{ID: 1}, Host: "pagerduty", Limit: 60, Recent: recent, Unclean: true})
	if used := s.core.Statuses(s.now)[0].Used; used != 2+8 {
		t.Errorf("%d slots are taken", used)
	}
	s.wait(10 * time.Second)
	if used := s.core.Statuses(s.now)[0].Used; used != 1+8 {
		t.Errorf("%d slots are taken after 10 s", used)
	}
	s.wait(50 * time.Second)
	if used := s.core.Statuses(s.now)[0].Used; used != 0 {
		t.Errorf("%d slots are taken after a minute", used)
	}
}

// Lanes without work want no ticks.
func TestIdleLanesCostNothing(t *testing.T) {
	s := newScript(t, lane.Options{})
	for id := range int64(5000) {
		s.open(id+1, "pagerduty", 300)
		s.arrive(id+1, queue.Info, 1)
		s.answer(nil)
	}
	if at, ok := s.core.Next(); ok {
		t.Errorf("a tick is wanted at %s", at)
	}
}
