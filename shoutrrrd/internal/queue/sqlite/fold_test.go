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

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	lib "modernc.org/sqlite/lib"
)

// leaveAll claims and delivers what is queued in a lane, and tells in which order it leaves.
func leaveAll(t testing.TB, s *Store, lane int64, way queue.WhileWaiting) (left []string) {
	t.Helper()
	for nothing := 0; nothing < 3; { // a damaged event leaves nothing, and makes the next one ready
		taken, err := s.Claim(t.Context(), []queue.Ask{{Lane: lane, N: 1, Way: way}})
		if err != nil {
			t.Fatal(err)
		}
		if nothing++; taken[0].More || len(taken[0].Events) > 0 {
			nothing = 0
		}
		for _, e := range taken[0].Events {
			text := fmt.Sprintf("%d %s %s", e.ID, e.Action, e.DedupKey)
			if e.Folded.Pairs > 0 {
				text += fmt.Sprintf(" tells of %d", e.Folded.Pairs)
			}
			left = append(left, text)
			if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Delivered, At: s.o.Now(), Tried: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return left
}

var (
	version5Files  = []string{"closed.db", "killed.db"}
	version5Events = []string{
		"1 lane 1 trigger open delivered error",
		"2 lane 1 trigger flaps ready error",
		"3 lane 1 resolve flaps blocked error",
		"4 lane 1 trigger flaps blocked error",
		"5 lane 1 resolve flaps blocked error",
		"6 lane 1 trigger flaps blocked error",
		"7 lane 1 resolve flaps blocked error",
		"8 lane 1 resolve open ready error",
		"9 lane 1 trigger lost waiting error",
		"10 lane 1 resolve lost blocked error",
	}
)

// A queue of version 5 is opened with everything that is in it, and what has waited in it
// is folded. What may have been in flight when the process was killed is sent.
func TestVersion5(t *testing.T) {
	for name, want := range map[string][]string{
		"closed.db": {"6 trigger flaps tells of 3", "7 resolve flaps", "8 resolve open", "9 trigger lost", "10 resolve lost"},
		"killed.db": {"2 trigger flaps", "3 resolve flaps", "6 trigger flaps tells of 2", "7 resolve flaps", "8 resolve open", "9 trigger lost", "10 resolve lost"},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 11, 30, 13, 0, 0, 0, time.UTC)
			s := openTest(t, Options{Path: oldQueueOf(t, "v5", name), Now: func() time.Time { return now }})
			if got := allTold(t, s); !slices.Equal(got, version5Events) {
				t.Errorf("the queue has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(version5Events, "\n"))
			}
			if l, err := s.Lanes(t.Context()); err != nil || len(l) != 1 || l[0].Upstream != "https://events.pagerduty.com" {
				t.Errorf("the lanes are %+v: %v", l, err)
			}
			if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
				t.Errorf("an examination finds %+v, %v", report.Findings, err)
			}
			if _, err := s.Wake(t.Context(), now, 0); err != nil {
				t.Fatal(err)
			}
			got := leaveAll(t, s, 1, queue.SendOne)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("there leave\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
				t.Errorf("when all have left, an examination finds %+v, %v", report.Findings, err)
			}
		})
	}
}

// A damaged file of version 5 gives what is queued in it, and what has waited in it is folded unless
// an attempt may have been made.
func TestVersion5IsSalvaged(t *testing.T) {
	now := time.Date(2026, 11, 30, 13, 0, 0, 0, time.UTC)
	path := oldQueueOf(t, "v5", "closed.db")
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Path: path, Now: func() time.Time { return now }})
	if got := allTold(t, s); !slices.Equal(got, version5Events[1:]) {
		t.Errorf("the queue has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(version5Events[1:], "\n"))
	}
	if l, err := s.Lanes(t.Context()); err != nil || len(l) != 1 || l[0].Upstream != "https://events.pagerduty.com" {
		t.Errorf("the lanes are %+v: %v", l, err)
	}
	if _, err := s.Wake(t.Context(), now, 0); err != nil {
		t.Fatal(err)
	}
	got, want := leaveAll(t, s, 1, queue.SendOne), []string{"10 resolve lost", "6 trigger flaps tells of 3", "7 resolve flaps", "8 resolve open", "9 trigger lost"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("there leave %q, want %q", got, want)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("an examination finds %+v, %v", report.Findings, err)
	}
}

// flap puts pairs of one alert, each event a second after the other.
func flap(t testing.TB, s *Store, now *time.Time, lane int64, dedup string, pairs int) {
	t.Helper()
	for range pairs {
		for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Resolve} {
			*now = now.Add(time.Second)
			e := event(lane, action, dedup, queue.Error)
			e.Accepted, e.Summary, e.Source = *now, dedup, "web-1"
			mustPut(t, s, e)
		}
	}
}

