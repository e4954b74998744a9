package lane

import (
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// atLeastFlying is how many attempts a lane makes at once that is allowed more than
	// 80 a minute: at 200 ms each they are 2,400 a minute, far beyond the limit that
	// PagerDuty documents. criticalFlying come on top for critical events, as a server
	// that hangs holds the others for half a minute each.
	atLeastFlying  = 8
	criticalFlying = 2

	// A lane with an uncommon rate, of a test or of an account that is allowed more,
	// makes as many at once as its rate is in a second, but not more than these.
	mostFlying = 128

	// patience is how long one attempt keeps the others of its lane waiting where one
	// goes first: it may hang for half a minute because of its own event.
	patience = time.Second

	// growEvery is how often a lowered limit is raised on ground that is known.
	growEvery = time.Minute

	// calm is how long there has to be no 429 before the lane tries whether its account
	// takes more than it has shown to take. Each such try may cost one.
	calm = time.Hour

	// quietBefore is for how long no critical event was seen in a lane that tries this:
	// pages come in groups.
	quietBefore = time.Minute

	// A try begins so long before the oldest slot of the window becomes free, and the
	// reserved share that it uses must be free again so soon after its beginning. A page
	// that comes meanwhile leaves within a second.
	tryBefore = 600 * time.Millisecond
	tryWithin = 950 * time.Millisecond

	// What is to leave together for the next try waits for the rest of it, but not longer
	// than gatherFor, and once in gatherEvery.
	gatherFor   = 15 * time.Second
	gatherEvery = 50 * time.Second

	// tryGroup is which part of the limit a try goes beyond it at once. Up to a limit of
	// 399 that is one event, and so the end of the growth costs one 429.
	tryGroup = 200
)

// share is a part of a lane's window, or of the relay's places. They are counted
// apart: were the reserved one the rest of a common window, criticals without end would
// take each slot that becomes free, and nothing else would ever leave.
type share uint8

const (
	common   share = iota // for all
	reserved              // for critical events, when the common one is full
	trusted               // of the relay's places alone: for critical events of listed and proven lanes, when those before are full
	listed                // the same, for listed lanes alone
	shares
)

// window holds the slots of events that were, or may have been, accepted. A slot
// is held for the length of the window from the answer on: the acceptance came
// before that, so in no window, wherever it begins, are there more than held slots.
type window struct {
	slots  []slot // in the order in which they become free
	flying int    // slots of attempts that have not been answered
}

// slot is one event in PagerDuty's count of the last minute.
type slot struct {
	until time.Time // it is in it until then at the latest
	sure  time.Time // and until then for certain; zero if it may not have been accepted
}

// hold takes a slot.
func (w *window) hold(s slot) {
	w.slots = append(w.slots, s)
	for i := len(w.slots) - 1; i > 0 && w.slots[i].until.Before(w.slots[i-1].until); i-- { // only at the start
		w.slots[i], w.slots[i-1] = w.slots[i-1], w.slots[i]
	}
}

// held returns the number of slots that are taken by what was answered.
func (w *window) held(now time.Time) int {
	gone := 0
	for gone < len(w.slots) && !w.slots[gone].until.After(now) {
		gone++
	}
	w.slots = w.slots[gone:]
	return len(w.slots)
}

// used returns the number of slots that are taken.
func (w *window) used(now time.Time) int { return w.held(now) + w.flying }

// below returns when fewer than n slots will be taken; the zero time if only an
// answer can bring that about.
func (w *window) below(n int) time.Time {
	if i := len(w.slots) + w.flying - n; i >= 0 && i < len(w.slots) {
		return w.slots[i].until
	}
	return time.Time{}
}

// rate is what the lane really uses of its limit.
func (l *lane) rate() int {
	if l.stored.Learned > 0 {
		return min(l.stored.Learned, l.limit)
	}
	return l.start
}

// reserve is the share of the window that is reserved for critical events: a burst
// of infos must not close it on the page that matters.
func (l *lane) reserve() int {
	rate := l.rate()
	if rate < 2 || l.rules.reserve == 0 {
		return 0
	}
	return max(1, rate/l.rules.reserve)
}

// most is how many attempts may be in flight at once.
func (l *lane) most(critical bool) int {
	most := max(min(atLeastFlying, max(1, l.rate()/10)), min(mostFlying, l.rate()/60))
	if critical && l.rate() > 1 {
		most += criticalFlying
	}
	return most
}

