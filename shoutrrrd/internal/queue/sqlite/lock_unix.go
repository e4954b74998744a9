//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"golang.org/x/sys/unix"
)

// lockFile takes the lock that keeps a second relay away. It is a file of its
// own: SQLite's locks let two processes write in turns, and both would deliver.
// The lock ends with the process, however that ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the queue: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s is locked): stop the other one, or give this one a queue of its own", queue.ErrLocked, path)
		}
		return nil, fmt.Errorf("lock the queue %s: %w", path, err)
	}
	return file, nil
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}
