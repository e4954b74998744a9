package lane

import (
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// hedgeAfter is how long a critical attempt waits for its answer before the event goes
// out once more. PagerDuty answers within a second, and an attempt may last ten times as
// long as this: a request that hangs, or a connection that has died in silence, is not to
// cost a page that time.
const hedgeAfter = 3 * time.Second

// Hedge: send the event of an attempt once more, the same bytes by a connection of its
// own, while the first copy is in flight. The first copy that is accepted wins and the
// other is cancelled; the end of both is one [Answered]. A copy that has left may be
// accepted whatever becomes of it, so both count in the window. If the attempt has ended
// meanwhile, nothing is to be done.
type Hedge struct{ Lane, ID int64 }

func (Hedge) isDecision() {}

// Copy is how the second copy of an event has ended, as Err of [Answered] is how the
// first has.
type Copy struct{ Err *eventsv2.Error } // nil: accepted

// hedge is a flight's second copy.
type hedge struct {
	due   time.Time // when it leaves; zero once that is decided
	left  bool
	slot  share // of the lane's window, if it has left
	place share // of the relay's capacity, if it has left
}

// mayHedge reports whether an event is worth a second copy. A change event has no dedup
// key, so both would be shown.
func mayHedge(e *queue.Event) bool {
	return e.Kind == queue.Alert && e.DedupKey != "" && e.Priority == queue.Critical
}

// hedge decides whether an attempt that has no answer is made once more: not where the
// lane must not send now or there is no room. A host that is down is no reason, as the
// connection may be all that is wrong.
func (c *Core) hedge(now time.Time, l *lane, id int64) {
	f, ok := l.flying[id]
	if !ok || f.hedge == nil || f.hedge.left || c.stopping || l.stored.Held || l.keyWaits(now) || now.Before(l.stored.PausedUntil) {
		return
	}
	// The places of trusted and listed lanes are left to pages that have not left at all.
	slot, place := common, common
	if l.free(now, common) < 1 {
		slot = reserved
	}
	if c.free(f.host, common) < 1 {
		place = reserved
	}
	budget := &f.host.budget
	if room, _ := budget.room(now); l.free(now, slot) < 1 || c.free(f.host, place) < 1 || !f.host.down && room[severe] < 1 {
		return
	}
	f.hedge.left, f.hedge.slot, f.hedge.place = true, slot, place
	l.windows[slot].flying++
	f.host.taken[place]++
	c.taken[place]++
	budget.starts(now, severe, f.host.down)
	f.host.record.copies++
	l.record.copies++
	c.decide(now, Hedge{l.stored.ID, id})
}

// hedged takes the end of both copies of a flight. It returns which of the two outcomes
// counts, and whether the copy that does not count may have been accepted.
func (c *Core) hedged(now time.Time, l *lane, f flight, first *eventsv2.Error, second *Copy) (*eventsv2.Error, queue.Hedged, bool) {
	h := f.hedge
	if h == nil {
		return first, queue.NotHedged, false
	}
	h.due = time.Time{}
	if !h.left {
		return first, queue.NotHedged, false
	}
	c.take(now, &l.windows[h.slot].flying, -1, "slots in flight")
	c.take(now, &f.host.record.copies, -1, "copies")
	c.take(now, &l.record.copies, -1, "copies")
	c.take(now, &f.host.taken[h.place], -1, "places of a host")
	c.take(now, &c.taken[h.place], -1, "places")
	account := &f.host.budget.account
	c.take(now, &account.flying[severe], -1, "requests of an account")
	if second == nil { // the attempt had ended before the second copy could leave
		return first, queue.NotHedged, false
	}
	counts, other := first, second.Err
	if better(second.Err, first) {
		counts, other = other, counts
	}
	if mayBeTaken(other) {
		l.windows[h.slot].hold(slot{until: now.Add(l.rules.window)})
		account.hold(now, severe)
	}
	switch {
	case first == nil:
		return counts, queue.FirstAccepted, false
	case second.Err == nil:
		return counts, queue.SecondAccepted, false
	}
	return counts, queue.NeitherAccepted, mayBeAccepted(other)
}

// outcomes are the verdicts, those before that say more about the event: it is done;
// PagerDuty will never take it; it must not come now; something has met a request; nothing
// is known of it; none has left; nobody wants to know.
var outcomes = [...]int{
	accepted: 0, rejected: 1, rateLimited: 2, serverError: 3, notPagerDuty: 4, lost: 5, unreachable: 6, canceled: 7,
}

// better reports whether the outcome of one copy of an event counts rather than that of
// another one. Of two that say the same the first copy's counts.
func better(a, b *eventsv2.Error) bool { return outcomes[judge(a)] < outcomes[judge(b)] }

// mayBeTaken reports whether an attempt that ended so counts in the window.
func mayBeTaken(err *eventsv2.Error) bool {
	switch judge(err) {
	case accepted, rejected, serverError, lost:
		return true
	case notPagerDuty, unreachable:
		return err.Intercepted()
	case canceled:
		return err.Sent
	}
	return false
}
