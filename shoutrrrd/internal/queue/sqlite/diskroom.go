package sqlite

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// forWAL is the part of a limit that is left to the write-ahead log.
func forWAL(limit int64) int64 { return min(2*checkpointBytes, limit/4) }

// standardDisk is the most that a queue takes when nothing else was said, and
// freeShare the part of the file system that it leaves free: a full disk stops
// everything else on the machine as well.
const (
	standardDisk = 20e9
	freeShare    = 10 // one part of so many
	// leastDisk is what a queue may always take: below that nothing could be kept.
	leastDisk = 16 << 20
)

// measureEvery is how old a measurement may be. At 12,000 events a second a queue
// grows by 10 MB in it.
const measureEvery = time.Second

// usage measures the disk, at most once in measureEvery.
type usage struct {
	at   atomic.Int64
	last atomic.Pointer[queue.Usage]
}

// Usage returns what the queue takes of its disk.
func (s *Store) Usage() queue.Usage {
	u := s.measured()
	u.Hanging, u.Full = s.Hanging(), s.Full()
	s.mu.RLock()
	defer s.mu.RUnlock()
	u.Dead, u.Evicted, u.GivenUp = s.dead, s.evicted, s.givenUp
	return u
}

func (s *Store) measured() queue.Usage {
	now := s.o.disk.Now().UnixNano()
	if last := s.usage.last.Load(); last != nil && now-s.usage.at.Load() < int64(measureEvery) {
		return *last
	}
	u, _ := usageOf(s.o.Path, s.o.MaxDisk(), s.o.fileSystem)
	s.usage.last.Store(&u)
	s.usage.at.Store(now)
	return u
}

// beyondLimit reports whether the files take more of the disk than they may: the limit
// was lowered, or others have filled the disk. Events need no more than the pages that
// are free within the file, but its size is theirs to want back.
func (s *Store) beyondLimit() bool {
	u, _ := usageOf(s.o.Path, s.o.MaxDisk(), s.o.fileSystem)
	return u.File+u.WAL > u.Limit
}

// usageOf measures a queue. It reports false if the file system does not say what is
// free.
func usageOf(path string, most int64, fileSystem func(string) (total, free int64, err error)) (queue.Usage, bool) {
	u := queue.Usage{File: sizeOfFile(path), WAL: sizeOfFile(path + "-wal"), Limit: most}
	total, free, err := fileSystem(path)
	u.Free = free
	if u.Limit <= 0 {
		u.Limit = standardDisk
		if err == nil {
			u.Limit = min(u.Limit, max(leastDisk, u.File+u.WAL+free-total/freeShare))
		}
	}
	return u, err == nil
}

// eventBytes is what an event of 600 bytes takes of the file with its row, its chain
// and the indexes: 1,180 in a queue of 100,000.
const eventBytes = 1200

// Fits returns how many bytes a queue at that path may have on the disk, and how many
// events of the usual size that is. most is the configured limit, 0 for auto.
func Fits(path string, most int64) (limit, events int64) {
	u, _ := usageOf(path, most, fileSystem)
	limit = u.Limit
	return limit, (limit - forWAL(limit)) / eventBytes
}

