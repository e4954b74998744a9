package relay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// opened is a lane that the core knows, and where it sends to.
type opened struct {
	lane  queue.Lane
	route Route
}

// begin reads what the store knows of the lanes. The loop opens them, a slice in each
// turn: first those in which something critical is queued, those of keys
// that are not known behind the others, then those with anything queued, then those that the configuration names.
// Any other is opened when something of it becomes ready.
func (r *Relay) begin(ctx context.Context) error {
	known, err := r.o.Store.Lanes(ctx)
	if err != nil {
		return err
	}
	counts, err := r.o.Store.Totals(ctx)
	if err != nil {
		return err
	}
	r.began = r.o.Now()
	if r.before, err = r.o.Store.Recent(ctx, r.began.Add(-time.Minute)); err != nil {
		r.o.Log.Warn("cannot read what was delivered in the last minute", "error", err)
		r.before = nil
	}
	failing, err := r.o.Store.Failing(ctx)
	if err != nil {
		r.o.Log.Warn("cannot read which upstreams have failed", "error", err)
	}
	r.step(ctx, lane.Began{Failing: failing, Gaps: r.o.Gaps()})
	waits := map[int64]queue.Count{}
	var order [4][]int64
	for _, count := range counts {
		if count.Total() > 0 {
			waits[count.Lane] = count
			r.waited[count.Lane] = count.Waiting[queue.Critical]
		}
	}
	for _, l := range known {
		r.last = max(r.last, l.ID)
		count, ok := waits[l.ID]
		listed := r.o.Route(l).Listed
		switch critical := count.Waiting[queue.Critical] > 0; {
		case critical && (listed || l.Proven):
			order[0] = append(order[0], l.ID)
		case critical:
			order[1] = append(order[1], l.ID)
		case ok:
			order[2] = append(order[2], l.ID)
		case listed:
			order[3] = append(order[3], l.ID)
		}
	}
	r.later(slices.Concat(order[:]...), func(ctx context.Context, id int64) {
		if !r.knows(id) && !r.openByID(ctx, id) {
			return
		}
		for rank, is := range queued(waits[id]) {
			if is {
				r.step(ctx, lane.Arrived{Lane: id, Rank: queue.Rank(rank)})
			}
		}
	})
	return nil
}

// queued is of which priorities something may be ready in a lane. A resolve of a
// critical incident has that of an error.
func queued(count queue.Count) (is [queue.Ranks]bool) {
	for rank, n := range count.Waiting {
		is[rank] = n > 0
	}
	is[queue.Error] = is[queue.Error] || is[queue.Critical]
	return is
}

// later does something for each lane, a slice in each turn of the loop.
func (r *Relay) later(ids []int64, do func(context.Context, int64)) {
	if len(ids) == 0 {
		return
	}
	r.chores = append(r.chores, func(ctx context.Context) {
		most := min(r.slice, len(ids))
		for _, id := range ids[:most] {
			do(ctx, id)
		}
		r.later(ids[most:], do)
	})
}

// arrived hands an announcement to the core, which need not know the lane yet.
func (r *Relay) arrived(ctx context.Context, h hint) {
	if !r.knows(h.lane) && !r.openByID(ctx, h.lane) {
		return
	}
	if r.opened(h.lane).route.Way.Stopped { // nothing is claimed, which would show it
		if l, err := r.o.Store.LaneByID(ctx, h.lane); err == nil {
			r.reroute(ctx, h.lane, l.Upstream)
		}
	}
	r.step(ctx, lane.Arrived{Lane: h.lane, Rank: h.rank})
}

func (r *Relay) openByID(ctx context.Context, id int64) bool {
	l, err := r.o.Store.LaneByID(ctx, id)
	if err != nil {
		if !errors.Is(err, queue.ErrNotFound) { // one that was forgotten has nothing to send
			r.o.Log.Error("cannot open a lane", "lane", id, "error", err)
		}
		return false
	}
	route := r.o.Route(l)
	r.mu.Lock()
	r.lanes[l.ID] = opened{l, route}
	r.mu.Unlock()
	in := route.opened(l)
	if l.ID <= r.last && r.o.Now().Sub(r.began) < time.Minute {
		in.Recent, in.Began = r.before[l.ID], r.began
		in.Unclean, in.Waited = r.before == nil || !r.o.Store.Clean(), r.waited[l.ID]
	}
	r.step(ctx, in)
	return true
}

