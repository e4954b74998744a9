package sqlite

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// laneRow is a lane as it is stored.
type laneRow struct {
	queue.Lane
	count queue.Count
	twin  int64 // not 0: version 1 had made it for a key that has another lane; nothing new comes to it
	used  int64 // when its last event came, in milliseconds since 1970
}

// laneState is a lane in memory. row belongs to the writer and includes its open
// transaction; the rest is what has been committed, under the store's lock.
type laneState struct {
	committed laneRow
	row       laneRow
	among     *list.List    // the lanes that it is listed with as one that can make room, nil if it cannot
	place     *list.Element // in it
	sorted    *list.List    // busy or idle of the store; nil once it is forgotten
	sortedAt  *list.Element // its place there
	listed    bool          // the configuration names its key
	claimed   int64         // when an event of it was last being sent, in milliseconds since 1970; 0 if none was since the start
	recount   bool          // its row was damaged when it was read, so its counts may be wrong
	leaving   bool          // the open transaction deletes it; the writer's own
}

// empty reports whether the lane could be forgotten without anybody missing it: no
// event waits, no dead letter, no operator's pause.
func (r *laneRow) empty() bool {
	return r.count.Total() == 0 && r.count.Refused+r.count.Expired == 0 && !r.Held
}

// busy reports whether people should see the lane: something is queued, a dead letter
// waits, an operator has paused it or PagerDuty rejects its key.
func (r *laneRow) busy() bool { return !r.empty() || !r.KeyRefused.IsZero() }

// rejected reports whether what is queued in the lane leads nowhere: PagerDuty never
// accepted anything of its key, and rejects it. What is left of such a key when nothing
// is queued any more, its dead letters, could not be sent either.
func (r *laneRow) rejected() bool {
	return !r.Proven && !r.Held && (!r.KeyRefused.IsZero() || r.count.Total() == 0)
}

func (r *laneRow) seal() int64 {
	s := r.sum4()
	own := int64(0)
	if r.Own {
		own = 1
	}
	s.add(own, r.Since)
	s.text(r.Upstream, r.Alias)
	return s.seal()
}

// sum4 is the checksum over the columns that versions 2 to 4 had.
func (r *laneRow) sum4() sum {
	s := sum{numbers: make([]byte, 0, 20*8)}
	held := int64(0)
	if r.Held {
		held = 1
	}
	proven := int64(0)
	if r.Proven {
		proven = 1
	}
	c := &r.count
	s.add(r.ID, r.twin, held, millis(r.HeldBy.At), int64(r.Learned), int64(r.Ceiling), millis(r.PausedUntil), int64(r.Pauses), millis(r.KeyRefused),
		int64(c.Waiting[0]), int64(c.Waiting[1]), int64(c.Waiting[2]), int64(c.Waiting[3]), int64(c.Delivered), int64(c.Refused), int64(c.Expired), r.used, proven)
	s.text(r.Key.Reveal(), r.HeldBy.Who, r.HeldBy.Why)
	return s
}

const laneColumns = laneColumns4 + `, upstream, own, since, alias, seal`

// laneColumns4 are those that versions 2 to 4 had, but for the seal.
const laneColumns4 = `id, key, twin, held, held_who, held_why, held_at, learned, ceiling, paused_until, pauses, key_refused,
	waiting0, waiting1, waiting2, waiting3, delivered, refused, expired, used, proven`

