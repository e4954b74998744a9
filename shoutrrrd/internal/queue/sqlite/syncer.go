package sqlite

import (
	"errors"
	"fmt"
	"os"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// batch is what shares one transaction and one fsync.
type batch struct {
	requests []*request
	announce []announcement
	changed  bool  // something, so that it has to reach the disk
	err      error // why nothing was committed
}

// syncer makes what the writer commits durable, and answers only then. It is a
// goroutine of its own, so that the writer works at the next transaction while the
// disk is busy with the last.
//
// Batches are answered in the order of their commits, also those that changed
// nothing. So whatever an answer tells, be it an event that was claimed or the one
// that steps forward behind a settled one, is on the disk with all that led to it.
type syncer struct {
	s         *Store
	wal       *os.File
	free      chan *batch
	committed chan *batch
	stopped   chan struct{}
}

// batches go round between the writer and the syncer: while one is made durable
// the other one fills. A third would only make them smaller.
const batches = 2

// startSync begins with what is in the WAL already: after this nothing of it can
// be lost.
func (s *Store) startSync() (*syncer, error) {
	wal, err := os.OpenFile(s.o.Path+"-wal", os.O_RDWR, 0) // fsync of a file that is open for reading fails on some systems
	if err != nil {
		return nil, err
	}
	y := &syncer{
		s: s, wal: wal, stopped: make(chan struct{}),
		free: make(chan *batch, batches), committed: make(chan *batch, batches),
	}
	if err := y.sync(); err != nil {
		return nil, errors.Join(s.fail(err), wal.Close())
	}
	for range batches {
		y.free <- &batch{requests: make([]*request, 0, maxBatch)}
	}
	go y.run()
	return y, nil
}

func (y *syncer) run() {
	defer close(y.stopped)
	for b := range y.committed {
		y.finish(b)
		clear(b.requests)
		b.requests, b.announce = b.requests[:0], b.announce[:0]
		y.free <- b
	}
}

func (y *syncer) finish(b *batch) {
	if broken := y.s.brokenBy.Load(); b.err == nil && broken != nil {
		b.err = *broken
	}
	if b.err == nil && b.changed {
		if err := y.sync(); err != nil {
			b.err = y.s.fail(err)
		}
	}
	if b.err == nil {
		for _, a := range b.announce {
			y.s.o.OnReady(a.lane, a.rank)
		}
	}
	b.answer()
}

// answer tells every caller how it went. Who was told no keeps that answer: the
// disk has nothing to do with it.
func (b *batch) answer() {
	for _, r := range b.requests {
		if no := (verdict{}); errors.As(r.err, &no) {
			r.err = no.error
		} else if b.err != nil {
			r.err = b.err
		}
		close(r.done)
	}
}

// errSync marks an fsync of our own that has failed.
var errSync = errors.New("fsync of the write-ahead log")

func (y *syncer) sync() error {
	if err := y.s.o.disk.Sync(y.wal); err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	return nil
}

// still runs do while nothing that is committed waits for the disk.
func (y *syncer) still(do func()) {
	var idle [batches]*batch
	for i := range idle {
		idle[i] = <-y.free
	}
	do()
	for _, b := range idle {
		y.free <- b
	}
}

// stop returns once everything that was committed is answered.
func (y *syncer) stop() {
	close(y.committed)
	<-y.stopped
	_ = y.wal.Close() // it was only synced
}

// fail notes why nothing is kept. After a failed fsync nobody knows what is on the
// disk (the kernel may have thrown the pages away and say success the next time),
// so the store takes nothing more and the process has to start anew.
func (s *Store) fail(err error) error {
	if isDamage(err) {
		s.suspect()
	}
	if !isFailedSync(err) && !isDamage(err) {
		wrapped := fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
		s.failure.Store(&wrapped)
		return wrapped
	}
	wrapped := fmt.Errorf("%w: %w", queue.ErrBroken, err)
	if s.brokenBy.CompareAndSwap(nil, &wrapped) {
		close(s.brokenC)
	}
	return wrapped
}