// closed forgets a lane that the core has closed.
func (r *Relay) closed(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lanes, id)
	delete(r.tried, id)
}

func (r *Relay) knows(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.lanes[id]
	return ok
}

func (r *Relay) opened(id int64) opened {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lanes[id]
}

// Forgotten is for the store to call when it has deleted lanes. Nothing is queued in
// them: what was became dead letters.
func (r *Relay) Forgotten(ids []int64) {
	for _, id := range ids {
		r.inputs.put(lane.Forgotten{Lane: id})
	}
}

// Reconfigure asks for the route of every lane anew, and for the age that an event
// may have. The loop does it, a slice in each turn.
func (r *Relay) Reconfigure() { r.inputs.put(reconfigured{lane.Aged{MaxAge: r.o.MaxAge()}}) }

// reconfigured is an input of the shell's own.
type reconfigured struct{ lane.Aged }

// reconfigure begins with the lanes whose keys the configuration names now: until then
// they stand among those of strangers, which can be thousands.
func (r *Relay) reconfigure() {
	lanes, err := r.o.Store.Lanes(context.Background()) // from memory
	if err != nil {
		r.o.Log.Error("cannot list the lanes", "error", err)
	}
	var order [2][]int64
	for _, l := range lanes {
		switch listed := r.o.Route(l).Listed; {
		case listed:
			order[0] = append(order[0], l.ID)
		case r.knows(l.ID):
			order[1] = append(order[1], l.ID)
		}
	}
	r.later(slices.Concat(order[:]...), func(ctx context.Context, id int64) {
		if !r.knows(id) && !r.openByID(ctx, id) { // what is named now may be needed by its pool
			return
		}
		r.configure(ctx, id)
	})
}

// configure tells the core anew what the configuration says of a lane.
func (r *Relay) configure(ctx context.Context, id int64) {
	l, err := r.o.Store.LaneByID(ctx, id)
	if err != nil {
		l = r.opened(id).lane // it is forgotten, which the core hears next
	}
	route := r.o.Route(l)
	r.mu.Lock()
	r.lanes[id] = opened{l, route}
	r.mu.Unlock()
	r.step(ctx, lane.Configured{Lane: id, Host: route.Host, Limit: route.Limit, Start: route.Start, Listed: route.Listed, Pool: route.Pool, Way: route.Way})
}

// Reroute has the relay ask where lanes go to: an operator has moved what is queued in them.
func (r *Relay) Reroute(lanes ...int64) {
	for _, id := range lanes {
		r.inputs.put(rerouted{lane: id})
	}
}

// rerouted is an input of the shell's own.
type rerouted struct {
	lane.Tick
	lane int64
}

// reroute does that if what is queued in the lane was accepted for another upstream than
// what was queued before: nothing was for a moment, and the configuration names another one.
func (r *Relay) reroute(ctx context.Context, id int64, upstream string) {
	if upstream != r.opened(id).lane.Upstream {
		r.configure(ctx, id)
	}
}

// Hold pauses a lane in an operator's name: what is in flight ends, nothing more
// is sent.
func (r *Relay) Hold(ctx context.Context, id int64, by queue.By) error {
	if err := r.o.Store.Hold(ctx, id, by); err != nil {
		return err
	}
	r.held(ctx, id, true, by)
	return nil
}

// Unhold ends a hold.
func (r *Relay) Unhold(ctx context.Context, id int64, by queue.By) error {
	if err := r.o.Store.Unhold(ctx, id, by); err != nil {
		return err
	}
	r.held(ctx, id, false, by)
	return nil
}

func (r *Relay) held(ctx context.Context, id int64, held bool, by queue.By) {
	r.o.Log.Info("lane "+map[bool]string{true: "paused", false: "resumed"}[held], "lane", r.nameOf(ctx, id), "by", by.Who, "why", by.Why)
	r.inputs.put(lane.Hold{Lane: id, Held: held, By: by})
}

// Try has a lane tried now, in an operator's name: a 429's pause and the wait for a
// rejected key end, what waits for its next attempt is due at once, and what has no answer by
// either of two connections is given up for a new attempt.
func (r *Relay) Try(ctx context.Context, id int64, by queue.By) error {
	n, err := r.o.Store.TryLane(ctx, id, by)
	if err != nil {
		return err
	}
	r.o.Log.Info("lane tried", "lane", r.nameOf(ctx, id), "retrying", n, "by", by.Who, "why", by.Why)
	r.inputs.put(lane.Try{Lane: id})
	return nil
}

