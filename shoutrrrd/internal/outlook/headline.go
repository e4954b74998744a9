package outlook

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// LateAfter is for how long a critical event may be queued, unless somebody says otherwise,
// before that is late: PagerDuty itself notifies within minutes.
const LateAfter = time.Minute

// State is how the whole relay stands, in one word.
type State string

// The states.
const (
	Leaving    State = "leaving"     // pages leave
	Late       State = "late"        // they leave, but some wait too long, or somebody has to decide about some
	NotLeaving State = "not_leaving" // pages do not leave
)

// Lane is what is known of a lane.
type Lane struct {
	Page      Page
	Condition lane.Condition
	Count     queue.Count
	Upstream  string // "" if the scheduler has nothing to do with it
}

// Name is how people call a lane.
type Name struct {
	Lane     string // alias or fingerprint
	Upstream string
	By       string // who has paused it; "" if nobody did, or did not say
	// Date makes a date of a time of the relay's; nil: it is one.
	Date func(time.Time) time.Time
}

// Relay is what is known of the whole relay.
type Relay struct {
	Now       time.Time
	LateAfter time.Duration
	Refuses   error           // why no event is accepted; nil if events are
	Upstreams []lane.Upstream // that lanes send to
	Lanes     []Lane
	Dead      int            // dead letters, those of forgotten lanes included
	Name      func(int) Name // of one of Lanes
}

// Headline is one sentence about the relay, and what it is made of.
type Headline struct {
	State    State
	Sentence string
	// Page is what the sentence says in a figure: that of the lane or upstream of which the
	// sentence tells that it is unknown, else the longest of all lanes. A pause by an
	// operator counts if a critical event waits in its lane.
	Page     Page
	Critical int           // critical events that are queued
	Stuck    int           // of these, in lanes that do not send them
	Waited   time.Duration // of the oldest one of Stuck, else of Critical; 0 if there is none
	Lanes    int           // that would not send a page now
	Paused   int           // of these, by an operator
	Failing  []Trouble     // upstreams that accept nothing, the one with the most lanes first
	Why      string        // pages do not leave, or are late; "" if they leave
}

// Trouble is an upstream that has accepted nothing since attempts began to fail.
type Trouble struct {
	Upstream string
	Lanes    int       // that send to it
	Failed   int       // of these, attempts of which have failed since it last accepted anything
	Since    time.Time // the first failure
	Failures int
	Cause    string    // in words
	Last     string    // the last error: text of others
	Next     time.Time // the next try, if nothing else leaves until then; zero if it is not known
	page     Page      // of its lanes
}

// sum is what a headline is made of.
type sum struct {
	Headline
	oldest  time.Time       // acceptance of the oldest one of Critical
	stuck   time.Time       // of the oldest one of Stuck
	worst   int             // the lane of that, -1 for none
	unknown int             // a lane of which it is unknown when a page would leave; -1 for none
	busy    map[string]bool // upstreams for which something is queued
}

// Judge makes the headline.
func Judge(r Relay) Headline {
	s := sum{worst: -1, unknown: -1, busy: map[string]bool{}}
	for at := range r.Lanes {
		s.add(at, &r.Lanes[at], r.Now)
	}
	for _, u := range r.Upstreams {
		if t, is := trouble(u); is && s.busy[u.Name] {
			s.Failing = append(s.Failing, t)
		}
	}
	slices.SortStableFunc(s.Failing, func(a, b Trouble) int { return b.Lanes - a.Lanes })
	s.Waited = age(r.Now, s.oldest)
	s.judge(r)
	return s.Headline
}

func (s *sum) add(at int, l *Lane, now time.Time) {
	critical := l.Count.Waiting[queue.Critical]
	s.Critical += critical
	if critical > 0 {
		s.oldest = earliest(s.oldest, l.Count.OldestCritical)
	}
	if l.Count.Total() > 0 && l.Upstream != "" {
		s.busy[l.Upstream] = true
	}
	if l.Page.Known() {
		s.Page.Late = max(s.Page.Late, l.Page.Longest(critical))
		if l.Page.Staying().Known() {
			return
		}
	} else {
		s.Lanes++
		if l.Page.Reason == Paused {
			s.Paused++
		}
		if first := s.unknown < 0 || l.Page.Own; first && (l.Page.Reason != Paused || critical > 0) { // the lane that fails alone is named
			s.unknown = at
		}
	}
	if critical > 0 && age(now, l.Count.OldestCritical) >= Overdue {
		s.Stuck += critical
		if s.stuck = earliest(s.stuck, l.Count.OldestCritical); s.stuck.Equal(l.Count.OldestCritical) {
			s.worst = at
		}
	}
}

