package relay_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// arrive has senders send for ever, in storms now and then.
func (w *world) arrive() {
	if w.quiet {
		return
	}
	n := 1
	if w.script.IntN(400) == 0 {
		n = 50 + w.script.IntN(150)
		w.note("storm")
	}
	storm := w.anything()
	for range n {
		e := w.anything()
		if n > 1 && w.script.IntN(4) > 0 { // mostly of one service
			e.key = storm.key
		}
		w.submit(e)
	}
	if w.o.waiting != "" && w.script.IntN(20) == 0 {
		e := w.anything()
		e.action, e.dedup = eventsv2.Resolve, fmt.Sprintf("issue-%d", w.script.IntN(20))
		if w.o.operators && w.script.IntN(3) > 0 {
			w.holdKey(e.key, w.some(15*time.Minute))
		}
		w.flap(e, 4+w.script.IntN(30))
	}
	w.in(w.some(2*w.o.every), w.arrive)
}

// flap has an alert opened and resolved in turn, and acknowledged now and then.
func (w *world) flap(e event, n int) {
	if w.quiet || n == 0 {
		return
	}
	switch {
	case e.action == eventsv2.Resolve:
		e.action = eventsv2.Trigger
	case e.action == eventsv2.Trigger && w.script.IntN(4) == 0:
		e.action = eventsv2.Acknowledge
	default:
		e.action = eventsv2.Resolve
	}
	w.submit(e)
	w.in(w.some(time.Minute), func() { w.flap(e, n-1) })
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge.reached[what]++
}

// times is how often something has happened.
func (w *world) times(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.judge.reached[what]
}

func (w *world) anything() event {
	e := event{
		key: []int{0, 1, 1, 2, 3, 2, 4, 5}[w.script.IntN(8)], severity: queue.Rank(w.script.IntN(4)),
		action: eventsv2.Trigger, dedup: fmt.Sprintf("issue-%d", w.script.IntN(20)),
	}
	switch w.script.IntN(8) {
	case 0:
		e.action = eventsv2.Acknowledge
	case 1, 2:
		e.action = eventsv2.Resolve
	case 3:
		e.dedup = fmt.Sprintf("once-%d", w.script.IntN(1_000_000))
	}
	switch w.script.IntN(300) {
	case 0:
		e.dedup = "poison"
	case 1, 5, 6:
		e.dedup = fmt.Sprintf("bad-%d", w.script.IntN(3))
	case 2:
		e.action, e.dedup = "", ""
	case 3:
		e.dedup = "cursed"
	case 4:
		e.dedup = "hanging"
	}
	return e
}

// lastBurst has one service send a lot before all is quiet, so that no later event
// announces its lane anew.
func (w *world) lastBurst() {
	w.in(w.o.length-time.Second, func() {
		for i := range 150 {
			w.submit(event{key: 1, severity: queue.Info, action: eventsv2.Trigger, dedup: fmt.Sprint("last-", i)})
		}
	})
}

// rejectsAKey has PagerDuty reject a key until all troubles are over, and events wait for it.
// Nobody gives the relay its settings anew meanwhile: that has a key tried at once.
func (w *world) rejectsAKey() {
	w.in(w.o.length-10*time.Minute, func() {
		w.keyMood(1, "rejected")
		w.series(1, "waits", eventsv2.Trigger, 5)
	})
}

// page sends a critical incident to the one on call every few minutes. A little later it
// is over.
func (w *world) page() {
	if w.quiet {
		return
	}
	e := event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: fmt.Sprintf("page-%d", w.script.IntN(1_000_000_000))}
	w.submit(e)
	w.in(w.some(10*time.Minute), func() {
		if e.action = eventsv2.Resolve; !w.quiet {
			w.submit(e)
		}
	})
	w.in(w.some(5*time.Minute), w.page)
}

