package relay_test

import (
	"context"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

var quietWorld = options{seed: 1, limit: 60, maxAge: 8 * time.Hour}

// stories tells the same in worlds over the file, over the model and over both.
func stories(t *testing.T, story func(*world)) {
	t.Helper()
	prove.NoRace(t)
	for _, store := range []string{"file", "model", "twin"} {
		o := quietWorld
		o.store = store
		if _, verdict := simulate(t, o, story); verdict != "" {
			t.Errorf("%s: %s", store, verdict)
		}
	}
}

// What waits for an upstream of its own is sent nowhere else when its key, or that upstream,
// leaves the file, also by a process that begins after that. What comes meanwhile waits with
// it, and all leaves when the file names the upstream again.
func TestKeyThatLeavesTheFile(t *testing.T) {
	for name, leave := range map[string]func(*config){
		"the key":          func(c *config) { c.keys = c.keys[:len(c.keys)-1] },
		"the upstream":     func(c *config) { c.keys[len(c.keys)-1].upstream = "" },
		"for another one":  func(c *config) { c.keys[len(c.keys)-1].upstream = europe },
		"with a new alias": func(c *config) { c.keys[len(c.keys)-1].alias, c.keys[len(c.keys)-1].upstream = "exercise", "" },
	} {
		t.Run(name, func(t *testing.T) {
			stories(t, func(w *world) {
				before := keyLine{alias: "rehearsal", key: 6, rate: 60, upstream: rehearsal}
				w.config.keys = append(w.config.keys, before)
				w.reload()
				w.hostMood(rehearsal, "away")
				w.series(6, "exercise", eventsv2.Trigger, 5)
				w.wait(time.Minute)
				leave(&w.config)
				w.reload()
				w.wait(time.Minute)
				w.stopsAt(6, 5)
				w.hostMood(rehearsal, "")
				w.series(6, "later", eventsv2.Trigger, 2)
				w.kill()
				w.start(true)
				w.wait(time.Minute)
				w.stopsAt(6, 7)
				for i, k := range w.config.keys {
					if k.key == 6 {
						w.config.keys = append(w.config.keys[:i], w.config.keys[i+1:]...)
						break
					}
				}
				w.config.keys = append(w.config.keys, before)
				w.reload()
				w.wait(5 * time.Second)
				if n := w.queued(); n > 0 {
					w.fail("%d events wait although their upstream is configured again", n)
				}
			})
		})
	}
}

// stopsAt wants the lane of a key to say that its upstream is not configured, with so many
// events queued.
func (w *world) stopsAt(key, want int) {
	if w.verdict() != "" {
		return
	}
	l, err := w.life.store.inner.Lane(context.Background(), w.keys[key])
	if err != nil {
		w.fail("%v", err)
		return
	}
	s, known := w.life.relay.Status(l.ID)
	if n := w.queued(); !known || s.Condition != lane.Stopped || n != want {
		w.fail("the lane of key %d is %q with %d events, want that it is stopped with %d", key, s.Condition, n, want)
	}
}

// A lane in which nothing is queued goes where the file says.
func TestEmptyLaneFollowsTheFile(t *testing.T) {
	stories(t, func(w *world) {
		w.series(1, "before", eventsv2.Trigger, 3)
		w.wait(time.Minute)
		w.config.keys[1].upstream = europe
		w.reload()
		w.series(1, "after", eventsv2.Trigger, 3)
		w.wait(5 * time.Second)
		if n := w.queued(); n > 0 {
			w.fail("%d events wait", n)
		}
	})
}

// The last events of a lane are in flight when the file names another upstream. What comes
// behind them waits until they have ended, and then leaves for the new one.
func TestUpstreamChangesInFlight(t *testing.T) {
	stories(t, func(w *world) {
		w.rule(func(r *request) reply {
			if r.try == 1 && r.host == common && r.key == 1 {
				return reply{answers: true, taken: true, after: 2 * time.Second}
			}
			return reply{}
		})
		w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Trigger, dedup: "first"})
		w.wait(time.Second)
		w.config.keys[1].upstream = europe
		w.reload()
		w.wait(2 * time.Second)
		w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Resolve, dedup: "first"})
		w.wait(2 * time.Second)
		if n := w.queued(); n > 0 {
			w.fail("%d events wait", n)
		}
	})
}

