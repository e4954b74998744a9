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
}

const (
	// resolveGrace is how much longer an acknowledge or resolve is worth sending.
	resolveGrace = time.Hour

	// claimAgain is when a claim is repeated that the store could not answer.
	claimAgain = time.Second
)

// Core is the state of all lanes. It is not safe for concurrent use.
type Core struct {
	o        Options
	random   *rand.Rand
	lanes    map[int64]*lane
	hosts    map[string]*host
	alarms   alarms
	failing  bool
	stopping bool
	out      []Decision
}

// New returns a core without lanes.
func New(o Options) *Core {
	return &Core{
		o: o, random: rand.New(rand.NewPCG(o.Seed, 0x5eed)),
		lanes: map[int64]*lane{}, hosts: map[string]*host{},
	}
}

// Next returns when a [Tick] is wanted, and false if only another input can
// change anything.
func (c *Core) Next() (time.Time, bool) { return c.alarms.next() }

// lane is one lane's state.
type lane struct {
	kept     queue.Lane // what the store keeps of it
	host     *host
	limit    int // configured
	hinted   [queue.Ranks]bool
	claiming bool
	flying   map[int64]flight
	windows  [shares]window
	turn     int // slots since the oldest chain had its own
	probed   time.Time
	gentle   bool // after a pause, until something is accepted: one at a time
	limited  time.Time
	grown    time.Time
	alarm    time.Time
	stats    Status // of which only the totals are used
}

// flight is an attempt that has not been answered.
type flight struct {
	event queue.Event
	share share
	probe bool // of a paused lane or of a host that is down
}

func (c *Core) open(now time.Time, in Opened) {
	if c.lanes[in.Lane.ID] != nil {
		return
	}
	l := &lane{kept: in.Lane, limit: max(1, in.Limit), flying: map[int64]flight{}, grown: now}
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
	if l.host.name != in.Host {
		l.host.lanes = slices.DeleteFunc(l.host.lanes, func(other *lane) bool { return other == l })
		c.attach(l, in.Host)
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

// rate is what the lane really uses of its limit.
func (l *lane) rate() int {
	if l.kept.Learned > 0 && l.kept.Learned < l.limit {
		return l.kept.Learned
	}
	return l.limit
}

// reserve is the share of the window that is kept for critical events: a burst of
// infos must not close it on the page that matters.
func (l *lane) reserve() int {
	rate := l.rate()
	if rate < 2 {
		return 0
	}
	return max(1, rate/10)
}

// most is how many attempts may be in flight at once. A server that hangs holds
// them for half a minute each, so critical events have two of their own.
func (l *lane) most(critical bool) int {
	most := min(8, max(1, l.rate()/10))
	if critical && l.rate() > 1 {
		most += 2
	}
	if l.gentle {
		return 1
	}
	return most
}

func (l *lane) hints() bool { return slices.Contains(l.hinted[:], true) }

// room is how many slots of a share there are.
func (l *lane) room(of share) int {
	if of == kept {
		return l.reserve()
	}
	return l.rate() - l.reserve()
}

// used is the number of slots that are taken of both shares.
func (l *lane) used(now time.Time) int {
	return l.windows[common].used(now) + l.windows[kept].used(now)
}

// holdAny takes a slot for an event of which nobody knows what share it had.
func (l *lane) holdAny(now, answered time.Time) {
	of := common
	if l.windows[common].used(now) >= l.room(common) && l.windows[kept].used(now) < l.room(kept) {
		of = kept
	}
	l.windows[of].hold(answered)
}

// free is how many slots of a share are free. After the limit was lowered a share
// may have room of its own while both together have none.
func (l *lane) free(now time.Time, of share) int {
	return min(l.room(of)-l.windows[of].used(now), l.rate()-l.used(now))
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

// next says what may be claimed now; if nothing, when that changes by itself,
// and the zero time if it does not.
func (l *lane) next(now time.Time) (pick queue.Pick, n int, at time.Time) {
	critical := l.hinted[queue.Critical]
	if now.Before(l.kept.PausedUntil) {
		return l.nextPaused(now, critical)
	}
	flying := len(l.flying)
	if n := min(l.free(now, common), l.most(false)-flying); n > 0 {
		if l.turn%10 == 9 {
			return queue.Oldest, 1, at
		}
		return queue.MostUrgent, min(n, 9-l.turn%10), at
	}
	if n := min(l.free(now, kept), l.most(true)-flying); critical && n > 0 {
		return queue.OnlyCritical, n, at
	}
	return 0, 0, l.freeAt(now, critical)
}

// freeAt is when a slot becomes free by itself that is of use.
func (l *lane) freeAt(now time.Time, critical bool) time.Time {
	at := l.shareFreeAt(now, common)
	if other := l.shareFreeAt(now, kept); critical && (at.IsZero() || !other.IsZero() && other.Before(at)) {
		at = other
	}
	return at
}

// shareFreeAt is when a share has room, and both together have.
func (l *lane) shareFreeAt(now time.Time, of share) time.Time {
	at := l.windows[of].below(l.room(of))
	if total := l.totalBelow(l.used(now) - l.rate() + 1); total.After(at) {
		at = total
	}
	return at
}

// totalBelow is when that many slots more are free, of whatever share.
func (l *lane) totalBelow(n int) (at time.Time) {
	a, b := l.windows[common].until, l.windows[kept].until
	for ; n > 0 && len(a)+len(b) > 0; n-- {
		if len(b) == 0 || len(a) > 0 && a[0].Before(b[0]) {
			at, a = a[0], a[1:]
		} else {
			at, b = b[0], b[1:]
		}
	}
	return at
}

// nextPaused lets a critical event try a lane that is paused by a 429.
func (l *lane) nextPaused(now time.Time, critical bool) (queue.Pick, int, time.Time) {
	if !critical {
		return 0, 0, l.kept.PausedUntil
	}
	if again := l.probed.Add(probeEvery); now.Before(again) && !l.probed.IsZero() {
		return 0, 0, earlier(again, l.kept.PausedUntil)
	}
	if len(l.flying) > 0 || l.free(now, kept) < 1 && l.free(now, common) < 1 {
		return 0, 0, l.kept.PausedUntil
	}
	return queue.OnlyCritical, 1, time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// claimed sends what was claimed.
func (c *Core) claimed(now time.Time, in Claimed) {
	l := c.lanes[in.Lane]
	l.claiming = false
	if in.Failed {
		l.host.giveUpProbe(l)
		c.wake(l, now.Add(claimAgain))
		return
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
			c.decide(Settle{l.kept.ID, queue.Settlement{
				ID: e.ID, Claim: e.Claim, State: queue.Expired, At: now, Attempts: e.Attempts, Status: e.Status,
				Reason: "older than " + c.o.MaxAge.String() + " before it could leave",
			}})
			continue
		}
		started++
		c.launch(now, l, e, in.Pick)
	}
	if started == 0 {
		l.host.giveUpProbe(l)
	}
	c.fill(now, l)
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
	f := flight{event: e, probe: l.host.down}
	if pick == queue.OnlyCritical && l.free(now, kept) > 0 {
		f.share = kept
	}
	l.windows[f.share].flying++
	if now.Before(l.kept.PausedUntil) {
		f.probe, l.probed = true, now
	}
	if pick != queue.OnlyCritical {
		l.turn++
	}
	l.flying[e.ID] = f
	l.stats.Attempts++
	c.decide(Attempt{e})
}
