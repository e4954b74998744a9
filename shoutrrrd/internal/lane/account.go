package lane

import (
	"slices"
	"time"
)

const (
	// PagerDuty limits accounts beside keys ("Account level limits are also applied",
	// https://developer.pagerduty.com/docs/rate-limits), and does not say how. That is
	// taken for the reason of 429s when, of the last 10 lanes that had an answer within
	// 10 s, five had a 429 as the last one while they had much room: where single keys are
	// limited the others' acceptances outnumber them, and of a few keys each may have a
	// limit of its own.
	accountAnswers = 10
	accountLanes   = 5

	// leastOfAccount is the lowest limit of an account: a request in 10 s, as a critical
	// event may try a lane that is rate limited.
	leastOfAccount = 6

	// firstAccountPause doubles up to maxAccountPause while nothing is accepted.
	firstAccountPause = time.Second
	maxAccountPause   = time.Minute

	// accountCalm is how long there has to be no 429 before the limit grows beyond the
	// place where the last one came: by a tenth in the first minute, and by twice as much
	// in each further one. At 1,000 a minute such a try costs less than 100 in 5,000
	// requests. What is not met any more is forgotten 9 minutes after the last 429, or
	// after accountUnused if little is sent.
	accountCalm   = 5 * time.Minute
	accountUnused = 15 * time.Minute

	// spreadOver is the time over which what is not critical is spread: it gets its part of
	// so much of the limit in it. In one burst it would use up the window's common part, and
	// critical events that came in a group, more than the reserved tenth, would wait for it.
	spreadOver = 5 * time.Second

	unlimited = 1 << 30
)

// account is the limit that all lanes of a host have together, as far as it was met.
type account struct {
	limit   int            // in a minute; 0 if none was met
	ceiling int            // what was accepted in the minute before the last 429
	held    [kinds]window  // what was, or may have been, accepted in the last minute
	flying  [kinds]int     // attempts that have not been answered
	lately  window         // attempts of what is not critical, of the last spreadOver
	answers []accountReply // the last one of each lane, of the last lanes
	limited time.Time      // the last 429 that was counted
	grown   time.Time      // when the limit last changed
	growth  int            // of the limit beyond its ceiling, in the last minute
	took    bool           // something was accepted since the last 429 that was counted
	pauses  int            // 429s without an acceptance between them
	until   time.Time      // a pause: only a critical event tries before then, as it does on a lane
	probed  time.Time      // when it last did
}

// accountReply is an acceptance, or a 429 on a lane with much room.
type accountReply struct {
	at      time.Time
	lane    *lane
	limited bool
}

// room is how many requests the account may have now, and when that changes by itself.
func (a *account) room(now time.Time, asked [kinds]int) (room [kinds]int, at time.Time) {
	if a.limit == 0 {
		return [kinds]int{unlimited, unlimited}, time.Time{}
	}
	var used [kinds]int
	for kind := range used {
		used[kind] = a.held[kind].held(now) + a.flying[kind] + asked[kind]
	}
	left := a.limit - used[severe] - used[others]
	reserve := max(1, a.limit/designed.reserve) // as in a lane
	room = [kinds]int{severe: left, others: min(left, a.limit-reserve-used[others])}
	if room[others] <= 0 {
		at = soonest(a.held[severe].first(), a.held[others].first())
	}
	part := max(1, (a.limit-reserve)*int(spreadOver/time.Second)/int(designed.window/time.Second))
	if part -= a.lately.held(now) + asked[others]; part < room[others] {
		if room[others] = part; part <= 0 {
			at = soonest(at, a.lately.first())
		}
	}
	if now.Before(a.until) {
		at, room[others] = soonest(at, a.until), 0
		if again := a.probed.Add(designed.probeEvery); now.Before(again) {
			at, room[severe] = soonest(at, again), 0
		} else {
			room[severe] = min(room[severe], 1-a.flying[severe]-asked[severe])
		}
	}
	return room, at
}

func (a *account) starts(now time.Time, kind int) {
	a.flying[kind]++
	if kind == others {
		a.lately.held(now)
		a.lately.hold(slot{until: now.Add(spreadOver)})
	}
	if now.Before(a.until) {
		a.probed = now
	}
}

