package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// transferSlice is how many chains, or dead letters, one transaction looks at: an event that
// comes meanwhile waits for it.
const transferSlice = 100

// deadSlice is the same for dead letters, most of which may be of other lanes.
const deadSlice = 250

// transfer is one [queue.Transfer] under way. Its slices are transactions of their own.
type transfer struct {
	queue.Transfer
	done  queue.Transferred // by the slice in hand, or by all before it
	dedup string            // up to this one the chains were looked at
	event int64             // up to this number the events of the step in hand
	until int64             // what has come since the beginning is not meant
	since int64             // dead letters up to this number were accepted for an earlier upstream, and nobody means these
}

// Transfer moves what is queued in a lane, and its dead letters, to another one. An error of
// the store ends it; the answer says how far it came.
func (s *Store) Transfer(ctx context.Context, t queue.Transfer) (queue.Transferred, error) {
	x := &transfer{Transfer: t}
	x.done.Stay = map[queue.Stay]int{}
	after := ""
	for i, step := range []func(*transfer, *writer) (bool, error){(*transfer).begin, (*transfer).chains, (*transfer).ready, (*transfer).waiting, (*transfer).dead} {
		x.event = 0
		for more := true; more; {
			before, slice := *x, queue.Transferred{}
			err := s.submit(ctx, func(w *writer) (err error) {
				*x = before // the transaction may be made again
				x.done = queue.Transferred{Stay: map[queue.Stay]int{}}
				if i > 0 {
					if err := x.stands(w, after); err != nil {
						return err
					}
				}
				more, err = step(x, w)
				slice = x.done
				return err
			})
			x.done = before.done
			if err != nil {
				return x.done, err
			}
			add(&x.done, &slice)
			after = x.done.After
		}
	}
	return x.done, nil
}

func add(sum, slice *queue.Transferred) {
	sum.Before, sum.After = cmp.Or(sum.Before, slice.Before), cmp.Or(sum.After, slice.After)
	sum.Chains, sum.Changes, sum.Dead = sum.Chains+slice.Chains, sum.Changes+slice.Changes, sum.Dead+slice.Dead
	for rank, n := range slice.Queued {
		sum.Queued[rank] += n
	}
	for why, n := range slice.Stay {
		sum.Stay[why] += n
	}
}

// begin looks whether what is in one lane may be in the other one.
func (x *transfer) begin(w *writer) (more bool, err error) {
	x.until = w.last
	from, to := w.s.byID[x.From], w.s.byID[x.To]
	for id, l := range map[int64]*laneState{x.From: from, x.To: to} {
		if l == nil || l.leaving {
			return false, verdict{fmt.Errorf("lane %d: %w", id, queue.ErrNotFound)}
		}
	}
	goes := to.row
	says, queued := w.s.o.Configured(goes.Key), goes.count.Total()
	if x.From == x.To {
		says.Listed, queued = true, 0 // somebody means it
	}
	goes.Follow(says, queued, w.last)
	x.done.Before, x.done.After = from.row.Upstream, goes.Upstream
	if x.done.Elsewhere() && !x.Elsewhere && !x.Preview {
		return false, verdict{fmt.Errorf("lane %d: %w", x.From, queue.ErrElsewhere)}
	}
	if !x.Elsewhere && !x.done.Elsewhere() {
		x.since = from.row.Since // which changes when nothing is queued there any more
	}
	if x.From == x.To {
		x.done.Queued = from.row.count.Waiting
	}
	if x.Preview {
		return false, nil
	}
	r, _ := w.change(x.To)
	if r.Lane = goes.Lane; x.From == x.To {
		r.Since = 0
		w.readyAll()
	}
	w.tx.wrote = true
	return false, w.logLane(x.From, "moved", queue.By{Who: x.By.Who, Why: x.words(), At: x.By.At})
}

// stands looks that the lane to which something moves is still there, and sends to where it
// did at the beginning: the slices are transactions of their own.
func (x *transfer) stands(w *writer, after string) error {
	to := w.s.byID[x.To]
	switch {
	case to == nil || to.leaving:
		return verdict{fmt.Errorf("lane %d: %w", x.To, queue.ErrNotFound)}
	case to.row.Upstream != after && !x.Preview:
		return verdict{fmt.Errorf("lane %d: %w", x.To, queue.ErrElsewhere)}
	}
	return nil
}

// chains moves a slice of the chains, in the order of their dedup keys.
func (x *transfer) chains(w *writer) (more bool, err error) {
	if x.From == x.To {
		return false, nil
	}
	rows, err := w.query(`SELECT `+chainColumns+` FROM chain WHERE lane = ?1 AND dedup > ?2 ORDER BY dedup LIMIT ?3`, x.From, x.dedup, transferSlice)
	if err != nil {
		return false, err
	}
	var list []chain
	err = each(rows, func(scan func(...any) error) error {
		var c chain
		whole, err := c.scan(scan)
		if !whole {
			c.head = 0
		}
		list = append(list, c)
		return err
	})
	before := w.written
	for i := range list {
		if err != nil || w.written-before >= transactionBytes {
			return true, err
		}
		x.dedup = list[i].id.dedup
		err = x.chain(w, &list[i])
	}
	return len(list) == transferSlice, err
}

