package sqlite

import (
	"context"
	"fmt"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Put keeps an event and returns once it is on the disk. queue.ErrFull,
// queue.ErrUnavailable, queue.ErrBroken and queue.ErrInternal say that it was not
// kept; queue.ErrNotFound that its lane has just been forgotten: ask for it again.
// If the disk hangs, the error is queue.ErrUnavailable and the outcome unknown.
func (s *Store) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	var placed queue.Placed
	err := s.submitWithin(ctx, s.o.slowAfter, len(e.Body), func(w *writer) error {
		var err error
		placed, err = w.put(&e)
		return err
	})
	if err != nil { // of a disk that hangs: the writer may come to it still
		return queue.Placed{}, err
	}
	return placed, nil
}

func (w *writer) put(e *queue.New) (queue.Placed, error) {
	if e.Origin == 0 {
		e.Origin = e.Lane
	}
	lane, err := w.laneOf(e)
	if err != nil {
		return queue.Placed{}, err
	}
	r, ok := w.change(lane)
	if !ok {
		return queue.Placed{}, verdict{fmt.Errorf("lane %d: %w", lane, queue.ErrNotFound)}
	}
	r.used = millis(e.Accepted)
	w.follow(r)
	weight := weightOf(e.Action, e.Kind, e.Severity)
	if e.Kind == queue.Change {
		if err := w.room(lane, weight); err != nil {
			return queue.Placed{}, err
		}
		return w.insert(e, lane, queue.Ready, weight, 0)
	}
	id := chainID{lane, e.DedupKey}
	begun, err := w.begin(id, w.last+1, weight)
	if err != nil {
		return queue.Placed{}, err
	}
	if !begun {
		return w.join(e, id, weight)
	}
	if err := w.room(lane, weight); err != nil {
		if undo := w.deleteChain(id); undo != nil {
			return queue.Placed{}, undo
		}
		return queue.Placed{}, err
	}
	return w.insert(e, lane, queue.Ready, weight, 0)
}

func (w *writer) factsOf(e *queue.New, lane int64) (facts, int64) {
	c := facts{
		kind: e.Kind, action: e.Action, dedup: e.DedupKey, accepted: millis(e.Accepted),
		repairs: joinLines(e.Repairs), summary: e.Summary, source: e.Source, body: string(e.Body),
	}
	key := w.keyOf(lane)
	if lane == e.Origin && !e.Key.IsZero() && e.Key.Reveal() != key.Reveal() {
		c.key = e.Key.Reveal()
	}
	return c, c.sum(key)
}

// keyOf returns the integration key of a lane, none if there is no such lane.
func (w *writer) keyOf(lane int64) eventsv2.Key {
	if l := w.s.byID[lane]; l != nil {
		return l.row.Key
	}
	return eventsv2.Key{}
}

// insert writes an event of which the chain knows already.
func (w *writer) insert(e *queue.New, lane int64, state queue.State, priority queue.Rank, prev int64) (queue.Placed, error) {
	w.last++
	w.written += len(e.Body)
	w.growth.put(len(e.Body))
	w.tx.wrote = true
	c, sum := w.factsOf(e, lane)
	x := cells{id: w.last, lane: lane, state: state, priority: priority, severity: e.Severity, prev: prev, fresh: c.accepted, content: sum}
	if err := w.insertRow(&x, &c); err != nil {
		return queue.Placed{}, err
	}
	if lane != e.Origin {
		if err := w.noteOrigin(x.id, e.Origin); err != nil {
			return queue.Placed{}, err
		}
	}
	w.waiting(lane, e.Severity, +1)
	if state == queue.Ready {
		w.ready(lane, priority)
	}
	return queue.Placed{ID: x.id, Lane: lane}, nil
}

