package lane_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
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
	settled  map[int64]queue.Settlement
	saved    map[int64]queue.Lane
	tells    []lane.Change
	released int
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
			n := min(d.N, len(s.ready[d.Lane]))
			events := s.ready[d.Lane][:n:n]
			s.ready[d.Lane] = s.ready[d.Lane][n:]
			s.step(lane.Claimed{Lane: d.Lane, Pick: d.Pick, N: d.N, Events: events})
		case lane.Attempt:
			s.attempts = append(s.attempts, d.Event)
		case lane.Settle:
			s.settled[d.ID] = d.Settlement
		case lane.Save:
			s.saved[d.Lane.ID] = d.Lane
		case lane.Tell:
			s.tells = append(s.tells, d.What)
		case lane.Release:
			s.released += len(d.Events)
		}
	}
}

func (s *script) open(id int64, host string, limit int) {
	s.step(lane.Opened{Lane: queue.Lane{ID: id}, Host: host, Limit: limit})
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

// again announces an event anew that was settled Ready.
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

func (s *script) inFlight(want int) {
	s.t.Helper()
	if len(s.attempts) != want {
		s.t.Fatalf("%d attempts are in flight, want %d: %+v", len(s.attempts), want, s.core.Statuses(s.now))
	}
}

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
			if refused := c.err != nil && (c.err.Status == 401 || c.err.Status == 403); s.saved[1].KeyRefused.IsZero() == refused {
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
			s.arrive(1, queue.Error, 200)
			for len(s.attempts) > 0 {
				s.answer(nil)
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

// No decision and no status shows an integration key, however it is printed.
func TestNoKeyIsShown(t *testing.T) {
	const text = "0123456789abcdef0123456789abcdef"
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	core := lane.New(lane.Options{})
	decisions := core.Step(epoch, lane.Opened{Lane: queue.Lane{ID: 1, Key: key}, Host: "pagerduty", Limit: 60})
	e := queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, Fresh: epoch}
	decisions = append(decisions, core.Step(epoch, lane.Claimed{Lane: 1, N: 1, Events: []queue.Event{e}})...)
	decisions = append(decisions, core.Step(epoch, lane.Answered{Lane: 1, ID: 1, Err: &eventsv2.Error{Status: 429}})...)
	var shown strings.Builder
	saves := 0
	for _, d := range decisions {
		if _, ok := d.(lane.Save); ok {
			saves++
		}
		fmt.Fprintf(&shown, "%v %+v %#v\n", d, d, d)
	}
	fmt.Fprintf(&shown, "%+v", core.Statuses(epoch))
	if saves == 0 {
		t.Error("there was no decision with a key in it")
	}
	keyleak.Check(t, text, keyleak.Text("decisions", shown.String()))
}

// The core has no clock, no randomness but its seed's, no I/O and no threads.
func TestImports(t *testing.T) {
	allowed := map[string]bool{
		"container/heap": true, "context": true, "errors": true, "fmt": true, "math/rand/v2": true, "net/http": true, "slices": true, "time": true,
		"github.com/containrrr/shoutrrr/pkg/eventsv2":             true,
		"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue": true,
	}
	banned := []string{
		"time.Now", "time.Since", "time.Until", "time.After(", "time.Tick(", "time.NewTimer", "time.NewTicker", "time.Sleep",
		"rand.Int", "rand.Float", "rand.N(", "rand.Perm", "rand.Shuffle", "rand.Uint", "http.Get", "http.Client", "http.Default", "go func",
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if path.Ext(f.Name()) != ".go" || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			if name, _ := strconv.Unquote(i.Path.Value); !allowed[name] {
				t.Errorf("%s imports %s", f.Name(), name)
			}
		}
		for _, word := range banned {
			if strings.Contains(string(text), word) {
				t.Errorf("%s says %s", f.Name(), word)
			}
		}
	}
}
