package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// againSlice is how many events go into the queue again in one transaction: some tens of
// milliseconds of work, for which an event that comes meanwhile waits.
const againSlice = 100

// longestWalk is how many events of a chain are looked at for the place of one: to read
// one takes some 10 µs.
const longestWalk = 5000

// Requeue sends events once more that have ended, see [queue.Again], and answers for each
// of them, in the order of their numbers. They go in slices: an error of the store ends
// that, and the answers are those of the slices before it.
func (s *Store) Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(a.IDs)))
	answers := make([]queue.Requeued, 0, len(ids))
	for len(ids) > 0 {
		var slice []queue.Requeued
		err := s.submit(ctx, func(w *writer) error {
			slice = slice[:0]
			before := w.written
			for _, id := range ids[:min(againSlice, len(ids))] {
				if len(slice) > 0 && w.written-before >= largeBytes {
					break
				}
				answer, err := w.requeue(&a, id)
				if no := (verdict{}); errors.As(err, &no) {
					answer, err = queue.Requeued{ID: id, Err: no.error}, nil
				}
				if err != nil {
					return err
				}
				slice = append(slice, answer)
			}
			return nil
		})
		if err != nil {
			return answers, err
		}
		answers, ids = append(answers, slice...), ids[len(slice):]
	}
	return answers, nil
}

// again is an event that is to be sent once more.
type again struct {
	row
	origin, lane int64
	incident     incident
	pool         []int64
	by           queue.By
	now          time.Time
}

func (w *writer) requeue(a *queue.Again, id int64) (queue.Requeued, error) {
	r, err := w.event(id)
	if err != nil {
		return queue.Requeued{}, err
	}
	switch {
	case !r.state.Dead() && r.state != queue.Dropped && (!a.Delivered || r.state != queue.Delivered):
		return queue.Requeued{}, verdict{fmt.Errorf("event %d is %s: %w: only what was refused, has expired or was dropped can be requeued", id, r.state, queue.ErrState)}
	case w.s.byID[r.lane] == nil:
		return queue.Requeued{}, verdict{fmt.Errorf("event %d: %w: its lane has been forgotten, so its integration key is not known any more; send the event anew", id, queue.ErrUnsendable)}
	case !r.intact(w.keyOf(r.lane)):
		return queue.Requeued{}, verdict{fmt.Errorf("event %d: %w: its content is damaged on the disk, and sending it could page anyone; drop it", id, queue.ErrUnsendable)}
	}
	x := &again{row: r, lane: r.lane, by: a.By, now: w.s.o.Now()}
	if err := w.findLane(x, a); err != nil {
		return queue.Requeued{}, err
	}
	if outdated, err := w.outdated(x); err != nil {
		return queue.Requeued{}, err
	} else if outdated {
		return queue.Requeued{}, verdict{fmt.Errorf("event %d: %w", id, queue.ErrOutdated)}
	}
	if !a.Elsewhere && w.elsewhere(x) {
		return queue.Requeued{}, verdict{fmt.Errorf("event %d: %w", id, queue.ErrElsewhere)}
	}
	if a.Preview {
		return queue.Requeued{ID: id, Lane: x.lane}, nil
	}
	return w.place(x)
}

// findLane finds the lane of the event's incident, as for a new event. One that is not
// known stays where it was.
func (w *writer) findLane(x *again, a *queue.Again) error {
	err := w.queryRow(`SELECT coalesce((SELECT lane FROM origin WHERE event = ?1), ?2)`, []any{x.id, x.row.lane}, []any{num(&x.origin)})
	if heir := a.Heirs[x.lane]; x.kind == queue.Change || x.action == eventsv2.Trigger {
		if l := w.s.byID[heir]; l != nil && !l.leaving {
			x.lane = heir
		}
	}
	if err != nil || x.kind == queue.Change {
		return err
	}
	if x.pool = a.PoolOf(x.origin); x.pool == nil {
		x.pool = a.PoolOf(x.row.lane)
	}
	x.incident, err = w.incidentOf(x.origin, x.dedup, x.action, x.pool)
	if x.incident.lane != 0 {
		x.lane = x.incident.lane
	}
	return err
}

// elsewhere reports whether the event was accepted for another upstream than that of the lane
// in which it is to be queued.
func (w *writer) elsewhere(x *again) bool {
	was, to := w.s.byID[x.row.lane].row, w.s.byID[x.lane].row
	to.Follow(w.s.o.Configured(to.Key), to.count.Total(), w.last)
	return x.id <= was.Since || was.Upstream != "" && to.Upstream != "" && was.Upstream != to.Upstream
}

