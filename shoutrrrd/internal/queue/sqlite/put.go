package sqlite

import (
	"context"
	"hash/crc32"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Put keeps an event and returns once it is on the disk. queue.ErrFull,
// queue.ErrUnavailable and queue.ErrBroken say that it was not kept.
func (s *Store) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	var placed queue.Placed
	err := s.submit(ctx, func(w *writer) error {
		var err error
		placed, err = w.put(&e)
		return err
	})
	return placed, err
}

func (w *writer) put(e *queue.New) (queue.Placed, error) {
	lane, err := w.laneOf(e)
	if err != nil {
		return queue.Placed{}, err
	}
	weight := weightOf(e.Action, e.Kind, e.Severity)
	if e.Kind == queue.Change {
		return w.insert(e, lane, queue.Ready, weight)
	}
	n := counts(weight)
	fresh, err := w.execCount(`INSERT INTO chain (lane, dedup, head, tail, n0, n1, n2, n3) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING`,
		lane, e.DedupKey, w.last+1, n[0], n[1], n[2], n[3])
	if err != nil {
		return queue.Placed{}, err
	}
	if fresh == 1 {
		placed, err := w.insert(e, lane, queue.Ready, weight)
		if _, full := err.(verdict); full {
			_, undo := w.execCount(`DELETE FROM chain WHERE lane = ?1 AND dedup = ?2`, lane, e.DedupKey)
			if undo != nil {
				return placed, undo
			}
		}
		return placed, err
	}
	return w.join(e, lane, weight)
}

// laneOf returns the lane of the event's chain: with a pool the one through which
// its incident was triggered.
func (w *writer) laneOf(e *queue.New) (int64, error) {
	if e.Pool == "" {
		return e.Lane, nil
	}
	var lane int64
	now := millis(e.Accepted)
	if e.Action == eventsv2.Trigger {
		err := w.queryRow(`INSERT INTO sticky (pool, dedup, lane, used) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT DO UPDATE SET used = excluded.used RETURNING lane`, []any{e.Pool, e.DedupKey, e.Lane, now}, []any{&lane})
		return lane, err
	}
	err := w.queryRow(`SELECT coalesce((SELECT lane FROM sticky WHERE pool = ?1 AND dedup = ?2), ?3)`, []any{e.Pool, e.DedupKey, e.Lane}, []any{&lane})
	return lane, err
}

// weightOf is what an event adds to the priority of its chain. An acknowledge or
// resolve pages nobody, so it does not use the share that is kept for critical
// triggers.
func weightOf(action eventsv2.Action, kind queue.Kind, severity queue.Rank) queue.Rank {
	if kind == queue.Alert && action != eventsv2.Trigger {
		return max(severity, queue.Error)
	}
	return severity
}

func counts(weight queue.Rank) (n [queue.Ranks]int64) {
	n[weight] = 1
	return n
}

// gravest returns the priority of a chain with these counts.
func gravest(n [queue.Ranks]int64) queue.Rank {
	for rank, count := range n {
		if count > 0 {
			return queue.Rank(rank)
		}
	}
	return queue.Info
}

// chain is a row of that table.
type chain struct {
	head, tail int64
	n          [queue.Ranks]int64
}

func (w *writer) chain(lane int64, dedup string) (c chain, err error) {
	err = w.queryRow(`SELECT head, tail, n0, n1, n2, n3 FROM chain WHERE lane = ?1 AND dedup = ?2`,
		[]any{lane, dedup}, []any{&c.head, &c.tail, &c.n[0], &c.n[1], &c.n[2], &c.n[3]})
	return c, err
}

// save writes a chain's row, and its priority into its head.
func (w *writer) save(lane int64, dedup string, c chain, priority bool) error {
	err := w.exec(`UPDATE chain SET head = ?3, tail = ?4, n0 = ?5, n1 = ?6, n2 = ?7, n3 = ?8 WHERE lane = ?1 AND dedup = ?2`,
		lane, dedup, c.head, c.tail, c.n[0], c.n[1], c.n[2], c.n[3])
	if err != nil || !priority {
		return err
	}
	var state queue.State
	err = w.queryRow(`UPDATE event SET priority = ?2 WHERE id = ?1 RETURNING state`, []any{c.head, gravest(c.n)}, []any{&state})
	if err == nil && state == queue.Ready {
		w.ready(lane, gravest(c.n))
	}
	return err
}

