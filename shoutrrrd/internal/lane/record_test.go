package lane_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// A lane is failing from the first failure after an acceptance until the next acceptance,
// and tells since when, how often and why.
func TestFailing(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.open(2, "pagerduty", 60)
	s.acceptAll(1, queue.Error, 1)
	began := s.now
	for range 3 {
		s.arrive(1, queue.Error, 1)
		s.answer(&eventsv2.Error{Status: 502, Message: strings.Repeat("bad gateway ", 50)})
		s.wait(10 * time.Second)
	}
	got := s.core.Statuses(s.now)[0]
	if r := got.Record; got.Condition != lane.Failing || !r.Since.Equal(began) || r.Failures != 3 || r.Chains != 2 || r.Kind != lane.ServerError || r.Status != 502 || r.Tried != 4 || r.Broken != 3 || len(r.Why) > 210 || !strings.Contains(r.Why, "bad gateway") {
		t.Errorf("%s: %+v", got.Condition, r)
	}
	other := s.core.Statuses(s.now)[1]
	if other.Condition != lane.Idle || other.Record.Failures != 0 || other.Upstream.Record.Failures != 3 || other.Upstream.Lanes != 2 {
		t.Errorf("another lane of the same upstream: %s, %+v", other.Condition, other.Upstream)
	}
	s.acceptAll(2, queue.Error, 1)
	if up := s.core.Upstreams(s.now)[0]; up.Record.Failures != 0 || up.Record.Why != "" || up.Record.Broken != 3 {
		t.Errorf("after an acceptance by another lane the upstream has %+v", up.Record)
	}
	if got := s.core.Statuses(s.now)[0]; got.Condition != lane.Failing {
		t.Errorf("and the lane is %s", got.Condition)
	}
	s.acceptAll(1, queue.Error, 1)
	if got := s.core.Statuses(s.now)[0]; got.Condition != lane.Idle || got.Record.Failures != 0 || !got.Record.Since.IsZero() {
		t.Errorf("after an acceptance the lane is %s: %+v", got.Condition, got.Record)
	}
	s.wait(6 * time.Minute)
	if r := s.core.Statuses(s.now)[0].Record; r.Tried != 0 || r.Broken != 0 {
		t.Errorf("six minutes later it says %+v", r)
	}
}

// What goes by one key fails while other keys are accepted: that says nothing of these. It says
// something again when none of them has been accepted for long.
func TestFailsApart(t *testing.T) {
	s := newScript(t, lane.Options{})
	for id := range int64(3) {
		s.open(id+1, "pagerduty", 60)
	}
	fails := func() { s.arrive(1, queue.Error, 1); s.answer(&eventsv2.Error{Status: 500}); s.wait(2 * time.Second) }
	upstream := func() lane.Upstream { return s.core.Upstreams(s.now)[0] }
	s.acceptAll(2, queue.Error, 1)
	fails()
	if up := upstream(); up.Record.Failures != 1 || up.Failed != 1 || up.Lanes != 3 {
		t.Errorf("where none was accepted since, the upstream has %+v", up)
	}
	s.acceptAll(2, queue.Error, 2)
	for range 3 {
		fails()
	}
	if up := upstream(); up.Record.Failures != 0 || up.Failed != 0 || up.Record.Broken != 0 {
		t.Errorf("while others are accepted the upstream has %+v", up)
	}
	if own := s.core.Statuses(s.now)[0]; own.Condition != lane.Failing || own.Record.Failures != 4 || own.Record.Broken != 4 {
		t.Errorf("the lane is %s: %+v", own.Condition, own.Record)
	}
	s.arrive(2, queue.Error, 1)
	s.answer(&eventsv2.Error{Status: 500})
	if up := upstream(); up.Record.Failures != 1 || up.Failed != 1 || up.Record.Broken != 5 {
		t.Errorf("when another lane fails as well, it has %+v", up)
	}
	s.acceptAll(3, queue.Error, 1)
	s.wait(6 * time.Minute)
	fails()
	if up := upstream(); up.Record.Failures != 1 {
		t.Errorf("six minutes after the last acceptance it has %+v", up)
	}
}

