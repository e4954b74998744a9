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
		"429":             {&eventsv2.Error{Status: 429}, queue.Ready, 2, 0, lane.Throttled},
		"500":             {&eventsv2.Error{Status: 500}, queue.Waiting, 3, 1, lane.Failing},
		"408":             {&eventsv2.Error{Status: 408}, queue.Waiting, 3, 1, lane.Failing},
		"lost answer":     {&eventsv2.Error{Err: errAway, Sent: true}, queue.Waiting, 3, 1, lane.Failing},
		"unreachable":     {&eventsv2.Error{Err: errAway}, queue.Waiting, 3, 0, lane.Failing},
		"redirect":        {&eventsv2.Error{Status: 302}, queue.Waiting, 3, 0, lane.Failing},
		"proxy login":     {&eventsv2.Error{Status: 407}, queue.Waiting, 3, 0, lane.Failing},
		"unknown path":    {&eventsv2.Error{Status: 404}, queue.Waiting, 3, 0, lane.Failing},
		"wrong method":    {&eventsv2.Error{Status: 405}, queue.Waiting, 3, 0, lane.Failing},
		"gone":            {&eventsv2.Error{Status: 410}, queue.Waiting, 3, 0, lane.Failing},
		"bad event":       {&eventsv2.Error{Rejected: true, Status: 400}, queue.Refused, 3, 1, lane.Idle},
		"too large":       {&eventsv2.Error{Status: 413}, queue.Waiting, 3, 1, lane.Failing},
		"unauthorized":    {&eventsv2.Error{Rejected: true, Status: 401}, queue.Ready, 2, 1, lane.KeyRejected},
		"no such service": {&eventsv2.Error{Rejected: true, Status: 403}, queue.Ready, 2, 1, lane.KeyRejected},
		"firewall's page": {&eventsv2.Error{Status: 403}, queue.Waiting, 3, 1, lane.Failing},
		"gateway's page":  {&eventsv2.Error{Status: 401}, queue.Waiting, 3, 1, lane.Failing},
		"page with 200":   {&eventsv2.Error{Status: 200}, queue.Waiting, 3, 1, lane.Failing},
		"unknown key":     {&eventsv2.Error{Rejected: true, Status: 400, Message: "Invalid routing key"}, queue.Ready, 2, 1, lane.KeyRejected},
		"page with 400":   {&eventsv2.Error{Status: 400}, queue.Waiting, 3, 1, lane.Failing},
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
			if s.saved[1].KeyRefused.IsZero() == (c.cond == lane.KeyRejected) {
				t.Errorf("the key counts as refused since %s", s.saved[1].KeyRefused)
			}
		})
	}
}

// A server error with a Retry-After is a maintenance page, or the word of a proxy: it
// does not park an event, with all that is behind it in its chain, for hours, and a
// critical one for no longer than it would wait by itself.
func TestServerErrorAsksForHours(t *testing.T) {
	for _, c := range []struct {
		rank        queue.Rank
		asked       time.Duration
		least, most time.Duration
	}{
		{queue.Error, 10 * time.Second, 10 * time.Second, 11 * time.Second},
		{queue.Error, 24 * time.Hour, time.Minute, time.Minute},
		{queue.Critical, 2 * time.Second, 2 * time.Second, 2200 * time.Millisecond},
		{queue.Critical, 24 * time.Hour, 4 * time.Second, 4 * time.Second},
	} {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 60)
		s.again(queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, Severity: c.rank, Priority: c.rank, Fresh: s.now, Claim: 9})
		s.answer(&eventsv2.Error{Status: 503, RetryAfter: c.asked})
		if wait := s.settled[1].Due.Sub(s.now); wait < c.least || wait > c.most {
			t.Errorf("%s, asked to wait for %s: it waits for %s", c.rank, c.asked, wait)
		}
	}
}

