package lane_test

import (
	"context"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// chainID names a chain.
type chainID struct {
	lane  int64
	dedup string
}

// checker watches what must never happen, from outside: of the core it knows only
// what goes in and what comes out.
type checker struct {
	w        *world
	last     map[chainID]int // the number of the last event that was submitted
	taken    map[chainID]int // of the last one that PagerDuty accepted
	dead     map[chainID]int // of the last one that became a dead letter
	seq      int
	inFlight map[chainID]int64
	times    map[int64][]time.Time // acceptances of the last minute, per lane
	slots    map[int64][]time.Time // answers that hold a slot, per lane
	flying   map[int64]int
	sentAt   map[int64]time.Time // per event in flight
	pauses   map[int64]*pause
	down     map[string]bool
	blind    time.Time // until then it does not know how many slots the core holds
	latest   time.Time // that a process's clock has shown
	reached  map[string]int
}

// pause is what is known of a lane's from outside.
type pause struct {
	until  time.Time // at least
	last   time.Time // 429
	tried  time.Time // by a critical event
	gentle bool      // nothing was accepted since
}

func newChecker(w *world) *checker {
	c := &checker{
		w: w, last: map[chainID]int{}, taken: map[chainID]int{}, dead: map[chainID]int{}, inFlight: map[chainID]int64{},
		times: map[int64][]time.Time{}, slots: map[int64][]time.Time{}, flying: map[int64]int{},
		sentAt: map[int64]time.Time{}, pauses: map[int64]*pause{}, down: map[string]bool{}, reached: map[string]int{},
	}
	for id := range int64(w.o.keys) {
		c.pauses[id+1] = &pause{}
	}
	return c
}

func chainOf(e *queue.Event) chainID { return chainID{e.Lane, e.DedupKey} }

// submitted numbers an event; its body carries the number.
func (c *checker) submitted(e *queue.New) {
	c.seq++
	e.Body = fmt.Appendf(nil, `{"n":%d}`, c.seq)
	if e.Kind == queue.Alert {
		c.last[chainID{e.Lane, e.DedupKey}] = c.seq
	}
}

func numberOf(e *queue.Event) (n int) {
	_, _ = fmt.Sscanf(string(e.Body), `{"n":%d}`, &n)
	return n
}

// sent sees an attempt leave.
func (c *checker) sent(e queue.Event) {
	c.flying[e.Lane]++
	c.sentAt[e.ID] = c.w.now
	lanes, _ := c.w.store.Lanes(context.Background())
	switch p := c.pauses[e.Lane]; {
	case lanes[e.Lane-1].Held:
		c.w.fatalf("event %d left a lane that is held", e.ID)
	case c.w.failing && len(c.w.stuck) > 0:
		c.w.fatalf("event %d left while its end could not be kept", e.ID)
	case c.w.stopped:
		c.w.fatalf("event %d left a relay that stops", e.ID)
	case c.w.now.Before(p.until):
		c.reached["probe of a pause"]++
		if e.Priority != queue.Critical {
			c.w.fatalf("event %d (%s) left a paused lane", e.ID, e.Priority)
		}
		if since := c.w.now.Sub(p.tried); since < 10*time.Second {
			c.w.fatalf("a paused lane was probed after %s", since)
		}
		p.tried = c.w.now
	}
	most := c.w.o.maxAge
	if e.Kind == queue.Alert && e.Action != eventsv2.Trigger {
		most += time.Hour
	}
	if age := c.w.wall().Sub(e.Fresh); age > most {
		c.w.fatalf("event %d left when it was %s old", e.ID, age)
	}
	if e.Kind == queue.Change {
		return
	}
	if other, busy := c.inFlight[chainOf(&e)]; busy {
		c.w.fatalf("events %d and %d of one chain are in flight together", other, e.ID)
	}
	c.inFlight[chainOf(&e)] = e.ID
}

// accepted sees PagerDuty take an event.
func (c *checker) accepted(e queue.Event) {
	times := append(c.times[e.Lane], c.w.now)
	for c.w.now.Sub(times[0]) >= time.Minute {
		times = times[1:]
	}
	c.times[e.Lane] = times
	if most := c.w.routes[e.Lane].allowed(c.w.now); len(times) > most {
		c.w.fatalf("%d events were accepted within a minute, %d are allowed", len(times), most)
	}
	if e.Kind == queue.Change {
		return
	}
	id, n := chainOf(&e), numberOf(&e)
	if n < c.taken[id] {
		c.w.fatalf("event %d of chain %v was accepted after %d", n, id, c.taken[id])
	}
	if n == c.taken[id] {
		c.reached["sent twice"]++
	}
	c.taken[id] = n
}

// answered sees an attempt end.
func (c *checker) answered(e queue.Event, err *eventsv2.Error) {
	c.flying[e.Lane]--
	delete(c.inFlight, chainOf(&e))
	if err == nil || err.Status >= 500 || err.Sent || err.Page {
		c.slots[e.Lane] = append(c.slots[e.Lane], c.w.now)
	}
	p, started := c.pauses[e.Lane], c.sentAt[e.ID]
	delete(c.sentAt, e.ID)
	switch {
	case err == nil && !started.Before(p.last):
		p.until, p.gentle = time.Time{}, false
	case err != nil && err.Status == 429:
		least := err.RetryAfter
		lanes, _ := c.w.store.Lanes(context.Background())
		if paused := c.w.wall().Before(lanes[e.Lane-1].PausedUntil); least == 0 && !paused {
			least = 45 * time.Second // three quarters of a minute
		}
		if until := c.w.now.Add(least); until.After(p.until) {
			p.until = until
		}
		if e.Priority == queue.Critical {
			p.tried = c.w.now
		}
		p.last, p.gentle = c.w.now, true
	}
}

// told hears what the core tells people.
func (c *checker) told(t lane.Tell) {
	switch t.What {
	case lane.HostDown:
		c.down[t.Host] = true
	case lane.HostUp:
		c.down[t.Host] = false
	}
}

// settled sees how an event is to end.
func (c *checker) settled(e queue.Event, x queue.Settlement) {
	if x.Status == 429 && x.Attempts != e.Attempts {
		c.w.fatalf("event %d: a 429 has used up an attempt", e.ID)
	}
	if x.State == queue.Expired {
		c.reached["expired"]++
	}
	if x.State.Dead() && e.Kind == queue.Alert {
		c.dead[chainOf(&e)] = max(c.dead[chainOf(&e)], numberOf(&e))
	}
}

// restarted sees the process end: what was in flight may still arrive.
func (c *checker) restarted(unclean bool, skewed time.Duration) {
	c.reached["restart"]++
	clear(c.inFlight)
	clear(c.flying)
	clear(c.sentAt)
	clear(c.down)
	for _, p := range c.pauses {
		p.tried = c.w.now // the core takes that for granted
		if skewed != 0 {
			p.until = time.Time{} // it is told in the time of a clock that is wrong
		}
	}
	if before := c.w.wall().Add(-skewed); before.After(c.latest) {
		c.latest = before
	}
	if unclean || skewed != 0 || c.w.wall().Before(c.latest) { // deliveries of the future count as of now
		c.blind = c.w.now.Add(time.Minute)
	}
	if skewed > 0 { // to the new process all that was accepted is an hour old
		c.reached["clock forward"]++
		clear(c.times)
	}
	if skewed < 0 {
		c.reached["clock back"]++
	}
}

// free looks whether something waits that could leave.
func (c *checker) free() {
	if c.w.random.IntN(20) > 0 { // it looks at every event, so only now and then
		return
	}
	ready := map[int64]queue.Rank{}
	for _, e := range c.w.store.All() {
		if rank, seen := ready[e.Lane]; e.State == queue.Ready && !e.InFlight && (!seen || e.Priority < rank) {
			ready[e.Lane] = e.Priority
		}
	}
	lanes, _ := c.w.store.Lanes(context.Background())
	for _, l := range lanes {
		if rank, waits := ready[l.ID]; waits && c.mayLeave(l, rank) {
			c.w.fatalf("lane %d is free and an event (%s) waits: %+v", l.ID, rank, c.w.core.Statuses(c.w.wall())[l.ID-1])
		}
	}
}

// mayLeave reports whether an event of that rank has no reason to wait.
func (c *checker) mayLeave(l queue.Lane, rank queue.Rank) bool {
	route := c.w.routes[l.ID]
	if l.Held || c.down[route.host] || c.w.wall().Before(l.PausedUntil) || c.w.failing || c.w.stopped || c.w.now.Before(c.blind) {
		return false
	}
	rate := route.limit
	if l.Learned > 0 {
		rate = min(rate, l.Learned)
	}
	flying := 0
	for _, e := range c.w.claimed {
		if e.Lane == l.ID {
			flying++
		}
	}
	if c.pauses[l.ID].gentle || l.Pauses > 0 { // one goes first
		return flying == 0 && c.used(l.ID) == 0
	}
	most, reserve := min(8, max(1, rate/10)), max(1, rate/10)
	if rate == 1 {
		reserve = 0
	}
	used := c.used(l.ID)
	if rank == queue.Critical {
		return flying < most && used < rate || flying < most+2 && used < reserve
	}
	return flying < most && used < rate-reserve
}

// used counts from outside how many slots can be taken.
func (c *checker) used(id int64) int {
	slots := c.slots[id]
	for len(slots) > 0 && c.w.now.Sub(slots[0]) >= time.Minute {
		slots = slots[1:]
	}
	c.slots[id] = slots
	return c.flying[id] + len(slots)
}

func (c *checker) waiting() (n int) {
	counts, _ := c.w.store.Counts(context.Background())
	for _, count := range counts {
		n += count.Total()
	}
	return n
}

// end looks at what is left when all faults are over.
func (c *checker) end() {
	if n := c.waiting(); n > 0 {
		c.w.fatalf("%d events are still waiting", n)
	}
	for id, n := range c.last {
		if c.taken[id] != n && c.dead[id] < n {
			c.w.fatalf("the last event of chain %v was %d: PagerDuty has %d, the dead letters %d", id, n, c.taken[id], c.dead[id])
		}
	}
}
