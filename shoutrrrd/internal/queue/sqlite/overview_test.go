package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// sameOverview compares an overview with all lanes and all counts.
func sameOverview(t *testing.T, s *Store, step int, others int) {
	t.Helper()
	lanes, _ := s.Lanes(t.Context())
	counts, _ := s.Totals(t.Context())
	got, err := s.Overview(t.Context(), nil, others)
	if err != nil || got.Total != len(lanes) {
		t.Fatalf("step %d: %d lanes, want %d: %v", step, got.Total, len(lanes), err)
	}
	shown := map[int64]queue.Counted{}
	for _, l := range got.Lanes {
		l.Count.Oldest, l.Count.OldestCritical, l.Count.OldestOf = time.Time{}, time.Time{}, [queue.Ranks]time.Time{}
		shown[l.Lane.ID] = l
	}
	want, idle := 0, 0
	for i, l := range lanes {
		c := counts[i]
		one, is := shown[l.ID]
		if is && (one.Lane != l || one.Count != c) {
			t.Fatalf("step %d: lane %d is %+v, want %+v %+v", step, l.ID, one, l, c)
		}
		if c.Total()+c.Refused+c.Expired == 0 && !l.Held && l.KeyRefused.IsZero() {
			idle++
			continue
		}
		if want++; !is {
			t.Fatalf("step %d: lane %d is missing, of which there are %+v", step, l.ID, c)
		}
	}
	if want += min(idle, others); len(shown) != want || len(got.Lanes) != want {
		t.Fatalf("step %d: %d lanes, want %d, of which %d are idle", step, len(got.Lanes), want, min(idle, others))
	}
}

// The lists of busy and idle lanes hold what a look at all lanes finds, whatever was
// done: lanes are made and forgotten, the configuration changes, the process ends.
func TestOverviewIsWhatThereIs(t *testing.T) {
	prove.NoRace(t)
	random := rand.New(rand.NewPCG(1, 0))
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	listed, forgotten, restarts := uint64(0), 0, 0
	number := func(key eventsv2.Key) (n uint64) { _, _ = fmt.Sscanf(key.Reveal(), "%d", &n); return n }
	o := Options{
		Path: filepath.Join(t.TempDir(), "queue.db"), MaxLanes: 6, Now: func() time.Time { return now },
		Listed:   func(key eventsv2.Key) bool { return number(key) < listed },
		OnForget: func(lanes []queue.Lane) { forgotten += len(lanes) },
	}
	s := openTest(t, o)
	failed := func(err error) {
		t.Helper()
		if err != nil && !errors.Is(err, queue.ErrFull) && !errors.Is(err, queue.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for step := range 1500 {
		now = now.Add(time.Duration(random.IntN(5000)) * time.Millisecond)
		lanes, _ := s.Lanes(t.Context())
		id := int64(0)
		if len(lanes) > 0 {
			id = lanes[random.IntN(len(lanes))].ID
		}
		switch random.IntN(16) {
		case 0, 1, 2:
			key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", random.IntN(12)))
			failed(err)
			_, err = s.Lane(t.Context(), key)
			failed(err)
		case 3, 4, 5:
			_, err := s.Put(t.Context(), queue.New{
				Lane: id, Action: eventsv2.Trigger, DedupKey: fmt.Sprint(random.IntN(3)), Severity: queue.Rank(random.IntN(queue.Ranks)), Accepted: now, Body: []byte("{}"),
			})
			failed(err)
		case 6, 7, 8, 9:
			events, err := queuetest.Claim(t.Context(), s, id, queue.Oldest, 2)
			failed(err)
			for _, e := range events {
				state := []queue.State{queue.Delivered, queue.Delivered, queue.Delivered, queue.Refused, queue.Expired, queue.Ready}[random.IntN(6)]
				failed(queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: state, At: now}))
			}
		case 10:
			failed(s.Hold(t.Context(), id, queue.By{Who: "ana", At: now}))
		case 11:
			failed(s.Unhold(t.Context(), id, queue.By{Who: "ana", At: now}))
		case 12:
			l, err := s.LaneByID(t.Context(), id)
			failed(err)
			if l.KeyRefused = (time.Time{}); random.IntN(3) == 0 {
				l.KeyRefused = now
			}
			failed(s.SaveLane(t.Context(), l))
		case 13:
			dead, err := s.Events(t.Context(), queue.Filter{States: []queue.State{queue.Refused, queue.Expired}, Limit: 1})
			failed(err)
			for _, e := range dead.Events {
				failed(s.Drop(t.Context(), e.ID, queue.By{Who: "ana", At: now}))
			}
			_, err = s.Purge(t.Context(), now.Add(-time.Minute), now.Add(-time.Minute), 100)
			failed(err)
		case 14:
			listed = random.Uint64N(4)
			s.Relist()
		case 15:
			failed(s.Close())
			s = openTest(t, o)
			restarts++
		}
		sameOverview(t, s, step, []int{0, 1, 3, 100}[random.IntN(4)])
	}
	if forgotten < 10 || restarts < 10 {
		t.Errorf("%d lanes were forgotten and %d restarts made: the test shows too little", forgotten, restarts)
	}
}