// insert writes an event of which the chain knows already.
func (w *writer) insert(e *queue.New, lane int64, state queue.State, priority queue.Rank) (queue.Placed, error) {
	if err := w.room(priority); err != nil {
		return queue.Placed{}, err
	}
	w.last++
	w.written += len(e.Body)
	w.wrote = true
	body := string(e.Body)
	err := w.exec(`INSERT INTO event (id, lane, state, priority, severity, kind, action, dedup, accepted, fresh, pool, repairs, checksum, body)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13)`,
		w.last, lane, state, priority, e.Severity, e.Kind, string(e.Action), e.DedupKey, millis(e.Accepted), e.Pool,
		strings.Join(e.Repairs, "\n"), checksum(lane, e.Severity, string(e.Action), e.DedupKey, body), body)
	if err != nil {
		return queue.Placed{}, err
	}
	w.waiting(lane, e.Severity, +1)
	if state == queue.Ready {
		w.ready(lane, priority)
	}
	return queue.Placed{ID: w.last, Lane: lane}, nil
}

// room refuses what goes beyond the bound.
func (w *writer) room(rank queue.Rank) error {
	limit := w.s.o.MaxQueued
	if rank != queue.Critical {
		limit = w.s.o.ordinary()
	}
	if w.queued >= limit {
		return verdict{queue.ErrFull}
	}
	return nil
}

// waiting counts an undelivered event more or less.
func (w *writer) waiting(lane int64, severity queue.Rank, change int) {
	w.queued += change
	w.count(lane, func(c *queue.Count) { c.Waiting[severity] += change })
}

// ready tells the scheduler after the commit.
func (w *writer) ready(lane int64, rank queue.Rank) {
	w.announce = append(w.announce, announcement{lane, rank})
}

// join puts an event behind the others of its chain, or into the last of them.
func (w *writer) join(e *queue.New, lane int64, weight queue.Rank) (queue.Placed, error) {
	c, err := w.chain(lane, e.DedupKey)
	if err != nil {
		return queue.Placed{}, err
	}
	if e.Action == eventsv2.Trigger {
		tail := struct {
			action   string
			severity queue.Rank
		}{}
		err := w.queryRow(`SELECT action, severity FROM event WHERE id = ?1`, []any{c.tail}, []any{&tail.action, &tail.severity})
		if err != nil {
			return queue.Placed{}, err
		}
		if _, claimed := w.s.claims[c.tail]; !claimed && tail.action == string(eventsv2.Trigger) {
			return w.coalesce(e, lane, c, tail.severity)
		}
	}
	placed, err := w.insert(e, lane, queue.Blocked, weight)
	if err != nil {
		return placed, err
	}
	if err := w.exec(`UPDATE event SET next = ?2 WHERE id = ?1`, c.tail, placed.ID); err != nil {
		return placed, err
	}
	before := gravest(c.n)
	c.tail = placed.ID
	c.n[weight]++
	return placed, w.save(lane, e.DedupKey, c, gravest(c.n) != before)
}

// coalesce puts a trigger into the one that waits at the end of its chain: the
// latest payload, the highest severity, and a count. The place in the queue and
// the time of the first acceptance stay.
func (w *writer) coalesce(e *queue.New, lane int64, c chain, had queue.Rank) (queue.Placed, error) {
	severity := min(had, e.Severity)
	body := string(e.Body)
	w.written += len(body)
	w.wrote = true
	err := w.exec(`UPDATE event SET severity = ?2, fresh = ?3, repeats = repeats + 1, repairs = ?4, checksum = ?5, body = ?6 WHERE id = ?1`,
		c.tail, severity, millis(e.Accepted), strings.Join(e.Repairs, "\n"), checksum(lane, severity, string(e.Action), e.DedupKey, body), body)
	placed := queue.Placed{ID: c.tail, Lane: lane, Coalesced: true}
	if err != nil || severity == had {
		return placed, err
	}
	w.waiting(lane, had, -1)
	w.waiting(lane, severity, +1)
	before := gravest(c.n)
	c.n[had]--
	c.n[severity]++
	return placed, w.save(lane, e.DedupKey, c, gravest(c.n) != before)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers what would page the wrong people if the disk changed it: SQLite
// has no checksums of its own.
func checksum(lane int64, severity queue.Rank, action, dedup, body string) int64 {
	sum := crc32.Update(uint32(lane)<<2|uint32(severity), castagnoli, []byte(action))
	sum = crc32.Update(sum, castagnoli, []byte(dedup))
	return int64(crc32.Update(sum, castagnoli, []byte(body)))
}
