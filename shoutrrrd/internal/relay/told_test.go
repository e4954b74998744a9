package relay_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// forecast is what the relay said of a critical event's time to page when it accepted it.
type forecast struct {
	at       time.Time
	page     outlook.Page
	status   lane.Status
	count    queue.Count
	healthy  bool // all attempts at its upstream in the minute before were accepted
	troubled bool // one of them failed, was rejected or limited, or hangs
	judged   bool // it was compared with what came
}

// forecasts counts how they came true.
type forecasts struct {
	all     int // that can be judged
	right   int // the event was accepted within a second of the time that was told; unknown counts if it waited, or the upstream had failed
	unknown int // of all
	strange int // not among all: what came after it was told is nobody's fault
	healthy int // of all: while attempts succeeded
	close   int // of healthy: told at most 5 s too late
	wrong   []string
}

func (f *forecasts) add(o *forecasts) {
	f.all, f.right, f.unknown, f.strange, f.healthy, f.close = f.all+o.all, f.right+o.right, f.unknown+o.unknown, f.strange+o.strange, f.healthy+o.healthy, f.close+o.close
	f.wrong = append(f.wrong, o.wrong...)
}

func (f *forecasts) String() string {
	share := func(n, of int) float64 { return float64(n*1000/max(1, of)) / 10 }
	return fmt.Sprintf("%d critical events were told a time to page: %.1f %% arrived by then or within a second (unknown to %.1f %%), "+
		"%d more met what began later; of %d while attempts succeeded %.1f %% were told no more than 5 s too much",
		f.all, share(f.right, f.all), share(f.unknown, f.all), f.strange, f.healthy, share(f.close, f.healthy))
}

// enough is how many critical events prove something: a storm that meets what nobody could
// know is a hundred of them. One of the drawn worlds has fewer, so those of one run are
// judged together.
const enough = 5000

// verdict says what is wrong with what was told: half of those are to be close that come while
// attempts succeed, and 98 of 100 right. The goal is 99. Of eight runs of 20 worlds, with
// suspends and wrong clocks, 98.9 to 99.9 were: a group of pages that finds all attempts of its
// lane hanging, while others are accepted, is told too little.
func (f *forecasts) verdict() string {
	switch {
	case f.all < enough:
		return ""
	case f.right*100 < f.all*98:
		return fmt.Sprintf("what is told of the time to page is too good: %s\n%s", f, strings.Join(f.wrong[:min(10, len(f.wrong))], "\n"))
	case f.close*2 < f.healthy:
		return fmt.Sprintf("what is told of the time to page is too bad: %s", f)
	}
	return ""
}

// say is what the relay says of a lane.
func (s *watched) say(id int64) outlook.Page {
	status, count, _ := s.ask(id)
	return outlook.Of(status, count, s.w.now())
}

// ask returns what the relay knows of a lane.
func (s *watched) ask(id int64) (status lane.Status, count queue.Count, ok bool) {
	l, err := s.inner.LaneByID(context.Background(), id)
	if err != nil {
		return status, count, false
	}
	status, open := s.life.relay.Status(id)
	if !open {
		status = s.life.relay.Prospect(l)
	}
	o, err := s.inner.Overview(context.Background(), []int64{id}, 0)
	if err != nil {
		return status, count, false
	}
	for _, one := range o.Lanes {
		if one.Lane.ID == id {
			count = one.Count
		}
	}
	return status, count, true
}

// tell notes what the relay says of the time to page at the moment at which it has
// accepted a critical event, which is not counted itself.
func (s *watched) tell(placed queue.Placed) {
	status, count, ok := s.ask(placed.Lane)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	j := s.w.judge
	x := j.records[placed.ID]
	if !ok || x == nil || s.w.life != s.life {
		return
	}
	if !x.ended && x.lane == placed.Lane && count.Waiting[queue.Critical] > 0 { // it may have moved already
		count.Waiting[queue.Critical]--
	}
	if x.flying && status.Busy > 0 && len(status.Frees) > 0 { // what it has taken itself
		status.Busy, status.Critical, status.Free, status.Used = status.Busy-1, status.Critical-1, status.Free+1, status.Used-1
		status.Frees = slices.Clone(status.Frees)
		status.Frees[len(status.Frees)-1]--
	}
	f := &forecast{at: time.Now(), status: status, count: count, page: outlook.Of(status, count, s.w.now())}
	if s.w.o.plant == "the headline says at once" {
		f.page = outlook.Page{}
	}
	j.atOnce(x, f)
	if placed.Coalesced || !x.alone || len(x.takes) > 0 || x.told != nil {
		return // the chain has its own order
	}
	h, seen, began := j.host(status.Upstream.Name), j.lane(x.lane), s.life.began // a new process has seen nothing
	within := func(at time.Time, d time.Duration) bool { return at.After(began) && at.Add(d).After(f.at) }
	f.troubled = within(h.trouble, time.Minute) || within(seen.limited, limitKnown) || within(seen.rejected, limitKnown) ||
		h.trouble.After(h.accepted) || seen.trouble.After(began) && seen.trouble.After(seen.accepted) || j.hangs(status.Upstream.Name)
	f.healthy = !f.troubled && within(h.accepted, 10*time.Minute)
	if j.incidents[incident{seen.key, x.chain.dedup}] != "" { // by that key, so it stays with it
		f.page = f.page.Staying()
	}
	x.told = f
}

