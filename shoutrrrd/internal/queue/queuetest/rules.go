package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// rig is a store in which a rule is shown by hand.
type rig struct {
	t     *testing.T
	store Opened
	now   time.Time
	ready []queue.Rank // announced
}

// rules are what a store has to keep, one by one, so that a failure has a name.
// The random operations compare far more, but say less.
var rules = map[string]func(r *rig){
	"the first of a chain is ready, the next is blocked": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Info)
		r.put("a", eventsv2.Resolve, queue.Info)
		r.put("b", eventsv2.Trigger, queue.Info)
		r.states("a:trigger:ready a:resolve:blocked b:trigger:ready")
	},
	"a trigger behind a trigger is coalesced": func(r *rig) {
		first := r.put("a", eventsv2.Trigger, queue.Error)
		again := r.put("a", eventsv2.Trigger, queue.Info)
		if !again.Coalesced || again.ID != first.ID {
			r.t.Errorf("placed at %+v, the first at %+v", again, first)
		}
		e := r.claim(queue.MostUrgent, 9)[0]
		if e.Repeats != 1 || e.Severity != queue.Error || !e.Fresh.After(e.Accepted) || !strings.Contains(string(e.Body), "info") {
			r.t.Errorf("coalesced into %+v with body %s", e, e.Body)
		}
	},
	"a claimed trigger is not coalesced into": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.claim(queue.MostUrgent, 1)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.states("a:trigger:ready a:trigger:blocked")
	},
	"a trigger behind a resolve is a new one": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Resolve, queue.Error)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.states("a:trigger:ready a:resolve:blocked a:trigger:blocked")
	},
	"a waiting trigger that is coalesced into keeps waiting": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Waiting)
		r.put("a", eventsv2.Trigger, queue.Critical)
		r.states("a:trigger:waiting")
		r.now = r.now.Add(time.Hour)
		r.wake()
		r.states("a:trigger:ready")
	},
	"the end of the head makes the next ready": func(r *rig) {
		for _, end := range []queue.State{queue.Delivered, queue.Refused, queue.Expired} {
			dedup := end.String()
			r.put(dedup, eventsv2.Trigger, queue.Error)
			r.put(dedup, eventsv2.Resolve, queue.Error)
			r.settle(r.claim(queue.MostUrgent, 1)[0], end)
			if e := r.claim(queue.MostUrgent, 1)[0]; e.DedupKey != dedup || e.Action != eventsv2.Resolve {
				r.t.Errorf("after %s: %s of %s is ready", end, e.Action, e.DedupKey)
			}
		}
	},
	"what is sent again stays the head": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Resolve, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Ready)
		r.states("a:trigger:ready a:resolve:blocked")
		r.settle(r.claim(queue.MostUrgent, 9)[0], queue.Waiting)
		r.states("a:trigger:waiting a:resolve:blocked")
		if left := r.claim(queue.MostUrgent, 9); len(left) > 0 {
			r.t.Errorf("claimed %+v before it was due", left)
		}
	},
	"a chain is as urgent as its gravest event": func(r *rig) {
		r.put("error", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Trigger, queue.Info)
		r.put("a", eventsv2.Resolve, queue.Critical) // counts as an error
		if e := r.claim(queue.OnlyCritical, 9); len(e) > 0 {
			r.t.Errorf("a resolve made its chain critical: %+v", e)
		}
		r.ready = nil
		r.put("a", eventsv2.Trigger, queue.Critical)
		if !slices.Contains(r.ready, queue.Critical) {
			r.t.Errorf("nobody was told that a critical event waits: %v", r.ready)
		}
		if e := r.claim(queue.MostUrgent, 1)[0]; e.DedupKey != "a" || e.Severity != queue.Info || e.Priority != queue.Critical {
			r.t.Errorf("claimed %+v first", e)
		}
	},
	"the picks": func(r *rig) {
		r.put("info", eventsv2.Trigger, queue.Info)
		r.put("critical 1", eventsv2.Trigger, queue.Critical)
		r.put("critical 2", eventsv2.Trigger, queue.Critical)
		r.put("error", eventsv2.Trigger, queue.Error)
		r.claims(queue.OnlyCritical, 1, "critical 1")
		r.claims(queue.Oldest, 1, "info")
		r.claims(queue.MostUrgent, 9, "critical 2", "error")
	},
	"change events are chains of their own": func(r *rig) {
		for range 2 {
			r.must(r.store.Put(context.Background(), queue.New{Lane: 1, Kind: queue.Change, Severity: queue.Info, Accepted: r.now, Body: []byte(`{}`)}))
		}
		r.states("::ready ::ready")
	},
	"a released claim is ready, and announced": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		held := r.claim(queue.MostUrgent, 1)
		r.ready = nil
		r.store.Release(held)
		if len(r.ready) == 0 {
			r.t.Error("nobody was told")
		}
		r.claims(queue.MostUrgent, 1, "a")
	},
	"a claim that was given back settles nothing": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		old := r.claim(queue.MostUrgent, 1)
		r.store.Release(old)
		r.claim(queue.MostUrgent, 1)
		x := queue.Settlement{ID: old[0].ID, Claim: old[0].Claim, State: queue.Delivered, At: r.now}
		if err := r.store.Settle(context.Background(), []queue.Settlement{x}); !errors.Is(err, queue.ErrStale) {
			r.t.Errorf("settled: %v", err)
		}
		r.states("a:trigger:ready")
	},
	"claims do not outlive the process": func(r *rig) {
		for _, clean := range []bool{true, false} {
			r.put(fmt.Sprint(clean), eventsv2.Trigger, queue.Error)
			r.claim(queue.MostUrgent, 9)
			r.store.Store = r.store.Restart(clean)
		}
		r.claims(queue.MostUrgent, 9, "true", "false")
	},
	"a requeued event goes to the tail of its chain and is fresh": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Refused)
		r.put("a", eventsv2.Resolve, queue.Error)
		r.now = r.now.Add(time.Hour)
		if err := r.store.Requeue(context.Background(), 1, queue.By{Who: "ana", At: r.now}); err != nil {
			r.t.Fatal(err)
		}
		r.states("a:trigger:blocked a:resolve:ready")
		if e := r.all()[0]; e.Attempts != 0 || !e.Fresh.Equal(r.now) {
			r.t.Errorf("requeued as %+v", e)
		}
	},
	"an event in flight cannot be dropped, a head that is dropped makes way": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Resolve, queue.Error)
		held := r.claim(queue.MostUrgent, 1)
		if err := r.store.Drop(context.Background(), 1, queue.By{Who: "ana", At: r.now}); !errors.Is(err, queue.ErrState) {
			r.t.Errorf("dropped in flight: %v", err)
		}
		r.store.Release(held)
		if err := r.store.Drop(context.Background(), 1, queue.By{Who: "ana", At: r.now}); err != nil {
			r.t.Error(err)
		}
		r.states("a:trigger:dropped a:resolve:ready")
	},
	"a pool keeps an incident on its lane until the resolve is delivered": func(r *rig) {
		put := func(lane int64, action eventsv2.Action, want int64) {
			r.t.Helper()
			n := queue.New{Lane: lane, Pool: "db", Action: action, DedupKey: "a", Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
			if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != want {
				r.t.Errorf("the %s is on lane %d, want %d", action, placed.Lane, want)
			}
		}
		put(1, eventsv2.Trigger, 1)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.store.Store = r.store.Restart(true)
		put(2, eventsv2.Acknowledge, 1)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		put(2, eventsv2.Resolve, 1)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		put(2, eventsv2.Trigger, 2)
	},
	"only what was delivered or dropped is purged": func(r *rig) {
		for _, end := range []queue.State{queue.Delivered, queue.Refused, queue.Expired, queue.Waiting} {
			r.put(end.String(), eventsv2.Trigger, queue.Error)
			r.settle(r.claim(queue.MostUrgent, 1)[0], end)
		}
		r.put("ready", eventsv2.Trigger, queue.Error)
		r.must2(r.store.Purge(context.Background(), r.now.Add(time.Hour), 100))
		r.states("refused:trigger:refused expired:trigger:expired waiting:trigger:waiting ready:trigger:ready")
	},
	"what operators did to a lane is kept, the last hundred times": func(r *rig) {
		for i := range 60 {
			r.fail(r.store.Hold(context.Background(), 1, queue.By{Who: "ana", Why: fmt.Sprint("works ", i), At: r.now}))
			r.fail(r.store.Unhold(context.Background(), 1, queue.By{Who: "ben", At: r.now}))
		}
		r.fail(r.store.Hold(context.Background(), 2, queue.By{Who: "another lane's", At: r.now}))
		entries, err := r.store.LaneHistory(context.Background(), 1)
		r.fail(err)
		if len(entries) != 100 {
			r.t.Fatalf("%d entries are kept", len(entries))
		}
		last, one := entries[0], entries[1]
		if last.What != "resumed" || last.Who != "ben" || one.What != "paused" || one.Who != "ana" || one.Text != "works 59" || !one.At.Equal(r.now) {
			r.t.Errorf("the latest entries are %+v, %+v", last, one)
		}
	},
	"what is known of a lane outlives the process": func(r *rig) {
		want := queue.Lane{
			ID: 1, Learned: 30, Ceiling: 33, Pauses: 2, PausedUntil: r.now.Add(time.Minute), KeyRefused: r.now,
			Held: true, HeldBy: queue.By{Who: "ana", Why: "works", At: r.now},
		}
		r.fail(r.store.Hold(context.Background(), 1, want.HeldBy))
		r.fail(r.store.SaveLane(context.Background(), queue.Lane{
			ID: 1, Learned: 30, Ceiling: 33, Pauses: 2, PausedUntil: want.PausedUntil, KeyRefused: want.KeyRefused,
		}))
		r.store.Store = r.store.Restart(false)
		lanes, err := r.store.Lanes(context.Background())
		r.fail(err)
		got := lanes[0]
		want.Key = got.Key
		if fmt.Sprintf("%+v", inUTC(got)) != fmt.Sprintf("%+v", inUTC(want)) {
			r.t.Errorf("after the restart the lane is\n%+v, want\n%+v", got, want)
		}
		r.fail(r.store.Unhold(context.Background(), 1, queue.By{Who: "ana", At: r.now}))
		if lanes, _ := r.store.Lanes(context.Background()); lanes[0].Held || lanes[0].HeldBy != (queue.By{}) || lanes[0].Learned != 30 {
			r.t.Errorf("after the end of the hold the lane is %+v", lanes[0])
		}
		if err := r.store.Hold(context.Background(), 99, want.HeldBy); !errors.Is(err, queue.ErrNotFound) {
			r.t.Errorf("held a lane that there is not: %v", err)
		}
	},
}

