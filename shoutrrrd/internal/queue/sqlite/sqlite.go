// Package sqlite keeps the relay's queue in one SQLite file.
//
// One goroutine writes. It takes what has been asked for since the last commit
// into one transaction, so that a hundred events cost one fsync. Another one makes
// the commits durable and answers: the file is in WAL mode with synchronous=NORMAL,
// in which SQLite keeps it whole, and the fsync that FULL would do within COMMIT is
// done beside the next transaction. Readers have connections of their own.
//
// Claims are kept in memory: after a crash everything that was not settled is
// ready again, and is sent again with the same dedup key.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	_ "modernc.org/sqlite" // the driver
)

//go:embed schema.sql
var schema string

// schemaVersion is written into the file. A later one is refused: an older
// program does not know what it would break.
const schemaVersion = 1

// Options says how a store is opened.
type Options struct {
	// Path of the file. It and its folder are made if they are missing, readable
	// by their owner alone, since the file holds the integration keys.
	Path string

	// MaxQueued bounds the undelivered events. Its last hundredth is kept for
	// critical ones. Defaults to 2,000,000, about 2 GB.
	MaxQueued int

	// Now gives the time. Defaults to time.Now.
	Now func() time.Time

	// OnReady is called after a commit that made an event ready, and must not
	// block nor call the store.
	OnReady func(lane int64, rank queue.Rank)

	vfs  string // tests put their own file system below SQLite
	disk disk   // and beside it
}

const defaultMaxQueued = 2_000_000

// Store is an open queue. It may be used by several goroutines at once.
type Store struct {
	o           Options
	lock        *os.File
	write       *sql.DB
	read        *sql.DB
	clean       bool
	quarantined []string

	requests chan *request
	stop     chan struct{}
	stopped  chan struct{}
	failure  atomic.Pointer[error] // why nothing can be kept now
	brokenBy atomic.Pointer[error] // why nothing will ever be
	brokenC  chan struct{}

	mu     sync.RWMutex
	lanes  map[string]*laneState // by key
	byID   map[int64]*laneState
	claims map[int64]claim
	queued int // undelivered events

	closing sync.Once
}

// Open opens the queue, or makes a new one where there is none. A file that
// SQLite cannot read is set aside, never overwritten, and a new one begun: the
// pages of tonight are worth more than those that nobody can read
// ([Store.Quarantined] tells). queue.ErrLocked says that another relay has it open.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.MaxQueued <= 0 {
		o.MaxQueued = defaultMaxQueued
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnReady == nil {
		o.OnReady = func(int64, queue.Rank) {}
	}
	if o.disk == nil {
		o.disk = realDisk{}
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("make the queue's folder: %w", err)
	}
	lock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &Store{
		o: o, lock: lock,
		requests: make(chan *request, maxBatch), stop: make(chan struct{}), stopped: make(chan struct{}),
		brokenC: make(chan struct{}),
		lanes:   map[string]*laneState{}, byID: map[int64]*laneState{}, claims: map[int64]claim{},
	}
	if err := s.open(ctx); err != nil {
		s.closeFiles()
		return nil, err
	}
	return s, nil
}

// open opens the file, or after setting aside one that is damaged a new one.
func (s *Store) open(ctx context.Context) error {
	w, err := s.openWhole(ctx)
	if err == nil {
		w.syncer, err = s.startSync()
	}
	if err == nil { // what was taken over is on the disk now
		err = forgetPlan(s.o.Path)
	}
	if err != nil {
		if w != nil && !s.unsynced() {
			w.close()
		}
		return fmt.Errorf("open the queue %s: %w", s.o.Path, err)
	}
	s.quarantined = asides(s.o.Path)
	go w.run()
	return nil
}

// openWhole opens the file or, if it is damaged, a new one with what can be read of
// it. It goes on where an earlier process ended.
func (s *Store) openWhole(ctx context.Context) (*writer, error) {
	aside, err := plannedAside(s.o.Path)
	if err != nil {
		return nil, err
	}
	if aside == "" {
		w, err := s.openFile(ctx)
		if !isDamage(err) {
			return w, err
		}
		s.closeDatabases()
		if aside, err = planAside(s.o.Path, s.o.Now()); err != nil {
			return nil, err
		}
	}
	if err := setAside(s.o.Path, aside); err != nil {
		return nil, err
	}
	w, err := s.openFile(ctx)
	if isDamage(err) { // the new one of an earlier process, which has accepted nothing
		s.closeDatabases()
		if err := setAside(s.o.Path, aside+"-unfinished"); err != nil {
			return nil, err
		}
		w, err = s.openFile(ctx)
	}
	if err == nil {
		err = s.salvage(ctx, w, aside)
	}
	return w, err
}

