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

// checker watches what must never happen, from outside of the core.
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
	spare    map[int64][]time.Time // slots held since an unclean start
	probes   map[int64]time.Time
	first    map[int64]int // per event: attempts that 429s must not change
	reached  map[string]int
}

func newChecker(w *world) *checker {
	return &checker{
		w: w, last: map[chainID]int{}, taken: map[chainID]int{}, dead: map[chainID]int{}, inFlight: map[chainID]int64{},
		times: map[int64][]time.Time{}, slots: map[int64][]time.Time{}, flying: map[int64]int{}, spare: map[int64][]time.Time{},
		probes: map[int64]time.Time{}, first: map[int64]int{}, reached: map[string]int{},
	}
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
	if e.Kind == queue.Change {
		return
	}
	if other, busy := c.inFlight[chainOf(&e)]; busy {
		c.w.fatalf("events %d and %d of one chain are in flight together", other, e.ID)
	}
	c.inFlight[chainOf(&e)] = e.ID
	status := c.status(e.Lane)
	if status.Condition == lane.Held {
		c.w.fatalf("event %d left a lane that is held", e.ID)
	}
	if status.Condition == lane.Paused {
		c.reached["probe of a pause"]++
		if e.Priority != queue.Critical {
			c.w.fatalf("event %d (%s) left a paused lane", e.ID, e.Priority)
		}
		if since := c.w.now.Sub(c.probes[e.Lane]); since < 10*time.Second {
			c.w.fatalf("a paused lane was probed after %s", since)
		}
		c.probes[e.Lane] = c.w.now
	}
	if age := c.w.now.Sub(e.Fresh); age > c.w.o.maxAge+time.Hour {
		c.w.fatalf("event %d left when it was %s old", e.ID, age)
	}
}

func (c *checker) status(id int64) lane.Status {
	return c.w.core.Statuses(c.w.now)[id-1]
}

// accepted sees PagerDuty take an event.
func (c *checker) accepted(e queue.Event) {
	times := append(c.times[e.Lane], c.w.now)
	for c.w.now.Sub(times[0]) >= time.Minute {
		times = times[1:]
	}
	c.times[e.Lane] = times
	if len(times) > c.w.o.limit {
		c.w.fatalf("%d events were accepted within a minute, %d are allowed", len(times), c.w.o.limit)
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
	if err == nil || err.Status >= 500 || err.Sent {
		c.slots[e.Lane] = append(c.slots[e.Lane], c.w.now)
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
func (c *checker) restarted(unclean bool) {
	c.reached["restart"]++
	clear(c.inFlight)
	clear(c.flying)
	for id := range int64(c.w.o.keys) {
		c.spare[id+1] = nil
		if unclean {
			c.spare[id+1] = []time.Time{c.w.now}
		}
	}
}

// free looks whether something waits that could leave.
func (c *checker) free() {
	if c.w.random.IntN(50) > 0 { // it looks at every event, so only now and then
		return
	}
	ready := map[int64]queue.Rank{}
	for _, e := range c.w.store.All() {
		if rank, seen := ready[e.Lane]; e.State == queue.Ready && !e.InFlight && (!seen || e.Priority < rank) {
			ready[e.Lane] = e.Priority
		}
	}
	for _, s := range c.w.core.Statuses(c.w.now) {
		rank, waits := ready[s.Lane]
		if c.used(s) < s.Used {
			c.w.fatalf("lane %d has %d slots taken, only %d can be", s.Lane, s.Used, c.used(s))
		}
		if !waits || s.Condition == lane.UpstreamDown || s.Condition == lane.Paused {
			continue
		}
		most := min(8, max(1, s.Learned/10))
		full := s.Condition == lane.Paced || s.InFlight >= most
		if rank == queue.Critical {
			full = s.Used >= s.Learned || s.TimeToPage > 0 || s.InFlight >= most
		}
		if !full && s.InFlight == 0 { // after a pause one goes first
			c.w.fatalf("lane %d is free and an event (%s) waits: %+v", s.Lane, rank, s)
		}
	}
}

// used counts from outside how many slots can be taken.
func (c *checker) used(s lane.Status) int {
	n := c.flying[s.Lane]
	slots := c.slots[s.Lane]
	for len(slots) > 0 && c.w.now.Sub(slots[0]) >= time.Minute {
		slots = slots[1:]
	}
	c.slots[s.Lane] = slots
	n += len(slots)
	for _, since := range c.spare[s.Lane] {
		if c.w.now.Sub(since) < time.Minute {
			n += 10
		}
	}
	return n
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
