package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const testKey = "0123456789abcdef0123456789abcdef"

func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "state", "queue.db")
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func laneOf(t testing.TB, s *Store) int64 {
	t.Helper()
	key, err := eventsv2.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	lane, err := s.Lane(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return lane.ID
}

func event(lane int64, action eventsv2.Action, dedup string, severity queue.Rank) queue.New {
	return queue.New{
		Lane: lane, Action: action, DedupKey: dedup, Severity: severity, Accepted: time.Now(),
		Body: fmt.Appendf(nil, `{"event_action":%q,"dedup_key":%q}`, action, dedup),
	}
}

func TestSmoke(t *testing.T) {
	s := openTest(t, Options{})
	lane := laneOf(t, s)
	ctx := t.Context()
	for i, e := range []queue.New{
		event(lane, eventsv2.Trigger, "a", queue.Info),
		event(lane, eventsv2.Trigger, "a", queue.Warning),
		event(lane, eventsv2.Trigger, "b", queue.Error),
		event(lane, eventsv2.Resolve, "a", queue.Info),
		event(lane, eventsv2.Trigger, "a", queue.Critical),
	} {
		placed, err := s.Put(ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		if placed.Coalesced != (i == 1) {
			t.Errorf("event %d: %+v", i, placed)
		}
	}
	claimed, err := s.Claim(ctx, lane, queue.MostUrgent, 5)
	if err != nil || len(claimed) != 2 || claimed[0].DedupKey != "a" || claimed[0].Repeats != 1 || claimed[0].Priority != queue.Critical {
		t.Fatalf("%v %+v", err, claimed)
	}
	again, err := s.Claim(ctx, lane, queue.MostUrgent, 5)
	if err != nil || len(again) != 0 {
		t.Fatalf("%v %+v", err, again)
	}
	x := queue.Settlement{ID: claimed[0].ID, Claim: claimed[0].Claim, State: queue.Delivered, At: time.Now(), Status: 202, Attempts: 1, Tried: true}
	if err := s.Settle(ctx, []queue.Settlement{x}); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(ctx, []queue.Settlement{x}); !errors.Is(err, queue.ErrStale) {
		t.Errorf("settled twice: %v", err)
	}
	page, err := s.Events(ctx, queue.Filter{})
	if err != nil || len(page.Events) != 4 {
		t.Fatalf("%v %+v", err, page)
	}
	counts, err := s.Counts(ctx)
	if err != nil || counts[0].Delivered != 1 || counts[0].Waiting != [4]int{1, 1, 0, 1} {
		t.Errorf("%v %+v", err, counts)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := openTest(b, Options{Path: filepath.Join(b.TempDir(), "q.db")})
			lane := laneOf(b, s)
			b.SetParallelism(clients / 2)
			if clients == 1 {
				for i := range b.N {
					e := event(lane, eventsv2.Trigger, fmt.Sprintf("d%d", i*7919), queue.Info)
					e.Body = append(e.Body, make([]byte, 600)...)
					if _, err := s.Put(b.Context(), e); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				i := time.Now().UnixNano()
				for p.Next() {
					i++
					e := event(lane, eventsv2.Trigger, fmt.Sprintf("d%d", i*7919), queue.Info)
					e.Body = append(e.Body, make([]byte, 600)...)
					if _, err := s.Put(b.Context(), e); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
