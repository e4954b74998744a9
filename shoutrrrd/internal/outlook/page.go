// Package outlook is the one judgement of whether pages leave: how late a critical event
// would be that is accepted now, lane by lane, and one headline for the whole relay. It
// is made of what the scheduler and the store know, by pure functions; API, console,
// commands, metrics and the log all say what it says.
package outlook

import (
	"math"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// AtOnce is below what a person calls at once.
	AtOnce = time.Second

	// Overdue is for how long a critical event may be queued before the relay takes it
	// for one that does not leave, where it does not know when it will. Nobody is told
	// that a page leaves at once while one has waited for so long.
	Overdue = 10 * time.Second

	// silent is how long attempts may bring nothing before the upstream counts as one that
	// does not answer. PagerDuty answers in a fraction of a second.
	silent = 5 * time.Second

	// slowStore is how long the store may take to hand out what leaves next. It is one
	// commit, a few milliseconds.
	slowStore = time.Second

	// window is what PagerDuty counts over (https://developer.pagerduty.com/docs/rate-limits).
	window = time.Minute

	// surely is the share of pages that are to arrive within the time that is told.
	surely = 0.99

	// ownRecord is how many of the latest attempts have to be a lane's own to say more than
	// those of its whole upstream.
	ownRecord = 16

	// firstTook is how long an attempt counts as long as none was measured: a new
	// connection with TLS takes three round trips, around the world half a second.
	firstTook = 500 * time.Millisecond

	// mostRetries bounds the sum over failed attempts: at a share above nine tenths the
	// rest is counted at the longest wait.
	mostRetries = 64
)

// Reason is why it is unknown when a page would leave.
type Reason string

// The reasons, the first of them that is true counts.
const (
	None          Reason = ""
	Storage       Reason = "storage"                 // the queue cannot be written or does not answer
	Paused        Reason = "paused"                  // by an operator
	NotConfigured Reason = "upstream_not_configured" // what is queued was accepted for another upstream than the configuration names
	KeyRejected   Reason = "key_rejected"            // PagerDuty rejects the key
	Unreachable   Reason = "unreachable"             // nobody takes the connection, or what answers is not PagerDuty
	Failing       Reason = "failing"                 // nothing was accepted since the last failure
	NoAnswer      Reason = "no_answer"               // nothing was accepted since the attempts in flight began
	RateLimited   Reason = "rate_limited"            // again and again, without an acceptance in between
	Unproven      Reason = "unproven"                // nothing was accepted since the relay began, and it had failed before that, or a critical event has waited for long
)

// Page is how late a critical event of a lane would be accepted by PagerDuty that the
// relay accepts now.
type Page struct {
	Late   time.Duration // 99 of 100 are not later than that; of no meaning if there is a Reason
	Reason Reason        // why it is unknown; None if it is known
	// Record is what has failed, that of the lane or that of its upstream, if the reason
	// is about that.
	Record lane.Record
	Own    bool // that is the record of this lane alone: nothing has failed of others
	// By is the lane of the same pool by which a new incident leaves, 0 if it is the lane
	// itself. What PagerDuty has of this lane, or may have, stays in it: Stays is how late
	// that is then, of no meaning if Stuck says why it is unknown.
	By    int64
	Stays time.Duration
	Stuck Reason
	// Account says that a rate limit is not about the lane alone.
	Account bool
}

// Known reports whether Late can be told.
func (p Page) Known() bool { return p.Reason == None }

// Staying is the judgement of what waits in the lane and cannot leave by another one.
func (p Page) Staying() Page {
	if p.By == 0 {
		return p
	}
	return Page{Late: p.Stays, Reason: p.Stuck, Record: p.Record, Own: p.Own, Account: p.Account}
}

// Longest is Late, or how late what stays is, if critical events are queued in the lane: they
// may have to stay, and the next one with them.
func (p Page) Longest(critical int) time.Duration {
	if stays := p.Staying(); critical > 0 && stays.Known() {
		return max(p.Late, stays.Late)
	}
	return p.Late
}

