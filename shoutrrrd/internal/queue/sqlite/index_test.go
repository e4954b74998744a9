package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// falseEntry gives an event an entry in an index that its row contradicts: the index is
// written while the row says one thing, and does not see that it says another.
func falseEntry(t *testing.T, path, index string, id int64, says string) {
	t.Helper()
	db := (&Store{o: Options{Path: path}}).database(1)
	var right string
	err := db.QueryRow(fmt.Sprintf("SELECT format('lane = %%d, state = %%d, priority = %%d, due = %%d', lane, state, priority, due) FROM event WHERE id = %d", id)).Scan(&right)
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	in := map[string]int{"event_ready": 0, "event_due": 2}[index]
	hide := func(from, to int) {
		change(t, path, "PRAGMA writable_schema = ON", fmt.Sprintf("UPDATE sqlite_schema SET sql = replace(sql, 'state = %d', 'state = %d') WHERE name = '%s'", from, to, index))
	}
	change(t, path, fmt.Sprintf("UPDATE event SET %s WHERE id = %d", says, id))
	hide(in, 99)
	change(t, path, fmt.Sprintf("UPDATE event SET %s WHERE id = %d", right, id))
	hide(99, in)
}

// An index that says something else than the rows stops nothing: neither the start, nor
// the status, nor an event, whose row is what was written.
func TestFalseIndexEntry(t *testing.T) {
	prove.NoRace(t)
	const waiting, ready, inOtherLane, events = 1, 2, 5, 6
	for name, entry := range map[string]struct {
		index string
		event int64
		says  string
	}{
		"due far ahead":           {"event_due", waiting, "due = 1 << 60"},
		"due long ago":            {"event_due", waiting, "due = 1"},
		"waits though it is due":  {"event_due", ready, "state = 2"},
		"waits though it is done": {"event_due", events, "state = 2"},
		"waits long, and is done": {"event_due", events, "state = 2, due = 1 << 60"},
		"waits long, and is due":  {"event_due", ready, "state = 2, due = 1 << 60"},
		"in a lane before":        {"event_ready", inOtherLane, "lane = 1"},
		"in a lane behind":        {"event_ready", ready, "lane = 2"},
		"in no lane":              {"event_ready", ready, "lane = 1 << 40"},
		"more severe":             {"event_ready", ready, "priority = 0"},
		"less severe":             {"event_ready", ready, "priority = 3"},
		"ready though it waits":   {"event_ready", waiting, "state = 0"},
		"ready though it is done": {"event_ready", events, "state = 0"},
	} {
		t.Run(name, func(t *testing.T) {
			stall := time.AfterFunc(2*time.Minute, func() { panic(name + ": the queue stalls") })
			defer stall.Stop()
			path := filepath.Join(t.TempDir(), "queue.db")
			fillForIndex(t, path)
			falseEntry(t, path, entry.index, entry.event, entry.says)
			s := openTest(t, Options{Path: path})
			left := 0
			for range 4 { // what no index leads to, an examination finds; where SQLite meets the damage, the next start
				n, err := leave(t, s)
				left += n
				if errors.Is(err, queue.ErrBroken) {
					_ = s.Close()
					s = openTest(t, Options{Path: path})
				} else if err != nil {
					t.Fatal(err)
				}
			}
			dead, err := s.Events(t.Context(), queue.Filter{States: []queue.State{queue.Refused}})
			if err != nil || left != events-1 || len(dead.Events) > 0 {
				t.Errorf("%d of %d events left, %d are dead letters: %v", left, events-1, len(dead.Events), err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if report, err := Check(t.Context(), Options{Path: path}, false); err != nil || !report.Sound() {
				t.Errorf("after that there is %+v, %v", report, err)
			}
		})
	}
}

// leave delivers what leaves, and repairs what an examination finds.
func leave(t *testing.T, s *Store) (left int, err error) {
	t.Helper()
	_, err = s.Overview(t.Context(), nil, 100)
	for next := time.Unix(1, 0); !next.IsZero() && err == nil; {
		next, err = s.Wake(t.Context(), time.Now().Add(time.Hour), 0)
	}
	for _, lane := range []int64{1, 2} {
		for more := true; more && err == nil; {
			var taken []queue.Taken
			if taken, err = s.Claim(t.Context(), []queue.Ask{{Lane: lane, Pick: queue.MostUrgent, N: 1}}); err != nil {
				break
			}
			more = taken[0].More || len(taken[0].Events) > 0
			for _, e := range taken[0].Events {
				if err = queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Delivered, At: time.Now(), Attempts: 1}); err == nil {
					left++
				}
			}
		}
	}
	if err == nil {
		_, err = s.Examine(t.Context(), true)
	}
	return left, err
}

// fillForIndex makes a closed queue: event 1 waits, 2 and 3 are ready in lane 1, 4 and 5
// in lane 2, and 6 was delivered.
func fillForIndex(t *testing.T, path string) {
	t.Helper()
	s := openTest(t, Options{Path: path})
	one, two := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	settle := func(lane int64, x queue.Settlement) {
		claimed, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
		if err != nil || len(claimed) != 1 {
			t.Fatal(err, claimed)
		}
		x.ID, x.Claim, x.At, x.Attempts, x.Tried = claimed[0].ID, claimed[0].Claim, time.Now(), 1, true
		if err := queuetest.Settle(t.Context(), s, x); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, event(one, eventsv2.Trigger, "1", queue.Error))
	settle(one, queue.Settlement{State: queue.Waiting, Due: time.Now().Add(time.Second)})
	for i, lane := range []int64{one, one, two, two} {
		mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint(i+2), queue.Error))
	}
	mustPut(t, s, event(two, eventsv2.Trigger, "6", queue.Critical))
	settle(two, queue.Settlement{State: queue.Delivered})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
