package relay_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
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

// rotated are keys of one service, of which one takes the place of the other.
var rotated = map[string][2]int{"oncall": {0, 8}, "db": {1, 7}}

// rekey is what people do in the life of keys: they take one out of the file for a while, give
// it another name or upstream, rotate it, let a pool shrink and grow, and move what is in a lane.
func (w *world) rekey() {
	if w.quiet {
		return
	}
	w.in(w.some(30*time.Minute), w.rekey)
	if w.life == nil {
		return
	}
	c := &w.config
	switch what := []string{"removed", "renamed", "redirected", "rotated", "rotated", "pooled", "moved"}[w.script.IntN(7)]; what {
	case "removed":
		i := w.script.IntN(len(c.keys))
		if k := c.keys[i]; k.alias == "eu" || k.alias == "db" {
			c.keys = append(c.keys[:i:i], c.keys[i+1:]...)
			w.removed = append(w.removed, k)
			w.note("key removed")
			w.in(w.some(time.Hour), w.putBack)
		}
	case "renamed":
		for i := range c.keys {
			if k := &c.keys[i]; k.key == 4 {
				k.alias = map[string]string{"eu": "europe", "europe": "eu"}[k.alias]
			}
		}
	case "redirected":
		for i := range c.keys {
			if k := &c.keys[i]; k.alias == "db" || k.key == 4 {
				k.upstream = []string{"", europe}[w.script.IntN(2)]
			}
		}
	case "rotated":
		w.rotate([]string{"oncall", "db"}[w.script.IntN(2)])
	case "pooled":
		w.repool()
	case "moved":
		pair := [][2]int{{0, 8}, {8, 0}, {1, 7}, {7, 1}, {2, 3}, {3, 9}, {1, 1}, {4, 4}}[w.script.IntN(8)]
		w.move(pair[0], pair[1], w.script.IntN(2) == 0)
		w.note("lane moved")
	}
	w.reload()
}

// putBack names the keys again that were taken out.
func (w *world) putBack() {
	w.config.keys = append(w.config.keys, w.removed...)
	w.removed = nil
	if w.life != nil {
		w.reload()
	}
}

// rotate has a key take the place of another one, by the word formerly or by the same file.
func (w *world) rotate(alias string) {
	if w.config.lives == nil {
		w.config.lives = map[string]keyLife{}
	}
	for i := range w.config.keys {
		k := &w.config.keys[i]
		if k.alias != alias {
			continue
		}
		life := w.config.lives[alias]
		if !life.file { // the relay has to know that it stands in one
			w.config.lives[alias] = keyLife{file: true, formerly: life.formerly}
			return
		}
		pair := rotated[alias]
		old := k.key
		k.key = pair[0] + pair[1] - old
		life = keyLife{file: w.script.IntN(2) == 0}
		if !life.file || w.script.IntN(2) == 0 {
			life.formerly = []int{old}
		}
		w.config.lives[alias] = life
		w.note("key rotated")
	}
}

// repool lets the pool grow, shrink, have another name or a key that retires. What senders name
// in turn, as they do, stays in it: of two keys that nothing connects nobody can tell that an
// incident is the same.
func (w *world) repool() {
	c := &w.config
	if !slices.ContainsFunc(c.keys, func(k keyLine) bool { return k.alias == "web-c" }) {
		c.keys = append(c.keys, keyLine{"web-c", 9, w.o.limit, ""})
	}
	if c.lives == nil {
		c.lives = map[string]keyLife{}
	}
	c.lives["web-b"] = keyLife{}
	switch w.script.IntN(3) {
	case 0:
		c.pools = [][2]string{{"web", "web-a, web-b"}}
	case 1:
		c.pools = [][2]string{{"website", "web-a, web-b, web-c"}}
	default:
		c.pools, c.lives["web-b"] = [][2]string{{"web", "web-a, web-b, web-c"}}, keyLife{retiring: true}
	}
	w.note("pool changed")
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
	by := queue.By{Who: "ana", Why: "work", At: w.now()}
	do := life.relay.Unhold
	if held {
		do = life.relay.Hold
	}
	err := do(context.Background(), lane, by)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		w.fail("%v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.judge.lane(lane)
	if err != nil { // an empty one of an unlisted key may have made room just now
		if w.judge.reached["forgotten before it was paused"]++; !seen.held.IsZero() {
			w.fail("lane %d was paused, and has been forgotten", lane)
		}
		return
	}
	seen.held = time.Time{}
	if held {
		seen.held, seen.paused = time.Now(), time.Now()
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
