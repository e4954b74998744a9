package lane_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// One event's way through the core, with few lanes and with many: the ratio of the
// two is what the number of lanes costs.
func BenchmarkEvent(b *testing.B) {
	for _, lanes := range []int64{1, 5000} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			core := lane.New(lane.Options{MaxAge: time.Hour})
			for id := range lanes {
				core.Step(epoch, lane.Opened{Lane: queue.Lane{ID: id + 1}, Host: "pagerduty", Limit: 300, Listed: true})
			}
			now, id := epoch, int64(0)
			for b.Loop() {
				now, id = now.Add(time.Second), id+1
				to := 1 + id%lanes
				event := queue.Event{ID: id, Lane: to, Action: eventsv2.Trigger, Fresh: now}
				for _, d := range core.Step(now, lane.Arrived{Lane: to, Rank: queue.Info}) {
					if claim, ok := d.(lane.Claim); ok {
						core.Step(now, lane.Claimed{Token: claim.Token, Taken: []lane.Taken{{Taken: queue.Taken{Events: []queue.Event{event}}}}})
					}
				}
				core.Step(now, lane.Answered{Lane: to, ID: id})
				if at, ok := core.Next(); ok && !at.After(now) {
					core.Step(now, lane.Tick{})
				}
			}
		})
	}
}