// hold takes a slot for what was, or may have been, accepted.
func (a *account) hold(now time.Time, kind int) {
	a.held[kind].held(now)
	a.held[kind].hold(slot{until: now.Add(designed.window)})
}

// answer notes an acceptance or a 429, and returns whether the 429s are the account's.
func (a *account) answer(now time.Time, l *lane, limited bool) bool {
	a.answers = slices.DeleteFunc(a.answers, func(r accountReply) bool { return r.lane == l || now.Sub(r.at) > recentFor })
	a.answers = append(a.answers, accountReply{now, l, limited})
	a.answers = a.answers[max(0, len(a.answers)-accountAnswers):]
	n := 0
	for _, r := range a.answers {
		if r.limited {
			n++
		}
	}
	return n >= accountLanes
}

// throttledByAccount takes a 429 on a lane that has used less than a quarter of its own
// limit, and reports whether all lanes of the host wait for it: then its own lane need not.
func (c *Core) throttledByAccount(now time.Time, l *lane, f flight, asked time.Duration) bool {
	a := &f.host.budget.account
	if 4*(l.windows[common].held(now)+l.windows[reserved].held(now)) >= l.rate() {
		return false
	}
	switch its := a.answer(now, l, true); {
	case a.limit == 0 && !its:
		return false
	case a.limit == 0:
		c.learnAccount(now, f.host)
	case !f.started.After(a.limited): // it says the same as the last one
	case a.took:
		a.lower(now, a.limit)
	default:
		a.limited = now
		a.pauses++
		a.until = latest(a.until, now.Add(c.spread(double(firstAccountPause, maxAccountPause, a.pauses))))
	}
	if asked > 0 {
		a.until = latest(a.until, now.Add(c.asAsked(min(asked, maxAccountPause))))
	}
	return true
}

// learnAccount begins to pace all lanes of a host together. What their first 429s have
// done to them is undone: they would wait while others send.
func (c *Core) learnAccount(now time.Time, h *host) {
	a := &h.budget.account
	a.lower(now, unlimited)
	for _, r := range a.answers {
		if l := r.lane; r.limited && !l.gone && (l.gentle || now.Before(l.stored.PausedUntil)) {
			l.stored.Pauses, l.stored.PausedUntil, l.gentle, l.others = 0, time.Time{}, false, false
			c.decide(now, Save{l.stored})
			c.look(now, l)
		}
	}
	c.decide(now, Tell{Host: h.name, What: AccountLimited})
}

// lower takes what was accepted in the last minute, less a tenth, for the limit.
func (a *account) lower(now time.Time, limit int) {
	worked := a.held[others].held(now) + a.held[severe].held(now)
	a.ceiling = max(leastOfAccount, worked)
	a.limit = min(limit, max(leastOfAccount, worked*9/10))
	a.limited, a.grown, a.growth, a.took, a.pauses = now, now, 0, false, 0
}

// accountAccepts takes an acceptance: the limit grows once a minute while it is used.
func (c *Core) accountAccepts(now time.Time, l *lane, f flight) {
	h := f.host
	a := &h.budget.account
	a.answer(now, l, false)
	if a.limit == 0 {
		return
	}
	if f.started.After(a.limited) {
		a.took, a.pauses, a.until = true, 0, time.Time{}
	}
	calm := now.Sub(a.limited)
	used := a.held[others].held(now) + a.held[severe].held(now)
	if used > a.ceiling { // more than was thought to be the limit
		a.ceiling, a.limit = used, max(a.limit, used*9/10)
	}
	if now.Sub(a.grown) >= growEvery && used*10 >= a.limit*8 {
		a.grown = now
		if most := a.ceiling * 97 / 100; calm < accountCalm {
			a.limit = max(a.limit, min(most, a.limit+max(1, a.limit/50)))
		} else {
			a.growth = max(2*a.growth, 1, a.ceiling/10)
			a.limit = max(a.limit, a.ceiling) + a.growth
		}
	}
	if a.limit >= 2*a.ceiling && calm >= accountCalm || calm >= accountUnused && 2*used < a.limit {
		a.limit, a.until = 0, time.Time{}
		c.decide(now, Tell{Host: h.name, What: AccountFree})
	}
}
