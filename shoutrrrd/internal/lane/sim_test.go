package lane_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// tb is what a simulation needs of *testing.T or *rapid.T.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// options are the whole of a simulation: the same ones replay it exactly.
type options struct {
	seed     uint64
	length   time.Duration
	every    time.Duration // between two events, on the average
	limit    int           // configured at the relay
	start    int           // what it uses of that at first; 0 for all
	truth    int           // what PagerDuty really takes; 0 for no limit
	keys     int
	faults   bool
	restarts bool
	people   bool // hold lanes and change the configuration
	maxAge   time.Duration
	damage   bool   // rows of the store go bad
	capacity int    // attempts at once, over all lanes; 0 for the default
	ordered  bool   // keep all attempts
	plant    string // a fault planted into the core's decisions, for the checkers to catch
}

func (o options) String() string {
	type plain options
	return fmt.Sprintf("%+v", plain(o))
}

// appointment is something that happens in a world at a time.
type appointment struct {
	at time.Time
	do func()
}

// world simulates everything around the core: arrivals, the store, PagerDuty, the
// network, crashes. One thread, one clock, one seed.
type world struct {
	t       tb
	o       options
	random  *rand.Rand
	now     time.Time
	agenda  []appointment // by time; those of the same time in the order in which they were made
	core    *lane.Core
	life    int // number of the current process
	store   *queuetest.Model
	hints   []lane.Arrived
	line    *clock.Line   // the process's time
	wrong   time.Duration // the date that the machine shows less the right one
	booted  time.Time     // when it has begun anew
	boot    string        // its name
	routes  map[int64]*route
	failing bool // the store cannot be written
	stuck   []lane.Settle
	stopped bool // the process is about to end
	tickAt  time.Time
	wakeAt  time.Time
	up      *upstream
	check   *checker
	log     uint64 // hash of all decisions
	lines   int
	claimed map[int64]queue.Event
	flights map[int64]*flight // by event, the last one
	quiet   bool              // no more arrivals

	open     map[int64]bool               // lanes that the core knows
	claiming bool                         // a claim is out
	idle     time.Time                    // nothing is claimed before then, as a claim has failed
	unclean  bool                         // the last process has crashed
	begun    time.Time                    // when this one began, by its clock
	recent   map[int64][]queue.Acceptance // before this process began
	waited   map[int64]int                // critical events that were queued then
}

var epoch = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t tb, o options) *world {
	w := &world{
		t: t, o: o, random: rand.New(rand.NewPCG(o.seed, 1)), now: epoch, store: queuetest.NewModel(),
		claimed: map[int64]queue.Event{}, flights: map[int64]*flight{}, routes: map[int64]*route{}, open: map[int64]bool{},
	}
	w.up = newUpstream(w)
	w.check = newChecker(w)
	w.store.OnReady = func(id int64, rank queue.Rank) { w.hints = append(w.hints, lane.Arrived{Lane: id, Rank: rank}) }
	for i := range o.keys {
		key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", i+1))
		if err != nil {
			t.Fatalf("%v", err)
		}
		l, _ := w.store.Lane(context.Background(), key)
		w.routes[l.ID] = &route{host: hosts[i%len(hosts)], limit: o.limit, start: o.start}
	}
	w.booted, w.boot = w.now, "boot"
	w.resume("")
	w.start(false)
	return w
}

// fatalf fails with what replays the failure.
func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s at %s: "+format, append([]any{w.o, w.now.Sub(epoch)}, args...)...)
}

// at puts something on the agenda of the current process, or of the world: what should
// have been already, as a disk stood still, is now.
func (w *world) at(when time.Time, what func()) {
	if when.Before(w.now) {
		when = w.now
	}
	i, _ := slices.BinarySearchFunc(w.agenda, when, func(a appointment, when time.Time) int {
		if a.at.After(when) {
			return 1
		}
		return -1
	})
	w.agenda = slices.Insert(w.agenda, i, appointment{when, what})
}

func (w *world) inLife(when time.Time, what func()) {
	life := w.life
	w.at(when, func() {
		if w.life == life {
			what()
		}
	})
}

