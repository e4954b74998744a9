package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// handClock is a disk whose time the test moves: how busy the machine is does not matter.
type handClock struct {
	*recorder
	ahead atomic.Int64 // nanoseconds
}

func (c *handClock) Now() time.Time { return time.Unix(1, c.ahead.Load()) }

// While the disk does not answer the store is not healthy and turns events away,
// those that wait for it too; when it answers again all is well.
func TestDiskHangs(t *testing.T) {
	r := newRecorder(t)
	hang, hanging := make(chan struct{}), make(chan struct{}, 100)
	armed := make(chan bool, 1)
	armed <- false
	r.fail = func(_ int, kind opKind) int32 {
		on := <-armed
		armed <- on
		if on && kind == opSync {
			hanging <- struct{}{}
			<-hang
		}
		return 0
	}
	clock := &handClock{recorder: r}
	s := openTest(t, Options{vfs: r.name, disk: clock, slowAfter: 20 * time.Millisecond})
	lane := laneOf(t, s)
	mustPut(t, s, event(lane, eventsv2.Trigger, "before", queue.Critical))
	<-armed
	armed <- true
	first := make(chan error, 1)
	go func() {
		_, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, "waits", queue.Critical))
		first <- err
	}()
	<-hanging
	clock.ahead.Store(int64(20 * time.Millisecond))
	if err := <-first; !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "the disk has not answered") {
		t.Errorf("the one who waits hears %v", err)
	}
	if err := s.Healthy(); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("the store says %v", err)
	}
	if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, "later", queue.Critical)); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("the next one hears %v", err)
	}
	if s.Hanging() < 20*time.Millisecond {
		t.Errorf("it hangs for %s", s.Hanging())
	}
	<-armed
	armed <- false
	close(hang)
	lanes := func() int { // waits for the writer
		if err := s.SaveLane(t.Context(), queue.Lane{ID: lane}); err != nil {
			t.Fatal(err)
		}
		all, _ := s.Lanes(t.Context())
		return len(all)
	}
	if lanes() != 1 || s.Healthy() != nil {
		t.Errorf("when the disk answers again: %v", s.Healthy())
	}
	mustPut(t, s, event(lane, eventsv2.Trigger, "after", queue.Critical))
	if got := deliverAll(t, s); len(got) != 3 { // the one who was turned away was kept all the same: 503 promises nothing
		t.Errorf("delivered %q", got)
	}
}

// impatientDisk is measured each time.
type impatientDisk struct{ realDisk }

var impatience atomic.Int64

func (impatientDisk) Now() time.Time { return time.Unix(impatience.Add(2), 0) }

// At its bound the queue lets delivered events go before it turns anything away, and
// takes events again as soon as there is room.
func TestDiskHasABound(t *testing.T) {
	prove.NoRace(t)
	const limit = 2 << 20
	s := openTest(t, Options{MaxDisk: func() int64 { return limit }, disk: impatientDisk{}})
	lane := laneOf(t, s)
	body := strings.Repeat("x", 20_000)
	put := func(i int, severity queue.Rank) error {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(i), severity)
		e.Body = fmt.Appendf(nil, `{"n":%d,"text":%q}`, i, body)
		_, err := s.Put(t.Context(), e)
		return err
	}
	for i := range 200 { // 4 MB come and go
		if err := put(i, queue.Error); err != nil {
			t.Fatalf("event %d, with room from delivered ones: %v", i, err)
		}
		deliverAll(t, s)
	}
	if u := s.Usage(); u.File+u.WAL > limit*2 {
		t.Errorf("the queue takes %+v", u)
	}
	turned := 0
	for i := range 150 {
		if err := put(1000+i, queue.Error); errors.Is(err, queue.ErrFull) {
			turned++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if turned == 0 {
		t.Error("nothing was turned away")
	}
	if err := s.Full(); !errors.Is(err, queue.ErrDiskFull) {
		t.Errorf("a queue without room on its disk says %v of itself", err)
	}
	if err := put(5000, queue.Critical); err != nil {
		t.Errorf("the first critical event of the lane: %v", err)
	}
	if err := s.Full(); !errors.Is(err, queue.ErrDiskFull) {
		t.Errorf("after a critical event found room: %v", err)
	}
	deliverAll(t, s)
	for deadline := time.Now().Add(time.Minute); s.Full() != nil; runtime.Gosched() { // without an event that tries it
		if time.Now().After(deadline) {
			t.Fatalf("after all has left the queue says %v of itself", s.Full())
		}
	}
	if err := put(6000, queue.Error); err != nil {
		t.Errorf("after all has left: %v", err)
	}
}

// A queue that is beyond a limit which was lowered says so from its start on, and not
// only once an event was turned away: a balancer sends one that says it is ready.
func TestFullDiskIsKnownFromTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "queue.db")
	s := openTest(t, Options{Path: path})
	lane := laneOf(t, s)
	for i := range 10 {
		mustPut(t, s, largeEvent(lane, fmt.Sprint(i), queue.Error))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, Options{Path: path, MaxDisk: func() int64 { return 2 << 20 }})
	if err := s.Full(); !errors.Is(err, queue.ErrDiskFull) {
		t.Errorf("a queue of 4 MB that may have 2 MB says %v of itself", err)
	}
}