func (x *transfer) chain(w *writer, row *chain) error {
	h, why, err := w.mayTransfer(row, x.To)
	if err != nil || why != "" {
		if why != "" {
			x.done.Stay[why]++
		}
		return err
	}
	if h.cells.id > x.until {
		return nil
	}
	x.done.Chains++
	for rank, n := range row.n {
		x.done.Queued[rank] += int(n)
	}
	if x.Preview {
		return nil
	}
	h.cells.state, h.cells.due = queue.Ready, 0
	if err := w.transplant(h, x.To); err != nil {
		return err
	}
	w.ready(x.To, h.cells.priority)
	return errors.Join(w.write(&h.cells), w.log(h.cells.id, x.By.At, "moved", 0, x.words(), x.By.Who))
}

// mayTransfer reads the head of a chain, and says why the chain stays, if it does. It is the
// one judgement for the preview and for the deed.
func (w *writer) mayTransfer(row *chain, to int64) (*claim, queue.Stay, error) {
	c := &claim{chain: row.id}
	if _, claimed := w.s.claims[row.head]; claimed {
		return c, queue.StayInFlight, nil
	}
	statement, err := w.statement(`SELECT ` + cellColumns + `, kind, action FROM event WHERE id = ?1`)
	if err != nil {
		return c, "", err
	}
	list, err := statement.Query(row.head)
	if err != nil {
		return c, "", err
	}
	whole := false
	err = each(list, func(scan func(...any) error) error {
		action := ""
		var err error
		whole, err = c.cells.scan(scan, num(&c.kind), txt(&action))
		c.action = eventsv2.Action(action)
		return err
	})
	if err != nil || !whole || c.cells.lane != row.id.lane || c.cells.state.Ended() {
		return c, queue.StayDamaged, err
	}
	there := false
	if err := w.queryRow(`SELECT EXISTS (SELECT 1 FROM chain WHERE lane = ?1 AND dedup = ?2)`, []any{to, row.id.dedup}, []any{&there}); err != nil {
		return c, "", err
	}
	isNew, err := w.isNew(c, true)
	switch {
	case err != nil:
		return c, "", err
	case !isNew && c.action == eventsv2.Trigger && c.cells.id <= w.s.unsure:
		return c, queue.StayUnsure, nil
	case !isNew:
		return c, queue.StayOpen, nil
	case there:
		return c, queue.StayBehind, nil
	}
	return c, "", nil
}

// some reads events by number from a place on, and remembers the next one. Rows that are not
// what was written are left: they are found out when they are sent.
func (x *transfer) some(w *writer, text string, n int) (list []cells, more bool, err error) {
	rows, err := w.query(`SELECT `+cellColumns+text, x.event, x.until, n, x.From)
	if err != nil {
		return nil, false, err
	}
	looked := 0
	err = each(rows, func(scan func(...any) error) error {
		var c cells
		whole, err := c.scan(scan)
		if x.event = max(x.event, c.id); whole && c.lane == x.From {
			list = append(list, c)
		}
		looked++
		return err
	})
	return list, looked == n, err
}

// ready and waiting move a slice of the change events, which have no chain.
func (x *transfer) ready(w *writer) (more bool, err error) {
	return x.changes(w, ` FROM event INDEXED BY event_ready WHERE state = 0 AND lane = ?4 AND kind = 1 AND id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3`)
}

func (x *transfer) waiting(w *writer) (more bool, err error) {
	return x.changes(w, ` FROM event INDEXED BY event_due WHERE state = 2 AND lane = ?4 AND kind = 1 AND id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3`)
}

func (x *transfer) changes(w *writer, text string) (more bool, err error) {
	if x.From == x.To {
		return false, nil
	}
	list, more, err := x.some(w, text, transferSlice)
	for i := 0; i < len(list) && err == nil; i++ {
		c := &list[i]
		if _, claimed := w.s.claims[c.id]; claimed {
			x.done.Stay[queue.StayInFlight]++
			continue
		}
		x.done.Changes++
		if x.done.Queued[c.severity]++; !x.Preview {
			err = w.moveChange(c, x.To, x.By.At, x.words(), x.By.Who)
		}
	}
	return more, err
}

// dead moves a slice of the dead letters. What is requeued of them goes by the key of its
// incident all the same, if that is known.
func (x *transfer) dead(w *writer) (more bool, err error) {
	if x.From == x.To {
		return false, nil
	}
	// Of any lane, so that LIMIT bounds what is looked at.
	list, more, err := x.some(w, ` FROM event INDEXED BY event_dead WHERE state IN (5, 6) AND id > ?1 AND id <= ?2 AND ?4 = ?4 ORDER BY id LIMIT ?3`, deadSlice)
	for i := 0; i < len(list) && err == nil; i++ {
		c := &list[i]
		if c.id <= x.since {
			x.done.Stay[queue.StayEarlier]++
			continue
		}
		if x.done.Dead++; x.Preview {
			continue
		}
		w.tx.wrote = true
		w.ended(c.lane, c.state, -1)
		w.ended(x.To, c.state, +1)
		if err = w.rehome(c, x.To); err == nil {
			err = errors.Join(w.write(c), w.log(c.id, x.By.At, "moved", 0, x.words(), x.By.Who))
		}
	}
	return more, err
}

// words are for the histories of what moves.
func (x *transfer) words() string { return x.Why + ": " + x.By.Why }
