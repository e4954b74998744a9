// Package ops is what operators do to the queue: send events again, give them up, have
// them tried, move what is in a lane to another one, and pause, resume or try lanes. Console and API do it through here, so that
// one event and ten thousand go the same way: in the order in which they were accepted,
// with a reason and a name, and one line in the log.
package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Store is what operators need of a queue.
type Store interface {
	Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error)
	DropAll(ctx context.Context, ids []int64, by queue.By) ([]queue.Requeued, error)
	// Sent lists up to n events that were delivered in a time, of a lane or of all (0), in
	// the order in which they were accepted.
	Sent(ctx context.Context, since, until time.Time, lane int64, n int) ([]queue.Sent, error)
	Listed(ctx context.Context, id int64) (queue.Event, error)
	Lanes(ctx context.Context) ([]queue.Lane, error)
	Transfer(ctx context.Context, t queue.Transfer) (queue.Transferred, error)
}

// Holder pauses and resumes lanes, and has lanes and events tried at once. It logs what it
// does to lanes.
type Holder interface {
	Hold(ctx context.Context, lane int64, by queue.By) error
	Unhold(ctx context.Context, lane int64, by queue.By) error
	Try(ctx context.Context, lane int64, by queue.By) error
	// TryEvent returns queue.ErrNotFound or queue.ErrState.
	TryEvent(ctx context.Context, id int64, by queue.By) error
	// Reroute has it ask anew where lanes go to.
	Reroute(lanes ...int64)
}

// Ops does what operators want.
type Ops struct {
	Store  Store
	Holder Holder
	// Pools says which of some lanes are one pool, and Heirs which take the place of others.
	Pools func([]queue.Lane) [][]int64
	Heirs func([]queue.Lane) map[int64]int64
	// Name is how people call a lane, and Alias the lane of a key that the configuration
	// names; queue.ErrNotFound if it names none so.
	Name  func(lane int64) string
	Alias func(ctx context.Context, alias string) (queue.Lane, error)
	Log   *slog.Logger
	// At makes a time of the queue's of a date that an operator gives. Defaults to the date.
	At func(time.Time) time.Time
	// Changed is called when something was done.
	Changed func()
}

// Verb is what is done to events.
type Verb string

// The verbs.
const (
	Requeue Verb = "requeue"
	Drop    Verb = "drop"
	Try     Verb = "try"

	replay Verb = "replay" // of delivered events
)

// Done is the verb's participle.
func (v Verb) Done() string {
	return map[Verb]string{Requeue: "requeued", Drop: "dropped", Try: "tried", replay: "replayed"}[v]
}

// MaxEvents is how many events one deed is about: some seconds of work.
const MaxEvents = 20_000

// Deed is one thing that an operator does to some events.
type Deed struct {
	What  Verb
	IDs   []int64
	By    queue.By
	Force bool // events are requeued although PagerDuty rejects the key of their lane, or they were accepted for another upstream
}

// Outcome is what became of it.
type Outcome struct {
	Done      int // with those that were coalesced
	Coalesced int // that went into another event
	Left      []queue.Requeued
}

// RejectedKeyError is why events are not requeued: PagerDuty rejects the keys of these
// lanes, so they would come back. An operator may mean it all the same.
type RejectedKeyError struct{ Lanes []int64 }

func (e *RejectedKeyError) Error() string {
	return "PagerDuty rejects the integration key of the lane: what is sent again waits there, or comes back; repair the key first, or say that you mean it"
}

// Events does something to events, all of them in one call of the store. Those that it
// cannot be done to are left. Of an error of the store's in the middle the outcome says
// how far it came.
func (o *Ops) Events(ctx context.Context, d Deed) (Outcome, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(d.IDs)))
	if len(ids) > MaxEvents {
		return Outcome{}, fmt.Errorf("at most %d events at once", MaxEvents)
	}
	var answers []queue.Requeued
	var err error
	switch d.What {
	case Requeue, replay:
		answers, err = o.requeue(ctx, ids, d)
	case Drop:
		answers, err = o.Store.DropAll(ctx, ids, d.By)
	case Try:
		answers, err = o.try(ctx, ids, d.By)
	default:
		return Outcome{}, fmt.Errorf("internal error: nothing is known of %q", d.What)
	}
	if rejected := (*RejectedKeyError)(nil); errors.As(err, &rejected) {
		return Outcome{}, err
	}
	var out Outcome
	for _, x := range answers {
		switch {
		case x.Err != nil:
			out.Left = append(out.Left, x)
			continue
		case x.Coalesced:
			out.Coalesced++
		}
		out.Done++
	}
	if out.Done > 0 {
		attrs := []any{"by", d.By.Who, "why", d.By.Why}
		if len(ids) == 1 {
			o.Log.Info("an event was "+d.What.Done(), append([]any{"event", ids[0]}, attrs...)...)
		} else {
			o.Log.Info("events were "+d.What.Done(), append([]any{"events", out.Done, "coalesced", out.Coalesced, "left", len(ids) - out.Done, "first", ids[0], "last", ids[len(ids)-1]}, attrs...)...)
		}
		o.Changed()
	}
	return out, err
}

