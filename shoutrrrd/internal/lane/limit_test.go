package lane_test

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// auto opens a lane that begins with 120 events a minute and may use more.
func (s *script) auto(most int) {
	s.step(lane.Opened{Lane: queue.Lane{ID: 1}, Host: "pagerduty", Limit: most, Start: 120, Listed: true})
}

func (s *script) learned() int { return s.core.Statuses(s.now)[0].Learned }

// pauseOf is how long the lane waits now.
func (s *script) pause() time.Duration { return max(0, s.saved[1].PausedUntil.Sub(s.now)) }

// account is what PagerDuty takes of a lane in any minute, and has taken in the last one.
type account struct {
	truth int
	taken []time.Time
}

// busy lets time pass in which the lane has always something to send, and each attempt is
// answered after 50 ms. It returns how many 429s there were.
func (s *script) busy(d time.Duration, severity queue.Rank, a *account) (throttled int) {
	s.t.Helper()
	for end := s.now.Add(d); s.now.Before(end); s.wait(50 * time.Millisecond) {
		for len(a.taken) > 0 && s.now.Sub(a.taken[0]) >= time.Minute {
			a.taken = a.taken[1:]
		}
		for range len(s.attempts) {
			if len(a.taken) < a.truth {
				a.taken = append(a.taken, s.now)
				s.answer(nil)
				continue
			}
			throttled++
			s.again(s.answer(&eventsv2.Error{Status: 429}))
		}
		if len(s.ready[1]) < 200 {
			s.arrive(1, severity, 200)
		}
	}
	return throttled
}

// How long a 429 has a lane wait that says nothing about it.
func TestPauses(t *testing.T) {
	for name, c := range map[string]struct {
		accepted int
		wait     time.Duration // between that and the 429
		want     []time.Duration
	}{
		"the window moves":    {48, 20 * time.Second, []time.Duration{40, 60, 120, 240, 480, 900, 900}},
		"others are to blame": {14, 20 * time.Second, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}},
		"nothing was sent":    {0, 0, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 60)
			s.acceptAll(1, queue.Error, c.accepted)
			s.wait(c.wait)
			s.arrive(1, queue.Error, 1)
			for i, want := range c.want {
				want *= time.Second
				s.again(s.answer(&eventsv2.Error{Status: 429}))
				from, to := want*3/4, want*5/4
				if name == "the window moves" && i == 0 {
					from, to = want, want // this is known
				}
				if got := s.pause(); got < from || got > to || got > 15*time.Minute {
					t.Errorf("429 number %d has the lane wait for %s, want %s to %s", i+1, got, from, to)
				}
				if got := s.learned(); (got < 60) != (name == "the window moves") {
					t.Errorf("after 429 number %d the limit is %d", i+1, got)
				}
				s.wait(s.pause())
			}
			s.answer(nil) // all begins anew
			s.arrive(1, queue.Error, 1)
			s.again(s.answer(&eventsv2.Error{Status: 429}))
			if got := s.pause(); got > 1250*time.Millisecond {
				t.Errorf("after an acceptance a 429 has the lane wait for %s", got)
			}
		})
	}
}

// What may have been accepted counts as well: PagerDuty's window may begin with it.
func TestPauseEndsWithALostAnswer(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Error, 1)
	s.answer(&eventsv2.Error{Status: 504})
	s.wait(10 * time.Second)
	s.acceptAll(1, queue.Error, 40)
	s.wait(10 * time.Second)
	s.arrive(1, queue.Error, 1)
	s.again(s.answer(&eventsv2.Error{Status: 429}))
	if got := s.pause(); got != 40*time.Second {
		t.Errorf("the lane waits for %s, want until a minute after the lost answer", got)
	}
}

// A server that asks for a second each time, and answers 429 again, gets a request in ten
// seconds: one in each second would use up what its host gets of all lanes together.
func TestRetryAfterThatDoesNotHelp(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 10)
	s.arrive(1, queue.Critical, 1)
	for i, want := range []time.Duration{1, 1, 2, 4, 8, 10, 10} {
		s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Second}))
		want *= time.Second
		if got := s.pause(); got < want*3/4 || got > want*5/4 {
			t.Errorf("429 number %d has the lane wait for %s, want about %s", i+1, got, want)
		}
		s.wait(want * 5 / 4)
	}
}

