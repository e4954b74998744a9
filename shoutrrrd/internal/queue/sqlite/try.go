package sqlite

import (
	"context"
	"fmt"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// TryEvent makes an event due at once that waits for its next attempt, or the head of its
// chain if the event is behind that, and returns which of them it is.
func (s *Store) TryEvent(ctx context.Context, id int64, by queue.By) (head int64, err error) {
	err = s.submit(ctx, func(w *writer) error {
		r, err := w.event(id)
		switch {
		case err != nil:
			return err
		case r.state.Ended():
			return verdict{fmt.Errorf("event %d is %s: %w: only what is queued can be tried", id, r.state, queue.ErrState)}
		case by.At.IsZero():
			by.At = s.o.Now()
		}
		if err := w.log(id, by.At, "tried", 0, by.Why, by.Who); err != nil {
			return err
		}
		w.tx.wrote = true
		c := claim{cells: r.cells, kind: r.kind, action: r.action, chain: chainID{r.lane, r.dedup}}
		if r.state == queue.Blocked {
			of, err := w.chainOf(&c)
			if err != nil {
				return err
			}
			row, err := w.chain(of)
			if err != nil {
				return err
			}
			if c.cells, err = w.cells(row.head, of); err != nil {
				return err
			}
		}
		head = c.cells.id
		return w.hasten(&c.cells)
	})
	return head, err
}

// hasten makes an event ready that waits. One that is in flight, or ready already, is as
// it is.
func (w *writer) hasten(x *cells) error {
	if _, claimed := w.s.claims[x.id]; claimed || x.state != queue.Waiting {
		return nil
	}
	x.state = queue.Ready
	w.ready(x.lane, x.priority)
	return w.write(x)
}

// TryLane makes everything due at once that waits in a lane for its next attempt, and
// returns how much that was.
func (s *Store) TryLane(ctx context.Context, lane int64, by queue.By) (total int, err error) {
	if by.At.IsZero() {
		by.At = s.o.Now()
	}
	err = s.submit(ctx, func(w *writer) error {
		if _, ok := w.change(lane); !ok {
			return verdict{fmt.Errorf("lane %d: %w", lane, queue.ErrNotFound)}
		}
		return w.logLane(lane, "tried", by)
	})
	// In the order of their numbers: what fails meanwhile once more has its turn over.
	for n, last := wakeSlice, int64(0); err == nil && n == wakeSlice; total += n {
		err = s.submit(ctx, func(w *writer) (err error) {
			n, last, err = w.hastenLane(lane, last)
			return err
		})
	}
	return total, err
}

// hastenLane makes a slice of a lane's waiting events ready, of those behind the last one,
// and returns how many that were and the new last one.
func (w *writer) hastenLane(lane, last int64) (int, int64, error) {
	rows, err := w.query(`SELECT `+cellColumns+`, dedup FROM event INDEXED BY event_due WHERE state = 2 AND lane = ?1 AND id > ?2 ORDER BY id LIMIT ?3`, lane, last, wakeSlice)
	if err != nil {
		return 0, last, err
	}
	due, err := readDue(rows)
	for i := 0; err == nil && i < len(due); i++ {
		x := &due[i]
		if last = x.id; x.whole {
			err = w.hasten(&x.cells)
		} else {
			err = &contradiction{chainID{x.lane, x.dedup}, x.id, "the event's seal is wrong"}
		}
	}
	return len(due), last, err
}
