package lane

import (
	"container/list"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// remembered is how many of the latest attempts a record keeps. Of ten requests in a
	// hundred that fail, 32 show at least one in 97 of a hundred cases.
	remembered = 32

	// recordFor is for how long an attempt says something about the next one. PagerDuty's
	// brown-outs took hours, and their shares changed within minutes.
	recordFor = 5 * time.Minute

	// chanceOfEnd is how often an outage may be taken for over that is not: then the time
	// to page is told too short until the next failure.
	chanceOfEnd = 0.001

	// backAfter is how many acceptances show that a host answers again which did not: the
	// attempts that hung are made again by then, mostly, and one may be luck.
	backAfter = 2

	// longestWhy bounds an error's text: a server chooses it.
	longestWhy = 200
)

// Failure is a kind of failed attempt, in one word: a label of metrics, and what sentences
// for people are made of.
type Failure string

// The kinds.
const (
	ServerError    Failure = "server_error"    // 408 or 5xx, of PagerDuty's or of something on the way
	TimedOut       Failure = "timed_out"       // no answer in time
	ConnectionLost Failure = "connection_lost" // after it stood
	CannotReach    Failure = "unreachable"     // no connection
	NotYetValid    Failure = "not_yet_valid"   // the certificate is not valid yet: mostly this machine's clock is behind
	NotPagerDuty   Failure = "not_pagerduty"   // what answers is a proxy, a captive portal or a firewall
	LimitMet       Failure = "rate_limited"    // 429
	KeyDenied      Failure = "key_rejected"    // PagerDuty's 401, 403, or 400 about the key
	EventDenied    Failure = "rejected"        // PagerDuty's other 400: it will never take the event
	Canceled       Failure = "canceled"        // the relay gave the attempt up
)

// Failures are all kinds.
var Failures = []Failure{ServerError, TimedOut, ConnectionLost, CannotReach, NotYetValid, NotPagerDuty, LimitMet, KeyDenied, EventDenied, Canceled}

// failureOf names the kind of a failed attempt.
func failureOf(err *eventsv2.Error) Failure {
	var timeout interface{ Timeout() bool }
	switch judge(err) {
	case rateLimited:
		return LimitMet
	case serverError:
		return ServerError
	case notPagerDuty:
		return NotPagerDuty
	case canceled:
		return Canceled
	case rejected:
		if err.KeyRejected() {
			return KeyDenied
		}
		return EventDenied
	case unreachable:
		if errors.Is(err, eventsv2.ErrNotYetValid) {
			return NotYetValid
		}
		return CannotReach
	}
	if errors.As(err.Err, &timeout) && timeout.Timeout() {
		return TimedOut
	}
	return ConnectionLost
}

// outcome is how one attempt ended: accepted or failed, and nothing else.
type outcome struct {
	at    time.Time // of its end
	took  time.Duration
	asked time.Duration // Retry-After of a failure, as far as the relay obeys it
	of    chain
	ok    bool
	away  bool // nobody took the connection
	mute  bool // it brought no answer for as long as an outage lasts at least
	hung  bool // it failed after so long that a critical event would have had its second copy accepted or refused by then
}

// begun is an attempt that is in flight.
type begun struct {
	at    time.Time
	of    chain
	hedge *hedge // nil if there will be no second copy
}

// record remembers how the latest attempts of a lane, or of a host, have ended. A 5xx, a
// time-out, a lost connection and an answer that is not PagerDuty's are failures. A 429
// or a rejection is an answer of PagerDuty's about the lane or the event, and neither.
type record struct {
	latest   []outcome  // at most remembered, the oldest first
	accepted time.Time  // the last acceptance
	failed   time.Time  // the last failure
	fell     time.Time  // of a host: the last failure while it was down or mute, or most attempts failed
	since    time.Time  // the first failure after the last acceptance
	failures int        // after the last acceptance
	chains   []chain    // different ones of these failures, two at most
	why      string     // of the last failure
	kind     Failure    // of the last failure
	status   int        // of the last failure's answer, 0 if there was none
	roomy    bool       // the last 429 came although most of the window was free; false since an acceptance
	sent     *list.List // attempts that are in flight, the oldest first, each a begun
	copies   int        // second copies that are in flight
}

