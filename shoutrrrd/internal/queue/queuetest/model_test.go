package queuetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// seen is the model as a store: what it does not do itself is done with All.
type seen struct{ *Model }

func (s seen) Events(context.Context, queue.Filter) (queue.Page, error) {
	all := s.All()
	slices.Reverse(all)
	return queue.Page{Events: all, Read: len(all)}, nil
}

// The rules hold for the model itself, so a store that differs from it is wrong.
func TestModel(t *testing.T) {
	Conformance(t, func(_ func() time.Time, ready func(int64, queue.Rank)) Opened {
		m := NewModel()
		m.OnReady = ready
		return Opened{
			Store:   seen{m},
			Restart: func(bool) Store { m.Restart(); return seen{m} },
			Close:   func() {},
		}
	})
}
