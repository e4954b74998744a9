package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// claim is an event that somebody is delivering.
type claim struct {
	token    uint64
	lane     int64
	kind     queue.Kind
	action   eventsv2.Action
	dedup    string
	pool     string
	severity queue.Rank
}

// Claim takes up to n of the lane's ready events that nobody holds. The writer
// does it, between two changes: nothing can be coalesced into an event whose body
// has been handed out.
func (s *Store) Claim(ctx context.Context, lane int64, pick queue.Pick, n int) ([]queue.Event, error) {
	var events []queue.Event
	err := s.submit(ctx, func(w *writer) error {
		var err error
		events, err = w.claim(lane, pick, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

func (w *writer) claim(lane int64, pick queue.Pick, n int) ([]queue.Event, error) {
	held := 0
	for _, c := range w.s.claims {
		if c.lane == lane {
			held++
		}
	}
	found, err := w.candidates(lane, pick, n+held)
	if err != nil {
		return nil, err
	}
	var taken []queue.Event
	for _, e := range found {
		if _, claimed := w.s.claims[e.ID]; claimed || len(taken) == n {
			continue
		}
		if !e.intact() {
			if err := w.bury(&e.Event); err != nil {
				return nil, err
			}
			continue
		}
		w.token++
		e.Claim, e.InFlight = w.token, true
		taken = append(taken, e.Event)
	}
	for _, e := range taken {
		w.setClaim(e.ID, claim{e.Claim, e.Lane, e.Kind, e.Action, e.DedupKey, e.Pool, e.Severity})
	}
	return taken, nil
}

// setClaim changes a claim at once, as a second request of the same transaction
// must see it, and takes that back if the transaction fails. A zero token gives it up.
func (w *writer) setClaim(id int64, c claim) {
	set := func(c claim) {
		if c.token == 0 {
			delete(w.s.claims, id)
			return
		}
		w.s.claims[id] = c
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	before := w.s.claims[id]
	set(c)
	w.undo = append(w.undo, func() { set(before) })
}

// candidates reads ready events in the order of the pick.
func (w *writer) candidates(lane int64, pick queue.Pick, n int) ([]row, error) {
	const ready = `SELECT ` + columns + ` FROM event INDEXED BY event_ready WHERE state = 0 AND lane = ?1`
	switch pick {
	case queue.OnlyCritical:
		return w.events(ready+` AND priority = 0 ORDER BY id LIMIT ?2`, lane, n)
	case queue.Oldest:
		var all []row
		for rank := range queue.Ranks {
			some, err := w.events(ready+` AND priority = ?3 ORDER BY id LIMIT ?2`, lane, n, rank)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		slices.SortFunc(all, func(a, b row) int { return int(a.ID - b.ID) })
		return all, nil
	}
	return w.events(ready+` ORDER BY priority, id LIMIT ?2`, lane, n)
}

func (w *writer) events(text string, args ...any) ([]row, error) {
	rows, err := w.query(text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var events []row
	for rows.Next() {
		e, err := scanEvent(rows.Scan)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// bury ends an event that the disk has changed: to send it could page anybody.
func (w *writer) bury(e *queue.Event) error {
	c := claim{0, e.Lane, e.Kind, e.Action, e.DedupKey, e.Pool, e.Severity}
	return w.end(e.ID, c, &queue.Settlement{
		ID: e.ID, State: queue.Refused, At: w.s.o.Now(), Attempts: e.Attempts,
		Reason: "its row is damaged on this machine's disk (checksum); nothing was sent",
	})
}

// Release gives claims back as if they had never been taken.
func (s *Store) Release(events []queue.Event) {
	_ = s.submit(context.Background(), func(w *writer) error { // a store that is closed has no claims
		for _, e := range events {
			if c, ok := s.claims[e.ID]; ok && c.token == e.Claim {
				w.setClaim(e.ID, claim{})
				w.ready(e.Lane, e.Priority)
			}
		}
		return nil
	})
}

// Settle ends attempts, all of them in one transaction. A settlement whose claim
// is not held any more changes nothing: the error is queue.ErrStale, the others
// are applied all the same.
func (s *Store) Settle(ctx context.Context, settlements []queue.Settlement) error {
	return s.submit(ctx, func(w *writer) error {
		var stale error
		for i := range settlements {
			err := w.settle(&settlements[i])
			if answer := (verdict{}); errors.As(err, &answer) {
				stale = verdict{errors.Join(stale, answer.error)}
				continue
			}
			if err != nil {
				return err
			}
		}
		return stale
	})
}

func (w *writer) settle(x *queue.Settlement) error {
	c, ok := w.s.claims[x.ID]
	if !ok || c.token != x.Claim {
		return verdict{fmt.Errorf("event %d: %w", x.ID, queue.ErrStale)}
	}
	w.setClaim(x.ID, claim{})
	if x.Tried && x.State != queue.Delivered {
		if err := w.log(x.ID, x.At, "attempt", x.Status, x.Reason, ""); err != nil {
			return err
		}
	}
	if x.State.Ended() {
		return w.end(x.ID, c, x)
	}
	if x.Lane != 0 && x.Lane != c.lane {
		moved, err := w.move(c, x.Lane)
		if err != nil {
			return err
		}
		if !moved { // there is a chain of the same name already: an operator has to look
			dead := *x
			dead.State = queue.Refused
			return w.end(x.ID, c, &dead)
		}
		c.lane = x.Lane
	}
	var priority queue.Rank
	err := w.queryRow(`UPDATE event SET state = ?2, due = ?3, attempts = ?4, status = ?5, reason = ?6 WHERE id = ?1 RETURNING priority`,
		[]any{x.ID, x.State, millis(x.Due), x.Attempts, x.Status, x.Reason}, []any{&priority})
	if err == nil && x.State == queue.Ready {
		w.ready(c.lane, priority)
	}
	return err
}

// end writes the end of a chain's head and lets the next one step forward, in the
// same transaction: were the next one sent before that is on the disk, a crash
// would send the first one again behind it.
func (w *writer) end(id int64, c claim, x *queue.Settlement) error {
	var next sql.NullInt64
	err := w.queryRow(`UPDATE event SET state = ?2, ended = ?3, attempts = ?4, status = ?5, reason = ?6 WHERE id = ?1 RETURNING next`,
		[]any{id, x.State, max(1, millis(x.At)), x.Attempts, x.Status, x.Reason}, []any{&next})
	if err != nil {
		return err
	}
	w.waiting(c.lane, c.severity, -1)
	w.count(c.lane, func(n *queue.Count) { bump(n, x.State, +1) })
	if c.kind == queue.Change {
		return nil
	}
	if err := w.unstick(c, x.State, next.Valid); err != nil {
		return err
	}
	return w.stepForward(c, next)
}

// stepForward makes the next event of a chain its head, or ends the chain.
func (w *writer) stepForward(c claim, next sql.NullInt64) error {
	if !next.Valid {
		return w.exec(`DELETE FROM chain WHERE lane = ?1 AND dedup = ?2`, c.lane, c.dedup)
	}
	row, err := w.chain(c.lane, c.dedup)
	if err != nil {
		return err
	}
	row.head = next.Int64
	row.n[weightOf(c.action, c.kind, c.severity)]--
	if err := w.exec(`UPDATE event SET state = 0 WHERE id = ?1`, row.head); err != nil {
		return err
	}
	return w.save(c.lane, c.dedup, row, true)
}

// unstick forgets through which of a pool's keys an incident was triggered: when
// it is over, and when PagerDuty refused the trigger, so that another key can try.
func (w *writer) unstick(c claim, state queue.State, more bool) error {
	over := state == queue.Delivered && c.action == eventsv2.Resolve && !more
	failed := state == queue.Refused && c.action == eventsv2.Trigger && !more
	if c.pool == "" || !over && !failed {
		return nil
	}
	return w.exec(`DELETE FROM sticky WHERE pool = ?1 AND dedup = ?2`, c.pool, c.dedup)
}

func bump(n *queue.Count, state queue.State, change int) {
	switch state {
	case queue.Delivered:
		n.Delivered += change
	case queue.Refused:
		n.Refused += change
	case queue.Expired:
		n.Expired += change
	}
}

// Of an event's history the first entries and the last ones are kept: three days
// of failed attempts would be thousands.
const (
	firstEntries = 20
	lastEntries  = 100
)

func (w *writer) log(event int64, at time.Time, what string, status int, text, who string) error {
	var n int64
	err := w.queryRow(`INSERT INTO log (event, n, at, what, status, text, who)
		SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM log WHERE event = ?1 RETURNING n`,
		[]any{event, millis(at), what, status, text, who}, []any{&n})
	if err != nil || n <= firstEntries+lastEntries {
		return err
	}
	return w.exec(`DELETE FROM log WHERE event = ?1 AND n = ?2`, event, n-lastEntries)
}

// wakeSlice bounds how many waiting events become ready in one transaction.
const wakeSlice = 500

// Wake makes up to n waiting events ready that are due. It returns when to call
// again: now if there are more, the zero time if nothing waits.
func (s *Store) Wake(ctx context.Context, now time.Time, n int) (time.Time, error) {
	if n <= 0 || n > wakeSlice {
		n = wakeSlice
	}
	var next time.Time
	err := s.submit(ctx, func(w *writer) error {
		rows, err := w.query(`UPDATE event SET state = 0 WHERE id IN (SELECT id FROM event WHERE state = 2 AND due <= ?1 ORDER BY due LIMIT ?2) RETURNING lane, priority`,
			millis(now), n)
		if err != nil {
			return err
		}
		err = each(rows, func(scan func(...any) error) error {
			var a announcement
			err := scan(&a.lane, &a.rank)
			w.announce = append(w.announce, a)
			return err
		})
		if err != nil {
			return err
		}
		var due sql.NullInt64
		err = w.queryRow(`SELECT min(due) FROM event WHERE state = 2`, nil, []any{&due})
		next = fromMillis(due.Int64)
		return err
	})
	return next, err
}
