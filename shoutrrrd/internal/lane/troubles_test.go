package lane_test

import (
	"context"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
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
func (w *world) wall() time.Time { return w.line.Now() }

// clocks are those of the machine, a [clock.Clock].
func (w *world) clocks() clock.Reading {
	return clock.Reading{Wall: w.now.Add(w.wrong), Boot: w.now.Sub(w.booted) + time.Second, ID: w.boot}
}

// resume begins a process's time, where the last one's was by its mark.
func (w *world) resume(mark string) {
	w.line = clock.NewLine(w.clocks)
	w.line.Resume(mark)
}

// setClock makes the date of the machine a right one, or a wrong one.
func (w *world) setClock() {
	const years = 10 * 365 * 24 * time.Hour
	w.wrong = []time.Duration{-years, -time.Hour, 0, time.Hour, years}[w.random.IntN(5)]
}

// live lets the process end now and then, mostly without warning, and sometimes the
// machine begins anew, with a date that may be wrong by years.
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
	before, wrong, mark := w.wall(), w.wrong, w.line.Mark()
	if w.o.people && w.random.IntN(4) == 0 {
		w.setClock()
		w.booted, w.boot = w.now, fmt.Sprint("boot of ", w.now)
	}
	w.resume(mark)
	w.check.restarted(unclean, w.wall().Sub(before), w.wrong-wrong)
	w.start(unclean)
}

// operate is what people do to a relay.
func (w *world) operate() {
	if w.quiet {
		return
	}
	if w.random.IntN(4) == 0 { // while the process runs: nothing happens
		w.setClock()
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
