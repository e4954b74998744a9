package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// openBy is how many incidents a lane has open.
func openBy(t *testing.T, s *Store, lane int64) int {
	t.Helper()
	n, _, err := s.OpenBy(t.Context(), lane, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fillDisk queues large events, of which many find no room.
func fillDisk(t *testing.T, s *Store, lane int64) {
	t.Helper()
	for i := range 60 { // 24 MB
		e := event(lane, eventsv2.Trigger, fmt.Sprint("info ", i), queue.Info)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 400_000))
		if _, err := s.Put(t.Context(), e); err != nil && !errors.Is(err, queue.ErrFull) {
			t.Fatal(err)
		}
	}
	if s.Full() == nil {
		t.Fatal("the disk is not full: the test shows nothing")
	}
}

// Events of one key that fill the disk take nothing from what is remembered of the open
// incidents of another: their resolves would leave by the wrong key.
func TestFullDiskForgetsNoOpenIncident(t *testing.T) {
	prove.NoRace(t)
	now := time.Now()
	s := openTest(t, Options{MaxDisk: func() int64 { return leastDisk }, disk: impatientDisk{}, Now: func() time.Time { return now }})
	lane, other := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	for i := range 3 {
		mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint("o", i), queue.Error))
	}
	deliverAll(t, s)
	fillDisk(t, s, other)
	if _, err := s.Purge(t.Context(), now.Add(-time.Hour), now.Add(-time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	if n := openBy(t, s, lane); n != 3 {
		t.Errorf("the lane has %d incidents open after the disk has become full, want 3", n)
	}
}

// On a full disk open incidents take a quarter of the limit at most: the lane that has
// most of them forgets its oldest, says so once, and is not called free of them for 30 days.
func TestOpenIncidentsHaveAShareOfAFullDisk(t *testing.T) {
	prove.NoRace(t)
	now := time.Now()
	var reports []Incident
	s := openTest(t, Options{
		MaxDisk: func() int64 { return leastDisk }, disk: impatientDisk{}, Now: func() time.Time { return now },
		Report: func(i Incident) { reports = append(reports, i) },
	})
	many, few := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	const opened = 6000
	long := strings.Repeat("x", 240)
	err := s.submit(t.Context(), func(w *writer) error {
		for i := range int64(opened) { // 5 MB
			if err := w.remember(incident{many, fmt.Sprint(long, i), many, millis(now) - opened + i}); err != nil {
				return err
			}
		}
		return errors.Join(w.remember(incident{few, "a", few, millis(now) - 2*opened}), w.remember(incident{few, "b", few, millis(now) - 2*opened}))
	})
	if err != nil {
		t.Fatal(err)
	}
	fillDisk(t, s, few)
	purge := func() {
		t.Helper()
		if _, err := s.Purge(t.Context(), now.Add(-time.Hour), now.Add(-30*24*time.Hour), 100); err != nil {
			t.Fatal(err)
		}
	}
	purge()
	left, unknown, err := s.OpenBy(t.Context(), many, opened)
	if bytes := left * (incidentBytes + 3*len(long)); err != nil || left == 0 || bytes > leastDisk/forIncidents || !unknown {
		t.Errorf("the lane with most has %d incidents of %d bytes; unknown: %t, %v", left, bytes, unknown, err)
	}
	if n, unknown, err := s.OpenBy(t.Context(), few, opened); n != 2 || unknown || err != nil {
		t.Errorf("the lane with two has %d; unknown: %t, %v", n, unknown, err)
	}
	var oldest int
	err = s.read.QueryRow(`SELECT count(*) FROM incident WHERE dedup = ?1 OR dedup = ?2`, fmt.Sprint(long, 0), fmt.Sprint(long, opened-1)).Scan(&oldest)
	if err != nil || oldest != 1 {
		t.Errorf("of the oldest and the newest one %d are left, want the newest: %v", oldest, err)
	}
	purge()
	if len(reports) != 1 || reports[0].Lane != many || !reports[0].Sound {
		t.Errorf("reported: %+v", reports)
	}
	now = now.Add(31 * 24 * time.Hour)
	purge()
	if _, unknown, err := s.OpenBy(t.Context(), many, opened); unknown || err != nil {
		t.Errorf("after a month it is unknown: %t, %v", unknown, err)
	}
}