// What was put since the last measurement counts: within a second large events could
// fill a small disk.
func TestBoundOfTheDiskCountsWhatWasJustPut(t *testing.T) {
	const limit = 16 << 20
	now := time.Now()
	s := openTest(t, Options{MaxDisk: func() int64 { return limit }, Now: func() time.Time { return now }})
	lane := laneOf(t, s)
	e := event(lane, eventsv2.Trigger, "", queue.Error)
	e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 400_000))
	for i := range 80 { // 32 MB at one moment
		e.DedupKey = fmt.Sprint(i)
		if _, err := s.Put(t.Context(), e); err != nil && !errors.Is(err, queue.ErrFull) {
			t.Fatal(err)
		}
	}
	now = now.Add(measureEvery)
	if u := s.Usage(); u.File+u.WAL > limit {
		t.Errorf("the queue takes %d bytes of its disk and may take %d", u.File+u.WAL, int64(limit))
	}
}

// The last of a file system is left for what records deliveries, also by the first
// critical events of many lanes.
func TestDiskIsNeverFilled(t *testing.T) {
	prove.Long(t)
	const total = 64 << 20
	path := filepath.Join(t.TempDir(), "queue.db")
	used := func() int64 { return sizeOfFile(path) + sizeOfFile(path+"-wal") }
	now := time.Now()
	s := openTest(t, Options{
		Path: path, Now: func() time.Time { return now },
		fileSystem: func(string) (int64, int64, error) { return total, max(0, total-used()), nil },
	})
	put := func(lane int64) error {
		e := event(lane, eventsv2.Trigger, "page", queue.Critical)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 400_000))
		_, err := s.Put(t.Context(), e)
		return err
	}
	turned := 0
	for i := range 180 { // 72 MB
		if err := put(laneFor(t, s, fmt.Sprintf("%032d", i))); errors.Is(err, queue.ErrFull) {
			turned++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if turned == 0 || used() > total {
		t.Errorf("%d were turned away; the queue takes %d bytes of a disk of %d", turned, used(), int64(total))
	}
	deliverAll(t, s)
	now = now.Add(measureEvery)
	if err := put(laneFor(t, s, testKey)); err != nil {
		t.Errorf("after all has left: %v", err)
	}
}

// After all was delivered a full disk gets room again step by step, as long as it
// takes, and without any event: a balancer that has read the relay's readiness sends
// none. The WAL keeps to its part of the limit meanwhile, and what is free is given back
// with the next purge.
func TestRoomIsMadeStepByStep(t *testing.T) {
	prove.NoRace(t)
	var limit, moment atomic.Int64
	limit.Store(4 << 20)
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{
		Path: path, MaxDisk: limit.Load,
		Now: func() time.Time { return time.Unix(moment.Add(1), 0) }, // each look measures
	})
	lane, n := laneOf(t, s), 0
	for ; s.Full() == nil; n++ {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(n), queue.Error)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 600))
		if _, err := s.Put(t.Context(), e); err != nil && !errors.Is(err, queue.ErrDiskFull) {
			t.Fatal(err)
		}
	}
	if n < 4*trimSlice {
		t.Fatalf("%d events fill the disk: two steps make room", n)
	}
	limit.Store(1 << 20)
	for left := n; left > 0; {
		events, err := queuetest.Claim(t.Context(), s, lane, queue.Oldest, 500)
		if err != nil {
			t.Fatal(err)
		}
		if left = len(events); left > 0 {
			var all []queue.Settlement
			for _, e := range events {
				all = append(all, queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Delivered, At: time.Now(), Attempts: 1})
			}
			if err := queuetest.Settle(t.Context(), s, all...); err != nil {
				t.Fatal(err)
			}
		}
	}
	wal := sizeOfFile(path + "-wal")
	for deadline := time.Now().Add(time.Minute); s.Full() != nil; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("after all has left the queue says %v of itself", s.Full())
		}
	}
	if grown := sizeOfFile(path+"-wal") - wal; grown > forWAL(limit.Load()) {
		t.Errorf("the WAL had %d bytes and grew by %d, of a limit of %d", wal, grown, limit.Load())
	}
	if _, err := s.Purge(t.Context(), time.Unix(0, 0), time.Unix(0, 0), 100); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // which moves the WAL into the file
		t.Fatal(err)
	}
	if file := sizeOfFile(path); file > limit.Load() {
		t.Errorf("after a purge the file has %d bytes of a limit of %d", file, limit.Load())
	}
}

