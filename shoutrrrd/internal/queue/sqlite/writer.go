package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
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

	// transactionBytes is how many bytes of events one transaction takes: of a queue
	// on a small disk the WAL may not grow beyond what is left for it.
	transactionBytes = checkpointBytes / 4

	// largeRequest is from which size on an event waits in a line of its own, behind
	// the others: whoever posts such events over many connections is not to keep a page
	// or a claim waiting for seconds on a slow disk.
	largeRequest = 64 << 10

	// largeBytes is how much of that line goes into one transaction.
	largeBytes = transactionBytes / 4

	// probeAfter is how long the writer waits before it looks whether a disk that
	// failed works again.
	probeAfter = time.Second

	// maxInternal is how many requests in a row may fail for reasons of the data
	// before the whole file counts as damaged: then it is an index or a table that
	// all of them need.
	maxInternal = 100
)

// request is what one caller wants to have done within a transaction.
type request struct {
	ctx  context.Context
	do   func(*writer) error
	size int // bytes of the event that it keeps
	err  error
	done chan struct{}
}

// verdict marks an error that is an answer: nothing of what was asked for was done, and
// the transaction goes on, with the room that was made so far.
type verdict struct{ error }

func (v verdict) Unwrap() error { return v.error }

// writer is the one goroutine that writes, with what belongs to it alone.
type writer struct {
	s          *Store
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	last       int64 // the highest event ID given out
	lastLane   int64 // the highest lane ID given out
	token      uint64
	written    int // bytes since the last checkpoint, roughly
	growth     growth
	internal   int             // requests in a row that the data made fail
	unused     chainID         // origin and dedup key up to which forgetUnused has looked
	leftovers  bool            // what was deleted may still stand in the WAL
	marked     time.Time       // when the mark of the clock was kept last
	failing    map[string]bool // upstreams that have accepted nothing since their last failure
	stepped    map[int64]bool  // events up to the number unsure that have become the head of their chain in this process: nobody has sent them before it

	tx transaction
}

// submit hands a request to the writer and waits for its commit.
func (s *Store) submit(ctx context.Context, do func(*writer) error) error {
	return s.submitWithin(ctx, 0, 0, do)
}

