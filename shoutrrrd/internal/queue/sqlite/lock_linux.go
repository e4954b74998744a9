package sqlite

import (
	"errors"
	"fmt"
	"os"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"golang.org/x/sys/unix"
)

// lockedByte is the byte of the queue's file that a relay locks. It is far beyond those
// that SQLite locks (from 1 GiB on, 512 bytes) and beyond any file; nothing is there.
const lockedByte = 1 << 62

// lockItself locks the file by a lock that belongs to this open file: that of a process
// would be lost whenever anything in it closes the same file.
func lockItself(file *os.File) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0, Start: lockedByte, Len: 1}
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w (%s is locked): stop the other one, or give this one a queue of its own", queue.ErrLocked, file.Name())
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EOVERFLOW):
		return nil // a file system without such locks has the lock beside the file
	case err != nil:
		return fmt.Errorf("lock the queue %s: %w", file.Name(), err)
	}
	return nil
}
