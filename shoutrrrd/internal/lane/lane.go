package lane

import (
	"container/list"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// lane is one lane's state.
type lane struct {
	rules  *rules
	stored queue.Lane // what the store keeps of it; a Save writes it
	listed bool       // the configuration names its key: it is never closed
	way    Way        // what the configuration says of what is queued
	gone   bool       // closed or forgotten; a claim may still name it
	lost   bool       // the store has deleted it, but the end of an attempt is not reported yet
	host   *host      // that it sends to
	// failedIn says in which outage of the host, counted by its falls, an attempt of the
	// lane has failed and none was accepted since; 0 is none.
	failedIn int
	limit    int // configured: the most events per 60 s
	start    int // configured: what is used of that until the account has shown to take more
	counted  int // of its limit in that of its host

	// pool is what the lane belongs to, nil for none. Of the priorities in unsearched there
	// may be new chains in the store that have to move if the lane cannot send; looked is
	// up to which of their heads was looked at, and in cameLate something has become ready
	// since that began, perhaps before the place that it has reached. movedAt is when
	// chains last moved to it.
	pool                 *pool
	unsearched, cameLate [queue.Ranks]bool
	looked               [queue.Ranks]int64
	movedAt              time.Time

	// hinted says of which priorities something may be ready in the store; of the
	// others nothing is. Announcements that come while a claim is out are noted in
	// fresh as well, as the claim may have been answered before them.
	hinted, fresh [queue.Ranks]bool

	queue    *list.List // of its host, in which it waits for its turn; nil if it must not send now
	place    *list.Element
	since    uint64 // when it entered that queue, as a number
	asks     int    // of the claim that is out
	flying   map[int64]flight
	stirs    *list.Element   // its place among the core's stirring lanes, nil if it is not there
	settling int             // attempts that were answered and are not settled on the disk
	windows  [trusted]window // slots of the last 60 s, common and reserved ones
	turn     int             // common slots that were given out, for every tenth
	launched time.Time       // when the last attempt started
	retrying window          // until when each critical event waits that has failed
	repeated window          // slots of the reserved share that critical events have taken which had failed before
	failed   time.Time       // when a critical event last failed
	active   time.Time       // when something last happened, or will: it is not closed for a while after that

	probed  time.Time // when a critical event last tried the lane while it was rate limited
	gentle  bool      // after a 429, until something is accepted: one at a time
	others  bool      // the first 429 since an acceptance came although the window had room: it was not about this lane
	took    bool      // something was accepted since the last 429
	opened  time.Time // the core has it since then: what was sent before is not known for certain
	limited time.Time // the last 429
	surely  int       // what PagerDuty had certainly accepted within a minute when one came that was about the lane, or has since; 0 if none was
	grown   time.Time // when the learned limit last changed
	paged   time.Time // when a critical event was last seen, or will be due

	full     bool      // the common share was full since the lane last had nothing to send
	gathered time.Time // when a burst was last made up for a try, see [lane.gather]

	rejections    int       // of the key, by probes in a row
	rejectedUntil time.Time // PagerDuty rejects the key: the next probe
	stalled       time.Time // the store could not answer for this lane: it is not asked before then

	had    map[int64]bool // events that are too old by dates alone and that its upstream has had, see [Core.tooOld]; at most those that wait to be sent again
	empty  int            // claims in a row that gave nothing, although there may be more
	record record         // of the attempts
	alarm  time.Time      // when it is looked at again
	stats  Status         // of which only the totals are used
}

// flight is an attempt that has not been answered.
type flight struct {
	event      queue.Event
	slot       share // of the lane's window
	kind       int   // of its part in what its host may get
	place      share // of the relay's capacity
	host       *host // that it goes to: a lane's can change meanwhile
	started    time.Time
	accepted   time.Time     // when the host had last accepted something before that
	sent       *list.Element // its place among those in flight of the host
	sentOfLane *list.Element // the same of the lane
	try        bool          // beyond the common share, see [lane.try]
	probe      bool          // by a critical event, while the lane was rate limited
	throttled  int           // 429s that the lane had met when it started
	rejections int           // of the key, when it started
	hedge      *hedge        // of a critical event; nil if there will be no second copy
}

func (c *Core) open(now time.Time, in Opened) {
	if c.lanes[in.Lane.ID] != nil {
		return
	}
	l := c.newLane(now, in)
	c.lanes[in.Lane.ID] = l
	c.attach(now, l, in.Host)
	c.enroll(l, in.Pool)
	for _, a := range in.Recent {
		l.holdAny(now, earlier(a.At, in.Began)) // a later one is of a wrong clock, in a file of an earlier version
	}
	if in.Unclean {
		for range l.unknown(in) {
			l.holdAny(now, in.Began)
		}
	}
	l.gentle, l.others = l.stored.Pauses > 0, l.roomy(now)
	c.lead(now, l, in.Way)
	l.probed = now // the last process may just have probed
	if in.Waited > 0 {
		l.paged = now.Add(longestWait)
	}
	c.look(now, l)
}

// longestWait is how long a store lets anything wait at most that it opens with.
const longestWait = time.Minute

// unknown is how many events can have been in flight when the last process crashed, and
// have been accepted: no more than the lane makes attempts at once, and beside critical
// ones, which are queued still, no more than had a slot of the common share. What has taken
// those for certain was not critical. To assume more would use up the reserved share for a
// minute after each crash in a storm.
func (l *lane) unknown(in Opened) int {
	milder := l.room(common)
	for _, a := range in.Recent {
		if !a.Critical {
			milder--
		}
	}
	return min(l.most(true), max(0, milder)+in.Waited)
}

// newLane is a lane of which nothing is known but what is configured and stored.
func (c *Core) newLane(now time.Time, in Opened) *lane {
	l := &lane{
		rules: &c.rules, stored: in.Lane, listed: in.Listed, way: Way{Retiring: in.Way.Retiring},
		grown: now, active: now, opened: now, took: len(in.Recent) > 0,
	}
	l.limit, l.start = limits(in.Limit, in.Start)
	// A pause outlives a restart; in a file of an earlier version it may be one of a wrong clock.
	if latest := now.Add(maxPause); l.stored.PausedUntil.After(latest) {
		l.stored.PausedUntil = latest
	}
	if l.stored.Ceiling > 0 { // when the 429 came that taught it is not stored: it may have been just now
		l.limited = now
	}
	if l.start == l.limit && l.stored.Ceiling == 0 { // grown where the limit was less than this fixed one
		l.stored.Learned = 0
	}
	return l
}

// forget drops a lane that the store has deleted. That can be heard before the ends of
// its last attempts, which are on the disk.
func (c *Core) forget(now time.Time, id int64) {
	l := c.lanes[id]
	if l == nil {
		return
	}
	switch {
	case len(l.flying) > 0:
		c.fault(now, "a lane was forgotten that has something in flight", id, 0)
	case l.settling > 0:
		l.lost = true
	default:
		c.drop(l)
		c.decide(now, Close{id})
	}
}

// drop takes a lane out of everything.
func (c *Core) drop(l *lane) {
	c.unqueue(l)
	c.calm(l)
	delete(c.lanes, l.stored.ID)
	l.gone, l.alarm = true, time.Time{}
	c.detach(l)
	c.enroll(l, "")
}

func (c *Core) configure(now time.Time, in Configured) {
	l := c.lanes[in.Lane]
	if l == nil {
		return
	}
	l.listed = in.Listed
	c.enroll(l, in.Pool)
	c.lead(now, l, in.Way)
	if l.relimit(limits(in.Limit, in.Start)) {
		c.decide(now, Save{l.stored})
	}
	if l.host.name != in.Host {
		c.unqueue(l)
		c.detach(l)
		c.attach(now, l, in.Host)
	}
	l.tryKeyAgain()
	c.look(now, l)
}

// lead takes what the configuration says of what is queued in a lane.
func (c *Core) lead(now time.Time, l *lane, way Way) {
	was := l.way
	l.way = way
	switch {
	case way.Stopped && !was.Stopped:
		c.decide(now, Tell{Lane: l.stored.ID, What: WayLost})
	case !way.Stopped && was.Stopped:
		c.decide(now, Tell{Lane: l.stored.ID, What: WayFound})
	}
	if way.Retiring && !was.Retiring {
		l.unsearched, l.looked = [queue.Ranks]bool{true, true, true, true}, [queue.Ranks]int64{}
	}
}

// limits are what the configuration says: the most, and what to begin with.
func limits(most, start int) (limit, begin int) {
	limit = max(1, most)
	if start <= 0 {
		return limit, limit
	}
	return limit, min(start, limit)
}

// relimit takes a limit that somebody has changed. It holds at once: where more is to be
// used than before, what was learned of less is forgotten, and so is what a fixed limit
// has not been taught by a 429. It reports whether anything was.
func (l *lane) relimit(limit, start int) (forgot bool) {
	if l.limit == limit && l.start == start {
		return false
	}
	fixed := limit == start
	s := &l.stored
	if start > l.start && s.Learned < start || fixed && (s.Learned >= limit || s.Ceiling == 0) {
		forgot = s.Learned != 0 || s.Ceiling != 0
		s.Learned, s.Ceiling = 0, 0
	}
	l.limit, l.start = limit, start
	return forgot
}

// try ends whatever keeps the lane waiting because of what PagerDuty has said.
func (c *Core) try(now time.Time, l *lane) {
	l.tryKeyAgain()
	l.stalled, l.probed = time.Time{}, time.Time{}
	if now.Before(l.stored.PausedUntil) {
		l.stored.PausedUntil = time.Time{}
		c.decide(now, Save{l.stored})
	}
}

func (c *Core) hold(now time.Time, in Hold) {
	l := c.lanes[in.Lane]
	if l == nil {
		return
	}
	l.stored.Held, l.stored.HeldBy = in.Held, in.By
	if !in.Held {
		c.try(now, l)
	}
	c.look(now, l)
}

// tryKeyAgain ends the wait of a lane whose key was rejected: somebody may have
// repaired that. One event tries it.
func (l *lane) tryKeyAgain() { l.rejections, l.rejectedUntil = 0, time.Time{} }

func (c *Core) settled(now time.Time, in Settled) {
	if l := c.lanes[in.Lane]; l != nil {
		c.take(now, &l.settling, -1, "settlements in hand")
		c.look(now, l)
		if l.lost && !l.gone {
			c.forget(now, in.Lane)
		}
	}
}

func (l *lane) hint(rank queue.Rank) {
	l.hinted[rank] = true
	l.search(rank)
	if l.asks > 0 {
		l.fresh[rank] = true
	}
}

func (l *lane) hints() bool { return l.mostSevere() >= 0 }

// mostSevere is the most severe priority that may be ready, -1 if none is.
func (l *lane) mostSevere() int { return slices.Index(l.hinted[:], true) }

// ranks is of how many priorities something may be ready.
func (l *lane) ranks() (n int) {
	for _, hinted := range l.hinted {
		if hinted {
			n++
		}
	}
	return n
}

// look puts a lane into the queue of those that may send, or sets its alarm for
// when it may. It is called after everything that can change that.
func (c *Core) look(now time.Time, l *lane) {
	if !l.gone && l.stirs == nil {
		l.stirs = c.stirring.PushBack(l)
	}
	if !l.gone {
		l.host.counts(l)
	}
	c.stir(l)
	switch {
	case l.gone || l.asks > 0:
		return // it is looked at again once the claim is answered
	case !l.hints():
		l.full = false
		c.unqueue(l)
		c.rest(now, l)
		return
	case l.stored.Held, l.way.Stopped, l.hasToMove(now):
		c.unqueue(l)
		return
	}
	l.active = latest(l.active, now)
	w := l.next(now)
	if now.Before(l.stalled) {
		w = want{at: l.stalled}
	}
	if w.n == 0 {
		c.unqueue(l)
		c.wake(l, w.at)
		return
	}
	rank := queue.Rank(l.mostSevere())
	if w.critical {
		rank = queue.Critical
	}
	c.enqueue(l, rank)
}

// rest closes a lane that has nothing to do and of which nothing has to be
// remembered, so that the memory does not grow with keys that were used once. It
// waits for the length of the window: until then the slots count, and what failed
// comes back.
func (c *Core) rest(now time.Time, l *lane) {
	s := &l.stored
	if l.listed || s.Held || s.Ceiling > 0 || s.Pauses > 0 || len(l.flying)+l.settling > 0 {
		return // an answer or an operator comes back here; a learned limit grows by use
	}
	if until := latest(l.active.Add(l.rules.window), s.PausedUntil); now.Before(until) {
		c.wake(l, until)
		return
	}
	c.drop(l)
	c.decide(now, Close{s.ID})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
