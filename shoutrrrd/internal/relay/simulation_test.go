package relay_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

var ordinary = options{
	length: 24 * time.Hour, every: 20 * time.Second, store: "file", limit: 60, truth: 60, maxAge: 3 * time.Hour, capacity: 64,
	troubles: true, bodies: true, lives: true, operators: true, disk: true, clocks: true, suspends: true,
}

// A month of an unkind world, over the real store: nothing that was accepted is lost,
// what PagerDuty has open is what the senders said last, and no critical event waits for
// what others do.
func TestMonth(t *testing.T) {
	t.Parallel()
	prove.Long(t)
	o := ordinary
	o.seed, o.length, o.every = prove.Seed(t), 30*24*time.Hour, 3*time.Minute
	w, verdict := simulate(t, o, func(w *world) {
		w.in(10*24*time.Hour, func() { w.holdKey(0, o.maxAge+time.Hour) }) // else it is chance whether anything grows too old
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
	for _, rare := range []string{
		"storm", "coalesced", "killed", "stopped", "clock set", "rebooted", "suspended", "paused", "reload", "requeue", "drop", "disk fails", "disk hangs", "disk failed once",
		"429", "rejected key", "lost answer", "taken twice", "critical", "log: upstream down", "log: upstream up", "log: limit lowered",
		"log: integration key refused", "log: integration key accepted again", "disliked: cursed", "disliked: poison", "disliked: hanging", "ended as refused", "ended as expired",
		"host away", "host lossy", "host sick", "host slow", "host walled", "host elsewhere", "host hanging",
	} {
		if w.judge.reached[rare] == 0 {
			t.Errorf("in all the month there was no %q", rare)
		}
	}
	t.Logf("%d events; %v", len(w.judge.numbers), w.judge.reached)
	t.Log(&w.judge.forecasts)
	if text := w.judge.forecasts.verdict(); text != "" {
		t.Error(text)
	}
}

// Many worlds, each of its own kind: over the real store, over the model, and over both
// side by side.
func TestWorlds(t *testing.T) {
	t.Parallel()
	prove.NoRace(t)
	seed := prove.Seed(t)
	var told forecasts
	for i := range prove.Share(t, 4, 20, 600) {
		o := drawn(seed + uint64(i))
		t.Run(fmt.Sprint(o.seed), func(t *testing.T) {
			started := time.Now()
			w, verdict := simulate(t, o)
			if verdict != "" {
				t.Fatal(verdict)
			}
			t.Logf("%s: %d events in %s", o, len(w.judge.numbers), time.Since(started))
			told.add(&w.judge.forecasts)
		})
	}
	t.Log(&told)
	if text := told.verdict(); text != "" {
		t.Error(text)
	}
}

// Half an hour in which all that happens in these worlds happens often: what the race detector
// sees of the shell.
func TestBusyHalfHour(t *testing.T) {
	o := ordinary
	o.seed, o.length, o.every, o.pools = prove.Seed(t), 30*time.Minute, 5*time.Second, true
	if _, verdict := simulate(t, o); verdict != "" {
		t.Fatal(verdict)
	}
}

// drawn are options that a seed has chosen.
func drawn(seed uint64) options {
	random := rand.New(rand.NewPCG(seed, 2))
	one := func() bool { return random.IntN(3) > 0 }
	o := options{
		seed: seed, length: time.Duration(1+random.IntN(6)) * time.Hour, every: time.Duration(10+random.IntN(60)) * time.Second,
		store: []string{"twin", "file", "model"}[seed%3], limit: []int{0, 10, 60, 300}[random.IntN(4)], truth: []int{0, 60, 60}[random.IntN(3)], maxAge: 3 * time.Hour,
		capacity: []int{0, 16, 64}[random.IntN(3)], troubles: one(), bodies: one(), lives: one(), operators: one(), disk: one(),
	}
	if o.store == "file" && random.IntN(3) == 0 {
		o.damage = true
	}
	if o.store == "file" && random.IntN(3) == 0 {
		o.strangers, o.maxLanes = 300, 200
		o.severe = random.IntN(2) == 0
	}
	o.pools, o.clocks, o.suspends = one(), one(), one()
	o.waiting = []string{"one", "note", "all"}[random.IntN(3)]
	// A queue that only grows tests nothing.
	o.every = max(o.every, 3*time.Minute/time.Duration(cmp.Or(o.limit, 120)))
	return o
}

// A thousand unknown keys send one event each, all at once, and to look up each of
// their lanes takes 3 ms. Who is on call is paged within a second all the same, also if
// each of those events is critical.
func TestStrangers(t *testing.T) {
	prove.NoRace(t)
	for _, severe := range []bool{false, true} {
		o := strangers
		o.severe = severe
		if _, verdict := simulate(t, o); verdict != "" {
			t.Fatal(verdict)
		}
	}
}

// PagerDuty rejects the keys of strangers, who are more than there is room for. Their
// lanes make room for each other while the relay is at work with them.
func TestRejectedStrangers(t *testing.T) {
	prove.NoRace(t)
	o := options{seed: 1, length: 70 * time.Minute, every: 20 * time.Second, store: "file", limit: 60, maxAge: 8 * time.Hour, strangers: 300, maxLanes: 200}
	w, verdict := simulate(t, o, (*world).rejectStrangers)
	if verdict != "" {
		t.Fatal(verdict)
	}
	if n := w.judge.reached["given up"]; n < 100 {
		t.Errorf("%d events were given up, want one for each stranger beyond the bound", n)
	}
}

// A host hangs with all that it gets, and most of it is critical. Who is on call with
// another host is paged within a second all the same.
func TestHangingHost(t *testing.T) {
	if _, verdict := simulate(t, hanging, (*world).hangs); verdict != "" {
		t.Fatal(verdict)
	}
}

// The keys of a pool have troubles in turn. A new critical incident does not wait for one
// while another one can send, and each incident is opened once.
func TestPoolInTrouble(t *testing.T) {
	t.Parallel()
	prove.NoRace(t)
	reached := map[string]int{}
	worlds := prove.Share(t, 1, 6, 100)
	for i := range worlds {
		o := pooled
		o.seed = prove.Seed(t) + uint64(i)
		o.store = []string{"file", "twin"}[o.seed%2]
		o.lives, o.disk, o.troubles = o.seed%3 == 0, o.seed%5 == 0, o.seed%7 == 0
		w, verdict := simulate(t, o)
		if verdict != "" {
			t.Fatal(verdict)
		}
		for what, n := range w.judge.reached {
			reached[what] += n
		}
	}
	for _, rare := range []string{"moved: rate limited", "moved: paused by an operator", "moved: key rejected", "moved: at its limit", "pool key rejected", "pool key throttled", "pool key paused"} {
		if reached[rare] == 0 && worlds > 1 {
			t.Errorf("in none of the worlds there was %q", rare)
		}
	}
	t.Log(reached)
}

// PagerDuty answers 500 to one key of a pool. What comes after that leaves by the other
// one, and does not try the failing key first.
func TestFailingKeyIsLeftAlone(t *testing.T) {
	o := pooled
	o.pools, o.length = false, 0
	w, verdict := simulate(t, o, func(w *world) {
		w.submit(event{key: 3, severity: queue.Critical, action: eventsv2.Trigger, dedup: w.preferring(3, 1)[0]})
		w.keyMood(2, "failing")
		for _, dedup := range w.preferring(2, 3) {
			w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedup})
		}
		w.wait(5 * time.Second)
		w.submit(event{key: 3, severity: queue.Critical, action: eventsv2.Trigger, dedup: w.preferring(3, 2)[1]})
		w.wait(time.Second)
		for _, dedup := range w.preferring(2, 20)[3:] {
			w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedup})
			w.wait(time.Second)
			w.mu.Lock()
			taken := w.judge.isTaken(dedup)
			w.mu.Unlock()
			if !taken {
				w.fail("a new incident is tried by the key that fails: %s", dedup)
			}
		}
		w.keyMood(2, "")
		w.wait(5 * time.Minute)
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
	t.Log(w.judge.reached)
}