// A Retry-After is obeyed, up to a quarter of an hour. Those that left together may ask for
// more than the first; what tries the lane meanwhile changes nothing for the others.
func TestRetryAfter(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.arrive(1, queue.Info, 3)
	s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: 20 * time.Second}))
	s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: 100 * time.Second}))
	s.again(s.answer(&eventsv2.Error{Status: 429}))
	until := s.saved[1].PausedUntil
	if got := s.pause(); got < 100*time.Second || got > 110*time.Second {
		t.Errorf("the lane waits for %s, want 100 s and up to a tenth more", got)
	}
	s.arrive(1, queue.Critical, 1)
	probes := 0
	for s.now.Before(until.Add(-time.Second)) {
		if len(s.attempts) > 0 {
			probes++
			s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Hour}))
		}
		s.wait(time.Second)
	}
	if !s.saved[1].PausedUntil.Equal(until) || probes < 9 || probes > 11 {
		t.Errorf("%d probes have moved the end of the pause from %s to %s", probes, until, s.saved[1].PausedUntil)
	}
	s.wait(10 * time.Second)
	for len(s.attempts) > 0 {
		s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: 24 * time.Hour}))
	}
	if got := s.pause(); got < 14*time.Minute || got > 15*time.Minute {
		t.Errorf("asked to wait for a day the lane waits for %s, want 15 min", got)
	}
	old := newScript(t, lane.Options{}) // written when there was no such bound
	old.step(lane.Opened{Lane: queue.Lane{ID: 1, Pauses: 1, PausedUntil: epoch.Add(20 * time.Hour)}, Host: "pagerduty", Limit: 60, Listed: true})
	if until := old.core.Statuses(epoch)[0].Until; until.After(epoch.Add(15 * time.Minute)) {
		old.arrive(1, queue.Info, 1)
		t.Errorf("after a start the lane waits until %s", until)
	}
}

// A 429 lowers the limit to less than what was accepted. It grows again while it is used,
// to just below the place of the 429.
func TestLearnedLimit(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 100)
	s.acceptAll(1, queue.Critical, 80)
	s.arrive(1, queue.Critical, 1)
	s.again(s.answer(&eventsv2.Error{Status: 429, RetryAfter: time.Second}))
	if got := s.learned(); got != 72 {
		t.Fatalf("after 80 were accepted and a 429 the limit is %d, want 72", got)
	}
	s.ready[1] = nil
	s.wait(61 * time.Second)
	s.busy(10*time.Minute, queue.Error, &account{truth: 1000})
	if got := s.learned(); got != 77 {
		t.Errorf("after ten minutes of use the limit is %d, want 77, just below 80", got)
	}
	s.ready[1] = nil
	s.wait(2 * time.Hour)
	if got := s.learned(); got != 77 {
		t.Errorf("without any use the limit has become %d", got)
	}
	s.busy(30*time.Minute, queue.Error, &account{truth: 1000})
	if got := s.learned(); got != 100 || s.saved[1].Learned != 0 {
		t.Errorf("after half an hour the limit is %d, want 100 as configured", got)
	}
}

// The limit of a lane grows to what its account really takes, at the price of one 429 an
// hour, and not beyond what is configured.
func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		truth, most     int
		lasts           time.Duration
		want, throttled int
	}{
		{120, 300, 70 * time.Minute, 120, 2}, {150, 300, 70 * time.Minute, 150, 2}, {10_000, 300, 40 * time.Minute, 300, 0}, {10_000, 120, 5 * time.Minute, 120, 0},
	} {
		s := newScript(t, lane.Options{})
		s.auto(c.most)
		if got := s.learned(); got != 120 {
			t.Errorf("it begins with %d", got)
		}
		throttled := s.busy(c.lasts, queue.Info, &account{truth: c.truth})
		if got := s.learned(); got != c.want || throttled > c.throttled {
			t.Errorf("an account that takes %d, with max %d: after %s the limit is %d and there were %d 429s, want %d and %d", c.truth, c.most, c.lasts, got, throttled, c.want, c.throttled)
		}
	}
}

// What has grown outlives the process.
func TestGrownLimitIsKept(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.auto(300)
	s.busy(20*time.Minute, queue.Info, &account{truth: 1000})
	grown := s.learned()
	if grown < 140 || s.saved[1].Learned != grown {
		t.Fatalf("the limit has grown to %d, %d is kept", grown, s.saved[1].Learned)
	}
	next := newScript(t, lane.Options{})
	next.step(lane.Opened{Lane: s.saved[1], Host: "pagerduty", Limit: 300, Start: 120, Listed: true})
	if got := next.learned(); got != grown {
		t.Errorf("after a start the limit is %d, want %d", got, grown)
	}
}

// A start does not make the place of the last 429 forgotten: no try for an hour.
func TestNoGrowthAfterAStart(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.step(lane.Opened{Lane: queue.Lane{ID: 1, Ceiling: 120}, Host: "pagerduty", Limit: 300, Start: 120, Listed: true})
	s.busy(59*time.Minute, queue.Info, &account{truth: 1000})
	if got := s.learned(); got != 120 {
		t.Errorf("the limit has grown to %d within an hour of the start", got)
	}
	s.busy(5*time.Minute, queue.Info, &account{truth: 1000})
	if got := s.learned(); got <= 120 {
		t.Errorf("the limit is still %d", got)
	}
}

// The limit does not grow while pages come, nor while one waits for its next attempt.
func TestNoGrowthWhilePagesCome(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.auto(300)
	for range 20 {
		s.arrive(1, queue.Critical, 1)
		s.busy(50*time.Second, queue.Info, &account{truth: 1000})
	}
	if got := s.learned(); got != 120 {
		t.Errorf("while pages came the limit has grown to %d", got)
	}
	s.busy(5*time.Minute, queue.Info, &account{truth: 1000})
	if got := s.learned(); got <= 120 {
		t.Errorf("the limit is still %d", got)
	}
}

