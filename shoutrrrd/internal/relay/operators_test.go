package relay_test

import (
	"cmp"
	"context"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// operate is what people do to a relay.
func (w *world) operate() {
	if w.quiet {
		return
	}
	if w.life == nil {
		w.in(time.Minute, w.operate)
		return
	}
	switch w.script.IntN(4) {
	case 0:
		w.pause()
	case 1:
		k := &w.config.keys[w.script.IntN(len(w.config.keys))]
		usual := cmp.Or(w.o.limit, 120)
		k.rate = []int{w.o.limit, max(1, usual/2), 2 * usual}[w.script.IntN(3)]
		if k.alias == "db" {
			k.upstream = []string{"", europe}[w.script.IntN(2)]
		}
		w.reload()
		w.note("reload")
	default:
		w.decide(w.script.IntN(3) > 0)
	}
	w.in(w.some(3*time.Hour), w.operate)
}

// pause holds a lane for a while.
func (w *world) pause() {
	key := 1 + w.script.IntN(4)
	w.note("paused")
	w.holdKey(key, w.some(time.Hour))
}

func (w *world) holdKey(key int, length time.Duration) {
	if w.life == nil {
		return
	}
	l, err := w.life.store.Lane(context.Background(), w.keys[key])
	if err != nil {
		w.fail("%v", err)
		return
	}
	w.hold(l.ID, true)
	w.in(length, func() { w.hold(l.ID, false) })
}

func (w *world) hold(lane int64, held bool) {
	life := w.life
	if life == nil { // people come back
		w.in(time.Minute, func() { w.hold(lane, held) })
		return
	}
	by := queue.By{Who: "ana", Why: "work", At: w.wall()}
	do := life.relay.Unhold
	if held {
		do = life.relay.Hold
	}
	if err := do(context.Background(), lane, by); err != nil {
		w.fail("%v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.judge.lane(lane)
	seen.held = time.Time{}
	if held {
		seen.held = time.Now()
	} else {
		seen.resumed = time.Now()
	}
}

// decide requeues or drops the dead letters of a group, or all of them.
func (w *world) decide(requeue bool) {
	store := w.life.store
	groups, err := store.inner.Groups(context.Background())
	if err != nil {
		w.fail("%v", err)
		return
	}
	for _, g := range groups {
		ids, err := store.inner.Members(context.Background(), g, 1000)
		if err != nil {
			w.fail("%v", err)
			return
		}
		w.decideAbout(ids, requeue)
	}
}

// decideAbout sends events anew in the order in which they were accepted.
func (w *world) decideAbout(ids []int64, requeue bool) {
	store := w.life.store
	if !requeue {
		for _, id := range ids {
			store.drop(id)
		}
		return
	}
	store.requeue(ids, false)
}