var pooled = options{seed: 1, length: 6 * time.Hour, every: 20 * time.Second, store: "file", limit: 60, truth: 60, maxAge: 8 * time.Hour, pools: true}

// An acknowledge waits for its key, which PagerDuty rejects, and a page of the same
// incident behind it. When the key is taken again they leave at once, and not when the
// acknowledge would have been tried again.
func TestWaitingLeavesWhenItsKeyIsTaken(t *testing.T) {
	_, verdict := simulate(t, options{seed: 1, store: "twin", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
		dedups := w.preferring(2, 66)
		w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedups[0]})
		w.wait(time.Second)
		w.keyMood(2, "rejected")
		w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Acknowledge, dedup: dedups[0]})
		w.wait(100 * time.Millisecond)
		w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedups[0]})
		w.wait(70 * time.Second) // in which the acknowledge is rejected once more: its next attempt is two minutes away
		w.keyMood(2, "")
		for _, dedup := range dedups[1:] { // of which one tries the key
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup})
			w.wait(time.Second)
		}
		if n := w.queued(); n > 0 {
			w.fail("%d events wait although PagerDuty takes the key", n)
		}
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
}

// A key of a pool that was rejected for a minute takes new incidents again soon after:
// they try it, as nothing else would.
func TestRejectedKeyComesBack(t *testing.T) {
	_, verdict := simulate(t, options{seed: 1, store: "file", limit: 60, maxAge: 8 * time.Hour}, func(w *world) {
		dedups := w.preferring(2, 5)
		w.keyMood(2, "rejected")
		w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedups[0]})
		w.wait(time.Minute)
		w.keyMood(2, "")
		for _, dedup := range dedups[1:] {
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: dedup})
			w.wait(time.Minute)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.up.taken[2]) == 0 {
			w.fail("%d incidents have come since the key is valid again, and none has left by it", len(dedups)-1)
		}
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
}