// scan reads a lane and reports whether it is what was written.
func (r *laneRow) scan(scan func(...any) error) (whole bool, err error) {
	var key string
	var held, heldAt, paused, refused, proven, own, seal int64
	c := &r.count
	err = scan(num(&r.ID), txt(&key), num(&r.twin), num(&held), txt(&r.HeldBy.Who), txt(&r.HeldBy.Why), num(&heldAt), num(&r.Learned), num(&r.Ceiling),
		num(&paused), num(&r.Pauses), num(&refused), num(&c.Waiting[0]), num(&c.Waiting[1]), num(&c.Waiting[2]), num(&c.Waiting[3]),
		num(&c.Delivered), num(&c.Refused), num(&c.Expired), num(&r.used), num(&proven), txt(&r.Upstream), num(&own), num(&r.Since), txt(&r.Alias), num(&seal))
	if err != nil {
		return false, err
	}
	r.Held, r.Proven, r.Own = held == 1, proven == 1, own == 1
	r.HeldBy.At, r.PausedUntil, r.KeyRefused = fromMillis(heldAt), fromMillis(paused), fromMillis(refused)
	c.Lane = r.ID
	if r.Key, err = eventsv2.ParseKey(key); err != nil {
		return false, nil //nolint:nilerr // the row is damaged, which is no error of reading
	}
	return seal == r.seal(), nil
}

// saveLanes writes the lanes that the transaction has changed.
func (w *writer) saveLanes() error {
	for l := range w.tx.dirty {
		r, c := &l.row, &l.row.count
		for rank := range c.Waiting {
			if n := c.Waiting[rank]; n < 0 { // a damaged row was counted under another severity; the next examination puts it right
				c.Waiting[rank] = 0
				w.tx.queued -= n
			}
		}
		c.Delivered, c.Refused, c.Expired = max(0, c.Delivered), max(0, c.Refused), max(0, c.Expired)
		err := w.exec(`UPDATE lane SET held = ?2, held_who = ?3, held_why = ?4, held_at = ?5, learned = ?6, ceiling = ?7, paused_until = ?8, pauses = ?9, key_refused = ?10,
			waiting0 = ?11, waiting1 = ?12, waiting2 = ?13, waiting3 = ?14, delivered = ?15, refused = ?16, expired = ?17, used = ?18, proven = ?19,
			upstream = ?20, own = ?21, since = ?22, alias = ?23, seal = ?24 WHERE id = ?1`,
			r.ID, r.Held, r.HeldBy.Who, r.HeldBy.Why, millis(r.HeldBy.At), r.Learned, r.Ceiling, millis(r.PausedUntil), r.Pauses, millis(r.KeyRefused),
			c.Waiting[0], c.Waiting[1], c.Waiting[2], c.Waiting[3], c.Delivered, c.Refused, c.Expired, r.used, r.Proven, r.Upstream, r.Own, r.Since, r.Alias, r.seal())
		if err != nil {
			return err
		}
	}
	return nil
}

// change gives a lane's row for the transaction in hand to change. It returns false
// if there is no such lane: it was forgotten, or the disk has changed its number.
func (w *writer) change(lane int64) (*laneRow, bool) {
	l := w.s.byID[lane]
	if l == nil || l.leaving {
		return nil, false
	}
	w.tx.dirty[l] = true
	return &l.row, true
}

// waiting counts undelivered events of a lane, more or less. Those of a lane that is
// not known are in no count.
func (w *writer) waiting(lane int64, severity queue.Rank, change int) {
	if r, ok := w.change(lane); ok {
		r.count.Waiting[severity] += change
		w.tx.queued += change
		if change < 0 && r.count.Total() == 0 {
			w.follow(r)
		}
	}
}

// follow has a lane be what the configuration says, as far as it may, see [queue.Lane.Follow].
func (w *writer) follow(r *laneRow) bool {
	return r.Follow(w.s.o.Configured(r.Key), r.count.Total(), w.last)
}

// takes reports whether what is queued in one lane may move to another one, whose upstream
// may have to become the same.
func (w *writer) takes(from, to int64) bool {
	f, r := w.s.byID[from], (*laneRow)(nil)
	if r, _ = w.change(to); f == nil || r == nil {
		return false
	}
	return r.Takes(f.row.Lane, r.count.Total(), w.last)
}