func (s *sum) judge(r Relay) {
	outage := slices.IndexFunc(s.Failing, func(t Trouble) bool { return t.proven(r) })
	switch {
	case r.Refuses != nil:
		s.State, s.Why = NotLeaving, r.Refuses.Error()
		s.Page = Page{Reason: Storage}
		s.Sentence = "No event is accepted: " + s.Why
	case s.worst >= 0:
		s.State, s.Waited = NotLeaving, age(r.Now, s.stuck)
		s.Page = r.Lanes[s.worst].Page.Staying()
		s.Why = s.Page.Cause(r.Name(s.worst))
		s.Sentence = stuck(s.Stuck, s.Waited) + ": " + s.Why
	case outage >= 0:
		s.State, s.Why = NotLeaving, s.Failing[outage].Cause
		s.Page = s.Failing[outage].page
		s.Sentence = "Pages do not leave: " + s.Why
	case s.unknown >= 0:
		s.State, s.Page = Late, r.Lanes[s.unknown].Page
		s.Why = r.Lanes[s.unknown].Page.Cause(r.Name(s.unknown))
		s.Sentence = fmt.Sprintf("It is unknown when a page of %s would leave: %s", r.Name(s.unknown).Lane, s.Why)
		if others := s.Lanes - s.Paused; others > 1 {
			s.Sentence = fmt.Sprintf("It is unknown when a page of %d lanes would leave; of %s: %s", others, r.Name(s.unknown).Lane, s.Why)
		}
	default:
		s.known(r)
	}
}

// known makes the headline of a relay of which it is known when pages leave.
func (s *sum) known(r Relay) {
	s.State = Leaving
	s.Sentence = "Pages leave at once"
	if s.Page.Late >= AtOnce {
		s.Sentence = "A page accepted now would arrive within " + Bound(s.Page.Late)
	}
	if s.Paused > 0 {
		s.Sentence += ", but not those of " + counted(s.Paused, "paused lane")
	}
	switch {
	case s.Critical > 0 && s.Waited >= r.LateAfter:
		s.State, s.Why = Late, counted(s.Critical, "critical page")+" "+waits(s.Critical, "waits", "wait")+", the oldest for "+Span(s.Waited)
		s.Sentence = upper(s.Why) + "; " + lower(s.Sentence)
	case s.Page.Late > r.LateAfter:
		s.State, s.Why = Late, "a page would be "+Bound(s.Page.Late)+" late" // which the sentence says
	}
	if r.Dead > 0 {
		dead := counted(r.Dead, "event") + " " + waits(r.Dead, "was", "were") + " rejected or expired"
		if s.State, s.Sentence = Late, s.Sentence+"; "+dead; s.Why == "" {
			s.Why = dead
		}
	}
}

// trouble reports whether an upstream accepts nothing, and how.
func trouble(u lane.Upstream) (Trouble, bool) {
	p := Page{Reason: Failing, Record: u.Record}
	switch {
	case u.Down:
		p.Reason = Unreachable
	case u.Record.Failures > 0:
	case mute(u.Record):
		p.Reason = NoAnswer
	default:
		return Trouble{}, false
	}
	t := Trouble{page: p, Upstream: u.Name, Lanes: u.Lanes, Failed: u.Failed, Since: u.Record.Since, Failures: u.Record.Failures, Cause: p.Cause(Name{Upstream: u.Name}), Last: u.Record.Why}
	if u.Down {
		t.Next = u.Next
	}
	return t, true
}

// proven reports whether an upstream accepts nothing at all: not for a moment, and not of
// one dedup key alone, which its own body may have caused, nor of one lane of several, whose
// key may be the cause.
func (t Trouble) proven(r Relay) bool {
	for _, u := range r.Upstreams {
		if u.Name == t.Upstream {
			return u.Down || u.Record.Chains > 1 && (u.Failed != 1 || u.Lanes < 2) && r.Now.Sub(u.Record.Since) >= Overdue
		}
	}
	return false
}

