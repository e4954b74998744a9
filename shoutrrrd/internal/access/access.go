// Package access judges who else on this machine may change or read the files that
// the relay trusts: its settings, its secrets and its queue.
package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// What users who are neither the owner nor of the group may do. The group may: that
// is how a file of root's is given to a daemon.
const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// withoutModes is true where files have no such rights.
const withoutModes = runtime.GOOS == "windows"

// Readable reports whether every user of this machine can read the file.
func Readable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !withoutModes && info.Mode().IsRegular() && info.Mode().Perm()&othersRead != 0
}

// Changeable returns an error if every user of this machine can write to the file, or
// can put another one into its place by way of a folder above it. What cannot be
// looked at is not judged: to open it will fail as well.
func Changeable(path string) error {
	if withoutModes {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&othersWrite != 0 {
		return errors.New("every user of this machine can write to it: chmod o-w")
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	folders := []string{filepath.Dir(whole)} // of the link, if it is one
	if target, err := filepath.EvalSymlinks(whole); err == nil {
		folders = append(folders, filepath.Dir(target))
	}
	for _, folder := range folders {
		if open := openFolder(folder); open != "" {
			return fmt.Errorf("every user of this machine can replace it, as all may write to the folder %q: chmod o-w", open)
		}
	}
	return nil
}

// openFolder returns the folder, or the one above it, in which every user can replace
// what belongs to others; "" for none. In a folder with the sticky bit, such as /tmp,
// a user can replace only what is his own.
func openFolder(folder string) string {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return ""
	}
	for {
		if info, err := os.Stat(real); err == nil && info.Mode().Perm()&othersWrite != 0 && info.Mode()&fs.ModeSticky == 0 {
			return real
		}
		above := filepath.Dir(real)
		if above == real {
			return ""
		}
		real = above
	}
}
