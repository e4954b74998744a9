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
	// (https://developer.pagerduty.com/docs/events-api-v2-overview). No pause is longer
	// than maxPause, whatever a Retry-After asks for.
	firstPause = time.Minute
	maxPause   = 15 * time.Minute

	// Where the lane's own events are not the reason, a 429 says nothing about how long
	// that will last.
	firstOthers = time.Second
	maxOthers   = time.Minute

	// An event that failed is sent again, sooner at first.
	firstRetry = time.Second
	maxRetry   = time.Minute

	// maxCriticalRetry is the longest wait of a critical event: where one attempt in twenty
	// is accepted, half of the pages are through in a minute then, and with a minute
	// between two attempts in eight. The host is spared by its budget.
	maxCriticalRetry = 4 * time.Second

	// retried is the part of a lane's limit that critical events which fail take at most:
	// one of two. Many that fail for ever wait longer, so that new ones find slots.
	retried = 2

	// maxRejected is the longest wait between two tries of a key that PagerDuty rejects.
	maxRejected = 15 * time.Minute

	// behindProbe is how long after the next probe of its host an event is due that
	// could not be sent: one that has not been tried goes first.
	behindProbe = time.Millisecond
)

// verdict is what an answer means for the event and for the lane.
type verdict uint8

const (
	accepted     verdict = iota
	rateLimited          // 429: not taken in
	serverError          // 408 or 5xx, of PagerDuty's or of something on the way
	lost                 // the connection was lost after it stood, or no answer came in time
	unreachable          // nothing reached the host
	notPagerDuty         // something answers that is not PagerDuty
	rejected             // PagerDuty will never take the event
	canceled             // this program gave up the attempt
)

// judge is the table of answers. PagerDuty's own is at
// https://developer.pagerduty.com/docs/events-api-v2-overview, "Response codes &
// retry logic". What has not the form of one of its answers comes from something in
// between, whatever its status, and so does a certificate that does not verify. It may be
// about this one event, such as a word in its text, or about all.
func judge(err *eventsv2.Error) verdict {
	switch {
	case err == nil:
		return accepted
	case (errors.Is(err, context.Canceled) || errors.Is(err, eventsv2.ErrSilent)) && err.Status == 0:
		return canceled
	case err.Status == http.StatusTooManyRequests:
		return rateLimited
	case errors.Is(err, eventsv2.ErrUnreachable), err.Intercepted():
		return notPagerDuty
	case err.Status == 0 && !err.Sent:
		return unreachable
	case err.Status == 0:
		return lost
	case err.Rejected:
		return rejected
	}
	return serverError
}

// mayBeAccepted reports whether PagerDuty may have accepted an event although nothing says
// so. What is not PagerDuty may have passed it on.
func mayBeAccepted(err *eventsv2.Error) bool {
	switch judge(err) {
	case serverError, lost, notPagerDuty:
		return true
	case canceled:
		return err.Sent
	}
	return false
}

// mayBePassedOn reports whether something before PagerDuty has answered that may have passed
// the event on, such as a firewall that reads answers. What redirects, wants a login or does
// not know the path has not.
func mayBePassedOn(err *eventsv2.Error) bool {
	switch err.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusGone:
		return false
	}
	return err.Intercepted() && err.Status/100 != 3
}

