package lane

import (
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Condition is what a lane does right now, in one word.
type Condition string

// The conditions, from the one that an operator set to the ordinary ones.
const (
	Paused      Condition = "paused"                  // by an operator
	Stopped     Condition = "upstream_not_configured" // what is queued was accepted for an upstream that the configuration does not name for the key
	Unreachable Condition = "upstream_unreachable"    // the host cannot be reached; probes go out
	KeyRejected Condition = "key_rejected"            // PagerDuty rejects the key; single events try it
	Throttled   Condition = "rate_limited"            // by a 429
	Failing     Condition = "failing"                 // attempts end in 5xx, time-outs or lost connections, and none was accepted since
	AtLimit     Condition = "at_limit"                // the window is full, or what the upstream may get; events leave as it moves
	Delivering  Condition = "delivering"              // something is queued or in flight, nothing holds it up
	Idle        Condition = "idle"                    // nothing is queued
)

// Conditions are all of them.
var Conditions = []Condition{Paused, Stopped, Unreachable, KeyRejected, Throttled, Failing, AtLimit, Delivering, Idle}

// Status is what the scheduler knows of a lane, for people, metrics and package outlook.
type Status struct {
	Lane       int64
	Condition  Condition
	Until      time.Time // when the pause, the full window or the time to the next probe ends; zero if nothing holds it up, or that is not known
	Together   bool      // at its limit by what its upstream may get of all lanes together
	Limit      int       // configured: the most events per 60 s
	Start      int       // configured: what is used of that until the account has shown to take more
	Learned    int       // what is really used: at most Limit
	Took       int       // the most that PagerDuty has certainly accepted within a minute since a 429 that was about the lane, or before it; 0 if none came in the last hour
	Used       int       // slots of the window that are taken: accepted in the last 60 s, and in flight
	InFlight   int       //
	Throttled  int       // 429s since the start
	Attempts   int       // since the start
	Delivered  int       // since the start
	Refused    int       // since the start
	KeyRefused bool      // PagerDuty refused the key the last time that it was used
	Record     Record    // of its attempts
	Upstream   Upstream  // that it sends to

	PausedUntil  time.Time     // by the last 429, whatever the condition is
	Pauses       int           // by 429s in a row
	Roomy        bool          // the last 429 came although most of the window was free: the end of the pause says nothing
	Alone        bool          // one event goes out at a time, until something is accepted
	Critical     int           // of InFlight, critical ones
	Busy         int           // places of the lane that are taken: in flight, or their end is not on the disk yet
	Most         int           // places of the lane for critical events
	Before       int           // lanes whose critical events have their turn before those of this lane
	Places       int           // for these, of the relay
	Crowded      bool          // the relay itself has no place for a critical event of the lane
	Free         int           // slots of the window that a critical event may take now; below 0 if the limit was lowered since
	Frees        []int         // slots that become free within each second from now on; the last one has those of attempts in flight
	StoreFailing bool          // the queue cannot be written: nothing is sent
	StoreSilent  time.Duration // for how long the store has not answered a claim
	Retry        time.Duration // the longest wait between two attempts of one of its critical events
	// Sister is the lane of its pool by which a new critical chain leaves now, as this one
	// cannot send it; nil if there is none.
	Sister *Status
}

// Forecast returns how long waiting events take to leave when nothing is added
// and nothing fails: the first ones use the free slots of the window, the rest
// leaves at the lane's rate. ok is false if that is unknown: somebody has to act first, or
// nothing was accepted since the last failure.
func (s Status) Forecast(counts queue.Count, now time.Time) (d time.Duration, ok bool) {
	switch s.Condition {
	case Paused, Stopped, KeyRejected, Unreachable, Failing:
		return 0, false
	}
	if s.Pauses > 1 || s.StoreFailing {
		return 0, false
	}
	if s.Until.After(now) {
		d = s.Until.Sub(now)
	}
	free := max(0, s.Learned-s.Used)
	if rest := counts.Total() - free - 1; rest > 0 { // one leaves when the wait is over
		d += time.Duration(rest) * time.Minute / time.Duration(max(1, s.Learned))
	}
	return d, true
}

// Stirring returns the numbers of the lanes of which something may have to be told, in
// any order: those to which something has happened since [Core.Report] found nothing. A
// lane that the configuration names has nothing to tell for days, and costs nothing then.
// While an upstream cannot be reached, or has accepted nothing since its last failure,
// that has to be told of each of its lanes, and these are all that there are.
func (c *Core) Stirring() []int64 {
	if slices.ContainsFunc(c.ordered, func(h *host) bool { return h.troubled() }) {
		all := make([]int64, 0, len(c.lanes))
		for id := range c.lanes {
			all = append(all, id)
		}
		return all
	}
	ids := make([]int64, 0, c.stirring.Len())
	for at := c.stirring.Front(); at != nil; at = at.Next() {
		ids = append(ids, at.Value.(*lane).stored.ID)
	}
	return ids
}

// Report tells how a lane stands; false if it has nothing to do, and has had nothing for
// a minute. It is not among [Core.Stirring] then until something happens to it.
func (c *Core) Report(now time.Time, id int64) (Status, bool) {
	s, ok := c.Status(now, id)
	if ok && s.Condition == Idle && s.Used == 0 && s.InFlight == 0 && !s.KeyRefused && !c.lanes[id].host.troubled() {
		c.calm(c.lanes[id])
		return s, false
	}
	return s, ok
}

func (c *Core) calm(l *lane) {
	if l.stirs != nil {
		c.stirring.Remove(l.stirs)
		l.stirs = nil
	}
}

// Status tells how a lane stands; false if the core does not know it, as it has
// nothing to do.
func (c *Core) Status(now time.Time, id int64) (Status, bool) {
	l := c.lanes[id]
	if l == nil {
		return Status{}, false
	}
	return c.statusWith(now, l), true
}

// Statuses tells how every lane stands, in the order of their numbers.
func (c *Core) Statuses(now time.Time) []Status {
	all := make([]Status, 0, len(c.lanes))
	for _, l := range c.lanes {
		all = append(all, c.statusWith(now, l))
	}
	slices.SortFunc(all, func(a, b Status) int { return int(a.Lane - b.Lane) })
	return all
}

// Prospect is the status of a lane that is not open, as it would be opened now.
func (c *Core) Prospect(now time.Time, in Opened) Status {
	l := c.newLane(now, in)
	l.way = in.Way
	l.host = newHost(in.Host)
	l.host.unproven = c.unproven[in.Host]
	if h := c.hosts[in.Host]; h != nil {
		*l.host = *h
	}
	l.host.counts(l)
	l.pool = c.pools[in.Pool]
	return c.statusWith(now, l)
}

// statusWith is the status of a lane with that of its sister. What tries a rejected key
// and meets that again leaves by the sister at once.
func (c *Core) statusWith(now time.Time, l *lane) Status {
	s := c.statusOf(now, l)
	if l.pool == nil {
		return s
	}
	if to := l.successor(now, queue.Critical); to != nil {
		s.Sister = new(c.statusOf(now, to))
		return s
	}
	why, _ := l.trouble(now, queue.Critical)
	if why == "" && !s.KeyRefused {
		return s
	}
	if to, _, _ := l.pool.able(now, l, queue.Critical, why); to != nil {
		s.Sister = new(c.statusOf(now, to))
	}
	return s
}

func (c *Core) statusOf(now time.Time, l *lane) Status {
	s := l.stats
	s.Lane, s.Limit, s.Start, s.Learned = l.stored.ID, l.limit, l.start, l.rate()
	if now.Sub(l.limited) < calm {
		s.Took = l.surely
	}
	s.Used, s.InFlight = l.used(now), len(l.flying)
	s.KeyRefused = !l.stored.KeyRefused.IsZero()
	s.Condition, s.Until = l.condition(now)
	s.Together = s.Condition == AtLimit && l.free(now, common) >= 1
	s.Record, s.Upstream = l.record.report(now, l.host.record.over(now)), l.host.report(now)
	s.Pauses, s.Alone, s.Retry = l.stored.Pauses, l.gentle || s.KeyRefused, l.longestRetry(now)
	s.Roomy = l.record.roomy && l.host.budget.account.limit == 0 // else it was the account's, which is known
	if now.Before(l.stored.PausedUntil) {
		s.PausedUntil = l.stored.PausedUntil
	}
	for _, f := range l.flying {
		if f.event.Priority == queue.Critical {
			s.Critical++
		}
	}
	s.Busy, s.Most, s.Crowded = len(l.flying)+l.settling, l.most(true), !c.place(l)
	s.Free, s.Frees = l.rate()-s.Used, l.frees(now)
	s.Before, s.Places = c.turns(l)
	s.StoreFailing = c.failing || now.Before(c.retryAt)
	if c.out != nil {
		s.StoreSilent = now.Sub(c.asked)
	}
	return s
}

func (l *lane) condition(now time.Time) (Condition, time.Time) {
	busy := l.hints() || len(l.flying) > 0
	room, at := l.host.budget.room(now)
	switch {
	case l.stored.Held:
		return Paused, time.Time{}
	case l.way.Stopped:
		return Stopped, time.Time{}
	case l.host.down:
		return Unreachable, l.host.next(now)
	case l.keyWaits(now):
		return KeyRejected, l.rejectedUntil
	case now.Before(l.stored.PausedUntil):
		return Throttled, l.stored.PausedUntil
	case !l.stored.KeyRefused.IsZero(): // the next event tries it; what has failed before says nothing any more
		return KeyRejected, time.Time{}
	case l.record.failures > 0 && now.Before(l.active.Add(l.rules.window)): // what failed comes back within that, or was given up
		return Failing, time.Time{}
	case l.hints() && l.free(now, common) < 1:
		return AtLimit, l.freeAt(now, false)
	case l.hints() && room[kindOf(l.hinted[queue.Critical])] < 1:
		return AtLimit, at
	case busy:
		return Delivering, time.Time{}
	}
	return Idle, time.Time{}
}

// keyWaits reports whether the lane waits because its key was rejected.
func (l *lane) keyWaits(now time.Time) bool {
	return !l.stored.KeyRefused.IsZero() && now.Before(l.rejectedUntil)
}
