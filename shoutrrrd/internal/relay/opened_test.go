package relay_test

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Whatever becomes of the configuration and of keys, what follows of an incident leaves by
// the key through which it was triggered: PagerDuty drops it otherwise.
func TestIncidentsStayWithTheirKeys(t *testing.T) {
	for name, story := range map[string]func(*world){
		"keys with open incidents are put into a pool": func(w *world) {
			w.config.pools = nil
			w.reload()
			w.series(2, "incident", eventsv2.Trigger, 20)
			w.wait(time.Minute)
			w.config.pools = standard(60).pools
			w.reload()
			w.wait(time.Second)
			w.series(2, "incident", eventsv2.Resolve, 20)
			w.wait(time.Minute)
		},
		"keys with queued triggers are put into a pool": func(w *world) {
			w.config.pools = nil
			w.reload()
			w.hostMood(common, "away")
			w.series(2, "incident", eventsv2.Trigger, 20)
			w.config.pools = standard(60).pools
			w.reload()
			w.wait(time.Second)
			w.series(2, "incident", eventsv2.Acknowledge, 20)
			w.series(2, "incident", eventsv2.Resolve, 10)
			w.hostMood(common, "")
			w.wait(10 * time.Minute)
		},
		"a pool gets another name and another key": func(w *world) {
			w.series(2, "incident", eventsv2.Trigger, 20)
			w.wait(time.Minute)
			w.config.keys, w.joined = append(w.config.keys, keyLine{"web-c", 6, 60, ""}), map[int]string{6: "web"}
			w.config.pools = [][2]string{{"website", "web-a, web-b, web-c"}}
			w.reload()
			w.wait(time.Second)
			w.series(2, "incident", eventsv2.Resolve, 20)
			w.wait(time.Minute)
		},
		"a pool loses the key that was named": func(w *world) {
			w.config.keys, w.joined = append(w.config.keys, keyLine{"web-c", 6, 60, ""}), map[int]string{6: "web"}
			w.config.pools = [][2]string{{"web", "web-a, web-b, web-c"}}
			w.reload()
			w.series(2, "incident", eventsv2.Trigger, 30)
			w.wait(time.Minute)
			w.config.pools = [][2]string{{"web", "web-b, web-c"}}
			w.reload()
			w.wait(time.Second)
			w.series(2, "incident", eventsv2.Resolve, 30)
			w.wait(time.Minute)
		},
		"a pool loses a key with open incidents": func(w *world) {
			w.config.keys, w.joined = append(w.config.keys, keyLine{"web-c", 6, 60, ""}), map[int]string{6: "web"}
			w.config.pools = [][2]string{{"web", "web-a, web-b, web-c"}}
			w.reload()
			w.series(2, "incident", eventsv2.Trigger, 30)
			w.wait(time.Minute)
			w.config.pools = [][2]string{{"web", "web-a, web-b"}}
			w.reload()
			w.wait(time.Second)
			w.series(3, "incident", eventsv2.Resolve, 30)
			w.wait(time.Minute)
		},
		"a pool is removed": func(w *world) {
			w.series(2, "incident", eventsv2.Trigger, 20)
			w.wait(time.Minute)
			w.config.pools = nil
			w.reload()
			w.wait(time.Second)
			w.kill()
			w.start(true)
			w.series(2, "incident", eventsv2.Resolve, 20)
			w.wait(time.Minute)
		},
		"a pool is removed while its triggers wait": func(w *world) {
			w.hostMood(common, "away")
			w.series(2, "incident", eventsv2.Trigger, 20)
			w.config.pools = nil
			w.reload()
			w.wait(time.Second)
			w.series(2, "incident", eventsv2.Resolve, 20)
			w.hostMood(common, "")
			w.wait(10 * time.Minute)
		},
		"requeue in a pool": (*world).requeuesInPool,
		"the key of an open incident is rejected for a while": func(w *world) {
			dedup := w.preferring(2, 1)[0]
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup})
			w.wait(time.Minute)
			w.keyMood(2, "rejected")
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup})
			w.wait(time.Minute)
			w.keyMood(2, "")
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Resolve, dedup: dedup})
			w.wait(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, store := range []string{"file", "twin"} {
				w, verdict := simulate(t, options{seed: 1, store: store, limit: 60, maxAge: 8 * time.Hour}, story)
				if verdict != "" {
					t.Fatal(verdict)
				}
				if n := w.judge.reached["answer 202"]; n < 3 {
					t.Errorf("%s: only %d events were accepted", store, n)
				}
			}
		})
	}
}

// requeuesInPool is the story of an event that was rejected by one key of a pool and is
// sent again when the repeat of its alert has gone by another.
func (w *world) requeuesInPool() {
	dedup := w.preferring(2, 1)[0]
	w.rejectUntilTried(2, dedup)
	w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: w.preferring(2, 3)[2]}) // the one of this minute that tries the key
	w.wait(2 * time.Second)
	refused := false
	w.rule(func(r *request) reply { // the service takes no events for a while
		if r.dedup != dedup || r.key == 2 || refused {
			return reply{}
		}
		refused = true
		return reply{answers: true, err: &eventsv2.Error{Rejected: true, Status: 400, Message: "Event object is invalid"}}
	})
	w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup}) // by the other key
	w.wait(45 * time.Minute)                                                               // and the first one is valid again
	w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup})
	w.wait(time.Minute)
	w.requeueDead()
	w.wait(time.Minute)
	w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Resolve, dedup: dedup})
	w.wait(time.Minute)
}