// down lets two chains of a lane fail, each of which waits by itself then.
func (s *script) down(id int64) {
	s.t.Helper()
	for _, e := range []queue.Event{{ID: 901, DedupKey: "first"}, {ID: 902, DedupKey: "second"}} {
		e.Lane, e.Action, e.Severity, e.Priority, e.Fresh = id, eventsv2.Trigger, queue.Error, queue.Error, s.now
		s.again(e)
		s.answer(&eventsv2.Error{Err: errAway})
	}
	if at := s.settled[902]; at.State != queue.Waiting || at.Due.Sub(s.now) < 750*time.Millisecond {
		s.t.Fatalf("an event that failed is settled as %+v", at)
	}
}

// A host that is down is probed with one event at a time: at first at once, with the
// most severe one, then with that of the lane that has waited longest, and so on. A
// lane that turns out to have nothing leaves the probe to the others.
func TestProbesOfAHost(t *testing.T) {
	s := newScript(t, lane.Options{})
	for id := range int64(4) {
		s.open(id+1, "pagerduty", 60)
	}
	s.down(1)
	s.arrive(1, queue.Info, 1)
	if s.inFlight(1); s.attempts[0].Lane != 1 {
		t.Errorf("lane %d probes at once, want the only one that has something", s.attempts[0].Lane)
	}
	s.answer(&eventsv2.Error{Status: 302})
	s.arrive(2, queue.Warning, 1)
	s.arrive(4, queue.Error, 1)
	s.step(lane.Arrived{Lane: 3, Rank: queue.Critical}) // announced, and gone since
	s.inFlight(0)
	s.wait(2 * time.Second)
	if s.inFlight(1); s.attempts[0].Lane != 2 {
		t.Errorf("lane %d probes, want lane 2, which has waited longest", s.attempts[0].Lane)
	}
	s.answer(&eventsv2.Error{Err: errAway, Sent: true})
	s.wait(3 * time.Second)
	if s.inFlight(1); s.attempts[0].Lane != 4 {
		t.Errorf("lane %d probes, want lane 4 with the error", s.attempts[0].Lane)
	}
	s.arrive(2, queue.Info, 1)
	s.answer(nil)
	s.inFlight(1) // the info follows at once
}