// A page that comes just when the lane has met its account's limit leaves within a second.
func TestPageBehindATry(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.auto(300)
	a := &account{truth: 120}
	for s.busy(50*time.Millisecond, queue.Info, a) == 0 {
		if s.now.Sub(epoch) > 5*time.Minute {
			t.Fatal("the lane does not try whether its account takes more")
		}
	}
	tried := s.now
	s.arrive(1, queue.Critical, 1)
	for !leaves(s, queue.Critical) {
		s.wait(10 * time.Millisecond)
	}
	if late := s.now.Sub(tried); late > time.Second {
		t.Errorf("the page left after %s", late)
	}
	if got := s.learned(); got != 120 {
		t.Errorf("the 429 has lowered the limit to %d", got)
	}
}

func leaves(s *script, severity queue.Rank) bool {
	for _, e := range s.attempts {
		if e.Priority == severity {
			return true
		}
	}
	return false
}

// A limit that somebody changes holds at once, and what was learned is the same for the
// next process, however this one ends.
func TestLimitIsChanged(t *testing.T) {
	for name, c := range map[string]struct {
		stored      queue.Lane
		limit       int
		start       int
		most, begin int // to these
		want        int
	}{
		"auto, nothing learned":              {queue.Lane{}, 300, 120, 300, 120, 120},
		"auto, grown":                        {queue.Lane{Learned: 150}, 300, 120, 300, 120, 150},
		"auto, lowered":                      {queue.Lane{Learned: 54, Ceiling: 60}, 300, 120, 300, 120, 54},
		"to a fixed limit":                   {queue.Lane{}, 300, 120, 300, 0, 300},
		"to a fixed limit, grown":            {queue.Lane{Learned: 150}, 300, 120, 300, 0, 300},
		"to a fixed limit, lowered":          {queue.Lane{Learned: 108, Ceiling: 120}, 300, 120, 300, 0, 300},
		"to a smaller fixed limit":           {queue.Lane{Learned: 150}, 300, 120, 60, 0, 60},
		"to auto, lowered":                   {queue.Lane{Learned: 108, Ceiling: 120}, 300, 0, 300, 120, 108},
		"to auto":                            {queue.Lane{}, 300, 0, 300, 120, 120},
		"a greater max, grown":               {queue.Lane{Learned: 300}, 300, 120, 10_000, 120, 300},
		"a smaller max, grown":               {queue.Lane{Learned: 300}, 300, 120, 200, 120, 200},
		"fixed, grown where it was auto":     {queue.Lane{Learned: 150}, 300, 0, 300, 0, 300},
		"fixed, lowered":                     {queue.Lane{Learned: 150, Ceiling: 160}, 300, 0, 300, 0, 150},
		"fixed and read anew":                {queue.Lane{Learned: 150, Ceiling: 160}, 300, 0, 300, 0, 150},
		"a greater fixed limit, lowered":     {queue.Lane{Learned: 150, Ceiling: 160}, 300, 0, 600, 0, 600},
		"a max that is less than it starts":  {queue.Lane{}, 60, 120, 60, 120, 60},
		"written before there was any start": {queue.Lane{Learned: 0, Ceiling: 0}, 300, 120, 300, 120, 120},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			c.stored.ID = 1
			s.step(lane.Opened{Lane: c.stored, Host: "pagerduty", Limit: c.limit, Start: c.start, Listed: true})
			s.step(lane.Configured{Lane: 1, Host: "pagerduty", Limit: c.most, Start: c.begin, Listed: true})
			if got := s.learned(); got != c.want {
				t.Errorf("the limit is %d, want %d", got, c.want)
			}
			if saved, is := s.saved[1]; is {
				c.stored = saved
			}
			next := newScript(t, lane.Options{})
			next.step(lane.Opened{Lane: c.stored, Host: "pagerduty", Limit: c.most, Start: c.begin, Listed: true})
			if got := next.learned(); got != c.want {
				t.Errorf("after kill -9 the limit is %d, want %d", got, c.want)
			}
		})
	}
}

// An operator has a lane tried at once, one event first: whatever a 429 has asked for, and
// although its key was rejected. To resume a lane does the same.
func TestTry(t *testing.T) {
	for name, in := range map[string]lane.Input{"try": lane.Try{Lane: 1}, "resume": lane.Hold{Lane: 1}} {
		for _, err := range []*eventsv2.Error{{Status: 429, RetryAfter: time.Hour}, {Status: 403, Rejected: true}} {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 60)
			s.arrive(1, queue.Info, 1)
			s.again(s.answer(err))
			s.arrive(1, queue.Info, 10)
			s.inFlight(0)
			s.step(in)
			s.inFlight(1)
			if !s.saved[1].PausedUntil.IsZero() {
				t.Errorf("%s: a new process would wait until %s", name, s.saved[1].PausedUntil)
			}
			s.answer(nil)
			s.inFlight(6)
		}
	}
}
