package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// mixed makes a closed queue: events 1 to 3 were delivered, 4 to 6 rejected, 7 to 9
// are a chain, 10 and 11 wait alone.
func mixed(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	lane := laneOf(t, s)
	for i := range 3 {
		mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint("delivered ", i), queue.Error))
	}
	deliverAll(t, s)
	for i := range 3 {
		reject(t, s, lane, fmt.Sprint("rejected ", i))
	}
	for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve} {
		mustPut(t, s, event(lane, action, "chain", queue.Critical))
	}
	for i := range 2 {
		mustPut(t, s, event(lane, eventsv2.Trigger, fmt.Sprint("alone ", i), queue.Error))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// reject puts an event of which PagerDuty says that it will never take it.
func reject(t *testing.T, s *Store, lane int64, dedup string) {
	t.Helper()
	mustPut(t, s, event(lane, eventsv2.Trigger, dedup, queue.Critical))
	events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
	if err != nil || len(events) != 1 {
		t.Fatalf("claimed %v: %v", events, err)
	}
	x := queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: queue.Refused, At: time.Now(), Status: 400, Tried: true}
	if err := queuetest.Settle(t.Context(), s, x); err != nil {
		t.Fatal(err)
	}
}

// Whatever a row says, one repair is enough: nothing that the disk has written keeps
// the rest from being repaired, and no difference is added to a count twice.
func TestOneRepairIsEnough(t *testing.T) {
	for _, statement := range []string{
		"UPDATE event SET ended = 0 WHERE id = 1",
		"UPDATE event SET priority = 7 WHERE id = 1",
		"UPDATE event SET severity = 9 WHERE id = 2",
		"UPDATE event SET state = 7, ended = 0 WHERE id = 1",
		"UPDATE event SET state = 4 WHERE id = 7",
		"UPDATE event SET state = 9 WHERE id = 7",
		"UPDATE event SET severity = 9 WHERE id = 7",
		"UPDATE event SET lane = -5 WHERE id = 7",
		"DELETE FROM event WHERE id = 7",
		"DELETE FROM event WHERE id = 9",
		"UPDATE event SET state = state + 1",
		"UPDATE event SET seal = 0",
		"UPDATE lane SET waiting0 = 0, waiting1 = 77",
	} {
		t.Run(statement, func(t *testing.T) {
			path := mixed(t)
			change(t, path, statement, "UPDATE chain SET head = 99 WHERE dedup = 'alone 0'")
			report, err := Check(t.Context(), Options{Path: path}, true)
			if err != nil || report.Sound() {
				t.Fatalf("the repair finds %+v, %v", report, err)
			}
			if report, err = Check(t.Context(), Options{Path: path}, false); err != nil || !report.Sound() {
				t.Errorf("after the repair there is %+v, %v", report, err)
			}
		})
	}
}

// A dead letter whose size the disk has changed does not make the others go.
func TestSizeOfDeadLetterIsBounded(t *testing.T) {
	path := mixed(t)
	change(t, path, "UPDATE event SET size = size | (1 << 50) WHERE id = 6")
	s := openTest(t, Options{Path: path})
	deliverAll(t, s)
	reject(t, s, laneOf(t, s), "one more")
	page, err := s.Events(t.Context(), queue.Filter{States: []queue.State{queue.Refused}})
	if err != nil || len(page.Events) != 4 || s.Evicted() != 0 {
		t.Errorf("%d dead letters are left of 4, %d had to go: %v", len(page.Events), s.Evicted(), err)
	}
}

// An event whose dedup key the disk has made that of another chain does not end that
// one.
func TestDamagedDedupKeyEndsNoOtherChain(t *testing.T) {
	path := mixed(t)
	change(t, path, "UPDATE event SET dedup = 'chain' WHERE id = 10")
	s := openTest(t, Options{Path: path})
	delivered := slices.DeleteFunc(deliverAll(t, s), func(d string) bool { return d == "trigger alone 1" })
	if want := []string{"trigger chain", "acknowledge chain", "resolve chain"}; !slices.Equal(delivered, want) {
		t.Errorf("delivered %q, want all of %q", delivered, want)
	}
	e, _, err := s.Event(t.Context(), 10)
	if err != nil || e.State != queue.Refused {
		t.Errorf("the damaged event is %s: %v", e.State, err)
	}
}

