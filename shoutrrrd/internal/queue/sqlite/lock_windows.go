package sqlite

import (
	"errors"
	"fmt"
	"os"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"golang.org/x/sys/windows"
)

// lockFile takes the lock that keeps a second relay away; see lock_unix.go.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the queue: %w", err)
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, new(windows.Overlapped)); err != nil {
		_ = file.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, fmt.Errorf("%w (%s is locked): stop the other one, or give this one a queue of its own", queue.ErrLocked, path)
		}
		return nil, fmt.Errorf("lock the queue %s: %w", path, err)
	}
	return file, nil
}

// syncFolder does nothing: Windows has no such call, and NTFS journals names.
func syncFolder(string) error { return nil }
