package lane

import (
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// hedgeAfter is how long a critical attempt waits for its answer before the event goes
// out once more. PagerDuty answers within a second, and an attempt may last ten times as
// long as this: a request that hangs, or a connection that has died in silence, is not to
// cost a page that time.
const hedgeAfter = 3 * time.Second

// aloneAfter is how long the second copy of an event has no answer before both are given up
// where nothing else is in flight, whose answer could show that the host is well. With
// [hedgeAfter] before it that is 10 s, a third of what an attempt may last. It is for the first
// attempt of an event alone: a host that answers within half a minute, and not before, gets the
// next one for its whole time.
const aloneAfter = 7 * time.Second

// Hedge: send the event of an attempt once more, the same bytes by a connection of its
// own, while the first copy is in flight. The first copy that is accepted wins and the
// other is cancelled; the end of both is one [Answered]. A copy that has left may be
// accepted whatever becomes of it, so both count in the window. If the attempt has ended
// meanwhile, nothing is to be done.
type Hedge struct{ Lane, ID int64 }

func (Hedge) isDecision() {}

// Abandon: cancel both copies of an attempt, of which none has an answer. The end of both is
// one [Answered] as ever. If the attempt has ended meanwhile, nothing is to be done.
type Abandon struct{ Lane, ID int64 }

func (Abandon) isDecision() {}

// Copy is how the second copy of an event has ended, as Err of [Answered] is how the
// first has.
type Copy struct{ Err *eventsv2.Error } // nil: accepted

// hedge is a flight's second copy.
type hedge struct {
	lane  *lane
	id    int64     // of the event
	due   time.Time // when it leaves, and after that when both copies may be given up; zero if neither is to come
	left  time.Time // zero if it has not
	slot  share     // of the lane's window, if it has left
	place share     // of the relay's capacity, if it has left
	tried bool      // an operator wants the event to be tried
	given givenUp   // why both copies were cancelled; "" if they were not
}

// mayHedge reports whether an event is worth a second copy. A change event has no dedup
// key, so both would be shown.
func mayHedge(e *queue.Event) bool {
	return e.Kind == queue.Alert && e.DedupKey != "" && e.Priority == queue.Critical
}

// hedge decides whether an attempt that has no answer is made once more: not where the
// lane must not send now or there is no room. A host that is down is no reason, as the
// connection may be all that is wrong. When the second copy has had its time as well, it
// decides whether both are given up.
func (c *Core) hedge(now time.Time, l *lane, id int64) {
	f, ok := l.flying[id]
	if !ok || f.hedge == nil || c.mustWait(now, l) {
		return
	}
	if !f.hedge.left.IsZero() {
		if c.abandon(now, f); f.hedge.given == "" && now.Before(f.hedge.left.Add(aloneAfter)) {
			c.ring(alarm{at: f.hedge.left.Add(aloneAfter), set: &f.hedge.due, lane: l, hedge: id})
		}
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
	f.hedge.left, f.hedge.slot, f.hedge.place = now, slot, place
	f.host.twice = append(f.host.twice, f.hedge)
	c.ring(alarm{at: now.Add(hedgeAfter), set: &f.hedge.due, lane: l, hedge: id})
	l.windows[slot].flying++
	f.host.taken[place]++
	c.taken[place]++
	budget.starts(now, severe, f.host.down)
	f.host.record.copies++
	l.record.copies++
	c.decide(now, Hedge{l.stored.ID, id})
}

// hedged takes the end of both copies of a flight. It returns which of the two outcomes
// counts, and notes in the settlement what the other copy means.
func (c *Core) hedged(now time.Time, l *lane, f flight, in Answered, x *queue.Settlement) *eventsv2.Error {
	h := f.hedge
	if h == nil {
		return in.Err
	}
	h.due = time.Time{}
	if h.left.IsZero() {
		return in.Err
	}
	f.host.twice = slices.DeleteFunc(f.host.twice, func(other *hedge) bool { return other == h })
	c.take(now, &l.windows[h.slot].flying, -1, "slots in flight")
	c.take(now, &f.host.record.copies, -1, "copies")
	c.take(now, &l.record.copies, -1, "copies")
	c.take(now, &f.host.taken[h.place], -1, "places of a host")
	c.take(now, &c.taken[h.place], -1, "places")
	account := &f.host.budget.account
	c.take(now, &account.flying[severe], -1, "requests of an account")
	if in.Second == nil { // the attempt had ended before the second copy could leave
		return in.Err
	}
	counts, other := in.Err, in.Second.Err
	if better(other, counts) {
		counts, other = other, counts
	}
	if mayBeTaken(other) {
		l.windows[h.slot].hold(slot{until: now.Add(l.rules.window)})
		account.hold(now, severe)
		x.Counts++
	}
	switch {
	case in.Err == nil:
		x.Hedged = queue.FirstAccepted
	case in.Second.Err == nil:
		x.Hedged = queue.SecondAccepted
	default:
		x.Hedged, x.MaybeAccepted = queue.NeitherAccepted, mayBeAccepted(other)
	}
	return counts
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
		return mayBePassedOn(err)
	case canceled:
		return err.Sent
	}
	return false
}

// givenUp says why both copies of an attempt were cancelled. As an error it is a time-out
// that came early.
type givenUp string

const (
	hostAnswers   givenUp = "no answer by two connections, while the upstream accepted an event that left later"
	nothingElse   givenUp = "no answer by two connections for 10 s, and nothing else was in flight"
	operatorTries givenUp = "no answer by two connections, and an operator had the event tried again"
)

func (g givenUp) Error() string { return string(g) }

// Timeout makes it one for people and metrics.
func (givenUp) Timeout() bool { return true }

// mustWait reports whether the lane must not send now, whatever room there is.
func (c *Core) mustWait(now time.Time, l *lane) bool {
	return c.stopping || l.stored.Held || l.way.Stopped || l.keyWaits(now) || now.Before(l.stored.PausedUntil)
}

// answers takes an acceptance. What left twice before the request that was accepted, and is
// silent, is given up: the host answers, so the fault is in the connections, and the event
// need not wait for the end of its attempt.
func (c *Core) answers(now time.Time, f flight, second *Copy) {
	began := f.started
	if second != nil && second.Err == nil {
		began = f.hedge.left
	}
	h := f.host
	h.answered = latest(h.answered, began)
	for _, one := range h.twice {
		c.abandon(now, one.lane.flying[one.id])
	}
}

// tryAgain gives up what an operator wants to be tried, as soon as it has been silent for
// long enough.
func (c *Core) tryAgain(now time.Time, wanted func(*hedge) bool) {
	for _, h := range c.ordered {
		for _, one := range h.twice {
			if wanted(one) {
				one.tried = true
				c.abandon(now, one.lane.flying[one.id])
			}
		}
	}
}

// abandon gives both copies of an attempt up if there is a reason, neither has an answer in
// its time, and the event could leave again. An attempt is given up once. It lasts for 6 s
// before that, so no event is sent more often than twice in 6 s.
func (c *Core) abandon(now time.Time, f flight) {
	h := f.hedge
	if h.given != "" || now.Sub(h.left) < hedgeAfter || c.failing || c.mustWait(now, h.lane) {
		return
	}
	switch {
	case h.tried:
		h.given = operatorTries
	case f.host.answered.After(h.left):
		h.given = hostAnswers
	case now.Sub(h.left) >= aloneAfter && f.event.Attempts == 0 && f.host.record.sent.Len() == 1:
		h.given = nothingElse
	default:
		return
	}
	c.decide(now, Abandon{h.lane.stored.ID, h.id})
}

// abandoned returns what the end of both copies means for an event if they were given up: a
// lost answer.
func (f *flight) abandoned(err *eventsv2.Error) *eventsv2.Error {
	if f.hedge == nil || f.hedge.given == "" || judge(err) != canceled {
		return err
	}
	return &eventsv2.Error{Err: f.hedge.given, Sent: err.Sent}
}

// onceMore lets an event go again that was given up. The host may have had trouble since the
// event came, which is over now: then it is due at once. If the host accepts others all the
// time the event waits as after any failure, or it would take slots from new ones.
func (c *Core) onceMore(now time.Time, l *lane, f flight, x *queue.Settlement) {
	if f.hedge.given == hostAnswers && f.event.Attempts > 0 && f.accepted.After(f.event.Fresh) {
		c.again(now, l, f, x, 0)
		return
	}
	x.Attempts, l.failed = x.Attempts+1, now
}
