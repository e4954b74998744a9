// Package relay carries out what package lane decides: it claims from the queue,
// sends, and settles. All judgement is in the lanes' core; here are the clock, the
// goroutines and the I/O.
package relay

import (
	"context"
	"errors"
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
	Lanes(ctx context.Context) ([]queue.Lane, error)
	Clean() bool
	Claim(ctx context.Context, lane int64, pick queue.Pick, n int) ([]queue.Event, error)
	Release(events []queue.Event)
	Settle(ctx context.Context, settlements []queue.Settlement) error
	Wake(ctx context.Context, now time.Time, n int) (time.Time, error)
	SaveLane(ctx context.Context, lane queue.Lane) error
	Hold(ctx context.Context, lane int64, by queue.By) error
	Unhold(ctx context.Context, lane int64, by queue.By) error
	Recent(ctx context.Context, lane int64, since time.Time) ([]time.Time, error)
	Purge(ctx context.Context, before time.Time, n int) (int, error)
}

// Poster makes one attempt; *eventsv2.Client is one.
type Poster interface {
	Post(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error)
	PostChange(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error)
}

// Route says where a lane sends to and how fast.
type Route struct {
	Name  string // of the lane, for logs: alias or fingerprint
	Host  string // what lanes of one upstream share
	Post  Poster
	Limit int // events per 60 s
}

// Options says how a relay works.
type Options struct {
	Store Store
	// Now has to be steady: a clock that is set back while the relay runs would
	// keep waiting events from their time, and the window from moving.
	Now   func() time.Time
	Route func(queue.Lane) Route
	Log   *slog.Logger
	// Other returns another lane of the event's pool that could take it, 0 if there
	// is none. Defaults to none.
	Other func(ctx context.Context, e queue.Event) int64
	// MaxAge is how old an event may be when it leaves, and Retention how long
	// delivered and dropped events are kept.
	MaxAge    func() time.Duration
	Retention func() time.Duration
	Seed      uint64
	// Done is told of each settlement after its commit, for metrics.
	Done func(lane string, e queue.Event, x queue.Settlement)
}

// Relay delivers what is in the queue.
type Relay struct {
	o      Options
	ready  *hints
	inputs *mailbox[lane.Input]
	woken  chan struct{} // a waiting event was stored

	mu    sync.Mutex
	core  *lane.Core
	lanes map[int64]opened // that the core knows

	busy        atomic.Int64          // when the loop's turn began, in nanoseconds; 0 between two
	events      map[int64]queue.Event // claimed; the loop's own
	attempts    sync.WaitGroup
	settlements *mailbox[settling]
	saves       *mailbox[queue.Lane]
}

// hint is an announcement of the queue's.
type hint struct {
	lane int64
	rank queue.Rank
}

// opened is a lane that the core knows, and where it sends to.
type opened struct {
	lane  queue.Lane
	route Route
}

// settling is a settlement on its way to the disk.
type settling struct {
	event queue.Event
	x     queue.Settlement
}

// New returns a relay that does nothing until Run.
func New(o Options) *Relay {
	if o.Done == nil {
		o.Done = func(string, queue.Event, queue.Settlement) {}
	}
	if o.Other == nil {
		o.Other = func(context.Context, queue.Event) int64 { return 0 }
	}
	return &Relay{
		o:           o,
		ready:       newHints(),
		inputs:      newMailbox[lane.Input](),
		woken:       make(chan struct{}, 1),
		core:        lane.New(lane.Options{MaxAge: o.MaxAge(), Seed: o.Seed, Told: true}),
		lanes:       map[int64]opened{},
		events:      map[int64]queue.Event{},
		settlements: newMailbox[settling](),
		saves:       newMailbox[queue.Lane](),
	}
}

// Ready is for the store to call when an event has become ready.
func (r *Relay) Ready(id int64, rank queue.Rank) { r.ready.add(hint{id, rank}) }

