package relay

import (
	"context"
	"errors"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// claim asks the store for events and hands the answer to the loop. The loop does not
// wait for it: the store answers after the commit in hand, and meanwhile attempts end.
func (r *Relay) claim(ctx context.Context, c lane.Claim) {
	in := lane.Claimed{Token: c.Token}
	taken, err := r.o.Store.Claim(ctx, c.Asks)
	switch {
	case err == nil:
		for _, t := range taken {
			in.Taken = append(in.Taken, lane.Taken{Taken: t})
		}
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrBroken), len(c.Asks) == 1:
		r.cannotClaim(c.Asks, err)
		in.Failed = true
	default: // one lane's trouble is not to be that of the others
		for i := range c.Asks {
			one := c.Asks[i : i+1]
			t := lane.Taken{}
			if taken, err := r.o.Store.Claim(ctx, one); err == nil {
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

func (r *Relay) cannotClaim(asks []queue.Ask, err error) {
	if errors.Is(err, queue.ErrBroken) { // the process ends and says why
		return
	}
	r.o.Log.Warn("cannot claim events; the relay tries again in a second", "lane", r.name(asks[0].Lane), "lanes", len(asks), "error", err)
}
