package relay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Promised of a lane at rate: auto, whatever its account takes: within so long of being
// accepted a critical event is accepted by PagerDuty, unless more of them came in a minute
// than are reserved, or the account takes less than PagerDuty documents and the relay has
// not met that yet.
const punctual = 2 * time.Second

// limited is a world in which one lane always has something less severe to send. Of each
// page it looks whether it was in time, and it has no other excuse.
type limited struct {
	*world
	pages   []time.Time // when they came, as far back as the next one is judged by them
	learned time.Time   // when the relay has met a limit below 120, with the minute that it needs; zero if it has not
	late    int         // pages that came before that
	n       int
}

// fill has the lane always have some hundred infos queued.
func (l *limited) fill() {
	if l.quiet {
		return
	}
	if l.queued() < 300 {
		for range 100 {
			l.n++
			l.submit(event{key: 1, severity: queue.Info, action: eventsv2.Trigger, dedup: fmt.Sprint("info-", l.n)})
		}
	}
	l.in(5*time.Second, l.fill)
}

// page sends a critical event, and looks after it.
func (l *limited) page() {
	came := time.Now()
	for len(l.pages) > 0 && came.Sub(l.pages[0]) > 2*time.Minute {
		l.pages = l.pages[1:]
	}
	l.pages = append(l.pages, came)
	l.n++
	dedup := fmt.Sprint("page-", l.n)
	l.submit(event{key: 1, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedup})
	l.in(punctual, func() {
		reserve := 120 / 10
		if l.up.truth < 120 { // what was learned of less may be a tenth below it
			reserve = max(1, l.up.truth*9/10/10)
		}
		// Those of a group come at once, and any of them may leave last: all of it counts.
		share := 0
		for _, other := range l.pages {
			if !other.After(came) && came.Sub(other) <= 62*time.Second { // a minute from their answers on
				share++
			}
		}
		l.mu.Lock()
		taken, met := l.judge.isTaken(dedup), l.judge.reached["429"]
		l.mu.Unlock()
		if l.learned.IsZero() && met > 0 {
			l.learned = came.Add(2 * time.Minute)
		}
		switch {
		case taken, share > reserve:
		case l.up.truth < 120 && (l.learned.IsZero() || came.Before(l.learned)):
			l.late++
		default:
			l.fail("%s was accepted %s ago and has not been accepted by PagerDuty, which takes %d in a minute; %d pages came in the minute that ended with it: %+v", dedup, punctual, l.up.truth, share, l.life.relay.Statuses())
		}
	})
}

// pages come alone and in groups, a few minutes apart, sometimes for so long not that the
// lane tries whether its account takes more.
func (l *limited) pageNow() {
	if l.quiet {
		return
	}
	for range 1 + l.script.IntN(3) {
		l.page()
	}
	l.in(l.some(8*time.Minute), l.pageNow)
}

// Accounts of all kinds, with and without a Retry-After, at the default: pages are in time,
// and 429s are few.
func TestAutoLimit(t *testing.T) {
	seed := prove.Seed(t)
	truths, again := []int{60, 120, 300, 10_000}, []time.Duration{0, 20 * time.Second}
	for i := range uint64(prove.Share(t, 0, 4, 32)) {
		n := seed + i
		truth, again := truths[n%4], again[n/4%2]
		t.Run(fmt.Sprintf("%d in a minute, Retry-After %s", truth, again), func(t *testing.T) {
			const hours = 1
			l := &limited{}
			w, verdict := simulate(t, options{seed: n, length: hours * time.Hour, store: "file", truth: truth, maxAge: 8 * time.Hour}, func(w *world) {
				l.world = w
				w.up.again[1] = again
				w.in(0, l.fill)
				w.in(w.some(time.Minute), l.pageNow)
			})
			if verdict != "" {
				t.Fatal(verdict)
			}
			met, accepted := w.judge.reached["429"], w.judge.reached["ended as delivered"]
			if met > max(accepted/20, 2*hours) {
				t.Errorf("%d answers 429 and %d events were accepted", met, accepted)
			}
			t.Logf("%d accepted, %d answers 429, %d pages late before the limit was known", accepted, met, l.late)
		})
	}
}

