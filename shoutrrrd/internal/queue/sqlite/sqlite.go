// Package sqlite keeps the relay's queue in one SQLite file.
//
// One goroutine writes. It takes what has been asked for since the last commit
// into one transaction, so that a hundred events cost one fsync, and answers after
// the commit: the file is in WAL mode with synchronous=FULL. Readers have
// connections of their own.
//
// Claims are kept in memory: after a crash everything that was not settled is
// ready again, and is sent again with the same dedup key.
//
// Every row has checksums, and every row that is read is checked. A contradiction
// in the data makes dead letters of the chain that it concerns, and of no other.
package sqlite

import (
	"container/list"
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	_ "modernc.org/sqlite" // the driver
)

//go:embed schema.sql
var schema string

// Options says how a store is opened.
type Options struct {
	// Path of the file. It and its folder are made if they are missing, readable
	// by their owner alone, since the file holds the integration keys.
	Path string

	// MaxQueued bounds the undelivered events. Its last hundredth is reserved for
	// critical ones, and beside others a lane has at most half of it. Defaults to
	// 2,000,000, about 2 GB.
	MaxQueued int

	// MaxDead and MaxDeadBytes bound the dead letters: the oldest and least severe
	// ones go first. Default to 100,000 and 1 GB.
	MaxDead      int
	MaxDeadBytes int64

	// MaxLanes bounds the lanes of keys that the configuration does not name.
	// Defaults to 20,000.
	MaxLanes int

	// MaxDisk returns how many bytes the file and its write-ahead log may take; 0 is
	// for the smaller of 20 GB and what leaves a tenth of the file system free.
	// Defaults to 0.
	MaxDisk func() int64

	// Listed reports whether the configuration names a key. Defaults to no.
	Listed func(eventsv2.Key) bool

	// Configured is what the configuration says of a key, named or not. Defaults to
	// nothing, for programs that send nothing.
	Configured func(eventsv2.Key) queue.Configured

	// Keys returns the keys that the configuration names: they help to take over
	// what is left of a damaged file.
	Keys func() []eventsv2.Key

	// Now gives the time. Defaults to time.Now.
	Now func() time.Time

	// Date makes a date of a time of the queue, for texts that people read. Defaults to the
	// time itself.
	Date func(at time.Time) time.Time

	// Clock gives time and date, in place of Now and Date, and goes on from one process to the next by what
	// the file keeps of it. nil: the times of two processes have nothing to do with each other.
	Clock Clock

	// OnReady is called after a commit that made an event ready, and must not
	// block nor call the store.
	OnReady func(lane int64, rank queue.Rank)
	// OnLane is called with the key of each lane before anything else knows the lane, and must not block.
	OnLane func(eventsv2.Key)

	// OnForget is called after lanes were forgotten, and must not block nor call the
	// store.
	OnForget func([]queue.Lane)

	// Report hears what the store has found in its data and dealt with. It must not
	// block nor call the store.
	Report func(Incident)

	restoring   bool          // the file may be a backup
	checking    bool          // the caller examines the queue, so that it gets all findings
	slowAfter   time.Duration // how old a transaction may be before the disk counts as hanging; tests make it shorter
	synchronous string        // a negative control sets NORMAL
	unmarked    bool          // a negative control leaves the log where it is at the start: to move it makes what it holds durable
	vfs         string        // tests put their own file system below SQLite
	disk        disk          // and beside it
	fileSystem  func(string) (total, free int64, err error)
}

const (
	defaultMaxQueued    = 2_000_000
	defaultMaxDead      = 100_000
	defaultMaxDeadBytes = 1e9
	defaultMaxLanes     = 20_000

	// SlowAfter is how old a transaction may be before the disk counts as hanging:
	// nothing is accepted until it has ended.
	SlowAfter = 5 * time.Second
)

