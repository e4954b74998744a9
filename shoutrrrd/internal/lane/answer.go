package lane

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// PagerDuty asks for "a backoff of a few minutes" after a 429
	// (https://developer.pagerduty.com/docs/events-api-v2-overview).
	firstPause   = time.Minute
	maxPause     = 15 * time.Minute
	longestPause = 24 * time.Hour // that a Retry-After can ask for

	// After a failure of the server the same event is sent again, sooner at first.
	firstRetry = time.Second
	maxRetry   = time.Minute
)

// verdict is what an answer means for the event and for the lane.
type verdict uint8

const (
	accepted verdict = iota
	limited          // 429: not taken in
	sick             // the server failed on this event, its answer was lost, or a firewall stopped it
	away             // nothing reached PagerDuty
	stray            // something answers that is not PagerDuty
	refused          // PagerDuty will never take the event
	cut              // this program gave up the attempt
)

// judge is the table of answers. PagerDuty's own is at
// https://developer.pagerduty.com/docs/events-api-v2-overview, "Response codes &
// retry logic". Redirects, logins of proxies and certificates that do not verify
// come from something in between, and so does a host that does not know
// /v2/enqueue: an event is not to blame for them. A firewall that forbids to send
// may dislike the text of this one event, so the others go on.
func judge(err *eventsv2.Error) verdict {
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, context.Canceled) && err.Status == 0:
		return cut
	case err.Status == http.StatusTooManyRequests:
		return limited
	case errors.Is(err, eventsv2.ErrUnreachable), err.Status == http.StatusNotFound,
		err.Status == http.StatusMethodNotAllowed, err.Status == http.StatusGone:
		return stray
	case err.Status == 0 && !err.Sent:
		return away
	case err.Temporary(), err.Intercepted():
		return sick
	}
	return refused
}

func (c *Core) answered(now time.Time, in Answered) {
	l := c.lanes[in.Lane]
	f, ok := l.flying[in.ID]
	if !ok {
		return
	}
	delete(l.flying, in.ID)
	l.windows[f.share].flying--
	x := queue.Settlement{ID: in.ID, Claim: f.event.Claim, State: queue.Ready, At: now, Attempts: f.event.Attempts, Tried: true}
	if in.Err != nil {
		x.Status, x.Reason = in.Err.Status, in.Err.Error()
	}
	switch v := judge(in.Err); v {
	case accepted:
		x.State, x.Status, x.Attempts = queue.Delivered, http.StatusAccepted, x.Attempts+1
		c.accepted(now, l, f)
	case limited:
		c.limited(now, l, f, in.Err)
	case sick:
		x.State, x.Attempts = queue.Waiting, x.Attempts+1
		x.Due = now.Add(c.again(in.Err, x.Attempts))
		c.sick(now, l, f, in.Err)
	case away, stray:
		c.unreached(now, l, f, v == stray, x.Reason)
	case refused:
		if c.refused(now, l, f, in.Err) && in.Other != 0 && f.event.Action == eventsv2.Trigger {
			x.Lane = in.Other // the service has another key: the page goes by that
			break
		}
		x.State, x.Attempts = queue.Refused, x.Attempts+1
	case cut:
		x.Tried = false
		if in.Err.Sent {
			l.hold(now, f)
		}
		f.host.giveUpProbe(l)
	}
	c.settle(l, x)
	c.fill(now, l)
}

func (c *Core) accepted(now time.Time, l *lane, f flight) {
	l.hold(now, f)
	l.stats.Delivered++
	l.took = true
	changed := false
	if f.throttled == l.stats.Throttled { // what left before the last 429 says nothing about the time after it
		changed = l.kept.Pauses > 0 || now.Before(l.kept.PausedUntil)
		l.kept.Pauses, l.kept.PausedUntil, l.gentle = 0, time.Time{}, false
	}
	if !l.kept.KeyRefused.IsZero() {
		l.kept.KeyRefused, changed = time.Time{}, true
		c.decide(Tell{Lane: l.kept.ID, What: KeyIsTaken})
	}
	if l.grow(now) || changed {
		c.decide(Save{l.kept})
	}
	c.reached(now, f.host)
}

// sick takes a server's failure, which is an answer, or the loss of one, which is
// not. Either way the event may have been accepted, and counts: that also keeps
// a sick server from getting more than the lane's rate.
func (c *Core) sick(now time.Time, l *lane, f flight, err *eventsv2.Error) {
	l.hold(now, f)
	if err.Status == 0 {
		c.unreached(now, l, f, false, err.Error())
		return
	}
	c.reached(now, f.host)
}

// refused reports whether it is the key that was refused.
func (c *Core) refused(now time.Time, l *lane, f flight, err *eventsv2.Error) bool {
	l.stats.Refused++
	key := errors.Is(err, eventsv2.ErrInvalidKey) || errors.Is(err, eventsv2.ErrUnauthorized) || errors.Is(err, eventsv2.ErrForbidden)
	if key && l.kept.KeyRefused.IsZero() {
		l.kept.KeyRefused = now
		c.decide(Save{l.kept})
		c.decide(Tell{Lane: l.kept.ID, What: KeyIsRefused, Why: err.Error()})
	}
	c.reached(now, f.host)
	return key
}

// again is how long an event waits after the server failed on it.
func (c *Core) again(err *eventsv2.Error, attempt int) time.Duration {
	if err.RetryAfter > 0 {
		return c.asAsked(err.RetryAfter)
	}
	return c.spread(double(firstRetry, maxRetry, attempt))
}

// limited takes a 429. The first of several that come at once makes the pause.
func (c *Core) limited(now time.Time, l *lane, f flight, err *eventsv2.Error) {
	l.stats.Throttled++
	paused := now.Before(l.kept.PausedUntil)
	var pause time.Duration
	switch {
	case err.RetryAfter > 0:
		pause = c.asAsked(min(err.RetryAfter, longestPause))
	case !paused:
		pause = c.spread(double(firstPause, maxPause, l.kept.Pauses+1))
	}
	if !paused {
		l.kept.Pauses++
	}
	if until := now.Add(pause); until.After(l.kept.PausedUntil) {
		l.kept.PausedUntil = until
		c.decide(Tell{Lane: l.kept.ID, What: RateLimited, Why: err.Error(), Till: until})
	}
	if f.event.Priority == queue.Critical {
		l.probed = now // it has just tried
	}
	l.gentle = true
	if l.took && l.lower(now) {
		c.decide(Tell{Lane: l.kept.ID, What: LimitLowered, Why: err.Error()})
	}
	l.took, l.limited = false, now
	c.decide(Save{l.kept})
	c.reached(now, f.host)
}

// spread gives 75 to 125 % of a wait of our own, so that the many who met the
// same outage do not return together.
func (c *Core) spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + 0.5*c.random.Float64()))
}

// asAsked gives 100 to 110 % of a wait that the server asked for.
func (c *Core) asAsked(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + 0.1*c.random.Float64()))
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
