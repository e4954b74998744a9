package relay

import (
	"context"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// tryEvery is how often a new incident of a pool tries a rejected key.
const tryEvery = time.Minute

// TryRejectedKey reports whether a new incident of a pool should go by this lane
// although its key is rejected: once a minute, so that the key comes back when it is
// valid again. An event that is rejected goes by another key of its pool.
func (r *Relay) TryRejectedKey(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	if last, ok := r.tried[id]; ok && now.Sub(last) < tryEvery {
		return false
	}
	r.tried[id] = now
	return true
}

// CanSend reports whether a new incident of a pool can leave by this lane: nothing keeps
// the lane from sending but others that wait for it. A lane that is not open has nothing
// to do; it is opened, as its sisters may need it.
func (r *Relay) CanSend(l queue.Lane, rank queue.Rank) bool {
	r.mu.Lock()
	now := r.o.Now()
	can, known := r.core.CanSend(now, l.ID, rank)
	r.mu.Unlock()
	if known {
		return can
	}
	r.ready.add(hint{l.ID, rank}, true)
	return !l.Held && l.KeyRefused.IsZero() && !now.Before(l.PausedUntil)
}

// move has the store move new chains, and hands its answer to the loop. What has moved
// the store announces.
func (r *Relay) move(ctx context.Context, m lane.Move) {
	in := lane.Moved{From: m.From, To: m.To, Rank: m.Rank}
	moved, err := r.o.Store.Move(ctx, queue.Move{
		From: m.From, To: m.To, Rank: m.Rank, After: m.After, N: m.N, Retiring: m.Retiring,
		At: r.o.Now(), Why: r.movedText(m.From, m.To, m.Why),
	})
	switch in.Chains, in.Next = len(moved.Heads), moved.Next; {
	case err != nil:
		in.Failed = true
		if !errors.Is(err, queue.ErrBroken) { // the process ends and says why
			r.o.Log.Warn("cannot move new incidents to another key of their pool; the relay tries again in a second", "from", r.name(m.From), "to", r.name(m.To), "error", err)
		}
	case in.Chains > 0:
		r.o.Log.Info("new incidents have moved to another key of their pool", "from", r.name(m.From), "to", r.name(m.To), "incidents", in.Chains, "severity", m.Rank.String(), "why", m.Why)
	}
	r.inputs.put(in)
}

// movedText is for the histories of events.
func (r *Relay) movedText(from, to int64, why string) string {
	name := func(id int64) string {
		if name := r.name(id); name != "" {
			return name
		}
		if l, err := r.o.Store.LaneByID(context.Background(), id); err == nil {
			return r.o.Route(l).Name
		}
		return "unknown"
	}
	return "from lane " + name(from) + " to " + name(to) + ": " + why
}