// The breaker opens with the second chain that fails, and probes ever more seldom.
// None of the probes waits for the end of the one before.
func TestBreaker(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 300)
	for range 5 { // one chain alone
		s.again(queue.Event{ID: 1, Lane: 1, DedupKey: "alone", Action: eventsv2.Trigger, Fresh: s.now})
		s.answer(&eventsv2.Error{Err: errAway})
	}
	if len(s.tells) > 0 {
		t.Fatalf("one chain that fails says %q", s.tells)
	}
	s.again(queue.Event{ID: 2, Lane: 1, DedupKey: "other", Action: eventsv2.Trigger, Fresh: s.now})
	s.answer(&eventsv2.Error{Status: 503}) // an answer, of PagerDuty's or of a gateway
	s.down(1)
	s.arrive(1, queue.Error, 20)
	s.inFlight(1) // at once
	var gaps []time.Duration
	for probe := range 8 {
		start, out := s.now, len(s.attempts)
		for len(s.attempts) == out {
			s.wait(100 * time.Millisecond)
		}
		gaps = append(gaps, s.now.Sub(start))
		if probe == 5 {
			for range 7 {
				s.answer(&eventsv2.Error{Err: errAway})
			}
		}
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

// A rejected key is reported once and its lane waits, longer each time, for one event
// that tries the key; what met it is not given up. An acceptance ends that, and so
// does somebody who resumes the lane or reads the configuration anew.
func TestRejectedKey(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Critical, 10)
	for _, status := range []int{401, 403, 401, 403, 401, 403, 401, 403} { // all that had left together
		s.again(s.answer(&eventsv2.Error{Status: status, Rejected: true}))
	}
	s.inFlight(0)
	for i, most := range []time.Duration{1, 2, 4, 8, 15, 15} {
		start := s.now
		for len(s.attempts) == 0 {
			s.wait(time.Second)
		}
		if waited := s.now.Sub(start); waited < most*time.Minute*3/4 || waited > most*time.Minute*5/4+time.Second {
			t.Errorf("try %d came after %s, want about %d min", i+1, waited, most)
		}
		s.inFlight(1)
		s.again(s.answer(&eventsv2.Error{Rejected: true, Status: 400, Message: "Invalid routing key"}))
	}
	for name, in := range map[string]lane.Input{
		"resumed": lane.Hold{Lane: 1}, "read anew": lane.Configured{Lane: 1, Host: "pagerduty", Limit: 60, Listed: true},
	} {
		s.inFlight(0)
		if s.step(in); len(s.attempts) != 1 {
			t.Errorf("%s, the lane makes %d attempts, want 1", name, len(s.attempts))
		}
		s.again(s.answer(&eventsv2.Error{Rejected: true, Status: 401}))
	}
	status := s.core.Statuses(s.now)[0]
	if s.saved[1].KeyRefused.IsZero() || !status.KeyRefused || status.Condition != lane.KeyRejected || status.Record.Failures != 0 {
		t.Errorf("saved as %+v, status %+v", s.saved[1], status)
	}
	for id, x := range s.settled {
		if x.State != queue.Ready || x.Attempts != 0 {
			t.Errorf("event %d was settled as %+v", id, x)
		}
	}
	s.wait(2 * time.Minute)
	s.answer(nil)
	for len(s.attempts) > 0 {
		s.answer(nil)
	}
	if !s.saved[1].KeyRefused.IsZero() || s.core.Statuses(s.now)[0].KeyRefused || len(s.ready[1]) > 0 {
		t.Errorf("saved as %+v after an acceptance, %d events wait", s.saved[1], len(s.ready[1]))
	}
	want := []lane.Change{lane.KeyIsRefused, lane.KeyIsTaken, "hastened"}
	if fmt.Sprint(s.tells) != fmt.Sprint(want) {
		t.Errorf("people are told %q, want %q", s.tells, want)
	}
}

// In a pool a trigger goes by another key, and the lane goes on, one event at a time.
// A resolve whose incident is this key's waits, and keeps nothing else from leaving.
func TestRejectedKeyOfAPool(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.again(queue.Event{ID: 1, Lane: 1, DedupKey: "1", Action: eventsv2.Resolve, Fresh: s.now})
	for id := range int64(3) {
		s.again(queue.Event{ID: 2 + id, Lane: 1, DedupKey: fmt.Sprint(2 + id), Action: eventsv2.Trigger, Fresh: s.now})
	}
	for range 4 {
		e := s.attempts[0]
		s.attempts = s.attempts[1:]
		s.step(lane.Answered{Lane: 1, ID: e.ID, Err: &eventsv2.Error{Rejected: true, Status: 403}, Other: 7})
	}
	if x := s.settled[1]; x.State != queue.Waiting || x.Due.Sub(s.now) < 45*time.Second {
		t.Errorf("the resolve was settled as %+v", x)
	}
	for id := range int64(3) {
		if x := s.settled[2+id]; x.State != queue.Ready || x.Lane != 7 {
			t.Errorf("trigger %d was settled as %+v", 2+id, x)
		}
	}
	s.arrive(1, queue.Info, 2)
	s.inFlight(1)
}

