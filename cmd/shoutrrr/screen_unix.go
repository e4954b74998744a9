//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// screenSize is the size of a terminal in characters, that of the oldest ones if it
// does not tell.
func screenSize(stream any) (width, height int) {
	width, height = 80, 24
	if file, ok := stream.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
			width, height = int(size.Col), int(size.Row)
		}
	}
	return width, height
}