// The first incident of all meets a rejection of its key, and from then on the key is
// valid. Of 400 new incidents both keys take a part, although there was a restart among
// them and nothing else waits for the key that was rejected.
func TestRejectedKeyIsProbedByNewIncidents(t *testing.T) {
	prove.NoRace(t)
	for _, clean := range []bool{true, false} {
		_, verdict := simulate(t, options{seed: 1, store: "file", limit: 60, truth: 60, maxAge: 8 * time.Hour}, func(w *world) {
			w.keyMood(2, "rejected")
			w.submit(event{key: 2, severity: queue.Error, action: eventsv2.Trigger, dedup: w.preferring(2, 1)[0]})
			w.wait(time.Second)
			w.keyMood(2, "")
			before := map[int]int{}
			for i := range 400 {
				if i == 200 {
					if clean {
						w.stop()
					} else {
						w.kill()
					}
					w.wait(time.Second)
					w.start(!clean)
				}
				w.submit(event{key: 3, severity: queue.Error, action: eventsv2.Trigger, dedup: fmt.Sprint("new-", i)})
				w.wait(time.Second)
				if i == 100 {
					w.mu.Lock()
					for key := 2; key <= 3; key++ {
						before[key] = len(w.up.recent(key))
					}
					w.mu.Unlock()
				}
			}
			w.wait(5 * time.Second)
			if n := w.queued(); n > 0 {
				w.fail("%d of 400 incidents wait", n)
			}
			if before[2] < 10 || before[3] < 10 {
				w.fail("in the last minute the keys have taken %v events", before)
			}
			for _, s := range w.life.relay.Statuses() {
				if s.KeyRefused {
					w.fail("the key counts as rejected: %+v", s)
				}
			}
		})
		if verdict != "" {
			t.Fatal(verdict)
		}
	}
}

// Twenty new critical incidents have come to a key when it becomes rate limited for ten
// minutes: they leave by the other one within two seconds, and what follows with them.
func TestWaitingIncidentsLeaveByAnotherKey(t *testing.T) {
	for _, trouble := range []string{"throttled", "paused", "rejected"} {
		_, verdict := simulate(t, options{seed: 1, store: "twin", limit: 120, maxAge: 8 * time.Hour}, func(w *world) {
			dedups := w.preferring(2, 25)
			for _, dedup := range dedups[20:] { // both lanes are open
				w.submit(event{key: 2, severity: queue.Info, action: eventsv2.Trigger, dedup: "earlier " + dedup})
			}
			w.wait(time.Minute)
			w.mu.Lock()
			w.up.again[2] = 10 * time.Minute
			w.mu.Unlock()
			if trouble == "paused" {
				w.holdKey(2, 10*time.Minute)
			} else {
				w.keyMood(2, trouble)
			}
			for _, dedup := range dedups[:20] {
				w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedup})
			}
			w.wait(5 * time.Millisecond)
			for _, dedup := range dedups[:20] {
				w.submit(event{key: 3, severity: queue.Critical, action: eventsv2.Resolve, dedup: dedup})
			}
			w.wait(2 * time.Second)
			w.mu.Lock()
			for _, dedup := range dedups[:20] {
				if !w.judge.isTaken(dedup) {
					w.fail("%s: %s has not left within 2 s", trouble, dedup)
				}
			}
			w.mu.Unlock()
			w.wait(5 * time.Second)
			if n := w.queued(); n > 0 {
				w.fail("%s: %d events wait", trouble, n)
			}
		})
		if verdict != "" {
			t.Fatal(verdict)
		}
	}
}

