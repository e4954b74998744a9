package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// laneState is a lane in memory. counts belongs to the writer and includes its
// open transaction; the rest is what has been committed, under the store's lock.
type laneState struct {
	lane      queue.Lane
	committed queue.Count
	counts    queue.Count
}

// Lane returns the lane of an integration key, and makes it durably the first
// time that the key is seen.
func (s *Store) Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	if lane, ok := s.knownLane(key); ok {
		return lane, nil
	}
	err := s.submit(ctx, func(w *writer) error {
		if _, ok := s.knownLane(key); ok {
			return nil
		}
		var id int64
		err := w.queryRow(`INSERT INTO lane (key) VALUES (?1) ON CONFLICT DO UPDATE SET key = excluded.key RETURNING id`,
			[]any{key.Reveal()}, []any{&id})
		w.learn(func() { s.addLane(&laneState{lane: queue.Lane{ID: id, Key: key}}) })
		return err
	})
	if err != nil {
		return queue.Lane{}, err
	}
	lane, _ := s.knownLane(key)
	return lane, nil
}

func (s *Store) knownLane(key eventsv2.Key) (queue.Lane, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, ok := s.lanes[key.Reveal()]
	if !ok {
		return queue.Lane{}, false
	}
	return l.lane, true
}

// addLane is called with the lock held, or before anybody else knows the store.
func (s *Store) addLane(l *laneState) {
	if _, known := s.byID[l.lane.ID]; known {
		return
	}
	l.counts.Lane, l.committed.Lane = l.lane.ID, l.lane.ID
	s.lanes[l.lane.Key.Reveal()], s.byID[l.lane.ID] = l, l
}

// Lanes returns all lanes, in the order in which they were first used.
func (s *Store) Lanes(context.Context) ([]queue.Lane, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	lanes := make([]queue.Lane, 0, len(s.byID))
	for _, l := range s.byID {
		lanes = append(lanes, l.lane)
	}
	slices.SortFunc(lanes, func(a, b queue.Lane) int { return int(a.ID - b.ID) })
	return lanes, nil
}

// SaveLane keeps what the scheduler has learned of a lane: limit, ceiling, pause
// and refused key. A hold is not touched.
func (s *Store) SaveLane(ctx context.Context, lane queue.Lane) error {
	return s.submit(ctx, func(w *writer) error {
		l := s.byID[lane.ID]
		if l == nil {
			return verdict{fmt.Errorf("lane %d: %w", lane.ID, queue.ErrNotFound)}
		}
		w.learn(func() {
			l.lane.Learned, l.lane.Ceiling, l.lane.Pauses = lane.Learned, lane.Ceiling, lane.Pauses
			l.lane.PausedUntil, l.lane.KeyRefused = lane.PausedUntil, lane.KeyRefused
		})
		return w.exec(`UPDATE lane SET learned = ?2, ceiling = ?3, paused_until = ?4, pauses = ?5, key_refused = ?6 WHERE id = ?1`,
			lane.ID, lane.Learned, lane.Ceiling, millis(lane.PausedUntil), lane.Pauses, millis(lane.KeyRefused))
	})
}

// Hold pauses a lane in an operator's name.
func (s *Store) Hold(ctx context.Context, lane int64, by queue.By) error {
	return s.setHold(ctx, lane, true, "paused", by)
}

// Unhold ends a hold.
func (s *Store) Unhold(ctx context.Context, lane int64, by queue.By) error {
	return s.setHold(ctx, lane, false, "resumed", by)
}

func (s *Store) setHold(ctx context.Context, lane int64, held bool, what string, by queue.By) error {
	return s.submit(ctx, func(w *writer) error {
		l := s.byID[lane]
		if l == nil {
			return verdict{fmt.Errorf("lane %d: %w", lane, queue.ErrNotFound)}
		}
		now := s.o.Now()
		stored := queue.By{}
		if by.At.IsZero() {
			by.At = now
		}
		if held {
			stored = by
		}
		w.learn(func() { l.lane.Held, l.lane.HeldBy = held, stored })
		err := w.exec(`UPDATE lane SET held = ?2, held_who = ?3, held_why = ?4, held_at = ?5 WHERE id = ?1`,
			lane, held, stored.Who, stored.Why, millis(stored.At))
		if err != nil {
			return err
		}
		if err := w.exec(`INSERT INTO lane_log (lane, at, what, who, why) VALUES (?1, ?2, ?3, ?4, ?5)`, lane, millis(by.At), what, by.Who, by.Why); err != nil {
			return err
		}
		return w.exec(`DELETE FROM lane_log WHERE lane = ?1 AND rowid <= (SELECT rowid FROM lane_log WHERE lane = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)`, lane, laneEntries)
	})
}