// start begins a process: the core knows what the store kept.
func (w *world) start(unclean bool) {
	w.life++
	w.tickAt, w.failing, w.stuck, w.stopped = time.Time{}, false, nil, false
	w.core = lane.New(lane.Options{MaxAge: w.o.maxAge, Seed: w.o.seed + uint64(w.life), Told: true, Capacity: w.o.capacity})
	lane.Break(w.core, w.o.plant)
	w.store.Restart()
	w.store.Shorten(w.wall().Add(time.Minute))
	clear(w.claimed)
	w.claiming = false
	clear(w.open)
	w.hints = nil
	w.unclean = unclean
	w.begun = w.wall()
	w.step(lane.Began{Gaps: w.line.Gaps()})
	w.recent, _ = w.store.Recent(context.Background(), w.wall().Add(-time.Minute))
	counts, _ := w.store.Counts(context.Background())
	w.waited = map[int64]int{}
	for _, count := range counts {
		w.waited[count.Lane] = count.Waiting[queue.Critical]
	}
	for _, count := range counts {
		if count.Total() > 0 {
			w.openLane(count.Lane)
			for rank, is := range queued(count) {
				if is {
					w.step(lane.Arrived{Lane: count.Lane, Rank: queue.Rank(rank)})
				}
			}
		}
	}
	w.wake()
}

// openLane tells the core of a lane that has something to do.
func (w *world) openLane(id int64) {
	lanes, _ := w.store.Lanes(context.Background())
	w.open[id] = true
	r := w.routes[id]
	w.step(lane.Opened{
		Lane: lanes[id-1], Host: r.host, Limit: r.limit, Start: r.start, Listed: id%3 == 0,
		Recent: w.recent[id], Began: w.begun, Unclean: w.unclean, Waited: w.waited[id],
	})
}

// queued is of which priorities something may be ready. A resolve of a critical
// incident has that of an error.
func queued(count queue.Count) (is [queue.Ranks]bool) {
	for rank, n := range count.Waiting {
		is[rank] = n > 0
	}
	is[queue.Error] = is[queue.Error] || is[queue.Critical]
	return is
}

// run takes the agenda's appointments until then.
func (w *world) run(until time.Time) {
	for len(w.agenda) > 0 && !w.agenda[0].at.After(until) {
		next := w.agenda[0]
		w.agenda = w.agenda[1:]
		w.now = next.at
		next.do()
		w.settleDown()
	}
	w.now = until
}

// settleDown hands the store's announcements on and sets the next tick.
func (w *world) settleDown() {
	for len(w.hints) > 0 {
		h := w.hints[0]
		w.hints = w.hints[1:]
		if !w.open[h.Lane] {
			w.openLane(h.Lane)
		}
		w.step(h)
	}
	if len(w.agenda) == 0 || w.agenda[0].at.After(w.now) {
		w.check.free()
		w.check.reports()
	}
	if at, ok := w.core.Next(); ok && !at.Equal(w.tickAt) {
		w.tickAt = at
		w.inLife(at.Add(w.now.Sub(w.wall())), func() {
			w.tickAt = time.Time{}
			w.step(lane.Tick{})
		})
	}
}

// step is what the relay does with an input, without its goroutines.
func (w *world) step(in lane.Input) {
	switch in.(type) {
	case lane.Arrived:
		if w.o.plant == "forgets that something waits" && w.random.IntN(20) == 0 {
			return
		}
	case lane.Storage:
		if w.o.plant == "claims while the disk is full" {
			return
		}
	}
	for _, d := range w.core.Step(w.wall(), in) {
		w.carryOut(w.planted(d))
	}
}

