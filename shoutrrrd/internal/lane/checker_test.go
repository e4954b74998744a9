package lane_test

import (
	"context"
	"fmt"
	"slices"
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
	looks    int             // at what is told of lanes
	last     map[chainID]int // the number of the last event that was submitted
	taken    map[chainID]int // of the last one that PagerDuty accepted
	dead     map[chainID]int // of the last one that became a dead letter
	seq      int
	inFlight map[chainID]int64
	times    map[int64][]time.Time // of what PagerDuty has taken in the last minute, per lane
	slots    map[int64][]time.Time // answers that hold a slot, per lane
	flying   map[int64]int
	sentAt   map[int64]time.Time   // per event in flight
	sentTo   map[int64]string      // its host
	twice    map[int64]string      // the host of those of which two copies are in flight
	twiceAt  map[int64]time.Time   // when the second one left
	given    map[int64]bool        // those whose copies were both cancelled
	tried    map[int64]bool        // those that an operator wants to be tried
	probes   map[int64]bool        // those that try a paused lane
	tries    map[int64]bool        // those that go beyond the common share
	paged    map[int64][]time.Time // when critical events left, per lane
	left     map[int64]time.Time   // when each event was first sent
	order    []queue.Event         // attempts, in their order
	pauses   map[int64]*pause
	down     map[string]bool
	hosts    map[string]*hostSeen
	blind    time.Time // until then it does not know how many slots the core holds
	reached  map[string]int
}

// pause is what is known of a lane's from outside.
type pause struct {
	until  time.Time // at least
	last   time.Time // 429
	tried  time.Time // by a critical event
	gentle bool      // nothing was accepted since
	others bool      // the first one came although the lane's window had room

	grown    time.Time // the last 429 that a try for more has met
	rejected time.Time // 401, the last one, unless somebody has looked after it since
}

