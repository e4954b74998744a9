package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// transaction is what belongs to the transaction in hand. What the memory knows changes
// with the commit, never without it.
type transaction struct {
	dirty     map[*laneState]bool // lanes whose rows have changed
	after     []func()            // what the memory learns once it is committed
	undo      []func()            // what the memory takes back if it is not
	announce  []announcement      // what became ready
	queued    int                 // undelivered events
	dead      int                 // dead letters
	deadBytes int64               // of their bodies
	evicted   int                 // dead letters that had to go
	givenUp   int                 // events of lanes that made room
	lanes     int                 // of keys that the configuration does not name: made, less those forgotten
	trimmed   bool                // delivered events were deleted before their time
	made      map[string]struct{} // lanes, by key
	forgotten []queue.Lane        // lanes
	wrote     bool                // for certain, so that its success says that the disk works
	incidents []Incident          // to report once it is committed
}

// announcement is an event that became ready.
type announcement struct {
	lane int64
	rank queue.Rank
}

// transact runs do within a transaction. The memory learns of it after the commit,
// and never if that fails.
func (w *writer) transact(do func() error) error {
	w.growth.open = 0
	w.tx = transaction{dirty: w.tx.dirty, after: w.tx.after[:0], undo: w.tx.undo[:0], announce: w.tx.announce[:0], queued: w.s.queued, dead: w.s.dead, deadBytes: w.s.deadBytes}
	clear(w.tx.dirty)
	if broken := w.s.brokenBy.Load(); broken != nil {
		return *broken
	}
	err := w.exec("BEGIN IMMEDIATE")
	if err == nil {
		if err = do(); err == nil {
			err = w.saveLanes()
		}
		if err == nil {
			err = w.keepMark(false)
		}
		if err == nil {
			err = w.exec("COMMIT")
		}
		if err != nil {
			w.rollBack()
		}
	}
	if err == nil { // what was written to a file that is gone is in none that the next start has
		err = w.s.taken()
	}
	if err != nil {
		if isOfTheData(err) {
			return err
		}
		return w.s.fail(err)
	}
	w.learned()
	return nil
}

// learned takes what was committed over into memory, and reports it.
func (w *writer) learned() {
	s, tx := w.s, &w.tx
	if tx.wrote { // an UPDATE of no row says nothing about the disk
		s.failure.Store(nil)
	}
	s.mu.Lock()
	s.queued, s.dead, s.deadBytes = tx.queued, tx.dead, tx.deadBytes
	s.evicted += tx.evicted
	s.givenUp += tx.givenUp
	for l := range tx.dirty {
		l.committed = l.row
		s.file(l)
	}
	for _, learn := range tx.after {
		learn()
	}
	s.mu.Unlock()
	if len(tx.forgotten) > 0 {
		s.o.OnForget(tx.forgotten)
	}
	for _, a := range tx.announce {
		s.o.OnReady(a.lane, a.rank)
	}
	for _, incident := range tx.incidents {
		s.o.Report(incident)
	}
}

// rollBack ends a failed transaction. SQLite has ended it already after most
// failures of the disk, so an error says nothing.
func (w *writer) rollBack() {
	_ = w.exec("ROLLBACK")
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for l := range w.tx.dirty {
		l.row = l.committed
	}
	for _, takeBack := range slices.Backward(w.tx.undo) {
		takeBack()
	}
}

// learn is what the memory takes over once the transaction in hand is committed;
// it runs with the store's lock held.
func (w *writer) learn(what func()) { w.tx.after = append(w.tx.after, what) }

// report says what was found in the data, once that is committed.
func (w *writer) report(i Incident) { w.tx.incidents = append(w.tx.incidents, i) }

// ready announces an event to the scheduler after the commit.
func (w *writer) ready(lane int64, rank queue.Rank) {
	w.tx.announce = append(w.tx.announce, announcement{lane, rank})
}

// readyAll announces whatever may be ready.
func (w *writer) readyAll() {
	for id, l := range w.s.byID {
		for rank := queue.Rank(0); rank < queue.Ranks && l.row.count.Total() > 0; rank++ {
			w.ready(id, rank)
		}
	}
}

// statementBytes is what one statement writes, roughly: a row and its share of the
// pages that change with it.
const statementBytes = 2 << 10

func (w *writer) setMeta(name, value string) error {
	return w.exec(`INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value`, name, value)
}

// meta returns a value, "" if there is none.
func (w *writer) meta(name string) (value string, err error) {
	err = w.queryRow(`SELECT coalesce((SELECT value FROM meta WHERE name = ?1), '')`, []any{name}, []any{&value})
	return value, err
}

// statement prepares each text once.
func (w *writer) statement(text string) (*sql.Stmt, error) {
	known, ok := w.statements[text]
	if !ok {
		prepared, err := w.conn.PrepareContext(context.Background(), text)
		if err != nil {
			return nil, err
		}
		known = prepared
		w.statements[text] = known
	}
	return known, nil
}

// The writer's statements have no context: a transaction that a caller could cut
// off would take the others of its batch with it.
func (w *writer) exec(text string, args ...any) error {
	_, err := w.execCount(text, args...)
	return err
}

func (w *writer) execCount(text string, args ...any) (int64, error) {
	statement, err := w.statement(text)
	if err != nil {
		return 0, err
	}
	if !strings.HasPrefix(text, "BEGIN") {
		w.written += statementBytes
	}
	result, err := statement.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (w *writer) queryRow(text string, args, into []any) error {
	statement, err := w.statement(text)
	if err != nil {
		return err
	}
	return statement.QueryRowContext(context.Background(), args...).Scan(into...)
}

func (w *writer) query(text string, args ...any) (*sql.Rows, error) {
	statement, err := w.statement(text)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(context.Background(), args...)
}
