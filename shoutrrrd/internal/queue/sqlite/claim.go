package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// claim is an event that is being sent. It is kept in memory alone.
type claim struct {
	token  uint64
	cells  cells // of its row, which only the writer changes
	kind   queue.Kind
	action eventsv2.Action
	chain  chainID
	alone  bool // its chain was quarantined while it was being sent
}

func (c *claim) weight() queue.Rank { return weightOf(c.action, c.kind, c.cells.severity) }

// Claim takes ready events of several lanes that are not being sent, and answers
// each ask in its place. The writer does it, between two changes: nothing can be
// coalesced into an event whose body has been handed out.
func (s *Store) Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error) {
	taken := make([]queue.Taken, len(asks))
	err := s.submit(ctx, func(w *writer) error {
		left := foldSlice
		for i := range asks {
			var err error
			if taken[i], err = w.claim(&asks[i], &left); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// claim answers one ask. Left is how many events of chains may be looked at to be folded.
func (w *writer) claim(ask *queue.Ask, left *int) (taken queue.Taken, err error) {
	lane, n := ask.Lane, ask.N
	found, err := w.candidates(lane, ask.Pick, n+1) // one more tells whether there are more
	if err != nil {
		return taken, err
	}
	f := folding{way: ask.Way, left: left}
	defer func() { taken.Merged = f.merged }()
	taken.More = len(found) > n // also if one of them is damaged
	if l := w.s.byID[lane]; l != nil {
		taken.Upstream = l.row.Upstream
	}
	for i := range found[:min(n, len(found))] {
		r := &found[i]
		of := chainID{lane, r.dedup}
		switch {
		case !r.sealed || r.lane != lane || r.state != queue.Ready:
			mended, err := w.mendIndex("event_ready", queue.Ready, lane, &r.cells)
			if err != nil || mended { // the next claim finds what is ready
				taken.More = true
				return taken, err
			}
			return queue.Taken{}, &contradiction{of, r.id, "the event's seal is wrong"}
		case !r.intact(w.keyOf(lane)):
			if err := w.bury(r); err != nil {
				return queue.Taken{}, err
			}
			continue
		}
		leaves, err := w.fold(r, &f)
		if err != nil {
			return queue.Taken{}, err
		}
		if !leaves {
			taken.More = true
			continue
		}
		w.token++
		w.setClaim(r.id, claim{token: w.token, cells: r.cells, kind: r.kind, action: r.action, chain: of})
		e := r.event()
		e.Claim, e.InFlight = w.token, true
		if e.Folded, err = w.folded(e.ID); err != nil {
			return queue.Taken{}, err
		}
		taken.Events = append(taken.Events, e)
	}
	return taken, nil
}

// mendIndex builds an index anew if an event's row, read by its number, is what was
// written, and is not what was read through the index, or does not belong there: the
// columns of an index come from its entry, which is then what the disk has changed. It
// reports whether it has.
func (w *writer) mendIndex(index string, state queue.State, lane int64, through *cells) (bool, error) {
	statement, err := w.statement(`SELECT ` + cellColumns + ` FROM event WHERE id = ?1`)
	if err != nil {
		return false, err
	}
	var own cells
	whole, err := own.scan(statement.QueryRowContext(context.Background(), through.id).Scan)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, err
	case err == nil && (!whole || own == *through && own.state == state && own.lane == lane):
		return false, nil
	}
	w.report(Incident{Event: through.id, What: "the index " + index + " was damaged and is built anew", Why: "it says something else than the event's row"})
	return true, w.reindex(index)
}

// reindex builds an index from the rows, and has the scheduler look for what is ready.
func (w *writer) reindex(index string) error {
	w.readyAll()
	return w.exec("REINDEX " + index)
}

// setClaim changes a claim at once, as a second request of the same transaction
// must see it, and takes that back if the transaction fails. A zero token gives it up.
func (w *writer) setClaim(id int64, c claim) {
	s, now := w.s, millis(w.s.o.Now())
	set := func(c claim) {
		if before, ok := s.claims[id]; ok {
			if s.flying[before.chain.lane]--; s.flying[before.chain.lane] == 0 {
				delete(s.flying, before.chain.lane)
			}
			delete(s.claims, id)
			if l := s.byID[before.chain.lane]; l != nil {
				l.claimed = now
			}
		}
		if c.token != 0 {
			s.claims[id] = c
			s.flying[c.chain.lane]++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.claims[id]
	set(c)
	w.tx.undo = append(w.tx.undo, func() { set(before) })
}

// fewFlying is up to how many events in flight it is cheaper to read them once more
// than to look for the others in two steps.
const fewFlying = 4

const ready = ` FROM event INDEXED BY event_ready WHERE state = 0 AND lane = ?1`

const latestCritical = `SELECT id, attempts` + ready + ` AND priority = 0 ORDER BY id DESC LIMIT ?2`

// leastTried reads the latest critical heads of a lane that are not being sent, as many as
// [queue.LeastTriedOf], and of these those with the fewest attempts first.
func (w *writer) leastTried(lane int64) (found []row, err error) {
	rows, err := w.query(latestCritical, lane, queue.LeastTriedOf+w.s.flying[lane])
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var r row
		err := scan(num(&r.id), num(&r.attempts))
		if _, claimed := w.s.claims[r.id]; !claimed && len(found) < queue.LeastTriedOf {
			found = append(found, r)
		}
		return err
	})
	slices.SortFunc(found, func(a, b row) int { return cmp.Or(cmp.Compare(a.attempts, b.attempts), cmp.Compare(a.id, b.id)) })
	return found, err
}

// candidates reads up to n ready events that are not being sent, in the order of the
// pick. Where many are being sent, as in a lane with a high rate, their bodies are
// not read again and again.
func (w *writer) candidates(lane int64, pick queue.Pick, n int) ([]row, error) {
	flying := w.s.flying[lane]
	what, whole := columns, flying <= fewFlying && pick != queue.LeastTried
	if !whole {
		what = `id`
	}
	var found []row
	read := func(text string, args ...any) error {
		rows, err := w.query(`SELECT `+what+text, args...)
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var r row
			err := error(nil)
			if whole {
				err = r.scan(scan)
			} else {
				err = scan(num(&r.id))
			}
			if _, claimed := w.s.claims[r.id]; !claimed {
				found = append(found, r)
			}
			return err
		})
	}
	var err error
	switch pick {
	case queue.OnlyCritical:
		err = read(ready+` AND priority = 0 ORDER BY id LIMIT ?2`, lane, n+flying)
	case queue.LeastTried:
		found, err = w.leastTried(lane)
	case queue.Oldest:
		for rank := queue.Rank(0); rank < queue.Ranks && err == nil; rank++ {
			err = read(ready+` AND priority = ?3 ORDER BY id LIMIT ?2`, lane, n+flying, rank)
		}
		slices.SortFunc(found, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	default:
		err = read(ready+` ORDER BY priority, id LIMIT ?2`, lane, n+flying)
	}
	found = found[:min(n, len(found))]
	for i := 0; i < len(found) && err == nil && !whole; i++ {
		var one []row
		if one, err = w.events(`SELECT `+columns+` FROM event WHERE id = ?1`, found[i].id); err == nil && len(one) != 1 {
			err = &contradiction{chainID{lane, ""}, found[i].id, "the index of what is ready names an event that is not there"}
		}
		if err == nil {
			found[i] = one[0]
		}
	}
	return found, err
}

func (w *writer) events(text string, args ...any) ([]row, error) {
	rows, err := w.query(text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var events []row
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return nil, err
		}
		events = append(events, r)
	}
	return events, rows.Err()
}

// bury ends an event whose content the disk has changed: to send it could page
// anyone. The rest of its chain goes on.
func (w *writer) bury(r *row) error {
	c := claim{cells: r.cells, kind: r.kind, action: r.action, chain: chainID{r.lane, r.dedup}}
	w.report(Incident{Lane: r.lane, Event: r.id, What: "an event is a dead letter", Why: damagedReason})
	begins, err := w.begins(&c)
	if err != nil {
		return err
	}
	if !begins {
		w.learn(w.s.examineSoon) // its own chain is found that way
		return w.buryAlone(&c.cells)
	}
	return w.end(&c, &queue.Settlement{ID: r.id, State: queue.Refused, At: w.s.o.Now(), Attempts: r.attempts, Reason: damagedReason})
}

// begins reports whether the chain of that name begins with the event: the disk may
// have made its dedup key that of another chain, which goes on.
func (w *writer) begins(c *claim) (bool, error) {
	if c.kind == queue.Change {
		return true, nil
	}
	row, err := w.chain(c.chain)
	if bad := (*contradiction)(nil); errors.As(err, &bad) {
		return false, nil
	}
	return row.head == c.cells.id, err
}

// damagedReason is the reason of a dead letter that the disk has made.
const damagedReason = "its row is damaged on the relay's disk (checksum); nothing was sent"

// Release gives claims back as if they had never been taken.
func (s *Store) Release(events []queue.Event) {
	_ = s.submit(context.Background(), func(w *writer) error { // a store that is closed has no claims
		for _, e := range events {
			c, ok := s.claims[e.ID]
			if !ok || c.token != e.Claim {
				continue
			}
			w.setClaim(e.ID, claim{})
			if c.alone {
				if err := w.buryAlone(&c.cells); err != nil {
					return err
				}
				continue
			}
			w.ready(c.chain.lane, e.Priority)
		}
		return nil
	})
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
		due, err := w.due(millis(now), n)
		if err != nil {
			return err
		}
		for i, before := 0, w.written; i < len(due) && w.written-before < transactionBytes; i++ {
			x := &due[i]
			if !x.whole {
				if mended, err := w.mendIndex("event_due", queue.Waiting, x.lane, &x.cells); err != nil || mended {
					next = now
					return err
				}
				return &contradiction{chainID{x.lane, x.dedup}, x.id, "the event's seal is wrong"}
			}
			x.state = queue.Ready
			if err := w.write(&x.cells); err != nil {
				return err
			}
			w.ready(x.lane, x.priority)
		}
		var at sql.NullInt64
		err = w.queryRow(`SELECT min(due) FROM event WHERE state = 2`, nil, []any{&at})
		next = fromMillis(at.Int64)
		return err
	})
	return next, err
}

