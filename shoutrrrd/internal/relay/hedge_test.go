package relay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// hang is no answer within the time of an attempt; PagerDuty may have taken the event.
func hang(taken bool) reply {
	return reply{answers: true, err: &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, after: 2 * timeLimit, taken: taken}
}

// triesOf is how often an event was sent.
func (w *world) triesOf(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up.tries[n]
}

var hedging = options{seed: 1, store: "file", limit: 60, maxAge: 8 * time.Hour}

// One request hangs. What is critical is accepted within 5 s all the same, whether
// PagerDuty has taken the first copy or not, and what comes after it in its chain comes
// after it. What is not critical, and a change event, is sent once.
func TestHangingRequest(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprint("taken ", taken), func(t *testing.T) {
			w, verdict := simulate(t, hedging, func(w *world) { w.oneHangs(taken) })
			if verdict != "" {
				t.Fatal(verdict)
			}
			if w.judge.reached["sent twice"] != 1 {
				t.Error(w.judge.reached)
			}
		})
	}
}

// oneHangs is the story of one request that hangs.
func (w *world) oneHangs(taken bool) {
	w.rule(func(r *request) reply {
		if r.try == 1 && r.n <= 3 {
			return hang(taken)
		}
		return reply{}
	})
	w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "page"})
	w.wait(time.Millisecond)
	w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Trigger, dedup: "ticket"})
	w.wait(time.Millisecond)
	w.submit(event{key: 0, severity: queue.Critical, action: ""})
	w.wait(time.Second)
	w.submit(event{key: 0, severity: queue.Error, action: eventsv2.Resolve, dedup: "page"})
	w.wait(4*time.Second - 2*time.Millisecond)
	if page, over := w.triesOf(1), w.triesOf(4); page != 2 || over != 1 {
		w.fail("within 5 s the trigger was sent %d times, want twice, and its resolve %d times, want once", page, over)
	}
	if ticket, change := w.triesOf(2), w.triesOf(3); ticket != 1 || change != 1 {
		w.fail("an error was sent %d times and a change event %d times, want once", ticket, change)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.judge.byPlace() {
		if r.chain.dedup == "page" && r.state != queue.Delivered {
			w.fail("after 5 s event %d (%s) of the page is %s", r.id, r.action, r.state)
		}
	}
}

// Two pages hang twice, as their host hangs. What comes when it accepts again is accepted, and
// the two within a second after that: both of their copies are given up. Each incident is
// opened once, and what comes after it in its chain comes after it.
func TestBothCopiesHang(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprint("taken ", taken), func(t *testing.T) {
			w, verdict := simulate(t, hedging, func(w *world) {
				w.hangsAtFirst(taken)
				w.wait(1100 * time.Millisecond)
				w.submit(event{key: 4, severity: queue.Critical, action: eventsv2.Trigger, dedup: "elsewhere"})
				w.wait(time.Second)
				if n := w.times("given up twice"); n > 0 {
					w.fail("%d copies were given up, although only another host has accepted something", n)
				}
				w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "later"})
				w.wait(1200 * time.Millisecond) // of which the acceptance takes 200
				w.wantThrough()
			})
			if verdict != "" {
				t.Fatal(verdict)
			}
			if w.judge.reached["log: upstream down"] > 0 {
				t.Error(w.judge.reached)
			}
		})
	}
}

// One page is all that is in flight, and both of its copies hang. They are given up after 10 s,
// and it leaves anew at once, by new connections; what comes after it in its chain comes after
// it. Of an event that hangs again the next attempt has its whole time.
func TestAlonePageHangs(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprint("taken ", taken), func(t *testing.T) {
			_, verdict := simulate(t, hedging, func(w *world) {
				hangs := 2
				w.rule(func(r *request) reply {
					if r.try <= hangs && r.action == eventsv2.Trigger {
						return hang(taken)
					}
					return reply{}
				})
				w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "page"})
				w.wait(time.Millisecond)
				w.submit(event{key: 0, severity: queue.Error, action: eventsv2.Resolve, dedup: "page"})
				w.wait(9900 * time.Millisecond)
				if trigger, resolve := w.triesOf(1), w.triesOf(2); trigger != 2 || resolve != 0 {
					w.fail("after 9.9 s the trigger was sent %d times, want twice, and the resolve %d times, want none", trigger, resolve)
				}
				w.wait(time.Second)
				if trigger, resolve := w.triesOf(1), w.triesOf(2); trigger != 3 || resolve != 1 {
					w.fail("after 11 s the trigger was sent %d times, want three times, and the resolve %d times, want once", trigger, resolve)
				}
				w.mu.Lock()
				hangs = 4
				w.mu.Unlock()
				w.submit(event{key: 1, severity: queue.Critical, action: eventsv2.Trigger, dedup: "another"})
				w.wait(39 * time.Second)
				if n := w.triesOf(3); n != 4 {
					w.fail("a page that hangs for longer was sent %d times in 39 s, want twice in each attempt", n)
				}
				w.wait(9 * time.Second)
				if n := w.triesOf(3); n != 5 {
					w.fail("a page that hangs for longer was sent %d times in 48 s, want 5", n)
				}
			})
			if verdict != "" {
				t.Fatal(verdict)
			}
		})
	}
}

