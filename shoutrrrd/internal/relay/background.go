package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// settleBatch bounds a transaction of settlements.
	settleBatch = 64

	// storeAgain is how long to wait before the store is asked once more that could
	// not write.
	storeAgain = time.Second

	purgeEvery = time.Minute
	purgeSlice = 500 // the worst transaction took 78 ms at a million rows
)

// settleAll writes settlements until there are no more. One that cannot be written
// is kept and tried again until the relay is to stop; as long as that lasts nothing
// is claimed, because its end could not be kept either.
func (r *Relay) settleAll(ctx context.Context) {
	for range r.settlements.signal {
		list, open := r.settlements.take()
		for batch := range slices.Chunk(list, settleBatch) {
			r.settleBatch(ctx, batch)
		}
		if !open {
			return
		}
	}
}

func (r *Relay) settleBatch(ctx context.Context, batch []settling) {
	list := make([]queue.Settlement, len(batch))
	for i, s := range batch {
		list[i] = s.x
	}
	failing := false
	for {
		err := r.o.Store.Settle(context.WithoutCancel(ctx), list)
		if err == nil || errors.Is(err, queue.ErrStale) {
			break
		}
		if !failing {
			failing = true
			r.o.Log.Error("cannot keep how events ended; nothing more is sent until that works", "error", err)
			r.inputs.put(lane.Storage{Failing: true})
		}
		if errors.Is(err, queue.ErrBroken) || !wait(ctx, storeAgain) {
			return // what is not settled is sent again after the next start, with the same dedup key
		}
	}
	if failing {
		r.o.Log.Info("the queue can be written again")
		r.inputs.put(lane.Storage{})
	}
	for _, s := range batch {
		r.inputs.put(lane.Settled{Lane: s.event.Lane})
		r.log(&s)
		r.o.Done(r.name(s.event.Lane), s.event, s.x)
		if s.x.State == queue.Waiting {
			select {
			case r.woken <- struct{}{}:
			default: // it is going to look in any case
			}
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
	switch s.x.State {
	case queue.Delivered:
		r.o.Log.Info("delivered", append(attrs, "after", s.x.At.Sub(s.event.Accepted).Round(time.Millisecond).String())...)
	case queue.Refused, queue.Expired:
		r.o.Log.Error(s.x.State.String(), append(attrs, "why", s.x.Reason)...)
	case queue.Waiting:
		r.o.Log.Warn("will be sent again", append(attrs, "why", s.x.Reason, "at", s.x.Due.UTC().Format(time.RFC3339Nano))...)
	default:
		r.o.Log.Debug("not sent", append(attrs, "why", s.x.Reason)...)
	}
}

// saveAll keeps what was learned of lanes. It is not worth waiting for: what is
// lost is learned again.
func (r *Relay) saveAll(ctx context.Context) {
	for range r.saves.signal {
		list, open := r.saves.take()
		latest := map[int64]queue.Lane{}
		for _, l := range list {
			latest[l.ID] = l
		}
		for _, l := range latest {
			if err := r.o.Store.SaveLane(context.WithoutCancel(ctx), l); err != nil {
				r.o.Log.Warn("cannot keep what was learned of a lane", "lane", r.name(l.ID), "error", err)
			}
		}
		if !open {
			return
		}
	}
}

// wakeAll makes waiting events ready when they are due.
func (r *Relay) wakeAll(ctx context.Context) {
	for {
		next, err := r.o.Store.Wake(ctx, r.o.Now(), 0)
		pause := time.Hour
		switch {
		case err != nil:
			pause = storeAgain
		case !next.IsZero():
			pause = min(pause, max(0, next.Sub(r.o.Now())))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.woken:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// purgeAll deletes what is older than the retention, in slices, so that a new
// event never waits behind a large one.
func (r *Relay) purgeAll(ctx context.Context) {
	for wait(ctx, purgeEvery) {
		for {
			n, err := r.o.Store.Purge(ctx, r.o.Now().Add(-r.o.Retention()), purgeSlice)
			if err != nil && ctx.Err() == nil {
				r.o.Log.Warn("cannot delete old events", "error", err)
			}
			if err != nil || n < purgeSlice {
				break
			}
		}
	}
}

// wait returns false if the context ends before the time is over.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
