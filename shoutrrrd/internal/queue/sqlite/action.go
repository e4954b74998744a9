package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Drop gives an event up. It is kept, with the reason, until retention ends.
func (s *Store) Drop(ctx context.Context, id int64, by queue.By) error {
	answers, err := s.DropAll(ctx, []int64{id}, by)
	if err != nil {
		return err
	}
	return answers[0].Err
}

// DropAll gives events up, in slices, in the order in which they are named, and answers
// for each of them. An error of the store ends that; the answers are those of the slices
// before it.
func (s *Store) DropAll(ctx context.Context, ids []int64, by queue.By) ([]queue.Requeued, error) {
	answers := make([]queue.Requeued, 0, len(ids))
	for slice := range slices.Chunk(ids, againSlice) {
		done := make([]queue.Requeued, len(slice))
		err := s.submit(ctx, func(w *writer) error {
			for i, id := range slice {
				done[i] = queue.Requeued{ID: id}
				err := w.drop(id, by)
				if no := (verdict{}); errors.As(err, &no) {
					done[i].Err, err = no.error, nil
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return answers, err
		}
		answers = append(answers, done...)
	}
	return answers, nil
}

func (w *writer) drop(id int64, by queue.By) error {
	r, err := w.event(id)
	if err != nil {
		return err
	}
	if _, claimed := w.s.claims[id]; claimed {
		return verdict{fmt.Errorf("event %d is being sent: %w: wait for the end of the attempt", id, queue.ErrState)}
	}
	if r.state.Ended() && !r.state.Dead() {
		return verdict{fmt.Errorf("event %d is %s: %w", id, r.state, queue.ErrState)}
	}
	now := w.s.o.Now()
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
