package lane

import "time"

// roomy reports whether so little of the rate is used that a 429 cannot be about it: less
// than a quarter. PagerDuty limits accounts as well, and in June 2020 it throttled
// everybody for two hours.
func (l *lane) roomy(now time.Time) bool {
	return (l.windows[common].held(now)+l.windows[reserved].held(now))*4 < l.rate()
}

// lower takes what was accepted before a 429 for the real limit, less a tenth; where the
// lane has gone beyond its limit to try that, just what was accepted. If the rate is not
// the reason only the pause helps. For the same reason it is asked only of the first 429
// after an acceptance: those that follow say the same again, while the window empties.
func (l *lane) lower(now time.Time, tried bool) bool {
	if l.roomy(now) {
		return false
	}
	rate, worked := l.rate(), l.windows[common].held(now)+l.windows[reserved].held(now)
	safe := worked * 9 / 10
	if tried {
		safe = worked
	}
	lowered := min(rate, max(1, l.start/20, rate/2, safe))
	l.stored.Ceiling = max(worked, lowered)
	if lowered == rate {
		return false
	}
	l.stored.Learned = lowered
	l.grown = now
	return true
}

// grow raises the limit, while it is used: at most once a minute by a fiftieth on ground
// that is known, which is up to just below the place of the last 429, and beyond that to
// what PagerDuty has just shown to take.
func (l *lane) grow(now time.Time) bool {
	rate := l.rate()
	if rate >= l.limit {
		return false
	}
	grown := rate
	switch known := l.stored.Ceiling * 97 / 100; {
	case l.used(now) > rate && l.mayTry(now):
		grown = l.shown(now)
	case now.Sub(l.grown) >= growEvery && l.used(now)*10 >= rate*8:
		l.grown = now
		grown = min(known, rate+max(1, max(rate, l.start)/50))
	}
	if grown = min(grown, l.limit); grown <= rate {
		return false
	}
	l.stored.Learned = grown
	if grown >= l.limit && l.start == l.limit { // as configured, and not learned any more
		l.stored.Learned, l.stored.Ceiling = 0, 0
	}
	return true
}

// shown is how many events PagerDuty has for certain accepted within one minute, the one
// that ends now.
func (l *lane) shown(now time.Time) (n int) {
	for of := range l.windows {
		for _, s := range l.windows[of].slots {
			if s.sure.After(now) {
				n++
			}
		}
	}
	return n
}

// mayTry reports whether the lane may go beyond its limit, to see whether the account
// takes more: not within an hour of a 429, nor while a critical event waits, is in flight,
// has to be sent again, or did a minute ago.
func (l *lane) mayTry(now time.Time) bool {
	return l.rate() < l.limit && !l.gentle && l.stored.KeyRefused.IsZero() && now.Sub(l.limited) >= calm && now.Sub(l.paged) >= quietBefore
}

// nextTry says what may leave of a lane that may go beyond its limit, where the common
// share has n slots.
func (l *lane) nextTry(now time.Time, n, flying int) want {
	more, at := 0, time.Time{}
	if l.full {
		if more, at = l.try(now, flying); more > 0 {
			return want{n: more, slot: common, try: true}
		}
	}
	wait := time.Time{}
	if n > 0 {
		if wait = l.gather(now); wait.IsZero() {
			return want{n: n, slot: common}
		}
	} else {
		l.full, wait = true, l.freeAt(now, false)
	}
	if at.IsZero() || !wait.IsZero() && wait.Before(at) {
		at = wait
	}
	return want{at: at}
}

// try says how many events more than the common share holds may leave now, or when that
// is to be asked again. The account has shown something only if more than the limit is
// accepted within one minute, and for that what leaves has to use the reserved share too.
// A 429 then closes the lane for all until slots become free. So a try begins just before
// many of them do, as those of a burst: within a second the reserved share is there again,
// whatever the answer was.
func (l *lane) try(now time.Time, flying int) (n int, at time.Time) {
	first, back := l.totalBelow(1), l.totalBelow(l.reserve()+1)
	if first.IsZero() || back.Sub(first) > tryWithin-tryBefore || l.windows[common].held(now)+l.windows[reserved].held(now) <= l.reserve() {
		return 0, time.Time{}
	}
	if begin := first.Add(-tryBefore); now.Before(begin) {
		return 0, begin
	}
	switch used, rate := l.used(now), l.rate(); {
	case used < rate:
		n = min(rate-used, mostFlying-flying)
	case used == rate && flying == 0: // what is on its way has to show first that there is room
		n = min(l.limit-rate, max(1, rate/tryGroup))
	}
	return max(0, n), time.Time{}
}

// gather says until when what may leave waits for more, so that there is a burst a minute
// before the next try: slots that become free one by one, as those of a try do, never give
// the reserved share back within a second. Zero for not at all.
func (l *lane) gather(now time.Time) time.Time {
	need := 2 * (l.reserve() + 1)
	if !l.full || now.Sub(l.gathered) < gatherEvery || l.windows[common].flying > 0 {
		return time.Time{}
	}
	if l.free(now, common) < need {
		if until := l.windows[common].below(l.room(common) - need + 1); until.Sub(now) <= gatherFor && until.After(now) {
			return until
		}
	}
	l.gathered = now
	return time.Time{}
}