func (w *world) carryOut(d lane.Decision) {
	w.note(d)
	switch d := d.(type) {
	case lane.Claim:
		w.claim(d)
	case lane.Attempt:
		w.attempt(d.Event)
		if w.o.plant == "promotes before the end" {
			_ = queuetest.Settle(context.Background(), w.store, queue.Settlement{ID: d.Event.ID, Claim: d.Event.Claim, State: queue.Delivered, At: w.wall()})
		}
	case lane.Hedge:
		f := w.flights[d.ID]
		f.twice = true
		w.check.again(f.event)
		w.copy(f, 1)
		if w.o.plant == "gives up at once" {
			w.carryOut(lane.Abandon(d))
		}
	case lane.Abandon:
		if w.o.plant == "waits for what hangs" {
			return
		}
		f := w.flights[d.ID]
		w.check.abandoned(f.event)
		w.inLife(w.now.Add(w.some(50*time.Millisecond)), func() { // the connections take a while to close
			if !f.over {
				w.over(f)
			}
		})
	case lane.Settle:
		w.check.settled(w.claimed[d.ID], d.Settlement)
		if w.o.plant == "promotes before the end" {
			delete(w.claimed, d.ID)
			w.inLife(w.now, func() { w.step(lane.Settled{Lane: d.Lane}) })
			return
		}
		w.inLife(w.now.Add(w.some(20*time.Millisecond)), func() { w.settle(d) })
	case lane.Release:
		w.store.Release(d.Events)
	case lane.Hasten:
		w.check.reached["hasten"]++
		var lanes []int64
		for id, r := range w.routes {
			if d.Lane == id || d.Lane == 0 && r.host == d.Host {
				lanes = append(lanes, id)
			}
		}
		_, _ = w.store.Hasten(context.Background(), lanes, 1_000_000)
	case lane.Save:
		_ = w.store.SaveLane(context.Background(), d.Lane)
	case lane.Close:
		w.check.reached["closed"]++
		delete(w.open, d.Lane)
	case lane.Broken:
		w.fatalf("the core says of itself: %s\n%s", d.What, strings.Join(d.Trace, "\n"))
	case lane.Tell:
		w.check.reached[string(d.What)]++
		w.check.told(d)
	}
}

// claim answers as a store does that takes its time, and fails now and then.
func (w *world) claim(d lane.Claim) {
	w.claiming = true
	in := lane.Claimed{Token: d.Token}
	if w.o.faults && w.random.IntN(5000) == 0 {
		w.check.reached["claim failed"]++
		in.Failed = true
		w.idle = w.now.Add(1100 * time.Millisecond)
	} else {
		taken, _ := w.store.Claim(context.Background(), d.Asks)
		for i, t := range taken {
			in.Taken = append(in.Taken, lane.Taken{Taken: w.damaged(t)})
			for _, e := range in.Taken[i].Events {
				w.claimed[e.ID] = e
			}
			if w.o.plant == "takes a short answer for the last" && len(in.Taken[i].Events) < d.Asks[i].N {
				in.Taken[i].More = false
			}
		}
	}
	w.inLife(w.now.Add(w.some(5*time.Millisecond)), func() {
		w.claiming = false
		w.step(in)
	})
}

// damaged takes events out of an answer whose rows cannot be read any more: the store
// gives them up and says whether there are others.
func (w *world) damaged(t queue.Taken) queue.Taken {
	t.Events = slices.DeleteFunc(t.Events, func(e queue.Event) bool {
		if !w.o.damage || w.random.IntN(300) > 0 {
			return false
		}
		w.check.reached["damaged"]++
		x := queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Refused, At: w.wall(), Reason: "damaged"}
		w.check.settled(e, x)
		if err := queuetest.Settle(context.Background(), w.store, x); err != nil {
			w.fatalf("settle: %v", err)
		}
		return true
	})
	return t
}

// settle keeps how an event ended, when the store can be written.
func (w *world) settle(d lane.Settle) {
	if w.failing {
		if w.stuck = append(w.stuck, d); len(w.stuck) == 1 {
			w.step(lane.Storage{Failing: true})
		}
		return
	}
	delete(w.claimed, d.ID)
	if err := queuetest.Settle(context.Background(), w.store, d.Settlement); err != nil {
		w.fatalf("settle: %v", err)
	}
	if d.State == queue.Waiting {
		w.wakeUp(d.Due)
	}
	w.step(lane.Settled{Lane: d.Lane})
}

