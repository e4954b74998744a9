// Package relay carries out what package lane decides: it claims from the queue,
// sends, and settles. All judgement is in the lanes' core; here are the clock, the
// goroutines and the I/O.
//
// relay.go has the loop, lanes.go what it knows of the lanes, pools.go of pools, claim.go and
// attempt.go what it does for a decision, settle.go how events end, background.go what goes on
// beside that, mailbox.go what connects them.
package relay

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Store is what the relay needs of a queue.
type Store interface {
	LaneByID(ctx context.Context, id int64) (queue.Lane, error)
	Lanes(ctx context.Context) ([]queue.Lane, error)
	Totals(ctx context.Context) ([]queue.Count, error)
	Clean() bool
	Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error)
	Release(events []queue.Event)
	Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error)
	Move(ctx context.Context, m queue.Move) (queue.Moved, error)
	Wake(ctx context.Context, now time.Time, n int) (time.Time, error)
	Hasten(ctx context.Context, lanes []int64, n int) (more bool, err error)
	SaveLane(ctx context.Context, lane queue.Lane) error
	Hold(ctx context.Context, lane int64, by queue.By) error
	Unhold(ctx context.Context, lane int64, by queue.By) error
	TryLane(ctx context.Context, lane int64, by queue.By) (int, error)
	Recent(ctx context.Context, since time.Time) (map[int64][]queue.Acceptance, error)
	Failing(ctx context.Context) ([]string, error)
	TryEvent(ctx context.Context, id int64, by queue.By) (head int64, err error)
	Purge(ctx context.Context, before, unheard time.Time, n int) (int, error)
}

// Poster makes one attempt; *eventsv2.Client is one.
type Poster interface {
	Post(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error)
	PostChange(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error)
	// Twice returns two attempts to send the same alert event, which may be in flight
	// together. One that is cancelled returns when its connection is closed.
	Twice(key eventsv2.Key, body []byte) (first, second func(context.Context) (eventsv2.Receipt, error))
}

// Route says where a lane sends to and how fast.
type Route struct {
	Name   string // of the lane, for logs: alias or fingerprint
	Host   string // what lanes of one upstream share
	Post   Poster
	Limit  int          // the most events per 60 s
	Start  int          // what is used of that until the account has shown to take more; 0 for all of it
	Listed bool         // the configuration names the key
	Pool   string       // to which the key belongs; "" for none
	Key    eventsv2.Key // as the configuration spells it; zero if it does not name it
	Way    lane.Way     // what becomes of what is queued in the lane

	WhileWaiting queue.WhileWaiting // what becomes of pairs of trigger and resolve that could not be sent
}

// Options says how a relay works.
type Options struct {
	Store Store
	// Now has to be steady: a clock that is set back while the relay runs would
	// keep waiting events from their time, and the window from moving.
	Now func() time.Time
	// Gaps are the parts of that time that nobody has measured. Defaults to none.
	Gaps func() queue.Gaps
	// Date makes a date of a time that Now gives, for people: the wall clock may have been
	// set meanwhile. Defaults to the time itself.
	Date  func(time.Time) time.Time
	Route func(queue.Lane) Route
	Log   *slog.Logger
	// Other returns another lane of the event's pool that could take it, 0 if there
	// is none. Defaults to none.
	Other func(ctx context.Context, pool string, e queue.Event) int64
	// Trusted reports whether the configuration lists the lane's key or PagerDuty has
	// accepted something of it. It is called for each announcement of a lane that is not
	// open, and must not wait for the store. Defaults to no.
	Trusted func(lane int64) bool
	// MaxAge is how old an event may be when it leaves, and Retention how long
	// delivered and dropped events are kept.
	MaxAge    func() time.Duration
	Retention func() time.Duration
	Seed      uint64
	// Capacity is how many attempts are in flight at once, over all lanes. Defaults to
	// that of package lane.
	Capacity int
	// Done is called for each settlement after its commit, for metrics.
	Done func(lane string, e queue.Event, x queue.Settlement)
	// Folded is called for each chain of which events were folded, for metrics.
	Folded func(lane string, m queue.Merged)
}

