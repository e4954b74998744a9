package lane

import (
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// mostLanes is how many lanes one claim asks for. What comes meanwhile goes into the
// next claim, so claims grow with the load, and an idle relay claims one event at a
// time.
const mostLanes = 64

// mostEmpty is how many claims in a row may give nothing of a lane although there may
// be more, since all that they met is damaged. After that a lane is asked once in
// claimAgain.
const mostEmpty = 10

// claim is what the store was asked for.
type claim struct {
	token uint64
	asks  []ask
}

// ask is one part of a claim. Its places are taken from the moment that it is made.
type ask struct {
	lane  *lane
	host  *host
	pick  queue.Pick
	n     int
	slot  share // of the lane's window that is used
	place share // of the capacity that is used

	probe    bool // of a host that is down
	ordinary bool // one of those at growing intervals
	limited  bool // to try a lane that is rate limited
	try      bool // beyond the common share, see [lane.try]
}

// The queues of a host, in the order in which they have their turn. Of the critical
// events those of lanes whose keys the configuration lists go first, then those of proven
// lanes, of which PagerDuty has accepted something. Whoever reaches the events listener
// can make up ten thousand other keys: strangers go last. Listed lanes that try a rejected
// key go one step behind, as a reload lets hundreds try theirs at once, and so do those
// that have ownPlaces in flight: what hangs of a few is not to keep the others waiting.
// While the host is down, lanes of which an attempt has failed in this outage go behind
// those of the same standing of which none has: each of these queues is followed by one
// for them.
const (
	listedCritical   = 0
	provenCritical   = 2
	strangerCritical = 4
	milder           = 6 // and one for each rank below that
	queues           = milder + queue.Ranks - 1
)

// ownPlaces is how many of the places that are for listed lanes alone one of them takes.
const ownPlaces = 2

// queueOf returns the queue for the lane's events of that rank.
func (c *Core) queueOf(l *lane, rank queue.Rank) int {
	rank = max(rank, queue.Rank(queue.Ranks-c.rules.ranks))
	if rank > queue.Critical {
		return milder + int(rank-queue.Error)
	}
	q, valid := strangerCritical, l.stored.KeyRefused.IsZero()
	switch {
	case l.listed && valid && len(l.flying) < ownPlaces, c.rules.naive:
		q = listedCritical
	case l.stored.Proven && valid, l.listed:
		q = provenCritical
	}
	if l.host.down && l.failedIn == l.host.falls {
		q++
	}
	return q
}

// enqueue lets a lane wait for its turn to send. It keeps its place in its queue as
// long as that does not change.
func (c *Core) enqueue(l *lane, rank queue.Rank) {
	to := l.host.lanes[c.queueOf(l, rank)]
	if l.queue == to {
		return
	}
	c.unqueue(l)
	c.queued++
	l.queue, l.place, l.since = to, to.PushBack(l), c.queued
}

func (c *Core) unqueue(l *lane) {
	if l.queue != nil {
		l.queue.Remove(l.place)
		l.queue, l.place = nil, nil
	}
}

// dispatch gives the free places to the lanes that may send: the most severe first,
// those of one rank in turn, and every tenth place to the lane that has waited
// longest, so that nothing starves. It asks the store for all of them at once.
func (c *Core) dispatch(now time.Time) {
	if c.out != nil || c.failing || c.stopping {
		return
	}
	if now.Before(c.retryAt) {
		c.ring(alarm{at: c.retryAt, set: &c.coreWake})
		return
	}
	out := &claim{}
	for range mostLanes {
		h, l, longest := c.choose(now)
		if l == nil {
			break
		}
		waiting := l.queue.Len()
		c.unqueue(l)
		w := l.next(now)
		if w.n == 0 { // what made it wait came with the time
			c.wake(l, w.at)
			continue
		}
		c.ask(now, out, h, l, w, waiting, longest)
	}
	if len(out.asks) == 0 {
		return
	}
	c.token++
	out.token = c.token
	c.out, c.asked = out, now
	asks := make([]queue.Ask, len(out.asks))
	for i, a := range out.asks {
		asks[i] = queue.Ask{Lane: a.lane.stored.ID, Pick: a.pick, N: a.n}
	}
	c.decide(now, Claim{out.token, asks})
}

// choose returns the lane whose turn it is, and whether it has its turn because it
// has waited longest. It looks at the hosts, which are few, and at the first lane of
// each of their queues.
func (c *Core) choose(now time.Time) (*host, *lane, bool) {
	var first, oldest *lane
	turn := 0 // of the first one's queue
	for _, h := range c.ordered {
		open := c.openQueues(now, h)
		for q, lanes := range h.lanes[:open] {
			if lanes.Len() == 0 {
				continue
			}
			l := lanes.Front().Value.(*lane)
			if !h.down && q < milder {
				q &^= 1 // the outage in which some of them failed is over
			}
			if first == nil || q < turn || q == turn && l.since < first.since {
				first, turn = l, q
			}
			if open == queues && !h.down && (oldest == nil || l.since < oldest.since) {
				oldest = l
			}
		}
	}
	if first == nil {
		return nil, nil, false
	}
	h := first.host
	longest := c.rules.oldest > 0 && c.turn%c.rules.oldest == c.rules.oldest-1
	if h.down { // a few severe events that always fail must not be all that is tried
		longest, oldest = c.openQueues(now, h) == queues && h.probes%2 == 1, h.longest()
	}
	if longest && oldest != nil && oldest != first {
		return oldest.host, oldest, true
	}
	return h, first, false
}

// openQueues is how many of a host's queues may send, the first ones.
func (c *Core) openQueues(now time.Time, h *host) int {
	open := 0
	switch {
	case c.free(h, common) > 0:
		open = queues
	case c.free(h, reserved) > 0:
		open = milder
	case c.free(h, trusted) > 0:
		open = strangerCritical
	case c.free(h, listed) > 0:
		open = provenCritical
	}
	switch room, at := h.budget.room(now); {
	case h.down:
	case room[others] == 0:
		if h.head(queues) != nil {
			c.wakeHost(h, at)
		}
		if open = min(open, milder); room[severe] == 0 {
			open = 0
		}
		return open
	}
	if !h.down || !now.Before(h.probeAt) {
		return open
	}
	switch at := h.nextProbe(); {
	case at.After(now):
		c.wakeHost(h, at)
		return 0
	case at.IsZero():
		return 0
	}
	return min(open, milder)
}

// free is how many places a host may still take of a share: at most so many that its
// attempts are hostShare times those that stay free for the others. One that is down
// takes one for a probe, however many of its attempts hang, but not the last one, which
// a probe that hangs as well would keep from all others.
func (c *Core) free(h *host, of share) int {
	if h.down {
		left := c.places[of] - c.taken[of]
		if h.taken != [shares]int{} {
			left--
		}
		return max(0, min(1, left))
	}
	spare := c.rules.hostShare*(c.places[of]-c.taken[of]) - h.taken[of]
	if spare <= 0 {
		return 0
	}
	return min(c.places[of]-c.taken[of], max(1, spare/(c.rules.hostShare+1)))
}

// ask asks for events of a lane. When places are short, they are divided among the
// lanes that wait for the same.
func (c *Core) ask(now time.Time, out *claim, h *host, l *lane, w want, waiting int, longest bool) {
	a := ask{
		lane: l, host: h, pick: queue.MostUrgent, slot: w.slot, place: common,
		probe: h.down, ordinary: !now.Before(h.probeAt), limited: now.Before(l.stored.PausedUntil),
		try: w.try,
	}
	if w.critical || l.hinted[queue.Critical] && !longest {
		a.pick = queue.OnlyCritical
		for a.place < listed && c.free(h, a.place) == 0 {
			a.place++
		}
	}
	n := min(w.n, max(1, c.free(h, a.place)/max(1, waiting)))
	room, _ := h.budget.room(now)
	if !h.down {
		n = min(n, max(1, room[a.kind()]))
	}
	if a.place == listed {
		n = min(n, max(1, ownPlaces-len(l.flying)))
	}
	if h.down {
		if a.pick == queue.OnlyCritical { // those that always fail are not to keep one that was never tried
			a.pick = queue.LeastTried
		}
		h.probed(c, now, a)
	}
	oldest := 0
	switch turns := l.rules.oldest; {
	case w.critical, a.pick == queue.LeastTried:
	case longest:
		n, oldest = 1, 1
	case w.slot == common && a.place == common && turns > 0 && l.ranks() > 1 && (h.down || room[others] > 0): // of one rank the most urgent is the oldest
		oldest = (l.turn+n)/turns - l.turn/turns
	}
	if a.place == common {
		c.turn++
	}
	if a.pick == queue.OnlyCritical && now.Sub(l.failed) < 2*maxRetry { // those that fail are not to keep a new one
		a.pick = queue.LeastTried
	}
	if n > oldest {
		c.add(out, a, a.pick, n-oldest)
	}
	if oldest > 0 {
		c.add(out, a, queue.Oldest, oldest)
	}
}

// kind is the part of its host's budget that an ask takes.
func (a *ask) kind() int { return kindOf(a.pick == queue.OnlyCritical || a.pick == queue.LeastTried) }

func (c *Core) add(out *claim, a ask, pick queue.Pick, n int) {
	a.pick, a.n = pick, n
	if a.lane.asks == 0 {
		a.lane.fresh = [queue.Ranks]bool{}
	}
	a.lane.asks++
	a.host.taken[a.place] += n
	a.host.budget.asked[a.kind()] += n
	c.taken[a.place] += n
	out.asks = append(out.asks, a)
}

// claimed sends what the store gave.
func (c *Core) claimed(now time.Time, in Claimed) {
	out := c.out
	known := out != nil && out.token == in.Token
	if !known || !in.Failed && len(in.Taken) != len(out.asks) {
		c.fault(now, "an answer that fits no claim", 0, int64(in.Token))
		for _, t := range in.Taken {
			c.release(now, t.Events)
		}
		in.Failed = true
	}
	if !known {
		return
	}
	c.out = nil
	if in.Failed {
		c.retryAt = now.Add(claimAgain)
	}
	for _, a := range out.asks {
		c.take(now, &a.host.taken[a.place], -a.n, "places of a host")
		c.take(now, &a.host.budget.asked[a.kind()], -a.n, "requests of a host")
		c.take(now, &c.taken[a.place], -a.n, "places")
		a.lane.asks--
	}
	for i, a := range out.asks {
		t := Taken{Failed: true}
		if !in.Failed {
			t = in.Taken[i]
		}
		c.received(now, a, t)
	}
	for _, a := range out.asks {
		c.look(now, a.lane)
		c.tidy(a.host)
	}
}

// received takes the answer to one ask.
func (c *Core) received(now time.Time, a ask, t Taken) {
	l := a.lane
	switch {
	case t.Failed:
		a.host.unprobed(a, now)
		if !l.gone {
			l.stalled = now.Add(claimAgain)
		}
		return
	case l.gone, !c.wanted(now, a) && len(t.Events) > 0: // what is given back is announced anew
		c.release(now, t.Events)
		a.host.unprobed(a, now)
		return
	}
	l.stalled = time.Time{}
	l.learn(a, t.Taken)
	if l.empty++; len(t.Events) > 0 || !t.More {
		l.empty = 0
	}
	if l.empty >= mostEmpty {
		l.stalled = now.Add(claimAgain)
	}
	started, back := 0, []queue.Event(nil)
	for _, e := range t.Events {
		if c.tooOld(now, l, &e) {
			delete(l.had, e.ID)
			c.settle(now, l, queue.Settlement{
				ID: e.ID, Claim: e.Claim, State: queue.Expired, At: now, Attempts: e.Attempts, Status: e.Status,
				Reason: "older than " + c.o.MaxAge.String() + " before it could leave",
			})
			continue
		}
		// On a slow disk the claim was out for seconds, in which the host may have begun to fail.
		if room, _ := a.host.budget.room(now); !a.probe && room[kindOf(e.Priority == queue.Critical)] < 1 {
			back = append(back, e)
			continue
		}
		started++ // also if it is not the turn of this one
		if at := l.postponed(now, a, &e); !at.IsZero() {
			c.settle(now, l, queue.Settlement{
				ID: e.ID, Claim: e.Claim, State: queue.Waiting, At: now, Due: at, Attempts: e.Attempts, Status: e.Status, Reason: e.Reason,
			})
			continue
		}
		c.launch(now, a, e)
	}
	c.release(now, back)
	if started == 0 {
		a.host.unprobed(a, now) // another lane may have something
	}
}

// postponed says when a critical event may go that has failed before, if not now: such
// ones take no more than half of the slots that are reserved, so that a new one finds one.
func (l *lane) postponed(now time.Time, a ask, e *queue.Event) (at time.Time) {
	if a.slot != reserved || e.Attempts == 0 || now.Before(l.stored.PausedUntil) || l.reserve() < 2 {
		return time.Time{}
	}
	if l.repeated.held(now) >= l.reserve()/2 {
		at = soonest(l.repeated.first(), l.shareFreeAt(now, common))
	}
	if at = at.Add(behindProbe); !at.After(now.Add(behindProbe)) { // a store keeps milliseconds
		at = time.Time{}
		l.repeated.hold(slot{until: now.Add(l.rules.window)})
	}
	return at
}

// wanted reports whether what was asked for may still leave: an answer, an operator or
// the disk may have changed that while the claim was out.
func (c *Core) wanted(now time.Time, a ask) bool {
	l := a.lane
	return !c.stopping && !c.failing && !l.stored.Held && !l.way.Stopped && !l.keyWaits(now) && (!a.try || l.mayTry(now)) &&
		(a.limited || !now.Before(l.stored.PausedUntil)) && (a.probe || !l.host.down) && (!a.probe || a.host == l.host)
}

// learn changes the hints by what a claim has shown. What was announced while it was
// out may have come after it.
func (l *lane) learn(a ask, t queue.Taken) {
	switch {
	case !t.More && (a.pick == queue.OnlyCritical || a.pick == queue.LeastTried):
		l.hinted[queue.Critical] = false
	case !t.More:
		l.hinted = [queue.Ranks]bool{}
	case a.pick == queue.MostUrgent && len(t.Events) > 0: // they come in the order of their priorities
		for rank := range t.Events[len(t.Events)-1].Priority {
			l.hinted[rank] = false
		}
	}
	for rank, fresh := range l.fresh {
		l.hinted[rank] = l.hinted[rank] || fresh
	}
}

func (c *Core) launch(now time.Time, a ask, e queue.Event) {
	l := a.lane
	f := flight{
		event: e, host: l.host, slot: a.slot, place: a.place, kind: kindOf(e.Priority == queue.Critical), started: now, accepted: l.host.record.accepted,
		try: a.try, probe: now.Before(l.stored.PausedUntil), throttled: l.stats.Throttled, rejections: l.rejections,
	}
	f.event.Body = nil // the attempt has it
	if mayHedge(&e) {
		f.hedge = &hedge{lane: l, id: e.ID}
		c.ring(alarm{at: now.Add(hedgeAfter), set: &f.hedge.due, lane: l, hedge: e.ID})
	}
	b := begun{at: now, of: chainOf(&e), hedge: f.hedge}
	f.sent, f.sentOfLane = f.host.record.left(b), l.record.left(b)
	l.windows[f.slot].flying++
	f.host.taken[f.place]++
	f.host.budget.starts(now, f.kind, a.probe && f.host.down)
	c.taken[f.place]++
	if f.probe {
		l.probed = now
	}
	if e.Priority == queue.Critical {
		l.paged = latest(l.paged, now)
	}
	if f.slot == common {
		l.turn++
	}
	if l.flying == nil {
		l.flying = map[int64]flight{}
	}
	l.flying[e.ID] = f
	l.launched, l.active, c.quiet = now, now, now
	l.stats.Attempts++
	c.decide(now, Attempt{e, f.hedge != nil})
}

func (c *Core) release(now time.Time, events []queue.Event) {
	if len(events) > 0 {
		c.decide(now, Release{events})
	}
}

// settle decides how an event ends for now.
func (c *Core) settle(now time.Time, l *lane, x queue.Settlement) {
	if c.o.Told {
		l.settling++
	}
	c.decide(now, Settle{l.stored.ID, x})
}

// tooOld reports whether an event has expired: it was measured to be too old, or the dates of
// several boots say so and its upstream has had it since this process began. One of those
// dates may be wrong by years, and the event seconds old.
func (c *Core) tooOld(now time.Time, l *lane, e *queue.Event) bool {
	limit := c.maxAge(e)
	if limit <= 0 || now.Sub(e.Fresh) <= limit {
		return false
	}
	return l.had[e.ID] || c.gaps.Measured(e.Fresh, now) > limit
}

// maxAge is how old an event may be; 0 for any age.
func (c *Core) maxAge(e *queue.Event) time.Duration {
	if c.o.MaxAge > 0 && e.Action != "" && e.Action != "trigger" {
		return c.o.MaxAge + resolveGrace
	}
	return c.o.MaxAge
}

// tried notes that an upstream has had an event which is too old by dates alone.
func (c *Core) tried(now time.Time, l *lane, e *queue.Event) {
	if limit := c.maxAge(e); limit > 0 && now.Sub(e.Fresh) > limit {
		if l.had == nil {
			l.had = map[int64]bool{}
		}
		l.had[e.ID] = true
	}
}

// due reports whether something could leave now and has not: the store has not
// answered, or a lane waits although there is a place for it.
func (c *Core) due(now time.Time) bool {
	if c.out != nil {
		return true
	}
	for _, h := range c.ordered {
		if h.down {
			continue
		}
		room, _ := h.budget.room(now)
		switch {
		case room[severe] == 0:
		case room[others] > 0 && c.free(h, common) > 0 && h.head(queues) != nil,
			c.free(h, common)+c.free(h, reserved) > 0 && h.head(milder) != nil,
			c.free(h, trusted) > 0 && h.head(strangerCritical) != nil, c.free(h, listed) > 0 && h.head(provenCritical) != nil:
			return true
		}
	}
	return false
}

// Stalled reports whether something has been due for that long, and no attempt has
// started or ended; or whether attempts are in flight and for twice that long none has
// ended, as within is as long as an attempt takes at most: where they take all places
// for ever, nothing is due any more. A store that is known to fail is not counted: that
// is reported elsewhere, and a new start does not help it.
func (c *Core) Stalled(now time.Time, within time.Duration) bool {
	if c.failing || c.stopping {
		return false
	}
	return c.due(now) && now.Sub(c.quiet) >= within || c.taken != [shares]int{} && now.Sub(c.ended) >= 2*within
}

// longest returns the lane that has waited longest.
func (h *host) longest() (oldest *lane) {
	for _, lanes := range h.lanes {
		if e := lanes.Front(); e != nil {
			if l := e.Value.(*lane); oldest == nil || l.since < oldest.since {
				oldest = l
			}
		}
	}
	return oldest
}

// head returns the first lane of the first queue that has one, of so many.
func (h *host) head(open int) *lane {
	for _, lanes := range h.lanes[:open] {
		if e := lanes.Front(); e != nil {
			return e.Value.(*lane)
		}
	}
	return nil
}
