package insight

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

func TestLaneTexts(t *testing.T) {
	until := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	relay := New(Options{})
	held := queue.Lane{Held: true, HeldBy: queue.By{Who: "ana", Why: "maintenance"}}
	for _, tt := range []struct {
		lane   queue.Lane
		status lane.Status
		want   string
	}{
		{queue.Lane{}, lane.Status{Condition: lane.Idle}, "nothing is queued"},
		{queue.Lane{}, lane.Status{Condition: lane.Delivering}, "delivering"},
		{queue.Lane{}, lane.Status{Condition: lane.Delivering, KeyRefused: true}, "delivering; PagerDuty rejects the key"},
		{queue.Lane{}, lane.Status{Condition: lane.AtLimit, Until: until, Used: 300, Learned: 300}, "at its limit: 300 of 300 events have left in the last 60 s; the next one leaves at 14:03:20 UTC"},
		{queue.Lane{}, lane.Status{Condition: lane.Unreachable, Until: until}, "upstream unreachable: up cannot be reached; the next attempt is at 14:03:20 UTC"},
		{queue.Lane{}, lane.Status{Condition: lane.Throttled, Until: until.AddDate(0, 0, 1)}, "rate limited until 2026-03-05 14:03:20 UTC"},
		{queue.Lane{}, lane.Status{Condition: lane.Failing, Record: lane.Record{Since: until.Add(-time.Hour), Failures: 7, Kind: lane.ServerError, Status: 502, Why: "502 Bad Gateway"}}, "failing: up answers 502; since 13:03:20 UTC, 7 attempts: 502 Bad Gateway"},
		{queue.Lane{}, lane.Status{Condition: lane.AtLimit, Together: true, Upstream: lane.Upstream{Account: 900}}, "at its limit: up takes 900 events a minute from the account"},
		{queue.Lane{}, lane.Status{Condition: lane.AtLimit, Together: true, Until: until, Upstream: lane.Upstream{Pace: 20}}, "at its limit: most attempts fail, and up gets 20 a second of all lanes; the next one leaves at 14:03:20 UTC"},
		{queue.Lane{}, lane.Status{Condition: lane.KeyRejected, KeyRefused: true, Until: until}, "key rejected: up rejects the key of web; the next attempt is at 14:03:20 UTC"},
		{queue.Lane{}, lane.Status{Condition: lane.KeyRejected, KeyRefused: true}, "key rejected: up rejects the key of web; the next event tries it"},
		{queue.Lane{}, lane.Status{Condition: lane.KeyRejected, KeyRefused: true, InFlight: 1}, "key rejected: up rejects the key of web; an event tries it now"},
		{queue.Lane{}, lane.Status{Condition: lane.KeyRejected, KeyRefused: true, Sister: &lane.Status{Lane: 2}}, "key rejected: up rejects the key of web; new incidents leave by another key of the pool, what belongs to those that this key has opened waits"},
		{queue.Lane{}, lane.Status{Condition: lane.KeyRejected, KeyRefused: true, Until: until, Sister: &lane.Status{Lane: 2}}, "key rejected: up rejects the key of web; new incidents leave by another key of the pool, what belongs to those that this key has opened waits; the next attempt is at 14:03:20 UTC"},
		{queue.Lane{}, lane.Status{Condition: lane.Unreachable}, "upstream unreachable: up cannot be reached"},
		{queue.Lane{}, lane.Status{Condition: lane.Throttled}, "rate limited"},
		{queue.Lane{}, lane.Status{Condition: lane.Failing, Record: lane.Record{Failures: 1, Kind: lane.ServerError, Status: 502, Why: "502 Bad Gateway"}}, "failing: up answers 502; 1 attempt: 502 Bad Gateway"},
		{held, lane.Status{Condition: lane.Paused}, "paused by ana: maintenance"},
		{queue.Lane{Held: true}, lane.Status{Condition: lane.Paused}, "paused by an operator"},
	} {
		if got := relay.text(&Standing{Lane: tt.lane, Status: tt.status, Named: Named{Name: "web", Upstream: "https://up"}}, until.Add(-time.Minute)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.status.Condition, got, tt.want)
		}
	}
}

// A key is called safe to remove only if that is known.
func TestRetiringLane(t *testing.T) {
	for _, tt := range []struct {
		open   int
		unsure bool
		safe   bool
		want   string
	}{
		{0, false, true, "; its key retires: nothing is open or queued, it is safe to remove"},
		{2, false, false, "; its key retires: 2 open, then safe to remove"},
		{maxOpen, false, false, "; its key retires: 1000 or more open, then safe to remove"},
		{0, true, false, "; its key retires: 0 known to be open, others unknown, as the relay has lost what it remembered of some; look at PagerDuty before you remove it"},
	} {
		s := Standing{Named: Named{Retiring: true}, Open: tt.open, Unsure: tt.unsure}
		if got := s.retires(); got != tt.want || s.removable() != tt.safe {
			t.Errorf("%d open, unknown: %t: %q, safe: %t", tt.open, tt.unsure, got, s.removable())
		}
	}
}
