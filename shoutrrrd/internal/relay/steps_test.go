package relay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// wait lets time pass, unless the judge has found something.
func (w *world) wait(d time.Duration) {
	if w.verdict() == "" {
		w.run(time.Now().Add(d))
	}
}

// series submits events of so many alerts, one after the other.
func (w *world) series(key int, name string, action eventsv2.Action, n int) {
	for i := range n {
		w.submit(event{key: key, severity: queue.Critical, action: action, dedup: fmt.Sprintf("%s-%d", name, i)})
		w.wait(time.Millisecond)
	}
}

func (w *world) rule(rule func(*request) reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up.rules = append(w.up.rules, rule)
}

func (w *world) keyMood(key int, mood string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up.keyMood(key, mood)
}

func (w *world) hostMood(host, mood string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up.hostMood(host, mood)
}

// preferring returns dedup keys for which the pool's hash prefers a key.
func (w *world) preferring(key, n int) (found []string) {
	pool := []eventsv2.Key{w.keys[2], w.keys[3]}
	for i := 0; len(found) < n; i++ {
		if dedup := fmt.Sprint("alert-", i); eventsv2.Rendezvous(pool, dedup) == key-2 {
			found = append(found, dedup)
		}
	}
	return found
}

// rejectUntilTried has PagerDuty reject a key of the pool for ten minutes, while
// something waits in its lane that tries the key again.
func (w *world) rejectUntilTried(key int, but string) {
	w.keyMood(key, "rejected")
	for _, dedup := range w.preferring(key, 2) {
		if dedup != but {
			w.submit(event{key: key, severity: queue.Error, action: eventsv2.Acknowledge, dedup: dedup})
		}
	}
	w.wait(2 * time.Second)
	w.in(10*time.Minute, func() { w.keyMood(key, "") })
}

// requeueDead sends all dead letters anew.
func (w *world) requeueDead() {
	page, err := w.life.store.inner.Events(context.Background(), queue.Filter{States: []queue.State{queue.Refused, queue.Expired}})
	if err != nil || len(page.Events) == 0 {
		w.fail("there should be dead letters: %v", err)
		return
	}
	for _, e := range page.Events {
		w.life.store.requeue([]int64{e.ID}, false)
	}
}

// isTaken reports whether PagerDuty has an alert.
func (j *judge) isTaken(dedup string) bool {
	for id, c := range j.chains {
		if id.dedup != dedup {
			continue
		}
		for _, r := range c.records {
			if len(r.takes) > 0 {
				return true
			}
		}
	}
	return false
}
