package outlook

import (
	"errors"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const pagerduty = "https://events.pagerduty.com"

func TestHeadline(t *testing.T) {
	waiting := func(n int, age time.Duration) queue.Count {
		return queue.Count{Waiting: [queue.Ranks]int{n}, OldestCritical: now.Add(-age)}
	}
	infos := queue.Count{Waiting: [queue.Ranks]int{0, 0, 0, 7}}
	failing := lane.Record{Failures: 35, Chains: 2, Kind: lane.ServerError, Status: 500, Why: "500: oops", Since: now.Add(-19 * time.Minute)}
	of := func(reason Reason, count queue.Count) Lane {
		return Lane{Page: Page{Reason: reason, Record: failing}, Count: count, Upstream: pagerduty}
	}
	known := func(late time.Duration, count queue.Count) Lane {
		return Lane{Page: Page{Late: late}, Count: count, Upstream: pagerduty}
	}
	up := []lane.Upstream{{Name: pagerduty, Lanes: 41, Record: failing}}
	alone := Lane{Page: Page{Reason: Failing, Record: failing, Own: true}, Count: waiting(1, time.Second), Upstream: pagerduty}
	overdue := alone
	overdue.Count = waiting(1, time.Minute)
	onlyOne := []lane.Upstream{{Name: pagerduty, Lanes: 50, Failed: 1, Record: failing}}
	for _, tt := range []struct {
		name  string
		relay Relay
		state State
		want  string
		known bool
	}{
		{"nothing there", Relay{}, Leaving, "Pages leave at once", true},
		{"all is well", Relay{Lanes: []Lane{known(0, infos), known(0, waiting(1, 0))}}, Leaving, "Pages leave at once", true},
		{"a full window", Relay{Lanes: []Lane{known(0, infos), known(12*time.Second, infos)}}, Leaving, "A page accepted now would arrive within 12 s", true},
		{"a planned pause", Relay{Lanes: []Lane{known(0, infos), of(Paused, infos)}}, Leaving, "Pages leave at once, but not those of 1 paused lane", true},
		{"a paused lane in which a page waits", Relay{Lanes: []Lane{known(0, infos), of(Paused, waiting(1, 3*time.Minute))}}, NotLeaving, "1 critical page is not being delivered; it has waited 3 min: db is paused by ana", false},
		{"a paused lane to which a page has just come", Relay{Lanes: []Lane{known(0, infos), of(Paused, waiting(1, time.Second))}}, Late, "It is unknown when a page of db would leave: db is paused by ana", false},
		{"PagerDuty fails, and the lane has a sister", Relay{Upstreams: up, Lanes: []Lane{{Page: Page{By: 2, Stuck: Failing}, Count: infos, Upstream: pagerduty}}}, NotLeaving, "Pages do not leave: PagerDuty answers 500", false},
		{"PagerDuty fails", Relay{Upstreams: up, Lanes: []Lane{of(Failing, waiting(10, 19*time.Minute)), of(Failing, waiting(5, time.Minute))}}, NotLeaving, "15 critical pages are not being delivered; the oldest has waited 19 min: PagerDuty answers 500", false},
		{"PagerDuty fails, and no page waits", Relay{Upstreams: up, Lanes: []Lane{of(Failing, infos)}}, NotLeaving, "Pages do not leave: PagerDuty answers 500", false},
		{"PagerDuty failed, and nothing is queued", Relay{Upstreams: up, Lanes: []Lane{of(Failing, queue.Count{})}}, Late, "It is unknown when a page of db would leave: PagerDuty answers 500", false},
		{"one lane fails while others are accepted", Relay{Lanes: []Lane{alone, known(0, infos)}}, Late, "It is unknown when a page of db would leave: PagerDuty answers 500 to db", false},
		{"and a page waits in it", Relay{Lanes: []Lane{overdue, known(0, infos)}}, NotLeaving, "1 critical page is not being delivered; it has waited 60 s: PagerDuty answers 500 to db", false},
		{"one lane fails, and others have not tried since", Relay{Upstreams: onlyOne, Lanes: []Lane{of(Failing, queue.Count{}), alone, of(Failing, queue.Count{})}}, Late, "It is unknown when a page of 3 lanes would leave; of db: PagerDuty answers 500 to db", false},
		{"a page waits for a moment", Relay{Lanes: []Lane{of(Failing, waiting(1, 9*time.Second))}}, Late, "It is unknown when a page of db would leave: PagerDuty answers 500", false},
		{"a rejected key", Relay{Lanes: []Lane{known(0, infos), of(KeyRejected, waiting(2, time.Minute))}}, NotLeaving, "2 critical pages are not being delivered; the oldest has waited 60 s: PagerDuty rejects the key of db", false},
		{"a rejected key of a pool", Relay{Lanes: []Lane{known(0, infos), {Page: Page{By: 2, Stuck: KeyRejected}, Upstream: pagerduty}}}, Leaving, "Pages leave at once", true},
		{"one in which a page has to stay", Relay{Lanes: []Lane{known(0, infos), {Page: Page{By: 2, Stuck: KeyRejected}, Count: waiting(2, time.Minute), Upstream: pagerduty}}}, NotLeaving, "2 critical pages are not being delivered; the oldest has waited 60 s: PagerDuty rejects the key of db", false},
		{"one has to stay in a lane that is rate limited", Relay{Lanes: []Lane{{Page: Page{By: 2, Stays: 40 * time.Second}, Count: waiting(1, time.Second), Upstream: pagerduty}}}, Leaving, "A page accepted now would arrive within 40 s", true},
		{"none has to stay in it", Relay{Lanes: []Lane{{Page: Page{By: 2, Stays: 40 * time.Second}, Count: infos, Upstream: pagerduty}}}, Leaving, "Pages leave at once", true},
		{"pages wait behind each other", Relay{Lanes: []Lane{known(5*time.Minute, waiting(300, 2*time.Minute))}}, Late, "300 critical pages wait, the oldest for 2 min; a page accepted now would arrive within 5 min", true},
		{"a page waits, and another would for long", Relay{Lanes: []Lane{known(5*time.Minute, waiting(1, 30*time.Second))}}, Late, "A page accepted now would arrive within 5 min", true},
		{"dead letters", Relay{Dead: 3, Lanes: []Lane{known(0, infos)}}, Late, "Pages leave at once; 3 events were rejected or expired", true},
		{"the disk is full", Relay{Refuses: errors.New("the disk is full"), Lanes: []Lane{known(0, infos)}}, NotLeaving, "No event is accepted: the disk is full", false},
	} {
		tt.relay.Now, tt.relay.LateAfter = now, LateAfter
		tt.relay.Name = func(int) Name { return Name{Lane: "db", Upstream: pagerduty, By: "ana"} }
		got := Judge(tt.relay)
		if got.State != tt.state || got.Sentence != tt.want || got.Page.Known() != tt.known {
			t.Errorf("%s: %s %q %+v, want %s %q", tt.name, got.State, got.Sentence, got.Page, tt.state, tt.want)
		}
		if (got.Why == "") != (got.State == Leaving) {
			t.Errorf("%s: %s because of %q", tt.name, got.State, got.Why)
		}
	}
}

// What is promised is rounded up, and what has passed is rounded down.
func TestRounding(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		12060 * time.Millisecond:  {"12 s", "13 s"},
		119100 * time.Millisecond: {"119 s", "2 min"},
		2 * time.Minute:           {"2 min", "2 min"},
		227 * time.Second:         {"3 min", "4 min"},
		119*time.Minute + 2e9:     {"119 min", "120 min"},
		150 * time.Minute:         {"2 h", "3 h"},
		48 * time.Hour:            {"2 d", "2 d"},
		49 * time.Hour:            {"2 d", "3 d"},
		999 * time.Microsecond:    {"0 s", "1 s"},
	} {
		if got := [2]string{Span(d), Bound(d)}; got != want {
			t.Errorf("%s: has lasted %s, is over within %s, want %q", d, got[0], got[1], want)
		}
	}
}

