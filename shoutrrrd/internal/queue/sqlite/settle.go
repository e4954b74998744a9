package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Settle ends attempts, all of them in one transaction, and answers each of them in
// its place. A settlement whose claim is not held any more changes nothing: its
// answer is queue.ErrStale, the others are applied all the same. The error is the
// store's: then nothing was applied.
func (s *Store) Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error) {
	answers := make([]error, len(settlements))
	err := s.submit(ctx, func(w *writer) error {
		for i := range settlements {
			err := w.settle(&settlements[i])
			answers[i] = nil
			if answer := (verdict{}); errors.As(err, &answer) {
				answers[i], err = answer.error, nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func (w *writer) settle(x *queue.Settlement) error {
	c, ok := w.s.claims[x.ID]
	if !ok || c.token != x.Claim {
		return verdict{fmt.Errorf("event %d: %w", x.ID, queue.ErrStale)}
	}
	w.setClaim(x.ID, claim{})
	if err := errors.Join(w.count(&c, x), w.noteUpstream(x)); err != nil {
		return err
	}
	if x.Tried && (x.State != queue.Delivered || x.Hedged != queue.NotHedged) {
		what := "attempt"
		if x.State != queue.Delivered && !x.MaybeAccepted {
			what = inVain
		}
		if err := w.log(x.ID, x.At, what, x.Status, x.History(), ""); err != nil {
			return err
		}
	}
	if x.MaybeAccepted || x.State == queue.Delivered {
		if err := w.sent(&c, x); err != nil {
			return err
		}
	}
	if x.State.Ended() {
		return w.end(&c, x)
	}
	c.cells.state, c.cells.due, c.cells.attempts, c.cells.status, c.cells.reason = x.State, millis(x.Due), x.Attempts, x.Status, x.Reason
	if c.alone {
		return w.buryAlone(&c.cells)
	}
	if x.Lane != 0 && x.Lane != c.chain.lane {
		moved, err := w.isNew(&c, true)
		if err == nil && moved {
			moved, err = w.move(&c, x.Lane)
		}
		if err != nil {
			return err
		}
		if c.cells.due = 0; !moved {
			c.cells.state, c.cells.due = queue.Waiting, millis(x.Due)
			c.cells.attempts++
		}
		if moved && x.Moved != "" {
			if err := w.log(x.ID, x.At, "moved", 0, x.Moved, ""); err != nil {
				return err
			}
		}
	}
	if err := w.write(&c.cells); err != nil {
		return err
	}
	if c.cells.state == queue.Ready {
		w.ready(c.chain.lane, c.cells.priority)
	}
	return nil
}

// end writes the end of a chain's head and lets the next one step forward, in the
// same transaction: were the next one sent before that is on the disk, a crash
// would send the first one again behind it.
func (w *writer) end(c *claim, x *queue.Settlement) error {
	next := c.cells.next
	delete(w.stepped, c.cells.id)
	y := c.cells
	y.state, y.ended, y.attempts, y.status, y.reason = x.State, max(1, millis(x.At)), x.Attempts, x.Status, x.Reason
	y.prev, y.next = 0, 0
	if err := w.write(&y); err != nil {
		return err
	}
	if err := w.countEnd(&y); err != nil || c.kind == queue.Change || c.alone {
		return err
	}
	if next == 0 {
		if err := w.over(c, x.State); err != nil {
			return err
		}
	}
	return w.stepForward(c, next)
}

// countEnd counts an undelivered event that has just ended.
func (w *writer) countEnd(y *cells) error {
	w.tx.wrote = true
	w.waiting(y.lane, y.severity, -1)
	w.ended(y.lane, y.state, +1)
	if y.state == queue.Delivered {
		if r, ok := w.change(y.lane); ok {
			r.Proven = true
		}
	}
	if !y.state.Dead() {
		return nil
	}
	size, err := w.sizeOf(y.id)
	if err != nil {
		return err
	}
	return w.countDead(+1, size)
}

func (w *writer) sizeOf(id int64) (size int64, err error) {
	err = w.queryRow(`SELECT coalesce((SELECT `+boundedSize+` FROM event WHERE id = ?1), 0)`, []any{id}, []any{&size})
	return size, err
}

// stepForward makes the next event of a chain its head, or ends the chain.
func (w *writer) stepForward(c *claim, next int64) error {
	if next == 0 {
		return w.deleteChain(c.chain)
	}
	row, err := w.chain(c.chain)
	if err != nil {
		return err
	}
	if row.head != c.cells.id {
		return &contradiction{c.chain, c.cells.id, "the chain begins with another event"}
	}
	head, err := w.cells(next, c.chain)
	if err != nil {
		return err
	}
	if head.state != queue.Blocked || head.prev != c.cells.id {
		return &contradiction{c.chain, next, "it is not the next one of its chain"}
	}
	row.head = next
	if err := row.take(c.weight(), c.cells.id); err != nil {
		return err
	}
	head.state, head.prev, head.priority = queue.Ready, 0, row.priority()
	if head.id <= w.s.unsure {
		w.stepped[head.id] = true
	}
	if err := w.relocate(&head, row.id.lane); err != nil {
		return err
	}
	if err := w.write(&head); err != nil {
		return err
	}
	w.ready(row.id.lane, head.priority)
	return w.saveChain(&row)
}

// Of an event's history the first entries and the last ones are kept: three days
// of failed attempts would be thousands.
const (
	firstEntries = 20
	lastEntries  = 100
)

func (w *writer) log(event int64, at time.Time, what string, status int, text, who string) error {
	var n int64
	enter := func() error {
		return w.queryRow(`INSERT INTO log (event, n, at, what, status, text, who)
			SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM log WHERE event = ?1 RETURNING n`,
			[]any{event, millis(at), what, status, text, who}, []any{&n})
	}
	err := enter()
	if err != nil && isOfTheData(err) { // a number in the history that the disk has changed; the event does not wait for it
		const highest = 1 << 32 // an attempt each second for a century
		if err = w.exec(`DELETE FROM log WHERE event = ?1 AND (typeof(n) <> 'integer' OR n NOT BETWEEN 1 AND ?2)`, event, highest); err == nil {
			err = enter()
		}
	}
	if err != nil || n <= firstEntries+lastEntries {
		return err
	}
	return w.exec(`DELETE FROM log WHERE event = ?1 AND n = ?2`, event, n-lastEntries)
}