// left notes that an attempt begins. What it returns is handed back to ended.
func (r *record) left(b begun) *list.Element {
	if r.sent == nil {
		r.sent = list.New()
	}
	return r.sent.PushBack(b)
}

func (r *record) add(o outcome) {
	if len(r.latest) == remembered {
		r.latest = slices.Delete(r.latest, 0, 1)
	}
	r.latest = append(r.latest, o)
}

func (r *record) succeeded(o outcome) {
	r.roomy = false
	r.accepted, r.since, r.failures, r.chains = o.at, time.Time{}, 0, r.chains[:0]
	r.add(o)
}

func (r *record) failedWith(o outcome, err *eventsv2.Error, why string) {
	if r.failures == 0 {
		r.since = o.at
	}
	r.failed, r.failures, r.why = o.at, r.failures+1, why
	r.kind, r.status = failureOf(err), err.Status
	if len(r.chains) < 2 && !slices.Contains(r.chains, o.of) {
		r.chains = append(r.chains, o.of)
	}
	r.add(o)
}

// note puts the end of an attempt into the records of its lane and its host, and says of
// which kind it is if it failed.
func (c *Core) note(now time.Time, l *lane, f flight, err *eventsv2.Error) Failure {
	f.host.record.sent.Remove(f.sent)
	l.record.sent.Remove(f.sentOfLane)
	o := outcome{at: now, took: now.Sub(f.started), of: chainOf(&f.event)}
	o.hung = err != nil && o.took >= hedgeAfter && f.hedge == nil
	if err == nil {
		o.ok = true
		l.record.succeeded(o)
		f.host.record.succeeded(o)
		clear(f.host.failed)
		f.host.unproven = false
		delete(c.unproven, f.host.name)
		return ""
	}
	switch judge(err) {
	case rateLimited:
		l.record.roomy = l.record.roomy || l.used(now)*4 < l.rate()
	case serverError:
		o.asked = min(err.RetryAfter, maxRetry)
		fallthrough
	case lost, unreachable, notPagerDuty:
		why := err.Error()
		if len(why) > longestWhy {
			why = strings.ToValidUTF8(why[:longestWhy], "") + "…"
		}
		o.away = judge(err) == unreachable
		o.mute = failureOf(err) == TimedOut && o.took >= outage
		apart := l.failsApart(now, f.host)
		l.record.failedWith(o, err, why)
		f.host.failedBy(l, apart, o, err, why)
		if f.host.down || f.host.budget.slow || wasMute(f.host.record.latest) {
			f.host.record.fell = now
		}
	}
	return failureOf(err)
}

// failsApart reports whether what goes by a lane fails while its upstream accepts what goes by
// others: it did so between two failures of the lane, and not long ago. Then the key, or
// something about it, is the matter, and nothing follows for other lanes.
func (l *lane) failsApart(now time.Time, h *host) bool {
	return l.record.failures > 0 && l.record.since.Before(h.record.accepted) && now.Sub(h.record.accepted) < recordFor
}

// failedBy notes a failure of a lane in the record of its upstream.
func (h *host) failedBy(l *lane, apart bool, o outcome, err *eventsv2.Error, why string) {
	if apart {
		h.record.add(o)
		return
	}
	h.record.failedWith(o, err, why)
	if len(h.failed) < h.users {
		h.failed[l.stored.ID] = true
	}
}

