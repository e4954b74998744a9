package sqlite

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Purge deletes up to n delivered or dropped events that ended before then, forgets
// incidents that are open and of which nothing was heard since unheard, and the lanes that
// have been empty since before. It returns how many events it deleted, which may be
// fewer than there are. After the last of them free pages are given back and the WAL is
// cut, if anything was deleted since that was done last: a key that was forgotten for
// another one's room, too. Before the last one that would be wasted: what comes
// meanwhile takes the pages.
func (s *Store) Purge(ctx context.Context, before, unheard time.Time, n int) (int, error) {
	deleted, last := 0, false
	err := s.submit(ctx, func(w *writer) error {
		var more bool
		var err error
		if deleted, more, err = w.purge(millis(before), n); err != nil {
			return err
		}
		if err := w.forgetIncidents(millis(unheard), forgetSlice); err != nil {
			return err
		}
		if err := w.forgetLost(millis(unheard)); err != nil {
			return err
		}
		if err := w.forgetUnused(); err != nil {
			return err
		}
		if err := w.forgetCounted(); err != nil {
			return err
		}
		if err := w.forgetIdle(millis(before), forgetSlice); err != nil {
			return err
		}
		last = !more && w.leftovers
		return nil
	})
	if err == nil && s.noRoom.Load() != nil {
		err = s.boundIncidents(ctx)
	}
	if err == nil && (last || s.beyondLimit()) {
		err = s.vacuum(ctx)
	}
	return deleted, err
}

// forgetSlice is how many incidents, and how many lanes, one slice forgets: some
// milliseconds of work.
const forgetSlice = 500

// purge deletes the oldest of the events that ended before then, up to n and about
// purgeBytes of them. It reports whether there may be more.
func (w *writer) purge(before int64, n int) (deleted int, more bool, err error) {
	rows, err := w.query(`SELECT id, lane, state, size FROM event INDEXED BY event_done WHERE state IN (4, 7) AND ended < ?1 ORDER BY ended LIMIT ?2`, before, n)
	if err != nil {
		return 0, false, err
	}
	var old []cells
	var bytes int64
	found := 0
	err = each(rows, func(scan func(...any) error) error {
		var x cells
		var size int64
		err := scan(num(&x.id), num(&x.lane), num(&x.state), num(&size))
		if bytes < purgeBytes {
			old = append(old, x)
			w.written += int(min(max(0, size), largestEvent)) // what is deleted is overwritten, and that stands in the WAL
		}
		bytes += max(0, size)
		found++
		return err
	})
	if err != nil || len(old) == 0 {
		return 0, false, err
	}
	for i := range old {
		if err := w.delete(old[i].id); err != nil {
			return 0, false, err
		}
		w.ended(old[i].lane, old[i].state, -1)
	}
	w.tx.wrote, w.leftovers = true, true
	return len(old), found == n || len(old) < found, w.setMeta("last", strconv.FormatInt(w.last, 10)) // no number is given out twice
}

// purgeBytes of bodies are overwritten in one transaction: some tens of milliseconds of
// work.
const purgeBytes = 1 << 20

// vacuumPages are given back to the file system in one transaction: 1 MB. An event that
// comes meanwhile waits for one of them.
const vacuumPages = 256

// vacuum gives free pages back, in slices, and cuts the WAL, in which purged texts
// would stay until it is written over.
func (s *Store) vacuum(ctx context.Context) error {
	for before := math.MaxInt; ; {
		free := 0
		err := s.submit(ctx, func(w *writer) error {
			rows, err := w.query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
			if err != nil {
				return err
			}
			if err := each(rows, func(func(...any) error) error { return nil }); err != nil {
				return err
			}
			return w.queryRow("PRAGMA freelist_count", nil, []any{&free})
		})
		if err != nil {
			return err
		}
		if free == 0 || free >= before { // a file that was not made by this program may give none back
			s.truncating.Store(true)
			return nil
		}
		before = free
	}
}
