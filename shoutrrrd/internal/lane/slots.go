package lane

import (
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

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
	if rate < 2 || l.rules.kept == 0 {
		return 0
	}
	return max(1, rate/l.rules.kept)
}

// most is how many attempts may be in flight at once.
func (l *lane) most(critical bool) int {
	most := min(mostFlying, max(1, l.rate()/10))
	if critical && l.rate() > 1 {
		most += criticalFlying
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
	l.windows[of].hold(answered.Add(l.rules.window))
}

// hold takes a slot for an event that was, or may have been, accepted: for the
// length of the window from the answer on.
func (l *lane) hold(answered time.Time, f flight) {
	from := answered
	if l.rules.fromSend {
		from = f.started
	}
	l.windows[f.share].hold(from.Add(l.rules.window))
}

// free is how many slots of a share are free. After the limit was lowered a share
// may have room of its own while both together have none.
func (l *lane) free(now time.Time, of share) int {
	return min(l.room(of)-l.windows[of].used(now), l.rate()-l.used(now))
}

// next says what may be claimed now; if nothing, when that changes by itself,
// and the zero time if it does not.
func (l *lane) next(now time.Time) (pick queue.Pick, n int, at time.Time) {
	critical := l.hinted[queue.Critical]
	if now.Before(l.kept.PausedUntil) {
		return l.nextPaused(now, critical)
	}
	flying := len(l.flying) + l.settling
	if n := min(l.free(now, common), l.most(false)-flying); n > 0 {
		turns := l.rules.oldest
		switch {
		case turns == 0:
			return queue.MostUrgent, n, at
		case l.turn%turns == turns-1:
			return queue.Oldest, 1, at
		}
		return queue.MostUrgent, min(n, turns-1-l.turn%turns), at
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
	if again := l.probed.Add(l.rules.probeEvery); now.Before(again) && !l.probed.IsZero() {
		return 0, 0, earlier(again, l.kept.PausedUntil)
	}
	if len(l.flying) > 0 || l.settling > 0 { // whose end comes back here
		return 0, 0, l.kept.PausedUntil
	}
	if l.free(now, kept) < 1 && l.free(now, common) < 1 {
		return 0, 0, earlier(l.freeAt(now, true), l.kept.PausedUntil)
	}
	return queue.OnlyCritical, 1, time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