// outdated reports whether what the sender has said later was delivered, or is being sent:
// by any key of the pool as it is now, or for the key that he named, whatever pool that was in.
func (w *writer) outdated(x *again) (bool, error) {
	if x.kind == queue.Change {
		return false, nil
	}
	by := queue.OutdatedBy(string(x.action))
	of := append([]int64{x.row.lane, x.lane, x.origin}, x.pool...)
	for id, c := range w.s.claims {
		if id <= x.id || c.chain.dedup != x.dedup || string(c.action) != by {
			continue
		}
		var origin int64
		if err := w.queryRow(`SELECT coalesce((SELECT lane FROM origin WHERE event = ?1), ?2)`, []any{id, c.chain.lane}, []any{num(&origin)}); err != nil {
			return false, err
		}
		if slices.Contains(of, c.chain.lane) || slices.Contains(of, origin) {
			return true, nil
		}
	}
	rows, err := w.query(`SELECT e.lane, coalesce(o.lane, e.lane) FROM event e INDEXED BY event_said LEFT JOIN origin o ON o.event = e.id
		WHERE e.state = 4 AND e.kind = 0 AND e.dedup = ?1 AND e.action = ?2 AND e.id > ?3 LIMIT 100`, x.dedup, by, x.id)
	if err != nil {
		return false, err
	}
	found := false
	err = each(rows, func(scan func(...any) error) error {
		var lane, origin int64
		err := scan(num(&lane), num(&origin))
		found = found || slices.Contains(of, lane) || slices.Contains(of, origin)
		return err
	})
	return found, err
}

// place puts the event into its chain by its number, or into a trigger beside it.
func (w *writer) place(x *again) (queue.Requeued, error) {
	answer := queue.Requeued{ID: x.id, Lane: x.lane}
	weight := weightOf(x.action, x.kind, x.severity)
	if r, ok := w.change(x.lane); ok {
		w.follow(r)
	}
	id := chainID{x.lane, x.dedup}
	before, behind := int64(0), int64(0)
	begun := x.kind == queue.Change
	if !begun {
		exists := false
		err := w.queryRow(`SELECT EXISTS (SELECT 1 FROM chain WHERE lane = ?1 AND dedup = ?2)`, []any{id.lane, id.dedup}, []any{&exists})
		if err == nil && exists {
			before, behind, err = w.placeOf(id, x.id)
		}
		if begun = !exists; err != nil {
			return answer, err
		}
		for _, beside := range []int64{before, behind} {
			if into, err := w.triggerBeside(x, beside); err != nil {
				return answer, err
			} else if into {
				answer.Into, answer.Coalesced = beside, true
				return answer, w.coalesceAgain(x, id, beside)
			}
		}
	}
	if err := w.room(x.lane, weight); err != nil {
		return answer, err
	}
	y, err := w.revive(x, weight)
	if err != nil {
		return answer, err
	}
	if begun {
		if x.kind == queue.Alert {
			_, err = w.begin(id, y.id, weight)
		}
		w.ready(id.lane, weight)
		return answer, errors.Join(err, w.write(&y))
	}
	return answer, w.insertBetween(&y, id, before, behind, weight)
}

// placeOf finds the neighbours of an event in a chain, which is in the order of numbers.
// What is being sent keeps its place.
func (w *writer) placeOf(id chainID, event int64) (before, behind int64, err error) {
	c, err := w.chain(id)
	if err != nil {
		return 0, 0, err
	}
	if _, claimed := w.s.claims[c.head]; !claimed && c.head > event {
		return 0, c.head, nil
	}
	before = c.tail
	for walked := 0; before > event && before != c.head; walked++ {
		x, err := w.cells(before, id)
		if err != nil {
			return 0, 0, err
		}
		if behind, before = before, x.prev; before == 0 {
			return 0, 0, &contradiction{id, x.id, "nothing comes before it, and it is not the head"}
		}
		if walked == longestWalk {
			return 0, 0, verdict{fmt.Errorf("event %d: %w: too much is queued behind it of its dedup key; try again when that has left", event, queue.ErrState)}
		}
	}
	return before, behind, nil
}

// triggerBeside reports whether an event that is a trigger can go into a neighbour. Into the
// one with the smaller number others may have gone since: then nobody knows which of the two
// payloads is the later one, and each is sent.
func (w *writer) triggerBeside(x *again, beside int64) (bool, error) {
	if _, claimed := w.s.claims[beside]; beside == 0 || claimed || x.action != eventsv2.Trigger {
		return false, nil
	}
	var action string
	var repeats int64
	err := w.queryRow(`SELECT coalesce(max(action), ''), coalesce(max(repeats), 0) FROM event WHERE id = ?1`, []any{beside}, []any{&action, &repeats})
	if x.id < beside {
		repeats = int64(x.repeats)
	}
	return action == string(eventsv2.Trigger) && repeats == 0, err
}