// What one chain alone meets says nothing about the others.
func TestOwnBody(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	for range 4 {
		s.again(queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, DedupKey: "poison", Fresh: s.now})
		s.answer(&eventsv2.Error{Status: 500})
		s.acceptAll(1, queue.Error, 1)
	}
	if r := s.core.Statuses(s.now)[0].Record; r.Tried != 8 || r.Broken != 0 {
		t.Errorf("of one dedup key alone: %+v", r)
	}
	s.again(queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, DedupKey: "poison", Fresh: s.now})
	s.answer(nil)
	if r := s.core.Statuses(s.now)[0].Record; r.Tried != 9 || r.Broken != 4 {
		t.Errorf("it was accepted itself, so it was not its body: %+v", r)
	}
}

type timeout struct{ error }

func (timeout) Timeout() bool { return true }

// Each failed attempt has one kind, for metrics.
func TestKindsOfFailure(t *testing.T) {
	early := &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{
		Reason: x509.Expired, Cert: &x509.Certificate{NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
	}}
	for _, tt := range []struct {
		err  *eventsv2.Error
		want lane.Failure
	}{
		{nil, ""},
		{&eventsv2.Error{Status: 429}, lane.LimitMet},
		{&eventsv2.Error{Status: 500}, lane.ServerError},
		{&eventsv2.Error{Status: 408}, lane.ServerError},
		{&eventsv2.Error{Err: timeout{errAway}, Sent: true}, lane.TimedOut},
		{&eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, lane.TimedOut},
		{&eventsv2.Error{Err: errAway, Sent: true}, lane.ConnectionLost},
		{&eventsv2.Error{Err: errAway}, lane.CannotReach},
		{&eventsv2.Error{Err: early}, lane.NotYetValid},
		{&eventsv2.Error{Status: 302}, lane.NotPagerDuty},
		{&eventsv2.Error{Status: 413}, lane.NotPagerDuty},
		{&eventsv2.Error{Status: 400, Message: "Invalid routing key"}, lane.NotPagerDuty},
		{&eventsv2.Error{Status: 403, Rejected: true}, lane.KeyDenied},
		{&eventsv2.Error{Status: 400, Rejected: true, Message: "Invalid routing key"}, lane.KeyDenied},
		{&eventsv2.Error{Status: 400, Rejected: true}, lane.EventDenied},
		{&eventsv2.Error{Err: context.Canceled, Sent: true}, lane.Canceled},
	} {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 60)
		s.again(queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, Fresh: s.now})
		s.answer(tt.err)
		if got := s.settled[1].Failure; got != string(tt.want) {
			t.Errorf("%v is of the kind %q, want %q", tt.err, got, tt.want)
		}
	}
}

// An outage that is over says little of the next attempt: after it few failures are
// reckoned with, and not the time that they took. While attempts go on to fail the ones
// that were accepted say nothing of an end.
func TestOutageIsOver(t *testing.T) {
	for _, tt := range []struct {
		name          string
		outcomes      string // o accepted, x failed
		tried, broken int
	}{
		{"all is well", "oooooooo", 8, 0},
		{"one event that alone fails", "oooooooox", 9, 0},
		{"two of them", "ooooooooxx", 10, 2},
		{"an outage", "ooooxxxxxxxxxx", 14, 10},
		{"its first acceptance", "ooooxxxxxxxxxxo", 15, 10},
		{"three of them", "ooooxxxxxxxxxxooo", 4, 1},
		{"of a few attempts", "ooooxxxooooo", 6, 1},
		{"the next failure", "ooooxxxxxxxxxxooox", 18, 11},
		{"one of five fails", "ooooxooooxooooxooooxoooo", 24, 4},
		{"nine of ten fail", "xxxxoxxxxxxxxxxxoxxxxxxxxoo", 27, 23},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, lane.Options{})
			s.open(1, "pagerduty", 1000)
			for _, how := range tt.outcomes {
				if how == 'o' {
					s.acceptAll(1, queue.Critical, 1)
					continue
				}
				s.arrive(1, queue.Critical, 1)
				s.wait(2 * time.Second)
				s.answer(&eventsv2.Error{Status: 500})
			}
			got := s.core.Statuses(s.now)[0]
			for _, r := range []lane.Record{got.Record, got.Upstream.Record} {
				if r.Tried != tt.tried || r.Broken != tt.broken {
					t.Errorf("%d of %d attempts have failed, want %d of %d", r.Broken, r.Tried, tt.broken, tt.tried)
				}
				if tt.broken == 1 && tt.tried < len(tt.outcomes) && r.Lost > 0 {
					t.Errorf("the failure that is over has taken %s", r.Lost)
				}
			}
		})
	}
}