func inUTC(l queue.Lane) queue.Lane {
	l.PausedUntil, l.KeyRefused, l.HeldBy.At = l.PausedUntil.UTC(), l.KeyRefused.UTC(), l.HeldBy.At.UTC()
	return l
}

// testRules shows every rule in a store of its own.
func testRules(t *testing.T, open Open) {
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, now: time.UnixMilli(1_800_000_000_000).UTC()}
			r.store = open(func() time.Time { return r.now }, func(_ int64, rank queue.Rank) { r.ready = append(r.ready, rank) })
			defer func() { r.store.Close() }()
			for _, text := range Keys {
				key, err := eventsv2.ParseKey(text)
				r.fail(err)
				_, err = r.store.Lane(context.Background(), key)
				r.fail(err)
			}
			rule(r)
		})
	}
}

func (r *rig) fail(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) must(p queue.Placed, err error) queue.Placed {
	r.t.Helper()
	r.fail(err)
	return p
}

func (r *rig) must2(_ int, err error) {
	r.t.Helper()
	r.fail(err)
}

// put keeps an event of the first lane, a second after the one before.
func (r *rig) put(dedup string, action eventsv2.Action, severity queue.Rank) queue.Placed {
	r.t.Helper()
	r.now = r.now.Add(time.Second)
	return r.must(r.store.Put(context.Background(), queue.New{
		Lane: 1, Action: action, DedupKey: dedup, Severity: severity, Accepted: r.now, Body: fmt.Appendf(nil, `{"severity":%q}`, severity),
	}))
}

