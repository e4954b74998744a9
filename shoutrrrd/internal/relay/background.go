package relay

import (
	"context"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// storeAgain is how long to wait before the store is asked once more that could
	// not write.
	storeAgain = time.Second

	purgeEvery = time.Minute
	purgeSlice = 100 // an event that comes meanwhile waits for one of them
)

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

// releaseAll gives claims back that are not wanted. The store announces them anew.
func (r *Relay) releaseAll() {
	for range r.releases.signal {
		list, open := r.releases.take()
		for _, events := range list {
			r.o.Store.Release(events)
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

// hastenAll makes ready what waits for hosts, and keys, that accept again, in slices, the
// most severe first. If the store cannot do it, each event is still ready when it is due.
func (r *Relay) hastenAll(ctx context.Context) {
	for {
		select {
		case <-r.back.signal:
		case <-ctx.Done():
			return
		}
		all, _ := r.back.take()
		for _, d := range all {
			lanes := []int64{d.Lane}
			if d.Lane == 0 {
				lanes = r.lanesOf(d.Host)
			}
			for more, err := true, error(nil); more && err == nil; {
				if more, err = r.o.Store.Hasten(ctx, lanes, 0); err != nil && ctx.Err() == nil {
					r.o.Log.Warn("cannot hasten what waits to be sent again", "upstream", d.Host, "error", err)
				}
			}
		}
	}
}

// lanesOf lists the lanes that send to a host: what waits to be sent again keeps its lane
// open.
func (r *Relay) lanesOf(host string) (ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.lanes {
		if l.route.Host == host {
			ids = append(ids, id)
		}
	}
	return ids
}

// incidentLife is how long it is remembered by which key of a pool an incident was
// opened of which nothing is heard, at least: its resolve by another key would leave it
// open. The sender remembers as long.
const incidentLife = 30 * 24 * time.Hour

// purgeAll deletes what is older than the retention, in slices, so that a new
// event never waits behind a large one. Only what was measured counts: what is deleted does
// not come back when a wrong date is set right.
func (r *Relay) purgeAll(ctx context.Context) {
	for wait(ctx, purgeEvery) {
		for {
			now, gaps, retention := r.o.Now(), r.o.Gaps(), r.o.Retention()
			n, err := r.o.Store.Purge(ctx, gaps.Back(now, retention), gaps.Back(now, max(retention, incidentLife)), purgeSlice)
			if err != nil && ctx.Err() == nil {
				r.o.Log.Warn("cannot delete old events", "error", err)
			}
			if err != nil || n == 0 { // a slice is bounded by its bytes as well
				break
			}
		}
	}
}

// clockEvery is how often it is looked whether the machine was suspended: timers stand still
// meanwhile, and what is due leaves within that time.
const clockEvery = 5 * time.Second

// watchClock looks for what has become due while the machine was suspended.
func (r *Relay) watchClock(ctx context.Context) {
	for last := r.o.Now(); wait(ctx, clockEvery); {
		now := r.o.Now()
		if now.Sub(last) >= 2*clockEvery {
			r.inputs.put(lane.Suspended{})
			wake(r.woken)
		}
		last = now
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