// Hasten makes up to n events of these lanes ready that wait to be sent again, the most
// severe first, whenever they are due. It reports whether there may be more. It looks at
// all that wait, in all lanes: those are attempts that have failed within about a minute.
func (s *Store) Hasten(ctx context.Context, lanes []int64, n int) (more bool, err error) {
	if n <= 0 || n > wakeSlice {
		n = wakeSlice
	}
	of := make(map[int64]bool, len(lanes))
	for _, id := range lanes {
		of[id] = true
	}
	err = s.submit(ctx, func(w *writer) error {
		more = false
		waiting, err := w.retries(of)
		if err != nil {
			return err
		}
		statement, err := w.statement(`SELECT ` + cellColumns + ` FROM event WHERE id = ?1`)
		if err != nil {
			return err
		}
		before := w.written
		for i, one := range waiting {
			if i == n || w.written-before >= transactionBytes {
				more = w.written > before
				return nil
			}
			var x cells
			whole, err := x.scan(statement.QueryRowContext(ctx, one.id).Scan)
			switch {
			case err != nil && !errors.Is(err, sql.ErrNoRows):
				return err
			case err != nil || !whole || x.state != queue.Waiting: // it is mended when it is due
				continue
			}
			x.state = queue.Ready
			if err := w.write(&x); err != nil {
				return err
			}
			w.ready(x.lane, x.priority)
		}
		return nil
	})
	return more, err
}

