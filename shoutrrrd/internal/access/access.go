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
	othersEnter fs.FileMode = 0o001 // a folder
)

// withoutModes is true where files have no such rights.
const withoutModes = runtime.GOOS == "windows"

// Readable reports whether every user of this machine can read the file.
func Readable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !withoutModes && info.Mode().IsRegular() && info.Mode().Perm()&othersRead != 0 && Closed(path) == ""
}

// Closed returns the nearest folder above the file that not every user of this machine can
// enter; "" for none. What cannot be looked at is not judged: to open it will fail as well.
func Closed(path string) (folder string) {
	for _, folder := range foldersOf(path) {
		if closed := above(folder, func(mode fs.FileMode) bool { return mode.Perm()&othersEnter == 0 }); closed != "" {
			return closed
		}
	}
	return ""
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
	for _, folder := range foldersOf(path) {
		if open := openFolder(folder); open != "" {
			return fmt.Errorf("every user of this machine can replace it, as all may write to the folder %q: chmod o-w", open)
		}
	}
	return nil
}

// foldersOf returns the folder of a file; of a link, and then of the file to which it leads.
func foldersOf(path string) []string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	folders := []string{filepath.Dir(whole)}
	if target, err := filepath.EvalSymlinks(whole); err == nil {
		folders = append(folders, filepath.Dir(target))
	}
	return folders
}

// openFolder returns the folder, or the one above it, in which every user can replace
// what belongs to others; "" for none. In a folder with the sticky bit, such as /tmp,
// a user can replace only what is his own.
func openFolder(folder string) string {
	return above(folder, func(mode fs.FileMode) bool { return mode.Perm()&othersWrite != 0 && mode&fs.ModeSticky == 0 })
}

// above returns the nearest folder, from this one upwards, of which the mode is so; "" for none.
func above(folder string, is func(fs.FileMode) bool) string {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return ""
	}
	for {
		if info, err := os.Stat(real); err == nil && is(info.Mode()) {
			return real
		}
		parent := filepath.Dir(real)
		if parent == real {
			return ""
		}
		real = parent
	}
}