// Record is how the latest attempts of a lane or of an upstream have ended, for
// package outlook to judge.
type Record struct {
	Accepted time.Time     // the last acceptance; zero if there was none since the start
	Failed   time.Time     // the last failure: a 5xx, a time-out, a lost connection, or not PagerDuty's answer
	Since    time.Time     // the first failure after the last acceptance; zero if there is none
	Failures int           // after the last acceptance
	Chains   int           // different dedup keys among these failures; 2 stands for more
	Why      string        // of the last one of these failures, without any key; text of others
	Kind     Failure       // of the last one of these failures
	Status   int           // of its answer; 0 if there was none
	Tried    int           // of the latest attempts, at most 5 min old and not of an outage that is over: accepted or failed, those that hang included
	Broken   int           // of these, failed; 0 if all of them were of one dedup key while others were accepted, or of one lane while other lanes were
	Hung     int           // of Broken: what a second copy would have saved, or may still
	Took     time.Duration // the longest that one of these took, but for Hung
	Own      time.Duration // what the next critical attempt takes that is accepted, by these; 0 if none was
	Lost     time.Duration // the longest that a failed one of these took, but for Hung
	Asked    time.Duration // the longest Retry-After of these
	Silent   time.Duration // for how long attempts have been in flight of which none, nor any other, was accepted
	Oldest   time.Duration // the age of the oldest attempt in flight
	Flying   int           // requests in flight, second copies included
}

// recent are the outcomes that may say something of the next attempt.
func (r *record) recent(now time.Time) []outcome {
	latest := r.latest
	for len(latest) > 0 && now.Sub(latest[0].at) > recordFor {
		latest = latest[1:]
	}
	return latest
}

// over is up to when the failures of a host, and of its lanes, were those of an outage that
// is over: it was down or mute, or most attempts failed. The zero time if there was none, or it
// goes on.
func (r *record) over(now time.Time) time.Time {
	latest := r.recent(now)
	if last, _ := ended(latest); last < 0 && slices.ContainsFunc(latest, func(o outcome) bool { return !o.ok }) {
		return time.Time{}
	}
	return r.fell
}

// hanging are the attempts that count as failed although they have not ended: a critical
// event goes out once more then, and after as long again its second copy hangs as well.
func (r *record) hanging(now time.Time) (all []begun) {
	if r.sent == nil {
		return nil
	}
	for at := r.sent.Front(); at != nil && now.Sub(at.Value.(begun).at) >= hedgeAfter; at = at.Next() {
		all = append(all, at.Value.(begun))
	}
	return all
}

// report sums a record up. What ended up to that time is left out: see over.
func (r *record) report(now, over time.Time) Record {
	s := Record{Accepted: r.accepted, Failed: r.failed, Since: r.since, Failures: r.failures, Chains: len(r.chains)}
	if !r.since.IsZero() {
		s.Why, s.Kind, s.Status = r.why, r.kind, r.status
	}
	recent := r.recent(now)
	for len(recent) > 0 && !recent[0].at.After(over) {
		recent = recent[1:]
	}
	hanging := r.hanging(now)
	broken, took := failedOf(recent, hanging), s.addEnded(recent)
	if len(broken) > 1 && len(took) > 0 { // else one body may be the cause, or nothing is known but that
		s.addHanging(now, hanging)
	}
	if n := len(took); n > 0 { // the longest, but not longer than with a second copy
		slices.Sort(took)
		s.Own = min(took[n-1], hedgeAfter+took[n/2])
	}
	if s.Tried-s.Broken >= 2 && r.fromOne(broken) {
		s.Broken, s.Hung = 0, 0
	}
	if r.sent != nil && r.sent.Len() > 0 {
		began := r.sent.Front().Value.(begun).at
		s.Oldest, s.Flying = now.Sub(began), r.sent.Len()+r.copies
		s.Silent = now.Sub(latest(began, r.accepted))
	}
	return s
}

