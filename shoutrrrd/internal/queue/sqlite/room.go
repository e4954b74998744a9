package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// forCritical is the part of all places, and of the disk, that is for critical events
// alone: the last one of so many.
const forCritical = 100

// reserve is how many of the places in the queue are for critical events alone.
func (o *Options) reserve() int { return max(1, o.MaxQueued/forCritical) }

// ordinary is how many events may wait before only critical ones are kept.
func (o *Options) ordinary() int { return o.MaxQueued - o.reserve() }

// forListed is the part of all places, and of the disk, that is left to the keys that
// the configuration names, if it names any: one of so many.
const forListed = 10

// claimant is who wants a place, which says what it may use.
type claimant uint8

const (
	// stranger: a key that the configuration does not name, while it names others.
	stranger claimant = iota
	// member: a key that the configuration names, or any while it names none.
	member
	// urgent: a critical event of a member that its lane has no place of its own for.
	urgent
	// newcomer: the first critical event of a stranger's lane, which may go beyond the
	// bounds, but not into what the file system has left for members.
	newcomer
	// page: a critical event that its lane has a place of its own for. Nothing but the end
	// of the file system turns it away.
	page
)

// claimantOf tells who wants a place. A lane has a place of its own for its first
// critical event. Those that the configuration names share half of the critical
// reserve out: else the first critical events of thousands of unknown keys could leave
// them the first one alone.
func (w *writer) claimantOf(lane *laneState, weight queue.Rank) claimant {
	w.s.mu.RLock()
	listed, named := lane.listed, len(w.s.configured)
	w.s.mu.RUnlock()
	own := 1
	if listed {
		own = max(1, w.s.o.reserve()/2/max(1, named))
	}
	critical := weight == queue.Critical && lane.row.count.Waiting[queue.Critical] < own
	switch {
	case critical && (listed || named == 0):
		return page
	case critical:
		return newcomer
	case (listed || named == 0) && weight == queue.Critical:
		return urgent
	case listed || named == 0:
		return member
	}
	return stranger
}

// room turns away what goes beyond the bounds. They are shared out: beside others, seen
// or only configured, a lane has at most half of the places, and at most half of those
// that are reserved for critical events. The first critical event of a lane always has
// one, so the queue may exceed its bound by one event a lane, as long as its disk has
// room, and by half of the reserve.
func (w *writer) room(lane int64, weight queue.Rank) error {
	o := &w.s.o
	r, ok := w.change(lane)
	if !ok {
		return verdict{fmt.Errorf("lane %d: %w", lane, queue.ErrNotFound)}
	}
	critical := r.count.Waiting[queue.Critical]
	who := w.claimantOf(w.s.byID[lane], weight)
	if err := w.diskRoom(who); err != nil || who >= newcomer {
		return err
	}
	limit, alone := o.ordinary(), w.alone(r.Key)
	if weight == queue.Critical && (alone || critical < max(1, o.reserve()/2)) {
		limit = o.MaxQueued
	}
	if who == stranger {
		limit -= o.MaxQueued / forListed
	}
	if w.tx.queued >= limit {
		return verdict{queue.ErrFull}
	}
	if !alone && r.count.Total() >= o.MaxQueued/2 {
		return verdict{fmt.Errorf("%w: half of it is of this integration key", queue.ErrFull)}
	}
	return nil
}

// alone reports whether nobody else could want a place: no other key has a lane, and
// the configuration names none.
func (w *writer) alone(key eventsv2.Key) bool {
	w.s.mu.RLock()
	configured := w.s.configured
	w.s.mu.RUnlock()
	return len(w.s.byID) == 1 && !slices.ContainsFunc(configured, func(other eventsv2.Key) bool { return !other.Equal(key) })
}

// boundedSize is the size of a body as it counts. No checksum covers the column, and
// one bit of it could make all dead letters go; no body has as much as 1 MiB, as
// PagerDuty takes 512 kB.
const boundedSize = `min(max(size, 0), 1048576)`

// countDead counts a dead letter, more or less, and lets the oldest and least severe
// ones go when there are too many of them or they take too much of the disk.
func (w *writer) countDead(n int, bytes int64) error {
	w.tx.dead += n
	w.tx.deadBytes += bytes
	for w.tx.dead > w.s.o.MaxDead || w.tx.deadBytes > w.s.o.MaxDeadBytes && w.tx.dead > 1 {
		var x cells
		var size int64
		statement, err := w.statement(`SELECT ` + cellColumns + `, ` + boundedSize + ` FROM event WHERE id = (SELECT id FROM event INDEXED BY event_least
			WHERE state IN (5, 6) ORDER BY severity DESC, id LIMIT 1)`)
		if err != nil {
			return err
		}
		_, err = x.scan(statement.QueryRow().Scan, &size)
		if errors.Is(err, sql.ErrNoRows) { // the count was wrong
			w.tx.dead, w.tx.deadBytes = 0, 0
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.delete(x.id); err != nil {
			return err
		}
		w.written += int(size)
		w.ended(x.lane, x.state, -1)
		w.tx.dead--
		w.tx.deadBytes -= size
		w.tx.evicted++
	}
	return nil
}

// ended counts an event that has ended, more or less.
func (w *writer) ended(lane int64, state queue.State, change int) {
	r, ok := w.change(lane)
	if !ok {
		return
	}
	switch state {
	case queue.Delivered:
		r.count.Delivered += change
	case queue.Refused:
		r.count.Refused += change
	case queue.Expired:
		r.count.Expired += change
	}
}

// delete removes an event and its history.
func (w *writer) delete(id int64) error {
	w.leftovers = true
	if err := w.exec(`DELETE FROM event WHERE id = ?1`, id); err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM origin WHERE event = ?1`, id); err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM fold WHERE event = ?1`, id); err != nil {
		return err
	}
	return w.exec(`DELETE FROM log WHERE event = ?1`, id)
}
