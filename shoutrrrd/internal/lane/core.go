package lane

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Options are the same for all lanes.
type Options struct {
	// MaxAge is how old an event may be when it leaves. An acknowledge or resolve
	// gets an hour more, so that it is never given up before its trigger.
	MaxAge time.Duration

	// Seed decides all jitter.
	Seed uint64

	// Told says that every settlement that is on the disk is told with [Settled]. An
	// attempt then counts as in flight until that: a disk that stands still cannot
	// hide more acceptances from the next process than it takes for granted after
	// an unclean end.
	Told bool
}

const (
	// resolveGrace is how much longer an acknowledge or resolve is worth sending.
	resolveGrace = time.Hour

	// mostFlying is how many attempts one lane makes at once: at 200 ms each they are
	// 2,400 a minute, far beyond any limit. criticalFlying come on top for critical
	// events, as a server that hangs holds the others for half a minute each.
	mostFlying     = 8
	criticalFlying = 2

	// claimAgain is when a claim is repeated that the store could not answer.
	claimAgain = time.Second
)

// Core is the state of all lanes. It is not safe for concurrent use.
type Core struct {
	o        Options
	rules    rules
	random   *rand.Rand
	lanes    map[int64]*lane
	hosts    map[string]*host
	alarms   alarms
	failing  bool
	stopping bool
	out      []Decision
}

// rules are the numbers of the design. They are fields so that tests can break
// them and see that somebody notices.
type rules struct {
	window     time.Duration // over which PagerDuty counts
	kept       int           // one slot of so many is kept for critical events
	oldest     int           // one slot of so many is the oldest chain's
	probeEvery time.Duration // how often a critical event may try a paused lane
	fromSend   bool          // a slot is held from the start of the attempt on
}

// PagerDuty counts "looking back from the current time"
// (https://developer.pagerduty.com/docs/rate-limits), over a minute.
var designed = rules{window: time.Minute, kept: 10, oldest: 10, probeEvery: 10 * time.Second}

// New returns a core without lanes.
func New(o Options) *Core {
	return &Core{
		o: o, rules: designed, random: rand.New(rand.NewPCG(o.Seed, 0x5eed)),
		lanes: map[int64]*lane{}, hosts: map[string]*host{},
	}
}

// Next returns when a [Tick] is wanted, and false if only another input can
// change anything.
func (c *Core) Next() (time.Time, bool) { return c.alarms.next() }

// lane is one lane's state.
type lane struct {
	rules    *rules
	kept     queue.Lane // what the store keeps of it
	host     *host
	limit    int // configured
	hinted   [queue.Ranks]bool
	claiming bool
	flying   map[int64]flight
	settling int // answered, and not yet on the disk
	windows  [shares]window
	turn     int // slots since the oldest chain had its own
	probed   time.Time
	gentle   bool // after a pause, until something is accepted: one at a time
	took     bool // something was accepted since the last 429
	limited  time.Time
	grown    time.Time
	alarm    time.Time
	stats    Status // of which only the totals are used
}

// flight is an attempt that has not been answered.
type flight struct {
	event     queue.Event
	share     share
	host      *host // that it goes to: a lane's can change meanwhile
	started   time.Time
	trial     bool // of a host that is down
	throttled int  // 429s that the lane had met when it started
}

func (c *Core) open(now time.Time, in Opened) {
	if c.lanes[in.Lane.ID] != nil {
		return
	}
	l := &lane{
		rules: &c.rules, kept: in.Lane, limit: max(1, in.Limit), flying: map[int64]flight{}, grown: now,
		took: len(in.Recent) > 0,
	}
	c.lanes[in.Lane.ID] = l
	c.attach(l, in.Host)
	for _, at := range in.Recent {
		if at.After(now) { // the clock was set back
			at = now
		}
		l.holdAny(now, at)
	}
	if in.Unclean { // as many as can have been in flight
		for range l.most(true) {
			l.holdAny(now, now)
		}
	}
	// A pause outlives a restart, but not a clock that was set back by a day.
	if latest := now.Add(longestPause); l.kept.PausedUntil.After(latest) {
		l.kept.PausedUntil = latest
	}
	if l.kept.Learned > 0 && l.kept.Learned < l.limit {
		l.limited = now
	}
	l.gentle, l.probed = l.kept.Pauses > 0, now // the last process may just have probed
	l.hinted = [queue.Ranks]bool{true, true, true, true}
	c.fill(now, l)
}

