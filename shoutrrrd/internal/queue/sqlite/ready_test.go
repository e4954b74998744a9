package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// fillUp puts events of that severity on a lane until one is turned away. A lane has a
// place of its own for its first critical event, so that it says nothing of the others.
func fillUp(t *testing.T, s *Store, lane int64, severity queue.Rank, size int) {
	t.Helper()
	for i := range 10_000 {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(severity, i), severity)
		e.Body = fmt.Appendf(nil, `{"n":%d,"text":%q}`, i, strings.Repeat("x", size))
		_, err := s.Put(t.Context(), e)
		if errors.Is(err, queue.ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the queue has no bound")
}

// A store is healthy as long as it takes critical events. That it takes no others is a
// thing of its own: a balancer that leaves out a relay for it wastes the places that
// are reserved for critical events.
func TestHealthyWhileCriticalEventsAreKept(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options Options
		size    int
	}{
		{"places", Options{MaxQueued: 300}, 10},
		{"disk", Options{MaxDisk: func() int64 { return 16 << 20 }}, 20_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var moment atomic.Int64
			tt.options.Now = func() time.Time { return time.Unix(moment.Add(1), 0) } // each look measures
			s := openTest(t, tt.options)
			lane := laneOf(t, s)
			mustPut(t, s, event(lane, eventsv2.Trigger, "first", queue.Critical)) // what follows has no place of its own
			if full := s.Full(); full != nil {
				t.Fatalf("an empty queue says %v", full)
			}
			fillUp(t, s, lane, queue.Error, tt.size)
			if err := s.Full(); !errors.Is(err, queue.ErrFull) {
				t.Errorf("a queue that turns errors away says %v of its room", err)
			}
			if err := s.Healthy(); err != nil {
				t.Errorf("a queue with room for critical events alone says %v of itself", err)
			}
			mustPut(t, s, event(lane, eventsv2.Trigger, "page", queue.Critical))
			fillUp(t, s, lane, queue.Critical, tt.size)
			if err := s.Healthy(); !errors.Is(err, queue.ErrFull) {
				t.Errorf("a queue that turns critical events away says %v of itself", err)
			}
			deliverAll(t, s)
			for deadline := time.Now().Add(time.Minute); s.Healthy() != nil || s.Full() != nil; {
				if time.Now().After(deadline) {
					t.Fatalf("after all has left the queue says %v, %v", s.Healthy(), s.Full())
				}
				_, _ = s.Put(t.Context(), event(lane, eventsv2.Trigger, "again", queue.Error)) // it may be turned away still
			}
		})
	}
}