// Relay delivers what is in the queue.
type Relay struct {
	o      Options
	ready  *hints                       // announcements of the store's
	inputs *mailbox[lane.Input]         // answers of attempts and of the store, and what operators do
	woken  chan struct{}                // a waiting event was stored
	began  time.Time                    // when this process began to deliver
	before map[int64][]queue.Acceptance // of the minute before that, by lane; the loop's own
	waited map[int64]int                // critical events that were queued then; the loop's own
	last   int64                        // the highest lane that was there then
	events map[int64]queue.Event        // claimed; the loop's own
	hedges map[int64]copies             // of attempts that may be made twice; the loop's own
	chores []func(context.Context)      // what is done in slices beside the rest; the loop's own
	slice  int                          // see sliceOfTurn; a field so that a test can break it and see that the simulation notices

	mu    sync.Mutex
	core  *lane.Core
	lanes map[int64]opened    // that the core knows
	tried map[int64]time.Time // see TryRejectedKey

	busy        atomic.Int64   // when the loop's turn began, in nanoseconds; 0 between two
	work        sync.WaitGroup // attempts and claims in hand
	settlements *mailbox[settling]
	saves       *mailbox[queue.Lane]
	releases    *mailbox[[]queue.Event]
	back        *mailbox[lane.Hasten] // hosts and keys that accept again
}

// hint is an announcement of the queue's.
type hint struct {
	lane int64
	rank queue.Rank
}

// New returns a relay that does nothing until Run.
func New(o Options) *Relay {
	if o.Done == nil {
		o.Done = func(string, queue.Event, queue.Settlement) {}
	}
	if o.Folded == nil {
		o.Folded = func(string, queue.Merged) {}
	}
	if o.Trusted == nil {
		o.Trusted = func(int64) bool { return false }
	}
	if o.Gaps == nil {
		o.Gaps = func() queue.Gaps { return nil }
	}
	if o.Date == nil {
		o.Date = func(at time.Time) time.Time { return at }
	}
	if o.Other == nil {
		o.Other = func(context.Context, string, queue.Event) int64 { return 0 }
	}
	return &Relay{
		o:           o,
		slice:       sliceOfTurn,
		ready:       newHints(),
		inputs:      newMailbox[lane.Input](),
		woken:       make(chan struct{}, 1),
		core:        lane.New(lane.Options{MaxAge: o.MaxAge(), Seed: o.Seed, Told: true, Capacity: o.Capacity}),
		lanes:       map[int64]opened{},
		tried:       map[int64]time.Time{},
		waited:      map[int64]int{},
		events:      map[int64]queue.Event{},
		hedges:      map[int64]copies{},
		settlements: newMailbox[settling](),
		saves:       newMailbox[queue.Lane](),
		releases:    newMailbox[[]queue.Event](),
		back:        newMailbox[lane.Hasten](),
	}
}

// Ready is for the store to call when an event has become ready.
func (r *Relay) Ready(id int64, rank queue.Rank) {
	r.ready.add(hint{id, rank}, r.knows(id) || r.o.Trusted(id))
}

// Run delivers until the context ends, and then until the attempts in hand have
// ended, at most for grace.
func (r *Relay) Run(ctx context.Context, grace time.Duration) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if err := r.begin(ctx); err != nil {
		return err
	}

	var helpers sync.WaitGroup
	helpers.Go(func() { r.settleAll(ctx) })
	helpers.Go(func() { r.saveAll(ctx) })
	helpers.Go(r.releaseAll)
	helpers.Go(func() { r.wakeAll(ctx) })
	helpers.Go(func() { r.hastenAll(ctx) })
	helpers.Go(func() { r.purgeAll(ctx) })
	helpers.Go(func() { r.watchClock(ctx) })
	r.loop(ctx, work)
	r.drain(work, stopWork, grace)
	r.settlements.close() // what is in it is still settled
	r.saves.close()
	r.releases.close()
	helpers.Wait()
	return nil
}

// sliceOfTurn is how much of one kind the loop does before it looks at the other kinds,
// and whether it is to end.
const sliceOfTurn = 64

