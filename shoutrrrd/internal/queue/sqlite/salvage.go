package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// salvage takes what can be read of a damaged file over into the new one: lanes,
// undelivered events and dead letters whose checksum is right. What cannot be
// read stays where it is, in the file that was set aside. It is one transaction,
// which says so in the new file: nothing is taken over twice.
func (s *Store) salvage(ctx context.Context, w *writer, damaged string) error {
	var done string
	err := w.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'salvaged'").Scan(&done)
	if done == filepath.Base(damaged) || err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	values := url.Values{"_pragma": {"query_only(1)"}}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: damaged}).EscapedPath(), RawQuery: values.Encode()}
	old, err := sql.Open("sqlite", name.String())
	if err != nil {
		panic("sqlite: internal error: " + err.Error())
	}
	defer func() { _ = old.Close() }()
	old.SetMaxOpenConns(1)
	return w.transact(func() error {
		if err := w.takeLanes(ctx, old); err != nil {
			return err
		}
		if err := w.takeEvents(ctx, old); err != nil {
			return err
		}
		return w.setMeta("salvaged", filepath.Base(damaged))
	})
}

// takeLanes keeps the numbers of the lanes: the events' checksums cover them.
func (w *writer) takeLanes(ctx context.Context, old *sql.DB) error {
	rows, err := old.QueryContext(ctx, "SELECT id, key, held, held_who, held_why, held_at FROM lane ORDER BY id")
	if err != nil {
		return nil //nolint:nilerr // a damaged file says what it can
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, heldAt int64
		var text string
		var lane queue.Lane
		if rows.Scan(&id, &text, &lane.Held, &lane.HeldBy.Who, &lane.HeldBy.Why, &heldAt) != nil {
			break
		}
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			continue
		}
		lane.ID, lane.Key, lane.HeldBy.At = id, key, fromMillis(heldAt)
		err = w.exec("INSERT INTO lane (id, key, held, held_who, held_why, held_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			id, text, lane.Held, lane.HeldBy.Who, lane.HeldBy.Why, heldAt)
		if err != nil {
			return err
		}
		w.s.mu.Lock()
		w.s.addLane(&laneState{lane: lane})
		w.s.mu.Unlock()
	}
	return nil
}

// takeEvents reads from row to row. Where a page cannot be read it leaps, further
// each time, until something can be read again.
func (w *writer) takeEvents(ctx context.Context, old *sql.DB) error {
	const furthest = 1 << 40
	after, leap := int64(0), int64(1)
	for after < furthest {
		e, err := scanEvent(old.QueryRowContext(ctx, `SELECT `+columns+` FROM event WHERE id > ?1 ORDER BY id LIMIT 1`, after).Scan)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil, e.ID <= after: // in a damaged tree the next one may be an earlier one, for ever
			after, leap = after+leap, leap*2
			continue
		}
		after, leap = e.ID, 1
		if err := w.take(&e); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) take(e *row) error {
	if !e.intact() || w.s.byID[e.Lane] == nil || e.State.Ended() && !e.State.Dead() {
		return nil
	}
	state := e.State
	w.last = max(w.last, e.ID-1) // the event keeps its number
	placed, err := w.put(&queue.New{
		Lane: e.Lane, Pool: e.Pool, Kind: e.Kind, Action: e.Action, DedupKey: e.DedupKey,
		Severity: e.Severity, Accepted: e.Accepted, Repairs: e.Repairs, Body: e.Body,
	})
	if err == nil && !placed.Coalesced { // its age, and what it stands for
		err = w.exec(`UPDATE event SET fresh = ?2, repeats = ?3, attempts = ?4 WHERE id = ?1`, placed.ID, millis(e.Fresh), e.Repeats, e.Attempts)
	}
	if err != nil || !state.Dead() {
		return err
	}
	c := claim{0, placed.Lane, e.Kind, e.Action, e.DedupKey, e.Pool, e.Severity}
	if tail, err := w.event(placed.ID); err != nil || placed.Coalesced || tail.State == queue.Blocked {
		return err // it shares a chain with something that is live: sending it again is the lesser evil
	}
	return w.end(placed.ID, c, &queue.Settlement{ID: placed.ID, State: state, At: e.Ended, Attempts: e.Attempts, Status: e.Status, Reason: strings.TrimSpace(e.Reason)})
}