// TryEvent has an event tried now, in an operator's name, or the head of its chain: if it
// waits for its next attempt it is due at once, and if neither of two copies that are in
// flight has an answer for seconds they are given up for a new attempt.
func (r *Relay) TryEvent(ctx context.Context, id int64, by queue.By) error {
	head, err := r.o.Store.TryEvent(ctx, id, by)
	if err == nil {
		r.inputs.put(lane.TryEvent{ID: head})
	}
	return err
}

// nameOf is the name of a lane that need not be open.
func (r *Relay) nameOf(ctx context.Context, id int64) string {
	if name := r.name(id); name != "" {
		return name
	}
	l, err := r.o.Store.LaneByID(ctx, id)
	if err != nil {
		return ""
	}
	return r.o.Route(l).Name
}

// statusSlice is how many lanes are looked at before the loop may go on.
const statusSlice = 256

// Status reports how a lane stands; false if the core does not know it, as it has
// nothing to do.
func (r *Relay) Status(id int64) (lane.Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.core.Status(r.o.Now(), id)
	if first, _ := r.ready.critical(); ok {
		s.Before += first
	}
	return s, ok
}

// opened is what the core gets to know of a lane.
func (r Route) opened(l queue.Lane) lane.Opened {
	return lane.Opened{Lane: l, Host: r.Host, Limit: r.Limit, Start: r.Start, Listed: r.Listed, Pool: r.Pool, Way: r.Way}
}

// Prospect is the status of a lane that the core does not know, as it would be opened now.
func (r *Relay) Prospect(l queue.Lane) lane.Status {
	route := r.o.Route(l)
	first, others := r.ready.critical()
	if !route.Listed && !r.o.Trusted(l.ID) {
		first += others
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.core.Prospect(r.o.Now(), route.opened(l))
	s.Before += first
	return s
}

// Upstreams reports how the upstreams stand that lanes send to.
func (r *Relay) Upstreams() []lane.Upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Upstreams(r.o.Now())
}

// Statuses reports how the lanes stand that have something to do, or had in the last
// minute.
func (r *Relay) Statuses() []lane.Status {
	r.mu.Lock()
	ids := r.core.Stirring()
	r.mu.Unlock()
	slices.Sort(ids)
	all := make([]lane.Status, 0, len(ids))
	for some := range slices.Chunk(ids, statusSlice) {
		r.mu.Lock()
		now := r.o.Now()
		for _, id := range some {
			if s, ok := r.core.Report(now, id); ok {
				all = append(all, s)
			}
		}
		r.mu.Unlock()
	}
	return all
}

func (r *Relay) name(id int64) string { return r.opened(id).route.Name }

// stopped says why a lane stops, and what has it go on: nobody who changes the upstream of a
// relay expects that its lanes stop.
func (r *Relay) stopped(id int64) []any {
	l := r.opened(id)
	return []any{
		"upstream", l.lane.Upstream,
		"why", "what is queued was accepted for this upstream, and the configuration names another one for the key, or none",
		"next", "name this upstream again; or have the lane leave by the one that is named: shoutrrr queue move " + l.route.Name + " " + l.route.Name + " --why TEXT",
	}
}

// tell logs what the core thinks people should know.
func (r *Relay) tell(t lane.Tell) {
	attrs := []any{}
	if t.Lane != 0 {
		attrs = append(attrs, "lane", r.name(t.Lane))
	}
	if t.Host != "" {
		attrs = append(attrs, "upstream", t.Host)
	}
	if t.What == lane.WayLost {
		attrs = append(attrs, r.stopped(t.Lane)...)
	}
	if t.Why != "" {
		attrs = append(attrs, "why", t.Why)
	}
	if !t.Till.IsZero() {
		attrs = append(attrs, "until", r.o.Date(t.Till).UTC().Format(time.RFC3339))
	}
	level := slog.LevelWarn
	switch t.What {
	case lane.KeyIsRefused, lane.WayLost:
		level = slog.LevelError
	case lane.HostUp, lane.KeyIsTaken, lane.WayFound, lane.AccountFree:
		level = slog.LevelInfo
	}
	r.o.Log.Log(context.Background(), level, string(t.What), attrs...)
}
