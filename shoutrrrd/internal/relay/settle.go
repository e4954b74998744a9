package relay

import (
	"context"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// settleBatch bounds a transaction of settlements. It is as many as there are attempts
// in flight: those that end while one transaction reaches the disk share the next.
const settleBatch = 256

// settleBytes bounds the events of such a transaction. The end of an event is written
// with its body: a small disk has room for some of them, and on a slow one a page that
// comes meanwhile waits for all of them.
const settleBytes = 1 << 20

// settling is a settlement on its way to the disk.
type settling struct {
	event queue.Event
	x     queue.Settlement
}

// settleAll writes settlements until there are no more.
func (r *Relay) settleAll(ctx context.Context) {
	for range r.settlements.signal {
		list, open := r.settlements.take()
		for len(list) > 0 {
			n := batchOf(list)
			r.settleBatch(ctx, list[:n])
			list = list[n:]
		}
		if !open {
			return
		}
	}
}

// batchOf returns how many settlements share the next transaction, at least one.
func batchOf(list []settling) int {
	size := 0
	for i := range list {
		if size += len(list[i].event.Body); i == settleBatch || i > 0 && size > settleBytes {
			return i
		}
	}
	return len(list)
}

// settleBatch writes some settlements. If the store says that it cannot write at all,
// it is asked again until the relay is to stop, and as long as that lasts nothing is
// claimed, because its end could not be kept either. Any other error is about one of
// the settlements: each is written alone then, and one that fails alone is given up.
// Its event stays claimed, so it is not sent again before the next start; the store
// sets its chain aside.
func (r *Relay) settleBatch(ctx context.Context, batch []settling) {
	failing := false
	for {
		answers, err := r.o.Store.Settle(context.WithoutCancel(ctx), settlementsOf(batch))
		switch {
		case err == nil:
			if failing {
				r.o.Log.Info("the queue can be written again")
				r.inputs.put(lane.Storage{})
			}
			r.settled(batch, answers)
			return
		case errors.Is(err, queue.ErrBroken):
			r.storageFails(err, &failing)
			return // the process ends
		case errors.Is(err, queue.ErrUnavailable):
			r.storageFails(err, &failing)
			if !wait(ctx, storeAgain) {
				return // what is not settled is sent again after the next start, with the same dedup key
			}
		case len(batch) > 1:
			if failing {
				r.inputs.put(lane.Storage{})
			}
			for i := range batch {
				r.settleBatch(ctx, batch[i:i+1])
			}
			return
		default:
			if failing {
				r.inputs.put(lane.Storage{})
			}
			one := &batch[0]
			r.o.Log.Error("cannot keep how an event ended; the other events go on", "lane", r.name(one.event.Lane), "event", one.x.ID, "state", one.x.State.String(), "error", err)
			r.inputs.put(lane.Settled{Lane: one.event.Lane})
			return
		}
	}
}

func settlementsOf(batch []settling) []queue.Settlement {
	list := make([]queue.Settlement, len(batch))
	for i, s := range batch {
		list[i] = s.x
	}
	return list
}

// storageFails holds all claims, once for each time of trouble.
func (r *Relay) storageFails(err error, failing *bool) {
	if *failing {
		return
	}
	*failing = true
	r.o.Log.Error("cannot keep how events ended; nothing more is sent until that works", "error", err)
	r.inputs.put(lane.Storage{Failing: true})
}

// settled reports what is on the disk now.
func (r *Relay) settled(batch []settling, answers []error) {
	waiting := false
	for i := range batch {
		s := &batch[i]
		r.inputs.put(lane.Settled{Lane: s.event.Lane})
		if answers[i] != nil {
			r.o.Log.Warn("an event's end was not kept", "lane", r.name(s.event.Lane), "event", s.x.ID, "state", s.x.State.String(), "error", answers[i])
			if errors.Is(answers[i], queue.ErrStale) {
				r.inputs.put(lane.Stale{Lane: s.event.Lane, ID: s.x.ID})
			}
			continue
		}
		waiting = waiting || s.x.State == queue.Waiting || s.x.Lane != 0 // it may have to wait, see queue.MoveAgain
	}
	if waiting {
		wake(r.woken)
	}
	for i := range batch {
		if s := &batch[i]; answers[i] == nil {
			r.log(s)
			r.o.Done(r.name(s.event.Lane), s.event, s.x)
		}
	}
}

// log writes one line for each outcome.
func (r *Relay) log(s *settling) {
	attrs := []any{
		"lane", r.name(s.event.Lane), "event", s.x.ID, "action", s.event.Action, "dedup_key", s.event.DedupKey,
		"severity", s.event.Severity.String(), "attempts", s.x.Attempts,
	}
	if s.event.Kind == queue.Change {
		attrs = append(attrs, "kind", s.event.Kind.String())
	}
	if s.event.Repeats > 0 {
		attrs = append(attrs, "repeats", s.event.Repeats)
	}
	if s.x.Status != 0 {
		attrs = append(attrs, "status", s.x.Status)
	}
	if s.x.Hedged != queue.NotHedged {
		attrs = append(attrs, "sent_twice", s.x.Hedged.String())
	}
	switch s.x.State {
	case queue.Delivered:
		r.o.Log.Info("delivered", append(attrs, "after", s.x.At.Sub(s.event.Accepted).Round(time.Millisecond).String())...)
	case queue.Refused, queue.Expired:
		r.o.Log.Error(s.x.State.String(), append(attrs, "why", s.x.Reason)...)
	case queue.Waiting:
		r.o.Log.Warn("will be sent again", append(attrs, "why", s.x.Reason, "at", r.o.Date(s.x.Due).UTC().Format(time.RFC3339Nano))...)
	default:
		r.o.Log.Debug("not sent", append(attrs, "why", s.x.Reason)...)
	}
}