// Of judges a lane by its status and the count of what is queued in it. In a pool a new
// incident leaves by another lane where this one cannot send it.
func Of(s lane.Status, count queue.Count, now time.Time) Page {
	own := alone(s, count, now)
	if s.Sister == nil {
		return own
	}
	p := alone(*s.Sister, queue.Count{}, now) // nothing as severe waits in it
	if !p.Known() || own.Known() && own.Late <= p.Late {
		return own
	}
	p.By, p.Stays, p.Stuck, p.Record, p.Own, p.Account = s.Sister.Lane, own.Late, own.Reason, own.Record, own.Own, own.Account
	return p.overdue(count, now)
}

// overdue has nobody told that a page leaves at once while one waits in the lane.
func (p Page) overdue(count queue.Count, now time.Time) Page {
	if p.Late < AtOnce && isOverdue(count, now) {
		p.Late = AtOnce
	}
	return p
}

// isOverdue reports whether a critical event has waited for so long that something must be
// the matter, unless it is known why.
func isOverdue(count queue.Count, now time.Time) bool {
	at := count.OldestCritical
	return count.Waiting[queue.Critical] > 0 && !at.IsZero() && now.Sub(at) >= Overdue
}

func alone(s lane.Status, count queue.Count, now time.Time) Page {
	if reason, record := unknown(s, count, now); reason != None {
		own := reason == Failing && s.Record.Failures > 0 && s.Upstream.Failed < 2 && s.Upstream.Lanes > 1
		return Page{Reason: reason, Record: record, Own: own, Account: reason == RateLimited && s.Upstream.Account > 0}
	}
	if s.Most == 0 { // the scheduler does not have it open, as it has nothing to do
		return Page{}
	}
	return Page{Late: wait(s, count, now)}.overdue(count, now)
}

func unknown(s lane.Status, count queue.Count, now time.Time) (Reason, lane.Record) {
	up := s.Upstream
	switch {
	case s.StoreFailing, s.StoreSilent >= slowStore:
		return Storage, lane.Record{}
	case s.Condition == lane.Paused:
		return Paused, lane.Record{}
	case s.Condition == lane.Stopped:
		return NotConfigured, lane.Record{}
	case s.KeyRefused:
		return KeyRejected, s.Record
	case up.Down:
		return Unreachable, up.Record
	case up.Record.Failures > 0:
		return Failing, up.Record
	case s.Record.Failures > 0 && count.Total() > 0: // what has failed is given up otherwise
		return Failing, s.Record
	case s.Record.Silent >= silent && s.Busy >= s.Most:
		return NoAnswer, s.Record
	case mute(up.Record):
		return NoAnswer, up.Record
	case s.Pauses > 1, s.Roomy, up.Pauses > 1:
		return RateLimited, s.Record
	case up.Unproven, up.Record.Accepted.IsZero() && !limited(s) && isOverdue(count, now): // what failed before the relay began is forgotten
		return Unproven, up.Record
	}
	return None, lane.Record{}
}

// limited reports whether a limit is why something waits: PagerDuty's, or that of the window.
func limited(s lane.Status) bool {
	return s.Pauses > 0 || s.Condition == lane.Throttled || s.Condition == lane.AtLimit
}

// mute reports whether an upstream does not answer. One request that hangs does not show
// that: a page goes out once more, by a connection of its own.
func mute(r lane.Record) bool { return r.Silent >= silent && r.Flying > 1 }

// wait is how long a page takes where that can be told: a pause, then a slot and a place
// behind the critical events before it, then the attempts that fail, and the one that does not.
func wait(s lane.Status, count queue.Count, now time.Time) time.Duration {
	r := s.Record
	if r.Tried < ownRecord {
		r = s.Upstream.Record
	}
	ahead := max(0, count.Waiting[queue.Critical]-s.Critical)
	late := max(s.PausedUntil.Sub(now), 0)
	late = max(late, slot(s, count, ahead), turn(s.Upstream, ahead, now)) + place(s, r, ahead)
	var again time.Duration // what an attempt costs that hangs
	if r.Hung > 0 || r.Silent >= silent {
		again = lane.HedgeAfter + firstTook
	}
	return late + max(r.Own, again) + Retries(Share(r), func(failed int) time.Duration {
		return max(lane.RetryWait(failed, s.Retry), r.Asked) + max(r.Lost, again)
	})
}

