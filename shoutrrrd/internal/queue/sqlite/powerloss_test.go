package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	lib "modernc.org/sqlite/lib"
)

// workload does everything that writes, for a while, and marks what was promised.
func workload(s *Store, r *recorder, random *rand.Rand, steps int) {
	ctx := context.Background()
	key, _ := eventsv2.ParseKey(testKey)
	lane, err := s.Lane(ctx, key)
	if err != nil {
		return
	}
	var claimed []queue.Event
	for range steps {
		switch random.IntN(10) {
		case 0:
			more, _ := queuetest.Claim(ctx, s, lane.ID, queue.MostUrgent, 3)
			claimed = append(claimed, more...)
		case 1, 2:
			if len(claimed) > 0 {
				state := []queue.State{queue.Delivered, queue.Waiting, queue.Refused, queue.Ready}[random.IntN(4)]
				now := s.o.Now()
				_ = queuetest.Settle(ctx, s, queue.Settlement{ID: claimed[0].ID, Claim: claimed[0].Claim, State: state, At: now, Due: now, Tried: true})
				claimed = claimed[1:]
			}
		case 3: // the WAL into the file, much more often than in life
			_ = s.submit(ctx, func(w *writer) error { w.written = 2 * checkpointBytes; return nil })
		case 4:
			_, _ = s.Wake(ctx, s.o.Now().Add(time.Hour), 0)
		case 5: // several at once: one batch fills while the other is made durable
			var all sync.WaitGroup
			for range 2 + random.IntN(6) {
				e := randomEvent(lane.ID, random)
				all.Go(func() { promise(s, r, e) })
			}
			all.Wait()
		default:
			promise(s, r, randomEvent(lane.ID, random))
		}
	}
}

func randomEvent(lane int64, random *rand.Rand) queue.New {
	action := []eventsv2.Action{eventsv2.Trigger, eventsv2.Resolve}[random.IntN(2)]
	return event(lane, action, fmt.Sprintf("key-%d", random.IntN(30)), queue.Rank(random.IntN(4)))
}

// promise puts an event and marks when that was answered.
func promise(s *Store, r *recorder, e queue.New) {
	if placed, err := s.Put(context.Background(), e); err == nil {
		r.mark(placed.ID)
	}
}

// look opens an image as SQLite does after a power cut and returns the numbers of
// the promised events that are not in it, and whether the file is whole.
func look(t testing.TB, dir string, promised map[int64]bool, whole bool) (lost []int64) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "queue.db")+"?_pragma=synchronous(OFF)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found := map[int64]bool{}
	rows, err := db.Query("SELECT id FROM event")
	if err == nil {
		err = each(rows, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			found[id] = true
			return err
		})
	}
	if err != nil {
		t.Logf("an image with %d promised events cannot be read: %v", len(promised), err)
	}
	for id := range promised {
		if !found[id] {
			lost = append(lost, id)
		}
	}
	if whole && err == nil {
		var said string
		if err := db.QueryRow("PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
			t.Fatalf("an image is not whole: %v %s", err, said)
		}
	}
	return lost
}

