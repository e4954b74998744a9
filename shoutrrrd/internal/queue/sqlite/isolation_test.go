package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

const otherKey = "fedcba9876543210fedcba9876543210"

func laneFor(t testing.TB, s *Store, text string) int64 {
	t.Helper()
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Lane(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return l.ID
}

func mustPut(t testing.TB, s *Store, e queue.New) queue.Placed {
	t.Helper()
	placed, err := s.Put(t.Context(), e)
	if err != nil {
		t.Fatalf("put %s of %s: %v", e.Action, e.DedupKey, err)
	}
	return placed
}

// change alters a closed queue as the disk could, one statement at a time.
func change(t testing.TB, path string, statements ...string) {
	t.Helper()
	db := (&Store{o: Options{Path: path}}).database(1, "ignore_check_constraints(1)")
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// deliverAll claims and delivers on all lanes until nothing more comes, and returns
// what was delivered.
func deliverAll(t testing.TB, s *Store) (delivered []string) {
	t.Helper()
	for again := true; again; {
		again = false
		lanes, _ := s.Lanes(t.Context())
		for _, l := range lanes {
			events, err := queuetest.Claim(t.Context(), s, l.ID, queue.MostUrgent, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				again = true
				if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Delivered, At: time.Now(), Attempts: 1}); err != nil {
					t.Fatal(err)
				}
				delivered = append(delivered, fmt.Sprintf("%s %s", e.Action, e.DedupKey))
			}
		}
	}
	return delivered
}

// A contradiction in one chain makes dead letters of it, with their bodies, and
// nothing else stops: neither the other chains of the lane nor the batch.
func TestContradiction(t *testing.T) {
	prove.NoRace(t)
	for name, statements := range map[string][]string{
		"the next one's number":    {"UPDATE event SET next = next | 512 WHERE id = 1"},
		"the one before":           {"UPDATE event SET prev = 77 WHERE id = 2"},
		"a state":                  {"UPDATE event SET state = 1 WHERE id = 1"},
		"the lane of an event":     {"UPDATE event SET lane = lane | 512 WHERE id = 1"},
		"the head of the chain":    {"UPDATE chain SET head = 99 WHERE dedup = 'bad'"},
		"the tail of the chain":    {"UPDATE chain SET tail = 99 WHERE dedup = 'bad'"},
		"a count of the chain":     {"UPDATE chain SET n1 = 5 WHERE dedup = 'bad'"},
		"no chain":                 {"DELETE FROM chain WHERE dedup = 'bad'"},
		"the head is gone":         {"DELETE FROM event WHERE id = 1"},
		"the second one is gone":   {"DELETE FROM event WHERE id = 2"},
		"a severity beyond all":    {"UPDATE event SET severity = 9 WHERE id = 1"},
		"a kind beyond all":        {"UPDATE event SET kind = 5 WHERE id = 1"},
		"the counts of the lane":   {"UPDATE lane SET waiting0 = 0, waiting1 = 0, waiting2 = 0 WHERE id = 1"},
		"a limit that was learned": {"UPDATE lane SET learned = 1 WHERE id = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			s := openTest(t, Options{Path: path})
			one, two := laneFor(t, s, testKey), laneFor(t, s, otherKey)
			for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve} {
				mustPut(t, s, event(one, action, "bad", queue.Error))
			}
			for i := range 5 {
				mustPut(t, s, event(one, eventsv2.Trigger, fmt.Sprint("good ", i), queue.Error))
				mustPut(t, s, event(two, eventsv2.Trigger, fmt.Sprint("other ", i), queue.Critical))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			change(t, path, statements...)
			s = openTest(t, Options{Path: path})
			mustPut(t, s, event(one, eventsv2.Trigger, "good 5", queue.Error))
			delivered := deliverAll(t, s)
			others := 0
			for _, d := range delivered {
				if !strings.HasSuffix(d, " bad") {
					others++
				}
			}
			if others != 11 {
				t.Errorf("%d of 11 events of other chains left: %q", others, delivered)
			}
			if _, err := s.Examine(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
				t.Errorf("after the repair an examination finds %+v, %v", report, err)
			}
			page, err := s.Events(t.Context(), queue.Filter{States: []queue.State{queue.Refused}})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				full, _, err := s.Event(t.Context(), e.ID)
				if err != nil || !strings.Contains(string(full.Body), `"bad"`) || e.Reason != damagedReason {
					t.Errorf("a dead letter is %+v with body %s: %v", e, full.Body, err)
				}
			}
			if bad := len(delivered) - others; bad+len(page.Events) < 2 {
				t.Errorf("of the chain %d events left and %d are dead letters", bad, len(page.Events))
			}
			mustPut(t, s, event(one, eventsv2.Trigger, "bad", queue.Critical)) // the next alert of that name pages
			if again := deliverAll(t, s); len(again) != 1 {
				t.Errorf("the next trigger: %q", again)
			}
			if len(s.Quarantined()) > 0 {
				t.Error("the whole file was set aside")
			}
		})
	}
}

