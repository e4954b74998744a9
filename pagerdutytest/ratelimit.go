package pagerdutytest

import "time"

const (
	// DocumentedLimit is PagerDuty's own figure: "approximately 120 calls/minute per
	// integration key", "over a 60 second window looking back from the current time"
	// (https://developer.pagerduty.com/docs/rate-limits).
	DocumentedLimit = 120

	limitWindow = time.Minute
)

// limiter counts accepted events per key in a rolling window. What it refuses
// does not count. It has no clock; one that goes back frees nothing.
type limiter struct {
	limit    int                    // negative: none
	accepted map[string][]time.Time // per key, those of the last window in the order of their acceptance
}

// take accepts one event of the key, or reports that the window is full.
func (l *limiter) take(key string, now time.Time) bool {
	if l.limit < 0 {
		return true
	}
	if l.accepted == nil {
		l.accepted = make(map[string][]time.Time)
	}
	times := l.accepted[key]
	gone := 0
	for gone < len(times) && now.Sub(times[gone]) >= limitWindow {
		gone++
	}
	times = times[gone:]
	ok := len(times) < l.limit
	if ok {
		times = append(times, now)
	}
	l.accepted[key] = times
	return ok
}
