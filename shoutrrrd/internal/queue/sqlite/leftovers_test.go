package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// What was deleted leaves the files of a store that goes on: with purged events, and
// also where a purge finds no event but a key to forget, or a dead letter had to go
// before it.
func TestDeletedLeavesTheFiles(t *testing.T) {
	const text = "a text of somebody"
	refuse := func(t *testing.T, s *Store, lane int64) {
		events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
		if err != nil || len(events) != 1 {
			t.Fatal(err, len(events))
		}
		x := queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: queue.Refused, At: time.Now(), Status: 400, Tried: true}
		if err := queuetest.Settle(t.Context(), s, x); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, gone string
		story      func(t *testing.T, s *Store)
	}{
		{"a purged event", text, func(t *testing.T, s *Store) {
			mustPut(t, s, event(laneOf(t, s), eventsv2.Resolve, text, queue.Error))
			deliverAll(t, s)
		}},
		{"an incident", text, func(t *testing.T, s *Store) {
			lane := laneOf(t, s)
			for range 2 {
				mustPut(t, s, event(lane, eventsv2.Trigger, text, queue.Error))
				deliverAll(t, s)
			}
		}},
		{"a key alone", testKey, func(t *testing.T, s *Store) { laneOf(t, s) }},
		{"a dead letter that had to go", text, func(t *testing.T, s *Store) {
			for _, dedup := range []string{text, "another one"} {
				lane := laneOf(t, s)
				mustPut(t, s, event(lane, eventsv2.Trigger, dedup, queue.Error))
				refuse(t, s, lane)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now()
			path := filepath.Join(t.TempDir(), "queue.db")
			s := openTest(t, Options{Path: path, MaxDead: 1, Now: func() time.Time { return now }})
			c.story(t, s)
			holds := func() bool {
				return strings.Contains(string(content(path))+string(content(path+"-wal")), c.gone)
			}
			if !holds() {
				t.Fatal("the files never had it: the test shows nothing")
			}
			now = now.Add(31 * 24 * time.Hour)
			for range 10 { // one comes each minute
				if _, err := s.Purge(t.Context(), now.Add(-time.Hour), now.Add(-time.Hour), 100); err != nil {
					t.Fatal(err)
				}
			}
			if holds() {
				t.Error("the files still hold it")
			}
		})
	}
}

// A purge gives pages back once, when it is through: to do so after each slice would
// make an event that comes meanwhile wait for several times the work.
func TestPurgeGivesPagesBackAtItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	for i := range 120 {
		e := event(laneOf(t, s), eventsv2.Trigger, fmt.Sprint(i), queue.Error)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 8_000))
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	deliverAll(t, s)
	pages := func() (pages int) {
		if err := s.submit(t.Context(), func(w *writer) error { return w.queryRow("PRAGMA page_count", nil, []any{&pages}) }); err != nil {
			t.Fatal(err)
		}
		return pages
	}
	full := pages()
	for _, want := range []int{40, 40, 40, 0} {
		if pages() < full {
			t.Errorf("%d of %d pages are left before the end", pages(), full)
		}
		if n, err := s.Purge(t.Context(), time.Now().Add(time.Hour), time.Now().Add(time.Hour), 40); n != want || err != nil {
			t.Fatalf("a slice has %d events, want %d: %v", n, want, err)
		}
	}
	if pages() > full/4 {
		t.Errorf("after the purge the file has %d of %d pages", pages(), full)
	}
}
