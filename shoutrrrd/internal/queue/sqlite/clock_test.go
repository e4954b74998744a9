package sqlite

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// hands is a clock of which a test sets the hands. Its mark is its time.
type hands struct{ at time.Time }

func (h *hands) Now() time.Time              { return h.at }
func (h *hands) Date(at time.Time) time.Time { return at }

func (h *hands) Mark() string { return strconv.FormatInt(h.at.UnixMilli(), 10) }

func (h *hands) Resume(mark string) {
	if n, err := strconv.ParseInt(mark, 10, 64); err == nil && time.UnixMilli(n).After(h.at) {
		h.at = time.UnixMilli(n)
	}
}

func (h *hands) MarkEvery() time.Duration { return 5 * time.Second }

// Whatever ends a process, the next one's time is not before that of anything in the file, but
// for the last five seconds.
func TestClockGoesOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	begun := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	clock := &hands{begun}
	s := openTest(t, Options{Path: path, Clock: clock})
	lane := laneOf(t, s)
	for range 20 {
		clock.at = clock.at.Add(3 * time.Second)
		if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, clock.at.String(), queue.Info)); err != nil {
			t.Fatal(err)
		}
	}
	if mark := markIn(t, path); clock.at.Sub(mark) >= clock.MarkEvery() {
		t.Errorf("an event of %s is in the file, its mark is of %s", clock.at, mark)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if mark := markIn(t, path); !mark.Equal(clock.at) {
		t.Errorf("after an end in order the mark is of %s, want %s", mark, clock.at)
	}
	for _, ahead := range []time.Duration{-87600 * time.Hour, time.Minute} {
		next := &hands{begun.Add(ahead)}
		s = openTest(t, Options{Path: path, Clock: next})
		if next.at.Before(clock.at) {
			t.Errorf("the next process begins at %s, the last one has ended at %s", next.at, clock.at)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that is set aside as damaged hands on its mark.
func TestSalvageHandsTheClockOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	clock := &hands{time.Date(2036, 11, 30, 12, 0, 0, 0, time.UTC)}
	s := openTest(t, Options{Path: path, Clock: clock})
	lane := laneOf(t, s)
	if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, "a", queue.Info)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	next := &hands{clock.at.AddDate(-10, 0, 0)}
	s = openTest(t, Options{Path: path, Clock: next})
	if s.Salvaged() == nil || s.Salvaged().Events != 1 {
		t.Fatalf("taken over: %+v", s.Salvaged())
	}
	if next.at.Before(clock.at) {
		t.Errorf("the next process begins at %s, the event was accepted at %s", next.at, clock.at)
	}
}

func markIn(t *testing.T, path string) time.Time {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	var mark int64
	if err := errors.Join(db.QueryRow(`SELECT value FROM meta WHERE name = 'clock'`).Scan(&mark), db.Close()); err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(mark)
}