func (c *Core) configure(now time.Time, in Configured) {
	l := c.lanes[in.Lane]
	if l == nil {
		return
	}
	if l.limit != in.Limit { // what was learned was learned below the old one
		l.limit = max(1, in.Limit)
		if l.kept.Learned >= l.limit {
			l.kept.Learned, l.kept.Ceiling = 0, 0
		}
	}
	if old := l.host; old.name != in.Host {
		old.lanes = slices.DeleteFunc(old.lanes, func(other *lane) bool { return other == l })
		c.attach(l, in.Host)
		old.giveUpProbe(l)
		c.probe(now, old)
	}
	c.fill(now, l)
}

func (c *Core) attach(l *lane, name string) {
	h := c.hosts[name]
	if h == nil {
		h = &host{name: name}
		c.hosts[name] = h
	}
	h.lanes = append(h.lanes, l)
	l.host = h
}

// fillAll looks at every lane, in the order of their numbers: a map has none, and
// a seed has to replay.
func (c *Core) fillAll(now time.Time) {
	ids := make([]int64, 0, len(c.lanes))
	for id := range c.lanes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c.fill(now, c.lanes[id])
	}
}

func (c *Core) tick(now time.Time) {
	for {
		a, ok := c.alarms.due(now)
		switch {
		case !ok:
			return
		case a.lane != nil && a.lane.alarm.Equal(a.at):
			a.lane.alarm = time.Time{}
			c.fill(now, a.lane)
		case a.host != nil && a.host.alarm.Equal(a.at):
			a.host.alarm = time.Time{}
			c.probe(now, a.host)
		}
	}
}

// fill claims what may leave now, or sets the alarm for when something may.
func (c *Core) fill(now time.Time, l *lane) {
	if c.failing || c.stopping || l.kept.Held || l.claiming || !l.hints() {
		return
	}
	if l.host.down {
		c.probe(now, l.host)
		return
	}
	pick, n, at := l.next(now)
	if n == 0 {
		c.wake(l, at)
		return
	}
	c.claim(l, pick, n)
}

func (c *Core) claim(l *lane, pick queue.Pick, n int) {
	l.claiming = true
	c.decide(Claim{l.kept.ID, pick, n})
}

// claimed sends what was claimed.
func (c *Core) claimed(now time.Time, in Claimed) {
	l := c.lanes[in.Lane]
	l.claiming = false
	if in.Failed {
		l.host.giveUpProbe(l)
		c.wake(l, now.Add(claimAgain))
		return // the alarm rings for the host's other lanes as well
	}
	if len(in.Events) < in.N {
		l.unhint(in.Pick)
	}
	if c.stopping {
		if len(in.Events) > 0 {
			c.decide(Release{in.Events})
		}
		return
	}
	started := 0
	for _, e := range in.Events {
		if c.tooOld(now, &e) {
			c.settle(l, queue.Settlement{
				ID: e.ID, Claim: e.Claim, State: queue.Expired, At: now, Attempts: e.Attempts, Status: e.Status,
				Reason: "older than " + c.o.MaxAge.String() + " before it could leave",
			})
			continue
		}
		started++
		c.launch(now, l, e, in.Pick)
	}
	if started == 0 { // nothing to probe with: another lane may have something
		l.host.giveUpProbe(l)
		c.probe(now, l.host)
	}
	c.fill(now, l)
}

// settle decides how an event ends for now.
func (c *Core) settle(l *lane, x queue.Settlement) {
	if c.o.Told {
		l.settling++
	}
	c.decide(Settle{l.kept.ID, x})
}

func (l *lane) unhint(pick queue.Pick) {
	if pick == queue.OnlyCritical {
		l.hinted[queue.Critical] = false
		return
	}
	l.hinted = [queue.Ranks]bool{}
}

func (c *Core) tooOld(now time.Time, e *queue.Event) bool {
	limit := c.o.MaxAge
	if limit <= 0 {
		return false
	}
	if e.Action != "" && e.Action != "trigger" {
		limit += resolveGrace
	}
	return now.Sub(e.Fresh) > limit
}

func (c *Core) launch(now time.Time, l *lane, e queue.Event, pick queue.Pick) {
	f := flight{event: e, host: l.host, started: now, trial: l.host.down, throttled: l.stats.Throttled}
	if pick == queue.OnlyCritical && l.free(now, kept) > 0 {
		f.share = kept
	}
	l.windows[f.share].flying++
	if now.Before(l.kept.PausedUntil) {
		l.probed = now
	}
	if pick != queue.OnlyCritical {
		l.turn++
	}
	l.flying[e.ID] = f
	l.stats.Attempts++
	c.decide(Attempt{e})
}