// Where no key of a pool can send, nothing moves. What came while all were paused leaves
// when one of them is resumed, by that one.
func TestPausedPool(t *testing.T) {
	w, verdict := simulate(t, options{seed: 1, store: "twin", limit: 120, maxAge: 8 * time.Hour}, func(w *world) {
		w.holdKey(2, time.Hour)
		w.holdKey(3, 30*time.Minute)
		for i := range 20 {
			w.submit(event{key: 2, severity: queue.Rank(i % 4), action: eventsv2.Trigger, dedup: fmt.Sprint("new-", i)})
		}
		w.wait(29 * time.Minute)
		if n, moved := w.queued(), w.times("moved"); n != 20 || moved > 0 {
			w.fail("%d events wait, %d chains have moved", n, moved)
		}
		w.wait(2 * time.Minute)
		if n := w.queued(); n > 0 {
			w.fail("%d events wait although a lane of their pool was resumed", n)
		}
	})
	if verdict != "" {
		t.Fatal(verdict)
	}
	if n := w.judge.reached["moved"]; n == 0 || n > 20 {
		t.Errorf("%d chains have moved", n)
	}
}

// PagerDuty has taken incidents, and their answers were lost; then their key is paused by
// an operator. They wait for it, and are resolved by it: by another key of the pool each
// would be opened twice, and one of the two stay open.
func TestWhatMayBeAcceptedStays(t *testing.T) {
	w, verdict := simulate(t, lostInPool, (*world).losesAnswers)
	if verdict != "" {
		t.Fatal(verdict)
	}
	if n := w.judge.reached["moved"]; n > 0 {
		t.Errorf("%d chains have moved", n)
	}
}

var lostInPool = options{seed: 1, store: "file", limit: 120, maxAge: 8 * time.Hour}

// losesAnswers is the story of one lost answer to each of ten incidents of a pool.
func (w *world) losesAnswers() {
	w.rule(func(r *request) reply {
		if r.try == 1 && r.action == eventsv2.Trigger {
			return reply{answers: true, taken: true, err: &eventsv2.Error{Err: errReset, Sent: true}}
		}
		return reply{}
	})
	dedups := w.preferring(2, 10)
	for i, dedup := range dedups {
		w.submit(event{key: 2, severity: queue.Rank(i % 4), action: eventsv2.Trigger, dedup: dedup})
	}
	w.wait(300 * time.Millisecond) // the answers
	w.holdKey(2, 30*time.Minute)
	w.submit(event{key: 3, severity: queue.Info, action: eventsv2.Trigger, dedup: w.preferring(3, 1)[0]}) // so that its lane is open
	for _, dedup := range dedups {
		w.submit(event{key: 2, action: eventsv2.Resolve, dedup: dedup})
	}
	w.wait(29 * time.Minute)
	if n := w.queued(); n != 2*len(dedups) {
		w.fail("%d events wait for the key that may have opened their incidents, want %d", n, 2*len(dedups))
	}
	w.wait(10 * time.Minute)
}

var dated = options{seed: 1, store: "file", limit: 60, maxAge: 8 * time.Hour}

// outlastsADate is the story of five events that wait for their upstream while the date
// becomes wrong by ten years.
func (w *world) outlastsADate(reboots bool) {
	w.hostMood(common, "away")
	w.series(0, "alert", eventsv2.Trigger, 5)
	w.wait(time.Minute)
	if reboots {
		w.kill()
		w.machine.reboot(tenYears)
		w.start(true)
	} else {
		w.machine.set(tenYears)
	}
	w.wait(3 * time.Minute)
	w.hostMood(common, "")
	w.wait(time.Minute)
}

var hanging = options{seed: 1, length: 40 * time.Minute, every: 30 * time.Second, store: "file", limit: 300, maxAge: 8 * time.Hour, capacity: 8}

var strangers = options{seed: 1, length: 2 * time.Minute, every: 2 * time.Second, store: "file", limit: 60, maxAge: time.Hour, strangers: 1000}