// All at the defaults, and PagerDuty as it documents itself: 120 in any 60 s, and 429
// without Retry-After. Five thousand infos are queued, then a page comes each 7 s.
func TestDocumentedLimit(t *testing.T) {
	prove.NoRace(t)
	l := &limited{}
	w, verdict := simulate(t, options{seed: 1, store: "file", truth: 120, maxAge: 8 * time.Hour}, func(w *world) {
		l.world = w
		for i := range 5000 {
			w.submit(event{key: 1, severity: queue.Info, action: eventsv2.Trigger, dedup: fmt.Sprint("info-", i)})
		}
		w.wait(5 * time.Second)
		for range 11 {
			l.page()
			w.wait(7 * time.Second)
		}
		w.wait(5 * time.Minute)
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
	if met, accepted := w.judge.reached["429"], w.judge.reached["ended as delivered"]; met*20 > accepted {
		t.Errorf("%d answers 429 and %d events were accepted", met, accepted)
	} else {
		t.Logf("%d accepted, %d answers 429", accepted, met)
	}
}

// A 429 asks for a day. The lane waits for a quarter of an hour at most; an operator who
// resumes it, or has it tried, has it sent at once.
func TestTryNow(t *testing.T) {
	for name, do := range map[string]func(w *world, id int64, by queue.By) error{
		"resume": func(w *world, id int64, by queue.By) error { return w.life.relay.Unhold(context.Background(), id, by) },
		"try":    func(w *world, id int64, by queue.By) error { return w.life.relay.Try(context.Background(), id, by) },
		"wait":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			_, verdict := simulate(t, options{seed: 1, store: "file", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
				w.keyMood(1, "throttled")
				w.mu.Lock()
				w.up.again[1] = 24 * time.Hour
				w.mu.Unlock()
				w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Trigger, dedup: "alert"})
				w.wait(time.Minute)
				w.keyMood(1, "")
				l, err := w.life.store.Lane(context.Background(), w.keys[1])
				if err != nil {
					w.fail("%v", err)
				}
				patience := 2 * time.Second
				if do == nil {
					patience = 15 * time.Minute
				} else if err := do(w, l.ID, queue.By{Who: "ana", At: w.now()}); err != nil {
					w.fail("%v", err)
				}
				if w.wait(patience); w.queued() > 0 {
					w.fail("an event waits")
				}
			})
			if verdict != "" {
				t.Error(verdict)
			}
		})
	}
}

// What waits for its next attempt is due when an operator has it tried, alone or with its
// lane, and behind its chain's head as well.
func TestTryRetrying(t *testing.T) {
	for _, whole := range []bool{true, false} {
		_, verdict := simulate(t, options{seed: 1, store: "file", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
			broken := true
			w.rule(func(*request) reply {
				if !broken {
					return reply{}
				}
				return reply{answers: true, err: &eventsv2.Error{Status: 500}}
			})
			w.submit(event{key: 1, severity: queue.Info, action: eventsv2.Trigger, dedup: "alert"})
			w.wait(time.Second)
			w.submit(event{key: 1, severity: queue.Info, action: eventsv2.Resolve, dedup: "alert"})
			w.wait(100 * time.Second) // the waits are of a minute
			w.mu.Lock()
			broken = false
			w.mu.Unlock()
			by := queue.By{Who: "ana", At: w.now()}
			var err error
			if l, known := w.life.store.Lane(context.Background(), w.keys[1]); whole && known == nil {
				err = w.life.relay.Try(context.Background(), l.ID, by)
			} else {
				err = w.life.relay.TryEvent(context.Background(), 2, by)
			}
			if err != nil {
				w.fail("%v", err)
			}
			if w.wait(time.Second); w.queued() > 0 {
				w.fail("%d events wait", w.queued())
			}
		})
		if verdict != "" {
			t.Errorf("the whole lane %v: %s", whole, verdict)
		}
	}
}

// PagerDuty takes each event and answers 504; the relay ends in order twice. Its window
// holds over that: no more leave in a minute than are allowed.
func TestLostAnswersOverRestarts(t *testing.T) {
	for _, store := range []string{"file", "model", "twin"} {
		requests := 0
		_, verdict := simulate(t, options{seed: 1, store: store, limit: 10, maxAge: 8 * time.Hour}, func(w *world) {
			w.rule(func(r *request) reply {
				if r.key != 1 || time.Since(w.begun) > time.Minute {
					return reply{}
				}
				requests++
				return reply{answers: true, err: &eventsv2.Error{Status: 504, Sent: true}, taken: true}
			})
			for i := range 60 {
				w.submit(event{key: 1, severity: queue.Error, action: eventsv2.Trigger, dedup: fmt.Sprint("alert-", i)})
			}
			for range 2 {
				w.wait(9 * time.Second)
				if !w.stop() {
					w.fail("the end was not clean")
				}
				w.start(false)
			}
			if w.wait(20 * time.Second); requests > 10 {
				w.fail("%d requests have left in 40 s, 10 are allowed in a minute", requests)
			}
		})
		if verdict != "" {
			t.Errorf("%s: %s", store, verdict)
		}
	}
}