// A damaged delivered row does not end the process when it is purged, and does not
// stay for ever.
func TestPurgeOfDamagedRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	lane := laneOf(t, s)
	for i := range 5 {
		mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Error))
	}
	deliverAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, path, "UPDATE event SET lane = lane | 512 WHERE id = 3")
	s = openTest(t, Options{Path: path})
	if n, err := s.Purge(t.Context(), time.Now().Add(time.Hour), time.Now().Add(time.Hour), 100); n != 5 || err != nil {
		t.Errorf("purged %d: %v", n, err)
	}
	if page, err := s.Events(t.Context(), queue.Filter{}); err != nil || len(page.Events) > 0 {
		t.Errorf("there are %+v, %v", page.Events, err)
	}
}

// With the table of the lanes gone, their keys come from its index, or from the
// configuration: every event is taken over.
func TestSalvageWithoutLanes(t *testing.T) {
	prove.NoRace(t)
	for name, damage := range map[string][]string{
		"a lane's row is gone":            {"PRAGMA writable_schema = ON", "DELETE FROM lane WHERE id = 1"},
		"a key has changed in the table":  {"UPDATE lane SET key = '1' || substr(key, 2) WHERE id = 1"},
		"both copies of the key are gone": {"DELETE FROM lane"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			s := openTest(t, Options{Path: path})
			lane := laneOf(t, s)
			for i := range 200 {
				mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Error))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			change(t, path, damage...)
			if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			key, _ := eventsv2.ParseKey(testKey)
			s = openTest(t, Options{Path: path, Keys: func() []eventsv2.Key { return []eventsv2.Key{key} }})
			if got := deliverAll(t, s); len(got) != 200 {
				t.Errorf("%d of 200 events were taken over: %+v", len(got), s.Salvaged())
			}
			if l, err := s.Lane(t.Context(), key); err != nil || l.ID != lane {
				t.Errorf("the key has lane %d, had %d: %v", l.ID, lane, err)
			}
		})
	}
}

