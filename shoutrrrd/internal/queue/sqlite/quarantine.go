package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Incident is something that the store has found in its data and dealt with.
type Incident struct {
	Lane  int64 // 0 if it is not known
	Event int64 // 0 if it is about a chain or a lane
	What  string
	Why   string
	Sound bool // the data is what was written
}

// quarantine takes a chain that contradicts itself out of the queue: what is known
// of its events becomes dead letters with their bodies, and the examination that
// follows finds the rest. All other chains go on.
func (w *writer) quarantine(bad *contradiction) error {
	suspects := []int64{bad.event}
	var c chain
	statement, err := w.statement(`SELECT ` + chainColumns + ` FROM chain WHERE lane = ?1 AND dedup = ?2`)
	if err != nil {
		return err
	}
	_, err = c.scan(statement.QueryRowContext(context.Background(), bad.chain.lane, bad.chain.dedup).Scan)
	switch {
	case err == nil:
		suspects = append(suspects, c.head, c.tail)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if err := w.deleteChain(bad.chain); err != nil {
		return err
	}
	for id, held := range w.s.claims {
		if held.chain == bad.chain && held.kind == queue.Alert && !held.alone {
			held.alone = true
			w.setClaim(id, held)
		}
	}
	for _, id := range suspects {
		if err := w.buryID(id, bad.chain); err != nil {
			return err
		}
	}
	w.report(Incident{Lane: bad.chain.lane, Event: bad.event, What: "a chain of events contradicts itself; its events are dead letters", Why: bad.what})
	w.learn(w.s.examineSoon)
	return nil
}

// buryID makes a dead letter of an event that belongs to a chain, whatever its row
// says, unless it has ended, is being sent, or belongs to another chain.
func (w *writer) buryID(id int64, of chainID) error {
	if _, claimed := w.s.claims[id]; claimed || id == 0 {
		return nil
	}
	var x cells
	var dedup string
	statement, err := w.statement(`SELECT ` + cellColumns + `, dedup FROM event WHERE id = ?1`)
	if err != nil {
		return err
	}
	whole, err := x.scan(statement.QueryRowContext(context.Background(), id).Scan, txt(&dedup))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil || whole && (x.state.Ended() || dedup != of.dedup) {
		return err
	}
	return w.buryAlone(&x)
}

// buryAlone makes a dead letter of one event without a chain. What its row says may
// be anything.
func (w *writer) buryAlone(x *cells) error {
	was, lane := x.state, x.lane
	if w.s.byID[lane] == nil && !was.Ended() { // so that somebody sees it
		x.lane = w.anyLane(lane)
	}
	x.state, x.ended, x.due, x.prev, x.next, x.reason = queue.Refused, max(1, millis(w.s.o.Now())), 0, 0, 0, damagedReason
	if err := w.rewrite(x); err != nil {
		return err
	}
	w.tx.wrote = true
	if was.Ended() {
		w.ended(lane, was, -1)
	} else {
		w.waiting(lane, x.severity, -1)
	}
	w.ended(x.lane, x.state, +1)
	if was.Dead() {
		return nil
	}
	size, err := w.sizeOf(x.id)
	if err != nil {
		return err
	}
	return w.countDead(+1, size)
}

// rewrite writes an event that has ended with a seal that is right, whatever its row
// says.
func (w *writer) rewrite(x *cells) error {
	if x.severity >= queue.Ranks {
		x.severity = queue.Critical
	}
	if x.priority >= queue.Ranks {
		x.priority = x.severity
	}
	return w.write(x)
}

// reissue writes an event anew whose row cannot be changed, as one of its columns
// has another type than it may have.
func (w *writer) reissue(x *cells) error {
	var c facts
	var kind int64
	err := w.queryRow(`SELECT CAST(kind AS INTEGER), CAST(action AS TEXT), CAST(dedup AS TEXT), CAST(accepted AS INTEGER), CAST(pool AS TEXT), CAST(summary AS TEXT),
		CAST(source AS TEXT), CAST(body AS TEXT) FROM event WHERE id = ?1`, []any{x.id},
		[]any{num(&kind), txt(&c.action), txt(&c.dedup), num(&c.accepted), txt(&c.pool), txt(&c.summary), txt(&c.source), txt(&c.body)})
	if err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM event WHERE id = ?1`, x.id); err != nil { // its history stays
		return err
	}
	c.kind = queue.Kind(kind & 1)
	return w.insertRow(x, &c)
}

// examineEvery is how often the whole queue is looked at: what no chain leads to is
// met in no other way. To read a million events takes a reader some seconds.
const examineEvery = 24 * time.Hour

// firstExamination is how long after the start the first one waits: a relay that is
// started anew each night is examined as well, and a start has more urgent work.
const firstExamination = 10 * time.Minute

// examineSoon starts an examination if none is under way. It never blocks.
func (s *Store) examineSoon() {
	select {
	case s.examineC <- struct{}{}:
	default:
	}
}

// examineAll examines the queue when something was found in it, soon after the start,
// and once a day.
func (s *Store) examineAll(ctx context.Context) {
	defer close(s.examined)
	again := time.NewTimer(firstExamination)
	defer again.Stop()
	for {
		select {
		case <-s.examineC:
		case <-again.C:
			again.Reset(examineEvery)
		case <-ctx.Done():
			return
		}
		if _, err := s.Examine(ctx, true); err != nil && ctx.Err() == nil {
			s.o.Report(Incident{What: "cannot examine the queue", Why: err.Error()})
		}
	}
}