// Each fault is planted once, and the judge finds it.
func TestJudgeFindsPlantedFaults(t *testing.T) {
	prove.NoRace(t)
	busy := ordinary
	busy.length, busy.every, busy.lives = 6*time.Hour, 5*time.Second, false
	calm := busy
	calm.troubles, calm.disk, calm.operators = false, false, false
	living := ordinary
	living.length, living.every = 6*time.Hour, 10*time.Second
	// Those that take longer come last: `make test` has the first ones only.
	severe := strangers
	severe.severe, severe.capacity = true, 32
	crowd := options{length: 70 * time.Minute, every: 20 * time.Second, store: "file", limit: 60, maxAge: 8 * time.Hour, strangers: 300, maxLanes: 200}
	faults := []struct {
		plant string
		o     options
		want  []string // one of them
		more  func(*world)
	}{
		{"dates decide", dated, []string{"has expired by a date"}, func(w *world) { w.outlastsADate(true) }},
		{"the wall clock is the time", dated, []string{"its age may be"}, func(w *world) { w.outlastsADate(false) }},
		{"one settlement blocks all", calm, []string{"has not left within 1 s", "are still queued"}, nil},
		{"announcements are lost", calm, []string{"has not left within 1 s", "are still queued"}, nil},
		{"one chain opens the breaker", calm, []string{"has opened although only the chains"}, nil},
		{"forgotten lanes are announced", crowd, []string{"which the store has forgotten"}, nil},
		{"a purge waits for ever", living, []string{"has not ended"}, nil},
		{"a short claim ends the lane", calm, []string{"has not left within 1 s", "are still queued"}, (*world).lastBurst},
		{"a slot is free after 55 s", busy, []string{"within 60 s"}, nil},
		{"retries are forgotten", calm, []string{"are still queued", "and waits, while"}, nil},
		{"settlements are lost", calm, []string{"claims", "are still queued", "in flight"}, nil},
		{"released claims are lost", busy, []string{"claims", "are still queued"}, nil},
		{"strangers are trusted", severe, []string{"has not left within 1 s"}, nil},
		{"announcements first", strangers, []string{"has not left within 1 s"}, nil},
		{"the headline says at once", busy, []string{"leaves at once"}, nil},
		{"hedges are forgotten", hedging, []string{"within 5 s the trigger was sent 1 times"}, func(w *world) { w.oneHangs(false) }},
		{"a rejected key is never tried again", calm, []string{"are still queued"}, (*world).rejectsAKey},
		{"one host takes all places", hanging, []string{"has not left within 1 s"}, (*world).hangs},
		{"what was accepted moves", lostInPool, []string{"PagerDuty has its incident open, or may have"}, (*world).losesAnswers},
		{"new incidents do not move", pooled, []string{"of its pool from sending it"}, nil},
		{"what has waited is not folded", flapping, []string{"leaves by itself"}, (*world).flapsWhilePaused},
		{"what is folded is not told", flapping, []string{"was not told of those"}, (*world).flapsWhilePaused},
		{"attempts are forgotten", flapping, []string{"was folded into"}, (*world).flapsWhileHanging},
		{"incidents are forgotten", options{store: "file", limit: 60, maxAge: 8 * time.Hour}, []string{"open, want"}, (*world).requeuesInPool},
	}
	for _, c := range faults[:prove.Share(t, 8, len(faults), len(faults))] {
		t.Run(c.plant, func(t *testing.T) {
			o := c.o
			o.plant = c.plant
			for o.seed = 1; o.seed <= 8; o.seed++ {
				more := []func(*world){c.more}
				if c.more == nil {
					more = nil
				}
				_, verdict := simulate(t, o, more...)
				for _, want := range c.want {
					if strings.Contains(verdict, want) {
						t.Logf("seed %d: %.400s", o.seed, verdict)
						return
					}
				}
				if verdict != "" {
					t.Logf("the judge said %q", verdict)
				}
			}
			t.Errorf("it was not found in eight worlds, want %q", c.want)
		})
	}
}

// Beside the model a store is seen to tell what is not so.
func TestJudgeFindsWrongLists(t *testing.T) {
	o := ordinary
	o.store, o.length = "twin", time.Hour
	_, verdict := simulate(t, o, func(w *world) {
		w.in(30*time.Minute, func() {
			w.file(func(db *sql.DB) error {
				_, err := db.Exec(`UPDATE event SET severity = (severity + 1) % 4 WHERE id = (SELECT min(id) FROM event)`)
				return err
			})
		})
	})
	if !strings.Contains(verdict, "differs from the model") {
		t.Errorf("the judge said %q", verdict)
	}
}
