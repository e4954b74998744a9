package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// prepare makes or checks the tables and reads what the memory keeps.
func (w *writer) prepare(ctx context.Context) error {
	var version int
	if err := w.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch {
	case version == 0:
		if err := w.create(ctx); err != nil {
			return err
		}
	case version > schemaVersion:
		return fmt.Errorf("the file has version %d, this program knows %d: run the newer program", version, schemaVersion)
	}
	if err := w.examine(ctx); err != nil {
		return err
	}
	if err := w.readMeta(ctx); err != nil {
		return err
	}
	if err := w.readLanes(ctx); err != nil {
		return err
	}
	return w.conn.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM event").Scan(&w.last)
}

// create makes the tables in one transaction.
func (w *writer) create(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nINSERT INTO meta VALUES ('clean', 'yes');\nPRAGMA user_version = %d;\nCOMMIT", schema, schemaVersion))
	if err != nil {
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // there may be none
	}
	return err
}

// readMeta learns whether the last end was clean, and says in the file that this
// one is not yet.
func (w *writer) readMeta(ctx context.Context) error {
	var clean string
	err := w.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'clean'").Scan(&clean)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	w.s.clean = clean == "yes"
	return w.setMeta("clean", "no")
}

func (w *writer) readLanes(ctx context.Context) error {
	rows, err := w.conn.QueryContext(ctx, `SELECT id, key, held, held_who, held_why, held_at, learned, ceiling, paused_until, pauses, key_refused,
		waiting0, waiting1, waiting2, waiting3, delivered, refused, expired FROM lane`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var l laneState
		var text string
		var heldAt, paused, refused int64
		err := rows.Scan(&l.lane.ID, &text, &l.lane.Held, &l.lane.HeldBy.Who, &l.lane.HeldBy.Why, &heldAt, &l.lane.Learned, &l.lane.Ceiling,
			&paused, &l.lane.Pauses, &refused, &l.counts.Waiting[0], &l.counts.Waiting[1], &l.counts.Waiting[2], &l.counts.Waiting[3],
			&l.counts.Delivered, &l.counts.Refused, &l.counts.Expired)
		if err != nil {
			return err
		}
		if l.lane.Key, err = eventsv2.ParseKey(text); err != nil {
			return fmt.Errorf("lane %d: %w: %w", l.lane.ID, errDamaged, err)
		}
		l.lane.HeldBy.At, l.lane.PausedUntil, l.lane.KeyRefused = fromMillis(heldAt), fromMillis(paused), fromMillis(refused)
		w.s.queued += l.counts.Total()
		l.committed = l.counts
		w.s.addLane(&l)
	}
	return rows.Err()
}

// AnnounceAll tells OnReady of every lane that has ready events. The relay asks
// for it once its scheduler listens.
func (s *Store) AnnounceAll(ctx context.Context) error {
	return s.rows(ctx, `SELECT lane.id, (SELECT priority FROM event WHERE event.lane = lane.id AND state = 0 ORDER BY priority LIMIT 1) AS rank FROM lane WHERE rank IS NOT NULL`, nil,
		func(scan func(...any) error) error {
			var lane int64
			var rank queue.Rank
			err := scan(&lane, &rank)
			if err == nil {
				s.o.OnReady(lane, rank)
			}
			return err
		})
}