// survive builds crash images of a workload and returns how many of them have lost
// something that was promised.
func survive(t *testing.T, durable bool, seed uint64, count int) (bad int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRecorder(t)
	dir, imageDir := t.TempDir(), memoryDir(t)
	o := Options{Path: filepath.Join(dir, "queue.db"), vfs: r.name, disk: r}
	if !durable {
		o.synchronous = "NORMAL"
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	workload(s, r, random, 150)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	perOp := float64(count) / float64(len(r.log))
	d, promised := newPlatter(), map[int64]bool{}
	due := 0.0
	for i, o := range r.log {
		d.apply(o)
		if o.kind == opMark {
			promised[o.note] = true
		}
		for due += perOp; due >= 1; due-- {
			write(t, imageDir, d.crash(random))
			if lost := look(t, imageDir, promised, random.IntN(10) == 0); len(lost) > 0 {
				if durable {
					t.Fatalf("seed %d, after operation %d: %d of %d promised events are lost: %v", seed, i, len(lost), len(promised), lost)
				}
				bad++
			}
		}
	}
	return bad
}

// No power cut, at whatever moment, loses an event that got its answer.
func TestPowerLoss(t *testing.T) {
	seed, count := prove.Seed(t), prove.Share(t, 200, 12_000, 50_000)
	const each = 500
	t.Logf("seed %d, %d images", seed, count)
	for i := range uint64(max(1, count/each)) {
		survive(t, true, seed+i, min(each, count))
	}
}

// With SQLite's synchronous=NORMAL alone events are lost: the images can tell.
func TestPowerLossIsSeen(t *testing.T) {
	if bad := survive(t, false, 1, 300); bad == 0 {
		t.Error("synchronous=NORMAL lost nothing in 300 images: the images do not test what they should")
	}
}

// The disk fails at its nth operation, for each n until there is none: whatever was
// promised before is still there after the next start.
func TestDiskErrors(t *testing.T) {
	prove.NoRace(t)
	for _, kind := range []struct {
		name   string
		op     opKind
		rc     int32
		sticky bool
	}{
		{"write once", opWrite, lib.SQLITE_IOERR_WRITE, false},
		{"write for good", opWrite, lib.SQLITE_IOERR_WRITE, true},
		{"full once", opWrite, lib.SQLITE_FULL, false},
		{"full for good", opWrite, lib.SQLITE_FULL, true},
		{"fsync once", opSync, lib.SQLITE_IOERR_FSYNC, false},
		{"fsync for good", opSync, lib.SQLITE_IOERR_FSYNC, true},
		{"truncate once", opTruncate, lib.SQLITE_IOERR_TRUNCATE, false},
	} {
		t.Run(kind.name, func(t *testing.T) {
			start, step := prove.Stride(t, 25, 3) // many differ little
			met := 0
			for n := 1 + start; ; n += step {
				if !failAt(t, n, kind.op, kind.rc, kind.sticky) {
					break
				}
				met++
			}
			if met == 0 && kind.op != opTruncate {
				t.Error("no operation failed: the test has tested nothing")
			}
			t.Logf("%d places", met)
		})
	}
}

// failAt lets the nth operation of a kind fail and returns whether there was one.
func failAt(t *testing.T, n int, kind opKind, rc int32, sticky bool) bool {
	t.Helper()
	r := newRecorder(t)
	dir := t.TempDir()
	seen, met := 0, false
	random := rand.New(rand.NewPCG(7, 0))
	s, err := Open(context.Background(), Options{Path: filepath.Join(dir, "queue.db"), vfs: r.name, disk: r})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.fail = func(_ int, k opKind) int32 {
		if k != kind {
			return 0
		}
		seen++
		if seen == n || sticky && seen > n {
			met = true
			return rc
		}
		return 0
	}
	r.mu.Unlock()
	workload(s, r, random, 60)
	// The writer answers before it moves the WAL: wait for that too.
	_ = s.submit(context.Background(), func(*writer) error { return nil })
	broken := s.brokenBy.Load() != nil
	r.mu.Lock()
	hit := met
	r.mu.Unlock()
	if hit && kind == opSync && !broken {
		t.Errorf("operation %d: an fsync has failed and the store goes on", n)
	}
	if err := s.Healthy(); sticky && hit && err == nil {
		t.Errorf("operation %d: the disk fails for good and the store is healthy", n)
	}
	_ = s.Close()
	d, promised := newPlatter(), map[int64]bool{}
	for _, o := range r.log {
		d.apply(o)
		if o.kind == opMark {
			promised[o.note] = true
		}
	}
	image := memoryDir(t)
	files := map[string][]byte{}
	for name, content := range d.synced {
		files[name] = content
	}
	write(t, image, files)
	if lost := look(t, image, promised, true); len(lost) > 0 {
		t.Fatalf("operation %d: %d of %d promised events are lost", n, len(lost), len(promised))
	}
	_ = os.RemoveAll(image)
	return met
}

// A store that cannot write says so and is well again when the disk is.
func TestDiskFullAndRelief(t *testing.T) {
	r := newRecorder(t)
	s := openTest(t, Options{vfs: r.name, disk: r})
	lane := laneOf(t, s)
	full := func(on bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fail = func(_ int, kind opKind) int32 {
			if on && kind == opWrite {
				return lib.SQLITE_FULL
			}
			return 0
		}
	}
	full(true)
	if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, "a", queue.Info)); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("a full disk: %v", err)
	}
	if s.Healthy() == nil {
		t.Error("the store is healthy on a full disk")
	}
	full(false)
	if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, "a", queue.Info)); err != nil {
		t.Fatalf("the disk has room again: %v", err)
	}
	if err := s.Healthy(); err != nil {
		t.Errorf("the disk has room again: %v", err)
	}
}
