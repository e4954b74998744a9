package lane

import "time"

const (
	// growEvery is how often a lowered limit is probed upward.
	growEvery = time.Minute

	// calm is how long there has to be no 429 before the limit is raised beyond
	// the place where the last one came.
	calm = 15 * time.Minute
)

// lower takes what was accepted before a 429 for the real limit, less a tenth. If
// that is less than a quarter of the rate, the rate is not the reason (in June
// 2020 PagerDuty throttled everybody for two hours), and only the pause helps. For
// the same reason it is asked only of the first 429 after an acceptance: those that
// follow say the same again, while the window empties.
func (l *lane) lower(now time.Time) bool {
	rate, worked := l.rate(), l.windows[common].held(now)+l.windows[kept].held(now)
	if worked*4 < rate {
		return false
	}
	floor := max(1, l.limit/20)
	lowered := min(rate, max(floor, rate/2, worked*9/10))
	l.kept.Ceiling = max(worked, lowered)
	if lowered == rate {
		return false
	}
	l.kept.Learned = lowered
	l.grown = now
	return true
}

// grow raises a lowered limit by a fiftieth of the configured one, at most once a
// minute, and only while it is used: below the ceiling at once, beyond it after a
// time of calm.
func (l *lane) grow(now time.Time) bool {
	rate := l.rate()
	if rate >= l.limit || now.Sub(l.grown) < growEvery || l.used(now)*10 < rate*8 {
		return false
	}
	l.grown = now
	most := l.limit
	if now.Sub(l.limited) < calm {
		most = min(most, l.kept.Ceiling*97/100)
	}
	grown := min(most, rate+max(1, l.limit/50))
	if grown <= rate {
		return false
	}
	if l.kept.Learned = grown; grown >= l.limit {
		l.kept.Learned, l.kept.Ceiling = 0, 0
	}
	return true
}