// What was folded, and what tells of it, is the same after a crash: in lists, in the history
// of each event, and in what leaves. Nothing is folded a second time.
func TestFoldSurvivesACrash(t *testing.T) {
	for _, way := range []queue.WhileWaiting{queue.SendOne, queue.SendNote} {
		t.Run(way.String(), func(t *testing.T) {
			now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
			o := Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: func() time.Time { return now }}
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			lane := laneFor(t, s, testKey)
			flap(t, s, &now, lane, "flaps", 3)
			now = now.Add(time.Hour)
			taken, err := s.Claim(t.Context(), []queue.Ask{{Lane: lane, N: 1, Way: way}})
			if err != nil || len(taken[0].Merged) != 1 || taken[0].Merged[0].Pairs != 3 {
				t.Fatalf("claimed %+v, %v", taken, err)
			}
			m := taken[0].Merged[0]
			s.crash(t)
			s = openTest(t, o)
			teller, history, err := s.Event(t.Context(), m.Teller)
			if err != nil || teller.Folded.Pairs != 3 || len(teller.Folded.Spans) != 3 || !strings.Contains(history[1].Text, "opened and resolved 3 times while nothing of it could be sent: opened 2026-11-30T12:00:01Z, resolved 2026-11-30T12:00:02Z; opened") {
				t.Errorf("%+v tells, by its history %+v: %v", teller, history, err)
			}
			for _, id := range m.Events {
				e, history, err := s.Event(t.Context(), id)
				if err != nil || e.ToldBy() != m.Teller || e.State != queue.Dropped || history[1].What != "folded" || history[1].Text != fmt.Sprint("told by event ", m.Teller) {
					t.Errorf("%+v was folded, by its history %+v: %v", e, history, err)
				}
			}
			page, err := s.Events(t.Context(), queue.Filter{})
			if err != nil || !slices.ContainsFunc(page.Events, func(e queue.Event) bool { return e.ID == m.Teller && e.Folded.Pairs == 3 }) {
				t.Errorf("the list has %+v: %v", page.Events, err)
			}
			want := []string{"5 trigger flaps tells of 3", "6 resolve flaps"}
			if way == queue.SendNote {
				want = []string{"6 resolve flaps", "7   tells of 3"}
			}
			if left := leaveAll(t, s, lane, way); !slices.Equal(left, want) {
				t.Errorf("there leave %q, want %q", left, want)
			}
			if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
				t.Errorf("an examination finds %+v, %v", report.Findings, err)
			}
			if n, err := s.Purge(t.Context(), now.Add(time.Hour), now.Add(time.Hour), 100); err != nil || n < 6 {
				t.Errorf("%d events were deleted: %v", n, err)
			}
			left := 0
			if err := s.read.QueryRow(`SELECT count(*) FROM fold`).Scan(&left); err != nil || left > 0 {
				t.Errorf("%d rows are left of what was told: %v", left, err)
			}
		})
	}
}

// An attempt that was in vain is in the history as any attempt, and keeps nothing from being
// folded. One that PagerDuty may have got does.
func TestAttemptInVainIsFolded(t *testing.T) {
	for _, maybe := range []bool{false, true} {
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		s := openTest(t, Options{Now: func() time.Time { return now }})
		lane := laneFor(t, s, testKey)
		flap(t, s, &now, lane, "flaps", 3)
		taken, err := s.Claim(t.Context(), []queue.Ask{{Lane: lane, N: 1}})
		if err != nil {
			t.Fatal(err)
		}
		x := queue.Settlement{ID: 1, Claim: taken[0].Events[0].Claim, State: queue.Ready, At: now, Tried: true, MaybeAccepted: maybe, Reason: "no answer"}
		if err := queuetest.Settle(t.Context(), s, x); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		want := []string{"5 trigger flaps tells of 3", "6 resolve flaps"}
		if maybe {
			want = []string{"1 trigger flaps", "2 resolve flaps", "5 trigger flaps tells of 2", "6 resolve flaps"}
		}
		if left := leaveAll(t, s, lane, queue.SendOne); !slices.Equal(left, want) {
			t.Errorf("there leave %q, want %q", left, want)
		}
		if _, history, err := s.Event(t.Context(), 1); err != nil || history[1].What != "attempt" || history[1].Text != "no answer" {
			t.Errorf("the history is %+v: %v", history, err)
		}
	}
}

