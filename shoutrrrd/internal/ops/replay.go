package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Period is the time in which PagerDuty has accepted what is to be sent again: it has
// reported that it dropped events which it had accepted.
type Period struct {
	Since, Until time.Time // dates
	Lane         int64     // 0 for all
}

// Plan is what a replay would send.
type Plan struct {
	Events []queue.Sent
	Over   int // delivered in that time, and left: their incident was resolved, or what follows, also later, says more
}

// ErrTooMany says that a replay is about more events than one deed may be.
var ErrTooMany = fmt.Errorf("more than %d events were delivered in that time; name a shorter one, or a lane", MaxEvents)

// Plan says what a replay of a time sends: of each chain what came after its last resolve;
// if no trigger did, that resolve alone, as its incident may be open. A change event goes
// again in any case. What something delivered after that time makes outdated is left.
func (o *Ops) Plan(ctx context.Context, p Period) (Plan, error) {
	if o.At != nil {
		p.Since, p.Until = o.At(p.Since), o.At(p.Until)
	}
	sent, err := o.Store.Sent(ctx, p.Since, p.Until, p.Lane, MaxEvents+1)
	if err != nil {
		return Plan{}, err
	}
	if len(sent) > MaxEvents {
		return Plan{}, ErrTooMany
	}
	type chain struct {
		lane  int64
		dedup string
	}
	resolved, opened := map[chain]int64{}, map[chain]int64{} // the last resolve, the last trigger
	for _, x := range sent {
		switch at := (chain{x.Lane, x.DedupKey}); x.Action {
		case "resolve":
			resolved[at] = x.ID
		case "trigger":
			opened[at] = x.ID
		}
	}
	var plan Plan
	for _, x := range sent {
		at := chain{x.Lane, x.DedupKey}
		over := x.ID <= resolved[at]
		if opened[at] < resolved[at] { // an acknowledge after the resolve opens nothing
			over = x.ID != resolved[at]
		}
		if over && x.Kind != queue.Change {
			plan.Over++
			continue
		}
		plan.Events = append(plan.Events, x)
	}
	return o.withoutOutdated(ctx, plan)
}

// withoutOutdated asks the store, by whose rule the events are sent again.
func (o *Ops) withoutOutdated(ctx context.Context, plan Plan) (Plan, error) {
	lanes, err := o.Store.Lanes(ctx)
	if err != nil {
		return Plan{}, err
	}
	a := queue.Again{Delivered: true, Elsewhere: true, Pools: o.Pools(lanes), Heirs: o.Heirs(lanes), Preview: true}
	for _, x := range plan.Events {
		a.IDs = append(a.IDs, x.ID)
	}
	answers, err := o.Store.Requeue(ctx, a)
	if err != nil {
		return Plan{}, err
	}
	outdated := map[int64]bool{}
	for _, answer := range answers {
		if errors.Is(answer.Err, queue.ErrOutdated) {
			outdated[answer.ID] = true
		}
	}
	plan.Events = slices.DeleteFunc(plan.Events, func(x queue.Sent) bool { return outdated[x.ID] })
	plan.Over += len(outdated)
	return plan, nil
}

// Replay sends delivered events of a time again. Those of which something later was
// delivered that says otherwise, or that were deleted meanwhile, are left.
func (o *Ops) Replay(ctx context.Context, p Period, by queue.By, force bool) (Outcome, error) {
	plan, err := o.Plan(ctx, p)
	if err != nil {
		return Outcome{}, err
	}
	if len(plan.Events) == 0 {
		return Outcome{}, nil
	}
	d := Deed{What: replay, By: by, Force: force}
	for _, x := range plan.Events {
		d.IDs = append(d.IDs, x.ID)
	}
	out, err := o.Events(ctx, d)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w; say it again for the rest", err)
	}
	return out, err
}
