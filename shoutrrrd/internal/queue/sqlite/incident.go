package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// incident says through which lane an incident was triggered, or is to be.
type incident struct {
	origin int64 // the lane of the key that the sender named
	dedup  string
	lane   int64
	used   int64 // when its last trigger left; 0 if nothing of it was accepted, or may have been
}

func (i *incident) seal() int64 {
	s := sum{numbers: make([]byte, 0, 3*8)}
	s.add(i.origin, i.lane)
	s.text(i.dedup)
	return s.seal()
}

const incidentColumns = `origin, dedup, lane, used, seal`

// scan reads an incident and reports whether it is what was written.
func (i *incident) scan(scan func(...any) error) (whole bool, err error) {
	var seal int64
	err = scan(num(&i.origin), txt(&i.dedup), num(&i.lane), num(&i.used), num(&seal))
	return err == nil && seal == i.seal(), err
}

// laneOf returns the lane that an event goes to: the one through which its incident was
// triggered, or is to be; else the one that the event names. In a pool an incident is
// looked for under all of its keys, first under the event's own. Of a trigger that another
// lane than its own gets, or a pool's, this is remembered.
func (w *writer) laneOf(e *queue.New) (int64, error) {
	if e.Kind == queue.Change {
		return e.Lane, nil
	}
	known, err := w.incidentOf(e.Origin, e.DedupKey, e.Action, e.Pool)
	if err != nil {
		return 0, err
	}
	lane := known.lane
	if lane == 0 {
		lane = e.Lane
	}
	own := known.origin == e.Origin
	if e.Action != eventsv2.Trigger || own || len(e.Pool) == 0 && lane == e.Origin {
		return lane, nil
	}
	used := int64(0)
	if known.used > 0 {
		used = max(1, millis(e.Accepted))
	}
	return lane, w.remember(incident{e.Origin, e.DedupKey, lane, used})
}

// incidentOf finds the incident that events of a key and a dedup key belong to; its lane
// is 0 if none is known. A chain of the key's own counts as well: what comes next goes
// behind it. One that begins with an acknowledge or resolve is of no incident: it counts
// last, and not for a trigger.
func (w *writer) incidentOf(origin int64, dedup string, action eventsv2.Action, pool []int64) (incident, error) {
	found, err := w.firstIncident(`SELECT `+incidentColumns+` FROM incident WHERE origin = ?1 AND dedup = ?2`, origin, dedup)
	if err != nil || found.lane != 0 || len(pool) == 0 {
		return found, err
	}
	if found, err = w.firstIncident(byLane, origin, dedup); err != nil || found.lane != 0 {
		return found, err
	}
	head, err := w.headAction(chainID{origin, dedup})
	if err != nil || head == eventsv2.Trigger {
		return incident{dedup: dedup, lane: origin}, err
	}
	for _, lane := range pool {
		if lane == origin {
			continue
		}
		for _, text := range []string{`SELECT ` + incidentColumns + ` FROM incident WHERE origin = ?1 AND dedup = ?2`, byLane} {
			if found, err = w.firstIncident(text, lane, dedup); err != nil || found.lane != 0 {
				return found, err
			}
		}
	}
	if head != "" && action != eventsv2.Trigger {
		return incident{dedup: dedup, lane: origin}, nil
	}
	return incident{}, nil
}

const byLane = `SELECT ` + incidentColumns + ` FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND dedup = ?2 ORDER BY used DESC LIMIT 1`

// firstIncident reads one incident. One that is not what was written, or whose lane is
// there no more, is none.
func (w *writer) firstIncident(text string, lane int64, dedup string) (i incident, err error) {
	statement, err := w.statement(text)
	if err != nil {
		return i, err
	}
	whole, err := i.scan(statement.QueryRowContext(context.Background(), lane, dedup).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return incident{}, nil
	}
	if l := w.s.byID[i.lane]; err == nil && (!whole || l == nil || l.leaving) {
		i = incident{}
	}
	return i, err
}

// headAction is what the first event of a chain says, "" if there is none.
func (w *writer) headAction(id chainID) (eventsv2.Action, error) {
	var head string
	err := w.queryRow(`SELECT coalesce((SELECT action FROM event WHERE id = (SELECT head FROM chain WHERE lane = ?1 AND dedup = ?2)), '')`,
		[]any{id.lane, id.dedup}, []any{&head})
	return eventsv2.Action(head), err
}

// remember keeps through which lane an incident leaves. What is known already of the same
// lane is more than that.
func (w *writer) remember(i incident) error {
	return w.exec(`INSERT INTO incident (`+incidentColumns+`) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT DO UPDATE SET lane = excluded.lane, used = iif(lane = excluded.lane, max(used, excluded.used), excluded.used), seal = excluded.seal`,
		i.origin, i.dedup, i.lane, i.used, i.seal())
}

// isNew reports whether a chain may leave by another lane: it begins with a trigger, and
// nothing of its incident was accepted by PagerDuty, or may have been. What may have been
// in flight when a process ended is not new, unless the key was rejected already when it
// came: nothing was accepted since then.
func (w *writer) isNew(c *claim, rejected bool) (bool, error) {
	if c.kind != queue.Alert || c.action != eventsv2.Trigger {
		return false, nil
	}
	if c.cells.id <= w.s.unsure {
		l := w.s.byID[c.chain.lane]
		if !rejected || l == nil || l.row.KeyRefused.IsZero() || millis(l.row.KeyRefused) >= c.cells.fresh {
			return false, nil
		}
	}
	var used bool
	err := w.queryRow(`SELECT EXISTS (SELECT 1 FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND dedup = ?2 AND used > 0)`,
		[]any{c.chain.lane, c.chain.dedup}, []any{&used})
	return err == nil && !used, err
}

