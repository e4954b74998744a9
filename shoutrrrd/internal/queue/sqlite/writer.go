package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// maxBatch is how many requests share one commit. At 64 submitters batches of
	// this size are never reached; they bound the time of a transaction after a stall.
	maxBatch = 512

	// checkpointBytes is how much is written until the writer moves the WAL into
	// the file: some tens of milliseconds of work.
	checkpointBytes = 16 << 20

	// statementBytes is what one statement writes, roughly: a row and its share of
	// the pages that change with it.
	statementBytes = 2 << 10

	// probeAfter is how long the writer waits before it looks whether a disk that
	// failed works again.
	probeAfter = time.Second
)

// request is what one caller wants to have done within a transaction.
type request struct {
	ctx  context.Context
	do   func(*writer) error
	err  error
	done chan struct{}
}

// verdict marks an error that is an answer: the request changed nothing, and the
// transaction goes on.
type verdict struct{ error }

func (v verdict) Unwrap() error { return v.error }

// writer is the one goroutine that writes, with what belongs to it alone.
type writer struct {
	s          *Store
	conn       *sql.Conn
	syncer     *syncer
	statements map[string]statement
	last       int64 // the highest event ID given out
	token      uint64
	written    int // bytes since the last checkpoint, roughly

	// Of the transaction in hand:
	dirty    map[*laneState]bool // lanes whose counts have changed
	after    []func()            // what the memory learns once it is committed
	undo     []func()            // what the memory takes back if it is not
	announce []announcement      // what became ready
	queued   int                 // undelivered events
	wrote    bool                // for certain, so that its success says that the disk works
	changed  bool                // something, perhaps
}

// announcement is an event that became ready.
type announcement struct {
	lane int64
	rank queue.Rank
}

