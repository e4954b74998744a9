package insight

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

func TestLaneTexts(t *testing.T) {
	until := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	held := queue.Lane{Held: true, HeldBy: queue.By{Who: "ana", Why: "maintenance"}}
	for _, tt := range []struct {
		lane   queue.Lane
		status lane.Status
		want   string
	}{
		{queue.Lane{}, lane.Status{Condition: lane.Idle}, "nothing waits"},
		{queue.Lane{}, lane.Status{Condition: lane.Flowing}, "delivering"},
		{queue.Lane{}, lane.Status{Condition: lane.Flowing, KeyRefused: true}, "delivering; PagerDuty refuses the key"},
		{queue.Lane{}, lane.Status{Condition: lane.Paced, Until: until, Used: 300, Learned: 300}, "300 of 300 events have left in the last 60 s; the next one leaves at 14:03:20"},
		{queue.Lane{}, lane.Status{Condition: lane.UpstreamDown, Until: until}, "https://up cannot be reached; the next try is at 14:03:20"},
		{held, lane.Status{Condition: lane.Held}, "paused by ana: maintenance"},
		{queue.Lane{Held: true}, lane.Status{Condition: lane.Held}, "paused by an operator"},
	} {
		if got := (Standing{Lane: tt.lane, Status: tt.status, Named: Named{Upstream: "https://up"}}).text(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.status.Condition, got, tt.want)
		}
	}
}