// atOnce looks that nobody is told "at once" while a page of the lane waits.
func (j *judge) atOnce(by *record, f *forecast) {
	if !f.page.Known() || f.page.Late >= outlook.AtOnce {
		return
	}
	for _, x := range j.undelivered {
		if x.lane == by.lane && !x.moved && !j.chain(x.chain).spoiled && time.Since(x.kept) >= outlook.Overdue {
			j.w.fail("the relay says that a page of lane %d leaves at once (%s), and critical event %d has waited for %s: %+v, %+v", by.lane, f.page.Late, x.id, time.Since(x.kept), f.status, f.count)
		}
	}
}

// arrived compares what was told with what came.
func (j *judge) arrived(x *record) {
	f := x.told
	if f == nil || f.judged {
		return
	}
	actual, counts := time.Since(f.at), &j.forecasts
	f.judged = true
	if why := j.unforeseen(x, f); why != "" && (!f.page.Known() || actual > f.page.Late+time.Second) {
		j.reached["forecast: "+why]++
		counts.strange++
		return
	}
	counts.all++
	right := f.page.Known() && actual <= f.page.Late+time.Second
	if !f.page.Known() {
		counts.unknown++
		right = actual > time.Second || f.troubled
	}
	if right {
		counts.right++
	} else {
		counts.wrong = append(counts.wrong, fmt.Sprintf("%s after %s: told %s %q, accepted by PagerDuty after %s; %+v %+v", j.w.o, f.at.Sub(j.w.begun), f.page.Late, f.page.Reason, actual, f.status, f.count))
	}
	if f.healthy && x.tries == 1 {
		counts.healthy++
		if f.page.Known() && f.page.Late <= actual+5*time.Second {
			counts.close++
		}
	}
}

// limitKnown is for how long what a 429 has shown, or a rejection, is known of.
const limitKnown = 15 * time.Minute

// unforeseen says what nobody could know of when the relay told the time to page of an
// event, and so may be why it was wrong. These are all:
//
//   - a trouble of its upstream, or of its key, that no attempt of the process had met by then,
//     and that began before the time was up that was told;
//   - PagerDuty takes less by the key than before, in the same way;
//   - the same of the first 429 in a quarter of an hour;
//   - the machine was suspended meanwhile: no timer runs then, and what became due leaves a
//     few seconds later;
//   - its own body, which something on the way has a thing against; a row that goes bad;
//   - that the process ended, the disk failed, an operator paused the lane, had it sent once
//     more or changed the limit, all of it after that.
//
// That others wait in its lane, that it moves in its pool, that it is coalesced, that a limit
// which is known falls further, or a trouble goes on, is no excuse.
func (j *judge) unforeseen(x *record, f *forecast) string {
	l, h := j.w.life, j.host(f.status.Upstream.Name)
	was, seen := j.lane(f.status.Lane), j.lane(x.lane) // it may have moved
	word, _, _ := strings.Cut(x.chain.dedup, "-")
	limit, up := j.limits[was.key], f.at.Add(f.page.Late+time.Second)
	if !f.page.Known() {
		up = time.Now()
	}
	meanwhile := func(at time.Time) bool { return at.After(f.at) && at.Before(up) }
	switch {
	case l == nil || l.began.After(f.at):
		return "a new process"
	case j.chain(x.chain).spoiled:
		return "damaged"
	case j.woke.After(f.at.Add(-wakes)) && j.woke.Before(up):
		return "a suspended machine"
	case meanwhile(x.requeued), meanwhile(was.paused), meanwhile(seen.paused), limit != nil && meanwhile(limit.changed), !f.page.Known() && was.resumed.After(f.at):
		return "an operator"
	case j.w.disk.troubled(f.at):
		return "the disk"
	case slices.Contains([]string{"poison", "cursed", "hanging", "bad"}, word):
		return "its own body"
	case fell(h.onsets, up, f.at):
		return "a trouble of the upstream that no attempt had met"
	case fell(j.onsets[was.key], up, f.at), fell(j.onsets[seen.key], up, f.at):
		return "a trouble of the key that no attempt had met"
	case fell(j.lowered[was.key], up, f.at), fell(j.lowered[seen.key], up, f.at):
		return "PagerDuty takes less by the key, as no attempt had met"
	case meanwhile(was.firstLimited), meanwhile(seen.firstLimited):
		return "a first 429"
	}
	return ""
}

