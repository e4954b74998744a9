package outlook

import (
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Words says in a few words what a lane does that is not an ordinary day's: API, console,
// commands and calls for help have the same ones. "" if nothing holds it up.
func Words(s lane.Status, of Name, now time.Time) string {
	because := func(r Reason, record lane.Record) string { return Page{Reason: r, Record: record}.Cause(of) }
	switch s.Condition {
	case lane.Paused:
		if of.By != "" {
			return "paused by " + of.By
		}
		return "paused by an operator"
	case lane.Stopped:
		return because(NotConfigured, lane.Record{})
	case lane.Unreachable:
		return "upstream unreachable: " + because(Unreachable, s.Upstream.Record)
	case lane.KeyRejected:
		words := "key rejected: " + because(KeyRejected, s.Record)
		if s.Sister != nil {
			words += "; new incidents leave by another key of the pool, what belongs to those that this key has opened waits"
		}
		return words
	case lane.Throttled:
		if s.Until.IsZero() {
			return "rate limited"
		}
		return "rate limited until " + Clock(of.date(now), of.date(s.Until))
	case lane.Failing:
		return "failing: " + because(Failing, s.Record)
	case lane.AtLimit:
		return "at its limit" + Shared(s, of)
	}
	return ""
}

// Shared says what limits all lanes of the upstream together, if that is what keeps the
// lane from sending: ": ..." or "".
func Shared(s lane.Status, of Name) string {
	switch u := s.Upstream; {
	case !s.Together:
		return ""
	case u.Account > 0:
		return fmt.Sprintf(": %s takes %d events a minute from the account", host(of.Upstream), u.Account)
	case u.Pace > 0:
		return fmt.Sprintf(": most attempts fail, and %s gets %d a second of all lanes", host(of.Upstream), u.Pace)
	default:
		return fmt.Sprintf(": %s gets %d events a minute of all lanes", host(of.Upstream), u.Rate)
	}
}

// Why says in a few words why what is queued in a lane has not left; "" if it leaves.
func Why(s lane.Status, count queue.Count, of Name, now time.Time) string {
	if words := Words(s, of, now); words != "" {
		return words
	}
	return Of(s, count, now).Staying().Cause(of)
}

// date makes a date of a time of the relay's.
func (of Name) date(at time.Time) time.Time {
	if of.Date == nil {
		return at
	}
	return of.Date(at)
}

// Clock is a date with its zone, and with its date if that is not today's.
func Clock(now, at time.Time) string {
	now, at = now.UTC(), at.UTC()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04:05 UTC")
	}
	return at.Format("2006-01-02 15:04:05 UTC")
}
