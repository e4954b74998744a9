package lane

import (
	"slices"
	"time"
)

const (
	// failingPace is how many requests a second a host gets at most while more than half
	// of its recent attempts fail: as many as ten keys may send by the limit that PagerDuty
	// documents, 120 a minute each.
	failingPace = 20

	// leastPace is the lowest pace of events that are not critical.
	leastPace = 2

	// The recent attempts are the last 20 that ended within 10 s: a second of what a
	// failing host gets, so that its recovery is seen within one. Fewer than 10 are no
	// load, and say nothing of the host: a few events that it dislikes are tried so often.
	// No more than 75 wait then to be sent again, as none waits for longer than 75 s.
	recentAttempts = 20
	recentFor      = 10 * time.Second
	fewestAttempts = 10

	// forOthers is the part of that pace, in hundredths, that events may take which are not
	// critical. The rest waits for critical ones: without it one that comes would find the
	// second used up. Critical ones may take all, but for every tenth place, which is that
	// of the lane that has waited longest ([Core.choose]).
	forOthers = 75

	// doublings is how often the pace doubles, once a second, before it is none: after ten
	// even the slowest host gets a thousand a second, four times what is in flight at once.
	doublings = 10

	// outage is how long nothing has to be accepted for the next acceptance to say that the
	// host accepts again. At the failing pace that is 200 attempts: where one in twenty is
	// accepted, so long a silence comes once in 30,000 times.
	outage = 10 * time.Second
)

// The two kinds of events that share what a host may get.
const (
	others = iota
	severe // critical ones
	kinds
)

func kindOf(critical bool) int {
	if critical {
		return severe
	}
	return others
}

// budget is what a host gets as a whole, whatever its lanes may send. In a minute it gets
// no more requests than the limits of its lanes together; probes while it is down are not
// counted, as they have intervals of their own. While most attempts fail it gets few in a
// second, and when that ends twice as many each second: it would fall over again under all
// that has waited. Of any of it the most severe get theirs first ([Core.choose]).
type budget struct {
	limits int        // of its lanes together
	asked  [kinds]int // places of the claim that is out
	minute window     // requests of the last minute
	second [kinds]window

	recent []ending
	slow   bool      // at the last answer most attempts failed
	slowed time.Time // when they last did, or the host was last down; zero if the pace is none
	silent time.Time // the first failure since the last acceptance; zero if there was none
	first  chain     // which failed then
	failed bool      // another one has as well: what one chain alone meets says nothing of the host
	called time.Time // when its retrying events were last made due

	account account
}

// ending is how an attempt ended.
type ending struct {
	at    time.Time
	fails bool
}

// counts keeps the sum of the lanes' limits, as they are configured: what a 429 teaches of
// one lane takes nothing from the others.
func (h *host) counts(l *lane) {
	h.budget.limits += l.limit - l.counted
	l.counted = l.limit
}

// pace is how many requests the host may get in a second, and how many of these may be of
// events that are not critical; false for any number. The latter are spread over the
// minute: a lane whose limit is used up in a burst has none of it left for the pages that
// are tried again and again.
func (b *budget) pace(now time.Time) (all, ofOthers int, slow bool) {
	if b.slowed.IsZero() {
		return 0, 0, false
	}
	since := now.Sub(b.slowed) / time.Second
	if b.slow && since < 60 { // the next answer may take half a minute
		since = 0
	}
	if since >= doublings {
		b.slow, b.slowed = false, time.Time{}
		return 0, 0, false
	}
	even := min(failingPace, max(leastPace, b.limits/60))
	return failingPace << since, max(1, even<<since*forOthers/100), true
}

// room is how many requests may start now, of critical events and of others, and when
// that may change by itself.
func (b *budget) room(now time.Time) (room [kinds]int, at time.Time) {
	asked := b.asked[severe] + b.asked[others]
	all := b.limits - b.minute.held(now) - asked
	room = [kinds]int{others: all, severe: all}
	if all <= 0 {
		at = b.minute.first()
	}
	if most, ofOthers, slow := b.pace(now); slow {
		used := [kinds]int{others: b.second[others].held(now) + b.asked[others], severe: b.second[severe].held(now) + b.asked[severe]}
		left := most - used[others] - used[severe]
		// What left before the host was slowed takes nothing from critical events.
		room[severe] = min(room[severe], max(left, most-most*forOthers/100-used[severe]))
		if room[others] = min(room[others], left, ofOthers-used[others]); room[others] <= 0 {
			at = soonest(at, soonest(b.second[others].first(), b.second[severe].first()))
		}
	}
	theirs, then := b.account.room(now, b.asked)
	for kind := range room {
		room[kind] = max(0, min(room[kind], theirs[kind]))
	}
	return room, soonest(at, then)
}

// starts counts a request.
func (b *budget) starts(now time.Time, kind int, probe bool) {
	b.account.starts(now, kind)
	if probe { // of a host that is down
		return
	}
	b.minute.hold(slot{until: now.Add(time.Minute)})
	b.second[kind].held(now)
	b.second[kind].hold(slot{until: now.Add(time.Second)})
}

// ended takes how an attempt ended, and returns whether most of the recent ones fail.
func (b *budget) ended(now time.Time, fails bool) bool {
	b.recent = append(b.recent, ending{now, fails})
	b.recent = slices.DeleteFunc(b.recent, func(e ending) bool { return now.Sub(e.at) > recentFor })
	b.recent = b.recent[max(0, len(b.recent)-recentAttempts):]
	if failing := b.failing(); failing || b.slow {
		b.slow, b.slowed = failing, now
	}
	return b.slow
}

func (b *budget) failing() bool {
	failed := 0
	for _, e := range b.recent {
		if e.fails {
			failed++
		}
	}
	return len(b.recent) >= fewestAttempts && 2*failed > len(b.recent)
}

// fails takes an attempt that failed.
func (b *budget) fails(now time.Time, of chain) {
	b.ended(now, true)
	if b.silent.IsZero() {
		b.silent, b.first, b.failed = now, of, false
	}
	b.failed = b.failed || of != b.first
}

// accepts takes an acceptance. If the host has accepted nothing for a while, or most
// attempts have failed and do not any more, what waits to be sent to it again is due at
// once, the most severe first, at a pace that grows.
func (c *Core) accepts(now time.Time, h *host) {
	b := &h.budget
	failing := b.slow
	back := !b.silent.IsZero() && b.failed && now.Sub(b.silent) >= outage
	b.silent = time.Time{}
	if still := b.ended(now, false); (back || failing && !still) && now.Sub(b.called) >= recentFor {
		b.called = now
		c.decide(now, Hasten{Host: h.name})
	}
}

// first is when the next slot becomes free, the zero time if none is held.
func (w *window) first() time.Time {
	if len(w.slots) == 0 {
		return time.Time{}
	}
	return w.slots[0].until
}

// soonest is the earlier one of two times, of which a zero one is never.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
