package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Requeue sends an event that was refused, has expired or was dropped once more:
// it goes to the end of its chain, and its age counts from now.
func (s *Store) Requeue(ctx context.Context, id int64, by queue.By) error {
	return s.submit(ctx, func(w *writer) error {
		r, err := w.event(id)
		if err != nil {
			return err
		}
		switch {
		case !r.state.Dead() && r.state != queue.Dropped:
			return verdict{fmt.Errorf("event %d is %s: %w: only what was refused, has expired or was dropped can be requeued", id, r.state, queue.ErrState)}
		case w.s.byID[r.lane] == nil:
			return verdict{fmt.Errorf("event %d: %w: its lane has been forgotten, so its integration key is not known any more; send the event anew", id, queue.ErrUnsendable)}
		case !r.intact(w.keyOf(r.lane)):
			return verdict{fmt.Errorf("event %d: %w: its content is damaged on the disk, and sending it could page anyone; drop it", id, queue.ErrUnsendable)}
		}
		weight := weightOf(r.action, r.kind, r.severity)
		if err := w.room(r.lane, weight); err != nil {
			return err
		}
		now := s.o.Now()
		if err := w.log(id, now, "requeued", 0, by.Why, by.Who); err != nil {
			return err
		}
		w.ended(r.lane, r.state, -1)
		if r.state.Dead() {
			if err := w.countDead(-1, -int64(len(r.body))); err != nil {
				return err
			}
		}
		w.waiting(r.lane, r.severity, +1)
		return w.rejoin(&r, weight, now)
	})
}

// rejoin puts an event that had ended to the end of its chain.
func (w *writer) rejoin(r *row, weight queue.Rank, now time.Time) error {
	x := r.cells
	x.state, x.priority, x.fresh, x.due, x.ended, x.attempts, x.prev, x.next = queue.Ready, weight, millis(now), 0, 0, 0, 0, 0
	w.tx.wrote = true
	id := chainID{r.lane, r.dedup}
	begun := r.kind == queue.Change
	if !begun {
		var err error
		if begun, err = w.begin(id, x.id, weight); err != nil {
			return err
		}
	}
	if begun {
		w.ready(id.lane, weight)
		return w.write(&x)
	}
	c, err := w.chain(id)
	if err != nil {
		return err
	}
	tail, err := w.cells(c.tail, id)
	if err != nil {
		return err
	}
	x.state, x.prev, tail.next = queue.Blocked, tail.id, x.id
	if err := errors.Join(w.write(&x), w.link(&tail)); err != nil {
		return err
	}
	c.tail = x.id
	c.n[weight]++
	if err := w.saveChain(&c); err != nil {
		return err
	}
	return w.prioritise(&c)
}

// Drop gives an event up. It is kept, with the reason, until retention ends.
func (s *Store) Drop(ctx context.Context, id int64, by queue.By) error {
	return s.submit(ctx, func(w *writer) error {
		r, err := w.event(id)
		if err != nil {
			return err
		}
		if _, claimed := s.claims[id]; claimed {
			return verdict{fmt.Errorf("event %d is being sent: %w: wait for the end of the attempt", id, queue.ErrState)}
		}
		if r.state.Ended() && !r.state.Dead() {
			return verdict{fmt.Errorf("event %d is %s: %w", id, r.state, queue.ErrState)}
		}
		now := s.o.Now()
		if err := w.log(id, now, "dropped", 0, by.Why, by.Who); err != nil {
			return err
		}
		if r.state.Dead() {
			return w.dropDead(&r, now)
		}
		c := claim{cells: r.cells, kind: r.kind, action: r.action, chain: chainID{r.lane, r.dedup}}
		if r.state == queue.Blocked {
			return w.unlink(&c, now)
		}
		return w.end(&c, &queue.Settlement{ID: id, State: queue.Dropped, At: now, Attempts: r.attempts, Status: r.status, Reason: r.reason})
	})
}

func (w *writer) dropDead(r *row, now time.Time) error {
	w.ended(r.lane, r.state, -1)
	r.state, r.ended = queue.Dropped, max(1, millis(now))
	if err := w.write(&r.cells); err != nil {
		return err
	}
	return w.countDead(-1, -int64(len(r.body)))
}

// unlink takes a blocked event out of its chain, whatever the chain's length.
func (w *writer) unlink(c *claim, now time.Time) error {
	x := &c.cells
	id, err := w.chainOf(c)
	if err != nil {
		return err
	}
	before, err := w.cells(x.prev, id)
	if err != nil {
		return err
	}
	if before.next != x.id {
		return &contradiction{id, x.id, "the event before it leads to another one"}
	}
	row, err := w.chain(id)
	if err != nil {
		return err
	}
	before.next = x.next
	if err := w.link(&before); err != nil {
		return err
	}
	if x.next == 0 {
		row.tail = before.id
	} else {
		behind, err := w.cells(x.next, id)
		if err != nil {
			return err
		}
		behind.prev = before.id
		if err := w.link(&behind); err != nil {
			return err
		}
	}
	if err := row.take(c.weight(), x.id); err != nil {
		return err
	}
	x.state, x.ended, x.prev, x.next = queue.Dropped, max(1, millis(now)), 0, 0
	if err := errors.Join(w.write(x), w.countEnd(x), w.saveChain(&row)); err != nil {
		return err
	}
	return w.prioritise(&row)
}

// chainOf finds the chain of a blocked event: that of its own lane, or the one that
// has moved to another lane while the event was far behind. The second is a scan of
// all chains, and as rare as a long chain whose key was refused.
func (w *writer) chainOf(c *claim) (chainID, error) {
	lane := int64(0)
	err := w.queryRow(`SELECT coalesce((SELECT lane FROM chain WHERE lane = ?1 AND dedup = ?2), (SELECT lane FROM chain WHERE dedup = ?2), ?1)`,
		[]any{c.chain.lane, c.chain.dedup}, []any{&lane})
	return chainID{lane, c.chain.dedup}, err
}

func (w *writer) event(id int64) (row, error) {
	var r row
	statement, err := w.statement(`SELECT ` + columns + ` FROM event WHERE id = ?1`)
	if err != nil {
		return r, err
	}
	err = r.scan(statement.QueryRowContext(context.Background(), id).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return r, verdict{fmt.Errorf("event %d: %w", id, queue.ErrNotFound)}
	case err == nil && !r.sealed:
		return r, &contradiction{chainID{r.lane, r.dedup}, id, "the event's seal is wrong"}
	}
	return r, err
}