func (c *Core) answered(now time.Time, in Answered) {
	l := c.lanes[in.Lane]
	if l == nil {
		c.fault(now, "an answer for an unknown lane", in.Lane, in.ID)
		return
	}
	f, ok := l.flying[in.ID]
	if !ok {
		c.fault(now, "an answer to an attempt that is not in flight", in.Lane, in.ID)
		return
	}
	c.landed(now, l, f)
	x := queue.Settlement{ID: in.ID, Claim: f.event.Claim, State: queue.Ready, At: now, Attempts: f.event.Attempts, Tried: true}
	in.Err = f.abandoned(c.hedged(now, l, f, in, &x))
	x.MaybeAccepted = x.MaybeAccepted || mayBeAccepted(in.Err)
	if in.Err != nil {
		x.Status, x.Reason = in.Err.Status, in.Err.Error()
	}
	x.Failure = string(c.note(now, l, f, in.Err))
	x.Upstream, x.Failing = f.host.name, f.host.failing()
	switch v := judge(in.Err); v {
	case accepted:
		x.State, x.Status, x.Attempts = queue.Delivered, http.StatusAccepted, x.Attempts+1
		x.Counts++
		c.accepted(now, l, f)
		c.answers(now, f, in.Second)
	case rateLimited:
		c.rateLimited(now, l, f, in.Err)
	case serverError:
		// It may have been accepted, and counts: that also keeps a server with trouble
		// from getting more than the lane's rate.
		l.hold(now, f, false)
		x.Counts++
		c.reached(now, f.host)
		f.host.budget.fails(now, chainOf(&f.event))
		c.again(now, l, f, &x, in.Err.RetryAfter)
	case lost, notPagerDuty, unreachable:
		if v == lost || mayBePassedOn(in.Err) {
			l.hold(now, f, false)
			x.Counts++
		}
		f.host.budget.fails(now, chainOf(&f.event))
		if f.hedge != nil && f.hedge.given != "" { // it says nothing of the host as that stands now
			c.onceMore(now, l, f, &x)
			break
		}
		c.failed(now, l, f, x.Reason)
		c.again(now, l, f, &x, 0)
		if h := f.host; v == unreachable && h.down && h.probeAt.After(now) { // the event is not to blame
			x.Due = earlier(x.Due, h.probeAt.Add(behindProbe))
		}
	case rejected:
		c.rejected(now, l, f, in, &x)
	case canceled:
		x.Tried = errors.Is(in.Err, eventsv2.ErrSilent) // which has a reason to be told
		if in.Err.Sent {
			l.hold(now, f, false)
			x.Counts++
		}
	}
	l.active = latest(l.active, x.Due)
	switch v := judge(in.Err); {
	case x.State.Ended():
		delete(l.had, in.ID)
	case v == serverError, v == lost:
		c.tried(now, l, &f.event)
	}
	if f.event.Priority == queue.Critical && !x.State.Ended() {
		l.paged = latest(l.paged, latest(now, x.Due))
	}
	c.settle(now, l, x)
	c.tidy(f.host)
	c.look(now, l)
}

// landed takes an attempt out of what is in flight, but for its second copy.
func (c *Core) landed(now time.Time, l *lane, f flight) {
	delete(l.flying, f.event.ID)
	c.take(now, &l.windows[f.slot].flying, -1, "slots in flight")
	c.take(now, &f.host.taken[f.place], -1, "places of a host")
	c.take(now, &c.taken[f.place], -1, "places")
	c.take(now, &f.host.budget.account.flying[f.kind], -1, "requests of an account")
	l.active, c.quiet, c.ended = now, now, now
}

// again lets an event wait for its next attempt, alone. A Retry-After counts up to the
// longest wait between two attempts: a maintenance page asks for hours and may be gone
// in a minute, and all events of the chain wait behind this one.
func (c *Core) again(now time.Time, l *lane, f flight, x *queue.Settlement, asked time.Duration) {
	x.State, x.Attempts = queue.Waiting, x.Attempts+1
	most := maxRetry
	if f.event.Priority == queue.Critical {
		most = l.criticalRetry(now)
	}
	wait := min(c.asAsked(asked), most)
	if asked <= 0 {
		wait = c.spread(double(firstRetry, most, x.Attempts))
	}
	x.Due = now.Add(wait)
	if f.event.Priority == queue.Critical {
		l.failed = now
		l.retrying.hold(slot{until: x.Due})
		f.host.retrying.held(now)
		f.host.retrying.hold(slot{until: x.Due})
	}
}

// criticalRetry is the longest wait between two attempts of a critical event.
func (l *lane) criticalRetry(now time.Time) time.Duration {
	waiting := time.Duration(l.retrying.held(now) + 1)
	return max(maxCriticalRetry, min(maxRetry, waiting*time.Minute/time.Duration(max(1, l.rate()/retried))))
}

// longestRetry is the longest wait of a critical event that fails, as the lane stands now.
// Where others use the common share it may also wait for one of the reserved slots that
// are for such events, see [lane.postponed].
func (l *lane) longestRetry(now time.Time) time.Duration {
	most := l.criticalRetry(now) * 5 / 4 // see spread
	if slots := l.reserve() / 2; slots > 0 && l.free(now, common) < 1 && l.repeated.held(now) >= slots {
		most = max(most, l.repeated.first().Sub(now))
	}
	return most
}

func (c *Core) accepted(now time.Time, l *lane, f flight) {
	l.hold(now, f, true)
	l.stats.Delivered++
	l.took, l.failedIn, l.stored.Proven = true, 0, true
	changed := false
	if f.throttled == l.stats.Throttled { // what left before the last 429 says nothing about the time after it
		changed = l.stored.Pauses > 0 || now.Before(l.stored.PausedUntil)
		l.stored.Pauses, l.stored.PausedUntil, l.gentle = 0, time.Time{}, false
	}
	if !l.stored.KeyRefused.IsZero() {
		l.stored.KeyRefused, changed = time.Time{}, true
		l.tryKeyAgain()
		c.decide(now, Tell{Lane: l.stored.ID, What: KeyIsTaken})
		c.decide(now, Hasten{f.host.name, l.stored.ID})
	}
	if l.surely > 0 && l.used(now) > l.surely {
		l.surely = max(l.surely, l.shown(now))
	}
	if l.grow(now) || changed {
		c.decide(now, Save{l.stored})
	}
	c.reached(now, f.host)
	c.accepts(now, f.host)
	c.accountAccepts(now, l, f)
}

