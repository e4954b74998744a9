package eventsv2

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a server can ask for: a slip in its header must not
// park an event for years.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads how long the server asks to wait: Retry-After in seconds or as
// an HTTP date, else, with a 429, ratelimit-reset, which PagerDuty documents for
// its REST API (https://support.pagerduty.com/main/docs/rest-api-rate-limits).
// 0 if neither says anything sensible.
func retryAfter(header http.Header, status int, now time.Time) time.Duration {
	if wait := parseRetryAfter(header.Get("Retry-After"), clock(header, now)); wait > 0 {
		return wait
	}
	if status != http.StatusTooManyRequests {
		return 0
	}
	// Some servers give the time of day here, in seconds since 1970. Nobody should
	// lose a page to that.
	if wait := seconds(header.Get("Ratelimit-Reset")); wait <= maxLimitedWait {
		return wait
	}
	return 0
}

// clock is the server's, if it tells its time: a date in Retry-After is meant by
// that, and this machine's may be off by minutes.
func clock(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return now
}

func parseRetryAfter(value string, now time.Time) time.Duration {
	if wait := seconds(value); wait > 0 {
		return wait
	}
	at, err := http.ParseTime(strings.TrimSpace(value))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// seconds reads a number of seconds, 0 if it is none or not positive.
func seconds(value string) time.Duration {
	value = strings.TrimSpace(value)
	s, err := strconv.ParseFloat(value, 64) // some gateways send 1.5
	if strings.Trim(value, "0123456789.") != "" || !(s > 0) {
		return 0
	}
	if err != nil || s >= maxRetryAfter.Seconds() {
		return maxRetryAfter // also where the number has no end
	}
	return time.Duration(s * float64(time.Second))
}
