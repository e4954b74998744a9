package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	lib "modernc.org/sqlite/lib"
)

// version1Files are queues that version 1 has written: one that was closed in order,
// and one as a kill left it. testdata/v1/README.md says what is in them.
var version1Files = []string{"closed.db", "killed.db"}

// oldQueue copies a queue of an older version to a folder.
func oldQueue(t testing.TB, name string) (path string) {
	t.Helper()
	return oldQueueOf(t, "v1", name)
}

func oldQueueOf(t testing.TB, version, name string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "queue.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join("testdata", version, name+suffix))
		if errors.Is(err, os.ErrNotExist) && suffix != "" {
			continue
		}
		if err == nil {
			err = os.WriteFile(path+suffix, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// oldEvents are the events of version 1's files, in the order of their numbers.
var oldEvents = []string{
	"1 lane 1 trigger delivered delivered critical",
	"2 lane 1 trigger refused refused critical 2 repairs",
	"3 lane 1 trigger expired expired error",
	"4 lane 1 trigger dropped dropped info",
	"5 lane 1 trigger waiting waiting critical",
	"6 lane 1 resolve waiting blocked error",
	"7 lane 1 trigger chain ready warning",
	"8 lane 1 acknowledge chain blocked warning",
	"9 lane 1 resolve chain blocked warning",
	"10 lane 1 trigger chain blocked critical",
	"11 lane 1 trigger repeated ready error 2 repeats",
	"12 lane 1   ready info",
	"13 lane 2 trigger open in a pool delivered critical",
	"14 lane 2 trigger queued in a pool ready error",
	"15 lane 4 trigger upper only ready error",
	"16 lane 4 trigger chain ready error",
}

func told(e *queue.Event) string {
	text := fmt.Sprintf("%d lane %d %s %s %s %s", e.ID, e.Lane, e.Action, e.DedupKey, e.State, e.Severity)
	if len(e.Repairs) > 0 {
		text += fmt.Sprintf(" %d repairs", len(e.Repairs))
	}
	if e.Repeats > 0 {
		text += fmt.Sprintf(" %d repeats", e.Repeats)
	}
	return text
}

func allTold(t testing.TB, s *Store) []string {
	t.Helper()
	page, err := s.Events(t.Context(), queue.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for i := range page.Events {
		list = append(list, told(&page.Events[i]))
	}
	slices.Reverse(list)
	return list
}

// A queue of version 1 is opened with everything that is in it, and goes on.
func TestVersion1(t *testing.T) {
	for _, name := range version1Files {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, Options{Path: oldQueue(t, name), Now: func() time.Time { return time.Date(2026, 11, 28, 12, 1, 0, 0, time.UTC) }})
			if got := allTold(t, s); !slices.Equal(got, oldEvents) {
				t.Errorf("the queue has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(oldEvents, "\n"))
			}
			soundAndEmptied(t, s)
		})
	}
}

// soundAndEmptied looks that rows, chains and counts of a queue of version 1 fit
// together, that every event has a summary, and that all of them leave.
func soundAndEmptied(t *testing.T, s *Store) {
	t.Helper()
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("an examination finds %+v, %v", report.Findings, err)
	}
	e, history, err := s.Event(t.Context(), 2)
	if err != nil || len(history) < 4 || !strings.HasPrefix(e.Summary, "trigger of refused at ") || e.Source != "host-1" {
		t.Errorf("event 2: %+v, %+v, %v", e, history, err)
	}
	lanes, _ := s.Lanes(t.Context())
	if len(lanes) != 4 || lanes[0].Learned != 120 || !lanes[1].Held || lanes[1].HeldBy.Who != "ana" {
		t.Errorf("lanes: %+v", lanes)
	}
	key := lanes[3].Key // as the second lane of a key in another case
	if l, err := s.Lane(t.Context(), key); err != nil || l.ID != 1 {
		t.Errorf("the lane of %s is %d: %v", key, l.ID, err)
	}
	if _, err := s.Wake(t.Context(), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), 0); err != nil {
		t.Fatal(err)
	}
	var left []string
	for {
		n := 0
		for _, l := range lanes {
			events, err := queuetest.Claim(t.Context(), s, l.ID, queue.Oldest, 100)
			if err != nil {
				t.Fatal(err)
			}
			for i := range events {
				e := &events[i]
				left = append(left, fmt.Sprintf("%d %s %s", e.Lane, e.Action, e.DedupKey))
				if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Delivered, At: time.Now()}); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		if n == 0 {
			break
		}
	}
	if len(left) != 11 {
		t.Errorf("%d events leave, want 11: %q", len(left), left)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("when all have left, an examination finds %+v, %v", report.Findings, err)
	}
}

