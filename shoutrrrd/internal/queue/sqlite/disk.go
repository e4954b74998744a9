package sqlite

import (
	"errors"
	"io"
	"os"
	"time"
)

// disk is what the store asks of the disk beside what SQLite does.
type disk interface {
	// Now gives the time by which the disk is measured: how long it has not answered. It goes
	// by no wall clock, which may be set meanwhile, nor does it count the time in which the
	// machine was suspended, and the disk with it.
	Now() time.Time
	// Rewrite writes the whole file anew, with the bytes that it has, and syncs it.
	Rewrite(*os.File) error
}

type realDisk struct{}

var began = time.Now()

func (realDisk) Now() time.Time { return began.Add(time.Since(began)).Round(0) }

func (realDisk) Rewrite(file *os.File) error {
	piece := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := file.ReadAt(piece, at)
		if n > 0 {
			if _, err := file.WriteAt(piece[:n], at); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return syncData(file)
		}
		if err != nil {
			return err
		}
		at += int64(n)
	}
}

// renewWAL makes sure that the WAL which an unclean end has left is on the disk as
// this machine sees it. After an fsync that failed it may stand in the system's
// memory alone, and count as written there: no later fsync would write it. SQLite
// would then move it into the database, and after a power cut replay what the disk
// still has of it over that.
func (s *Store) renewWAL() error {
	wal, err := os.OpenFile(s.o.Path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(s.o.disk.Rewrite(wal), wal.Close())
}