// A key is rotated, by the word formerly and by another key in its file: what waits and what
// was rejected leaves by the new key, whichever of the two a client names. What belongs to an
// incident that the old key has opened leaves by that.
func TestRotation(t *testing.T) {
	const old, fresh = 1, 7
	for _, file := range []bool{false, true} {
		t.Run(map[bool]string{false: "formerly", true: "another key in the file"}[file], func(t *testing.T) {
			stories(t, func(w *world) {
				w.config.lives = map[string]keyLife{"db": {file: file}}
				w.reload()
				w.series(old, "open", eventsv2.Trigger, 3)
				w.wait(time.Second)
				w.rule(func(r *request) reply {
					if r.dedup == "dead-0" && r.key == old {
						return reply{answers: true, err: &eventsv2.Error{Rejected: true, Status: 400, Message: "Event object is invalid", Err: errReset}}
					}
					return reply{}
				})
				w.series(old, "dead", eventsv2.Trigger, 1)
				w.wait(time.Second)
				w.holdKey(old, time.Minute)
				w.wait(time.Second)
				w.series(old, "waits", eventsv2.Trigger, 5)
				w.submit(event{key: old, severity: queue.Info}) // a change event
				w.series(old, "open", eventsv2.Acknowledge, 1)
				w.wait(time.Second)
				w.config.keys[1].key = fresh
				if !file {
					w.config.lives = map[string]keyLife{"db": {formerly: []int{old}}}
				}
				w.reload()
				w.wait(3 * time.Second)
				w.wentBy(fresh, "waits-0", "waits-4")
				w.requeueDead()
				w.wait(time.Second)
				w.wentBy(fresh, "dead-0")
				w.series(fresh, "waits", eventsv2.Resolve, 5)
				w.series(old, "later", eventsv2.Trigger, 2)
				w.submit(event{key: old, severity: queue.Info})
				w.wait(3 * time.Second)
				w.wentBy(fresh, "later-0", "later-1")
				if w.wait(time.Minute); w.queued() > 0 {
					w.fail("%d events wait although the lane of the old key was resumed", w.queued())
				}
				w.kill()
				w.start(true)
				w.series(fresh, "open", eventsv2.Trigger, 1) // a repeat
				w.series(fresh, "open", eventsv2.Resolve, 2)
				w.series(old, "open", eventsv2.Resolve, 3)
				w.series(old, "later", eventsv2.Resolve, 2)
				w.series(old, "last", eventsv2.Trigger, 1)
				w.wait(3 * time.Second)
				w.wentBy(fresh, "last-0")
				if n := w.queued(); n > 0 {
					w.fail("%d events wait", n)
				}
			})
		})
	}
}

// wentBy wants PagerDuty to have incidents, or have had them, by this key alone.
func (w *world) wentBy(key int, dedups ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, dedup := range dedups {
		c := w.judge.chain(chainID{w.serviceOf(key), dedup})
		for by := range c.last {
			if by != key {
				w.fail("%s went by key %d", dedup, by)
			}
		}
		if len(c.last) == 0 {
			w.fail("%s has not left", dedup)
		}
	}
}

// PagerDuty has deleted the old key at once: what it has not taken leaves by the new one.
func TestRotationOfADeletedKey(t *testing.T) {
	const old, fresh = 1, 7
	stories(t, func(w *world) {
		w.keyMood(old, "rejected")
		w.series(old, "waits", eventsv2.Trigger, 5)
		w.series(old, "waits", eventsv2.Resolve, 2)
		w.wait(time.Minute)
		w.config.keys[1].key = fresh
		w.config.lives = map[string]keyLife{"db": {formerly: []int{old}}}
		w.reload()
		w.wait(2 * time.Second)
		w.wentBy(fresh, "waits-0", "waits-1", "waits-2", "waits-3", "waits-4")
		if n := w.queued(); n > 0 {
			w.fail("%d events wait", n)
		}
	})
}