// wake makes what is due ready, and comes back when more is.
func (w *world) wake() {
	w.wakeAt = time.Time{}
	if next, _ := w.store.Wake(context.Background(), w.wall(), 0); !next.IsZero() {
		w.wakeUp(next)
	}
}

func (w *world) wakeUp(at time.Time) {
	if !w.wakeAt.IsZero() && !at.Before(w.wakeAt) {
		return
	}
	w.wakeAt = at
	w.inLife(at.Add(w.now.Sub(w.wall())), func() {
		if w.wakeAt.Equal(at) {
			w.wake()
		}
	})
}

// flight is an attempt in hand, of one copy of its event or of two.
type flight struct {
	event queue.Event
	ends  [2]*lane.Copy // of its copies; nil: not yet
	twice bool
	over  bool // a copy that has not arrived by then does not: its connection is closed
}

// attempt sends an event.
func (w *world) attempt(e queue.Event) {
	w.check.sent(e)
	f := &flight{event: e}
	w.flights[e.ID] = f
	w.copy(f, 0)
}

// copy sends the first or the second copy of an event; it arrives and is answered later.
func (w *world) copy(f *flight, n int) {
	life, host := w.life, w.routes[f.event.Lane].host
	w.at(w.now.Add(w.some(200*time.Millisecond)), func() {
		if f.over {
			return
		}
		err, after := w.up.receive(f.event, host)
		w.at(w.now.Add(after), func() {
			if w.life == life && !f.over {
				w.ended(f, n, err)
			}
		})
	})
}

// ended takes the end of a copy: the attempt is over with the one that is accepted, or
// with the last one.
func (w *world) ended(f *flight, n int, err *eventsv2.Error) {
	f.ends[n] = &lane.Copy{Err: err}
	if err == nil || !f.twice || f.ends[1-n] != nil {
		w.over(f)
	}
}

// over ends an attempt: what has no answer is cancelled.
func (w *world) over(f *flight) {
	f.over = true
	for i := range f.ends {
		if f.ends[i] == nil {
			f.ends[i] = &lane.Copy{Err: &eventsv2.Error{Err: context.Canceled, Sent: true}}
		}
	}
	in := lane.Answered{Lane: f.event.Lane, ID: f.event.ID, Err: f.ends[0].Err}
	if f.twice {
		in.Second = f.ends[1]
	}
	host := w.check.sentTo[f.event.ID]
	w.check.answered(f.event, in.Err, in.Second)
	w.step(in)
	if in.Err == nil || f.twice && f.ends[1].Err == nil {
		w.check.silent(host)
	}
}

// note adds a decision to the log, of which a hash is enough to compare.
func (w *world) note(d lane.Decision) {
	w.lines++
	h := fnv.New64a()
	number := func(n int64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	number(int64(w.log))
	number(w.now.UnixNano())
	switch d := d.(type) {
	case lane.Claim:
		for _, ask := range d.Asks {
			number(ask.Lane<<16 | int64(ask.Pick)<<8 | int64(ask.N))
		}
	case lane.Attempt:
		number(d.Event.ID)
	case lane.Settle:
		number(d.ID<<8 | int64(d.State))
		number(d.Due.UnixNano())
	default:
		fmt.Fprintf(h, "%+v", d)
	}
	w.log = h.Sum64()
}

func (w *world) some(most time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(most)) + 1)
}

// arrive submits events for ever, in storms now and then.
func (w *world) arrive() {
	if w.quiet {
		return
	}
	n := 1
	if w.random.IntN(400) == 0 {
		n = 100 + w.random.IntN(400)
		w.check.reached["storm"]++
	}
	for range n {
		w.submit(w.anything())
	}
	w.at(w.now.Add(w.some(2*w.o.every)), w.arrive)
}