// retry is an event that waits to be sent again.
type retry struct {
	id, due  int64
	priority queue.Rank
}

// retries reads what waits to be sent again in some lanes, the most severe first, and of
// these what is due first.
func (w *writer) retries(of map[int64]bool) (list []retry, err error) {
	rows, err := w.query(`SELECT id, lane, priority, due FROM event INDEXED BY event_due WHERE state = 2`)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var x retry
		lane := int64(0)
		err := scan(num(&x.id), num(&lane), num(&x.priority), num(&x.due))
		if of[lane] {
			list = append(list, x)
		}
		return err
	})
	slices.SortFunc(list, func(a, b retry) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	return list, err
}

// dueRow is what is read of an event that is due.
type dueRow struct {
	cells
	dedup string
	whole bool // its seal is right
}

// due reads up to n events that wait and are due. Their bodies stay where they are: five
// hundred can have 250 MB.
func (w *writer) due(now int64, n int) ([]dueRow, error) {
	rows, err := w.query(`SELECT `+cellColumns+`, dedup FROM event INDEXED BY event_due WHERE state = 2 AND due <= ?1 ORDER BY due LIMIT ?2`, now, n)
	if err != nil {
		return nil, err
	}
	return readDue(rows)
}

func readDue(rows *sql.Rows) (due []dueRow, err error) {
	err = each(rows, func(scan func(...any) error) (err error) {
		var x dueRow
		x.whole, err = x.scan(scan, txt(&x.dedup))
		due = append(due, x)
		return err
	})
	return due, err
}
