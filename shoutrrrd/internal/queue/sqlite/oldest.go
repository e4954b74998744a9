package sqlite

import (
	"context"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// ages are when the oldest head of a lane was accepted, and the oldest one of each priority.
type ages struct {
	any time.Time
	of  [queue.Ranks]time.Time
}

// firstReady finds the first ready event of each lane and priority in one statement.
// It leaps over event_ready from one pair of lane and priority to the next, so that
// its cost grows with the pairs that have something ready: neither with the events
// behind the first one nor with the lanes that are empty. Where the index contradicts a
// row it may come back to it: UNION ends there, UNION ALL would go round for ever.
const firstReady = `WITH RECURSIVE first (id) AS (
	SELECT (SELECT id FROM event INDEXED BY event_ready WHERE state = 0 ORDER BY lane, priority, id LIMIT 1)
	UNION
	SELECT (SELECT next.id FROM event AS next INDEXED BY event_ready WHERE next.state = 0 AND (next.lane, next.priority) > (+last.lane, +last.priority)
		ORDER BY next.lane, next.priority, next.id LIMIT 1)
	FROM first CROSS JOIN event AS last ON last.id = first.id
)
SELECT event.lane, event.priority, event.accepted FROM first CROSS JOIN event ON event.id = first.id`

// oldest looks at the heads only: what is blocked came later, unless it was
// requeued. See [queue.Count] for the order.
func (s *Store) oldest(ctx context.Context) (map[int64]ages, error) {
	oldest := map[int64]ages{}
	note := func(scan func(...any) error) error {
		var lane, at int64
		var rank queue.Rank
		err := scan(num(&lane), num(&rank), num(&at))
		known, accepted := oldest[lane], fromMillis(at)
		known.any = earliest(known.any, accepted)
		if rank < queue.Ranks {
			known.of[rank] = earliest(known.of[rank], accepted)
		}
		oldest[lane] = known
		return err
	}
	if err := s.rows(ctx, firstReady, nil, note); err != nil {
		return nil, err
	}
	return oldest, s.rows(ctx, `SELECT lane, priority, min(accepted) FROM event INDEXED BY event_due WHERE state = 2 GROUP BY lane, priority`, nil, note)
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