func newChecker(w *world) *checker {
	c := &checker{
		w: w, last: map[chainID]int{}, taken: map[chainID]int{}, dead: map[chainID]int{}, inFlight: map[chainID]int64{},
		times: map[int64][]time.Time{}, slots: map[int64][]time.Time{}, flying: map[int64]int{},
		sentAt: map[int64]time.Time{}, sentTo: map[int64]string{}, twice: map[int64]string{}, twiceAt: map[int64]time.Time{}, given: map[int64]bool{}, tried: map[int64]bool{}, probes: map[int64]bool{}, tries: map[int64]bool{}, paged: map[int64][]time.Time{}, left: map[int64]time.Time{}, pauses: map[int64]*pause{}, down: map[string]bool{}, hosts: map[string]*hostSeen{}, reached: map[string]int{},
	}
	for _, host := range hosts {
		c.hosts[host] = &hostSeen{}
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
	c.grows(e)
	c.flying[e.Lane]++
	c.sentAt[e.ID], c.sentTo[e.ID] = c.w.now, c.w.routes[e.Lane].host
	if _, again := c.left[e.ID]; !again {
		c.left[e.ID] = c.w.now
	}
	if c.w.o.ordered {
		c.order = append(c.order, e)
	}
	c.budget(c.sentTo[e.ID])
	if most := c.w.o.capacity; most > 0 && len(c.sentAt)+len(c.twice) > most {
		c.w.fatalf("%d attempts are in flight, %d of them twice, there is capacity for %d", len(c.sentAt), len(c.twice), most)
	}
	if p := c.pauses[e.Lane]; !p.rejected.IsZero() {
		c.reached["try of a rejected key"]++
		if since := c.w.now.Sub(p.rejected); since < 45*time.Second {
			c.w.fatalf("a rejected key was tried again after %s", since)
		}
	}
	lanes, _ := c.w.store.Lanes(context.Background())
	c.probes[e.ID] = c.w.wall().Before(lanes[e.Lane-1].PausedUntil)
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
	if age := c.w.line.Gaps().Measured(e.Fresh, c.w.wall()); age > most {
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

// again sees the second copy of an event leave.
func (c *checker) again(e queue.Event) {
	c.reached["hedged"]++
	c.flying[e.Lane]++
	started, flies := c.sentAt[e.ID]
	c.twice[e.ID], c.twiceAt[e.ID] = c.sentTo[e.ID], c.w.now
	c.paged[e.Lane] = append(c.paged[e.Lane], c.w.now) // it may take a reserved slot of its own
	c.budget(c.sentTo[e.ID])
	lanes, _ := c.w.store.Lanes(context.Background())
	switch most := c.w.o.capacity; {
	case !flies, c.w.now.Sub(started) < 3*time.Second:
		c.w.fatalf("event %d left a second time after %s", e.ID, c.w.now.Sub(started))
	case e.Kind == queue.Change || e.Priority != queue.Critical:
		c.w.fatalf("event %d (%s) left a second time", e.ID, e.Priority)
	case lanes[e.Lane-1].Held, c.w.stopped, c.w.now.Before(c.pauses[e.Lane].until):
		c.w.fatalf("event %d left a second time, although its lane is paused or the relay stops", e.ID)
	case most > 0 && len(c.sentAt)+len(c.twice) > most:
		c.w.fatalf("%d attempts are in flight, %d of them twice, there is capacity for %d", len(c.sentAt), len(c.twice), most)
	}
}

// abandoned sees both copies of an event given up: they have been silent for long enough, and
// the host has accepted what left after them, or an operator wants it, or it is the first
// attempt of the event and for 10 s nothing else is in flight to the host.
func (c *checker) abandoned(e queue.Event) {
	second, flies := c.twiceAt[e.ID]
	lanes, _ := c.w.store.Lanes(context.Background())
	switch {
	case !flies, c.w.now.Sub(second) < 3*time.Second:
		c.w.fatalf("both copies of event %d were given up after %s", e.ID, c.w.now.Sub(second))
	case c.given[e.ID]:
		c.w.fatalf("both copies of event %d were given up twice", e.ID)
	case lanes[e.Lane-1].Held, c.w.stopped, c.w.now.Before(c.pauses[e.Lane].until), c.w.failing && len(c.w.stuck) > 0:
		c.w.fatalf("both copies of event %d were given up, although its lane is paused, its end could not be kept or the relay stops", e.ID)
	case c.tried[e.ID]:
		c.reached["abandoned by an operator"]++
	case c.hosts[c.twice[e.ID]].answered.After(second):
		c.reached["abandoned"]++
	case e.Attempts == 0 && c.w.now.Sub(second) >= 7*time.Second && c.inFlightTo(c.twice[e.ID]) == 1:
		c.reached["abandoned alone"]++
	default:
		c.w.fatalf("both copies of event %d were given up, and the host has accepted nothing that left later", e.ID)
	}
	c.given[e.ID] = true
}

// inFlightTo counts the events of which attempts are in flight to a host.
func (c *checker) inFlightTo(host string) (n int) {
	for _, to := range c.sentTo {
		if to == host {
			n++
		}
	}
	return n
}

// silent looks whether something hangs by two connections to a host that has just accepted
// what left later, although its lane may send.
func (c *checker) silent(host string) {
	for id, second := range c.twiceAt {
		of := c.w.flights[id].event.Lane
		lanes, _ := c.w.store.Lanes(context.Background())
		s, _ := c.w.core.Status(c.w.wall(), of)
		if c.twice[id] != host || c.given[id] || c.w.now.Sub(second) < 3*time.Second || !c.hosts[host].answered.After(second) ||
			lanes[of-1].Held || s.KeyRefused || c.w.wall().Before(s.PausedUntil) || c.w.failing || c.w.stopped {
			continue
		}
		c.w.fatalf("event %d hangs by two connections for %s, and its host accepts what left later", id, c.w.now.Sub(second))
	}
}

// grows sees whether an event goes beyond the common share, to try whether the account
// takes more. Nothing critical may be around then.
func (c *checker) grows(e queue.Event) {
	rate, paged := c.rate(e.Lane), c.paged[e.Lane]
	for len(paged) > 0 && c.w.now.Sub(paged[0]) > 95*time.Second { // an attempt takes 31 s at most
		paged = paged[1:]
	}
	if e.Priority == queue.Critical {
		paged = append(paged, c.w.now)
	}
	c.paged[e.Lane] = paged
	reserve := max(1, rate/10)
	if e.Priority == queue.Critical || c.w.now.Before(c.blind) || rate < 2 || rate == c.w.routes[e.Lane].limit || c.used(e.Lane)-min(reserve, len(paged)) < rate-reserve {
		return
	}
	if n := len(paged); n > 0 && c.w.now.Sub(paged[n-1]) < time.Second {
		return // which of those that left together took the reserved slots cannot be seen from here
	}
	c.tries[e.ID] = true
	c.reached["try for more"]++
	for _, other := range c.w.store.All() {
		if other.Lane == e.Lane && !other.State.Ended() && other.State != queue.Blocked && other.Priority == queue.Critical {
			c.w.fatalf("event %d (%s) left beyond the common share while the critical event %d is %s", e.ID, e.Priority, other.ID, other.State)
		}
	}
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

// answered sees an attempt end, of one copy or of two.
func (c *checker) answered(e queue.Event, err *eventsv2.Error, second *lane.Copy) {
	seen := c.hosts[c.sentTo[e.ID]]
	if err == nil {
		seen.accepts(c.sentAt[e.ID])
	}
	if second != nil && second.Err == nil {
		seen.accepts(c.twiceAt[e.ID])
	}
	delete(c.twiceAt, e.ID)
	delete(c.given, e.ID)
	delete(c.tried, e.ID)
	if second != nil {
		c.flying[e.Lane]--
		delete(c.twice, e.ID)
		other := second.Err
		if says(other) < says(err) {
			err, other = other, err
		}
		if holdsSlot(other) {
			c.slots[e.Lane] = append(c.slots[e.Lane], c.w.now)
		}
	}
	c.flying[e.Lane]--
	delete(c.inFlight, chainOf(&e))
	if holdsSlot(err) {
		c.slots[e.Lane] = append(c.slots[e.Lane], c.w.now)
	}
	p, started := c.pauses[e.Lane], c.sentAt[e.ID]
	c.hosts[c.sentTo[e.ID]].ended(c.w.now, err)
	delete(c.sentAt, e.ID)
	delete(c.sentTo, e.ID)
	probe := c.probes[e.ID]
	delete(c.probes, e.ID)
	if c.tries[e.ID] && err != nil && err.Status == 429 {
		// A try uses the reserved share first, with events that leave together: what their
		// first 429 teaches comes too late for the others.
		if since := c.w.now.Sub(p.grown); since < time.Hour && started.After(p.grown) {
			c.w.fatalf("the second 429 in %s that a try for more has met", since)
		}
		p.grown = c.w.now
		c.reached["try for more met a 429"]++
	}
	delete(c.tries, e.ID)
	switch {
	case err == nil:
		p.rejected = time.Time{}
	case err.Status == 401 && err.Rejected:
		p.rejected = c.w.now
	}
	switch {
	case err == nil && !started.Before(p.last):
		p.until, p.gentle = time.Time{}, false
	case err != nil && err.Status == 429:
		if until := c.w.now.Add(c.pause(e.Lane, p, err, probe)); until.After(p.until) {
			p.until = until
		}
		if e.Priority == queue.Critical {
			p.tried = c.w.now
		}
		p.last, p.gentle = c.w.now, true
	}
}

// rate is what a lane uses of its limit. The store may have an older one: a changed
// configuration is not kept there.
func (c *checker) rate(id int64) int {
	if s, open := c.w.core.Status(c.w.wall(), id); open {
		return s.Learned
	}
	lanes, _ := c.w.store.Lanes(context.Background())
	return c.w.routes[id].rate(lanes[id-1].Learned)
}

// says ranks answers: of two to one event that with the lower rank counts.
func says(err *eventsv2.Error) int {
	switch {
	case err == nil:
		return 0
	case err.Rejected:
		return 1
	case err.Status == 429:
		return 2
	case err.Status >= 500:
		return 3
	case err.Status != 0:
		return 4
	}
	return 5
}

// pause is for how long a 429 has a lane wait, at least.
func (c *checker) pause(id int64, p *pause, err *eventsv2.Error, probe bool) time.Duration {
	lanes, _ := c.w.store.Lanes(context.Background())
	l, slots := lanes[id-1], c.held(id)
	paused := c.w.wall().Before(l.PausedUntil)
	if !paused && l.Pauses == 0 {
		p.others = len(slots)*4 < c.rate(id)
	}
	switch {
	case paused && (probe || err.RetryAfter == 0): // the others wait until it was told
		return 0
	case err.RetryAfter > 0:
		return min(err.RetryAfter, 15*time.Minute)
	case c.w.now.Before(c.blind): // how the core's window stands is not known
		return 0
	case p.others:
		return min(time.Second<<min(l.Pauses, 6), time.Minute) * 3 / 4
	case l.Pauses == 0:
		return slots[0].Add(time.Minute).Sub(c.w.now)
	}
	return min(time.Minute<<min(l.Pauses-1, 4), 15*time.Minute) * 3 / 4
}

// holdsSlot reports whether an attempt may have been accepted, or was rejected.
func holdsSlot(err *eventsv2.Error) bool {
	switch {
	case err == nil || err.Sent:
		return true
	case err.Status == 302, err.Status == 404, err.Status == 410: // nothing passed it on
		return false
	}
	return err.Status != 0 && err.Status != 429
}

// told hears what the core tells people.
func (c *checker) told(t lane.Tell) {
	switch t.What {
	case lane.HostDown:
		c.down[t.Host] = true
	case lane.HostUp:
		h := c.hosts[t.Host]
		h.up = c.w.now
		c.down[t.Host], h.slow, h.failing = false, c.w.now, h.fails(c.w.now) // it counts the answer itself after that
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

// restarted sees the process end: what was in flight may still arrive. The next process takes
// it to be so much later, and the date was set by so much.
func (c *checker) restarted(unclean bool, later, set time.Duration) {
	c.reached["restart"]++
	clear(c.inFlight)
	clear(c.flying)
	clear(c.sentAt)
	clear(c.sentTo)
	clear(c.twice)
	clear(c.twiceAt)
	clear(c.given)
	clear(c.tried)
	clear(c.probes)
	clear(c.tries)
	clear(c.down)
	for _, host := range hosts {
		c.hosts[host] = &hostSeen{}
	}
	for _, p := range c.pauses {
		p.tried = c.w.now // the core takes that for granted
		p.others = true   // it judges by what it knows of the window now: the shorter waits are allowed
		p.rejected = time.Time{}
		if later > 0 {
			p.until = time.Time{} // it ends earlier
		}
	}
	if unclean || later > 0 {
		c.blind = c.w.now.Add(time.Minute)
	}
	if later > 0 { // all that was accepted is older than it is, perhaps by years
		clear(c.times)
	}
	if set > 0 {
		c.reached["clock forward"]++
	}
	if set < 0 {
		c.reached["clock back"]++
	}
}

// free looks whether something waits that could leave.
func (c *checker) free() {
	if c.w.random.IntN(20) > 0 { // it looks at every event, so only now and then
		return
	}
	if c.w.claiming || c.w.now.Before(c.w.idle) { // what may leave is in it, or follows it
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
			c.w.fatalf("lane %d is free and an event (%s) waits: %+v", l.ID, rank, c.w.core.Statuses(c.w.wall()))
		}
	}
}

// reports looks whether each lane of which something has to be told is among those that are
// asked.
func (c *checker) reports() {
	if c.looks++; c.looks%20 > 0 { // it asks every lane, so only now and then
		return
	}
	now, said := c.w.wall(), map[int64]bool{}
	for _, id := range c.w.core.Stirring() {
		_, said[id] = c.w.core.Report(now, id)
	}
	for _, s := range c.w.core.Statuses(now) {
		troubled := s.Upstream.Failing()
		if idle := s.Condition == lane.Idle && s.Used == 0 && s.InFlight == 0 && !s.KeyRefused && !troubled; idle == said[s.Lane] {
			c.w.fatalf("lane %d is told of: %t: %+v", s.Lane, said[s.Lane], s)
		}
	}
}

// mayLeave reports whether an event of that rank has no reason to wait.
func (c *checker) mayLeave(l queue.Lane, rank queue.Rank) bool {
	route := c.w.routes[l.ID]
	if !l.KeyRefused.IsZero() || l.Held || c.down[route.host] || c.w.wall().Before(l.PausedUntil) || c.w.failing || c.w.stopped || c.w.now.Before(c.blind) {
		return false
	}
	if !c.room(route.host) || c.hosts[route.host].slows(c.w.now) || c.inMinute(route.host) >= c.budgetOf(route.host) {
		return false
	}
	rate := c.rate(l.ID)
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
	if rate < route.limit && used+2*(reserve+1) > rate-reserve { // it may wait for others, for a try of more
		return false
	}
	return flying < most && used < rate-reserve
}

// room reports whether there is a place for one more attempt, even if none of those
// in flight has a reserved one.
func (c *checker) room(host string) bool {
	capacity := c.w.o.capacity
	if capacity == 0 {
		capacity = 256
	}
	there := 0
	for _, to := range c.sentTo {
		if to == host {
			there++
		}
	}
	for _, to := range c.twice {
		if to == host {
			there++
		}
	}
	free := capacity - max(1, capacity/8) - len(c.sentTo) - len(c.twice)
	return free > 0 && there < 3*free
}

// used counts from outside how many slots can be taken.
func (c *checker) used(id int64) int {
	return c.flying[id] + len(c.held(id))
}

// held are the slots of the last minute.
func (c *checker) held(id int64) []time.Time {
	slots := c.slots[id]
	for len(slots) > 0 && c.w.now.Sub(slots[0]) >= time.Minute {
		slots = slots[1:]
	}
	c.slots[id] = slots
	return slots
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

// hostSeen is what can be seen of a host from outside.
type hostSeen struct {
	up      time.Time   // when it last came up
	starts  []time.Time // of attempts in the last minute, but for probes while it was down
	ends    []hostEnd   // of the last 20 attempts
	slow    time.Time   // when most attempts last failed, or it was last down
	began   time.Time   // when that began
	failing bool        // most attempts failed at the last answer

	answered time.Time // when the latest request left that it has accepted
}

func (h *hostSeen) accepts(left time.Time) {
	if left.After(h.answered) {
		h.answered = left
	}
}

type hostEnd struct {
	at    time.Time
	fails bool
}

func (h *hostSeen) ended(now time.Time, err *eventsv2.Error) {
	fails := err != nil && err.Status != 429 && !err.Rejected
	h.ends = append(h.ends, hostEnd{now, fails})
	h.ends = h.ends[max(0, len(h.ends)-20):]
	failing := h.fails(now)
	if failing && !h.failing {
		h.began = now
	}
	if failing || h.failing {
		h.slow = now
	}
	h.failing = failing
}

// fails reports whether most of the recent attempts have failed.
func (h *hostSeen) fails(now time.Time) bool {
	n, failed := 0, 0
	for _, e := range h.ends {
		if now.Sub(e.at) <= 10*time.Second {
			n++
			if e.fails {
				failed++
			}
		}
	}
	return n >= 10 && 2*failed > n
}

// slows reports whether the host gets few requests, as it fails, or has just come back.
func (h *hostSeen) slows(now time.Time) bool {
	since := now.Sub(h.slow)
	return !h.slow.IsZero() && (since < 11*time.Second || h.failing && since <= time.Minute)
}

// limits is the sum of the limits of the lanes that send to the host.
func (c *checker) limits(host string) (sum int) {
	for _, r := range c.w.routes {
		if r.host == host {
			sum += r.allowed(c.w.now)
		}
	}
	return sum
}

// budgetOf is what a host may get in a minute: the limits of its lanes together. Only the
// scheduler knows which lanes are open, and the others do not count.
func (c *checker) budgetOf(host string) (sum int) {
	for _, s := range c.w.core.Statuses(c.w.wall()) {
		if c.w.routes[s.Lane].host == host {
			sum += s.Limit
		}
	}
	return sum
}

// inMinute is how many requests a host got in the minute that ends now.
func (c *checker) inMinute(host string) int {
	h := c.hosts[host]
	h.starts = slices.DeleteFunc(h.starts, func(at time.Time) bool { return c.w.now.Sub(at) >= time.Minute })
	return len(h.starts)
}

// budget counts what a host gets.
func (c *checker) budget(host string) {
	if c.down[host] || c.w.now.Sub(c.hosts[host].up) <= 20*time.Millisecond { // the claim of a probe may have been out
		return
	}
	h, now := c.hosts[host], c.w.now
	h.starts = append(h.starts, now)
	if n, most := c.inMinute(host), c.limits(host); n > most {
		c.w.fatalf("%s has got %d requests within a minute, its lanes may send %d", host, n, most)
	}
	if !h.failing || now.Sub(h.slow) >= time.Minute {
		return
	}
	last := 0
	for _, at := range h.starts {
		if at.Sub(h.began) > 10*time.Millisecond && now.Sub(at) < time.Second { // a claim may have been out
			last++
		}
	}
	c.reached["most fail"]++
	if most := 20; last > most {
		c.w.fatalf("%s has got %d requests within a second while most attempts fail, it may get %d", host, last, most)
	}
}
