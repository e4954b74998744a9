package relay_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const tenYears = 10 * 365 * 24 * time.Hour

// A machine's date is wrong, by a little or by ten years, when events are accepted; then the
// process ends, and the next one begins with another date, in the same boot or in another one.
// The upstream is away all the while. What is minutes old leaves when it is back.
func TestWrongDates(t *testing.T) {
	n := 0
	for _, before := range []time.Duration{-tenYears, -100 * time.Hour, 0, 100 * time.Hour, tenYears} {
		for _, after := range []time.Duration{-tenYears, 0, 120 * time.Hour, tenYears} {
			for _, reboots := range []bool{false, true} {
				n++
				for _, store := range []string{"file", "model", "twin"}[n%3:][:1] {
					name := fmt.Sprint(store, " ", before, " then ", after, " reboots ", reboots)
					w, verdict := simulate(t, options{seed: 1, store: store, limit: 60, maxAge: 8 * time.Hour, wrong: before}, func(w *world) {
						w.hostMood(common, "away")
						w.series(0, "alert", eventsv2.Trigger, 5)
						w.series(0, "alert", eventsv2.Resolve, 2)
						w.wait(time.Minute)
						w.kill()
						w.nextDate(after, reboots)
						w.start(true)
						w.wait(3 * time.Minute)
						w.hostMood(common, "")
						w.wait(time.Minute)
						if n := w.queued(); n > 0 {
							w.fail("%d events wait a minute after their upstream is back", n)
						}
					})
					if verdict != "" {
						t.Fatalf("%s: %s", name, verdict)
					}
					if n := w.times("ended as delivered"); n != 7 {
						t.Errorf("%s: %d events were delivered, want 7", name, n)
					}
				}
			}
		}
	}
}

// nextDate is the date with which the next process begins.
func (w *world) nextDate(wrong time.Duration, reboots bool) {
	if reboots {
		w.machine.reboot(wrong)
	} else {
		w.machine.set(wrong)
	}
}

// A machine was switched off for longer than an event is worth sending, by its date. That may
// be wrong: the upstream gets each event once, and answers with a 503. Then they expire.
func TestTriedOnceBeforeADateExpiresIt(t *testing.T) {
	for _, store := range []string{"file", "model"} {
		w, verdict := simulate(t, options{seed: 1, store: store, limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
			w.hostMood(common, "away")
			w.series(0, "alert", eventsv2.Trigger, 5)
			w.wait(time.Minute)
			w.kill()
			w.wait(10 * time.Hour)
			w.nextDate(0, true)
			w.start(true)
			w.wait(5 * time.Minute) // nothing is given up as nothing answers
			if n := w.queued(); n != 5 {
				w.fail("%d events are queued, want all of the 5 that nobody has had", n)
			}
			tries := map[int]int{}
			w.hostMood(common, "")
			w.rule(func(r *request) reply {
				tries[r.n]++
				return reply{answers: true, err: &eventsv2.Error{Status: 503}}
			})
			w.wait(5 * time.Minute)
			w.mu.Lock()
			defer w.mu.Unlock()
			for n := range tries {
				if tries[n] != 1 {
					w.fail("event %d was sent %d times", n, tries[n])
				}
			}
			if len(tries) != 5 {
				w.fail("%d events were tried, want 5", len(tries))
			}
		})
		if verdict != "" {
			t.Fatalf("%s: %s", store, verdict)
		}
		if n := w.times("ended as expired"); n != 5 {
			t.Errorf("%s: %d events have expired, want 5: %v", store, n, w.judge.reached)
		}
	}
}

// What was measured to be too old expires without an attempt: also if it was another process
// of the same boot that has accepted it, if the wall clock was set, and if the machine was
// suspended for most of the time.
func TestMeasuredAgeExpires(t *testing.T) {
	for _, store := range []string{"file", "model"} {
		for _, how := range []string{"one process", "two processes", "a suspended machine"} {
			w, verdict := simulate(t, options{seed: 1, store: store, limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
				l, err := w.life.store.Lane(context.Background(), w.keys[0])
				if err != nil {
					w.fail("%v", err)
					return
				}
				w.hold(l.ID, true)
				w.series(0, "alert", eventsv2.Trigger, 5)
				w.wait(time.Hour)
				w.machine.set(-tenYears)
				switch how {
				case "two processes":
					w.kill()
					w.wait(8 * time.Hour)
					w.start(true)
				case "a suspended machine":
					w.suspend(8 * time.Hour)
				default:
					w.wait(8 * time.Hour)
				}
				w.wait(time.Minute)
				w.hold(l.ID, false)
				w.wait(time.Minute)
			})
			if verdict != "" {
				t.Fatalf("%s, %s: %s", store, how, verdict)
			}
			if n := w.times("ended as expired"); n != 5 || w.times("ended as delivered") > 0 {
				t.Errorf("%s, %s: %d events have expired, want 5: %v", store, how, n, w.judge.reached)
			}
		}
	}
}

