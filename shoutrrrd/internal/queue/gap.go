package queue

import "time"

// Gap is a part of the queue's time that nobody has measured: up to Until, for Long. The
// dates that two boots of a machine had say that so much has passed, and dates may be wrong.
type Gap struct {
	Until time.Time
	Long  time.Duration
}

// Gaps are those that there are, the earliest first. What is decided for ever is decided by
// the time between them.
type Gaps []Gap

// maxGaps bounds them: one comes with each boot.
const maxGaps = 64

// With returns the gaps and one more, the latest. Of too many the two earliest become one, in
// the place of the later: what lies between them counts as younger than it is, never as older.
func (g Gaps) With(gap Gap) Gaps {
	all := append(g[:len(g):len(g)], gap)
	for len(all) > maxGaps {
		all[1].Long = sum(all[0].Long, all[1].Long)
		all = all[1:]
	}
	return all
}

// Measured is how much of the time from one moment to a later one was measured.
func (g Gaps) Measured(from, to time.Time) (d time.Duration) {
	at := to
	for i := len(g) - 1; i >= 0 && at.After(from) && g[i].Until.After(from); i-- {
		until := g[i].Until
		if until.After(to) {
			continue
		}
		if until.Before(at) {
			d, at = d+at.Sub(until), until
		}
		at = at.Add(-g[i].Long)
	}
	return d + max(0, at.Sub(from))
}

// Back is the moment since when so much time was measured, at least.
func (g Gaps) Back(now time.Time, d time.Duration) time.Time {
	at := now.Add(-d)
	for i := len(g) - 1; i >= 0 && g[i].Until.After(at); i-- {
		at = at.Add(-g[i].Long)
	}
	return at
}

// sum does not overflow.
func sum(a, b time.Duration) time.Duration {
	if c := a + b; c >= a {
		return c
	}
	return 1<<63 - 1
}
