package relay

import (
	"context"
	"errors"
	"slices"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// claim asks the store for events and hands the answer to the loop. The loop does not
// wait for it: the store answers after the commit in hand, and meanwhile attempts end.
func (r *Relay) claim(ctx context.Context, c lane.Claim) {
	in := lane.Claimed{Token: c.Token}
	asks := slices.Clone(c.Asks)
	for i := range asks {
		asks[i].Way = r.opened(asks[i].Lane).route.WhileWaiting
	}
	taken, err := r.o.Store.Claim(ctx, asks)
	switch {
	case err == nil:
		for _, t := range taken {
			r.folded(t.Merged)
			in.Taken = append(in.Taken, lane.Taken{Taken: t})
		}
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrBroken), len(asks) == 1:
		r.cannotClaim(asks, err)
		in.Failed = true
	default: // one lane's trouble is not to be that of the others
		for i := range asks {
			one := asks[i : i+1]
			t := lane.Taken{}
			if taken, err := r.o.Store.Claim(ctx, one); err == nil {
				r.folded(taken[0].Merged)
				t.Taken = taken[0]
			} else {
				r.cannotClaim(one, err)
				t.Failed = true
			}
			in.Taken = append(in.Taken, t)
		}
	}
	r.inputs.put(in)
}

// folded reports which events are not sent, as another one tells of them.
func (r *Relay) folded(list []queue.Merged) {
	for _, m := range list {
		name := r.name(m.Lane)
		r.o.Log.Info("folded: opened and resolved while it waited", "lane", name, "dedup_key", m.DedupKey, "events", len(m.Events), "first", m.Events[0], "last", m.Events[len(m.Events)-1],
			"told_by", m.Teller, "pairs", m.Pairs)
		r.o.Folded(name, m)
	}
}

func (r *Relay) cannotClaim(asks []queue.Ask, err error) {
	if errors.Is(err, queue.ErrBroken) { // the process ends and says why
		return
	}
	r.o.Log.Warn("cannot claim events; the relay tries again in a second", "lane", r.name(asks[0].Lane), "lanes", len(asks), "error", err)
}
