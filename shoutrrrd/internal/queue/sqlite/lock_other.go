//go:build !linux

package sqlite

import "os"

// lockItself does nothing: elsewhere such locks are those of a process, which SQLite's own
// closes would end. There is the lock beside the file, and taken says if the file is
// another one.
func lockItself(*os.File) error { return nil }