// Where a limit was lowered by far, a transaction makes room in one step, whatever the
// number of its requests: a longer one would look like a disk that hangs.
func TestTransactionMakesRoomOnce(t *testing.T) {
	prove.NoRace(t)
	limit := int64(8 << 20)
	now := time.Now()
	s := openTest(t, Options{MaxDisk: func() int64 { return limit }, Now: func() time.Time { return now }})
	lane := laneOf(t, s)
	for i := range 3 * trimSlice {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Error)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 600))
		mustPut(t, s, e)
	}
	deliverAll(t, s)
	left := countOf(t, s, lane).Delivered
	err := s.submit(t.Context(), func(w *writer) error {
		limit = 256 << 10
		w.growth.at = time.Time{}
		for i := range 20 {
			e := event(lane, eventsv2.Trigger, fmt.Sprint("more ", i), queue.Error)
			if _, err := w.put(&e); !errors.Is(err, queue.ErrDiskFull) {
				t.Errorf("put %d: %v", i, err)
			}
		}
		limit = 8 << 20
		return nil
	})
	if gone := left - countOf(t, s, lane).Delivered; err != nil || gone != trimSlice {
		t.Errorf("one transaction has deleted %d events, want %d: %v", gone, trimSlice, err)
	}
}

// A stranger with large bodies leaves a part of the disk to the keys that the
// configuration names, and so do the first critical events of thousands of unknown keys.
func TestStrangersLeaveRoomOnTheDisk(t *testing.T) {
	now := time.Now()
	o := listedOnly(testKey)
	o.MaxDisk, o.Now = func() int64 { return 16 << 20 }, func() time.Time { return now }
	s := openTest(t, o)
	put := func(lane int64, i int, severity queue.Rank) error {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(i), severity)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 100_000))
		_, err := s.Put(t.Context(), e)
		return err
	}
	stranger, turned := laneFor(t, s, otherKey), 0
	for i := range 200 { // 20 MB
		if err := put(stranger, i, queue.Error); errors.Is(err, queue.ErrDiskFull) {
			turned++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if turned == 0 {
		t.Fatal("the disk has no bound")
	}
	if err := s.Full(); err != nil {
		t.Errorf("with room for listed keys the queue says %v of itself", err)
	}
	listed := laneFor(t, s, testKey)
	for i := range 3 {
		if err := put(listed, i, queue.Error); err != nil {
			t.Errorf("event %d of a listed key: %v", i, err)
		}
	}
	for i := range 60 {
		if err := put(laneFor(t, s, fmt.Sprintf("%032d", i)), i, queue.Critical); err != nil {
			t.Fatalf("the first critical event of a lane: %v", err)
		}
	}
	for i := range 3 {
		if err := put(listed, 100+i, queue.Critical); err != nil {
			t.Errorf("critical event %d of a listed key: %v", i, err)
		}
	}
}