// Run delivers until the context ends, and then until the attempts in hand have
// ended, at most for grace.
func (r *Relay) Run(ctx context.Context, grace time.Duration) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if err := r.openLanes(ctx); err != nil {
		return err
	}

	var helpers sync.WaitGroup
	helpers.Go(func() { r.settleAll(ctx) })
	helpers.Go(func() { r.saveAll(ctx) })
	helpers.Go(func() { r.wakeAll(ctx) })
	helpers.Go(func() { r.purgeAll(ctx) })
	r.loop(ctx, work)
	r.drain(work, stopWork, grace)
	r.settlements.close() // what is in it is still settled
	r.saves.close()
	helpers.Wait()
	return nil
}

// loop is the core's: one input after the other.
func (r *Relay) loop(ctx, work context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.setTimer(timer)
		select {
		case <-r.ready.signal:
			for _, h := range r.ready.take() {
				r.step(work, lane.Arrived{Lane: h.lane, Rank: h.rank})
			}
		case <-r.inputs.signal:
			r.stepAll(work)
		case <-timer.C:
			r.step(work, lane.Tick{})
		case <-ctx.Done():
			r.step(work, lane.Stop{})
			return
		}
	}
}

func (r *Relay) stepAll(work context.Context) {
	inputs, _ := r.inputs.take()
	for _, in := range inputs {
		r.step(work, in)
	}
}

func (r *Relay) setTimer(timer *time.Timer) {
	r.mu.Lock()
	at, ok := r.core.Next()
	r.mu.Unlock()
	wait := time.Hour
	if ok {
		wait = max(0, at.Sub(r.o.Now()))
	}
	timer.Reset(wait)
}

// drain waits for the attempts in hand: for most of the grace they may end by
// themselves, then they are cut, which settles them too. What is left after that
// is sent again after the next start, with the same dedup key.
func (r *Relay) drain(work context.Context, cut context.CancelFunc, grace time.Duration) {
	ended := make(chan struct{})
	go func() { r.attempts.Wait(); close(ended) }()
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

// step hands an input to the core and carries out what it decides.
func (r *Relay) step(work context.Context, in lane.Input) {
	r.busy.Store(r.o.Now().UnixNano())
	defer r.busy.Store(0)
	pending := []lane.Input{in}
	if arrived, ok := in.(lane.Arrived); ok && !r.knows(arrived.Lane) {
		pending = []lane.Input{r.open(work, arrived.Lane), in}
	}
	for len(pending) > 0 {
		r.mu.Lock()
		decisions := r.core.Step(r.o.Now(), pending[0])
		r.mu.Unlock()
		pending = pending[1:]
		var claimed []lane.Input
		for _, d := range decisions {
			if in := r.carryOut(work, d); in != nil {
				claimed = append(claimed, in)
			}
		}
		pending = append(claimed, pending...)
	}
}

// carryOut does what was decided. A claim is answered at once.
func (r *Relay) carryOut(work context.Context, d lane.Decision) lane.Input {
	switch d := d.(type) {
	case lane.Claim:
		events, err := r.o.Store.Claim(work, d.Lane, d.Pick, d.N)
		if err != nil && !errors.Is(err, queue.ErrBroken) {
			r.o.Log.Warn("cannot claim", "lane", r.name(d.Lane), "error", err)
		}
		for _, e := range events {
			r.events[e.ID] = e
		}
		return lane.Claimed{Lane: d.Lane, Pick: d.Pick, N: d.N, Events: events, Failed: err != nil}
	case lane.Attempt:
		r.attempts.Go(func() { r.attempt(work, d.Event) })
	case lane.Settle:
		e := r.events[d.ID]
		delete(r.events, d.ID)
		r.settlements.put(settling{e, d.Settlement})
	case lane.Release:
		r.o.Store.Release(d.Events)
	case lane.Save:
		r.saves.put(d.Lane)
	case lane.Tell:
		r.tell(d)
	}
	return nil
}

// stuckAfter is how long one turn of the loop may take: a claim that waits for a
// slow disk takes seconds at most.
const stuckAfter = 30 * time.Second

// Alive reports whether the loop still takes its turns, for a watchdog.
func (r *Relay) Alive() bool {
	since := r.busy.Load()
	return since == 0 || r.o.Now().UnixNano()-since < int64(stuckAfter)
}
