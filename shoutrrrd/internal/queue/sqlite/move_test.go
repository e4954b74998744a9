package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// What has moved stays where it is when the process is killed right after that, the
// counts of both lanes are right, and the history says from where, to where and why. The
// next process knows what was in flight.
func TestMoveOutlivesTheProcess(t *testing.T) {
	o := Options{Path: filepath.Join(t.TempDir(), "queue.db")}
	s := openTest(t, o)
	one, two := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	for i := range 30 {
		for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Resolve} {
			e := event(one, action, fmt.Sprint("chain ", i), queue.Critical)
			e.Pool = []int64{one}
			if _, err := s.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := queuetest.Claim(t.Context(), s, one, queue.MostUrgent, 2); err != nil {
		t.Fatal(err)
	}
	moved, err := s.Move(t.Context(), queue.Move{From: one, To: two, N: 20, At: time.Now(), Why: "from lane a to b: rate limited"})
	if err != nil || len(moved.Heads) != 20 || moved.Next == 0 {
		t.Fatalf("moved %+v, %v", moved, err)
	}
	s.crash(t)
	s = openTest(t, o)
	report, err := s.Examine(t.Context(), false)
	if err != nil || !report.Sound() {
		t.Errorf("after a move and a crash: %+v, %v", report, err)
	}
	totals, err := s.Totals(t.Context())
	if err != nil || totals[0].Total() != 20 || totals[1].Total() != 40 {
		t.Errorf("the lanes have %+v, %v", totals, err)
	}
	e, history, err := s.Event(t.Context(), moved.Heads[0])
	if err != nil || e.Lane != two || len(history) != 2 || history[1].What != "moved" || history[1].Text != "from lane a to b: rate limited" {
		t.Errorf("event %+v with the history %+v, %v", e, history, err)
	}
	again, err := s.Move(t.Context(), queue.Move{From: one, To: two, N: 20, At: time.Now()})
	if err != nil || len(again.Heads) != 0 || again.Next != 0 {
		t.Errorf("what may have been in flight has moved: %+v, %v", again, err)
	}
}

// Incidents of which nothing was accepted are forgotten with their chains.
func TestUnusedChoicesAreForgotten(t *testing.T) {
	prove.NoRace(t)
	s := openTest(t, Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	one := laneOf(t, s)
	const n = 2*forgetSlice + 10
	for i := range n {
		e := event(one, eventsv2.Trigger, fmt.Sprintf("%04d", i), queue.Error)
		e.Pool = []int64{one}
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	claimed, err := queuetest.Claim(t.Context(), s, one, queue.MostUrgent, n)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range claimed {
		if i%2 == 0 {
			if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Expired, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 4 {
		if _, err := s.Purge(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(-time.Hour), 100); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := s.read.QueryRow(`SELECT count(*) FROM incident`).Scan(&left); err != nil || left != n/2 {
		t.Errorf("%d choices are left, want %d: %v", left, n/2, err)
	}
}

// By which key of a pool an incident was opened is remembered for longer than the
// events that have opened it.
func TestChoicesOutliveTheirEvents(t *testing.T) {
	s := openTest(t, Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	one := laneOf(t, s)
	e := event(one, eventsv2.Trigger, "web-1", queue.Error)
	e.Pool = []int64{one}
	if _, err := s.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	claimed, err := queuetest.Claim(t.Context(), s, one, queue.MostUrgent, 1)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d, %v", len(claimed), err)
	}
	now := time.Now()
	if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: claimed[0].ID, Claim: claimed[0].Claim, State: queue.Delivered, At: now}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		unheard       time.Time
		events, known int
	}{{now.Add(-time.Hour), 1, 1}, {now.Add(time.Hour), 0, 0}} {
		n, err := s.Purge(t.Context(), now.Add(time.Hour), want.unheard, 100)
		if err != nil || n != want.events {
			t.Errorf("purge %d deleted %d events, %v", i, n, err)
		}
		var known int
		if err := s.read.QueryRow(`SELECT count(*) FROM incident`).Scan(&known); err != nil || known != want.known {
			t.Errorf("after purge %d %d choices are known, want %d: %v", i, known, want.known, err)
		}
	}
}
