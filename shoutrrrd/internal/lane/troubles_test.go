package lane_test

import (
	"context"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// hosts are what the lanes of a world send to.
var hosts = []string{"pagerduty", "pagerduty-eu"}

// route is a lane's configuration.
type route struct {
	host    string
	limit   int
	start   int // of that, what is used at first; 0 for all
	before  int // the limit before the last change
	changed time.Time
}

// allowed is the greatest limit of the last minute: what left under an older and
// greater one was allowed then, and takes up to 200 ms to arrive.
func (r *route) allowed(now time.Time) int {
	if now.Sub(r.changed) <= time.Minute+200*time.Millisecond {
		return max(r.limit, r.before)
	}
	return r.limit
}

// rate is what a lane uses that has learned so much.
func (r *route) rate(learned int) int {
	switch {
	case learned > 0:
		return min(learned, r.limit)
	case r.start > 0:
		return min(r.start, r.limit)
	}
	return r.limit
}

// wall is what the process takes for the time.
func (w *world) wall() time.Time { return w.now.Add(w.skew) }

// live lets the process end now and then, mostly without warning, and sometimes
// with a clock that is wrong by an hour after that.
func (w *world) live() {
	if w.quiet || !w.o.restarts {
		return
	}
	if w.random.IntN(4) > 0 {
		w.restart(true)
	} else {
		w.stopped = true
		w.step(lane.Stop{})
		w.at(w.now.Add(30*time.Second), func() {
			w.restart(len(w.claimed) > 0) // what is in flight makes an end unclean
		})
	}
	w.at(w.now.Add(time.Minute+w.some(8*time.Hour)), w.live)
}

func (w *world) restart(unclean bool) {
	skew := w.skew
	if w.o.people && w.random.IntN(4) == 0 {
		w.skew = []time.Duration{-time.Hour, 0, time.Hour}[w.random.IntN(3)]
	}
	w.check.restarted(unclean, w.skew-skew)
	w.start(unclean)
}

// operate is what people do to a relay.
func (w *world) operate() {
	if w.quiet {
		return
	}
	id := 1 + w.random.Int64N(int64(w.o.keys))
	switch w.random.IntN(4) {
	case 0:
		w.hold(id, true)
		w.at(w.now.Add(w.some(time.Hour)), func() { w.hold(id, false) })
		w.check.reached["hold"]++
	case 1:
		r := w.routes[id]
		r.before, r.changed = r.allowed(w.now), w.now
		r.limit = []int{w.o.limit, max(1, w.o.limit/2), 2 * w.o.limit}[w.random.IntN(3)]
		r.host = hosts[w.random.IntN(len(hosts))]
		w.check.pauses[id].rejected = time.Time{}
		w.step(lane.Configured{Lane: id, Host: r.host, Limit: r.limit, Start: r.start, Listed: id%3 == 0})
		w.check.reached["configuration"]++
	case 2:
		w.failing = true
		w.at(w.now.Add(w.some(3*time.Minute)), w.mend)
		w.check.reached["disk"]++
	case 3:
		w.try(id)
	}
	w.at(w.now.Add(w.some(4*time.Hour)), w.operate)
}

func (w *world) hold(id int64, held bool) {
	by := queue.By{Who: "ana", At: w.wall()}
	if held {
		_ = w.store.Hold(context.Background(), id, by)
	} else {
		_ = w.store.Unhold(context.Background(), id, by)
		w.check.pauses[id].rejected, w.check.pauses[id].until, w.check.pauses[id].tried = time.Time{}, time.Time{}, time.Time{}
	}
	if w.o.plant != "deaf to operators" {
		w.step(lane.Hold{Lane: id, Held: held, By: by})
	}
}

// try has a lane tried now.
func (w *world) try(id int64) {
	_, _ = w.store.TryLane(context.Background(), id, queue.By{Who: "ana", At: w.wall()})
	w.check.pauses[id].rejected, w.check.pauses[id].until, w.check.pauses[id].tried = time.Time{}, time.Time{}, time.Time{}
	for event := range w.check.twice {
		w.check.tried[event] = w.check.tried[event] || w.flights[event].event.Lane == id
	}
	w.step(lane.Try{Lane: id})
}

// mend lets the store be written again.
func (w *world) mend() {
	w.failing = false
	stuck := w.stuck
	w.stuck = nil
	for _, d := range stuck {
		w.settle(d)
	}
	w.step(lane.Storage{})
}

// rest takes back what people did.
func (w *world) rest() {
	w.mend()
	for id := range int64(w.o.keys) {
		w.hold(id+1, false)
	}
}
