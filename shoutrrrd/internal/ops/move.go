package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Moving is what is queued in a lane, and its dead letters, that is to leave by another one.
// From a lane to itself it is to leave by the upstream that the configuration names now.
type Moving struct {
	From, To int64
	By       queue.By
	Preview  bool // nothing is done
	Force    bool // also to another upstream than it was accepted for
}

// Move moves what is in a lane to another one, in one call of the store. What belongs to an
// incident that its key has opened, or may have, stays.
func (o *Ops) Move(ctx context.Context, m Moving) (queue.Transferred, error) {
	out, err := o.Store.Transfer(ctx, queue.Transfer{
		From: m.From, To: m.To, Elsewhere: m.Force, Preview: m.Preview, By: m.By,
		Why: "from lane " + o.Name(m.From) + " to " + o.Name(m.To),
	})
	nothing := out.Chains+out.Changes+out.Dead == 0
	if m.Preview || nothing && (errors.Is(err, queue.ErrElsewhere) || errors.Is(err, queue.ErrNotFound)) {
		return out, err
	}
	queued, stay := 0, 0
	for _, n := range out.Queued {
		queued += n
	}
	for _, n := range out.Stay {
		stay += n
	}
	o.Log.Info("what was in a lane was moved", "from", o.Name(m.From), "to", o.Name(m.To), "upstream", out.After,
		"incidents", out.Chains, "changes", out.Changes, "queued", queued, "dead_letters", out.Dead, "stay", stay, "by", m.By.Who, "why", m.By.Why)
	o.Holder.Reroute(m.From, m.To)
	o.Changed()
	if err != nil {
		err = fmt.Errorf("%w; say it again for the rest", err)
	}
	return out, err
}
