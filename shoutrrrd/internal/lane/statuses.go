package lane

import (
	"slices"
	"time"
)

// Never is the time to page of a lane that an operator has paused.
const Never time.Duration = -1

// Statuses tells how every lane stands, in the order of their numbers.
func (c *Core) Statuses(now time.Time) []Status {
	all := make([]Status, 0, len(c.lanes))
	for _, l := range c.lanes {
		all = append(all, l.status(now))
	}
	slices.SortFunc(all, func(a, b Status) int { return int(a.Lane - b.Lane) })
	return all
}

func (l *lane) status(now time.Time) Status {
	s := l.stats
	s.Lane, s.Limit, s.Learned = l.kept.ID, l.limit, l.rate()
	s.Used, s.InFlight = l.used(now), len(l.flying)
	s.KeyRefused = !l.kept.KeyRefused.IsZero()
	s.Condition, s.Until = l.condition(now)
	s.TimeToPage = l.timeToPage(now)
	return s
}

func (l *lane) condition(now time.Time) (Condition, time.Time) {
	busy := l.hints() || len(l.flying) > 0
	switch {
	case l.kept.Held:
		return Held, time.Time{}
	case l.host.down:
		return UpstreamDown, l.host.probeAt
	case now.Before(l.kept.PausedUntil):
		return Paused, l.kept.PausedUntil
	case l.hints() && l.free(now, common) < 1:
		return Paced, l.freeAt(now, false)
	case busy:
		return Flowing, time.Time{}
	}
	return Idle, time.Time{}
}

// timeToPage is how late a critical event would leave that is accepted now.
func (l *lane) timeToPage(now time.Time) time.Duration {
	at := now
	switch {
	case l.kept.Held:
		return Never
	case l.host.down:
		at = l.host.probeAt
	case now.Before(l.kept.PausedUntil):
		at = earlier(l.probed.Add(l.rules.probeEvery), l.kept.PausedUntil)
	}
	if l.free(now, common) < 1 && l.free(now, kept) < 1 {
		if slot := l.freeAt(now, true); slot.After(at) {
			at = slot
		}
	}
	return max(0, at.Sub(now))
}