// An operator tries what hangs twice, by an event that is behind it in its chain or by its
// lane: it leaves anew at once, although nothing else has shown that the host answers.
func TestOperatorTriesWhatHangs(t *testing.T) {
	for _, store := range []string{"file", "model", "twin"} {
		t.Run(store, func(t *testing.T) {
			o := hedging
			o.store = store
			_, verdict := simulate(t, o, func(w *world) {
				w.hangsAtFirst(true)
				w.wait(time.Second)
				w.mu.Lock()
				w.judge.tried = time.Now()
				other := w.judge.records[2].lane
				w.mu.Unlock()
				by := queue.By{Who: "ana", Why: "it hangs", At: w.now()}
				if err := w.life.relay.TryEvent(context.Background(), 3, by); err != nil {
					w.fail("%v", err)
				}
				if err := w.life.relay.Try(context.Background(), other, by); err != nil {
					w.fail("%v", err)
				}
				w.wait(time.Second)
				w.wantThrough()
			})
			if verdict != "" {
				t.Fatal(verdict)
			}
		})
	}
}

// hangsAtFirst has the common host hang for 6.5 s with two pages of two lanes, of which one
// is resolved meanwhile.
func (w *world) hangsAtFirst(taken bool) {
	w.rule(func(r *request) reply {
		if r.host == common && time.Since(w.begun) < 6500*time.Millisecond {
			return hang(taken)
		}
		return reply{}
	})
	w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "page"})
	w.wait(time.Millisecond)
	w.submit(event{key: 1, severity: queue.Critical, action: eventsv2.Trigger, dedup: "other"})
	w.wait(time.Millisecond)
	w.submit(event{key: 0, severity: queue.Error, action: eventsv2.Resolve, dedup: "page"})
	w.wait(6500*time.Millisecond - 2*time.Millisecond)
	for n, want := range map[int]int{1: 2, 2: 2, 3: 0} {
		if got := w.triesOf(n); got != want {
			w.fail("after 6.5 s event %d was sent %d times, want %d", n, got, want)
		}
	}
}

// wantThrough looks whether the pages of [world.hangsAtFirst] and the resolve are delivered.
func (w *world) wantThrough() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.judge.byPlace() {
		if r.state != queue.Delivered {
			w.fail("event %d (%s of %s) is %s", r.id, r.action, r.chain, r.state)
		}
	}
	for n, want := range map[int]int{1: 3, 2: 3, 3: 1} {
		if got := w.up.tries[n]; got != want {
			w.fail("event %d was sent %d times, want %d", n, got, want)
		}
	}
}

// The host answers nothing to the first copy of anything and takes it all the same. Both
// copies count in the window: PagerDuty gets no more than its limit in any minute.
func TestHedgesStayWithinTheLimit(t *testing.T) {
	o := hedging
	o.limit, o.length = 20, 10*time.Minute
	w, verdict := simulate(t, o, func(w *world) {
		w.rule(func(r *request) reply {
			if r.second {
				return reply{answers: true, taken: true, after: 50 * time.Millisecond}
			}
			return hang(true)
		})
		w.wait(62 * time.Second) // from then on the judge counts
		w.series(0, "page", eventsv2.Trigger, 60)
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
	if n := w.judge.reached["sent twice"]; n < 20 {
		t.Errorf("%d events were sent twice", n)
	}
}

// Both copies of an event hang when the process ends, in either way. The next one sends it
// again, and once it has ended what comes after it.
func TestEndWithTwoCopiesInFlight(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			_, verdict := simulate(t, hedging, func(w *world) {
				w.rule(func(r *request) reply {
					if r.try <= 2 && r.action == eventsv2.Trigger {
						return hang(true)
					}
					return reply{}
				})
				w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "page"})
				w.wait(time.Second)
				w.submit(event{key: 0, severity: queue.Error, action: eventsv2.Resolve, dedup: "page"})
				w.wait(4 * time.Second)
				if n := w.triesOf(1); n != 2 {
					w.fail("the trigger was sent %d times, want twice", n)
				}
				if killed {
					w.kill()
				} else if !w.stop() {
					w.fail("the relay did not end cleanly")
				}
				w.start(killed)
				w.wait(time.Minute)
				if trigger, resolve := w.triesOf(1), w.triesOf(2); trigger != 3 || resolve != 1 {
					w.fail("the trigger was sent %d times, want three times, and the resolve %d times, want once", trigger, resolve)
				}
			})
			if verdict != "" {
				t.Fatal(verdict)
			}
		})
	}
}
