package sqlite

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// The relay makes a lane for every key that a client names, so a stranger can make
// many. An empty lane is forgotten: after the retention, or when the bound on lanes
// is reached. At the bound a lane whose key PagerDuty rejects goes as well, though
// events are queued in it (giveup.go). Those that can go are listed, so that finding
// one costs the same however many lanes there are.

// file puts a lane into the lists that it belongs to: with the lock held, after each
// commit that has changed it.
func (s *Store) file(l *laneState) {
	s.sort(l)
	s.fileForgettable(l)
}

// sort puts a lane among the busy or the idle ones. An idle lane keeps its place: a
// purge of what it delivered long ago is no use of it.
func (s *Store) sort(l *laneState) {
	var to *list.List
	switch {
	case s.byID[l.committed.ID] != l:
	case l.committed.busy():
		to = s.busy
	default:
		to = s.idle
	}
	if l.sorted == to {
		return
	}
	if l.sorted != nil {
		l.sorted.Remove(l.sortedAt)
	}
	if l.sorted, l.sortedAt = to, nil; to != nil {
		l.sortedAt = to.PushFront(l)
	}
}

// fileForgettable lists a lane among those that can make room, or takes it off.
func (s *Store) fileForgettable(l *laneState) {
	var among *list.List
	switch r := &l.committed; {
	case s.byID[r.ID] != l || l.listed:
	case r.empty() && r.Proven:
		among = s.proven
	case r.empty():
		among = s.unproven
	case r.rejected():
		among = s.rejected
	}
	if l.among != nil && l.among == among { // used once more
		among.MoveToBack(l.place)
		return
	}
	if l.among != nil {
		l.among.Remove(l.place)
	}
	if l.among, l.place = among, nil; among != nil {
		l.place = among.PushBack(l)
	}
}

// Relist asks anew what the configuration says of the lanes: after it has changed. A disk
// that cannot keep it now keeps it with the next event of the lane.
func (s *Store) Relist() {
	s.relist()
	_ = s.submitWithin(context.Background(), s.o.slowAfter, 0, func(w *writer) error {
		for _, l := range s.byID {
			if row := l.row; !l.leaving && w.follow(&row) {
				r, _ := w.change(row.ID)
				w.follow(r)
			}
		}
		return nil
	})
}

func (s *Store) relist() {
	configured := s.o.Keys()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configured, s.unlisted = configured, 0
	for _, l := range s.byID {
		s.note(l)
		s.file(l)
	}
}

// note counts a lane that the configuration does not name.
func (s *Store) note(l *laneState) {
	if l.listed = s.o.Listed(l.row.Key); !l.listed {
		s.unlisted++
	}
}

// firstEventWithin is how long a new lane waits for its first event: a client that is
// slow to send, or a disk that is slow to keep, does not take so long.
const firstEventWithin = 10 * time.Second

// roomTries is how many lanes of a list are looked at: some have an open incident or
// an event that is being sent, and are passed over.
const roomTries = 16

// makeRoomForLane forgets a lane if there are as many as there may be, of its kind the
// one that has been idle for longest: an empty one of which PagerDuty never accepted
// anything, another empty one, first such without an open incident, one whose key PagerDuty
// rejects. A lane that has just
// been made is the last choice: its first event is on its way, and would be turned away.
// A key that the configuration names needs no place of theirs.
func (w *writer) makeRoomForLane(key eventsv2.Key) error {
	if w.s.o.Listed(key) || w.s.unlistedLanes()+w.tx.lanes < w.s.o.MaxLanes {
		return nil
	}
	settled := millis(w.s.o.Now().Add(-firstEventWithin))
	for _, choose := range []func() (bool, error){
		func() (bool, error) { return w.forgetOne(w.s.unproven, settled, true) },
		func() (bool, error) { return w.forgetOne(w.s.proven, math.MaxInt64, false) },
		func() (bool, error) { return w.forgetOne(w.s.proven, math.MaxInt64, true) },
		w.giveUpOne,
		func() (bool, error) { return w.forgetOne(w.s.unproven, math.MaxInt64, true) },
	} {
		forgotten, err := choose()
		if err != nil || forgotten {
			return err
		}
	}
	return verdict{fmt.Errorf("%w: all of its %d lanes are in use, and an unknown key gets none", queue.ErrFull, w.s.o.MaxLanes)}
}