// poolPage sends a critical incident to the pool every now and then, and bursts of them.
// What comes later of it names another key of the pool.
func (w *world) poolPage() {
	if w.quiet {
		return
	}
	n := 1
	if w.script.IntN(20) == 0 {
		n = 20 + w.script.IntN(60)
	}
	for range n {
		e := event{key: 2 + w.script.IntN(2), severity: queue.Critical, action: eventsv2.Trigger, dedup: fmt.Sprintf("web-%d", w.script.IntN(1_000_000_000))}
		w.submit(e)
		for _, action := range []eventsv2.Action{eventsv2.Acknowledge, eventsv2.Trigger, eventsv2.Resolve} {
			if w.script.IntN(2) == 0 {
				continue
			}
			e := e
			e.key, e.action = 5-e.key, action
			w.in(w.some(5*time.Minute), func() {
				if !w.quiet {
					w.submit(e)
				}
			})
		}
	}
	w.in(w.some(3*time.Minute), w.poolPage)
}

// strange has many unknown keys send one event each.
func (w *world) strange() {
	if w.quiet {
		return
	}
	severity := queue.Info
	if w.o.severe {
		severity = queue.Critical
	}
	for i := range w.o.strangers {
		w.submit(event{key: w.listed() + i, severity: severity, action: eventsv2.Trigger, dedup: "stranger"})
	}
	w.in(20*time.Minute, w.strange)
}

// rejectStrangers has PagerDuty reject the keys of those who send as strangers, as long
// as there is trouble.
func (w *world) rejectStrangers() {
	w.rule(func(r *request) reply {
		if r.dedup != "stranger" || w.quiet {
			return reply{}
		}
		return reply{answers: true, err: &eventsv2.Error{Rejected: true, Status: 400, Message: "Invalid Routing Key", Err: eventsv2.ErrInvalidKey}}
	})
}

// hangs has the European host hang with all that it gets, and a burst for it every few
// minutes, each of it as severe as can be; the one on call is paged right behind it.
func (w *world) hangs() {
	w.hostMood(europe, "hanging")
	w.rule(func(r *request) reply {
		if r.host != europe || w.quiet {
			return reply{}
		}
		return reply{answers: true, err: &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, after: 2 * timeLimit}
	})
	var burst func()
	burst = func() {
		if w.quiet {
			return
		}
		for i := range 20 {
			w.submit(event{key: 4, severity: queue.Rank(i % 4), action: eventsv2.Trigger, dedup: fmt.Sprintf("burst-%d", w.script.IntN(1_000_000_000))})
		}
		w.in(5*time.Second, func() {
			w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: fmt.Sprintf("page-%d", w.script.IntN(1_000_000_000))})
		})
		w.in(10*time.Minute, burst)
	}
	w.in(time.Minute, burst)
}

// simulate runs a world to its end: senders and troubles first, then peace, in which
// everything has to leave. It returns what the judge has found, "" for nothing.
func simulate(t *testing.T, o options, more ...func(*world)) (w *world, verdict string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, o)
		w.start(false)
		if o.every > 0 {
			w.in(0, w.arrive)
			w.in(0, w.page)
			w.in(w.some(time.Hour), w.look)
		}
		if o.strangers > 0 {
			w.in(30*time.Second, w.strange)
			w.in(0, w.ghosts)
		}
		if o.troubles {
			w.in(w.some(30*time.Minute), w.hostTrouble)
			w.in(w.some(30*time.Minute), w.keyTrouble)
		}
		if o.pools {
			w.in(w.some(5*time.Minute), w.poolTrouble)
			w.in(0, w.poolPage)
		}
		if o.disk {
			w.in(w.some(2*time.Hour), w.diskTrouble)
		}
		if o.lives {
			w.in(w.some(2*time.Hour), w.live)
		}
		if o.clocks {
			w.in(w.some(time.Hour), w.setClock)
		}
		if o.suspends {
			w.in(w.some(time.Hour), w.sleep)
		}
		if o.operators {
			w.in(w.some(time.Hour), w.operate)
			w.in(w.some(time.Hour), w.rekey)
		}
		if o.damage {
			w.in(w.some(time.Hour), w.spoil)
		}
		for _, do := range more {
			do(w)
		}
		w.run(w.begun.Add(o.length))
		w.finish()
	})
	return w, w.verdict()
}