// sent notes that PagerDuty has accepted an event, or may have: the incident is that
// key's. A resolve that was accepted ends it: what is behind it is of a new one. An event
// that was left in another lane says nothing of it.
func (w *writer) sent(c *claim, x *queue.Settlement) error {
	if c.kind == queue.Change || c.alone {
		return nil
	}
	lane, dedup, at := c.chain.lane, c.chain.dedup, max(1, millis(x.At))
	switch {
	case x.State == queue.Delivered && c.action == eventsv2.Resolve:
		return w.exec(`UPDATE incident SET used = 0 WHERE lane = ?1 AND dedup = ?2`, lane, dedup)
	case c.action != eventsv2.Trigger:
		return w.exec(`UPDATE incident SET used = ?3 WHERE lane = ?1 AND dedup = ?2 AND used = 0`, lane, dedup, at)
	}
	if n, err := w.execCount(`UPDATE incident SET used = ?3 WHERE lane = ?1 AND dedup = ?2`, lane, dedup, at); err != nil || n > 0 {
		return err
	}
	return w.remember(incident{lane, dedup, lane, at})
}

// over forgets an incident when the last event of its chain has ended: it was resolved, or
// PagerDuty has nothing of it, so that another key can try.
func (w *writer) over(c *claim, state queue.State) error {
	resolved := state == queue.Delivered && c.action == eventsv2.Resolve
	if state == queue.Delivered && !resolved {
		return nil
	}
	return w.exec(`DELETE FROM incident WHERE lane = ?1 AND dedup = ?2 AND (?3 OR used = 0)`, c.chain.lane, c.chain.dedup, resolved)
}

// lead has what is said of an incident lead to another lane, to which its chain moves.
func (w *writer) lead(from chainID, to int64) error {
	rows, err := w.query(`SELECT `+incidentColumns+` FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND dedup = ?2`, from.lane, from.dedup)
	if err != nil {
		return err
	}
	list := []incident{{origin: from.lane, dedup: from.dedup, lane: to}}
	err = each(rows, func(scan func(...any) error) error {
		var i incident
		whole, err := i.scan(scan)
		if i.lane = to; whole && i.origin != from.lane {
			list = append(list, i)
		}
		return err
	})
	for i := 0; i < len(list) && err == nil; i++ {
		err = w.remember(list[i])
	}
	return err
}

// noteOrigin keeps the lane of the key that the sender of an event has named. The first
// one counts: an event may move several times.
func (w *writer) noteOrigin(event, lane int64) error {
	return w.exec(`INSERT INTO origin (event, lane) VALUES (?1, ?2) ON CONFLICT DO NOTHING`, event, lane)
}

// forgetIncidents forgets up to n incidents of which nothing has come since then, and of
// which nothing is queued.
func (w *writer) forgetIncidents(before int64, n int) error {
	forgotten, err := w.execCount(`DELETE FROM incident WHERE (origin, dedup) IN (SELECT origin, dedup FROM incident INDEXED BY incident_used WHERE used > 0 AND used < ?1
		AND NOT EXISTS (SELECT 1 FROM chain WHERE chain.lane = incident.lane AND chain.dedup = incident.dedup) ORDER BY used LIMIT ?2)`, before, n)
	w.leftovers = w.leftovers || forgotten > 0
	return err
}

// forgetUnused deletes what was never used and whose chain has ended. It looks at a slice
// in each call: as many chains may wait that are new.
func (w *writer) forgetUnused() error {
	rows, err := w.query(`SELECT origin, dedup, EXISTS (SELECT 1 FROM chain WHERE chain.lane = incident.lane AND chain.dedup = incident.dedup)
		FROM incident INDEXED BY incident_used WHERE used = 0 AND (origin, dedup) > (?1, ?2) ORDER BY origin, dedup LIMIT ?3`, w.unused.lane, w.unused.dedup, forgetSlice)
	if err != nil {
		return err
	}
	var over []chainID
	looked := 0
	err = each(rows, func(scan func(...any) error) error {
		var waits int64
		err := scan(num(&w.unused.lane), txt(&w.unused.dedup), num(&waits))
		if waits == 0 {
			over = append(over, w.unused)
		}
		looked++
		return err
	})
	for i := 0; i < len(over) && err == nil; i++ {
		err = w.exec(`DELETE FROM incident WHERE origin = ?1 AND dedup = ?2`, over[i].lane, over[i].dedup)
	}
	if looked < forgetSlice {
		w.unused = chainID{}
	}
	return err
}

// OpenBy counts the incidents that are open by the key of a lane, or may be, up to so many.
// One that was triggered under the names of two keys has two rows.
func (s *Store) OpenBy(ctx context.Context, lane int64, most int) (n int, err error) {
	err = s.rows(ctx, `SELECT count(*) FROM (SELECT DISTINCT dedup FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND used > 0 LIMIT ?2)`, []any{lane, most},
		func(scan func(...any) error) error { return scan(num(&n)) })
	return n, err
}
