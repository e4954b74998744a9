package queuetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// rig is a store in which a rule is shown by hand.
type rig struct {
	t     *testing.T
	store Opened
	now   time.Time
	ready []queue.Rank // announced
	made  int          // new keys
}

// rules are what a store has to keep, one by one, so that a failure has a name.
// The random operations compare far more, but say less.
var rules = map[string]func(r *rig){
	"what is queued keeps its upstream, and an empty lane follows the configuration": func(r *rig) {
		r.configure("https://one.example.com")
		r.put("a", eventsv2.Trigger, queue.Error)
		r.upstream(1, "https://one.example.com")
		r.configure("https://two.example.com")
		r.put("b", eventsv2.Trigger, queue.Error) // waits with it
		r.upstream(1, "https://one.example.com")
		r.upstream(2, "https://two.example.com")
		for _, e := range r.claim(queue.MostUrgent, 2) {
			r.settle(e, queue.Refused)
		}
		r.upstream(1, "https://two.example.com")
		r.again(queue.Again{IDs: []int64{1}}, "another upstream")
		r.put("c", eventsv2.Trigger, queue.Error)
		r.again(queue.Again{IDs: []int64{1, 2}, Elsewhere: true}, "", "")
		r.states("a:trigger:ready b:trigger:ready c:trigger:ready")
	},
	"a lane whose key is named no more keeps an upstream of its own": func(r *rig) {
		r.store.Configure(func(eventsv2.Key) queue.Configured {
			return queue.Configured{Upstream: "https://one.example.com", Own: true, Listed: true}
		})
		r.upstream(1, "https://one.example.com")
		r.configure("https://two.example.com")
		r.upstream(1, "https://one.example.com")
		r.put("a", eventsv2.Trigger, queue.Error)
		r.upstream(1, "https://one.example.com")
		r.store.Configure(func(eventsv2.Key) queue.Configured {
			return queue.Configured{Upstream: "https://two.example.com", Listed: true}
		})
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.upstream(1, "https://two.example.com")
	},
	"a resolve goes to the incident of another key, past an acknowledge of nothing that waits": func(r *rig) {
		r.of(1, 1, "a", eventsv2.Acknowledge, 1)
		r.of(2, 2, "a", eventsv2.Trigger, 2)
		r.of(1, 1, "a", eventsv2.Resolve, 2)
	},
	"a chain does not move to a lane that goes elsewhere": func(r *rig) {
		r.configure("https://one.example.com")
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.configure("https://two.example.com")
		r.pooled(2, "b", eventsv2.Trigger, 2)
		r.move(1)
		r.settle(r.claimLane(2), queue.Expired)
		r.move(1, "a") // the other lane is empty, and takes the upstream with the chain
		r.upstream(2, "https://one.example.com")
	},
	"an operator moves what is not an open incident's, and dead letters": func(r *rig) {
		r.put("dead", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Refused)
		r.put("open", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.put("open", eventsv2.Resolve, queue.Error)
		r.put("new", eventsv2.Trigger, queue.Critical)
		r.put("new", eventsv2.Resolve, queue.Error)
		r.put("sent", eventsv2.Trigger, queue.Critical)
		claimed := r.claim(queue.OnlyCritical, 2)
		r.store.Release(claimed[:1])
		sent := claimed[1]
		for _, preview := range []bool{true, false} {
			r.transfer(queue.Transfer{From: 1, To: 2, Preview: preview}, queue.Transferred{
				Chains: 1, Dead: 1, Queued: [queue.Ranks]int{1, 1}, Stay: map[queue.Stay]int{queue.StayOpen: 1, queue.StayInFlight: 1},
			})
		}
		r.settle(sent, queue.Delivered)
		r.lanes("1:2 2:1 3:1 4:2 5:2 6:1")
		r.again(queue.Again{IDs: []int64{1}}, "")
		r.lanes("1:2 2:1 3:1 4:2 5:2 6:1")
		if e := r.claimLane(2); e.DedupKey != "new" || e.Action != eventsv2.Trigger {
			r.t.Errorf("first of the other lane is %+v", e)
		}
	},
	"dead letters that were accepted for an earlier upstream stay, unless somebody means it": func(r *rig) {
		r.configure("https://one.example.com")
		r.put("earlier", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Refused)
		r.configure("https://two.example.com")
		r.put("dead", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Refused)
		r.transfer(queue.Transfer{From: 1, To: 2}, queue.Transferred{Dead: 1, Stay: map[queue.Stay]int{queue.StayEarlier: 1}})
		r.lanes("1:1 2:2")
		r.transfer(queue.Transfer{From: 1, To: 2, Elsewhere: true}, queue.Transferred{Dead: 1})
		r.lanes("1:2 2:2")
	},
	"an operator has a lane follow the configuration": func(r *rig) {
		r.configure("https://one.example.com")
		r.put("a", eventsv2.Trigger, queue.Error)
		r.configure("https://two.example.com")
		if _, err := r.store.Transfer(context.Background(), queue.Transfer{From: 1, To: 1}); !errors.Is(err, queue.ErrElsewhere) {
			r.t.Errorf("to another upstream: %v", err)
		}
		r.upstream(1, "https://one.example.com")
		r.transfer(queue.Transfer{From: 1, To: 1, Elsewhere: true}, queue.Transferred{Queued: [queue.Ranks]int{0, 1}})
		r.upstream(1, "https://two.example.com")
	},
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
	"of lanes whose keys are rejected the longest idle makes room": func(r *rig) {
		r.store.Bound(len(Keys))
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Resolve, queue.Error)
		r.lane(3) // the second lane is empty, and goes first
		r.reject(1)
		r.now = r.now.Add(time.Minute)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Ready)
		r.must(r.store.Put(context.Background(), queue.New{Lane: 3, Action: eventsv2.Trigger, DedupKey: "b", Accepted: r.now, Body: []byte(`{}`)}))
		r.noLane() // the scheduler has still to learn how that attempt ended
		held := r.claim(queue.MostUrgent, 1)
		r.now = r.now.Add(time.Minute)
		r.noLane() // one is being sent
		r.store.Release(held)
		r.now = r.now.Add(time.Minute)
		r.states("a:trigger:ready a:resolve:blocked b:trigger:ready")
		r.lane(4)
		r.states("a:trigger:refused a:resolve:refused b:trigger:ready")
		if _, err := r.store.LaneByID(context.Background(), 1); !errors.Is(err, queue.ErrNotFound) {
			r.t.Errorf("the lane that made room: %v", err)
		}
		if err := RequeueOne(context.Background(), r.store, 1, queue.By{Who: "ana", At: r.now}); !errors.Is(err, queue.ErrState) {
			r.t.Errorf("requeue of what was queued in it: %v", err)
		}
	},
	"dead letters hold the place of a lane only if something of it was accepted": func(r *rig) {
		r.store.Bound(len(Keys))
		for lane, state := range map[int64]queue.State{1: queue.Delivered, 2: queue.Expired} {
			for _, state := range []queue.State{state, queue.Refused} {
				r.now = r.now.Add(time.Second)
				r.must(r.store.Put(context.Background(), queue.New{Lane: lane, Action: eventsv2.Trigger, DedupKey: "a", Accepted: r.now, Body: []byte(`{}`)}))
				events, err := Claim(context.Background(), r.store, lane, queue.MostUrgent, 1)
				r.fail(err)
				r.settle(events[0], state)
			}
		}
		r.now = r.now.Add(time.Minute)
		r.lane(3)
		if _, err := r.store.LaneByID(context.Background(), 2); !errors.Is(err, queue.ErrNotFound) {
			r.t.Errorf("the lane that has dead letters alone: %v", err)
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
	"the least tried critical event": func(r *rig) {
		r.put("critical 1", eventsv2.Trigger, queue.Critical)
		held := r.claim(queue.OnlyCritical, 1)[0]
		r.settle(held, queue.Waiting)
		r.now = r.now.Add(time.Minute)
		r.wake()
		r.put("error", eventsv2.Trigger, queue.Error)
		r.put("critical 2", eventsv2.Trigger, queue.Critical)
		r.put("critical 3", eventsv2.Trigger, queue.Critical)
		r.claims(queue.LeastTried, 1, "critical 2")
		r.claims(queue.LeastTried, 9, "critical 3", "critical 1")
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
		if err := Settle(context.Background(), r.store, x); !errors.Is(err, queue.ErrStale) {
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
	"what PagerDuty may count outlives the process, however that ends": func(r *rig) {
		began := r.now
		count := func(dedup string, end queue.State, counts int) {
			r.put(dedup, eventsv2.Trigger, queue.Error)
			e := r.claim(queue.MostUrgent, 1)[0]
			r.fail(Settle(context.Background(), r.store, queue.Settlement{
				ID: e.ID, Claim: e.Claim, State: end, At: r.now, Due: r.now.Add(time.Hour), Attempts: 1, Tried: true, Status: 504, Counts: counts,
			}))
		}
		count("lost", queue.Waiting, 1)
		count("delivered", queue.Delivered, 1)
		count("rejected", queue.Refused, 1)
		count("away", queue.Waiting, 0)
		count("lost twice", queue.Waiting, 2)
		count("one of two delivered", queue.Delivered, 2)
		var want []time.Time
		for _, second := range []time.Duration{1, 2, 3, 5, 5, 6, 6} {
			want = append(want, began.Add(second*time.Second))
		}
		for _, clean := range []bool{true, true, false, false} {
			r.store.Store = r.store.Restart(clean)
			r.recent(began, want)
		}
		r.recent(began.Add(2*time.Second), want[1:])
		r.now = began.Add(time.Minute + 5*time.Second)
		r.must2(r.store.Purge(context.Background(), time.Time{}, time.Time{}, 9))
		r.recent(r.now.Add(-time.Minute), want[3:])
	},
	"an upstream fails until it accepts, across processes": func(r *rig) {
		attempt := func(upstream string, failing bool) {
			dedup := fmt.Sprint(upstream, r.now)
			r.put(dedup, eventsv2.Trigger, queue.Error)
			e := r.claim(queue.MostUrgent, 1)[0]
			r.fail(Settle(context.Background(), r.store, queue.Settlement{
				ID: e.ID, Claim: e.Claim, State: queue.Waiting, At: r.now, Due: r.now.Add(time.Hour), Attempts: 1, Tried: true, Upstream: upstream, Failing: failing,
			}))
		}
		for _, c := range []struct {
			upstream string
			failing  bool
			want     []string
		}{
			{"a", true, []string{"a"}}, {"c", false, []string{"a"}}, {"b", true, []string{"a", "b"}}, {"b", true, []string{"a", "b"}}, {"a", false, []string{"b"}},
		} {
			attempt(c.upstream, c.failing)
			for _, clean := range []bool{true, false} {
				r.store.Store = r.store.Restart(clean)
				if got, err := r.store.Failing(context.Background()); err != nil || !slices.Equal(got, c.want) {
					r.t.Errorf("after an attempt to %s %q fail, want %q: %v", c.upstream, got, c.want, err)
				}
			}
		}
	},
	"an operator's try makes due what waits": func(r *rig) {
		by := queue.By{Who: "ana", Why: "now", At: r.now}
		for _, dedup := range []string{"a", "b", "c"} {
			r.put(dedup, eventsv2.Trigger, queue.Error)
			r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Waiting)
		}
		r.put("a", eventsv2.Resolve, queue.Error)
		if head, err := r.store.TryEvent(context.Background(), 4, by); err != nil || head != 1 { // the head of its chain
			r.t.Errorf("event %d was tried: %v", head, err)
		}
		r.states("a:trigger:ready b:trigger:waiting c:trigger:waiting a:resolve:blocked")
		if n, err := r.store.TryLane(context.Background(), 2, by); n != 0 || err != nil {
			r.t.Errorf("%d events of another lane were tried: %v", n, err)
		}
		r.ready = nil
		if n, err := r.store.TryLane(context.Background(), 1, by); n != 2 || err != nil || len(r.ready) != 2 {
			r.t.Errorf("%d events were tried and %d announced, want 2: %v", n, len(r.ready), err)
		}
		r.states("a:trigger:ready b:trigger:ready c:trigger:ready a:resolve:blocked")
		entries, err := r.store.LaneHistory(context.Background(), 1)
		if r.fail(err); len(entries) != 1 || entries[0].What != "tried" || entries[0].Who != "ana" || entries[0].Text != "now" {
			r.t.Errorf("the lane's history is %+v", entries)
		}
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		if _, err := r.store.TryEvent(context.Background(), 1, by); !errors.Is(err, queue.ErrState) {
			r.t.Errorf("tried what was delivered: %v", err)
		}
		if _, err := r.store.TryEvent(context.Background(), 99, by); !errors.Is(err, queue.ErrNotFound) {
			r.t.Errorf("tried what there is not: %v", err)
		}
	},
	"a requeued event goes to its place in its chain and is fresh": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Refused)
		r.put("a", eventsv2.Acknowledge, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Refused)
		r.put("a", eventsv2.Resolve, queue.Critical)
		r.now = r.now.Add(time.Hour)
		r.again(queue.Again{IDs: []int64{2, 1, 2}}, "", "")
		r.states("a:trigger:ready a:acknowledge:blocked a:resolve:blocked")
		if e := r.all()[0]; e.Attempts != 0 || !e.Fresh.Equal(r.now) {
			r.t.Errorf("requeued as %+v", e)
		}
		for _, want := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve} {
			e := r.claim(queue.MostUrgent, 1)[0]
			if e.Action != want {
				r.t.Errorf("the %s leaves, want the %s", e.Action, want)
			}
			r.settle(e, queue.Delivered)
		}
	},
	"what the sender has taken back since is not requeued": func(r *rig) {
		for _, c := range []struct{ first, then eventsv2.Action }{{eventsv2.Trigger, eventsv2.Resolve}, {eventsv2.Acknowledge, eventsv2.Resolve}, {eventsv2.Resolve, eventsv2.Trigger}} {
			dedup := string(c.first)
			r.put(dedup, c.first, queue.Error)
			e := r.claim(queue.MostUrgent, 1)[0]
			r.settle(e, queue.Refused)
			r.put(dedup, c.then, queue.Error)
			later := r.claim(queue.MostUrgent, 1)[0]
			r.again(queue.Again{IDs: []int64{e.ID}}, queue.ErrOutdated.Error())
			r.settle(later, queue.Delivered)
			r.again(queue.Again{IDs: []int64{e.ID}}, queue.ErrOutdated.Error())
		}
		r.put("said again", eventsv2.Trigger, queue.Error)
		e := r.claim(queue.MostUrgent, 1)[0]
		r.settle(e, queue.Refused)
		r.put("said again", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.again(queue.Again{IDs: []int64{e.ID}}, "")
	},
	"what was taken back by another key of a pool that is no more is not requeued": func(r *rig) {
		r.of(1, 1, "a", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Refused)
		r.of(1, 2, "a", eventsv2.Resolve, 2)
		later := r.claimLane(2)
		r.again(queue.Again{IDs: []int64{1}}, queue.ErrOutdated.Error())
		r.settle(later, queue.Delivered)
		r.again(queue.Again{IDs: []int64{1}}, queue.ErrOutdated.Error())
	},
	"an acknowledge behind a resolve opens no incident": func(r *rig) {
		for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Resolve, eventsv2.Acknowledge} {
			r.of(1, 1, "a", action, 1)
		}
		for range 3 {
			r.settle(r.claimLane(1), queue.Delivered)
		}
		r.of(1, 2, "a", eventsv2.Trigger, 2) // by any key of the pool
	},
	"a requeued trigger goes into one beside it": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Critical)
		first := r.claim(queue.MostUrgent, 1)[0]
		r.settle(first, queue.Refused)
		r.put("a", eventsv2.Trigger, queue.Info)
		r.again(queue.Again{IDs: []int64{1}}, "")
		r.states("a:trigger:dropped a:trigger:ready")
		if e := r.all()[1]; e.Repeats != 1 || e.Severity != queue.Critical || !e.Accepted.Equal(first.Accepted) {
			r.t.Errorf("together they are %+v", e)
		}
	},
	"a requeued event goes by the key of its incident": func(r *rig) {
		r.of(1, 1, "a", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Refused)
		r.of(2, 2, "a", eventsv2.Trigger, 2)
		r.settle(r.claimLane(2), queue.Delivered)
		r.again(queue.Again{IDs: []int64{1}, Pools: [][]int64{{2, 1}}}, "")
		if e := r.claimLane(2); e.ID != 1 {
			r.t.Errorf("event %d leaves", e.ID)
		}
		r.of(1, 1, "a", eventsv2.Resolve, 2)
	},
	"a requeued event of a pool that is no more is known by its key": func(r *rig) {
		r.of(1, 2, "a", eventsv2.Trigger, 2)
		r.settle(r.claimLane(2), queue.Refused)
		r.again(queue.Again{IDs: []int64{1}}, "")
		r.settle(r.claimLane(2), queue.Delivered)
		n := queue.New{Lane: 1, Action: eventsv2.Resolve, DedupKey: "a", Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
		if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != 2 {
			r.t.Errorf("the resolve is on lane %d", placed.Lane)
		}
	},
	"delivered events are sent once more only if that is meant": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.again(queue.Again{IDs: []int64{1}}, queue.ErrState.Error())
		r.again(queue.Again{IDs: []int64{1, 9}, Delivered: true}, "", queue.ErrNotFound.Error())
		r.states("a:trigger:ready")
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
			n := queue.New{Lane: lane, Pool: []int64{1, 2}, Action: action, DedupKey: "a", Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
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
	"a pool remembers the lane of a trigger that was requeued": func(r *rig) {
		r.pooled(1, "a", eventsv2.Trigger, 1)
		e := r.claimLane(1)
		r.settle(e, queue.Refused)
		r.fail(RequeueOne(context.Background(), r.store, e.ID, queue.By{Who: "ana", At: r.now}))
		r.settle(r.claimLane(1), queue.Delivered)
		r.pooled(2, "a", eventsv2.Resolve, 1)
	},
	"a resolve of a pool that leaves late says nothing of an incident that another lane has": func(r *rig) {
		r.pooled(1, "a", eventsv2.Resolve, 1) // of an incident that nobody knows
		r.pooled(2, "a", eventsv2.Trigger, 2)
		r.settle(r.claimLane(2), queue.Delivered)
		r.settle(r.claimLane(1), queue.Delivered)
		r.pooled(1, "a", eventsv2.Resolve, 2)
	},
	"an incident of a key stays with it when the key is put into a pool": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.put("b", eventsv2.Trigger, queue.Error)
		r.store.Store = r.store.Restart(true)
		r.of(1, 2, "a", eventsv2.Resolve, 1)
		r.of(1, 2, "b", eventsv2.Resolve, 1)
		r.of(1, 2, "new", eventsv2.Trigger, 2)
	},
	"an incident of a pool stays with its key when the pool changes and goes": func(r *rig) {
		r.of(1, 2, "sent", eventsv2.Trigger, 2)
		r.settle(r.claimLane(2), queue.Delivered)
		r.of(1, 2, "queued", eventsv2.Trigger, 2)
		r.store.Store = r.store.Restart(false)
		for _, dedup := range []string{"sent", "queued"} {
			for pool, lane := range map[string][]int64{"none": nil, "another": {1, 3}} {
				n := queue.New{Lane: 1, Origin: 1, Pool: lane, Action: eventsv2.Acknowledge, DedupKey: dedup, Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
				if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != 2 {
					r.t.Errorf("the acknowledge of %s is on lane %d although the incident is on 2; pool: %s", dedup, placed.Lane, pool)
				}
			}
		}
	},
	"what has moved is found by the key that its sender named": func(r *rig) {
		r.put("a", eventsv2.Trigger, queue.Error)
		r.move(1, "a")
		r.settle(r.claimLane(2), queue.Delivered)
		n := queue.New{Lane: 1, Action: eventsv2.Resolve, DedupKey: "a", Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
		if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != 2 {
			r.t.Errorf("the resolve is on lane %d", placed.Lane)
		}
		r.settle(r.claimLane(2), queue.Delivered)
		if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != 1 {
			r.t.Errorf("a resolve of what is over is on lane %d", placed.Lane)
		}
	},
	"an incident that was triggered under the names of two keys is one": func(r *rig) {
		for _, origin := range []int64{1, 2} {
			r.of(origin, 2, "a", eventsv2.Trigger, 2)
			r.settle(r.claimLane(2), queue.Delivered)
		}
		r.openBy(2, 10, 1)
		r.of(2, 2, "b", eventsv2.Trigger, 2)
		r.openBy(2, 10, 1)
		r.settle(r.claimLane(2), queue.Delivered)
		r.openBy(2, 10, 2)
		r.openBy(2, 1, 1)
		r.openBy(1, 10, 0)
		r.of(1, 2, "a", eventsv2.Resolve, 2)
		r.settle(r.claimLane(2), queue.Delivered)
		r.openBy(2, 10, 1)
	},
	"a trigger of an open incident waits for its key": func(r *rig) {
		r.of(1, 1, "a", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Delivered)
		r.of(1, 2, "a", eventsv2.Trigger, 1)
		e := r.claimLane(1)
		r.fail(Settle(context.Background(), r.store, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Ready, At: r.now, Lane: 2, Due: r.now.Add(2 * time.Minute), Status: 403}))
		if e := r.all()[1]; e.State != queue.Waiting || e.Lane != 1 || e.Attempts != 1 || !e.Due.Equal(r.now.Add(2*time.Minute)) {
			r.t.Errorf("the repeat is %+v", e)
		}
	},
	"a trigger goes before the resolve of nothing, by another key": func(r *rig) {
		r.put("a", eventsv2.Resolve, queue.Error)
		r.of(1, 2, "a", eventsv2.Trigger, 2)
	},
	"an incident is remembered for 30 days since the last news of it": func(r *rig) {
		const month = 30 * 24 * time.Hour
		r.put("a", eventsv2.Trigger, queue.Error)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		for i, want := range []int64{1, 1, 2} {
			r.must2(r.store.Purge(context.Background(), r.now.Add(time.Hour), r.now.Add(-month), 100))
			r.of(1, 2, "a", eventsv2.Acknowledge, want)
			if want == 1 {
				r.settle(r.claimLane(1), queue.Delivered)
			}
			r.now = r.now.Add(month - time.Second + 2*time.Second*time.Duration(i))
		}
	},
	"a new chain of a pool moves whole, and what follows goes with it": func(r *rig) {
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.pooled(1, "b", eventsv2.Trigger, 1)
		r.pooled(1, "a", eventsv2.Acknowledge, 1)
		r.pooled(1, "a", eventsv2.Resolve, 1)
		r.ready = nil
		r.move(1, "a", "b")
		if len(r.ready) == 0 {
			r.t.Error("nobody was told")
		}
		r.pooled(1, "a", eventsv2.Trigger, 2)
		for _, want := range []string{"a trigger", "b trigger", "a acknowledge", "a resolve", "a trigger"} {
			e := r.claimLane(2)
			if got := e.DedupKey + " " + string(e.Action); got != want {
				r.t.Fatalf("the next one that leaves by the new lane is %s, want %s", got, want)
			}
			r.settle(e, queue.Delivered)
		}
	},
	"what may have been accepted does not move": func(r *rig) {
		r.pooled(1, "rate limited", eventsv2.Trigger, 1)
		r.pooled(1, "lost", eventsv2.Trigger, 1)
		r.pooled(1, "delivered", eventsv2.Trigger, 1)
		r.pooled(1, "claimed", eventsv2.Trigger, 1)
		for _, e := range r.claim(queue.MostUrgent, 4) {
			x := queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Ready, At: r.now, MaybeAccepted: e.DedupKey == "lost"}
			switch e.DedupKey {
			case "claimed":
				continue
			case "delivered":
				x.State = queue.Delivered
			}
			r.fail(Settle(context.Background(), r.store, x))
		}
		r.pooled(2, "delivered", eventsv2.Trigger, 1)
		r.pooled(1, "stray", eventsv2.Resolve, 1)
		r.put("of no pool then", eventsv2.Trigger, queue.Error)
		r.move(1, "rate limited", "of no pool then")
	},
	"a repeat that is refused leaves the incident with its key": func(r *rig) {
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Delivered)
		r.pooled(2, "a", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Refused)
		r.pooled(2, "a", eventsv2.Resolve, 1)
		r.pooled(1, "b", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Delivered)
		r.settle(r.claimLane(1), queue.Refused)
		r.pooled(2, "b", eventsv2.Trigger, 2)
	},
	"behind a delivered resolve a chain is new": func(r *rig) {
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.settle(r.claimLane(1), queue.Delivered)
		r.pooled(1, "a", eventsv2.Resolve, 1)
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.move(1)
		r.settle(r.claimLane(1), queue.Delivered)
		r.move(1, "a")
	},
	"what waited when a process crashed does not move": func(r *rig) {
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.store.Store = r.store.Restart(true)
		r.move(1, "a")
		r.store.Store = r.store.Restart(false)
		r.store.Store = r.store.Restart(true)
		r.move(2)
		r.pooled(1, "later", eventsv2.Trigger, 1)
		r.move(1, "later")
	},
	"what was in flight when a process ended does not move": func(r *rig) {
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.claimLane(1)
		r.store.Store = r.store.Restart(true)
		r.move(1)
	},
	"a chain does not move to a lane that has one of its name": func(r *rig) {
		r.must(r.store.Put(context.Background(), queue.New{Lane: 2, Action: eventsv2.Trigger, DedupKey: "a", Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}))
		r.pooled(1, "a", eventsv2.Trigger, 1)
		r.pooled(1, "b", eventsv2.Trigger, 1)
		r.move(1, "b")
	},
	"an event that is to go by a lane with a chain of its name waits in its own": func(r *rig) {
		r.must(r.store.Put(context.Background(), queue.New{Lane: 2, Action: eventsv2.Resolve, DedupKey: "a", Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}))
		r.pooled(1, "a", eventsv2.Trigger, 1)
		e := r.claimLane(1)
		r.fail(Settle(context.Background(), r.store, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Ready, At: r.now, Lane: 2, Due: r.now.Add(time.Minute), Status: 403, Moved: "to the other lane"}))
		r.states("a:resolve:ready a:trigger:waiting")
		r.now = r.now.Add(time.Minute)
		r.wake()
		r.states("a:resolve:ready a:trigger:ready")
		if e := r.claimLane(1); e.Action != eventsv2.Trigger {
			r.t.Errorf("lane 1 has %+v", e)
		}
	},
	"a move looks at a slice of the heads": func(r *rig) {
		for i := range queue.MoveLook {
			r.put(fmt.Sprint(i), eventsv2.Resolve, queue.Error)
		}
		r.pooled(1, "a", eventsv2.Trigger, 1)
		x := queue.Move{From: 1, To: 2, Rank: queue.Error, N: 9, At: r.now}
		first, err := r.store.Move(context.Background(), x)
		r.fail(err)
		if len(first.Heads) != 0 || first.Next == 0 {
			r.t.Fatalf("moved %+v", first)
		}
		x.After = first.Next
		second, err := r.store.Move(context.Background(), x)
		r.fail(err)
		if len(second.Heads) != 1 || second.Next != 0 {
			r.t.Errorf("moved %+v", second)
		}
	},
	"only what was delivered or dropped is purged": func(r *rig) {
		for _, end := range []queue.State{queue.Delivered, queue.Refused, queue.Expired, queue.Waiting} {
			r.put(end.String(), eventsv2.Trigger, queue.Error)
			r.settle(r.claim(queue.MostUrgent, 1)[0], end)
		}
		r.put("ready", eventsv2.Trigger, queue.Error)
		r.must2(r.store.Purge(context.Background(), r.now.Add(time.Hour), r.now.Add(time.Hour), 100))
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
	"of the idle lanes those come first that had something to do last": func(r *rig) {
		r.lane(3)
		r.lane(4)
		r.now = r.now.Add(time.Second)
		r.lane(5)
		r.overview(nil, 1, 5)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.overview(nil, 0, 1)
		r.settle(r.claim(queue.MostUrgent, 1)[0], queue.Delivered)
		r.overview(nil, 0)
		r.overview(nil, 1, 1)
		r.overview(nil, 2, 1, 5)
		r.overview([]int64{1, 2, 99}, 2, 1, 2, 5)
		r.reject(4)
		r.fail(r.store.Hold(context.Background(), 3, queue.By{Who: "ana", At: r.now}))
		r.overview(nil, 1, 1, 3, 4)
		r.fail(r.store.Unhold(context.Background(), 3, queue.By{Who: "ana", At: r.now}))
		r.overview(nil, 1, 3, 4)
		r.must2(r.store.Purge(context.Background(), r.now.Add(time.Hour), r.now.Add(time.Hour), 100)) // of the first lane, which stays where it is
		r.overview(nil, 1, 3, 4)
		r.store.Store = r.store.Restart(false)
		r.overview(nil, 1, 1, 4) // its event came last
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
		one, err := r.store.LaneByID(context.Background(), 1)
		r.fail(err)
		if lanes, _ := r.store.Lanes(context.Background()); fmt.Sprintf("%+v", one) != fmt.Sprintf("%+v", lanes[0]) {
			r.t.Errorf("the lane by its number is\n%+v, in the list\n%+v", one, lanes[0])
		}
		if _, err := r.store.LaneByID(context.Background(), 99); !errors.Is(err, queue.ErrNotFound) {
			r.t.Errorf("found a lane that there is not: %v", err)
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
	all := maps.Clone(rules)
	maps.Copy(all, foldRules)
	for name, rule := range all {
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

// lane asks for a lane of a key that has none, which gets that number.
func (r *rig) lane(want int64) {
	r.t.Helper()
	l, err := r.newLane()
	if err != nil || l.ID != want {
		r.t.Errorf("a new key has lane %d, want %d: %v", l.ID, want, err)
	}
}

// noLane asks for a lane and wants none.
func (r *rig) noLane() {
	r.t.Helper()
	if l, err := r.newLane(); !errors.Is(err, queue.ErrFull) {
		r.t.Errorf("a new key has lane %d, want that there is no place: %v", l.ID, err)
	}
}

// overview asks for the lanes that people should see, those that are named and so many
// of the others, and wants these.
func (r *rig) overview(named []int64, others int, want ...int64) {
	r.t.Helper()
	o, err := r.store.Overview(context.Background(), named, others)
	r.fail(err)
	var got []int64
	for _, l := range o.Lanes {
		got = append(got, l.Lane.ID)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("lanes %d and %d others: %d, want %d", named, others, got, want)
	}
}

func (r *rig) newLane() (queue.Lane, error) {
	r.t.Helper()
	r.made++
	key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", r.made))
	r.fail(err)
	return r.store.Lane(context.Background(), key)
}

// reject notes that PagerDuty rejects the key of a lane.
func (r *rig) reject(lane int64) {
	r.t.Helper()
	l, err := r.store.LaneByID(context.Background(), lane)
	r.fail(err)
	l.KeyRefused = r.now
	r.fail(r.store.SaveLane(context.Background(), l))
}

func (r *rig) fail(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// recent wants these times of the first lane.
func (r *rig) recent(since time.Time, want []time.Time) {
	r.t.Helper()
	times, err := r.store.Recent(context.Background(), since)
	r.fail(err)
	if !slices.EqualFunc(times[1], want, func(a queue.Acceptance, at time.Time) bool { return a.At.Equal(at) }) {
		r.t.Errorf("since %s PagerDuty may have accepted something: %+v, want %s", since, times[1], want)
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
	events, err := Claim(context.Background(), r.store, 1, pick, n)
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
	r.fail(Settle(context.Background(), r.store, queue.Settlement{
		ID: e.ID, Claim: e.Claim, State: end, At: r.now, Due: r.now.Add(time.Minute), Attempts: e.Attempts + 1, Tried: true,
	}))
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

// configure has all keys go to an upstream.
func (r *rig) configure(upstream string) {
	r.store.Configure(func(eventsv2.Key) queue.Configured { return queue.Configured{Upstream: upstream} })
}

// upstream is where a lane should go to.
func (r *rig) upstream(lane int64, want string) {
	r.t.Helper()
	l, err := r.store.LaneByID(context.Background(), lane)
	r.fail(err)
	if l.Upstream != want {
		r.t.Errorf("lane %d goes to %q, want %q", lane, l.Upstream, want)
	}
}

// lanes says in which lane each event is, as number:lane.
func (r *rig) lanes(want string) {
	r.t.Helper()
	var got []string
	for _, e := range r.all() {
		got = append(got, fmt.Sprintf("%d:%d", e.ID, e.Lane))
	}
	if text := strings.Join(got, " "); text != want {
		r.t.Errorf("the events are in the lanes\n%s, want\n%s", text, want)
	}
}

// transfer does it in somebody's name.
func (r *rig) transfer(x queue.Transfer, want queue.Transferred) {
	r.t.Helper()
	x.By, x.Why = queue.By{Who: "ana", Why: "a new key", At: r.now}, "from one to the other"
	got, err := r.store.Transfer(context.Background(), x)
	r.fail(err)
	got.Before, got.After = "", ""
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		r.t.Errorf("transferred by %+v (-want +got):\n%s", x, diff)
	}
}

// pooled puts an event of a pool whose hash prefers that lane.
func (r *rig) pooled(lane int64, dedup string, action eventsv2.Action, want int64) {
	r.t.Helper()
	n := queue.New{Lane: lane, Pool: []int64{1, 2}, Action: action, DedupKey: dedup, Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
	if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != want {
		r.t.Errorf("the %s of %s is on lane %d, want %d", action, dedup, placed.Lane, want)
	}
}

// again sends events once more, and compares why some are left as they are.
func (r *rig) again(a queue.Again, want ...string) {
	r.t.Helper()
	a.By = queue.By{Who: "ana", At: r.now}
	answers, err := r.store.Requeue(context.Background(), a)
	r.fail(err)
	if len(answers) != len(want) {
		r.t.Fatalf("%d answers, want %d: %+v", len(answers), len(want), answers)
	}
	for i, text := range want {
		if got := answers[i].Err; (got == nil) != (text == "") || got != nil && !strings.Contains(got.Error(), text) {
			r.t.Errorf("event %d: %v, want %q", answers[i].ID, got, text)
		}
	}
}

// of puts an event of a key of a pool which has chosen a lane for it.
func (r *rig) of(origin, lane int64, dedup string, action eventsv2.Action, want int64) {
	r.t.Helper()
	n := queue.New{Lane: lane, Origin: origin, Pool: []int64{1, 2}, Action: action, DedupKey: dedup, Severity: queue.Error, Accepted: r.now, Body: []byte(`{}`)}
	if placed := r.must(r.store.Put(context.Background(), n)); placed.Lane != want {
		r.t.Errorf("the %s of %s is on lane %d, want %d", action, dedup, placed.Lane, want)
	}
}

// openBy compares how many incidents are open by the key of a lane, of so many at most.
func (r *rig) openBy(lane int64, most, want int) {
	r.t.Helper()
	got, _, err := r.store.OpenBy(context.Background(), lane, most)
	if r.fail(err); got != want {
		r.t.Errorf("%d incidents are open by lane %d, want %d", got, lane, want)
	}
}

// claimLane claims the most urgent event of a lane.
func (r *rig) claimLane(lane int64) queue.Event {
	r.t.Helper()
	events, err := Claim(context.Background(), r.store, lane, queue.MostUrgent, 1)
	r.fail(err)
	if len(events) != 1 {
		r.t.Fatalf("nothing is ready in lane %d", lane)
	}
	return events[0]
}

// move moves what is new from a lane to the other one.
func (r *rig) move(from int64, want ...string) {
	r.t.Helper()
	moved, err := r.store.Move(context.Background(), queue.Move{From: from, To: 3 - from, Rank: queue.Error, N: 99, At: r.now, Why: "from one to the other"})
	r.fail(err)
	var got []string
	for _, id := range moved.Heads {
		for _, e := range r.all() {
			if e.ID == id && e.Lane == 3-from {
				got = append(got, e.DedupKey)
			}
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("the chains %q moved, want %q", got, want)
	}
}