// A purge ends in a file that gives no pages back.
func TestPurgeWithoutVacuum(t *testing.T) {
	path := mixed(t)
	change(t, path, "PRAGMA journal_mode = DELETE", "PRAGMA auto_vacuum = NONE", "VACUUM")
	s := openTest(t, Options{Path: path})
	lane := laneOf(t, s)
	for i := range 40 { // more than vacuumPages
		e := event(lane, eventsv2.Trigger, fmt.Sprint("large ", i), queue.Error)
		e.Body = make([]byte, 200_000)
		mustPut(t, s, e)
	}
	deliverAll(t, s)
	for {
		n, err := s.Purge(t.Context(), time.Now().Add(time.Hour), time.Now().Add(time.Hour), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// The configuration may change while a lane is made or idle ones are forgotten.
func TestRelistBesideLanes(t *testing.T) {
	s := openTest(t, Options{MaxLanes: 3, Listed: func(key eventsv2.Key) bool { return time.Now().UnixNano()&1 == 0 }})
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.Relist()
			}
		}
	})
	for i := range 300 {
		key, _ := eventsv2.ParseKey(fmt.Sprintf("%032d", i))
		_, _ = s.Lane(t.Context(), key) // it may be that all are in use
		if _, err := s.Purge(t.Context(), time.Now().Add(time.Hour), time.Now().Add(time.Hour), 2); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	work.Wait()
}

// An event that the index of what is ready has lost is found by an examination: no
// other way leads to it.
func TestLostIndexEntry(t *testing.T) {
	path := mixed(t)
	change(t, path, "UPDATE event SET state = 1 WHERE id = 10")
	change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, 'state = 0', 'state = 99') WHERE name = 'event_ready'")
	change(t, path, "UPDATE event SET state = 0 WHERE id = 10")
	change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, 'state = 99', 'state = 0') WHERE name = 'event_ready'")
	s := openTest(t, Options{Path: path})
	if delivered := deliverAll(t, s); len(delivered) != 4 {
		t.Fatalf("delivered %q: the index is whole", delivered)
	}
	if report, err := s.Examine(t.Context(), true); err != nil || report.Sound() {
		t.Errorf("the examination finds %+v, %v", report, err)
	}
	if delivered := deliverAll(t, s); !slices.Equal(delivered, []string{"trigger alone 0"}) {
		t.Errorf("after the repair %q left", delivered)
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("after the repair there is %+v, %v", report, err)
	}
}

// The disk has removed an event while it was sent: those behind it do not wait for the
// examination of the next day.
func TestRowIsLostInFlight(t *testing.T) {
	s := openTest(t, Options{})
	lane := laneOf(t, s)
	for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Resolve} {
		mustPut(t, s, event(lane, action, "chain", queue.Critical))
	}
	events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
	if err != nil || len(events) != 1 {
		t.Fatal(err)
	}
	change(t, s.o.Path, fmt.Sprint("DELETE FROM event WHERE id = ", events[0].ID))
	x := queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: queue.Delivered, At: time.Now(), Attempts: 1}
	if err := queuetest.Settle(t.Context(), s, x); err == nil {
		t.Error("the end of an event that is not there was kept")
	}
	for { // the test's own time limit ends this
		page, err := s.Events(t.Context(), queue.Filter{States: []queue.State{queue.Refused}})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) == 1 {
			return
		}
	}
}

// What is remembered of an incident and names no lane is made anew.
func TestChoiceOfLostLane(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	one, two := laneFor(t, s, testKey), laneFor(t, s, otherKey)
	put := func(s *Store, action eventsv2.Action, lane int64) (queue.Placed, error) {
		e := event(lane, action, "a", queue.Error)
		e.Pool = []int64{one, two}
		return s.Put(t.Context(), e)
	}
	if _, err := put(s, eventsv2.Trigger, one); err != nil {
		t.Fatal(err)
	}
	deliverAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, action := range []eventsv2.Action{eventsv2.Trigger} {
		change(t, path, "UPDATE incident SET lane = 999")
		s = openTest(t, Options{Path: path})
		if placed, err := put(s, action, two); err != nil || placed.Lane != two {
			t.Errorf("%s: placed in %+v: %v", action, placed, err)
		}
		if placed, err := put(s, eventsv2.Resolve, one); err != nil || placed.Lane != two {
			t.Errorf("a resolve behind the %s: placed in %+v: %v", action, placed, err)
		}
		deliverAll(t, s)
		if _, err := put(s, eventsv2.Trigger, two); err != nil {
			t.Error(err)
		}
		deliverAll(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