// fromOne reports whether all that failed may have one cause that says nothing of others: the
// body of one chain, or the key of one lane while other lanes are accepted.
func (r *record) fromOne(broken []chain) bool {
	if len(broken) == 0 {
		return false
	}
	itself := func(o outcome) bool { return o.ok && o.of == broken[0] }
	ofLane := func(o outcome) bool { return o.ok && o.of.lane == broken[0].lane }
	another := func(c chain) bool { return c.lane != broken[0].lane }
	return len(broken) == 1 && !slices.ContainsFunc(r.latest, itself) || !slices.ContainsFunc(broken, another) && !slices.ContainsFunc(r.latest, ofLane)
}

// failedOf are the chains of what has failed or hangs.
func failedOf(latest []outcome, hanging []begun) (of []chain) {
	add := func(c chain) {
		if !slices.Contains(of, c) {
			of = append(of, c)
		}
	}
	for _, o := range latest {
		if !o.ok {
			add(o.of)
		}
	}
	for _, b := range hanging {
		add(b.of)
	}
	return of
}

// addEnded adds attempts that have ended, and returns what those took that were accepted.
func (s *Record) addEnded(latest []outcome) (took []time.Duration) {
	last, gone := ended(latest)
	for at, o := range latest {
		if at < last || at == last && gone {
			continue
		}
		s.Tried++
		if !o.ok {
			s.Broken++
		}
		if at == last { // what it took is over with the rest
			continue
		}
		switch {
		case o.ok:
			took = append(took, o.took)
		case o.hung:
			s.Hung++
		default:
			s.Lost = max(s.Lost, o.took)
		}
		s.Asked = max(s.Asked, o.asked)
		if !o.hung {
			s.Took = max(s.Took, o.took)
		}
	}
	return took
}

// addHanging adds attempts that hang: each has failed, with its second copy if that has left for
// as long.
func (s *Record) addHanging(now time.Time, hanging []begun) {
	for _, b := range hanging {
		s.Tried, s.Broken = s.Tried+1, s.Broken+1
		if age := now.Sub(b.at); b.hedge != nil && !b.hedge.left.IsZero() && age >= 2*hedgeAfter {
			s.Lost = max(s.Lost, age)
		} else {
			s.Hung++
		}
	}
}

// ended returns the last failure if it was the end of an outage, else -1: the outcomes
// before it say nothing of the next attempt then. It was, if as many acceptances have
// followed as would come once in a thousand times while attempts go on to fail as before.
// It says nothing itself either, and gone is true, if nobody had taken a connection for a
// while: where one is taken again, what was away is back. So is what had answered nothing
// and has accepted twice.
func ended(latest []outcome) (last int, gone bool) {
	last = len(latest) - 1
	for last >= 0 && latest[last].ok {
		last--
	}
	if last < 0 || last == len(latest)-1 {
		return -1, false
	}
	share, failed := 0.0, 0
	away, since := true, latest[last].at // of the failures in a row that were so
	for at := last; at >= 0; at-- {
		if !latest[at].ok {
			failed++
		}
		if away = away && latest[at].away; away {
			since = latest[at].at
		}
		share = max(share, float64(failed)/float64(last-at+2))
	}
	if latest[last].at.Sub(since) >= outage || len(latest)-1-last >= backAfter && wasMute(latest[:last+1]) {
		return last, true
	}
	chance := 1.0 // of so many acceptances in a row
	for range len(latest) - 1 - last {
		chance *= 1 - share
	}
	if chance < chanceOfEnd {
		return last, false
	}
	return -1, false
}

// wasMute reports whether the last outcomes, which end with a failure, say that nothing was
// answered for a while: attempts of two chains, as one alone may be its own body's fault.
func wasMute(latest []outcome) bool {
	last := len(latest) - 1
	for at := last; at >= 0 && latest[at].mute; at-- {
		if latest[at].of != latest[last].of {
			return true
		}
	}
	return false
}