// PagerDuty asks for five minutes. The pause lasts these five minutes, whatever the wall clock
// does, and whatever date the next process begins with.
func TestPausesLastWhatWasMeant(t *testing.T) {
	for _, store := range []string{"file", "model"} {
		for _, how := range []string{"a step", "the next process", "the next boot, behind"} {
			for _, wrong := range []time.Duration{-tenYears, tenYears, -30 * 24 * time.Hour} {
				if wrong > 0 && how == "the next boot, behind" {
					continue
				}
				_, verdict := simulate(t, options{seed: 1, store: store, limit: 60, maxAge: 8 * time.Hour, wrong: 30 * 24 * time.Hour}, func(w *world) {
					limited := true
					w.rule(func(r *request) reply {
						if !limited || r.key != 0 {
							return reply{}
						}
						limited = false
						return reply{answers: true, err: &eventsv2.Error{Status: 429, RetryAfter: 5 * time.Minute}}
					})
					w.submit(event{key: 0, severity: queue.Warning, action: eventsv2.Trigger, dedup: "alert-0"})
					w.wait(time.Minute)
					switch how {
					case "a step":
						w.machine.set(wrong)
					default:
						w.kill()
						w.nextDate(wrong, how != "the next process")
						w.wait(time.Second)
						w.start(true)
					}
					w.wait(3*time.Minute + 50*time.Second)
					if n := w.queued(); n != 1 {
						w.fail("the pause was cut short")
					}
					w.wait(time.Minute)
					if how == "the next boot, behind" { // nobody knows of the time after the last mark, which may be a minute old
						w.wait(time.Minute)
					}
					if n := w.queued(); n != 0 {
						w.fail("the event waits for longer than was asked for")
					}
				})
				if verdict != "" {
					t.Fatalf("%s, %s, %s: %s", store, how, wrong, verdict)
				}
			}
		}
	}
}

// A machine begins with a date that is ten years ahead, or its clock is set so. Nothing is
// deleted that was kept for less than the retention: neither what was delivered nor that an
// incident is open nor a dead letter. When the retention was measured, what was delivered goes.
func TestWrongDateDeletesNothing(t *testing.T) {
	for _, how := range []string{"a step", "the next process", "the next boot"} {
		_, verdict := simulate(t, options{seed: 1, store: "file", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
			w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "open"})
			w.submit(event{key: 0, action: "", severity: queue.Info})
			w.wait(time.Minute)
			w.rule(func(r *request) reply {
				if r.dedup != "bad-1" {
					return reply{}
				}
				return reply{answers: true, err: &eventsv2.Error{Status: 400, Rejected: true}}
			})
			w.submit(event{key: 0, severity: queue.Critical, action: eventsv2.Trigger, dedup: "bad-1"})
			w.wait(time.Hour)
			before := w.rows()
			switch how {
			case "a step":
				w.machine.set(tenYears)
			default:
				w.kill()
				w.nextDate(tenYears, how == "the next boot")
				w.start(true)
			}
			w.wait(retention - 2*time.Hour)
			if after := w.rows(); after != before {
				w.fail("of %s there is only %s", before, after)
			}
			w.machine.set(0)
			w.wait(2*time.Hour + 5*time.Minute)
			if after := w.rows(); after != "0 delivered, 1 incidents, 1 dead" {
				w.fail("after the retention there is %s", after)
			}
		})
		if verdict != "" {
			t.Fatalf("%s: %s", how, verdict)
		}
	}
}

// rows says what is kept in the file.
func (w *world) rows() string {
	var delivered, incidents, dead int
	w.file(func(db *sql.DB) error {
		return db.QueryRow(`SELECT (SELECT count(*) FROM event WHERE state = 4), (SELECT count(*) FROM incident), (SELECT count(*) FROM event WHERE state IN (5, 6))`).
			Scan(&delivered, &incidents, &dead)
	})
	return fmt.Sprintf("%d delivered, %d incidents, %d dead", delivered, incidents, dead)
}

