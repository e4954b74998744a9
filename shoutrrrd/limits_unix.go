//go:build unix

package main

import "golang.org/x/sys/unix"

// openFiles is how many files this process may have open. Go has raised the limit to
// the hard one.
func openFiles() (int64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return unlimitedFiles, err
	}
	return int64(min(limit.Cur, unlimitedFiles)), nil
}