func (o *Options) complete() {
	for value, standard := range map[*int]int{&o.MaxQueued: defaultMaxQueued, &o.MaxDead: defaultMaxDead, &o.MaxLanes: defaultMaxLanes} {
		if *value <= 0 {
			*value = standard
		}
	}
	if o.MaxDeadBytes <= 0 {
		o.MaxDeadBytes = defaultMaxDeadBytes
	}
	if o.MaxDisk == nil {
		o.MaxDisk = func() int64 { return 0 }
	}
	if o.Listed == nil {
		o.Listed = func(eventsv2.Key) bool { return false }
	}
	if o.Configured == nil {
		o.Configured = func(eventsv2.Key) queue.Configured { return queue.Configured{} }
	}
	if o.Keys == nil {
		o.Keys = func() []eventsv2.Key { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Date == nil {
		o.Date = func(at time.Time) time.Time { return at }
	}
	if o.Clock != nil {
		o.Now, o.Date = o.Clock.Now, o.Clock.Date
	}
	if o.OnReady == nil {
		o.OnReady = func(int64, queue.Rank) {}
	}
	if o.OnLane == nil {
		o.OnLane = func(eventsv2.Key) {}
	}
	if o.OnForget == nil {
		o.OnForget = func([]queue.Lane) {}
	}
	if o.Report == nil {
		o.Report = func(Incident) {}
	}
	if o.slowAfter <= 0 {
		o.slowAfter = SlowAfter
	}
	if o.synchronous == "" {
		o.synchronous = "FULL"
	}
	if o.fileSystem == nil {
		o.fileSystem = fileSystem
	}
	if o.disk == nil {
		o.disk = realDisk{}
	}
}

// Store is an open queue. It may be used by several goroutines at once.
type Store struct {
	o           Options
	lock        *os.File
	held        heldFile
	hadWAL      bool // there was a write-ahead log when the file was opened
	unfinished  bool // the file could not be marked as whole at the end; the writer's own
	write       *sql.DB
	read        *sql.DB
	clean       bool
	unsure      int64 // events up to this number may have been in flight when a process ended; the writer's own
	quarantined []string

	requests chan *request // to the writer
	large    chan *request // those that keep a large event, see largeRequest
	stop     chan struct{}
	stopped  chan struct{}
	failure  atomic.Pointer[error] // why nothing can be kept now
	brokenBy atomic.Pointer[error] // why nothing will ever be
	noRoom   atomic.Pointer[error] // why the disk takes no more ordinary events
	noPlace  atomic.Pointer[error] // why it takes no more critical ones either
	brokenC  chan struct{}

	busySince  atomic.Int64 // when the transaction in hand began, in nanoseconds since 1970; 0 between two
	truncating atomic.Bool  // the WAL is to be cut
	usage      usage
	examineC   chan struct{} // an examination is wanted
	examined   chan struct{} // closed when no more are made
	endExamine context.CancelFunc
	repairing  sync.Mutex
	salvaged   *Salvaged // what was taken over of a damaged file; nil if none was

	mu        sync.RWMutex
	lanes     map[string]*laneState // by key, in lower case
	byID      map[int64]*laneState
	unproven  *list.List // empty lanes of which PagerDuty never accepted anything, the longest unused first
	proven    *list.List // the other empty lanes
	rejected  *list.List // lanes of which PagerDuty never accepted anything and whose key it rejects
	busy      *list.List // lanes that people should see, see [laneRow.busy]; the latest to become so first
	idle      *list.List // all others, the latest to become so first
	unlisted  int        // lanes that the configuration does not name
	claims    map[int64]claim
	flying    map[int64]int // claims of each lane
	queued    int           // undelivered events
	dead      int           // dead letters
	deadBytes int64         // of their bodies
	evicted   int           // dead letters that had to go since the start
	givenUp   int           // events of lanes that made room since the start

	// configured are the keys that the configuration names, as they were when it was read
	// last: there may be thousands, and each event needs them.
	configured []eventsv2.Key

	closing sync.Once
}

// Open opens the queue, or makes a new one where there is none. A file that
// SQLite cannot read is set aside, never overwritten, and a new one begun: the
// pages of tonight are worth more than those that nobody can read
// ([Store.Quarantined] tells). queue.ErrLocked says that another relay has it open.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.complete()
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("make the queue's folder: %w", err)
	}
	lock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &Store{
		o: o, lock: lock,
		requests: make(chan *request, maxBatch), large: make(chan *request, maxBatch), stop: make(chan struct{}), stopped: make(chan struct{}),
		brokenC: make(chan struct{}), examineC: make(chan struct{}, 1), examined: make(chan struct{}),
		claims: map[int64]claim{}, flying: map[int64]int{},
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
	if err == nil { // what was taken over is on the disk now
		err = forgetPlan(s.o.Path)
	}
	if err == nil && !s.o.unmarked {
		err = w.needWAL()
	}
	if err != nil {
		if w != nil && !s.unsynced() {
			w.close()
		}
		return refused(fmt.Errorf("open the queue %s: %w", s.o.Path, err))
	}
	s.quarantined = asides(s.o.Path)
	if text, _ := w.meta("salvage"); text != "" { // it is for people; the events are there
		_ = json.Unmarshal([]byte(text), &s.salvaged)
	}
	if !s.o.checking {
		w.lookForRoom() // so that it is not ready from the start if the limit was lowered or others have filled the disk
	}
	go w.run()
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	s.endExamine = end
	if s.o.checking {
		close(s.examined)
		return nil
	}
	go s.examineAll(background)
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
		if err == nil || !isDamage(err) && !isOfTheData(err) {
			return w, err
		}
		s.o.Report(Incident{What: "the queue's file is damaged", Why: err.Error()})
		s.closeDatabases()
		if aside, err = planAside(s.o.Path, s.o.Now()); err != nil {
			return nil, err
		}
	}
	if err := setAside(s.o.Path, aside); err != nil {
		return nil, err
	}
	w, err := s.openFile(ctx)
	if err != nil && (isDamage(err) || isOfTheData(err)) { // the new one of an earlier process, which has accepted nothing
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
	// What the memory holds of a file that turned out to be damaged is not in the next.
	s.lanes, s.byID, s.unproven, s.proven, s.rejected = map[string]*laneState{}, map[int64]*laneState{}, list.New(), list.New(), list.New()
	s.busy, s.idle = list.New(), list.New()
	s.configured, s.unlisted, s.queued, s.dead, s.deadBytes = s.o.Keys(), 0, 0, 0, 0
	fresh, err := create(s.o.Path)
	if err != nil {
		return nil, err
	}
	if err := s.holdFile(); err != nil {
		return nil, err
	}
	if err := s.examineHeader(ctx); err != nil {
		return nil, err
	}
	if err := s.renewWAL(); err != nil {
		return nil, err
	}
	s.examineEmpty(fresh)
	s.hadWAL = exists(s.o.Path + "-wal")
	var vacuum []string
	if fresh { // later it would change nothing, and write
		vacuum = []string{"auto_vacuum(INCREMENTAL)"}
	}
	s.write = s.database(1, append(vacuum,
		"journal_mode(WAL)",
		"synchronous("+s.o.synchronous+")",
		"secure_delete(1)",   // what was purged holds other people's texts
		"cache_size(-24576)", // the system caches the file as well
		// The writer checkpoints between two transactions: as a part of COMMIT its
		// failure would look like one of the commit.
		"wal_autocheckpoint(0)",
		"journal_size_limit(67108864)",
	)...)
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{s: s, conn: conn, statements: map[string]*sql.Stmt{}, failing: map[string]bool{}, stepped: map[int64]bool{}, tx: transaction{dirty: map[*laneState]bool{}}}
	if err := w.prepare(ctx, fresh); err != nil {
		w.close() // a connection that is in use outlives the Close of its database
		return nil, err
	}
	s.read = s.database(6, "cache_size(-4096)", "query_only(1)")
	s.recognise()
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

// Salvaged says what was taken over of the damaged file that was set aside last;
// nil if none ever was.
func (s *Store) Salvaged() *Salvaged { return s.salvaged }

// Evicted is how many dead letters had to go since the start, as there were too many.
func (s *Store) Evicted() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.evicted
}

// Healthy returns nil while the store keeps critical events durably, else why not. It
// may turn others away, see [Store.Full].
func (s *Store) Healthy() error {
	if broken := s.brokenBy.Load(); broken != nil {
		return *broken
	}
	if failure := s.failure.Load(); failure != nil {
		return *failure
	}
	if err := s.slow(); err != nil {
		return err
	}
	return s.bounded(&s.noPlace, s.o.MaxQueued)
}

// Full returns nil while there is room for events of every severity, else why only
// critical ones are kept.
func (s *Store) Full() error { return s.bounded(&s.noRoom, s.o.ordinary()) }

func (s *Store) bounded(disk *atomic.Pointer[error], places int) error {
	if full := disk.Load(); full != nil {
		return *full
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.queued >= places {
		return queue.ErrFull
	}
	return nil
}

// began and ended say that the writer depends on the disk.
func (s *Store) began() { s.busySince.Store(s.o.disk.Now().UnixNano()) }
func (s *Store) ended() { s.busySince.Store(0) }

// Hanging is how long the transaction in hand has been waiting for the disk; 0 if
// there is none.
func (s *Store) Hanging() time.Duration {
	since := s.busySince.Load()
	if since == 0 {
		return 0
	}
	return max(0, time.Duration(s.o.disk.Now().UnixNano()-since))
}

// slow says that the disk does not answer.
func (s *Store) slow() error {
	if s.Hanging() < s.o.slowAfter {
		return nil
	}
	return s.hangs()
}

func (s *Store) hangs() error {
	return fmt.Errorf("%w: the disk has not answered for %s", queue.ErrUnavailable, s.Hanging().Round(time.Second))
}

// Broken returns a channel that is closed when the store cannot be trusted any
// more: an fsync has failed, or the file is damaged. The process should end then,
// for its supervisor to start it anew from what really is on the disk.
func (s *Store) Broken() <-chan struct{} { return s.brokenC }

// Close ends the store in order. What is still asked of it gets ErrUnavailable.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.endExamine()
		close(s.stop)
		<-s.stopped
		<-s.examined
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

// unsynced reports whether an fsync has failed, or the end in order, or the file is another
// one: to close it would take away the write-ahead log, in the last case that of the other.
func (s *Store) unsynced() bool {
	broken := s.brokenBy.Load()
	return s.unfinished || broken != nil && (isFailedSync(*broken) || errors.Is(*broken, errTaken))
}

func (s *Store) closeFiles() error {
	return errors.Join(s.closeDatabases(), s.letGo(), s.lock.Close())
}

// fail notes why nothing is kept. After a failed fsync it is not known what is on the
// disk (the kernel may have thrown the pages away and say success the next time), so
// the store takes nothing more and the process has to start anew.
func (s *Store) fail(err error) error {
	if isDamage(err) {
		s.suspect()
	}
	if !isFailedSync(err) && !isDamage(err) && !errors.Is(err, errTaken) {
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
