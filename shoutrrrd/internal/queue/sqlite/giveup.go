package sqlite

import (
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Lanes whose keys PagerDuty rejects keep what is queued in them, as somebody may
// repair the key. They are never empty, so a stranger could hold every place with
// them until max_age is over. When a place is needed, the one that has been idle for
// longest goes: its events become dead letters.

// giveUpSlice is how many events one transaction gives up, for all of its requests
// together: some tens of milliseconds of work. Each request of a batch finds one.
const giveUpSlice = maxBatch

// givenUpReason is what a dead letter of such a lane says.
const givenUpReason = "PagerDuty rejects the integration key and never accepted an event of it; the place of its lane was needed for another key"

// quietFor is how long nothing of the lane was being sent: the scheduler may still have
// to learn how that ended, and would meet a lane that is gone.
const quietFor = time.Second

// giveUpOne forgets the lane that has been idle for longest of those whose key is
// rejected, and reports whether it has. A lane that has more events than may be given
// up now loses some of them if there is no other: the next key that needs its place
// goes on.
func (w *writer) giveUpOne() (bool, error) {
	quiet := millis(w.s.o.Now().Add(-quietFor))
	var large *laneState
	for range min(roomTries, w.s.length(w.s.rejected)) {
		l := w.s.longestIdle(w.s.rejected, math.MaxInt64)
		if l == nil {
			break
		}
		if !l.row.rejected() || l.recount || w.s.flying[l.row.ID] > 0 || l.claimed > quiet {
			continue
		}
		may, err := w.mayGo(l, true)
		switch {
		case err != nil:
			return false, err
		case !may:
			continue
		case l.row.count.Total() > giveUpSlice-w.tx.givenUp:
			if large == nil {
				large = l
			}
			continue
		}
		if forgotten, err := w.giveUp(l); err != nil || forgotten {
			return forgotten, err
		}
	}
	if large == nil {
		return false, nil
	}
	return w.giveUp(large)
}

// giveUp ends what is queued in a lane, as far as one transaction may, and forgets the
// lane if nothing is left. An event that waits and belongs to no chain is not found:
// then the lane stays.
func (w *writer) giveUp(l *laneState) (bool, error) {
	before, announced := w.written, len(w.tx.announce)
	for l.row.count.Total() > 0 && w.tx.givenUp < giveUpSlice && w.written-before < transactionBytes {
		c, err := w.firstOf(l.row.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if err := w.giveUpEvent(c); err != nil {
			return false, err
		}
	}
	forgotten, err := w.forget(l, true)
	if forgotten {
		w.tx.announce = w.tx.announce[:announced] // nothing of it is there to be sent
	}
	return forgotten, err
}

// firstOf reads the head of one of a lane's chains, else a change event that is ready.
func (w *writer) firstOf(lane int64) (*claim, error) {
	statement, err := w.statement(`SELECT ` + cellColumns + `, kind, action, dedup FROM event WHERE id = coalesce(
		(SELECT head FROM chain WHERE lane = ?1 LIMIT 1), (SELECT id FROM event INDEXED BY event_ready WHERE state = 0 AND lane = ?1 LIMIT 1))`)
	if err != nil {
		return nil, err
	}
	c := &claim{chain: chainID{lane: lane}}
	whole, err := c.cells.scan(statement.QueryRow(lane).Scan, num(&c.kind), txt(&c.action), txt(&c.chain.dedup))
	switch x := &c.cells; {
	case err != nil:
		return nil, err
	case !whole:
		return nil, &contradiction{c.chain, x.id, "the event's seal is wrong"}
	case x.lane != lane || x.state.Ended() || x.state == queue.Blocked:
		return nil, &contradiction{c.chain, x.id, "it is not the head of a chain of its lane"}
	}
	return c, nil
}

// giveUpEvent makes a dead letter of the head of a chain. Strangers can send as many
// as they like, so what they leave has half of the dead letters' places at most:
// beyond that it is not kept.
func (w *writer) giveUpEvent(c *claim) error {
	x := queue.Settlement{ID: c.cells.id, State: queue.Refused, At: w.s.o.Now(), Attempts: c.cells.attempts, Status: c.cells.status, Reason: givenUpReason}
	crowded := w.tx.dead >= w.s.o.MaxDead/2 || w.tx.deadBytes >= w.s.o.MaxDeadBytes/2
	if crowded {
		x.State = queue.Dropped
	}
	if err := w.end(c, &x); err != nil {
		return err
	}
	w.tx.givenUp++
	if !crowded {
		return nil
	}
	w.tx.evicted++
	return w.delete(c.cells.id)
}