// turn is when the upstream may get a critical event behind so many others of the lane, and
// one of each other lane that has any. Most attempts fail, or its account is limited: then
// all lanes are paced together.
func turn(u lane.Upstream, ahead int, now time.Time) time.Duration {
	if u.Pace == 0 && u.Account == 0 && u.Free > 0 || u.Rate == 0 {
		return 0
	}
	ahead += max(0, u.Waiting-1)
	if ahead < u.Free {
		return 0
	}
	return max(0, u.FreeAt.Sub(now)) + time.Duration(ahead-u.Free)*time.Minute/time.Duration(u.Rate)
}

// slot is when the lane's window has room for a critical event behind so many others.
func slot(s lane.Status, count queue.Count, ahead int) time.Duration {
	if others := count.Total() - count.Waiting[queue.Critical]; others > 0 {
		ahead += min(ahead, others)   // a milder event may be the head of a chain in which a critical one waits
		ahead += min(ahead/9, others) // every tenth slot is that of the oldest event, whatever it is
	}
	rate, free := max(1, s.Learned), s.Free
	if s.Took > 0 && s.Took < s.Learned { // a learned limit is halved at most, and grows by itself
		rate, free = s.Took, s.Free-(s.Learned-s.Took)
	}
	if ahead < free {
		return 0
	}
	rounds := time.Duration(ahead/rate) * (window + s.Record.Took)
	need := ahead%rate - free // of those that become free, counted from 0; below 0 free the limit was lowered: as many more
	if need < 0 {
		return rounds
	}
	for second, n := range s.Frees {
		if need -= n; need < 0 {
			return rounds + time.Duration(second+1)*time.Second
		}
	}
	return rounds + window + s.Record.Took
}

// place is how long it takes until one of the lane's attempts has ended that hold its
// places, and those before it were made.
func place(s lane.Status, r lane.Record, ahead int) time.Duration {
	took := max(r.Took, r.Oldest)
	if s.Critical > 0 && s.Free > 0 { // one of them ends by its second copy at the latest
		took = max(r.Took, min(r.Oldest, lane.HedgeAfter+firstTook))
	}
	if took == 0 {
		took = firstTook
	}
	abreast := max(1, s.Most)
	turns := max(ahead%max(1, s.Learned)/abreast, // those of earlier windows have long been made
		s.Before/max(1, s.Places))
	switch {
	case s.Alone: // the first one, and what is in flight; when one is accepted the others leave abreast
		turns += min(1, ahead) + min(1, s.Busy)
	case s.Busy >= abreast, s.Crowded:
		turns++
	}
	return time.Duration(turns) * took
}

// Share is what share of the attempts fails, as far as the latest ones show, and rather
// more than less: with each failure one more is reckoned with. An attempt that hangs has
// failed if its second copy fails as well.
func Share(r lane.Record) float64 {
	if r.Broken == 0 {
		return 0
	}
	of := float64(r.Tried + 1)
	all := float64(r.Broken+1) / of
	if r.Hung == 0 {
		return all
	}
	hung := float64(r.Hung+1) / of
	return all - hung + hung*all
}

// Retries is how long the failed attempts of a page take, with their waits, in all but one
// of a hundred cases: share is how many of the attempts fail, and after the n-th failure
// in a row the next one ends wait(n) later if it fails as well.
func Retries(share float64, wait func(failed int) time.Duration) (late time.Duration) {
	if share <= 0 {
		return 0
	}
	left := share // of those that have failed so often
	for failed := 1; left > 1-surely; failed++ {
		if failed > mostRetries {
			rest := math.Log((1-surely)/left) / math.Log(min(share, 0.999))
			return late + time.Duration(min(rest, 1e6))*wait(failed)
		}
		late += wait(failed)
		left *= share
	}
	return late
}
