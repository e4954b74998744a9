package sqlite

import (
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// writes returns how many statements the writer has carried out for what do asks.
func writes(t *testing.T, s *Store, do func() error) int {
	t.Helper()
	written := func() (n int) {
		if err := s.submit(t.Context(), func(w *writer) error { n = w.written; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := written()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return (written() - before) / statementBytes
}

// To discard an event of a long chain, wherever it stands, or to move the chain to
// another lane, is bounded work: other clients wait for it. What was not moved follows.
func TestLongChains(t *testing.T) {
	prove.Long(t)
	const n = 2000
	s := openTest(t, Options{synchronous: "OFF"}) // nothing here is about the disk
	lane, other := laneOf(t, s), laneFor(t, s, otherKey)
	var ids []int64
	for i := range n { // alternating, so that none is coalesced
		e := event(lane, []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge}[i%2], "long", queue.Error)
		e.Pool = []int64{e.Lane}
		ids = append(ids, mustPut(t, s, e).ID)
	}
	for _, at := range []int{n - 1, n / 2} {
		if got := writes(t, s, func() error { return s.Drop(t.Context(), ids[at], queue.By{Who: "ana", At: time.Now()}) }); got > 20 {
			t.Errorf("to discard event %d of %d takes %d statements", at+1, n, got)
		}
	}
	head, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
	if err != nil || len(head) != 1 {
		t.Fatal(err, len(head))
	}
	move := queue.Settlement{ID: head[0].ID, Claim: head[0].Claim, State: queue.Ready, At: time.Now(), Lane: other, Status: 403, Tried: true}
	if got := writes(t, s, func() error { return queuetest.Settle(t.Context(), s, move) }); got < 2*moveSlice || got > 2*moveSlice+50 { // each event's row, and the key that it was accepted for
		t.Errorf("to move a chain of %d takes %d statements, want about %d", n-2, got, 2*moveSlice)
	}
	if left := deliverAll(t, s); len(left) != n-2 {
		t.Errorf("%d events have left, want %d", len(left), n-2)
	}
	if counts, err := s.Totals(t.Context()); err != nil || counts[0].Delivered != 0 || counts[1].Delivered != n-2 {
		t.Errorf("by the lanes: %+v, %v", counts, err)
	}
}