func (r *rig) claim(pick queue.Pick, n int) []queue.Event {
	r.t.Helper()
	events, err := r.store.Claim(context.Background(), 1, pick, n)
	r.fail(err)
	return events
}

// claims claims, and says what it should be.
func (r *rig) claims(pick queue.Pick, n int, want ...string) {
	r.t.Helper()
	var got []string
	for _, e := range r.claim(pick, n) {
		got = append(got, e.DedupKey)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("claimed %q, want %q", got, want)
	}
}

func (r *rig) settle(e queue.Event, end queue.State) {
	r.t.Helper()
	r.fail(r.store.Settle(context.Background(), []queue.Settlement{{
		ID: e.ID, Claim: e.Claim, State: end, At: r.now, Due: r.now.Add(time.Minute), Attempts: e.Attempts + 1, Tried: true,
	}}))
}

func (r *rig) wake() {
	r.t.Helper()
	_, err := r.store.Wake(context.Background(), r.now, 0)
	r.fail(err)
}

// all returns all events, by number.
func (r *rig) all() []queue.Event {
	r.t.Helper()
	page, err := r.store.Events(context.Background(), queue.Filter{Limit: 1000})
	r.fail(err)
	slices.Reverse(page.Events)
	return page.Events
}

// states says how all events stand, as dedup:action:state.
func (r *rig) states(want string) {
	r.t.Helper()
	var got []string
	for _, e := range r.all() {
		got = append(got, fmt.Sprintf("%s:%s:%s", e.DedupKey, e.Action, e.State))
	}
	if text := strings.Join(got, " "); text != want {
		r.t.Errorf("the events are\n%s, want\n%s", text, want)
	}
}
