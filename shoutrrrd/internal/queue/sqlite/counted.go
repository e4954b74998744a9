package sqlite

import (
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// countedFor is for how long PagerDuty counts an event.
const countedFor = time.Minute

// count keeps the requests of an attempt that PagerDuty may count although the store has
// no delivery of them: their answers were lost, say. It is part of the transaction that
// ends the attempt, so that the next process knows of them however this one ends.
func (w *writer) count(c *claim, x *queue.Settlement) error {
	n := x.Lost()
	if n == 0 {
		return nil
	}
	return w.exec(`INSERT INTO counted (lane, at, priority, requests) VALUES (?1, ?2, ?3, ?4)`, c.chain.lane, millis(x.At), c.cells.priority, n)
}

// forgetCounted deletes what PagerDuty counts no longer. There are no more rows than the
// windows of all lanes have had slots since the last time, a minute ago.
func (w *writer) forgetCounted() error {
	return w.exec(`DELETE FROM counted WHERE at < ?1`, millis(w.s.o.Now().Add(-countedFor)))
}
