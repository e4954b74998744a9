package eventsv2

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// PagerDuty asks for "a backoff of a few minutes" after a 429.
	firstLimitedWait = time.Minute
	maxLimitedWait   = 15 * time.Minute

	firstWait = time.Second
	maxWait   = time.Minute

	// lastChance is kept at the end of the budget for the attempt itself.
	lastChance = 500 * time.Millisecond

	// When the next back-off does not fit, the rest of the budget is used all the
	// same if there is worthwhile of it: one attempt, finalAttempt before the end.
	worthwhile   = 10 * time.Second
	finalAttempt = 5 * time.Second
)

// Retry says whether and when a failed attempt is repeated. It is PagerDuty's
// table (https://developer.pagerduty.com/docs/events-api-v2-overview, "Response
// codes & retry logic", and https://developer.pagerduty.com/docs/rate-limits):
//
//	2xx                       accepted, unless it is a web page with another status than 202
//	429                       Retry-After, else 1 min, 2 min, 4 min ... 15 min
//	400, 401, 403 of its own  final
//	all others, network       Retry-After, else 1 s, 2 s, 4 s ... 1 min
//
// A 400, 401 or 403 is PagerDuty's own if it has the form of one, see [Error.Rejected].
//
// It keeps no state; the zero value is ready for use.
type Retry struct {
	// Jitter returns a number in [0,1). Defaults to math/rand/v2.
	Jitter func() float64
}

// Next returns how long to wait before the next attempt, or false if there should
// be none. attempt is the number of attempts made so far, or of those since the
// last failure of another kind; left is what remains of the time for the whole
// delivery, and the wait always ends before that.
//
// Back-offs of our own are spread over 75 to 125 %, so that the many who met the
// same outage do not return together. One that does not fit into what is left is
// shortened, if at least 10 seconds are left, to a last attempt 5 seconds before
// the end. What the server asks for is never undercut: 100 to 110 %. If that does
// not fit, another attempt would only be refused, and Next gives up at once.
func (r Retry) Next(err error, attempt int, left time.Duration) (wait time.Duration, again bool) {
	var failed *Error
	if !errors.As(err, &failed) || !failed.Temporary() || left <= 0 {
		return 0, false
	}
	if failed.RetryAfter > 0 {
		return r.asAsked(min(failed.RetryAfter, maxRetryAfter), left)
	}
	if errors.Is(failed, ErrRateLimited) {
		wait = double(firstLimitedWait, maxLimitedWait, attempt)
	} else {
		wait = double(firstWait, maxWait, attempt)
	}
	wait = time.Duration(float64(wait) * (0.75 + 0.5*r.jitter()))
	switch {
	case wait <= left-lastChance:
		return wait, true
	case left >= worthwhile:
		return left - finalAttempt, true
	}
	return 0, false
}

func (r Retry) asAsked(asked, left time.Duration) (time.Duration, bool) {
	room := left - lastChance
	if asked > room {
		return 0, false
	}
	return min(asked+time.Duration(0.1*r.jitter()*float64(asked)), room), true
}

func (r Retry) jitter() float64 {
	if r.Jitter == nil {
		return rand.Float64()
	}
	return r.Jitter()
}

// double returns first for the first attempt and doubles it with each further
// one, up to limit.
func double(first, limit time.Duration, attempt int) time.Duration {
	wait := first
	for n := 1; n < attempt; n++ {
		if wait >= limit/2 {
			return limit
		}
		wait *= 2
	}
	return wait
}