// submitWithin is submit for callers that cannot wait for a disk that does not
// answer: after the patience, if the writer hangs, the outcome is unknown. size is
// that of the event that the request keeps, if it keeps one.
func (s *Store) submitWithin(ctx context.Context, patience time.Duration, size int, do func(*writer) error) error {
	r := &request{ctx: ctx, do: do, size: size, done: make(chan struct{})}
	var late <-chan time.Time
	if patience > 0 {
		if err := s.slow(); err != nil {
			return err
		}
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	line := s.requests
	if size >= largeRequest {
		line = s.large
	}
	select {
	case line <- r:
	case <-s.stop:
		return fmt.Errorf("%w: the relay is stopping", queue.ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return s.hangs()
	}
	for {
		select {
		case <-r.done: // from here on the request is carried out, whether its caller waits or not
			return r.err
		case <-late:
			if s.slow() != nil {
				return s.hangs()
			}
			late = time.After(patience) // the disk works, there is much to do
		case <-s.stopped:
			select {
			case <-r.done:
				return r.err
			default:
				return fmt.Errorf("%w: the relay is stopping", queue.ErrUnavailable)
			}
		}
	}
}

// run carries out requests until the store is closed.
func (w *writer) run() {
	defer close(w.s.stopped)
	requests := make([]*request, 0, maxBatch)
	lookAfter := probeAfter
	for {
		var probe, look <-chan time.Time
		if w.s.failure.Load() != nil && w.s.brokenBy.Load() == nil {
			probe = time.After(probeAfter)
		} else if w.s.noRoom.Load() != nil {
			look = time.After(lookAfter)
		}
		requests = requests[:0]
		select {
		case r := <-w.s.requests:
			requests = append(requests, r)
		case r := <-w.s.large:
			requests = append(requests, r)
		case <-probe:
			w.probe()
			continue
		case <-look:
			lookAfter = probeAfter
			if w.lookForRoom() {
				lookAfter = 0
			}
		case <-w.s.stop:
			w.finish()
			return
		}
		if len(requests) > 0 {
			requests = w.gather(requests)
			w.commit(requests)
			clear(requests)
		}
		w.tidy()
	}
}

// gather takes what waits into one batch: what came while the disk was busy with
// the last one. Large events take part in each, but few of them.
func (w *writer) gather(requests []*request) []*request {
	take := func(line chan *request, most int) {
		for n, size := 0, 0; n < maxBatch && size < most; n++ {
			select {
			case r := <-line:
				requests = append(requests, r)
				size += r.size
			default:
				return
			}
		}
	}
	take(w.s.requests, transactionBytes-largeBytes)
	take(w.s.large, largeBytes)
	return requests
}

// commit carries out a batch in one transaction and answers once that is on the
// disk. If the data of one request makes it fail, each of them gets a transaction
// of its own: only that one fails.
func (w *writer) commit(requests []*request) {
	w.s.began()
	err := w.transact(func() error {
		for _, r := range requests {
			if err := w.carryOut(r); err != nil {
				return err
			}
		}
		return nil
	})
	w.s.ended()
	if err != nil && isOfTheData(err) {
		for _, r := range requests {
			w.s.began()
			err := w.commitAlone(r)
			w.s.ended()
			r.answer(err)
		}
		return
	}
	w.internal = 0
	for _, r := range requests {
		r.answer(err)
	}
}

// commitAlone carries out one request in a transaction of its own. What
// contradicts itself is quarantined, and the request tried again without it.
func (w *writer) commitAlone(r *request) error {
	const chains = 64 // that one request may meet; a claim or a batch of settlements has so many
	var err error
	for range chains {
		err = w.transact(func() error { return w.carryOut(r) })
		var bad *contradiction
		if !errors.As(err, &bad) {
			break
		}
		if quarantined := w.transact(func() error { return w.quarantine(bad) }); quarantined != nil {
			err = quarantined
			break
		}
	}
	if err == nil || !isOfTheData(err) {
		w.internal = 0
		return err
	}
	w.s.o.Report(Incident{What: "a request failed, and nothing of it was kept", Why: err.Error()})
	w.s.examineSoon() // what waits for the event concerned is found that way
	if w.internal++; w.internal >= maxInternal {
		err = w.s.fail(fmt.Errorf("%w: %d requests in a row have failed, the last one with: %w", errDamaged, w.internal, err))
	}
	return fmt.Errorf("%w: %w", queue.ErrInternal, err)
}

// answer tells the caller how it went. A verdict stays what it is: the disk has
// nothing to do with it.
func (r *request) answer(err error) {
	if no := (verdict{}); errors.As(r.err, &no) {
		r.err = no.error
	} else if err != nil {
		r.err = err
	}
	close(r.done)
}

// carryOut does what one caller wants. Its error ends the transaction.
func (w *writer) carryOut(r *request) error {
	if r.err = r.ctx.Err(); r.err != nil {
		return nil // the caller has left before anything was done
	}
	r.err = r.do(w)
	if no := (verdict{}); r.err != nil && !errors.As(r.err, &no) {
		return r.err
	}
	return nil
}

// probe writes something that nothing needs, to learn whether the disk works again.
func (w *writer) probe() {
	w.s.began()
	defer w.s.ended()
	_ = w.transact(func() error { // its failure is kept where Healthy looks
		w.tx.wrote = true
		return w.setMeta("probe", strconv.FormatInt(w.s.o.Now().UnixNano(), 10))
	})
}

// tidy keeps the WAL within its part of the disk, between two transactions.
func (w *writer) tidy() {
	w.checkpoint(min(checkpointBytes, int(forWAL(w.s.measured().Limit)/2)))
	w.truncate()
}

// checkpoint moves the WAL into the file once about that many bytes are in it. The
// size of the WAL's file says nothing: it is written from its beginning again and
// does not shrink.
func (w *writer) checkpoint(atLeast int) {
	if w.written < atLeast || w.s.brokenBy.Load() != nil {
		return
	}
	w.s.began()
	defer w.s.ended()
	w.moveWAL("PASSIVE")
}

// moveWAL reports whether no reader kept it from doing all of that.
func (w *writer) moveWAL(how string) bool {
	var busy, pages, moved int
	err := w.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+how+")").Scan(&busy, &pages, &moved)
	switch {
	case err != nil:
		_ = w.s.fail(err)
	case moved < pages: // a reader holds the rest; soon again
		w.written = checkpointBytes * 3 / 4
	default:
		w.written = 0
	}
	return err == nil && busy == 0
}

// truncate cuts the WAL after a purge, when nothing waits and no reader needs it:
// what was deleted would stay in it until it is written over. If a reader needs it, the
// next purge has it cut.
func (w *writer) truncate() {
	if !w.s.truncating.Load() || len(w.s.requests)+len(w.s.large) > 0 || w.s.brokenBy.Load() != nil {
		return
	}
	w.s.truncating.Store(false)
	w.s.began()
	defer w.s.ended()
	if err := w.exec("PRAGMA busy_timeout(0)"); err != nil { // a reader must not hold up the writer
		_ = w.s.fail(err)
		return
	}
	w.leftovers = !w.moveWAL("TRUNCATE")
	if err := w.exec("PRAGMA busy_timeout(5000)"); err != nil {
		_ = w.s.fail(err)
	}
}

// turnAway answers a request that comes too late.
func (r *request) turnAway() {
	r.err = fmt.Errorf("%w: the relay is stopping", queue.ErrUnavailable)
	close(r.done)
}

// finish ends in order: those who still wait get an answer, the WAL is moved into
// the file, and the file says that all is well.
func (w *writer) finish() {
	for {
		select {
		case r := <-w.s.requests:
			r.turnAway()
			continue
		case r := <-w.s.large:
			r.turnAway()
			continue
		default:
		}
		break
	}
	w.s.began()
	defer w.s.ended()
	if w.s.brokenBy.Load() == nil {
		err := w.transact(func() error { // if it fails, the next start is careful
			if len(w.s.claims) > 0 {
				if err := w.noteUnsure(); err != nil {
					return err
				}
			}
			return errors.Join(w.setMeta(walMeta, walMoved), w.setMeta("clean", "yes"), w.keepMark(true))
		})
		w.s.unfinished = err != nil
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
