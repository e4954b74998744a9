package sqlite

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

var (
	version2Files = []string{"incidents.db", "incidents-killed.db"}
	version3Files = []string{"closed.db", "killed.db"}
	version4Files = []string{"closed.db", "killed.db"}
)

// version2Events are the events of version 2's files; testdata/v2/README.md says what
// they are.
var version2Events = []string{
	"1 lane 1 trigger open delivered error",
	"2 lane 1 trigger acknowledged delivered error",
	"3 lane 1 acknowledge acknowledged delivered error",
	"4 lane 1 trigger over delivered error",
	"5 lane 1 resolve over delivered error",
	"6 lane 1 trigger again delivered error",
	"7 lane 1 resolve again delivered error",
	"8 lane 1 trigger again delivered error",
	"9 lane 1 trigger refused refused error",
	"10 lane 2 trigger open in a pool delivered error",
	"11 lane 3 trigger over in a pool delivered error",
	"12 lane 3 resolve over in a pool delivered error",
	"13 lane 2 trigger answer lost in a pool waiting error",
	"14 lane 3 trigger queued in a pool ready error",
	"15 lane 1 trigger answer lost waiting error",
	"16 lane 1 resolve answer lost blocked error",
	"17 lane 1 trigger queued ready error",
}

// wherePooled says through which lane an acknowledge leaves when the keys of all three
// lanes are in one pool, which would choose another one for a new incident.
func wherePooled(t *testing.T, s *Store, want map[string]int64) {
	t.Helper()
	for dedup, lane := range want {
		other := lane%3 + 1
		e := event(other, eventsv2.Acknowledge, dedup, queue.Error)
		e.Origin, e.Pool = other, []int64{1, 2, 3}
		if placed, err := s.Put(t.Context(), e); err != nil || placed.Lane != lane {
			t.Errorf("an acknowledge of %q is on lane %d, want %d: %v", dedup, placed.Lane, lane, err)
		}
	}
}

// A queue of version 2, 3 or 4 is opened with everything that is in it, and remembers through
// which keys its incidents are open.
func TestIncidentsOfOlderVersions(t *testing.T) {
	for _, path := range []string{"v2/incidents.db", "v2/incidents-killed.db", "v3/closed.db", "v3/killed.db", "v4/closed.db", "v4/killed.db"} {
		t.Run(path, func(t *testing.T) {
			version, name, _ := strings.Cut(path, "/")
			s := openTest(t, Options{Path: oldQueueOf(t, version, name), Now: func() time.Time { return time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC) }})
			if got := allTold(t, s); !slices.Equal(got, version2Events) {
				t.Errorf("the queue has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(version2Events, "\n"))
			}
			if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
				t.Errorf("an examination finds %+v, %v", report.Findings, err)
			}
			wherePooled(t, s, map[string]int64{"open": 1, "acknowledged": 1, "again": 1, "open in a pool": 2, "answer lost in a pool": 2, "queued in a pool": 3})
			var over int
			if err := s.read.QueryRow(`SELECT count(*) FROM incident WHERE dedup LIKE 'over%' OR dedup = 'refused'`).Scan(&over); err != nil || over > 0 {
				t.Errorf("%d incidents are remembered that are over: %v", over, err)
			}
			if moved, err := s.Move(t.Context(), queue.Move{From: 1, To: 2, Rank: queue.Error, N: 9, At: time.Now()}); err != nil || len(moved.Heads) > 0 {
				t.Errorf("what version 2 had queued has moved: %+v, %v", moved, err)
			}
		})
	}
}

// What can be read of a damaged queue of version 2 is taken over, and so is what a damaged
// queue of this version remembers.
func TestIncidentsAreSalvaged(t *testing.T) {
	path := oldQueueOf(t, "v2", "incidents.db")
	for range 2 {
		if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		wherePooled(t, s, map[string]int64{"open in a pool": 2, "answer lost in a pool": 2, "queued in a pool": 3})
		if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
			t.Errorf("an examination finds %+v, %v", report.Findings, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is remembered of an incident and is not what was written leads nowhere, and an
// examination forgets it.
func TestDamagedIncident(t *testing.T) {
	path := t.TempDir() + "/queue.db"
	s := openTest(t, Options{Path: path})
	one, two := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	put := func(s *Store, action eventsv2.Action, dedup string, lane, want int64) {
		t.Helper()
		e := event(lane, action, dedup, queue.Error)
		e.Origin, e.Pool = one, []int64{one, two}
		if placed, err := s.Put(t.Context(), e); err != nil || placed.Lane != want {
			t.Errorf("the %s is on lane %d, want %d: %v", action, placed.Lane, want, err)
		}
	}
	put(s, eventsv2.Trigger, "a", two, two)
	put(s, eventsv2.Trigger, "b", two, two)
	deliverAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, path, "UPDATE incident SET lane = 1")
	s = openTest(t, Options{Path: path})
	report, err := s.Examine(t.Context(), true)
	if err != nil || len(report.Findings) != 2 {
		t.Errorf("an examination finds %+v, %v", report.Findings, err)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("after that it finds %+v, %v", report.Findings, err)
	}
	put(s, eventsv2.Resolve, "a", two, two)
}