// At boot a clock that is behind finds no certificate valid: that is said, as somebody can
// set the clock.
func TestCauseOfAnEarlyCertificate(t *testing.T) {
	up := lane.Upstream{Name: pagerduty, Lanes: 1, Down: true, Record: lane.Record{Failures: 9, Chains: 2, Kind: lane.NotYetValid}}
	const want = "PagerDuty's certificate is not valid yet (clock?)"
	page := Page{Reason: Unreachable, Record: up.Record}
	if got := page.Cause(Name{Upstream: pagerduty}); got != want {
		t.Errorf("the cause is %q", got)
	}
	s := lane.Status{Condition: lane.Unreachable, Upstream: up}
	if got := Words(s, Name{Upstream: pagerduty}, now); got != "upstream unreachable: "+want {
		t.Errorf("of a lane: %q", got)
	}
	count := queue.Count{Waiting: [queue.Ranks]int{1}, OldestCritical: now.Add(-time.Minute)}
	h := Judge(Relay{
		Now: now, LateAfter: LateAfter, Name: func(int) Name { return Name{Lane: "db", Upstream: pagerduty} },
		Upstreams: []lane.Upstream{up}, Lanes: []Lane{{Page: page, Upstream: pagerduty, Count: count}},
	})
	if h.State != NotLeaving || h.Why != want || h.Failing[0].Cause != want {
		t.Errorf("the headline is %+v", h)
	}
}