// room is how many slots of a share there are.
func (l *lane) room(of share) int {
	if of == reserved {
		return l.reserve()
	}
	return l.rate() - l.reserve()
}

// used is the number of slots that are taken of both shares.
func (l *lane) used(now time.Time) int {
	return l.windows[common].used(now) + l.windows[reserved].used(now)
}

// holdAny takes a slot for an event whose share is not known.
func (l *lane) holdAny(now, answered time.Time) {
	of := common
	if l.windows[common].used(now) >= l.room(common) && l.windows[reserved].used(now) < l.room(reserved) {
		of = reserved
	}
	l.windows[of].hold(slot{until: answered.Add(l.rules.window)})
}

// hold takes a slot for an event that was, or may have been, accepted, or that was
// rejected: for the length of the window from the answer on. PagerDuty has counted what
// it has accepted after the attempt began.
func (l *lane) hold(answered time.Time, f flight, accepted bool) {
	s := slot{until: answered.Add(l.rules.window)}
	if l.rules.fromSend {
		s.until = f.started.Add(l.rules.window)
	}
	if accepted {
		s.sure = f.started.Add(l.rules.window)
	}
	l.windows[f.slot].hold(s)
	f.host.budget.account.hold(answered, f.kind)
}

// free is how many slots of a share are free. After the limit was lowered a share
// may have room of its own while both together have none.
func (l *lane) free(now time.Time, of share) int {
	return min(l.room(of)-l.windows[of].used(now), l.rate()-l.used(now))
}

// want is what a lane may send now.
type want struct {
	n        int       // how many events; 0 for none
	slot     share     // of its window
	critical bool      // only critical ones
	try      bool      // beyond the common share, to see whether the account takes more
	at       time.Time // with none: when that changes by itself, zero if it does not
}

// next says what may leave now of what is hinted.
func (l *lane) next(now time.Time) want {
	critical := l.hinted[queue.Critical]
	switch {
	case l.keyWaits(now):
		return want{at: l.rejectedUntil}
	case now.Before(l.stored.PausedUntil):
		return l.nextPaused(now, critical)
	}
	flying, most := len(l.flying)+l.settling, mostFlying+criticalFlying
	if l.gentle || !l.stored.KeyRefused.IsZero() { // one goes first
		if again := l.launched.Add(patience); flying > 0 && now.Before(again) {
			return want{at: again}
		}
		most = 1
	}
	n := min(l.free(now, common), l.most(false)-flying, most)
	if !critical && l.mayTry(now) {
		return l.nextTry(now, n, flying)
	}
	if n > 0 {
		return want{n: n, slot: common}
	}
	if !critical {
		l.full = true
		return want{at: l.freeAt(now, false)}
	}
	// Others that hang take the places of the lane, but need not have taken its slots.
	for _, slot := range []share{common, reserved} {
		if n := min(l.free(now, slot), l.most(true)-flying, most); n > 0 {
			return want{n: n, slot: slot, critical: true}
		}
	}
	return want{at: l.freeAt(now, true)}
}

// nextPaused lets a critical event try a lane that is rate limited.
func (l *lane) nextPaused(now time.Time, critical bool) want {
	if !critical {
		return want{at: l.stored.PausedUntil}
	}
	if again := l.probed.Add(l.rules.probeEvery); now.Before(again) && !l.probed.IsZero() {
		return want{at: earlier(again, l.stored.PausedUntil)}
	}
	if len(l.flying) > 0 || l.settling > 0 { // whose end comes back here
		return want{at: l.stored.PausedUntil}
	}
	switch {
	case l.free(now, reserved) > 0:
		return want{n: 1, slot: reserved, critical: true}
	case l.free(now, common) > 0:
		return want{n: 1, slot: common, critical: true}
	}
	return want{at: earlier(l.freeAt(now, true), l.stored.PausedUntil)}
}

// freeAt is when a slot becomes free by itself that is of use.
func (l *lane) freeAt(now time.Time, critical bool) time.Time {
	at := l.shareFreeAt(now, common)
	if other := l.shareFreeAt(now, reserved); critical && (at.IsZero() || !other.IsZero() && other.Before(at)) {
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
	a, b := l.windows[common].slots, l.windows[reserved].slots
	for ; n > 0 && len(a)+len(b) > 0; n-- {
		if len(b) == 0 || len(a) > 0 && a[0].until.Before(b[0].until) {
			at, a = a[0].until, a[1:]
		} else {
			at, b = b[0].until, b[1:]
		}
	}
	return at
}