func (w *world) anything() queue.New {
	e := queue.New{
		Lane: 1 + w.random.Int64N(int64(w.o.keys)), Severity: queue.Rank(w.random.IntN(4)), Accepted: w.wall(),
		Action: eventsv2.Trigger, DedupKey: fmt.Sprintf("issue-%d", w.random.IntN(60)),
	}
	switch w.random.IntN(8) {
	case 0:
		e.Action = eventsv2.Acknowledge
	case 1, 2:
		e.Action = eventsv2.Resolve
	case 3:
		e.DedupKey = fmt.Sprintf("once-%d", w.random.IntN(1_000_000))
	}
	switch w.random.IntN(2000) {
	case 0:
		e.DedupKey = "poison"
	case 1:
		e.DedupKey = "bad"
	case 2:
		e.Kind, e.Action, e.DedupKey = queue.Change, "", ""
	case 3:
		e.DedupKey = "cursed"
	case 4:
		e.DedupKey = "hanging"
	}
	return e
}

func (w *world) submit(e queue.New) {
	w.check.submitted(&e)
	placed, _ := w.store.Put(context.Background(), e)
	if placed.Coalesced {
		w.check.reached["coalesced"]++
	}
}

func (w *world) ctx() context.Context { return context.Background() }

func (w *world) event(id int64) (queue.Event, bool) {
	for _, e := range w.store.All() {
		if e.ID == id {
			return e, true
		}
	}
	return queue.Event{}, false
}

// tidy deletes what has been delivered, as the model looks at all there is.
func (w *world) tidy() {
	_, _ = w.store.Purge(context.Background(), w.wall().Add(-5*time.Minute), w.wall().Add(-5*time.Minute), 1_000_000)
	w.at(w.now.Add(10*time.Minute), w.tidy)
}

// simulate runs a world to its end: arrivals and faults first, then peace, in
// which everything has to leave.
func simulate(t tb, o options) *world {
	t.Helper()
	w := newWorld(t, o)
	w.at(w.now, w.arrive)
	w.at(w.now.Add(w.some(time.Hour)), w.live)
	w.at(w.now, w.tidy)
	if o.faults {
		w.at(w.now.Add(w.some(30*time.Minute)), w.up.trouble)
	}
	if o.people {
		w.at(w.now.Add(w.some(2*time.Hour)), w.operate)
	}
	w.run(epoch.Add(o.length))
	w.quiet = true
	w.up.heal()
	w.rest()
	w.run(w.now.Add(w.bound()))
	w.check.end()
	return w
}

// bound is how long everything takes to leave when all faults are over.
func (w *world) bound() time.Duration {
	backlog := time.Duration(w.check.waiting())
	if !w.o.faults && w.o.truth == 0 && !w.o.restarts && !w.o.people {
		// One lane may have it all, and nothing critical, for which a tenth is kept. A
		// slot takes its minute from the answer on, so a little longer than that.
		common := cmp.Or(w.o.start, w.o.limit)
		if common >= 2 {
			common -= max(1, common/10)
		}
		return 2*time.Minute + backlog*(time.Minute+time.Second)/time.Duration(common)
	}
	// After the longest pause, at the rate that may be left of the limit; if that is
	// still too much, each 429 costs two minutes.
	slow := max(1, cmp.Or(w.o.start, w.o.limit)/40)
	if w.o.truth > 0 {
		slow = min(slow, w.o.truth)
	}
	return 2*time.Hour + backlog*3*time.Minute/time.Duration(slow)
}

// planted changes a decision for a negative control.
func (w *world) planted(d lane.Decision) lane.Decision {
	switch d := d.(type) {
	case lane.Settle:
		if w.o.plant == "a 429 counts" && d.Status == 429 {
			d.Attempts++
			return d
		}
		if w.o.plant == "refused is forgotten" && d.State == queue.Refused {
			d.State = queue.Delivered
			return d
		}
		if w.o.plant == "5xx is forgotten" && d.State == queue.Waiting {
			d.State = queue.Delivered
			return d
		}
	case lane.Claim:
		if w.o.plant == "claims too many" {
			d.Asks = slices.Clone(d.Asks)
			for i := range d.Asks {
				d.Asks[i].N += 40
			}
			return d
		}
	}
	return d
}

var _ tb = (*testing.T)(nil)