func (w *writer) insertRow(x *cells, c *facts) error {
	return w.exec(`INSERT INTO event (id, lane, state, priority, severity, prev, next, fresh, due, ended, attempts, repeats, status, reason, seal,
			kind, action, dedup, accepted, pool, key, repairs, summary, source, size, content, body)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)`,
		x.id, x.lane, x.state, x.priority, x.severity, x.prev, x.next, x.fresh, x.due, x.ended, x.attempts, x.repeats, x.status, x.reason, x.seal(),
		c.kind, string(c.action), c.dedup, c.accepted, c.pool, c.key, c.repairs, c.summary, c.source, len(c.body), x.content, c.body)
}

// join puts an event behind the others of its chain, or into the last of them.
func (w *writer) join(e *queue.New, id chainID, weight queue.Rank) (queue.Placed, error) {
	c, err := w.chain(id)
	if err != nil {
		return queue.Placed{}, err
	}
	tail, err := w.cells(c.tail, id)
	if err != nil {
		return queue.Placed{}, err
	}
	if tail.state.Ended() {
		return queue.Placed{}, &contradiction{id, tail.id, "the tail of the chain has ended"}
	}
	if e.Action == eventsv2.Trigger {
		var action string
		if err := w.queryRow(`SELECT action FROM event WHERE id = ?1`, []any{tail.id}, []any{&action}); err != nil {
			return queue.Placed{}, err
		}
		_, claimed := w.s.claims[tail.id]
		if action == string(eventsv2.Trigger) && !claimed {
			return w.coalesce(e, &c, &tail)
		}
		if err := w.remember(incident{e.Origin, e.DedupKey, id.lane, 0}); err != nil { // as the chain's head does not say it
			return queue.Placed{}, err
		}
	}
	if err := w.room(id.lane, weight); err != nil {
		return queue.Placed{}, err
	}
	placed, err := w.insert(e, id.lane, queue.Blocked, weight, tail.id)
	if err != nil {
		return placed, err
	}
	tail.next = placed.ID
	if err := w.link(&tail); err != nil {
		return placed, err
	}
	before := c.priority()
	c.tail = placed.ID
	c.n[weight]++
	if err := w.saveChain(&c); err != nil || c.priority() == before {
		return placed, err
	}
	return placed, w.prioritise(&c)
}

// coalesce puts a trigger into the one that waits at the end of its chain: the
// latest payload, the highest severity, and a count. The place in the queue and
// the time of the first acceptance stay.
func (w *writer) coalesce(e *queue.New, c *chain, tail *cells) (queue.Placed, error) {
	had, lane := tail.severity, tail.lane
	w.written += len(e.Body)
	w.growth.put(len(e.Body))
	w.tx.wrote = true
	var accepted int64
	if err := w.queryRow(`SELECT accepted FROM event WHERE id = ?1`, []any{tail.id}, []any{&accepted}); err != nil {
		return queue.Placed{}, err
	}
	tail.lane, tail.severity, tail.fresh = c.id.lane, min(had, e.Severity), millis(e.Accepted)
	tail.repeats++
	x, _ := w.factsOf(e, tail.lane)
	x.accepted = accepted
	tail.content = x.sum(w.keyOf(tail.lane))
	if err := w.exec(`UPDATE event SET pool = ?2, key = ?3, repairs = ?4, summary = ?5, source = ?6, size = ?7, body = ?8 WHERE id = ?1`,
		tail.id, x.pool, x.key, x.repairs, x.summary, x.source, len(x.body), x.body); err != nil {
		return queue.Placed{}, err
	}
	if err := w.write(tail); err != nil {
		return queue.Placed{}, err
	}
	placed := queue.Placed{ID: tail.id, Lane: c.id.lane, Coalesced: true}
	if tail.severity == had && lane == tail.lane {
		return placed, nil
	}
	w.waiting(tail.lane, tail.severity, +1) // first: a lane in which nothing is left takes another upstream
	w.waiting(lane, had, -1)
	before := c.priority()
	if err := c.take(had, tail.id); err != nil {
		return placed, err
	}
	c.n[tail.severity]++
	if err := w.saveChain(c); err != nil || c.priority() == before {
		return placed, err
	}
	return placed, w.prioritise(c)
}