// A key of a pool retires: new incidents leave by the others, and what it has opened by it.
func TestRetiringKeyOfAPool(t *testing.T) {
	stories(t, func(w *world) {
		for _, dedup := range w.preferring(2, 3) {
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup})
		}
		w.wait(time.Second)
		w.config.lives = map[string]keyLife{"web-a": {retiring: true}}
		w.reload()
		for _, dedup := range w.preferring(2, 10) {
			w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedup})
		}
		w.wait(time.Second)
		w.wentBy(2, w.preferring(2, 3)...)
		w.wentBy(3, w.preferring(2, 10)[3:]...)
		for _, dedup := range w.preferring(2, 10) {
			w.submit(event{key: 3, action: eventsv2.Resolve, dedup: dedup})
		}
		w.wait(time.Second)
		if n := w.queued(); n > 0 {
			w.fail("%d events wait", n)
		}
	})
}

// A key that joins a pool, and by which nothing has come yet, takes what waits for another one.
func TestKeyOfAPoolThatIsNew(t *testing.T) {
	stories(t, func(w *world) {
		w.holdKey(2, time.Hour)
		w.holdKey(3, time.Hour)
		w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: "waits"})
		w.wait(time.Minute)
		w.config.keys = append(w.config.keys, keyLine{"web-c", 9, 60, ""})
		w.config.pools = [][2]string{{"web", "web-a, web-b, web-c"}}
		w.reload()
		w.wait(3 * time.Second)
		w.wentBy(9, "waits")
	})
}

// An operator moves what is in the lane of a key that has left the file to another one.
func TestMovedByAnOperator(t *testing.T) {
	stories(t, func(w *world) {
		w.joined = map[int]string{6: "oncall"}
		w.config.keys = append(w.config.keys, keyLine{"rehearsal", 6, 60, rehearsal})
		w.reload()
		w.series(6, "open", eventsv2.Trigger, 2)
		w.wait(time.Second)
		w.hostMood(rehearsal, "away")
		w.series(6, "waits", eventsv2.Trigger, 3)
		w.series(6, "waits", eventsv2.Resolve, 1)
		w.series(6, "open", eventsv2.Resolve, 2)
		w.wait(time.Minute)
		w.config.keys = w.config.keys[:len(w.config.keys)-1]
		w.reload()
		w.wait(time.Minute) // what is being sent stays
		w.move(6, 0, false)
		if n := w.times("transferred"); n > 0 {
			w.fail("%d events went to another upstream that nobody has meant", n)
		}
		w.move(6, 0, true)
		w.wait(5 * time.Second)
		w.wentBy(0, "waits-0", "waits-1", "waits-2")
		w.stopsAt(6, 2)
		w.hostMood(rehearsal, "")
		w.config.keys = append(w.config.keys, keyLine{"rehearsal", 6, 60, rehearsal})
		w.reload()
		w.wait(5 * time.Second)
	})
}

// move has an operator move what is in the lane of one key to that of another one, or has
// the lane follow the configuration if they are the same.
func (w *world) move(from, to int, elsewhere bool) {
	if w.life == nil || w.verdict() != "" {
		return
	}
	var lanes [2]int64
	for i, key := range []int{from, to} {
		l, err := w.life.store.inner.Lane(context.Background(), w.keys[key])
		if err != nil {
			w.note("no lane to move: " + kind(err))
			return
		}
		lanes[i] = l.ID
	}
	_, _ = w.life.store.transfer(queue.Transfer{From: lanes[0], To: lanes[1], Elsewhere: elsewhere})
	w.life.relay.Reroute(lanes[0], lanes[1])
}
