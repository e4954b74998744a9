package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// longestWait is how long a waiting event waits at most after a start.
const longestWait = time.Minute

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
	case version != schemaVersion:
		return w.foreign(ctx, version)
	}
	if err := w.s.examine(); err != nil {
		return err
	}
	if err := w.readMeta(ctx); err != nil {
		return err
	}
	if err := w.readLanes(ctx); err != nil {
		return err
	}
	// A clock that was set back must not keep an event for an hour; what a server
	// asked for, it can ask for again.
	latest := millis(w.s.o.Now().Add(longestWait))
	if err := w.exec("UPDATE event SET due = ?1 WHERE state = 2 AND due > ?1", latest); err != nil {
		return err
	}
	return w.conn.QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(id) FROM event), 0),
		coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last'), 0))`).Scan(&w.last)
}

// create makes the tables in one transaction.
func (w *writer) create(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE;\n%[1]s\nINSERT INTO meta VALUES ('clean', 'yes'), ('version', '%[2]d');\nPRAGMA user_version = %[2]d;\nCOMMIT", schema, schemaVersion))
	if err != nil {
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // there may be none
	}
	return err
}

// foreign tells a file of a later program, which says its version in two places,
// from one in whose header the disk has changed a bit.
func (w *writer) foreign(ctx context.Context, version int) error {
	var said string
	err := w.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'version'").Scan(&said)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if said != strconv.Itoa(version) {
		return fmt.Errorf("%w: its version is %d in the header and %q in the table", errDamaged, version, said)
	}
	return fmt.Errorf("the file has version %d, this program knows %d: run the newer program", version, schemaVersion)
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