// Lane returns the lane of an integration key, whatever the case of its letters,
// and makes it durably the first time that the key is seen. queue.ErrFull: there
// are too many lanes, and an event waits in each of them.
func (s *Store) Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	if lane, ok := s.knownLane(key); ok {
		return lane, nil
	}
	err := s.submitWithin(ctx, s.o.slowAfter, 0, func(w *writer) error {
		_, known := s.knownLane(key)
		if _, made := w.tx.made[folded(key)]; known || made {
			return nil
		}
		return w.makeLane(key)
	})
	if err != nil {
		return queue.Lane{}, err
	}
	lane, ok := s.knownLane(key)
	if !ok { // forgotten at once, as the bound is reached
		return queue.Lane{}, fmt.Errorf("lane: %w", queue.ErrFull)
	}
	return lane, nil
}

func (w *writer) makeLane(key eventsv2.Key) error {
	if err := w.makeRoomForLane(key); err != nil {
		return err
	}
	w.lastLane++
	if !w.s.o.Listed(key) {
		w.tx.lanes++
	}
	l := &laneState{row: laneRow{Lane: queue.Lane{ID: w.lastLane, Key: key}, used: millis(w.s.o.Now())}}
	l.row.count.Lane = l.row.ID
	w.follow(&l.row)
	l.committed = l.row
	w.tx.wrote = true
	if w.tx.made == nil {
		w.tx.made = map[string]struct{}{}
	}
	w.tx.made[folded(key)] = struct{}{}
	w.learn(func() { w.s.addLane(l) })
	return w.insertLane(&l.row)
}

func (s *Store) knownLane(key eventsv2.Key) (queue.Lane, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, ok := s.lanes[folded(key)]
	if !ok {
		return queue.Lane{}, false
	}
	return l.committed.Lane, true
}

// addLane is called with the lock held, or before anything else knows the store.
func (s *Store) addLane(l *laneState) {
	if _, known := s.byID[l.row.ID]; known {
		return
	}
	s.o.OnLane(l.row.Key)
	s.byID[l.row.ID] = l
	if l.row.twin == 0 {
		s.lanes[folded(l.row.Key)] = l
	}
	s.note(l)
	s.file(l)
}

// Lanes returns all lanes, in the order in which they were first used.
func (s *Store) Lanes(context.Context) ([]queue.Lane, error) {
	s.mu.RLock()
	lanes := make([]queue.Lane, 0, len(s.byID))
	for _, l := range s.byID {
		lanes = append(lanes, l.committed.Lane)
	}
	s.mu.RUnlock()
	slices.SortFunc(lanes, func(a, b queue.Lane) int { return int(a.ID - b.ID) })
	return lanes, nil
}

// LaneByID returns one lane, from memory; queue.ErrNotFound if there is none.
func (s *Store) LaneByID(ctx context.Context, id int64) (queue.Lane, error) {
	l, err := s.Counted(ctx, id)
	return l.Lane, err
}

// SaveLane keeps what the scheduler has learned of a lane: limit, ceiling, pause
// and refused key. An operator's pause is not touched.
func (s *Store) SaveLane(ctx context.Context, lane queue.Lane) error {
	return s.submit(ctx, func(w *writer) error {
		r, ok := w.change(lane.ID)
		if !ok {
			return verdict{fmt.Errorf("lane %d: %w", lane.ID, queue.ErrNotFound)}
		}
		r.Learned, r.Ceiling, r.Pauses, r.PausedUntil, r.KeyRefused = lane.Learned, lane.Ceiling, lane.Pauses, lane.PausedUntil, lane.KeyRefused
		return nil
	})
}

// Hold pauses a lane in an operator's name.
func (s *Store) Hold(ctx context.Context, lane int64, by queue.By) error {
	return s.setHold(ctx, lane, true, "paused", by)
}

// Unhold ends an operator's pause.
func (s *Store) Unhold(ctx context.Context, lane int64, by queue.By) error {
	return s.setHold(ctx, lane, false, "resumed", by)
}

// laneEntries is how many entries of a lane's history are kept.
const laneEntries = 100

func (s *Store) setHold(ctx context.Context, lane int64, held bool, what string, by queue.By) error {
	return s.submit(ctx, func(w *writer) error {
		r, ok := w.change(lane)
		if !ok {
			return verdict{fmt.Errorf("lane %d: %w", lane, queue.ErrNotFound)}
		}
		if by.At.IsZero() {
			by.At = s.o.Now()
		}
		r.Held, r.HeldBy = held, queue.By{}
		if held {
			r.HeldBy = by
			r.HeldBy.At = fromMillis(millis(by.At)) // as it is read again
		}
		return w.logLane(lane, what, by)
	})
}

