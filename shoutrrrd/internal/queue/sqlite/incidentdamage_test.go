package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// openedBy is a closed queue in which PagerDuty has n incidents open by the key of the
// second lane, which the key of the first one has taken the place of.
func openedBy(t *testing.T, n int) (path string, lane, old int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	lane, old = laneFor(t, s, testKey), laneFor(t, s, otherKey)
	for i := range n {
		mustPut(t, s, event(old, eventsv2.Trigger, fmt.Sprint("o", i), queue.Error))
	}
	deliverAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, lane, old
}

// resolveFrom puts a resolve that names the first key, and returns where it goes.
func resolveFrom(t *testing.T, s *Store, lane, old int64, dedup string) int64 {
	t.Helper()
	e := event(lane, eventsv2.Resolve, dedup, queue.Error)
	e.Origin, e.Pool = lane, []int64{lane, old}
	placed, err := s.Put(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return placed.Lane
}

// What is remembered of an incident and is damaged is reported once, by the event that
// meets it or by an examination, and no lane is called free of open incidents after that.
func TestDamagedIncidentIsReported(t *testing.T) {
	for name, meet := range map[string]func(t *testing.T, s *Store, lane, old int64){
		"a resolve": func(t *testing.T, s *Store, lane, old int64) {
			for range 2 {
				if at := resolveFrom(t, s, lane, old, "o1"); at != lane {
					t.Errorf("the resolve is on lane %d although nobody knows that its incident is on another", at)
				}
			}
		},
		"an examination": func(t *testing.T, s *Store, _, _ int64) {
			for range 2 {
				if _, err := s.Examine(t.Context(), true); err != nil {
					t.Error(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, lane, old := openedBy(t, 3)
			change(t, path, "UPDATE incident SET seal = seal + 1 WHERE dedup = 'o1'")
			reports := make(chan Incident, 100)
			s := openTest(t, Options{Path: path, Report: func(i Incident) { reports <- i }})
			meet(t, s, lane, old)
			if len(reports) != 1 {
				t.Fatalf("%d reports, want one", len(reports))
			}
			if r := <-reports; r.Lane != old || r.Sound || !strings.Contains(r.What, "incident") || strings.Contains(r.What+r.Why, "o1") {
				t.Errorf("reported: %+v", r)
			}
			for _, id := range []int64{lane, old} {
				if n, unknown, err := s.OpenBy(t.Context(), id, 10); !unknown || err != nil {
					t.Errorf("lane %d has %d open; unknown: %t, %v", id, n, unknown, err)
				}
			}
			if at := resolveFrom(t, s, lane, old, "o2"); at != old {
				t.Errorf("the resolve of an incident that is known is on lane %d, want %d", at, old)
			}
		})
	}
}

// Before anything has met the damaged row, its lane is not called free of open incidents.
func TestDamagedIncidentIsNotCounted(t *testing.T) {
	for _, damage := range []string{"seal = seal + 1", "lane = 999", "used = 0, lane = 999"} {
		path, _, old := openedBy(t, 1)
		change(t, path, "UPDATE incident SET "+damage)
		s := openTest(t, Options{Path: path})
		if n, unknown, err := s.OpenBy(t.Context(), old, 10); !unknown || err != nil {
			t.Errorf("%s: %d open; unknown: %t, %v", damage, n, unknown, err)
		}
	}
}

// If what was remembered of incidents cannot be read of a damaged file, that is said, also
// after the file has been damaged once more.
func TestSalvageReportsLostIncidents(t *testing.T) {
	for _, lost := range []bool{true, false} {
		path, _, old := openedBy(t, 3)
		var root int
		db := (&Store{o: Options{Path: path}}).database(1)
		err := db.QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = 'incident'`).Scan(&root)
		if err != nil || db.Close() != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if lost {
			copy(file[(root-1)*pageSize:], bytes.Repeat([]byte{0xff}, pageSize))
		}
		s := salvaged(t, file)
		want := 3
		if lost {
			want = 0
		}
		n, unknown, err := s.OpenBy(t.Context(), old, 10)
		if n != want || unknown != lost || s.Salvaged().IncidentsLost != lost || err != nil {
			t.Errorf("lost: %t: %d open; unknown: %t, %v; %+v", lost, n, unknown, err, s.Salvaged())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if file, err = os.ReadFile(s.o.Path); err != nil {
			t.Fatal(err)
		}
		s = salvaged(t, file)
		if _, unknown, err := s.OpenBy(t.Context(), old, 10); unknown != lost || err != nil {
			t.Errorf("lost: %t, and the file is damaged again: unknown: %t, %v", lost, unknown, err)
		}
	}
}