// submit hands a request to the writer and waits for its commit.
func (s *Store) submit(ctx context.Context, do func(*writer) error) error {
	r := &request{ctx: ctx, do: do, done: make(chan struct{})}
	select {
	case s.requests <- r:
	case <-s.stop:
		return fmt.Errorf("%w: the relay is stopping", queue.ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-r.done: // from here on the request is carried out, whether its caller waits or not
		return r.err
	case <-s.stopped:
		select {
		case <-r.done:
			return r.err
		default:
			return fmt.Errorf("%w: the relay is stopping", queue.ErrUnavailable)
		}
	}
}

// run carries out requests until the store is closed.
func (w *writer) run() {
	defer close(w.s.stopped)
	for {
		var probe <-chan time.Time
		if w.s.failure.Load() != nil && w.s.brokenBy.Load() == nil {
			probe = time.After(probeAfter)
		}
		select {
		case r := <-w.s.requests:
			b := <-w.syncer.free
			b.requests = append(b.requests, r)
			w.commit(b)
		case <-probe:
			w.probe()
		case <-w.s.stop:
			w.finish()
			return
		}
	}
}

// commit carries out a batch in one transaction and hands it on to be made durable.
func (w *writer) commit(b *batch) {
	b.err = w.transact(func() error {
		for i := 0; i < len(b.requests) || w.gather(b); i++ {
			if err := w.carryOut(b.requests[i]); err != nil {
				return err
			}
		}
		return nil
	})
	b.changed = w.changed
	b.announce, w.announce = w.announce, b.announce
	w.syncer.committed <- b
	runtime.Gosched() // or the syncer, which is next on this thread, begins once this goroutine waits for something
	w.checkpoint(checkpointBytes)
}

// gather takes one more request into a batch. It reports false once the batch has
// to be committed: when nothing waits and the disk is idle. While the disk is busy
// with the last batch, this one could not be made durable anyway.
func (w *writer) gather(b *batch) bool {
	for len(b.requests) < maxBatch {
		select {
		case r := <-w.s.requests:
			b.requests = append(b.requests, r)
			return true
		default:
		}
		if len(w.syncer.free) > 0 {
			return false
		}
		select {
		case r := <-w.s.requests:
			b.requests = append(b.requests, r)
			return true
		case idle := <-w.syncer.free:
			w.syncer.free <- idle
		}
	}
	return false
}

// carryOut does what one caller wants. Its error ends the transaction.
func (w *writer) carryOut(r *request) error {
	if r.err = r.ctx.Err(); r.err != nil {
		return nil // whoever asked has left before anything was done
	}
	r.err = r.do(w)
	if no := (verdict{}); r.err != nil && !errors.As(r.err, &no) {
		return r.err
	}
	return nil
}

// transact runs do within a transaction. The memory learns of it after the commit,
// and never if that fails.
func (w *writer) transact(do func() error) error {
	clear(w.dirty)
	w.wrote, w.changed = false, false
	w.after, w.undo, w.announce, w.queued = w.after[:0], w.undo[:0], w.announce[:0], w.s.queued
	if broken := w.s.brokenBy.Load(); broken != nil {
		return *broken
	}
	err := w.exec("BEGIN IMMEDIATE")
	if err == nil {
		if err = do(); err == nil {
			err = w.saveCounts()
		}
		if err == nil {
			err = w.exec("COMMIT")
		}
		if err != nil {
			w.rollBack()
		}
	}
	if err != nil {
		return w.s.fail(err)
	}
	if w.wrote { // an UPDATE of no row says nothing about the disk
		w.s.failure.Store(nil)
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.queued = w.queued
	for _, learn := range w.after {
		learn()
	}
	return nil
}

// rollBack ends a failed transaction. SQLite has ended it already after most
// failures of the disk, so an error says nothing.
func (w *writer) rollBack() {
	_ = w.exec("ROLLBACK")
	for l := range w.dirty {
		l.counts = l.committed
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for _, takeBack := range slices.Backward(w.undo) {
		takeBack()
	}
}

// probe writes something that nobody needs, to learn whether the disk works again.
func (w *writer) probe() {
	_ = w.transact(func() error { // its failure is kept where Healthy looks
		w.wrote = true
		return w.exec(`INSERT INTO meta (name, value) VALUES ('probe', ?1) ON CONFLICT DO UPDATE SET value = excluded.value`,
			strconv.FormatInt(w.s.o.Now().UnixNano(), 10))
	})
}

// checkpoint moves the WAL into the file once about that many bytes stand in it.
// The size of the WAL's file says nothing: it is written from its beginning again
// and does not shrink. An fsync of ours that fails tells SQLite nothing, and it
// must not rely on a WAL that the disk does not have, so those come first.
func (w *writer) checkpoint(atLeast int) {
	if w.written < atLeast {
		return
	}
	w.syncer.still(func() {
		if w.s.brokenBy.Load() == nil {
			w.moveWAL()
		}
	})
}

func (w *writer) moveWAL() {
	var busy, pages, moved int
	err := w.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved)
	switch {
	case err != nil:
		_ = w.s.fail(err)
	case moved < pages: // a reader holds the rest; soon again
		w.written = checkpointBytes * 3 / 4
	default:
		w.written = 0
	}
}

// finish ends in order: those who still wait are told, the WAL is moved into the
// file, and the file says that all is well.
func (w *writer) finish() {
	for {
		select {
		case r := <-w.s.requests:
			r.err = fmt.Errorf("%w: the relay is stopping", queue.ErrUnavailable)
			close(r.done)
			continue
		default:
		}
		break
	}
	w.syncer.stop()
	if w.s.brokenBy.Load() == nil {
		_ = w.transact(func() error { return w.setMeta("clean", "yes") }) // if it fails, the next start is careful
		w.checkpoint(0)
	}
	if !w.s.unsynced() {
		w.close()
	}
}

func (w *writer) close() {
	for _, statement := range w.statements {
		_ = statement.Close()
	}
	_ = w.conn.Close()
}

func (w *writer) setMeta(name, value string) error {
	return w.exec(`INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value`, name, value)
}

// statement is a text that was prepared.
type statement struct {
	*sql.Stmt
	changes bool
}

// statement prepares each text once.
func (w *writer) statement(text string) (*sql.Stmt, error) {
	known, ok := w.statements[text]
	if !ok {
		prepared, err := w.conn.PrepareContext(context.Background(), text)
		if err != nil {
			return nil, err
		}
		known = statement{prepared, changes(text)}
		w.statements[text] = known
	}
	w.changed = w.changed || known.changes
	return known.Stmt, nil
}

// changes reports whether a statement may change the file.
func changes(text string) bool {
	verb, _, _ := strings.Cut(text, " ")
	return !slices.Contains([]string{"SELECT", "BEGIN", "COMMIT", "ROLLBACK"}, verb)
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
	w.written += statementBytes
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