// While the machine was suspended everything has become due: an attempt that was to follow a
// failed one, the end of a pause, a slot of the window. It leaves within seconds.
func TestSuspend(t *testing.T) {
	for _, store := range []string{"file", "model"} {
		_, verdict := simulate(t, options{seed: 1, store: store, limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
			first, failing := true, true
			w.rule(func(r *request) reply {
				if r.key != 0 || !first {
					return reply{}
				}
				first = false
				return reply{answers: true, err: &eventsv2.Error{Status: 429, RetryAfter: 14 * time.Minute}}
			})
			w.rule(func(r *request) reply {
				if r.key != 1 || !failing {
					return reply{}
				}
				return reply{answers: true, err: &eventsv2.Error{Status: 503, RetryAfter: time.Minute}}
			})
			w.submit(event{key: 0, severity: queue.Warning, action: eventsv2.Trigger, dedup: "limited"})
			w.submit(event{key: 1, severity: queue.Warning, action: eventsv2.Trigger, dedup: "failed"})
			w.wait(8*time.Minute + 10*time.Second)
			if n := w.queued(); n != 2 {
				w.fail("%d events are queued, want 2", n)
			}
			w.mu.Lock()
			failing = false
			w.mu.Unlock()
			w.suspend(7 * time.Hour)
			w.wait(10 * time.Second)
			if n := w.queued(); n != 0 {
				w.fail("10 s after the machine is awake %d events wait", n)
			}
			if !w.life.relay.Alive() {
				w.fail("the watchdog would end the process")
			}
		})
		if verdict != "" {
			t.Fatalf("%s: %s", store, verdict)
		}
	}
}

// Somebody puts an older copy of the queue in its place, on the same machine or on another
// one, whatever date that has. What is in the copy leaves: what was delivered since then for
// the second time, with its own dedup key and in its order. So what was resolved is resolved.
func TestRestoredSnapshot(t *testing.T) {
	for _, wrong := range []time.Duration{-tenYears, 0, tenYears} {
		for _, reboots := range []bool{false, true} {
			name := fmt.Sprint(wrong, " reboots ", reboots)
			w, verdict := simulate(t, options{seed: 1, store: "file", limit: 300, maxAge: 8 * time.Hour}, func(w *world) {
				w.series(0, "before", eventsv2.Trigger, 3)
				w.wait(time.Minute)
				w.hostMood(common, "away")
				w.series(0, "queued", eventsv2.Trigger, 20)
				w.series(0, "queued", eventsv2.Resolve, 5)
				w.wait(time.Minute)
				w.kill()
				copied := w.copyFile()
				w.start(true)
				w.hostMood(common, "")
				w.wait(time.Minute)
				w.series(0, "after", eventsv2.Trigger, 5)
				w.wait(time.Hour)
				if n := w.queued(); n > 0 {
					w.fail("%d events wait", n)
				}
				w.kill()
				w.nextDate(wrong, reboots)
				w.restoreFile(copied)
				w.start(true)
				w.wait(5 * time.Minute)
				if n := w.queued(); n > 0 {
					w.fail("%d events of the copy wait", n)
				}
				w.series(0, "later", eventsv2.Trigger, 5)
				w.wait(time.Minute)
				w.mu.Lock()
				defer w.mu.Unlock()
				for n, sent := range w.judge.numbers {
					want := map[bool]int{false: 1, true: 2}[strings.HasPrefix(sent.dedup, "queued")]
					if n > 0 && w.up.got[n] != want {
						w.fail("event %d of %s was accepted by PagerDuty %d times, want %d", n, sent.dedup, w.up.got[n], want)
					}
				}
			})
			if verdict != "" {
				t.Fatalf("%s: %s", name, verdict)
			}
			open := map[string]bool{}
			for at := range w.judge.incidents {
				open[at.dedup] = true
			}
			if len(open) != 3+15+5+5 {
				t.Errorf("%s: open are %v", name, open)
			}
		}
	}
}

// copied is the queue as it was.
type copied struct {
	files map[string][]byte // by the end of their name
	ended map[int64]bool    // whether an event had ended
}

func (w *world) copyFile() copied {
	c := copied{map[string][]byte{}, map[int64]bool{}}
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(queueFile(w.dir) + end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail("%v", err)
		}
		c.files[end] = data
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, x := range w.judge.records {
		c.ended[id] = x.ended
	}
	return c
}

func (w *world) restoreFile(c copied) {
	for end, data := range c.files {
		if err := os.WriteFile(queueFile(w.dir)+end, data, 0o600); err != nil {
			w.fail("%v", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge.restored(c.ended)
}

// restored sees an older copy in the place of the queue: what is queued in it is queued, and
// what it does not know is not there.
func (j *judge) restored(ended map[int64]bool) {
	for id, x := range maps.All(j.records) {
		c := j.chain(x.chain)
		had, known := ended[id]
		switch {
		case !known:
			delete(j.records, id)
		case !had && x.ended:
			x.ended, x.failed, x.since.boot = false, nil, j.w.machine.boot()
			c.pending++
			clear(c.last)
			j.reached["restored"]++
		}
	}
}
