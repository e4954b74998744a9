package relay_test

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

// finish brings a world to its end. No goroutine of it is left.
func (w *world) finish() {
	w.peace()
	if w.verdict() == "" {
		w.drain()
		w.end()
	}
	if w.life == nil {
		return
	}
	if w.verdict() == "" {
		w.stop()
	} else {
		w.kill()
	}
}

// peace ends all troubles.
func (w *world) peace() {
	w.mu.Lock()
	w.quiet = true
	if w.life != nil {
		if file, ok := w.life.store.inner.(*sqlite.Store); ok {
			w.judge.reached["given up"] = file.Usage().GivenUp
		}
	}
	w.mu.Unlock()
	w.repairDisk()
	if w.life == nil && w.verdict() == "" {
		w.start(true)
	}
	w.mu.Lock()
	for host, mood := range w.up.moods {
		if mood != "" {
			w.up.moods[host] = ""
			w.judge.host(host).troubled = time.Now()
		}
	}
	clear(w.up.keys)
	w.up.truth = w.o.truth
	var held []int64
	for id, l := range w.judge.lanes {
		if !l.held.IsZero() {
			held = append(held, id)
		}
	}
	w.mu.Unlock()
	for _, id := range held {
		w.hold(id, false)
	}
	w.nameAll()
}

// nameAll has the file name all keys again, and what was accepted for another upstream than it
// names now leave by that.
func (w *world) nameAll() {
	if w.verdict() != "" {
		return
	}
	if len(w.removed) > 0 {
		w.putBack()
	}
	lanes, err := w.life.store.inner.Lanes(context.Background())
	if err != nil {
		w.fail("%v", err)
	}
	for _, l := range lanes {
		if found := w.life.settings.Load().Lookup(l.Key); l.Upstream != found.Upstream {
			_, _ = w.life.store.transfer(queue.Transfer{From: l.ID, To: l.ID, Elsewhere: true})
			w.life.relay.Reroute(l.ID)
		}
	}
}

// drain waits until the queue is empty. After the longest pause it empties at the rate
// that may be left of the limit, and each 429 costs two minutes more.
func (w *world) drain() {
	slow := max(1, w.o.limit/40)
	if w.o.truth > 0 {
		slow = min(slow, w.o.truth)
	}
	end := time.Now().Add(3*time.Hour + time.Duration(w.queued())*3*time.Minute/time.Duration(slow))
	for w.queued() > 0 && w.verdict() == "" {
		if time.Now().After(end) {
			w.fail("%d events are still queued although all troubles are over since %s", w.queued(), time.Since(end.Add(-3*time.Hour)))
		}
		w.run(time.Now().Add(time.Minute))
	}
	w.run(time.Now().Add(2 * time.Minute)) // settlements, and lanes that close
}

// queued is how many events are undelivered.
func (w *world) queued() (n int) {
	counts, err := w.life.store.inner.Totals(context.Background())
	if err != nil {
		w.fail("%v", err)
	}
	for _, c := range counts {
		n += c.Total()
	}
	return n
}

// end looks at what is left.
func (w *world) end() {
	if w.verdict() != "" {
		return
	}
	synctest.Wait()
	store := w.life.store.inner
	w.judge.compare(store)
	dead := map[int64]queue.State{}
	inFlight := 0
	for before := int64(0); ; {
		page, err := store.Events(context.Background(), queue.Filter{Limit: 500, Before: before})
		if err != nil {
			w.fail("%v", err)
			return
		}
		for _, e := range page.Events {
			if e.State.Dead() {
				dead[e.ID] = e.State
			}
			if e.InFlight {
				inFlight++
			}
		}
		if before = page.Next; len(page.Events) > 0 && before == 0 && w.o.store == "model" {
			before = page.Events[len(page.Events)-1].ID
		}
		if before == 0 {
			break
		}
	}
	if n := w.life.relay.Claims(); n+inFlight > 0 {
		w.fail("nothing is queued, and the relay holds %d claims, the store %d", n, inFlight)
	}
	w.ghosts()
	for _, s := range w.life.relay.Statuses() {
		if s.InFlight > 0 {
			w.fail("nothing is queued, and lane %d has %d attempts in flight", s.Lane, s.InFlight)
		}
	}
	w.mu.Lock()
	w.judge.verdicts(dead)
	w.mu.Unlock()
}

// ghosts looks whether the relay has lanes open that the store has forgotten.
func (w *world) ghosts() {
	synctest.Wait()
	for _, id := range w.life.relay.Opened() {
		if _, err := w.life.store.inner.LaneByID(context.Background(), id); err != nil {
			w.fail("the relay has lane %d open, which the store has forgotten", id)
		}
	}
	if !w.quiet {
		w.in(20*time.Second, func() {
			if w.life != nil {
				w.ghosts()
			}
		})
	}
}

// look compares the store with the model, by lists, counts and groups.
func (w *world) look() {
	if w.life != nil {
		w.judge.compare(w.life.store.inner)
	}
	if !w.quiet {
		w.in(w.some(time.Hour), w.look)
	}
}