// laneEntries is how many entries of a lane's history are kept.
const laneEntries = 100

// LaneHistory returns what operators did to a lane, the latest first.
func (s *Store) LaneHistory(ctx context.Context, lane int64) ([]queue.Entry, error) {
	var entries []queue.Entry
	err := s.rows(ctx, `SELECT at, what, who, why FROM lane_log WHERE lane = ?1 ORDER BY rowid DESC`, []any{lane},
		func(scan func(...any) error) error {
			var e queue.Entry
			var at int64
			err := scan(&at, &e.What, &e.Who, &e.Text)
			e.At = fromMillis(at)
			entries = append(entries, e)
			return err
		})
	return entries, err
}

// Counts returns what waits and what has ended, for each lane.
func (s *Store) Counts(ctx context.Context) ([]queue.Count, error) {
	s.mu.RLock()
	counts := make([]queue.Count, 0, len(s.byID))
	for _, l := range s.byID {
		counts = append(counts, l.committed)
	}
	s.mu.RUnlock()
	slices.SortFunc(counts, func(a, b queue.Count) int { return int(a.Lane - b.Lane) })
	oldest, err := s.oldest(ctx)
	for i := range counts {
		if counts[i].Total() > 0 {
			counts[i].Oldest, counts[i].OldestCritical = oldest[counts[i].Lane].any, oldest[counts[i].Lane].critical
		}
	}
	return counts, err
}

// ages are when the oldest head of a lane was accepted, and the oldest critical one.
type ages struct{ any, critical time.Time }

// oldest looks at the heads only: what is blocked came later, unless it was
// requeued.
func (s *Store) oldest(ctx context.Context) (map[int64]ages, error) {
	oldest := map[int64]ages{}
	note := func(scan func(...any) error) error {
		var lane, at int64
		var rank queue.Rank
		err := scan(&lane, &rank, &at)
		known, accepted := oldest[lane], fromMillis(at)
		known.any = earliest(known.any, accepted)
		if rank == queue.Critical {
			known.critical = earliest(known.critical, accepted)
		}
		oldest[lane] = known
		return err
	}
	lanes, _ := s.Lanes(ctx)
	for _, lane := range lanes {
		for rank := range queue.Ranks {
			err := s.rows(ctx, `SELECT lane, priority, accepted FROM event WHERE lane = ?1 AND priority = ?2 AND state = 0 ORDER BY id LIMIT 1`, []any{lane.ID, rank}, note)
			if err != nil {
				return nil, err
			}
		}
	}
	return oldest, s.rows(ctx, `SELECT lane, priority, min(accepted) FROM event INDEXED BY event_due WHERE state = 2 GROUP BY lane, priority`, nil, note)
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// count changes a lane's counts as part of the transaction in hand.
func (w *writer) count(lane int64, change func(*queue.Count)) {
	l := w.s.byID[lane]
	if !w.dirty[l] {
		w.dirty[l] = true
		w.learn(func() { l.committed = l.counts })
	}
	change(&l.counts)
}

// saveCounts writes the counts that the transaction has changed.
func (w *writer) saveCounts() error {
	for l := range w.dirty {
		c := l.counts
		err := w.exec(`UPDATE lane SET waiting0 = ?2, waiting1 = ?3, waiting2 = ?4, waiting3 = ?5, delivered = ?6, refused = ?7, expired = ?8 WHERE id = ?1`,
			c.Lane, c.Waiting[0], c.Waiting[1], c.Waiting[2], c.Waiting[3], c.Delivered, c.Refused, c.Expired)
		if err != nil {
			return err
		}
	}
	return nil
}

// learn is what the memory takes over once the transaction in hand is committed;
// it runs with the store's lock held.
func (w *writer) learn(what func()) { w.after = append(w.after, what) }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