// A lane that moves to another host while it probes the old one leaves that to be
// probed by the lanes that stay.
func TestProbeMovesAway(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "old", 60)
	s.open(2, "old", 60)
	s.down(1)
	s.arrive(1, queue.Critical, 1)
	s.arrive(2, queue.Info, 1)
	s.inFlight(1)
	s.step(lane.Configured{Lane: 1, Host: "new", Limit: 60})
	s.wait(2 * time.Second)
	s.inFlight(2)
	s.answer(&eventsv2.Error{Err: errAway}) // about the old host
	if got := s.core.Statuses(s.now)[0].Condition; got == lane.Unreachable {
		t.Errorf("the new host is down for what the old one did")
	}
	s.answer(nil)
	if got := s.core.Statuses(s.now)[1].Condition; got == lane.Unreachable {
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
	if got := s.core.Statuses(s.now)[0]; got.PausedUntil.Sub(s.now) < 15*time.Minute || got.Free > 0 {
		t.Errorf("the lane is paused until %s and has %d free slots", got.PausedUntil, got.Free)
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
	if got := s.core.Statuses(s.now)[0]; got.Condition != lane.Throttled || s.saved[1].Pauses != 1 {
		t.Errorf("the lane is %s after %d pauses", got.Condition, s.saved[1].Pauses)
	}
}

// After a pause one event goes first; the others follow when it was accepted.
func TestOneGoesFirst(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 1)
	s.again(s.answer(&eventsv2.Error{Status: 429}))
	s.arrive(1, queue.Info, 20)
	for len(s.attempts) == 0 {
		s.wait(100 * time.Millisecond)
	}
	s.wait(500 * time.Millisecond)
	s.inFlight(1)
	s.again(s.answer(&eventsv2.Error{Status: 429}))
	if pauses := s.saved[1].Pauses; pauses != 2 {
		t.Errorf("the second pause in a row is number %d", pauses)
	}
	for len(s.attempts) == 0 {
		s.wait(100 * time.Millisecond)
	}
	s.inFlight(1)
	s.wait(1200 * time.Millisecond) // what hangs because of its own event holds the others up for a second
	s.inFlight(2)
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
	late := newScript(t, lane.Options{})
	late.open(1, "pagerduty", 60)
	asked := late.core.Step(late.now, lane.Arrived{Lane: 1, Rank: queue.Info})
	late.step(lane.Stop{})
	late.step(lane.Claimed{Token: asked[0].(lane.Claim).Token, Taken: []lane.Taken{{Taken: queue.Taken{Events: s.ready[1][:1], More: true}}}})
	if late.inFlight(0); late.released != 1 {
		t.Errorf("%d events were given back", late.released)
	}
}