// An attempt takes time itself, and one that hangs goes out once more.
func TestOwnTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		took []time.Duration
		want time.Duration
	}{
		{"none", nil, 0},
		{"all are slow", []time.Duration{2 * time.Second, 2500 * time.Millisecond, 2 * time.Second}, 2500 * time.Millisecond},
		{"one is", []time.Duration{0, 0, 0, 2 * time.Second}, 2 * time.Second},
		{"one hangs", []time.Duration{time.Second, time.Second, time.Second, 20 * time.Second}, 4 * time.Second},
	} {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 1000)
		for _, took := range tt.took {
			s.arrive(1, queue.Info, 1)
			s.now = s.now.Add(took)
			s.answer(nil)
		}
		if got := s.core.Statuses(s.now)[0].Record.Own; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The end of an outage is that of all lanes: what failed in it says nothing of the next
// attempt of a lane either that has made none since.
func TestOutageOfAllIsOver(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 1000)
	s.open(2, "pagerduty", 1000)
	for range 20 { // most of them fail, and all of this lane
		s.arrive(1, queue.Critical, 1)
		s.wait(300 * time.Millisecond)
		s.answer(&eventsv2.Error{Status: 502})
	}
	if r := s.status(1).Record; r.Broken != 20 {
		t.Fatalf("before the end: %+v", r)
	}
	s.acceptAll(2, queue.Critical, 1)
	if r := s.status(1).Record; r.Broken != 20 {
		t.Errorf("one acceptance is no end: %+v", r)
	}
	s.acceptAll(2, queue.Critical, 9)
	if r := s.status(1).Record; r.Tried != 0 || r.Broken != 0 {
		t.Errorf("after the end: %+v", r)
	}
	s.wait(time.Minute)
	for range 20 { // its own trouble
		s.arrive(1, queue.Critical, 1)
		s.answer(&eventsv2.Error{Status: 502})
		s.acceptAll(2, queue.Critical, 20)
		s.wait(4 * time.Second)
	}
	if r := s.status(1).Record; r.Broken != 20 {
		t.Errorf("what fails in this lane alone: %+v", r)
	}
}

// A host that could not be reached for a while, and accepts, is back.
func TestReachedAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    *eventsv2.Error
		failed int
		broken int
	}{
		{"connections refused for 44 s", &eventsv2.Error{Err: errAway}, 11, 0},
		{"for 8 s", &eventsv2.Error{Err: errAway}, 3, 3},
		{"connections lost for 44 s", &eventsv2.Error{Err: errAway, Sent: true}, 11, 11},
	} {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 1000)
		for n := range tt.failed {
			s.again(queue.Event{ID: int64(n%2) + 1, Lane: 1, Action: eventsv2.Trigger, DedupKey: fmt.Sprint(n % 2), Priority: queue.Critical, Fresh: s.now})
			s.wait(4 * time.Second)
			s.answer(tt.err)
		}
		s.wait(2 * time.Second)
		s.acceptAll(1, queue.Critical, 1)
		for _, r := range []lane.Record{s.status(1).Record, s.status(1).Upstream.Record} {
			if r.Broken != tt.broken || tt.broken == 0 && r.Tried != 1 {
				t.Errorf("%s: %+v", tt.name, r)
			}
		}
	}
}