// forgetOne forgets the empty lane of a list that has been idle for longest, if it was
// not used since then; with open also if it has open incidents.
func (w *writer) forgetOne(among *list.List, before int64, open bool) (bool, error) {
	for range min(roomTries, w.s.length(among)) {
		l := w.s.longestIdle(among, before)
		if l == nil {
			break
		}
		if !l.row.empty() {
			continue
		}
		if forgotten, err := w.forget(l, open); err != nil || forgotten {
			return forgotten, err
		}
	}
	return false, nil
}

// unlistedLanes is how many lanes there are that the configuration does not name. It
// and the lists change beside the writer when the configuration does.
func (s *Store) unlistedLanes() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.unlisted
}

// length is how many lanes a list has.
func (s *Store) length(among *list.List) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return among.Len()
}

// longestIdle takes the first lane of a list, which goes to its end. It returns nil if
// the list is empty or that lane has been used since then.
func (s *Store) longestIdle(among *list.List, before int64) *laneState {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := among.Front()
	if first == nil {
		return nil
	}
	l := first.Value.(*laneState)
	if l.committed.used >= before {
		return nil
	}
	among.MoveToBack(first)
	return l
}

// mayGo reports whether nobody needs the lane: the configuration does not name it, and no
// incident of another key is open through it, nor one of its own through another key. Its
// own incidents need it only if the configuration puts the key into a pool one day, or if
// another key takes the place of its own: it may have already, in the file of that.
func (w *writer) mayGo(l *laneState, open bool) (bool, error) {
	if l.leaving || w.s.isListed(l) {
		return false, nil
	}
	needed := false
	err := w.queryRow(`SELECT EXISTS (SELECT 1 FROM incident INDEXED BY incident_to WHERE lane = ?1 AND lane <> origin)
		OR EXISTS (SELECT 1 FROM incident INDEXED BY incident_from WHERE origin = ?1 AND lane <> origin)
		OR (NOT ?2 OR ?3) AND EXISTS (SELECT 1 FROM incident INDEXED BY incident_lane WHERE lane = ?1)`, []any{l.row.ID, open, l.row.Alias != ""}, []any{&needed})
	return err == nil && !needed, err
}

// forget deletes a lane in which nothing is queued, with its key, unless it is in use
// after all. What has ended of it stays until the retention is over.
func (w *writer) forget(l *laneState, open bool) (bool, error) {
	if may, err := w.mayGo(l, open); err != nil || !may || l.row.count.Total() > 0 {
		return false, err
	}
	id := l.row.ID
	l.leaving, w.leftovers = true, true
	w.tx.undo = append(w.tx.undo, func() { l.leaving, l.row = false, l.committed })
	w.tx.lanes--
	w.tx.wrote = true
	delete(w.tx.dirty, l)
	w.learn(func() {
		delete(w.s.byID, id)
		if w.s.lanes[folded(l.row.Key)] == l {
			delete(w.s.lanes, folded(l.row.Key))
		}
		if !l.listed { // the configuration may name it since
			w.s.unlisted--
		}
		w.s.file(l)
	})
	w.tx.forgotten = append(w.tx.forgotten, l.row.Lane)
	if err := w.setMeta("last lane", strconv.FormatInt(w.lastLane, 10)); err != nil { // no number is given out twice
		return true, err
	}
	if err := w.exec(`DELETE FROM lane_log WHERE lane = ?1`, id); err != nil {
		return true, err
	}
	return true, w.exec(`DELETE FROM lane WHERE id = ?1`, id)
}

func (s *Store) isListed(l *laneState) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return l.listed
}

// forgetIdle forgets up to n lanes that have not been used since then and, if there are
// more than there may be, those that have been idle for longest: the configuration may
// have stopped naming many at once.
func (w *writer) forgetIdle(before int64, n int) error {
	settled := millis(w.s.o.Now().Add(-firstEventWithin))
	for _, among := range []*list.List{w.s.unproven, w.s.proven} {
		for range min(n, w.s.length(among)) { // each of them once
			since, beyond := before, w.s.unlistedLanes()+w.tx.lanes > w.s.o.MaxLanes
			if beyond {
				since = max(before, settled)
			}
			l := w.s.longestIdle(among, since)
			if l == nil {
				break
			}
			if !l.row.empty() {
				continue
			}
			if _, err := w.forget(l, beyond); err != nil {
				return err
			}
		}
	}
	return nil
}