// coalesceAgain puts a trigger into another one beside it: the payload of the one that came
// later, the time of the first, the highest severity and the sum of both. It ends itself,
// and its history says where it is.
func (w *writer) coalesceAgain(x *again, id chainID, into int64) error {
	other, err := w.event(into)
	if err != nil {
		return err
	}
	had, lane := other.severity, other.cells.lane
	if !other.intact(w.keyOf(lane)) {
		return &contradiction{id, into, "the event's content is damaged"}
	}
	y := other.cells
	y.lane, y.severity, y.fresh = id.lane, min(had, x.severity), millis(x.now)
	y.repeats += 1 + x.repeats
	f := other.facts
	if f.accepted = min(f.accepted, x.accepted); x.id > into {
		f.key, f.repairs, f.summary, f.source, f.body = "", x.repairs, x.summary, x.source, x.body
	}
	y.content = f.sum(w.keyOf(y.lane))
	if err := w.exec(`UPDATE event SET accepted = ?2, key = ?3, repairs = ?4, summary = ?5, source = ?6, size = ?7, body = ?8 WHERE id = ?1`,
		into, f.accepted, f.key, f.repairs, f.summary, f.source, len(f.body), f.body); err != nil {
		return err
	}
	if err := w.write(&y); err != nil {
		return err
	}
	w.tx.wrote = true
	w.waiting(y.lane, y.severity, +1) // first: a lane in which nothing is left takes another upstream
	w.waiting(lane, had, -1)
	c, err := w.chain(id)
	if err == nil {
		err = c.take(had, into)
	}
	if err != nil {
		return err
	}
	c.n[y.severity]++
	if err := errors.Join(w.saveChain(&c), w.prioritise(&c), w.leaveEnd(x), w.tellToo(x.id, into)); err != nil {
		return err
	}
	z := x.cells
	z.state, z.ended = queue.Dropped, max(1, millis(x.now))
	return errors.Join(w.write(&z), w.log(x.id, x.now, "coalesced", 0, fmt.Sprintf("into event %d", into), x.by.Who))
}

// tellToo has an event tell what another one tells that goes into it.
func (w *writer) tellToo(from, into int64) error {
	more, err := w.folded(from)
	if err != nil || more.Pairs == 0 {
		return err
	}
	told, err := w.folded(into)
	if err != nil {
		return err
	}
	told.Add(more)
	return w.keepFolded(into, &told)
}

// leaveEnd takes an event that had ended out of the counts.
func (w *writer) leaveEnd(x *again) error {
	w.ended(x.row.lane, x.state, -1)
	switch {
	case x.state.Dead():
		return w.countDead(-1, -int64(len(x.body)))
	case x.state == queue.Delivered && x.now.Sub(fromMillis(x.ended)) < time.Minute: // PagerDuty counts it still
		return w.exec(`INSERT INTO counted (lane, at, priority, requests) VALUES (?1, ?2, ?3, 1)`, x.row.lane, x.ended, x.priority)
	}
	return nil
}

// revive makes the cells of an event that is queued again, in its lane, which are still to
// be written. Its age counts from now.
func (w *writer) revive(x *again, weight queue.Rank) (cells, error) {
	what := "requeued"
	if x.state == queue.Delivered {
		what = "replayed"
	}
	if err := errors.Join(w.log(x.id, x.now, what, 0, x.by.Why, x.by.Who), w.leaveEnd(x)); err != nil {
		return cells{}, err
	}
	y := x.cells
	y.state, y.priority, y.fresh, y.due, y.ended, y.attempts, y.prev, y.next = queue.Ready, weight, millis(x.now), 0, 0, 0, 0, 0
	w.tx.wrote = true
	w.waiting(y.lane, y.severity, +1)
	if err := w.relocate(&y, x.lane); err != nil {
		return cells{}, err
	}
	if x.action != eventsv2.Trigger || x.kind == queue.Change {
		return y, nil
	}
	used := int64(0)
	if x.incident.used > 0 {
		used = max(1, millis(x.now))
	}
	return y, w.remember(incident{x.origin, x.dedup, x.lane, used})
}

// insertBetween puts an event into a chain, behind one and before another, of which one may
// be missing. What it makes wait behind it is not due by itself any more.
func (w *writer) insertBetween(y *cells, id chainID, before, behind int64, weight queue.Rank) error {
	c, err := w.chain(id)
	if err != nil {
		return err
	}
	y.prev, y.next = before, behind
	if behind == 0 {
		c.tail = y.id
	} else {
		next, err := w.cells(behind, id)
		if err != nil {
			return err
		}
		if behind == c.head && next.id <= w.s.unsure && !w.stepped[next.id] { // else nothing would say it any more
			if err := w.log(next.id, w.s.o.Now(), "attempt", 0, "the relay ended while it may have been in flight", ""); err != nil {
				return err
			}
		}
		next.prev, next.state, next.due = y.id, queue.Blocked, 0
		if err := w.write(&next); err != nil {
			return err
		}
	}
	if before == 0 {
		c.head = y.id
	} else {
		y.state = queue.Blocked
		prev, err := w.cells(before, id)
		if err != nil {
			return err
		}
		prev.next = y.id
		if err := w.link(&prev); err != nil {
			return err
		}
	}
	c.n[weight]++
	return errors.Join(w.write(y), w.saveChain(&c), w.prioritise(&c))
}