func (o *Ops) requeue(ctx context.Context, ids []int64, d Deed) ([]queue.Requeued, error) {
	lanes, err := o.Store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	a := queue.Again{IDs: ids, Delivered: d.What == replay, Pools: o.Pools(lanes), Heirs: o.Heirs(lanes), By: d.By, Elsewhere: d.Force}
	if !d.Force {
		if err := o.askFirst(ctx, &a, lanes); err != nil {
			return nil, err
		}
	}
	return o.Store.Requeue(ctx, a)
}

// askFirst returns a [RejectedKeyError] if events would go to a lane whose key PagerDuty
// rejects, and no other lane of its pool could send them.
func (o *Ops) askFirst(ctx context.Context, a *queue.Again, lanes []queue.Lane) error {
	rejected := rejectedOf(a, lanes)
	if len(rejected) == 0 {
		return nil
	}
	var found []int64
	for _, id := range a.IDs {
		e, err := o.Store.Listed(ctx, id)
		if errors.Is(err, queue.ErrNotFound) {
			continue // the store says so
		}
		if err != nil {
			return err
		}
		if rejected[e.Lane] && !slices.Contains(found, e.Lane) {
			found = append(found, e.Lane)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &RejectedKeyError{found}
}

// rejectedOf are the lanes whose key PagerDuty rejects, but for those of a pool in which
// another key is not.
func rejectedOf(a *queue.Again, lanes []queue.Lane) map[int64]bool {
	rejected := map[int64]bool{}
	for _, l := range lanes {
		if !l.KeyRefused.IsZero() {
			rejected[l.ID] = true
		}
	}
	alone := map[int64]bool{}
	for id := range rejected {
		pool := a.PoolOf(id)
		alone[id] = !slices.ContainsFunc(pool, func(other int64) bool { return !rejected[other] })
	}
	return alone
}

// Rejected reports whether what is requeued in a lane needs to be meant: PagerDuty rejects
// its key, and no other one of its pool takes it.
func (o *Ops) Rejected(ctx context.Context, lane int64) bool {
	lanes, err := o.Store.Lanes(ctx)
	return err == nil && rejectedOf(&queue.Again{Pools: o.Pools(lanes)}, lanes)[lane]
}

func (o *Ops) try(ctx context.Context, ids []int64, by queue.By) (answers []queue.Requeued, err error) {
	for _, id := range ids {
		x := queue.Requeued{ID: id, Err: o.Holder.TryEvent(ctx, id, by)}
		if x.Err != nil && !errors.Is(x.Err, queue.ErrState) && !errors.Is(x.Err, queue.ErrNotFound) {
			return answers, x.Err
		}
		answers = append(answers, x)
	}
	return answers, nil
}

// LaneVerb is what is done to lanes.
type LaneVerb string

// The verbs.
const (
	Pause   LaneVerb = "pause"
	Resume  LaneVerb = "resume"
	TryLane LaneVerb = "try"
)

// Lanes does something to lanes: both of a key that version 1 knew in two cases.
func (o *Ops) Lanes(ctx context.Context, what LaneVerb, lanes []int64, by queue.By) error {
	do := map[LaneVerb]func(context.Context, int64, queue.By) error{Pause: o.Holder.Hold, Resume: o.Holder.Unhold, TryLane: o.Holder.Try}[what]
	for _, id := range lanes {
		if err := do(ctx, id, by); err != nil {
			return fmt.Errorf("%s a lane: %w", what, err)
		}
	}
	o.Changed()
	return nil
}