func TestTroubleOfUpstreams(t *testing.T) {
	eu := "https://events.eu.pagerduty.com"
	count := queue.Count{Waiting: [queue.Ranks]int{0, 1}}
	h := Judge(Relay{
		Now: now, LateAfter: LateAfter, Name: func(int) Name { return Name{Lane: "db", Upstream: eu} },
		Upstreams: []lane.Upstream{
			{Name: pagerduty, Lanes: 3, Record: lane.Record{Failures: 2, Chains: 2, Kind: lane.TimedOut, Since: now.Add(-time.Minute), Why: "timeout"}},
			{Name: eu, Lanes: 40, Down: true, Next: now.Add(time.Second), Record: lane.Record{Failures: 9, Kind: lane.CannotReach, Since: now.Add(-time.Hour), Why: "connection refused"}},
			{Name: "https://fine", Lanes: 100},
		},
		Lanes: []Lane{{Upstream: pagerduty, Count: count}, {Upstream: eu, Count: count}, {Upstream: "https://fine", Count: count}},
	})
	if len(h.Failing) != 2 || h.Failing[0].Upstream != eu || h.Failing[0].Cause != "PagerDuty cannot be reached" || h.Failing[0].Last != "connection refused" || h.Failing[0].Next.IsZero() ||
		h.Failing[1].Cause != "PagerDuty does not answer in time" || h.Failing[1].Lanes != 3 || !h.Failing[1].Next.IsZero() {
		t.Errorf("%+v", h.Failing)
	}
}

// What answers in place of PagerDuty is named with the host that was asked, and with what
// came: a person looks there for the proxy or the portal.
func TestCauseOfAStranger(t *testing.T) {
	const host = "events.pagerduty.com"
	for _, tt := range []struct {
		status int
		want   string
	}{
		{200, host + " answers with a web page (200), as a captive portal, proxy or firewall does"},
		{403, host + " answers 403 with what is not PagerDuty's answer, as a captive portal, proxy or firewall does"},
		{302, host + " answers with a redirect (302), as a captive portal, proxy or firewall does"},
		{404, host + " answers 404: it does not offer the Events API"},
		{407, "the proxy before " + host + " wants a login (407)"},
		{0, "no trusted connection to " + host + " can be made: its certificate is not trusted, it speaks no TLS, or a proxy refuses"},
	} {
		page := Page{Reason: Failing, Record: lane.Record{Kind: lane.NotPagerDuty, Status: tt.status}}
		if got := page.Cause(Name{Upstream: "https://" + host}); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}
