package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// chainID names a chain. A change event is a chain of its own and has no row.
type chainID struct {
	lane  int64
	dedup string
}

// chain is a row of that table: what has not ended of one dedup key on one lane.
type chain struct {
	id         chainID
	head, tail int64
	n          [queue.Ranks]int64 // events by what they add to the priority
}

func (c *chain) seal() int64 {
	s := sum{numbers: make([]byte, 0, 8*8)}
	s.add(c.id.lane, c.head, c.tail, c.n[0], c.n[1], c.n[2], c.n[3])
	s.text(c.id.dedup)
	return s.seal()
}

// priority of a chain is that of the most severe event in it.
func (c *chain) priority() queue.Rank {
	for rank, count := range c.n {
		if count > 0 {
			return queue.Rank(rank)
		}
	}
	return queue.Info
}

// length is how many events the chain has.
func (c *chain) length() int64 { return c.n[0] + c.n[1] + c.n[2] + c.n[3] }

// weightOf is what an event adds to the priority of its chain. An acknowledge or
// resolve pages nobody, so it does not use the share that is reserved for critical
// triggers.
func weightOf(action eventsv2.Action, kind queue.Kind, severity queue.Rank) queue.Rank {
	if kind == queue.Alert && action != eventsv2.Trigger {
		return max(severity, queue.Error)
	}
	return severity
}

// begin makes a chain of one event, if there is none of that name.
func (w *writer) begin(id chainID, head int64, weight queue.Rank) (begun bool, err error) {
	c := chain{id: id, head: head, tail: head}
	c.n[weight] = 1
	n, err := w.execCount(`INSERT INTO chain (lane, dedup, head, tail, n0, n1, n2, n3, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING`,
		id.lane, id.dedup, c.head, c.tail, c.n[0], c.n[1], c.n[2], c.n[3], c.seal())
	return n == 1, err
}

const chainColumns = `lane, dedup, head, tail, n0, n1, n2, n3, seal`

func (c *chain) scan(scan func(...any) error) (whole bool, err error) {
	var seal int64
	err = scan(num(&c.id.lane), txt(&c.id.dedup), num(&c.head), num(&c.tail), num(&c.n[0]), num(&c.n[1]), num(&c.n[2]), num(&c.n[3]), num(&seal))
	return err == nil && seal == c.seal(), err
}

// chain reads a chain that has to be there.
func (w *writer) chain(id chainID) (chain, error) {
	statement, err := w.statement(`SELECT ` + chainColumns + ` FROM chain WHERE lane = ?1 AND dedup = ?2`)
	if err != nil {
		return chain{}, err
	}
	var c chain
	whole, err := c.scan(statement.QueryRowContext(context.Background(), id.lane, id.dedup).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, &contradiction{id, 0, "the chain is missing"}
	case err != nil:
		return c, err
	case !whole:
		return c, &contradiction{id, 0, "the chain's seal is wrong"}
	}
	return c, nil
}

func (w *writer) saveChain(c *chain) error {
	return w.exec(`UPDATE chain SET head = ?3, tail = ?4, n0 = ?5, n1 = ?6, n2 = ?7, n3 = ?8, seal = ?9 WHERE lane = ?1 AND dedup = ?2`,
		c.id.lane, c.id.dedup, c.head, c.tail, c.n[0], c.n[1], c.n[2], c.n[3], c.seal())
}

func (w *writer) deleteChain(id chainID) error {
	return w.exec(`DELETE FROM chain WHERE lane = ?1 AND dedup = ?2`, id.lane, id.dedup)
}

// prioritise writes the chain's priority into its head, which it announces if it
// is ready.
func (w *writer) prioritise(c *chain) error {
	head, err := w.cells(c.head, c.id)
	if err != nil {
		return err
	}
	if head.priority != c.priority() {
		head.priority = c.priority()
		if err := w.write(&head); err != nil {
			return err
		}
	}
	if head.state == queue.Ready {
		w.ready(c.id.lane, head.priority)
	}
	return nil
}

// take takes one event's weight out of the chain. A count that would fall below
// nothing is a contradiction.
func (c *chain) take(weight queue.Rank, event int64) error {
	if c.n[weight] == 0 {
		return &contradiction{c.id, event, "the chain counts no event of its severity"}
	}
	c.n[weight]--
	return nil
}