// hangs reports whether an attempt at the upstream has brought no answer for five seconds.
func (j *judge) hangs(host string) bool {
	for _, x := range j.flying {
		if x.host == host && time.Since(x.left) >= 5*time.Second {
			return true
		}
	}
	return false
}

// What is told in an outage and behind a backlog, each in a world of its own.
func TestTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		story func(*world)
		want  outlook.Reason
	}{
		{"behind critical events", 30, func(w *world) {
			w.series(1, "alert", eventsv2.Trigger, 120)
			w.wait(5 * time.Second)
		}, outlook.None},
		{"errors", 60, func(w *world) {
			w.failing(1, reply{answers: true, err: &eventsv2.Error{Status: 500}})
			w.series(1, "alert", eventsv2.Trigger, 5)
			w.wait(30 * time.Second)
		}, outlook.Failing},
		{"an upstream that cannot be reached", 60, func(w *world) {
			w.failing(1, reply{answers: true, err: &eventsv2.Error{Err: errRefused}})
			w.series(1, "alert", eventsv2.Trigger, 5)
			w.wait(30 * time.Second)
		}, outlook.Unreachable},
		{"attempts that hang", 60, func(w *world) {
			w.failing(1, reply{answers: true, err: &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, after: 2 * timeLimit})
			w.series(1, "alert", eventsv2.Trigger, 10)
			w.wait(10 * time.Second)
		}, outlook.NoAnswer},
		{"a start in the middle of an outage", 60, func(w *world) {
			w.failing(0, reply{answers: true, err: &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, after: 2 * timeLimit})
			w.series(0, "alert", eventsv2.Trigger, 3)
			w.wait(2 * time.Minute)
			w.kill()
			w.start(true)
			w.wait(100 * time.Millisecond)
		}, outlook.Unproven},
		{"a start after an outage", 60, func(w *world) {
			w.failing(0, reply{answers: true, err: &eventsv2.Error{Status: 500}})
			w.series(0, "alert", eventsv2.Trigger, 3)
			w.wait(12 * time.Minute)
			w.kill()
			w.start(true)
			w.wait(100 * time.Millisecond)
		}, outlook.None},
		{"silence after an acceptance", 60, func(w *world) {
			// One hangs, the next one is accepted, and then nothing has an answer: the
			// acceptance says nothing of what left after it.
			n := 0
			w.rule(func(r *request) reply {
				if n++; r.key != 1 || n == 2 || time.Since(w.begun) > 10*time.Minute {
					return reply{}
				}
				return reply{answers: true, err: &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, after: 2 * timeLimit}
			})
			w.series(1, "alert", eventsv2.Trigger, 1)
			w.wait(300 * time.Millisecond)
			w.series(1, "other", eventsv2.Trigger, 1)
			w.wait(8 * time.Second)
		}, outlook.NoAnswer},
		{"a rejected key", 60, func(w *world) {
			w.keyMood(1, "rejected")
			w.series(1, "alert", eventsv2.Trigger, 2)
			w.wait(10 * time.Second)
		}, outlook.KeyRejected},
		{"429s without end", 60, func(w *world) {
			w.keyMood(1, "throttled")
			w.series(1, "alert", eventsv2.Trigger, 2)
			w.wait(10 * time.Minute)
		}, outlook.RateLimited},
		{"a pause by an operator", 60, func(w *world) {
			w.series(1, "alert", eventsv2.Trigger, 1)
			w.wait(time.Second)
			l, _ := w.life.store.Lane(context.Background(), w.keys[1])
			w.hold(l.ID, true)
			w.wait(time.Second)
		}, outlook.Paused},
		{"nothing of that", 60, func(w *world) {
			w.series(1, "alert", eventsv2.Trigger, 2)
			w.wait(10 * time.Second)
		}, outlook.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, verdict := simulate(t, options{seed: 1, store: "file", limit: c.limit, maxAge: 8 * time.Hour}, c.story, func(w *world) { w.nextPage(1, c.want) })
			if verdict != "" {
				t.Error(verdict)
			}
			t.Log(&w.judge.forecasts)
		})
	}
}

