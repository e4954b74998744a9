package queuetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// seen is the model as a store: what it does not do itself is done with All.
type seen struct{ *Model }

func (s seen) Events(context.Context, queue.Filter) (queue.Page, error) {
	all := s.All()
	slices.Reverse(all)
	for i := range all {
		all[i].Body = nil // a list has none
	}
	return queue.Page{Events: all, Read: len(all)}, nil
}

// The rules hold for the model itself, so a store that differs from it is wrong.
func TestModel(t *testing.T) {
	prove.Rapid(t, 30, 100, 5000)
	Conformance(t, func(now func() time.Time, ready func(int64, queue.Rank)) Opened {
		m := NewModel()
		m.OnReady, m.Now = ready, now
		return Opened{
			Store: seen{m},
			Restart: func(clean bool) Store {
				m.Restart()
				if !clean {
					m.Crashed()
				}
				return seen{m}
			},
			Bound:     func(lanes int) { m.MaxLanes = lanes },
			Configure: func(configured func(eventsv2.Key) queue.Configured) { m.Configured = configured },
			Close:     func() {},
		}
	})
}