// Wherever the migration is cut off, by a kill or a power cut, the next start makes
// it whole.
func TestMigrationIsCutOff(t *testing.T) {
	prove.NoRace(t)
	start, step := prove.Stride(t, 13, 1)
	for _, name := range version1Files {
		cutMigration(t, "v1", name, start, step, oldEvents)
	}
	for _, name := range version2Files {
		cutMigration(t, "v2", name, start, step, version2Events)
	}
	for _, name := range version3Files {
		cutMigration(t, "v3", name, start, step, version2Events)
	}
	for _, name := range version4Files {
		cutMigration(t, "v4", name, start, step, version2Events)
	}
	for _, name := range version5Files {
		cutMigration(t, "v5", name, start, step, version5Events)
	}
}

func cutMigration(t *testing.T, version, name string, start, step int, want []string) {
	{
		r := newRecorder(t)
		n, failed := start+1-step, true
		for failed {
			n += step
			path := oldQueueOf(t, version, name)
			seen := 0
			failed = false
			r.fail = func(_ int, kind opKind) int32 {
				if seen++; seen >= n {
					failed = true
					return lib.SQLITE_IOERR_WRITE
				}
				return 0
			}
			s, err := Open(t.Context(), Options{Path: path, vfs: r.name, disk: r})
			if err == nil {
				_ = s.Close()
			}
			r.fail = func(int, opKind) int32 { return 0 }
			s, err = Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Fatalf("%s, cut off at operation %d: %v", name, n, err)
			}
			if got := allTold(t, s); !slices.Equal(got, want) {
				t.Fatalf("%s, cut off at operation %d: the queue has\n%s", name, n, strings.Join(got, "\n"))
			}
			if len(s.Quarantined()) > 0 {
				t.Fatalf("%s, cut off at operation %d: the file was set aside", name, n)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%s: %d places", name, n-1)
		if n < 20 {
			t.Errorf("%s: the migration has only %d operations: the test has tested nothing", name, n)
		}
	}
}

// What can be read of a damaged queue of version 1 is taken over.
func TestVersion1IsSalvaged(t *testing.T) {
	path := oldQueue(t, "closed.db")
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Path: path})
	got := allTold(t, s)
	var want []string
	for _, e := range oldEvents {
		if !strings.Contains(e, "delivered delivered") && !strings.Contains(e, "dropped dropped") && !strings.HasPrefix(e, "13 ") {
			want = append(want, e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("taken over\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if report := s.Salvaged(); report == nil || report.Events != len(want) || report.Damaged+report.NoKey+report.Unreadable > 0 {
		t.Errorf("the report says %+v", report)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("an examination finds %+v, %v", report.Findings, err)
	}
}

// Another program's database is left alone, whatever is in it.
func TestForeignFile(t *testing.T) {
	for name, setup := range map[string]string{
		"another table":        "CREATE TABLE customer (id INTEGER PRIMARY KEY)",
		"a table of our names": "CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT)",
		"marked":               "PRAGMA application_id = 1; CREATE TABLE customer (id INTEGER PRIMARY KEY)",
		"marked, of version 1": "PRAGMA application_id = 7; PRAGMA user_version = 1; CREATE TABLE customer (id INTEGER PRIMARY KEY)",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			foreign := (&Store{o: Options{Path: path}}).database(1)
			if _, err := foreign.ExecContext(t.Context(), setup); err != nil {
				t.Fatal(err)
			}
			if err := foreign.Close(); err != nil {
				t.Fatal(err)
			}
			before := content(path)
			if s, err := Open(context.Background(), Options{Path: path}); !errors.Is(err, errForeign) {
				t.Errorf("opened: %v", err)
				if err == nil {
					_ = s.Close()
				}
			}
			if after := content(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
			if found, _ := filepath.Glob(path + ".*"); len(found) != 1 { // the lock
				t.Errorf("there are %v", found)
			}
		})
	}
}

// A queue of version 2 is opened with the lost answers of the last minute.
func TestVersion2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	data, err := os.ReadFile(filepath.Join("testdata", "v2", "closed.db"))
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := openTest(t, Options{Path: path, Now: func() time.Time { return ended.Add(time.Second) }})
	if got := allTold(t, s); !slices.Equal(got, []string{"1 lane 1 trigger lost waiting critical", "2 lane 1 trigger delivered delivered critical"}) || !s.Clean() {
		t.Errorf("the queue has %q, closed in order: %v", got, s.Clean())
	}
	recent, err := s.Recent(t.Context(), ended)
	if err != nil || len(recent[1]) != 3 {
		t.Errorf("PagerDuty may count %+v, want three requests: %v", recent[1], err)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("an examination finds %+v, %v", report.Findings, err)
	}
}