func (s *Store) openFile(ctx context.Context) (*writer, error) {
	fresh, err := create(s.o.Path)
	if err != nil {
		return nil, err
	}
	if err := examineHeader(s.o.Path); err != nil {
		return nil, err
	}
	if err := s.renewWAL(); err != nil {
		return nil, err
	}
	var vacuum []string
	if fresh { // later it would change nothing, and write
		vacuum = []string{"auto_vacuum(INCREMENTAL)"}
	}
	s.write = s.database(1, append(vacuum,
		"journal_mode(WAL)",
		"synchronous(NORMAL)", // syncer does the rest
		"cache_size(-24576)",  // the system caches the file as well
		// The writer checkpoints between two transactions: as a part of COMMIT its
		// failure would look like one of the commit.
		"wal_autocheckpoint(0)",
		"journal_size_limit(67108864)",
	)...)
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{s: s, conn: conn, statements: map[string]statement{}, dirty: map[*laneState]bool{}}
	if err := w.prepare(ctx); err != nil {
		w.close() // a connection that is in use outlives the Close of its database
		return nil, err
	}
	s.read = s.database(4, "cache_size(-4096)", "query_only(1)")
	return w, nil
}

// database gives the connections of the writer or of the readers.
func (s *Store) database(connections int, pragmas ...string) *sql.DB {
	values := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	if s.o.vfs != "" {
		values.Set("vfs", s.o.vfs)
	}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: s.o.Path}).EscapedPath(), RawQuery: values.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil { // the driver is linked, and it looks at nothing else
		panic("sqlite: internal error: " + err.Error())
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// create makes the file for its owner alone; SQLite gives the same rights to the
// files beside it. Its name is safe on the disk before anything is written. It
// reports whether the file is empty.
func create(path string) (fresh bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	info, err := file.Stat()
	if err := errors.Join(err, file.Close()); err != nil {
		return false, err
	}
	return info.Size() == 0, syncFolder(filepath.Dir(path))
}

// Clean reports whether the store had been closed in order before it was opened.
func (s *Store) Clean() bool { return s.clean }

// Quarantined lists the files that were set aside because they are damaged.
func (s *Store) Quarantined() []string { return s.quarantined }

// Healthy returns nil while the store can keep events durably, else why not.
func (s *Store) Healthy() error {
	if broken := s.brokenBy.Load(); broken != nil {
		return *broken
	}
	if failure := s.failure.Load(); failure != nil {
		return *failure
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.queued >= s.o.ordinary() {
		return queue.ErrFull
	}
	return nil
}

// ordinary is how many events may wait before only critical ones are kept.
func (o *Options) ordinary() int { return o.MaxQueued - o.MaxQueued/100 }

// Broken returns a channel that is closed when the store cannot be trusted any
// more: an fsync has failed, or the file is damaged. The process should end then,
// for its supervisor to start it anew from what really is on the disk.
func (s *Store) Broken() <-chan struct{} { return s.brokenC }

// Close ends the store in order. What is still asked of it gets ErrUnavailable.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.stop)
		<-s.stopped
		err = s.closeFiles()
	})
	return err
}

// closeDatabases leaves them open when an fsync has failed: the last one to be
// closed would move the WAL into the database, though nobody knows whether the disk
// has it. The process is about to end anyway.
func (s *Store) closeDatabases() error {
	if s.unsynced() {
		return nil
	}
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	s.read, s.write = nil, nil
	return errors.Join(errs...)
}

// unsynced reports whether an fsync has failed.
func (s *Store) unsynced() bool {
	broken := s.brokenBy.Load()
	return broken != nil && isFailedSync(*broken)
}

func (s *Store) closeFiles() error {
	return errors.Join(s.closeDatabases(), s.lock.Close())
}
