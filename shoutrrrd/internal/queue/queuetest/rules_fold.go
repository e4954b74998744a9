package queuetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// foldRules are what becomes of chains that have waited.
var foldRules = map[string]func(r *rig){
	"pairs that have waited are one, which tells of all": func(r *rig) {
		began := r.now.Add(time.Second)
		r.flaps("a", queue.Error, queue.Critical, queue.Info)
		r.now = r.now.Add(queue.FoldAfter)
		r.leave(queue.SendOne, "a:trigger:critical tells of 3", "a:resolve:info")
		r.states("a:trigger:dropped a:acknowledge:dropped a:resolve:dropped a:trigger:dropped a:acknowledge:dropped a:resolve:dropped a:trigger:delivered a:acknowledge:dropped a:resolve:delivered")
		all := r.all()
		if told := all[6].Folded; !told.Own || !told.Spans[0].Opened.Equal(began) || all[0].Reason != "told by event 7" || all[0].ToldBy() != 7 {
			r.t.Errorf("it tells %+v, and the first one says %q", told, all[0].Reason)
		}
	},
	"a chain that ends in a trigger folds the pairs before it into that": func(r *rig) {
		r.flaps("a", queue.Error, queue.Error)
		r.put("a", eventsv2.Trigger, queue.Warning)
		r.put("a", eventsv2.Acknowledge, queue.Warning)
		r.now = r.now.Add(queue.FoldAfter)
		r.leave(queue.SendNote, "a:trigger:error tells of 2", "a:acknowledge:warning")
	},
	"a note pages nobody, and the last state leaves": func(r *rig) {
		r.flaps("a", queue.Critical)
		r.now = r.now.Add(queue.FoldAfter)
		r.leave(queue.SendNote, "a:resolve:critical", "::info tells of 1")
	},
	"what has not waited is not folded": func(r *rig) {
		r.now = r.now.Add(queue.FoldAfter)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Resolve, queue.Error)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.put("a", eventsv2.Resolve, queue.Error)
		r.now = r.now.Add(queue.FoldAfter - 10*time.Second)
		r.leave(queue.SendNote, "a:trigger:error", "a:resolve:error", "a:trigger:error", "a:resolve:error")
	},
	"a trigger that was tried in vain is folded as one that was not": func(r *rig) {
		for _, dedup := range []string{"one", "note", "stays open"} {
			r.flaps(dedup, queue.Error, queue.Error)
			head := r.claim(queue.MostUrgent, 1)[0]
			x := queue.Settlement{ID: head.ID, Claim: head.Claim, State: queue.Ready, At: r.now, Tried: true, Reason: "connection refused"}
			r.fail(Settle(context.Background(), r.store, x))
			way := queue.SendOne
			want := []string{dedup + ":trigger:error tells of 2", dedup + ":resolve:error"}
			switch dedup {
			case "note":
				way, want = queue.SendNote, []string{dedup + ":resolve:error", "::info tells of 2"}
			case "stays open":
				r.put(dedup, eventsv2.Trigger, queue.Info)
				want = []string{dedup + ":trigger:error tells of 2"}
			}
			r.now = r.now.Add(queue.FoldAfter)
			r.leave(way, want...)
		}
	},
	"a trigger that may have been taken is not folded, nor its resolve": func(r *rig) {
		r.flaps("a", queue.Error, queue.Error, queue.Error)
		x := queue.Settlement{ID: 1, Claim: r.claim(queue.MostUrgent, 1)[0].Claim, State: queue.Ready, At: r.now, Tried: true, MaybeAccepted: true}
		r.fail(Settle(context.Background(), r.store, x))
		r.now = r.now.Add(queue.FoldAfter)
		r.leave(queue.SendOne, "a:trigger:error", "a:acknowledge:error", "a:resolve:error", "a:trigger:error tells of 2", "a:resolve:error")
	},
	"an event that an operator has sent again is not folded": func(r *rig) {
		r.flaps("a", queue.Error, queue.Error)
		r.fail(r.store.Drop(context.Background(), 1, queue.By{Who: "ana", At: r.now}))
		r.again(queue.Again{IDs: []int64{1}}, "")
		r.now = r.now.Add(queue.FoldAfter)
		r.leave(queue.SendNote, "a:trigger:error tells of 2", "a:resolve:error")
	},
	"what may have been in flight when a process ended is sent, and the rest is folded": func(r *rig) {
		r.flaps("a", queue.Error, queue.Error, queue.Error)
		r.claim(queue.MostUrgent, 1)
		r.store.Store = r.store.Restart(false)
		r.now = r.now.Add(queue.FoldAfter)
		r.leave(queue.SendOne, "a:trigger:error", "a:acknowledge:error", "a:resolve:error", "a:trigger:error tells of 2", "a:resolve:error")
	},
	"what an operator has moved to another lane is folded there, and tells what it told": func(r *rig) {
		r.flaps("a", queue.Error, queue.Error)
		r.flaps("b", queue.Error, queue.Info)
		r.now = r.now.Add(queue.FoldAfter)
		taken, err := r.store.Claim(context.Background(), []queue.Ask{{Lane: 1, N: 1, Way: queue.SendOne}})
		r.fail(err)
		r.store.Release(taken[0].Events)
		r.transfer(queue.Transfer{From: 1, To: 2}, queue.Transferred{Chains: 2, Queued: [queue.Ranks]int{0, 5, 0, 3}, Stay: map[queue.Stay]int{}})
		r.flaps("a", queue.Critical)
		r.leave(queue.SendOne)
		r.leaveLane(2, queue.SendOne, "a:trigger:critical tells of 3", "b:trigger:error tells of 2", "a:resolve:critical", "b:resolve:info")
	},
	"what is folded or coalesced keeps the upstream of its lane": func(r *rig) {
		r.configure("https://one.example.com")
		r.flaps("a", queue.Error)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.configure("https://two.example.com")
		r.now = r.now.Add(queue.FoldAfter)
		taken, err := r.store.Claim(context.Background(), []queue.Ask{{Lane: 1, N: 1, Way: queue.SendOne}})
		r.fail(err)
		r.upstream(1, "https://one.example.com")
		r.store.Release(taken[0].Events)
		r.put("a", eventsv2.Trigger, queue.Critical)
		r.upstream(1, "https://one.example.com")
		r.leave(queue.SendOne, "a:trigger:critical tells of 1")
		r.upstream(1, "https://two.example.com")
	},
	"what is coalesced into a trigger that tells of others leaves it so": func(r *rig) {
		r.flaps("a", queue.Error)
		r.put("a", eventsv2.Trigger, queue.Error)
		r.now = r.now.Add(queue.FoldAfter)
		taken, err := r.store.Claim(context.Background(), []queue.Ask{{Lane: 1, N: 1, Way: queue.SendOne}})
		r.fail(err)
		r.store.Release(taken[0].Events)
		r.put("a", eventsv2.Trigger, queue.Critical)
		r.put("a", eventsv2.Resolve, queue.Critical)
		r.put("a", eventsv2.Trigger, queue.Info)
		r.leave(queue.SendOne, "a:trigger:critical tells of 2")
	},
}

// flaps has an alert opened, acknowledged and resolved once for each severity.
func (r *rig) flaps(dedup string, severities ...queue.Rank) {
	r.t.Helper()
	for _, severity := range severities {
		for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve} {
			r.put(dedup, action, severity)
		}
	}
}

// leave claims and delivers everything, and looks what that is.
func (r *rig) leave(way queue.WhileWaiting, want ...string) {
	r.t.Helper()
	r.leaveLane(1, way, want...)
}

func (r *rig) leaveLane(lane int64, way queue.WhileWaiting, want ...string) {
	r.t.Helper()
	var got []string
	for range 100 {
		taken, err := r.store.Claim(context.Background(), []queue.Ask{{Lane: lane, N: 1, Way: way}})
		r.fail(err)
		if len(taken[0].Events) == 0 && !taken[0].More {
			break
		}
		for _, e := range taken[0].Events {
			text := fmt.Sprintf("%s:%s:%s", e.DedupKey, e.Action, e.Severity)
			if e.Folded.Pairs > 0 {
				text += fmt.Sprint(" tells of ", e.Folded.Pairs)
			}
			got = append(got, text)
			r.fail(Settle(context.Background(), r.store, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Delivered, At: r.now, Tried: true}))
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("there leave\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