func (w *writer) logLane(lane int64, what string, by queue.By) error {
	if err := w.exec(`INSERT INTO lane_log (lane, at, what, who, why) VALUES (?1, ?2, ?3, ?4, ?5)`, lane, millis(by.At), what, by.Who, by.Why); err != nil {
		return err
	}
	return w.exec(`DELETE FROM lane_log WHERE lane = ?1 AND rowid <= (SELECT rowid FROM lane_log WHERE lane = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)`, lane, laneEntries)
}

// LaneHistory returns what operators did to a lane, the latest first.
func (s *Store) LaneHistory(ctx context.Context, lane int64) ([]queue.Entry, error) {
	var entries []queue.Entry
	err := s.rows(ctx, `SELECT at, what, who, why FROM lane_log WHERE lane = ?1 ORDER BY rowid DESC`, []any{lane},
		func(scan func(...any) error) error {
			var e queue.Entry
			var at int64
			err := scan(num(&at), txt(&e.What), txt(&e.Who), txt(&e.Text))
			e.At = fromMillis(at)
			entries = append(entries, e)
			return err
		})
	return entries, err
}

// Totals returns what waits and what has ended, for each lane, without the ages: from
// memory.
func (s *Store) Totals(context.Context) ([]queue.Count, error) {
	s.mu.RLock()
	counts := make([]queue.Count, 0, len(s.byID))
	for _, l := range s.byID {
		counts = append(counts, l.committed.count)
	}
	s.mu.RUnlock()
	slices.SortFunc(counts, func(a, b queue.Count) int { return int(a.Lane - b.Lane) })
	return counts, nil
}

// Overview returns the lanes in which something is queued, which have dead letters, are
// paused or have a rejected key; those that are named; and up to so many of the others,
// first those that had something of it last. The other lanes cost nothing.
func (s *Store) Overview(ctx context.Context, named []int64, others int) (queue.Overview, error) {
	s.mu.RLock()
	o := queue.Overview{Total: len(s.byID), Lanes: make([]queue.Counted, 0, s.busy.Len()+len(named)+min(others, s.idle.Len()))}
	add := func(l *laneState) {
		o.Lanes = append(o.Lanes, queue.Counted{Lane: l.committed.Lane, Count: l.committed.count})
	}
	for at := s.busy.Front(); at != nil; at = at.Next() {
		add(at.Value.(*laneState))
	}
	for _, id := range named {
		if l := s.byID[id]; l != nil {
			add(l)
		}
	}
	for at := s.idle.Front(); at != nil && others > 0; at = at.Next() {
		add(at.Value.(*laneState))
		others--
	}
	s.mu.RUnlock()
	slices.SortFunc(o.Lanes, func(a, b queue.Counted) int { return cmp.Compare(a.Lane.ID, b.Lane.ID) })
	o.Lanes = slices.CompactFunc(o.Lanes, func(a, b queue.Counted) bool { return a.Lane.ID == b.Lane.ID })
	oldest, err := s.oldest(ctx)
	for i := range o.Lanes {
		if c := &o.Lanes[i].Count; c.Total() > 0 {
			c.Oldest, c.OldestCritical, c.OldestOf = oldest[c.Lane].any, oldest[c.Lane].of[queue.Critical], oldest[c.Lane].of
		}
	}
	return o, err
}

// Counted returns one lane and its count without the ages, from memory;
// queue.ErrNotFound if there is none.
func (s *Store) Counted(_ context.Context, id int64) (queue.Counted, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if l := s.byID[id]; l != nil {
		return queue.Counted{Lane: l.committed.Lane, Count: l.committed.count}, nil
	}
	return queue.Counted{}, fmt.Errorf("lane %d: %w", id, queue.ErrNotFound)
}

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
