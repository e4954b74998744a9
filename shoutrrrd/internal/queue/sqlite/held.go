package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// errTaken says that the file which the store writes is not the one of its name any
// more. What is kept in it is lost with the process.
var errTaken = errors.New("its file was taken away or replaced while the relay had it open")

// heldFile is the queue's file with a lock on it, and what belongs to it as it was when
// the store opened it.
type heldFile struct {
	main *os.File
	seen map[string]os.FileInfo // by path
}

// holdFile locks the file itself: a lock beside it is lost with its own file, and does not
// keep away who comes by another name. It must not be closed before SQLite's connections
// are: any close of a file lets go of SQLite's own locks on it.
func (s *Store) holdFile() error {
	s.letGo()
	file, err := os.OpenFile(s.o.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := lockItself(file); err != nil {
		_ = file.Close()
		return err
	}
	s.held.main = file
	return nil
}

// letGo ends the lock on the file.
func (s *Store) letGo() error {
	if s.held.main == nil {
		return nil
	}
	err := s.held.main.Close()
	s.held = heldFile{}
	return err
}

// recognise learns what the files are that SQLite has open by now.
func (s *Store) recognise() {
	s.held.seen = map[string]os.FileInfo{}
	for _, end := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(s.o.Path + end); err == nil {
			s.held.seen[s.o.Path+end] = info
		}
	}
}

// smallestPage is the least that SQLite leaves of a file with tables.
const smallestPage = 512

// taken says which file is not the one that the store has open, or was emptied: SQLite keeps
// pages in memory, goes on and removes the log at its end.
func (s *Store) taken() error {
	for path, was := range s.held.seen {
		is, err := os.Stat(path)
		switch {
		case err == nil && path == s.o.Path && is.Size() < smallestPage && was.Size() >= smallestPage:
			return fmt.Errorf("%w: %s was cut to %d bytes", errTaken, path, is.Size())
		case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(was, is):
			return fmt.Errorf("%w: %s", errTaken, path)
		case err != nil: // that the disk does not answer says nothing of the file
			return nil
		}
	}
	return nil
}

// LookAfterFile finds out whether the files of the queue are still the ones that the store
// has open. If not it is broken from then on.
func (s *Store) LookAfterFile() {
	if err := s.taken(); err != nil {
		_ = s.fail(err)
	}
}

// The row that says whether the file is whole without its write-ahead log.
const (
	walMeta   = "wal"
	walNeeded = "needed"
	walMoved  = "moved"
)

// needWAL says in the file itself, and not only in its write-ahead log, that it is not
// whole without that: a copy without the log is known by it. SQLite moves the log into the
// file, and removes it, whenever the last connection is closed; from now on that is done
// by finish alone, which takes the mark back.
func (w *writer) needWAL() error {
	if err := w.setMeta(walMeta, walNeeded); err != nil {
		return err
	}
	w.moveWAL("PASSIVE")
	return nil
}

// examineEmpty reports an empty file that has a write-ahead log: SQLite removes that, and with
// it what was accepted last. Somebody has emptied or removed the file.
func (s *Store) examineEmpty(fresh bool) {
	if fresh && sizeOfFile(s.o.Path+"-wal") > 0 {
		s.o.Report(Incident{
			What: "the file of the queue is empty, and its write-ahead log is not",
			Why:  fmt.Sprintf("%s was emptied or removed: its events are lost unless there is a backup; a new queue begins", s.o.Path),
		})
	}
}

// examineWAL reports a file whose write-ahead log is missing: a store that has not ended in
// order leaves both, and what was accepted last is in the log alone. It is no reason to
// refuse the file: whoever opens a queue after a crash and closes it again, as fsck or the
// sqlite3 program does, has SQLite move the log into the file and remove it. That file is
// whole and looks the same, and a relay that does not start pages nobody.
func (w *writer) examineWAL(fresh bool) error {
	if fresh || w.s.hadWAL || w.s.o.checking || w.s.examineMark() != nil {
		return nil
	}
	needed, err := w.meta(walMeta)
	if err != nil || needed != walNeeded {
		return err
	}
	w.s.o.Report(Incident{
		What: "the write-ahead log of the queue is missing",
		Why: fmt.Sprintf("if %s was copied without %s while a relay was running, or that was removed, events are missing: copy both files, or make a copy by shoutrrrd backup; if another program has opened the queue since the relay was killed, nothing is missing",
			w.s.o.Path, w.s.o.Path+"-wal"),
	})
	return nil
}

// isRefusedFile reports whether the file is whole, and not for this program to use as it
// is: no later start can change that.
func isRefusedFile(err error) bool {
	return errors.Is(err, errLater) || errors.Is(err, errForeign) || errors.Is(err, errBackup)
}

// refused marks what no new start can mend, see [queue.ErrRefusedFile].
func refused(err error) error {
	if isRefusedFile(err) {
		return fmt.Errorf("%w%w", queue.ErrRefusedFile, err)
	}
	return err
}
