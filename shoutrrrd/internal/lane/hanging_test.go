package lane_test

import (
	"testing"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// On a lane with a small limit an info that hangs takes the one place that there is.
// Critical events leave beside it, also when the reserved slot is used and others are
// free.
func TestCriticalBesideHangingEvent(t *testing.T) {
	s := newScript(t, lane.Options{})
	s.open(1, "pagerduty", 10)
	s.arrive(1, queue.Info, 1)
	s.arrive(1, queue.Critical, 2)
	s.inFlight(3)
}