// A host that has answered nothing for a while, whatever the connection, is back when it
// has accepted twice: what hung leaves the forecast, and would be in it for minutes else.
func TestHangIsOver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		took   time.Duration // until two attempts had failed, each by two connections
		chains int
		broken [3]int // after so many acceptances
	}{
		{"two events hung for 30 s", 30 * time.Second, 2, [3]int{2, 2, 0}},
		{"for 8 s", 8 * time.Second, 2, [3]int{2, 2, 2}},
		{"one event alone, twice", 30 * time.Second, 1, [3]int{0, 2, 2}}, // its own body; then it was not
	} {
		s := newScript(t, lane.Options{})
		s.open(1, "pagerduty", 1000)
		s.acceptAll(1, queue.Critical, 4)
		var hung [2]queue.Event
		for n := range hung {
			hung[n] = queue.Event{ID: int64(100 + n), Lane: 1, Action: eventsv2.Trigger, DedupKey: fmt.Sprint(n % tt.chains), Priority: queue.Critical, Fresh: s.now}
			s.again(hung[n])
			s.wait(tt.took)
			s.both(timedOut, timedOut)
		}
		for n, broken := range tt.broken {
			for _, r := range []lane.Record{s.status(1).Record, s.status(1).Upstream.Record} {
				if r.Broken != broken || broken == 0 && tt.chains > 1 && r.Lost > 0 {
					t.Errorf("%s, after %d acceptances: %+v", tt.name, n, r)
				}
			}
			s.wait(5 * time.Second)
			s.again(hung[n%2])
			s.answer(nil)
		}
	}
}

// So it is for the lanes whose events hung, however many of their own were accepted before.
func TestHangOfTwoLanesIsOver(t *testing.T) {
	s := newScript(t, lane.Options{})
	for id := range int64(2) {
		s.open(id+1, "pagerduty", 1000)
		s.acceptAll(id+1, queue.Error, 20)
	}
	for id := range int64(2) {
		s.again(queue.Event{ID: 100 + id, Lane: id + 1, Action: eventsv2.Trigger, DedupKey: "hanging", Priority: queue.Critical, Fresh: s.now})
		s.wait(30 * time.Second)
		s.both(timedOut, timedOut)
	}
	for id := range int64(2) {
		s.again(queue.Event{ID: 100 + id, Lane: id + 1, Action: eventsv2.Trigger, DedupKey: "hanging", Priority: queue.Critical, Fresh: s.now})
		s.wait(30 * time.Second)
		s.answer(nil)
	}
	for id := range int64(2) {
		if r := s.status(id + 1).Record; r.Broken != 0 || r.Lost > 0 {
			t.Errorf("of lane %d %d attempts count as failed, which took %s", id+1, r.Broken, r.Lost)
		}
	}
}

// What hangs counts as failed while it does: a second copy saves the first one, until that
// hangs as well.
func TestHangingCountsAsFailed(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 60)
	s.acceptAll(1, queue.Critical, 8)
	s.arrive(1, queue.Critical, 1)
	s.wait(20 * time.Second)
	if r := s.status(1).Record; r.Broken != 0 || r.Tried != 8 {
		t.Errorf("of one dedup key alone: %+v", r)
	}
	s.arrive(1, queue.Critical, 1)
	s.arrive(1, queue.Info, 1)
	for _, step := range []struct{ tried, broken, hung int }{{8, 0, 0}, {11, 3, 2}, {11, 3, 1}} {
		got := s.status(1)
		for _, r := range []lane.Record{got.Record, got.Upstream.Record} {
			if r.Tried != step.tried || r.Broken != step.broken || r.Hung != step.hung || step.broken > 0 && r.Lost < 20*time.Second {
				t.Errorf("%+v: %+v", step, r)
			}
		}
		s.wait(3 * time.Second)
	}
	for len(s.attempts) > 0 {
		s.answer(nil)
	}
	if r := s.status(1).Record; r.Broken != 0 || r.Tried != 11 {
		t.Errorf("all were accepted in the end: %+v", r)
	}
}
