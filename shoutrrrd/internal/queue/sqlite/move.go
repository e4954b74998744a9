package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// moveSlice is how many events of a chain move at once. What is behind them moves
// when it becomes the head: a chain may have two million.
const moveSlice = 500

// Move takes new chains of a lane that cannot send to another one of their pool, each of
// them whole, and announces them there. All that one call moves is one transaction.
func (s *Store) Move(ctx context.Context, m queue.Move) (queue.Moved, error) {
	var moved queue.Moved
	err := s.submit(ctx, func(w *writer) (err error) {
		moved, err = w.moveNew(&m)
		return err
	})
	if err != nil {
		return queue.Moved{}, err
	}
	return moved, nil
}

func (w *writer) moveNew(m *queue.Move) (moved queue.Moved, err error) {
	if to := w.s.byID[m.To]; to == nil || to.leaving || m.From == m.To {
		return moved, nil
	}
	heads, err := w.heads(m)
	before := w.written
	for i := range heads {
		if i == queue.MoveLook || len(moved.Heads) == m.N || w.written-before >= transactionBytes {
			return moved, nil
		}
		h := &heads[i]
		moved.Next = h.cells.id
		if !h.free {
			continue
		}
		if m.Retiring && h.claim.kind == queue.Change && w.takes(m.From, m.To) {
			if err := w.moveChange(&h.cells, m.To, m.At, m.Why, ""); err != nil {
				return moved, err
			}
			moved.Heads = append(moved.Heads, h.cells.id)
			continue
		}
		isNew, err := w.isNew(&h.claim, false)
		if err != nil {
			return moved, err
		}
		if !isNew {
			continue
		}
		begins, err := w.begins(&h.claim)
		if err != nil {
			return moved, err
		}
		if !begins { // it is found out when it would be sent
			continue
		}
		done, err := w.move(&h.claim, m.To)
		if err == nil && done {
			w.tx.wrote = true
			moved.Heads = append(moved.Heads, h.cells.id)
			w.ready(m.To, h.cells.priority)
			if err = w.write(&h.cells); err == nil {
				err = w.log(h.cells.id, m.At, "moved", 0, m.Why, "")
			}
		}
		if err != nil {
			return moved, err
		}
	}
	moved.Next = 0
	return moved, err
}

// moveChange moves a change event, which PagerDuty may show twice: no incident depends on it.
func (w *writer) moveChange(x *cells, to int64, at time.Time, why, who string) error {
	w.tx.wrote = true
	x.state, x.due = queue.Ready, 0
	if err := w.relocate(x, to); err != nil {
		return err
	}
	w.ready(to, x.priority)
	return errors.Join(w.write(x), w.log(x.id, at, "moved", 0, why, who))
}

// head is the first event of a chain that nobody is sending.
type head struct {
	claim
	free bool // its row is what was written, and nobody is sending it
}

// heads reads heads of chains, one more than are looked at: that tells whether there are
// more.
func (w *writer) heads(m *queue.Move) (heads []head, err error) {
	rows, err := w.query(`SELECT `+cellColumns+`, kind, action, dedup
		FROM event INDEXED BY event_ready WHERE state = 0 AND lane = ?1 AND priority = ?2 AND id > ?3 ORDER BY id LIMIT ?4`,
		m.From, m.Rank, m.After, queue.MoveLook+1)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var h head
		var action string
		whole, err := h.cells.scan(scan, num(&h.kind), txt(&action), txt(&h.chain.dedup))
		h.action, h.chain.lane = eventsv2.Action(action), h.cells.lane
		_, claimed := w.s.claims[h.cells.id]
		h.free = whole && h.cells.state == queue.Ready && h.cells.lane == m.From && !claimed
		heads = append(heads, h)
		return err
	})
	return heads, err
}

// move takes a whole chain to another lane of its pool. It returns false, and has changed nothing, if
// that lane has a chain of the same dedup key, or what is queued there goes to another upstream.
func (w *writer) move(c *claim, to int64) (bool, error) {
	if !w.takes(c.chain.lane, to) {
		return false, nil
	}
	there := false
	if err := w.queryRow(`SELECT EXISTS (SELECT 1 FROM chain WHERE lane = ?1 AND dedup = ?2)`, []any{to, c.chain.dedup}, []any{&there}); err != nil || there {
		return false, err
	}
	return true, w.transplant(c, to)
}

// transplant takes a whole chain to another lane, which has none of its dedup key.
func (w *writer) transplant(c *claim, to int64) error {
	row, err := w.chain(c.chain)
	if err != nil {
		return err
	}
	moved := row
	moved.id.lane = to
	err = w.exec(`INSERT INTO chain (lane, dedup, head, tail, n0, n1, n2, n3, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
		to, row.id.dedup, row.head, row.tail, row.n[0], row.n[1], row.n[2], row.n[3], moved.seal())
	if err := errors.Join(err, w.deleteChain(c.chain)); err != nil {
		return err
	}
	if err := w.relocate(&c.cells, to); err != nil {
		return err
	}
	before := w.written
	for next, left := c.cells.next, moveSlice; next != 0 && left > 0 && w.written-before < transactionBytes; left-- {
		x, err := w.cells(next, c.chain)
		if err != nil {
			return err
		}
		if err := w.relocate(&x, to); err != nil {
			return err
		}
		if err := w.write(&x); err != nil {
			return err
		}
		next = x.next
	}
	from := c.chain
	c.chain.lane = to
	return w.lead(from, to)
}

// relocate makes an event one of another lane; it is still to be written. The
// checksum of its content covers the lane's key.
func (w *writer) relocate(x *cells, to int64) error {
	if x.lane == to {
		return nil
	}
	from := x.lane
	if err := w.rehome(x, to); err != nil {
		return err
	}
	w.waiting(to, x.severity, +1)
	w.waiting(from, x.severity, -1)
	return nil
}

// rehome is relocate without the counts.
func (w *writer) rehome(x *cells, to int64) error {
	var r row
	statement, err := w.statement(`SELECT ` + columns + ` FROM event WHERE id = ?1`)
	if err != nil {
		return err
	}
	if err := r.scan(statement.QueryRowContext(context.Background(), x.id).Scan); err != nil {
		return err
	}
	if err := w.noteOrigin(x.id, x.lane); err != nil {
		return err
	}
	whole := r.intact(w.keyOf(x.lane))
	if r.key != "" { // a spelling of the other lane's key
		r.key = ""
		if err := w.exec(`UPDATE event SET key = '' WHERE id = ?1`, x.id); err != nil {
			return err
		}
	}
	x.lane = to
	if whole { // else it stays wrong, and is found out when it would be sent
		x.content = r.sum(w.keyOf(to))
	}
	return nil
}
