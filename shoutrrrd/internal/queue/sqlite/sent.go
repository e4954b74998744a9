package sqlite

import (
	"context"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Sent lists up to n events that were delivered in a time, of one lane or of all (0), in
// the order in which they were accepted.
func (s *Store) Sent(ctx context.Context, since, until time.Time, lane int64, n int) (list []queue.Sent, err error) {
	const text = `SELECT id, lane, kind, action, dedup, severity FROM event INDEXED BY event_done
		WHERE state IN (4, 7) AND state = 4 AND ended BETWEEN ?1 AND ?2 AND (?3 = 0 OR lane = ?3) ORDER BY id LIMIT ?4`
	err = s.rows(ctx, text, []any{max(1, millis(since)), millis(until), lane, n}, func(scan func(...any) error) error {
		var x queue.Sent
		err := scan(num(&x.ID), num(&x.Lane), num(&x.Kind), txt(&x.Action), txt(&x.DedupKey), num(&x.Severity))
		list = append(list, x)
		return err
	})
	return list, err
}