// After an unclean end as many slots are taken as may have been in flight, and a
// delivery in the future counts as one of now.
func TestOpened(t *testing.T) {
	s := newScript(t, lane.Options{})
	recent := []queue.Acceptance{{At: epoch.Add(-50 * time.Second)}, {At: epoch.Add(time.Hour)}}
	s.step(lane.Opened{Lane: queue.Lane{ID: 1}, Host: "pagerduty", Limit: 60, Listed: true, Recent: recent, Began: epoch, Unclean: true})
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

// What may have been in flight when the last process crashed in a storm leaves the share
// that is reserved for critical events, but for as many as were queued.
func TestOpenedAfterCrashInStorm(t *testing.T) {
	for _, c := range []struct{ infos, critical, waited, used int }{
		{54, 0, 0, 54}, {54, 6, 0, 60}, {50, 0, 0, 54}, {50, 0, 3, 57}, {54, 0, 2, 56}, {0, 54, 0, 62}, {10, 0, 20, 18},
	} {
		s := newScript(t, lane.Options{})
		var recent []queue.Acceptance
		for i := range c.infos + c.critical {
			recent = append(recent, queue.Acceptance{At: epoch.Add(-time.Second), Critical: i >= c.infos})
		}
		s.step(lane.Opened{Lane: queue.Lane{ID: 1}, Host: "pagerduty", Limit: 60, Listed: true, Recent: recent, Began: epoch, Unclean: true, Waited: c.waited})
		if used := s.core.Statuses(s.now)[0].Used; used != c.used {
			t.Errorf("%+v: %d slots are taken", c, used)
		}
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

// What cannot happen is reported once, with the decisions before it, and changes
// nothing: the lane goes on.
// Only the answers that are not PagerDuty's, and those that never come, open the breaker:
// not errors of a server and not rate limits, of however many chains.
func TestBreakerStaysClosed(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	for i, err := range []eventsv2.Error{{Status: 500}, {Status: 503}, {Status: 408}, {Status: 504, Sent: true}, {Status: 429, RetryAfter: time.Second}, {Status: 429, RetryAfter: time.Second}} {
		s.again(queue.Event{ID: int64(i + 1), Lane: 1, DedupKey: fmt.Sprint(i), Priority: queue.Critical, Action: eventsv2.Trigger, Fresh: s.now})
		s.answer(&err)
		s.wait(time.Minute)
	}
	for _, told := range s.tells {
		if told == lane.HostDown {
			t.Errorf("people are told %q", s.tells)
		}
	}
}

// A report of what cannot happen has the last hundred decisions.
func TestFaultsComeWithDecisions(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.mayBreak = true
	s.open(1, "pagerduty", 60)
	for i := range 60 { // a claim, an attempt and a settlement each
		s.arrive(1, queue.Error, 1)
		s.answer(nil)
		if i%20 == 19 {
			s.wait(2 * time.Minute)
		}
	}
	s.step(lane.Answered{Lane: 7, ID: 1})
	if len(s.broken) != 1 || len(s.broken[0].Trace) != 100 {
		t.Errorf("reported: %+v", s.broken)
	}
}

func TestWhatCannotHappen(t *testing.T) {
	s := newScript(t, lane.Options{Told: true})
	s.mayBreak = true
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Error, 1)
	for range 3 {
		s.step(lane.Answered{Lane: 1, ID: 99})
		s.step(lane.Answered{Lane: 7, ID: 1})
		s.step(lane.Settled{Lane: 1})
		s.step(lane.Stale{Lane: 1, ID: 1})
		s.step(lane.Claimed{Token: 99, Taken: []lane.Taken{{Taken: queue.Taken{Events: []queue.Event{{ID: 5, Lane: 1}}}}}})
		s.step(lane.Forgotten{Lane: 1})
	}
	if len(s.broken) != 6 || s.released != 3 {
		t.Errorf("%d kinds are reported, want 6: %+v; %d events were given back", len(s.broken), s.broken, s.released)
	}
	if trace := strings.Join(s.broken[0].Trace, "\n"); !strings.Contains(trace, "claim lane 1") || !strings.Contains(trace, "attempt lane 1 #1") {
		t.Errorf("the trace:\n%s", trace)
	}
	for i := range 200 {
		s.answer(nil)
		s.step(lane.Settled{Lane: 1})
		if i%20 == 0 {
			s.wait(2 * time.Minute)
		}
		s.arrive(1, queue.Error, 1)
	}
	s.inFlight(1)
}

// The store deletes an empty lane as soon as the end of its last event is on the disk,
// and may say so before that end is reported.
func TestForgottenBeforeSettled(t *testing.T) {
	s := newScript(t, lane.Options{Told: true})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Error, 2)
	s.answer(nil)
	s.answer(nil)
	s.step(lane.Settled{Lane: 1})
	s.step(lane.Forgotten{Lane: 1})
	if len(s.closed) != 0 {
		t.Error("the lane is closed while an end of it is not reported")
	}
	s.step(lane.Settled{Lane: 1})
	if known := len(s.core.Statuses(s.now)); !slices.Equal(s.closed, []int64{1}) || known != 0 {
		t.Errorf("closed %d, and %d are known, want the lane closed", s.closed, known)
	}
}

// An answer to a claim that does not fit what was asked counts as none, and the lane is
// asked again.
func TestAnswerThatDoesNotFit(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.mayBreak = true
	s.open(1, "pagerduty", 60)
	asked := s.core.Step(s.now, lane.Arrived{Lane: 1, Rank: queue.Info})
	s.step(lane.Claimed{Token: asked[0].(lane.Claim).Token})
	s.arrive(1, queue.Info, 1)
	if s.wait(2 * time.Second); len(s.broken) != 1 {
		t.Errorf("reported: %+v", s.broken)
	}
	s.inFlight(1)
}
