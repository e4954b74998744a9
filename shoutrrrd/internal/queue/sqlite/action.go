package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Requeue sends an event that was refused, has expired or was dropped once more:
// it goes to the end of its chain, and its age counts from now.
func (s *Store) Requeue(ctx context.Context, id int64, by queue.By) error {
	return s.submit(ctx, func(w *writer) error {
		e, err := w.event(id)
		if err != nil {
			return err
		}
		if !e.State.Dead() && e.State != queue.Dropped {
			return verdict{fmt.Errorf("event %d is %s: %w: only what was refused, has expired or was dropped can be requeued", id, e.State, queue.ErrState)}
		}
		if err := w.room(queue.Critical); err != nil {
			return err
		}
		now := s.o.Now()
		if err := w.log(id, now, "requeued", 0, by.Why, by.Who); err != nil {
			return err
		}
		w.count(e.Lane, func(n *queue.Count) { bump(n, e.State, -1) })
		w.waiting(e.Lane, e.Severity, +1)
		return w.rejoin(&e, now)
	})
}

// rejoin puts an event that had ended to the end of its chain.
func (w *writer) rejoin(e *queue.Event, now time.Time) error {
	weight := weightOf(e.Action, e.Kind, e.Severity)
	state, priority := queue.Ready, weight
	var c chain
	if e.Kind == queue.Alert {
		n := counts(weight)
		fresh, err := w.execCount(`INSERT INTO chain (lane, dedup, head, tail, n0, n1, n2, n3) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING`,
			e.Lane, e.DedupKey, e.ID, n[0], n[1], n[2], n[3])
		if err != nil {
			return err
		}
		if fresh == 0 {
			state = queue.Blocked
			if c, err = w.chain(e.Lane, e.DedupKey); err != nil {
				return err
			}
		}
	}
	err := w.exec(`UPDATE event SET state = ?2, priority = ?3, fresh = ?4, due = 0, ended = 0, attempts = 0, next = NULL WHERE id = ?1`,
		e.ID, state, priority, millis(now))
	if err != nil {
		return err
	}
	if state == queue.Ready {
		w.ready(e.Lane, priority)
		return nil
	}
	if err := w.exec(`UPDATE event SET next = ?2 WHERE id = ?1`, c.tail, e.ID); err != nil {
		return err
	}
	c.tail = e.ID
	c.n[weight]++
	return w.save(e.Lane, e.DedupKey, c, true)
}

// Drop gives an event up. It is kept, with the reason, until retention ends.
func (s *Store) Drop(ctx context.Context, id int64, by queue.By) error {
	return s.submit(ctx, func(w *writer) error {
		e, err := w.event(id)
		if err != nil {
			return err
		}
		if _, claimed := s.claims[id]; claimed {
			return verdict{fmt.Errorf("event %d is being sent: %w: wait for the end of the attempt", id, queue.ErrState)}
		}
		if e.State.Ended() && !e.State.Dead() {
			return verdict{fmt.Errorf("event %d is %s: %w", id, e.State, queue.ErrState)}
		}
		now := s.o.Now()
		if err := w.log(id, now, "dropped", 0, by.Why, by.Who); err != nil {
			return err
		}
		c := claim{0, e.Lane, e.Kind, e.Action, e.DedupKey, e.Pool, e.Severity}
		x := &queue.Settlement{ID: id, State: queue.Dropped, At: now, Attempts: e.Attempts, Status: e.Status, Reason: e.Reason}
		switch {
		case e.State.Dead():
			w.count(e.Lane, func(n *queue.Count) { bump(n, e.State, -1) })
			return w.exec(`UPDATE event SET state = 7, ended = ?2 WHERE id = ?1`, id, max(1, millis(now)))
		case e.State == queue.Blocked:
			return w.unlink(&e, c, x)
		}
		return w.end(id, c, x)
	})
}

// unlink takes a blocked event out of its chain.
func (w *writer) unlink(e *queue.Event, c claim, x *queue.Settlement) error {
	var next sql.NullInt64
	err := w.queryRow(`UPDATE event SET state = ?2, ended = ?3 WHERE id = ?1 RETURNING next`, []any{e.ID, x.State, max(1, millis(x.At))}, []any{&next})
	if err != nil {
		return err
	}
	row, err := w.chain(c.lane, c.dedup)
	if err != nil {
		return err
	}
	before := row.head
	for {
		var after sql.NullInt64
		if err := w.queryRow(`SELECT next FROM event WHERE id = ?1`, []any{before}, []any{&after}); err != nil {
			return err
		}
		if after.Int64 == e.ID {
			break
		}
		before = after.Int64
	}
	if err := w.exec(`UPDATE event SET next = ?2 WHERE id = ?1`, before, next); err != nil {
		return err
	}
	if row.tail == e.ID {
		row.tail = before
	}
	row.n[weightOf(c.action, c.kind, c.severity)]--
	w.waiting(c.lane, c.severity, -1)
	return w.save(c.lane, c.dedup, row, true)
}

func (w *writer) event(id int64) (queue.Event, error) {
	statement, err := w.statement(`SELECT ` + columns + ` FROM event WHERE id = ?1`)
	if err != nil {
		return queue.Event{}, err
	}
	e, err := scanEvent(statement.QueryRowContext(context.Background(), id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return e.Event, verdict{fmt.Errorf("event %d: %w", id, queue.ErrNotFound)}
	}
	return e.Event, err
}

// Purge deletes up to n delivered or dropped events that ended before then, and
// forgets the pools' choices for incidents that nobody has spoken of since. It
// returns how many events it deleted.
func (s *Store) Purge(ctx context.Context, before time.Time, n int) (int, error) {
	deleted := 0
	err := s.submit(ctx, func(w *writer) error {
		var ids []int64
		rows, err := w.query(`DELETE FROM event WHERE id IN (SELECT id FROM event WHERE state IN (4, 7) AND ended < ?1 ORDER BY ended LIMIT ?2) RETURNING id, lane, state`,
			millis(before), n)
		if err != nil {
			return err
		}
		err = each(rows, func(scan func(...any) error) error {
			var id, lane int64
			var state queue.State
			err := scan(&id, &lane, &state)
			ids = append(ids, id)
			if err == nil {
				w.count(lane, func(c *queue.Count) { bump(c, state, -1) })
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := w.exec(`DELETE FROM log WHERE event = ?1`, id); err != nil {
				return err
			}
		}
		deleted = len(ids)
		if err := w.setMeta("last", strconv.FormatInt(w.last, 10)); err != nil { // no number is given out twice
			return err
		}
		return w.exec(`DELETE FROM sticky WHERE (pool, dedup) IN (SELECT pool, dedup FROM sticky WHERE used < ?1
			AND NOT EXISTS (SELECT 1 FROM chain WHERE chain.lane = sticky.lane AND chain.dedup = sticky.dedup) LIMIT ?2)`, millis(before), n)
	})
	if err == nil && deleted > 0 {
		err = s.submit(ctx, func(w *writer) error {
			rows, err := w.query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", 2*deleted))
			if err != nil {
				return err
			}
			return each(rows, func(func(...any) error) error { return nil })
		})
	}
	return deleted, err
}
