// Launch runs a command and prints what it cost: wall time and CPU time in
// nanoseconds, peak memory in KiB.
//
// It is a program of its own because Linux counts the peak memory of whoever
// starts a program into that program's: a small launcher hides nothing, a
// benchmark with servers in it would.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: launch PROGRAM [ARGUMENT…]")
	}
	null, err := syscall.Open(os.DevNull, syscall.O_RDWR, 0)
	if err != nil {
		fail(err)
	}
	start := time.Now()
	pid, err := syscall.ForkExec(os.Args[1], os.Args[1:], &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{uintptr(null), uintptr(null), 2},
	})
	if err != nil {
		fail(err)
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		if _, err = syscall.Wait4(pid, &status, 0, &usage); err != syscall.EINTR {
			break
		}
	}
	wall := time.Since(start)
	if err != nil {
		fail(err)
	}
	if status.ExitStatus() != 0 {
		fail(os.Args[1], ": exit status ", status.ExitStatus())
	}
	fmt.Println(wall.Nanoseconds(), usage.Utime.Nano()+usage.Stime.Nano(), usage.Maxrss)
}

func fail(what ...any) {
	fmt.Fprintln(os.Stderr, "launch:", fmt.Sprint(what...))
	os.Exit(1)
}