// rejected takes PagerDuty's refusal. It counts in the window: a client that goes on
// asking for what is wrong is what a limit is for. Of the event it is final, unless
// it is about the key: then the event goes by another key of its pool, or waits with
// its lane until somebody has repaired that.
func (c *Core) rejected(now time.Time, l *lane, f flight, in Answered, x *queue.Settlement) {
	l.hold(now, f, false)
	x.Counts++
	c.reached(now, f.host)
	f.host.budget.ended(now, false)
	l.stats.Refused++
	if !in.Err.KeyRejected() {
		x.State, x.Attempts = queue.Refused, x.Attempts+1
		return
	}
	if l.stored.KeyRefused.IsZero() {
		l.stored.KeyRefused = now
		c.decide(now, Save{l.stored})
		c.decide(now, Tell{Lane: l.stored.ID, What: KeyIsRefused, Why: in.Err.Error()})
	}
	if f.rejections == l.rejections { // of those that left together the first counts
		l.rejections++
	}
	if in.Other == 0 {
		l.rejectedUntil = now.Add(c.spread(double(c.rules.rejected, maxRejected, l.rejections)))
		return
	}
	x.Due = now.Add(c.spread(double(c.rules.rejected, maxRejected, x.Attempts+1)))
	if f.event.Action == eventsv2.Trigger {
		x.Lane = in.Other // if its incident is not this key's: that the store knows
		return
	}
	// Its incident is this key's, but what else waits here can go by another one.
	x.State, x.Attempts = queue.Waiting, x.Attempts+1
}

// rateLimited takes a 429. Until when the lane waits is decided by those that begin the
// pause: by the first of several that come at once, or by the longest Retry-After among
// them. One that a critical event meets, which tries the lane meanwhile, changes nothing
// for the others: they have their turn at the time that was told.
func (c *Core) rateLimited(now time.Time, l *lane, f flight, err *eventsv2.Error) {
	l.stats.Throttled++
	f.host.budget.ended(now, false)
	if c.throttledByAccount(now, l, f, err.RetryAfter) {
		c.reached(now, f.host)
		return
	}
	var pause time.Duration
	switch paused := now.Before(l.stored.PausedUntil); {
	case paused && (f.probe || err.RetryAfter <= 0):
	case err.RetryAfter > 0:
		pause = min(maxPause, c.asAsked(err.RetryAfter))
		if n := l.stored.Pauses; n > 0 { // it has not helped: a second each time would use up what the host gets of all lanes
			pause = max(pause, c.spread(double(firstOthers, c.rules.probeEvery, n)))
		}
	default:
		pause = c.pauseOf(now, l)
	}
	if !now.Before(l.stored.PausedUntil) {
		if l.stored.Pauses == 0 {
			l.others = l.roomy(now)
		}
		l.stored.Pauses++
	}
	if until := now.Add(pause); until.After(l.stored.PausedUntil) {
		l.stored.PausedUntil = until
		c.decide(now, Tell{Lane: l.stored.ID, What: RateLimited, Why: err.Error(), Till: until})
	}
	if f.event.Priority == queue.Critical {
		l.probed = now // it has just tried
	}
	l.gentle = true
	if n := max(1, l.shown(now)); !l.roomy(now) && now.Sub(l.opened) >= l.rules.window && (l.took || n < l.surely) { // each further one says that it takes fewer than these
		l.surely = n
	}
	if l.took && l.lower(now, f.try) {
		c.decide(now, Tell{Lane: l.stored.ID, What: LimitLowered, Why: err.Error()})
	}
	l.took, l.limited = false, now
	c.decide(now, Save{l.stored})
	c.reached(now, f.host)
}

// pauseOf is how long a lane waits whose 429 does not say it. The first one since an
// acceptance means that PagerDuty's window is full, and that moves with the oldest event
// in it, which the lane knows. If another follows without anything accepted in between,
// something else is the matter, and PagerDuty's "few minutes" are kept.
func (c *Core) pauseOf(now time.Time, l *lane) time.Duration {
	first := l.stored.Pauses == 0
	switch {
	case first && l.roomy(now), !first && l.others:
		return c.spread(double(firstOthers, maxOthers, l.stored.Pauses+1))
	case first:
		return l.totalBelow(1).Sub(now)
	}
	return min(maxPause, c.spread(double(firstPause, maxPause, l.stored.Pauses)))
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
