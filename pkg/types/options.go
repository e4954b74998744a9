package types

import (
	"log/slog"
	"time"
)

// DefaultRetryFor is how long a delivery is tried when nobody says otherwise.
const DefaultRetryFor = 5 * time.Minute

// SenderOptions says how a sender delivers. The zero value is ready for use. A time below a
// millisecond, such as 5 for five seconds, is an error of whatever makes a sender.
type SenderOptions struct {
	// HTTPClient makes the requests. Of an *http.Client a copy is used, which
	// follows no redirect; any other must not follow one either. Defaults to a
	// client that all senders share, also for a nil *http.Client: proxy from the
	// environment, system roots, HTTP/2, connections kept open.
	HTTPClient HTTPClient
	// Timeout, if positive, bounds one Send of one service, all its attempts
	// and waits included. It stands above RetryFor.
	Timeout time.Duration
	// RetryFor is how long a delivery that fails for a passing reason is tried
	// again, a second at least. Defaults to 5 minutes ([DefaultRetryFor]);
	// negative: one attempt, as --retry-for 0 of the command. RetryFor bounds a
	// delivery, Timeout replaces it, the Timeout field of a ServiceRouter is that one
	// again, to be changed later, and pagerduty.Options.Budget stands in place of all
	// three.
	RetryFor time.Duration
	// Logger gets one record for each attempt: info if it was accepted, warn if
	// another will follow, else error; and one, warn, for each warning about the
	// event. No record holds an integration key.
	// Defaults to none.
	Logger *slog.Logger
	// OnAttempt, if set, is called after each attempt, before the wait for the
	// next. Attempts for several URLs come at the same time.
	OnAttempt func(Attempt)
}

// shortestBudget is time for one attempt at least.
const shortestBudget = time.Second

// Budget returns how long a delivery may take in all; 0 means one attempt, which
// has its own limit of 30 seconds.
func (o SenderOptions) Budget() time.Duration {
	switch {
	case o.Timeout > 0:
		return o.Timeout
	case o.RetryFor < 0:
		return 0
	case o.RetryFor > 0:
		return max(o.RetryFor, shortestBudget)
	}
	return DefaultRetryFor
}

// Attempt is one attempt to deliver an event, for logs, metrics and progress.
type Attempt struct {
	Service  string // scheme of the service, such as "pagerduty"
	Host     string // host[:port] that was asked
	Index    int    // position of the URL among the sender's URLs
	Key      string // fingerprint of the integration key, never the key itself
	Action   string
	DedupKey string
	Number   int // 1 for the first attempt
	Start    time.Time
	Elapsed  time.Duration
	Status   int           // HTTP status, 0 if there was no answer
	Err      error         // nil: the event was accepted
	Wait     time.Duration // until the next attempt; 0: there is none
}