// Cause says in words why it is unknown when a page leaves.
func (p Page) Cause(of Name) string {
	who := host(of.Upstream)
	switch p.Reason {
	case None:
		return ""
	case Storage:
		return "the queue cannot be written"
	case Paused:
		if of.By != "" {
			return of.Lane + " is paused by " + of.By
		}
		return of.Lane + " is paused by an operator"
	case NotConfigured:
		return of.Lane + " is stopped: its upstream " + address(of.Upstream) + " is not configured"
	case KeyRejected:
		return who + " rejects the key of " + of.Lane
	case NoAnswer:
		return who + " does not answer"
	case Unproven:
		return who + " has accepted nothing since the relay started"
	case RateLimited:
		if p.Account {
			return who + " rate limits the account"
		}
		return who + " rate limits " + of.Lane
	}
	if p.Own && of.Lane != "" {
		return p.ownCause(who, of)
	}
	switch p.Record.Kind {
	case lane.ServerError:
		return fmt.Sprintf("%s answers %d", who, p.Record.Status)
	case lane.TimedOut:
		return who + " does not answer in time"
	case lane.ConnectionLost:
		return "the connection to " + who + " is lost"
	case lane.NotYetValid:
		return who + "'s certificate is not valid yet (clock?)"
	case lane.NotPagerDuty:
		return stranger(address(of.Upstream), p.Record.Status)
	}
	return who + " cannot be reached"
}

// ownCause says the same of a lane that fails alone.
func (p Page) ownCause(who string, of Name) string {
	switch p.Own = false; p.Record.Kind {
	case lane.ServerError:
		return fmt.Sprintf("%s answers %d to %s", who, p.Record.Status, of.Lane)
	case lane.TimedOut:
		return fmt.Sprintf("%s does not answer %s in time", who, of.Lane)
	}
	return p.Cause(of) + ", as far as " + of.Lane + " has tried"
}

// stranger says with what somebody else than PagerDuty answers at an address.
func stranger(address string, status int) string {
	const who = ", as a captive portal, proxy or firewall does"
	switch {
	case status == 0:
		return "no trusted connection to " + address + " can be made: its certificate is not trusted, it speaks no TLS, or a proxy refuses"
	case status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("the proxy before %s wants a login (%d)", address, status)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return fmt.Sprintf("%s answers %d: it does not offer the Events API", address, status)
	case status >= 300 && status <= 399:
		return fmt.Sprintf("%s answers with a redirect (%d)", address, status) + who
	case status >= 200 && status <= 299: // PagerDuty answers JSON
		return fmt.Sprintf("%s answers with a web page (%d)", address, status) + who
	}
	return fmt.Sprintf("%s answers %d with what is not PagerDuty's answer", address, status) + who
}

// address is host and, if it is not the usual one, port of an upstream.
func address(upstream string) string {
	if _, rest, found := strings.Cut(upstream, "://"); found {
		upstream, _, _ = strings.Cut(rest, "/")
	}
	return upstream
}

// host is what people call an upstream.
func host(upstream string) string {
	who := address(upstream)
	if who == "pagerduty.com" || strings.HasSuffix(who, ".pagerduty.com") {
		return "PagerDuty"
	}
	return who
}

func stuck(n int, waited time.Duration) string {
	if n == 1 {
		return "1 critical page is not being delivered; it has waited " + Span(waited)
	}
	return fmt.Sprintf("%d critical pages are not being delivered; the oldest has waited %s", n, Span(waited))
}

// Span is in words for how long something has lasted, in whole units that are over: 12 s,
// 19 min, 3 h, 2 d.
func Span(d time.Duration) string { return inWords(d, math.Floor) }

// Bound is the same of a time that will not be exceeded: what is begun of a unit counts.
func Bound(d time.Duration) string { return inWords(d, math.Ceil) }

func inWords(d time.Duration, whole func(float64) float64) string {
	switch s := whole(d.Seconds()); {
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 2*3600:
		return fmt.Sprintf("%.0f min", whole(s/60))
	case s < 48*3600:
		return fmt.Sprintf("%.0f h", whole(s/3600))
	default:
		return fmt.Sprintf("%.0f d", whole(s/86400))
	}
}

func counted(n int, what string) string { return fmt.Sprintf("%d %s", n, waits(n, what, what+"s")) }

func waits(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
func lower(text string) string { return strings.ToLower(text[:1]) + text[1:] }

func age(now, then time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return max(0, now.Sub(then))
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