// loop is the core's: one input after the other. Answers come before announcements,
// as they free what those wait for, and of each there is only a slice in one turn.
func (r *Relay) loop(ctx, work context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		if r.turn(work) {
			continue
		}
		timer.Reset(r.untilTick())
		select {
		case <-r.inputs.signal:
		case <-r.ready.signal:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	r.step(work, lane.Stop{})
}

// turn does a bounded amount of work and reports whether it had any.
func (r *Relay) turn(work context.Context) (worked bool) {
	r.busy.Store(r.o.Now().UnixNano())
	defer r.busy.Store(0)
	if r.untilTick() == 0 {
		r.step(work, lane.Tick{})
		worked = true
	}
	for _, in := range r.inputs.some(r.slice) {
		r.step(work, in)
		worked = true
	}
	for _, h := range r.ready.some(r.slice) {
		r.arrived(work, h)
		worked = true
	}
	if len(r.chores) > 0 {
		next := r.chores[0]
		r.chores = r.chores[1:]
		next(work)
		worked = true
	}
	return worked
}

// untilTick is how long the core can wait for its next tick.
func (r *Relay) untilTick() time.Duration {
	r.mu.Lock()
	at, ok := r.core.Next()
	r.mu.Unlock()
	if !ok {
		return time.Hour
	}
	return max(0, at.Sub(r.o.Now()))
}

// drain waits for the attempts in hand: for most of the grace they may end by
// themselves, then they are cut, which settles them too. What is left after that
// is sent again after the next start, with the same dedup key.
func (r *Relay) drain(work context.Context, cut context.CancelFunc, grace time.Duration) {
	ended := make(chan struct{})
	go func() { r.work.Wait(); close(ended) }()
	patience, last := time.NewTimer(grace*3/4), time.NewTimer(grace)
	defer patience.Stop()
	defer last.Stop()
	for {
		select {
		case <-r.inputs.signal:
			r.stepAll(work)
		case <-ended:
			r.stepAll(work)
			return
		case <-patience.C:
			cut()
		case <-last.C:
			return
		}
	}
}

func (r *Relay) stepAll(work context.Context) {
	for inputs := r.inputs.some(r.slice); len(inputs) > 0; inputs = r.inputs.some(r.slice) {
		for _, in := range inputs {
			r.step(work, in)
		}
	}
}

// step hands an input to the core and carries out what it decides.
func (r *Relay) step(work context.Context, in lane.Input) {
	switch i := in.(type) {
	case lane.Claimed:
		for _, t := range i.Taken {
			for _, e := range t.Events {
				r.events[e.ID] = e
			}
			if len(t.Events) > 0 {
				r.reroute(work, t.Events[0].Lane, t.Upstream)
			}
		}
	case reconfigured:
		r.reconfigure()
		in = i.Aged
	case rerouted:
		if r.knows(i.lane) {
			r.configure(work, i.lane)
		}
		in = i.Tick
	}
	r.mu.Lock()
	decisions := r.core.Step(r.o.Now(), in)
	r.mu.Unlock()
	for _, d := range decisions {
		r.carryOut(work, d)
	}
}

func (r *Relay) carryOut(work context.Context, d lane.Decision) {
	switch d := d.(type) {
	case lane.Claim:
		r.work.Go(func() { r.claim(work, d) })
	case lane.Attempt:
		to := r.opened(d.Event.Lane)
		if !d.MayHedge {
			r.work.Go(func() { r.attempt(work, d.Event, to) })
			break
		}
		c := newCopies(work)
		r.hedges[d.Event.ID] = c
		r.work.Go(func() { r.attemptTwice(work, d.Event, to, c) })
	case lane.Hedge:
		if c, ok := r.hedges[d.ID]; ok {
			close(c.again)
		}
	case lane.Abandon:
		if c, ok := r.hedges[d.ID]; ok {
			c.cancel()
		}
	case lane.Settle:
		e := r.events[d.ID]
		delete(r.events, d.ID)
		delete(r.hedges, d.ID)
		if d.Settlement.Lane != 0 {
			d.Moved = r.movedText(d.Lane, d.Settlement.Lane, "key rejected")
		}
		r.settlements.put(settling{e, d.Settlement})
	case lane.Release:
		for _, e := range d.Events {
			delete(r.events, e.ID)
		}
		r.releases.put(d.Events)
	case lane.Move:
		r.work.Go(func() { r.move(work, d) })
	case lane.Save:
		r.saves.put(d.Lane)
	case lane.Hasten:
		r.back.put(d)
	case lane.Close:
		r.closed(d.Lane)
	case lane.Tell:
		r.tell(d)
	case lane.Broken:
		r.o.Log.Error("internal error: the scheduler goes on; please report this", "what", d.What, "decisions", d.Trace)
	}
}

// stuckAfter is how long nothing may leave that could. An attempt takes 30 s at most.
const stuckAfter = 30 * time.Second

// Alive reports for a watchdog whether the relay does its work: an attempt has ended,
// however it did, or nothing was due. A loop that only turns is not enough, nor is a
// place that is held by an attempt without an end.
func (r *Relay) Alive() bool {
	now := r.o.Now()
	if since := r.busy.Load(); since != 0 && now.UnixNano()-since >= int64(stuckAfter) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.core.Stalled(now, stuckAfter)
}