func sizeOfFile(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// growth is what the writer knows of the disk: a measurement of its own, and what it
// has put into the queue since. A measurement alone is too old: large events fill a
// small disk within measureEvery.
type growth struct {
	at    time.Time
	usage queue.Usage
	known bool  // the file system says what is free
	since int64 // bytes of events that were put after it
	open  int64 // bytes of events of the transaction in hand, which no measurement shows
}

func (g *growth) put(body int) {
	g.since += int64(body) + eventBytes
	g.open += int64(body) + eventBytes
}

// grown returns the last measurement, which is made anew if it is old.
func (w *writer) grown() *growth {
	g, o := &w.growth, &w.s.o
	if now := o.Now(); g.at.IsZero() || now.Sub(g.at) >= measureEvery || now.Before(g.at) {
		g.usage, g.known = usageOf(o.Path, o.MaxDisk(), o.fileSystem)
		g.at, g.since = now, g.open
	}
	return g
}

// largestEvent is more than the largest event takes of the file.
const largestEvent = 1 << 20

// diskRoom turns events away when the queue has reached its limit, and what was
// delivered or discarded is gone already, the oldest first. Pages that are free within
// the file take new events. The first critical events of a lane may exceed the limit,
// and what is remembered of open incidents stays (incidentroom.go): without it their
// resolves would leave by another key. Nothing may take the last of the file system: on a full disk the WAL cannot be
// moved into the file and no event can end, so that nothing would ever leave again.
func (w *writer) diskRoom(who claimant) error {
	err := w.findDiskRoom(who)
	w.noteRoom(who, err, member, &w.s.noRoom)
	w.noteRoom(who, err, urgent, &w.s.noPlace)
	return err
}

// noteRoom keeps whether the disk has room for a kind of event, after somebody has asked
// for room with that outcome. Who may use more of the disk than that kind says nothing of
// it by an answer that is good, and who may use another part nothing by one that is not.
func (w *writer) noteRoom(asked claimant, outcome error, kind claimant, in *atomic.Pointer[error]) {
	answer := outcome
	if outcome != nil && asked != kind {
		answer = w.findDiskRoom(kind)
	}
	switch {
	case errors.Is(answer, queue.ErrDiskFull):
		in.Store(&answer)
	case answer == nil && (outcome != nil || asked <= kind):
		in.Store(nil)
	}
}

// lookForRoom learns whether a full disk has room again. A balancer that has read the
// relay's readiness sends no event that could find it out. It reports whether it has
// deleted something and there is still no room: half of a queue of 20 GB is 16,000
// steps.
func (w *writer) lookForRoom() (more bool) {
	w.s.began()
	defer w.s.ended()
	err := w.transact(func() error { // its answer is kept where Healthy looks
		err := w.diskRoom(member)
		if answer := (verdict{}); errors.As(err, &answer) { // what it has deleted so far stays so
			return nil
		}
		return err
	})
	return err == nil && w.tx.wrote && w.s.noRoom.Load() != nil
}

func (w *writer) findDiskRoom(who claimant) error {
	g := w.grown()
	u := g.usage
	wal := forWAL(u.Limit)
	most := u.Limit - wal
	keep := wal / 2
	beyond := who >= newcomer
	switch who {
	case page: // half of that is for them alone
		keep /= 2
	case urgent: // and a quarter for all critical ones
		keep -= keep / 4
	case member:
		most -= most / forCritical
	case stranger:
		most -= most / forCritical
		most -= most / forListed
	}
	scarce := g.known && u.Free-g.since-max(0, wal-u.WAL) < keep // the WAL grows before it is moved
	if !scarce && (beyond || u.File+u.WAL+g.since < most) {
		return nil
	}
	for again := range 2 {
		var pages, free, size int64
		err := w.queryRow(`SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`, nil, []any{&pages, &free, &size})
		if err != nil {
			return err
		}
		if (beyond || (pages-free)*size < most) && (!scarce || free*size >= largestEvent) {
			return nil
		}
		if again > 0 || w.tx.trimmed { // once for all requests: a long transaction looks like a disk that hangs
			break
		}
		w.tx.trimmed = true
		if _, _, err := w.purge(math.MaxInt64, trimSlice); err != nil {
			return err
		}
	}
	if scarce {
		return verdict{fmt.Errorf("%w: its disk has only %d MB left, which it needs to record deliveries; make room on the disk", queue.ErrDiskFull, u.Free/1e6)}
	}
	return verdict{fmt.Errorf("%w: it takes %d MB of the disk and may take %d MB; make room on the disk or raise max_disk", queue.ErrDiskFull, (u.File+u.WAL+g.since)/1e6, u.Limit/1e6)}
}

// trimSlice is how many events go at once before their time: 30 to 80 ms of work.
const trimSlice = 500