// A chain of any length is folded, a slice in each claim, and meanwhile others leave. Its
// event leaves when all of it is told, and tells the first and the last times.
func TestLongChainIsFolded(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := openTest(t, Options{Now: func() time.Time { return now }})
	lane := laneFor(t, s, testKey)
	const pairs = 600
	flap(t, s, &now, lane, "long", pairs)
	e := event(lane, eventsv2.Trigger, "other", queue.Error)
	e.Accepted = now
	mustPut(t, s, e)
	now = now.Add(time.Hour)
	claim := func() []queue.Event {
		taken, err := s.Claim(t.Context(), []queue.Ask{{Lane: lane, N: 2, Way: queue.SendNote}})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range taken[0].Merged {
			if len(m.Events) > foldSlice {
				t.Errorf("%d events were folded in one claim", len(m.Events))
			}
		}
		return taken[0].Events
	}
	first := claim()
	if len(first) != 1 || first[0].DedupKey != "other" {
		t.Fatalf("beside the long chain there leave %+v", first)
	}
	var note queue.Event
	for range 10 {
		for _, e := range claim() {
			if e.Kind == queue.Change {
				note = e
			}
		}
	}
	if note.Folded.Pairs != pairs || len(note.Folded.Spans) != 20 || !strings.Contains(note.Folded.String(), "and 580 more; ") {
		t.Errorf("it tells of %d pairs: %s", note.Folded.Pairs, &note.Folded)
	}
	if !strings.HasPrefix(note.Summary, "long (opened and resolved 600 times from 2026-11-30T12:00:01Z to 2026-11-30T12:20:00Z, ") || note.Severity != queue.Info {
		t.Errorf("the change event says %q with the severity %s", note.Summary, note.Severity)
	}
}

// An event that the disk has changed is not folded: it becomes a dead letter when it would
// be sent, and what is before it is folded.
func TestDamagedEventIsNotFolded(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	o := Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: func() time.Time { return now }}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	lane := laneFor(t, s, testKey)
	flap(t, s, &now, lane, "flaps", 4)
	now = now.Add(time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, o.Path, `UPDATE event SET body = '{}' WHERE id = 6`)
	s = openTest(t, o)
	want := []string{"5 trigger flaps tells of 2", "7 trigger flaps", "8 resolve flaps"}
	if left := leaveAll(t, s, lane, queue.SendOne); !slices.Equal(left, want) {
		t.Errorf("there leave %q, want %q", left, want)
	}
	if e, _, err := s.Event(t.Context(), 6); err != nil || e.State != queue.Refused {
		t.Errorf("the damaged event is %+v: %v", e, err)
	}
}

// What an event tells is taken over from a damaged file, and is not told if the disk has
// changed it: the histories say it still.
func TestFoldIsSalvaged(t *testing.T) {
	for _, damage := range []string{"", `UPDATE fold SET pairs = 7`} {
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		o := Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: func() time.Time { return now }}
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		lane := laneFor(t, s, testKey)
		flap(t, s, &now, lane, "flaps", 3)
		now = now.Add(time.Hour)
		taken, err := s.Claim(context.Background(), []queue.Ask{{Lane: lane, N: 1, Way: queue.SendOne}})
		if err != nil {
			t.Fatal(err)
		}
		s.Release(taken[0].Events)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if damage != "" {
			change(t, o.Path, damage)
		}
		if err := os.WriteFile(o.Path+suspectSuffix, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, o)
		want := []string{"5 trigger flaps tells of 3", "6 resolve flaps"}
		if damage != "" {
			want[0] = "5 trigger flaps"
		}
		if left := leaveAll(t, s, lane, queue.SendOne); !slices.Equal(left, want) {
			t.Errorf("after %q there leave %q, want %q", damage, left, want)
		}
	}
}

// A disk that takes nothing keeps no page from leaving: what cannot be folded is sent.
func TestSickDiskHoldsNoClaim(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	r := newRecorder(t)
	s := openTest(t, Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: func() time.Time { return now }, vfs: r.name, disk: r})
	lane := laneFor(t, s, testKey)
	flap(t, s, &now, lane, "flaps", 3)
	e := event(lane, eventsv2.Trigger, "page", queue.Critical)
	e.Accepted = now
	mustPut(t, s, e)
	now = now.Add(time.Hour)
	r.fail = func(int, opKind) int32 { return lib.SQLITE_FULL }
	asks := []queue.Ask{{Lane: lane, N: 9, Way: queue.SendOne}}
	if taken, err := s.Claim(t.Context(), asks); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("claimed %+v, %v", taken, err)
	}
	taken, err := s.Claim(t.Context(), asks)
	if err != nil || len(taken[0].Events) != 2 || len(taken[0].Merged) > 0 {
		t.Fatalf("claimed %+v, %v", taken, err)
	}
	s.Release(taken[0].Events)
	r.fail = func(int, opKind) int32 { return 0 }
	e.DedupKey = "another"
	mustPut(t, s, e)
	if left := leaveAll(t, s, lane, queue.SendOne); !slices.Equal(left, []string{"7 trigger page", "8 trigger another", "5 trigger flaps tells of 3", "6 resolve flaps"}) {
		t.Errorf("there leave %q", left)
	}
}