// Upstream is how what lanes send to stands.
type Upstream struct {
	Name   string
	Lanes  int       // that send to it and are open
	Failed int       // of these, attempts of which have failed since it last accepted anything; not those that fail while others are accepted
	Down   bool      // nobody takes the connection, or what answers is not PagerDuty
	Next   time.Time // the next probe while it is down
	Record Record
	// Unproven says that the last process has seen it fail, and that it has accepted nothing
	// since.
	Unproven bool

	Account int       // what it takes in a minute from all lanes together, as 429s have taught; 0 if none did
	Pauses  int       // 429s in a row to all lanes together
	Pace    int       // requests that it gets in a second, as most attempts fail or did so until now; 0 for any number
	Free    int       // critical events that may go to it now
	FreeAt  time.Time // when that changes by itself, if there is none
	Rate    int       // critical events that may go to it in a minute
	Waiting int       // lanes that have critical events which may go
}

// Failing reports whether it has accepted nothing since its last failure.
func (u Upstream) Failing() bool { return u.Down || u.Unproven || u.Record.Failures > 0 }

// Upstreams tells how every upstream stands that a lane sends to, by name.
func (c *Core) Upstreams(now time.Time) []Upstream {
	all := make([]Upstream, 0, len(c.ordered))
	for _, h := range c.ordered {
		if h.users > 0 {
			all = append(all, h.report(now))
		}
	}
	return all
}

func (h *host) report(now time.Time) Upstream {
	b := &h.budget
	u := Upstream{Name: h.name, Lanes: h.users, Failed: len(h.failed), Down: h.down, Next: h.next(now), Record: h.record.report(now, time.Time{}), Unproven: h.unproven, Account: b.account.limit, Pauses: b.account.pauses}
	u.Rate = max(1, b.limits)
	if pace, _, slow := b.pace(now); slow {
		u.Pace, u.Rate = pace, min(u.Rate, pace*60)
	}
	if u.Account > 0 {
		u.Rate = min(u.Rate, u.Account)
	}
	room, at := b.room(now)
	if u.Free = room[severe]; u.Free == 0 {
		u.FreeAt = at
	}
	for _, lanes := range h.lanes[:milder] {
		u.Waiting += lanes.Len()
	}
	return u
}

// frees is how many slots of the lane's window become free within each second from now
// on; those of attempts in flight stand in the last one.
func (l *lane) frees(now time.Time) []int {
	if l.used(now) == 0 {
		return nil
	}
	list := make([]int, int(l.rules.window/time.Second)+1)
	for _, w := range l.windows {
		for _, s := range w.slots {
			list[min(len(list)-1, int(s.until.Sub(now)/time.Second))]++
		}
		list[len(list)-1] += w.flying
	}
	return list
}

// place reports whether the relay has a place for a critical event of the lane.
func (c *Core) place(l *lane) bool {
	for of := range shares {
		switch {
		case of == trusted && !l.listed && !l.stored.Proven, of == listed && !l.listed:
		case c.places[of] > c.taken[of] && c.free(l.host, of) > 0:
			return true
		}
	}
	return false
}

// turns is how many lanes have critical events that have their turn before those of a lane,
// and how many places there are for all of them.
func (c *Core) turns(l *lane) (before, places int) {
	for _, h := range c.ordered {
		for q, lanes := range h.lanes[:milder] {
			if q&^1 <= c.queueOf(l, queue.Critical) {
				before += lanes.Len()
			}
		}
	}
	if l.queue != nil && before > 0 {
		before--
	}
	for of := range shares {
		if of == trusted && !l.listed && !l.stored.Proven || of == listed && !l.listed {
			continue
		}
		places += c.places[of] * c.rules.hostShare / (c.rules.hostShare + 1)
	}
	return before, max(1, places)
}

// RetryWait is the longest wait before an attempt after so many failed ones in a row, of a
// critical event of a lane with that longest wait of all, which is at least that of an
// ordinary day.
func RetryWait(failed int, most time.Duration) time.Duration {
	most = max(most, maxCriticalRetry*5/4) // see spread
	return min(most, double(firstRetry, most, failed)*5/4)
}

// HedgeAfter is how long a critical event has no answer before it goes out once more.
const HedgeAfter = hedgeAfter