// Where neighbouring pages cannot be read, all events on the others are taken over.
func TestSalvageSkipsNothing(t *testing.T) {
	prove.NoRace(t)
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	lane := laneOf(t, s)
	const n = 600
	for i := range n {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Error)
		e.Body = fmt.Appendf(nil, `{"n":%d,"text":%q}`, i, strings.Repeat("x", 600))
		mustPut(t, s, e)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := content(path)
	spoiled := 0
	for page := len(file) / 4096 / 2; spoiled < 40 && page < len(file)/4096; page++ { // leaves of the table, mostly
		if file[page*4096] == 0x0d {
			copy(file[page*4096:], make([]byte, 4096))
			spoiled++
		}
	}
	if err := errors.Join(os.WriteFile(path, file, 0o600), os.WriteFile(path+suspectSuffix, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	readable := 0
	db := (&Store{o: Options{Path: path}}).database(1, "query_only(1)")
	for id := 1; id <= n; id++ {
		var r row
		if r.scan(db.QueryRow(`SELECT `+columns+` FROM event WHERE id = ?1`, id).Scan) == nil && r.sealed {
			readable++
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if readable == n || readable < n/2 {
		t.Fatalf("%d of %d events can be read: the test damages nothing, or all", readable, n)
	}
	s = openTest(t, Options{Path: path, MaxQueued: 100}) // the bound does not apply to what was accepted once
	if got := deliverAll(t, s); len(got) != readable {
		t.Errorf("%d events were taken over, %d can be read one by one: %+v", len(got), readable, s.Salvaged())
	}
}

// One lane cannot take all places from the others, and the first critical event of
// a lane is always kept.
func TestShares(t *testing.T) {
	s := openTest(t, Options{MaxQueued: 200})
	noisy, quiet := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	put := func(lane int64, i int, severity queue.Rank) error {
		_, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, fmt.Sprint(lane, " ", i), severity))
		return err
	}
	kept := 0
	for i := range 300 {
		if err := put(noisy, i, queue.Critical); err == nil {
			kept++
		} else if !errors.Is(err, queue.ErrFull) {
			t.Fatal(err)
		}
	}
	if kept != 100 {
		t.Errorf("%d events of one lane are kept, want half of 200", kept)
	}
	third := laneFor(t, s, strings.Repeat("7", 32))
	for i := range 300 {
		_ = put(third, i, queue.Info)
	}
	if err := put(quiet, 0, queue.Info); !errors.Is(err, queue.ErrFull) {
		t.Errorf("an info beyond the bound: %v", err)
	}
	if err := put(quiet, 1, queue.Critical); err != nil {
		t.Errorf("the first critical event of a lane: %v", err)
	}
}

// The share of a key that the configuration names is kept for it before it sends its
// first event.
func TestShareOfConfiguredKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		keys []string
		want int
	}{{"no key", nil, 198}, {"this key, spelled otherwise", []string{strings.ToUpper(testKey)}, 198}, {"another key", []string{testKey, otherKey}, 100}} {
		t.Run(tt.name, func(t *testing.T) {
			o := listedOnly(tt.keys...)
			o.MaxQueued = 200
			s := openTest(t, o)
			lane, kept := laneFor(t, s, testKey), 0
			for i := range 250 {
				if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Info)); err == nil {
					kept++
				}
			}
			if kept != tt.want {
				t.Errorf("%d events are kept, want %d of 200", kept, tt.want)
			}
		})
	}
}

// Dead letters have a bound of their own: the oldest infos go first.
func TestDeadLettersAreBounded(t *testing.T) {
	s := openTest(t, Options{MaxDead: 10})
	lane := laneOf(t, s)
	refuse := func(n int, severity queue.Rank) {
		for i := range n {
			mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint(severity, i), severity))
			events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
			if err != nil || len(events) != 1 {
				t.Fatal(err)
			}
			x := queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: queue.Refused, At: time.Now(), Status: 400, Tried: true}
			if err := queuetest.Settle(t.Context(), s, x); err != nil {
				t.Fatal(err)
			}
		}
	}
	refuse(6, queue.Critical)
	refuse(20, queue.Info)
	page, err := s.Events(t.Context(), queue.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range page.Events {
		left = append(left, e.DedupKey)
	}
	if got := strings.Join(left, " "); got != "info 19 info 18 info 17 info 16 critical 5 critical 4 critical 3 critical 2 critical 1 critical 0" {
		t.Errorf("left are %s", got)
	}
	if s.Evicted() != 16 {
		t.Errorf("%d had to go, want 16", s.Evicted())
	}
	counts, err := s.Totals(t.Context())
	if err != nil || counts[0].Refused != 10 {
		t.Errorf("counts: %+v, %v", counts, err)
	}
}

