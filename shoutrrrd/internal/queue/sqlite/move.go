package sqlite

import (
	"database/sql"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// move takes a whole chain to another lane of its pool, because PagerDuty refuses
// the key of the one that it is on. It returns false, and has changed nothing, if
// that lane has a chain of the same dedup key.
func (w *writer) move(c claim, to int64) (bool, error) {
	row, err := w.chain(c.lane, c.dedup)
	if err != nil {
		return false, err
	}
	fresh, err := w.execCount(`INSERT INTO chain (lane, dedup, head, tail, n0, n1, n2, n3) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING`,
		to, c.dedup, row.head, row.tail, row.n[0], row.n[1], row.n[2], row.n[3])
	if err != nil || fresh == 0 {
		return false, err
	}
	if err := w.exec(`DELETE FROM chain WHERE lane = ?1 AND dedup = ?2`, c.lane, c.dedup); err != nil {
		return false, err
	}
	for id := row.head; id != 0; {
		var next sql.NullInt64
		if next, err = w.moveEvent(id, c.lane, to); err != nil {
			return false, err
		}
		id = next.Int64
	}
	return true, w.exec(`UPDATE sticky SET lane = ?3 WHERE pool = ?1 AND dedup = ?2`, c.pool, c.dedup, to)
}

// moveEvent moves one event and returns the one behind it. Its checksum covers the
// lane.
func (w *writer) moveEvent(id, from, to int64) (next sql.NullInt64, err error) {
	var action, dedup, body string
	var severity queue.Rank
	err = w.queryRow(`SELECT action, dedup, body, severity, next FROM event WHERE id = ?1`, []any{id}, []any{&action, &dedup, &body, &severity, &next})
	if err != nil {
		return next, err
	}
	w.waiting(from, severity, -1)
	w.waiting(to, severity, +1)
	return next, w.exec(`UPDATE event SET lane = ?2, checksum = ?3 WHERE id = ?1`, id, to, checksum(to, severity, action, dedup, body))
}
