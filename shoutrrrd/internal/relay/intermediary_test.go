package relay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// What something on the way answers rejects nothing, whatever its status. It may dislike
// one event: then the chain of that event waits, and all else leaves.
func TestIntermediaryRejectsNothing(t *testing.T) {
	prove.NoRace(t)
	for _, status := range []int{400, 401, 403, 404, 406, 411, 413, 421, 425, 426, 431, 451, 499} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			_, verdict := simulate(t, options{seed: 1, store: "model", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
				w.rule(func(r *request) reply {
					if r.dedup != "disliked" || time.Since(w.begun) > 10*time.Minute {
						return reply{}
					}
					return reply{answers: true, err: &eventsv2.Error{Status: status, Message: "Invalid routing key, says the proxy"}}
				})
				w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "disliked"})
				w.wait(time.Minute)
				w.series(0, "alert", eventsv2.Trigger, 3)
				w.wait(5 * time.Second)
				w.mustHave(3)
				w.wait(20 * time.Minute)
				w.mustHave(4)
			})
			if verdict != "" {
				t.Error(verdict)
			}
		})
	}
}

// mustHave fails unless PagerDuty has accepted so many events, and none is a dead letter.
func (w *world) mustHave(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	through := 0
	for _, r := range w.judge.byPlace() {
		if !r.through.IsZero() {
			through++
		}
		if r.state.Dead() {
			w.fail("event %d is a dead letter because of an intermediary's word", r.id)
		}
	}
	if through != n {
		w.fail("%d events are accepted, want %d", through, n)
	}
}