// In a pool a page of an incident that PagerDuty has by one key stays with that key, while new
// ones leave by another: each is told its own time.
func TestToldOfWhatStays(t *testing.T) {
	w, verdict := simulate(t, options{seed: 1, store: "file", limit: 10, maxAge: 8 * time.Hour}, func(w *world) {
		dedups := w.preferring(2, 11)
		trigger := func(dedup string) {
			w.submit(event{key: 2, severity: queue.Critical, action: eventsv2.Trigger, dedup: dedup})
			w.wait(time.Second)
		}
		for _, dedup := range dedups[:10] { // fill the window
			trigger(dedup)
		}
		trigger(dedups[0])
		l, _ := w.life.store.Lane(context.Background(), w.keys[2])
		page := w.life.store.say(l.ID)
		if stays := page.Staying(); page.By == 0 || page.Late > time.Second || !stays.Known() || stays.Late < 30*time.Second {
			w.fail("the relay says %+v of a page of a pool's lane that is at its limit", page)
		}
		trigger(dedups[10])
		w.wait(time.Minute)
	})
	if verdict != "" {
		t.Error(verdict)
	}
	if f := &w.judge.forecasts; f.right < 12 || len(f.wrong) > 0 {
		t.Errorf("%s\n%s", f, strings.Join(f.wrong, "\n"))
	}
}

// A process that begins in the pause of a 429 knows when what waits leaves: when the pause is
// over, one event first and then many abreast. It does not take that for late.
func TestToldAfterKillInPause(t *testing.T) {
	_, verdict := simulate(t, options{seed: 1, store: "file", limit: 120, maxAge: 8 * time.Hour}, func(w *world) {
		w.mu.Lock()
		w.up.again[1] = 50 * time.Second
		w.up.keyMood(1, "throttled")
		w.mu.Unlock()
		w.series(1, "alert", eventsv2.Trigger, 40)
		w.wait(5 * time.Second)
		w.kill()
		w.keyMood(1, "")
		w.wait(500 * time.Millisecond)
		w.start(true)
		w.wait(200 * time.Millisecond)
		l, _ := w.life.store.Lane(context.Background(), w.keys[1])
		until := l.PausedUntil.Sub(w.now())
		if page := w.life.store.say(l.ID); !page.Known() || page.Late < until || page.Late > until+5*time.Second {
			w.fail("the pause lasts for %s, and the relay says %s %q of the next page", until, page.Late, page.Reason)
		}
		w.wait(2 * time.Minute)
	})
	if verdict != "" {
		t.Error(verdict)
	}
}

// failing has all attempts of a key fail for ten minutes.
func (w *world) failing(key int, as reply) {
	w.rule(func(r *request) reply {
		if r.key != key || time.Since(w.begun) > 10*time.Minute {
			return reply{}
		}
		return as
	})
}

// nextPage compares what the relay says of a lane's next page with what happens.
func (w *world) nextPage(key int, want outlook.Reason) {
	l, err := w.life.store.Lane(context.Background(), w.keys[key])
	if err != nil {
		w.fail("%v", err)
		return
	}
	page := w.life.store.say(l.ID)
	if page.Reason != want {
		w.fail("the relay says %q of the next page (%s), want %q", page.Reason, page.Late, want)
	}
	before := time.Now()
	w.submit(event{key: key, severity: queue.Critical, action: eventsv2.Trigger, dedup: "the next one"})
	for range 1000 {
		w.wait(time.Second)
		w.mu.Lock()
		taken := w.judge.isTaken("the next one")
		w.mu.Unlock()
		if taken {
			break
		}
	}
	if late := time.Since(before); page.Known() && (late > page.Late+time.Second || page.Late > late+5*time.Second) {
		w.fail("the relay said that the next page leaves after %s, and it left after %s", page.Late, late)
	}
	w.keyMood(key, "")
	w.hold(l.ID, false)
}