// The lanes of unknown keys are bounded: the empty ones make room, first those of
// which PagerDuty never accepted anything, and never one in use or of the
// configuration.
func TestLanesAreBounded(t *testing.T) {
	var forgotten []int64
	listed, _ := eventsv2.ParseKey(testKey)
	now := time.Now()
	s := openTest(t, Options{
		Now: func() time.Time { return now }, MaxLanes: 5, Listed: func(key eventsv2.Key) bool { return key.Equal(listed) },
		OnForget: func(lanes []queue.Lane) {
			for _, l := range lanes {
				forgotten = append(forgotten, l.ID)
			}
		},
	})
	laneOf(t, s)
	key := func(i int) string { return fmt.Sprintf("%032d", i) }
	proven := laneFor(t, s, key(0))
	mustPut(t, s, event(proven, eventsv2.Trigger, "a", queue.Error))
	deliverAll(t, s)
	busy := laneFor(t, s, key(1))
	mustPut(t, s, event(busy, eventsv2.Trigger, "a", queue.Error))
	for i := 2; i < 100; i++ {
		now = now.Add(firstEventWithin)
		laneFor(t, s, key(i))
	}
	lanes, _ := s.Lanes(t.Context())
	if len(lanes) != 6 {
		t.Errorf("%d lanes, want 5 and the one of the configuration", len(lanes))
	}
	for _, id := range []int64{proven, busy} {
		if _, err := s.LaneByID(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if len(forgotten) != 95 {
		t.Errorf("%d lanes were forgotten", len(forgotten))
	}
	for _, l := range lanes {
		mustPut(t, s, event(l.ID, eventsv2.Trigger, "b", queue.Error))
	}
	unknown, _ := eventsv2.ParseKey(key(1000))
	if _, err := s.Lane(t.Context(), unknown); !errors.Is(err, queue.ErrFull) {
		t.Errorf("with an event in each lane: %v", err)
	}
	if _, err := s.Put(t.Context(), event(forgotten[0], eventsv2.Trigger, "c", queue.Error)); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("put into a lane that was forgotten: %v", err)
	}
}

// A lane that was just made waits for its first event: where all others have proven
// themselves, one of those makes room for the next unknown key.
func TestNewLaneGetsItsFirstEvent(t *testing.T) {
	s := openTest(t, Options{MaxLanes: 5, Now: time.Now})
	key := func(i int) string { return fmt.Sprintf("%032d", i) }
	for i := range 5 {
		mustPut(t, s, event(laneFor(t, s, key(i)), eventsv2.Trigger, "a", queue.Error))
	}
	deliverAll(t, s)
	first, second := laneFor(t, s, key(5)), laneFor(t, s, key(6))
	for _, lane := range []int64{first, second} {
		mustPut(t, s, event(lane, eventsv2.Trigger, "a", queue.Critical))
	}
	for i := range 20 { // more than the bound: then a new one is the last choice
		laneFor(t, s, key(100+i))
	}
	if lanes, _ := s.Lanes(t.Context()); len(lanes) != 5 {
		t.Errorf("%d lanes, want 5", len(lanes))
	}
}

// Empty lanes are forgotten after the retention, with the keys in them.
func TestIdleLanesAreForgotten(t *testing.T) {
	now := time.Now()
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path, Now: func() time.Time { return now }})
	lane := laneOf(t, s)
	e := event(lane, eventsv2.Resolve, "a text of somebody", queue.Error) // an open incident is remembered for longer
	mustPut(t, s, e)
	deliverAll(t, s)
	now = now.Add(48 * time.Hour)
	if _, err := s.Purge(t.Context(), now.Add(-time.Hour), now.Add(-time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	if lanes, _ := s.Lanes(t.Context()); len(lanes) > 0 {
		t.Errorf("lanes: %+v", lanes)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal"} {
		for _, text := range []string{testKey, "a text of somebody"} {
			if strings.Contains(string(content(file)), text) {
				t.Errorf("%s still holds %q", filepath.Base(file), text)
			}
		}
	}
	s = openTest(t, Options{Path: path, Now: func() time.Time { return now }})
	if again := laneOf(t, s); again <= lane {
		t.Errorf("the number %d is given out twice", again)
	}
}

// A key in another case is the same lane, and each event leaves in its own spelling.
func TestKeysAreComparedWithoutCase(t *testing.T) {
	s := openTest(t, Options{})
	lane := laneOf(t, s)
	upper, _ := eventsv2.ParseKey(strings.ToUpper(testKey))
	if l, err := s.Lane(t.Context(), upper); err != nil || l.ID != lane {
		t.Fatalf("lane %d, want %d: %v", l.ID, lane, err)
	}
	e := event(lane, eventsv2.Trigger, "a", queue.Error)
	e.Key = upper
	mustPut(t, s, e)
	events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
	if err != nil || len(events) != 1 || events[0].Key.Reveal() != upper.Reveal() {
		t.Errorf("claimed %+v: %v", events, err)
	}
}

// Lanes whose keys PagerDuty rejects cannot hold all places for ever: the one that has
// been idle for longest makes room for an unknown key. What is queued in it becomes dead
// letters; a lane of which PagerDuty has accepted something, one that is being tried,
// paused or named by the configuration stays as it is.
func TestRejectedLanesMakeRoom(t *testing.T) {
	var forgotten []int64
	now := time.Now()
	path := filepath.Join(t.TempDir(), "queue.db")
	o := Options{
		Path: path, MaxLanes: 6, Now: func() time.Time { return now },
		OnForget: func(lanes []queue.Lane) {
			for _, l := range lanes {
				forgotten = append(forgotten, l.ID)
			}
		},
		OnReady: func(lane int64, _ queue.Rank) {
			if slices.Contains(forgotten, lane) {
				t.Errorf("an event of lane %d was announced, which is forgotten", lane)
			}
		},
	}
	s := openTest(t, o)
	key := func(i int) string { return fmt.Sprintf("%032d", i) }
	reject := func(lane int64) {
		l, err := s.LaneByID(t.Context(), lane)
		if err != nil {
			t.Fatal(err)
		}
		l.KeyRefused = now
		if err := s.SaveLane(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	var lanes []int64
	for i := range 6 {
		lane := laneFor(t, s, key(i))
		lanes = append(lanes, lane)
		if i == 0 { // PagerDuty has accepted something of it
			mustPut(t, s, event(lane, eventsv2.Trigger, "a", queue.Error))
			deliverAll(t, s)
		}
		mustPut(t, s, event(lane, eventsv2.Trigger, "a", queue.Critical))
		mustPut(t, s, event(lane, eventsv2.Resolve, "a", queue.Critical))
		change := event(lane, "", "", queue.Info)
		change.Kind = queue.Change
		mustPut(t, s, change)
		reject(lane)
	}
	if err := s.Hold(t.Context(), lanes[1], queue.By{Who: "ana"}); err != nil {
		t.Fatal(err)
	}
	held, err := queuetest.Claim(t.Context(), s, lanes[2], queue.MostUrgent, 1)
	if err != nil || len(held) != 1 {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	for i := range 20 { // each of the others makes room for one, and those for the next
		lane := laneFor(t, s, key(100+i))
		mustPut(t, s, event(lane, eventsv2.Trigger, "b", queue.Critical))
		reject(lane)
		now = now.Add(time.Minute)
	}
	if want := append(slices.Clone(lanes[3:]), forgotten[min(3, len(forgotten)):]...); !slices.Equal(forgotten, want) || len(forgotten) != 20 {
		t.Errorf("forgotten are %d, want %d first", forgotten, lanes[3:])
	}
	for _, lane := range lanes[:3] {
		if count := countOf(t, s, lane); count.Total() != 3 {
			t.Errorf("lane %d has %+v, want its three events", lane, count)
		}
	}
	page, err := s.Events(t.Context(), queue.Filter{States: []queue.State{queue.Refused}, Limit: 1000})
	if err != nil || len(page.Events) != 3*3+17 {
		t.Errorf("%d dead letters, want %d: %v", len(page.Events), 3*3+17, err)
	}
	for _, e := range page.Events {
		if !strings.Contains(e.Reason, "rejects the integration key") {
			t.Errorf("event %d is a dead letter, as %q", e.ID, e.Reason)
		}
	}
	if s.Usage().GivenUp != 3*3+17 {
		t.Errorf("%d events were given up, want %d", s.Usage().GivenUp, 3*3+17)
	}
	if err := queuetest.RequeueOne(t.Context(), s, page.Events[0].ID, queue.By{Who: "ana"}); !errors.Is(err, queue.ErrState) {
		t.Errorf("requeue of a dead letter whose key is forgotten: %v", err)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("an examination finds %+v, %v", report, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, o)
	laneFor(t, s, key(200)) // also after a start
	if err := s.Drop(t.Context(), page.Events[0].ID, queue.By{Who: "ana"}); err != nil {
		t.Error(err)
	}
}

func countOf(t testing.TB, s *Store, lane int64) queue.Count {
	t.Helper()
	counts, err := s.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Lane == lane {
			return c
		}
	}
	return queue.Count{}
}

// A rejected lane with many events makes room in steps, which no other request waits
// for long, and what strangers leave takes no more than half of the dead letters' places.
func TestLargeRejectedLaneMakesRoomInSteps(t *testing.T) {
	prove.NoRace(t)
	now := time.Now()
	const many = 2*giveUpSlice + 10
	s := openTest(t, Options{MaxLanes: 2, MaxDead: 100, Now: func() time.Time { return now }})
	honest := laneFor(t, s, testKey)
	for i := range 60 {
		mustPut(t, s, event(honest, eventsv2.Trigger, fmt.Sprint(i), queue.Info))
		events, err := queuetest.Claim(t.Context(), s, honest, queue.MostUrgent, 1)
		if err != nil || len(events) != 1 {
			t.Fatal(err)
		}
		x := queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: queue.Expired, At: now}
		if err := queuetest.Settle(t.Context(), s, x); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, event(honest, eventsv2.Trigger, "waits", queue.Error))
	stranger := laneFor(t, s, otherKey)
	for i := range many {
		action := eventsv2.Trigger
		if i%2 > 0 {
			action = eventsv2.Resolve
		}
		mustPut(t, s, event(stranger, action, "chain", queue.Critical))
	}
	l, _ := s.LaneByID(t.Context(), stranger)
	l.KeyRefused = now
	if err := s.SaveLane(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	key, _ := eventsv2.ParseKey(strings.Repeat("7", 32))
	for step := 1; ; step++ {
		before := countOf(t, s, stranger).Total()
		_, err := s.Lane(t.Context(), key)
		if given := before - countOf(t, s, stranger).Total(); given > giveUpSlice {
			t.Fatalf("%d events were given up at once", given)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, queue.ErrFull) || step > 5 {
			t.Fatalf("step %d: %v", step, err)
		}
	}
	if n := countOf(t, s, honest).Expired; n != 60 {
		t.Errorf("%d of 60 dead letters of another lane are kept", n)
	}
	if u := s.Usage(); u.GivenUp != many || u.Evicted != many {
		t.Errorf("%+v, want %d events given up and not kept, as half of the places is taken", u, many)
	}
	mustPut(t, s, event(honest, eventsv2.Trigger, "more", queue.Error))
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("an examination finds %+v, %v", report, err)
	}
}

// Dead letters alone do not hold the place of a key of which PagerDuty never accepted
// anything.
func TestDeadLettersHoldNoPlace(t *testing.T) {
	now := time.Now()
	s := openTest(t, Options{MaxLanes: 1, Now: func() time.Time { return now }})
	lane := laneFor(t, s, otherKey)
	mustPut(t, s, event(lane, eventsv2.Trigger, "a", queue.Error))
	events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
	if err != nil || len(events) != 1 {
		t.Fatal(err)
	}
	if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: queue.Expired, At: now}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	laneFor(t, s, testKey)
	if u := s.Usage(); u.Dead != 1 || u.GivenUp != 0 {
		t.Errorf("%+v, want the dead letter that there was", u)
	}
}

// listedOnly names keys as the configuration does.
func listedOnly(texts ...string) Options {
	var keys []eventsv2.Key
	for _, text := range texts {
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return Options{
		Keys:   func() []eventsv2.Key { return keys },
		Listed: func(key eventsv2.Key) bool { return slices.ContainsFunc(keys, key.Equal) },
	}
}

// Strangers cannot take the place of a key that the configuration names, which needs
// none of theirs.
func TestListedKeyNeedsNoPlaceOfStrangers(t *testing.T) {
	o := listedOnly(testKey)
	o.MaxLanes = 3
	s := openTest(t, o)
	for i := range 3 {
		mustPut(t, s, event(laneFor(t, s, fmt.Sprintf("%032d", i)), eventsv2.Trigger, "a", queue.Critical))
	}
	mustPut(t, s, event(laneFor(t, s, testKey), eventsv2.Trigger, "page", queue.Critical))
	unknown, _ := eventsv2.ParseKey(otherKey)
	if _, err := s.Lane(t.Context(), unknown); !errors.Is(err, queue.ErrFull) {
		t.Errorf("an unknown key beyond the bound: %v", err)
	}
}

// Strangers, however many and however severe what they send, leave places to the keys
// that the configuration names: to each of them some critical events of its own, and a
// tenth of all places.
func TestStrangersLeavePlacesToListedKeys(t *testing.T) {
	prove.NoRace(t)
	o := listedOnly(testKey)
	o.MaxQueued = 1000
	s := openTest(t, o)
	put := func(lane int64, i int, severity queue.Rank) error {
		_, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, fmt.Sprint(i, severity), severity))
		return err
	}
	for i := range 30 {
		lane := laneFor(t, s, fmt.Sprintf("%032d", i))
		for n := range 100 {
			if err := put(lane, n, queue.Rank(n%2)); err != nil && !errors.Is(err, queue.ErrFull) {
				t.Fatal(err)
			}
		}
	}
	listed := laneFor(t, s, testKey)
	for i := range 50 {
		if err := put(listed, i, queue.Error); err != nil {
			t.Fatalf("event %d of a listed key: %v", i, err)
		}
	}
	for i := 0; s.Full() == nil; i++ { // until all places but those of critical events are taken
		if err := put(listed, 1000+i, queue.Error); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 { // the first ones of strangers may go beyond all bounds
		_ = put(laneFor(t, s, fmt.Sprintf("%032d", 1000+i)), i, queue.Critical)
	}
	for i := range 5 {
		if err := put(listed, i, queue.Critical); err != nil {
			t.Errorf("critical event %d of a listed key: %v", i, err)
		}
	}
}

// The configuration stops naming many keys at once. The next purge brings their lanes
// back within the bound; the one that was used last stays.
func TestBoundOfLanesHoldsAfterAReload(t *testing.T) {
	now, named := time.Now(), true
	s := openTest(t, Options{Now: func() time.Time { return now }, MaxLanes: 3, Listed: func(eventsv2.Key) bool { return named }})
	last := int64(0)
	for i := range 8 {
		last = laneFor(t, s, fmt.Sprintf("%032d", i))
		now = now.Add(time.Second)
	}
	mustPut(t, s, event(last, eventsv2.Trigger, "a", queue.Error))
	deliverAll(t, s)
	named = false
	s.Relist()
	now = now.Add(firstEventWithin)
	if _, err := s.Purge(t.Context(), now.Add(-time.Hour), now.Add(-time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	lanes, _ := s.Lanes(t.Context())
	if len(lanes) != 3 || !slices.ContainsFunc(lanes, func(l queue.Lane) bool { return l.ID == last }) {
		t.Errorf("%d lanes are left, want 3 and lane %d among them", len(lanes), last)
	}
}
