//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup has a process that is to be started lead a group, so that it ends with all
// that it has started.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // it may have ended already

// duplicate gives a file a second descriptor.
func duplicate(fd uintptr) (int, error) { return syscall.Dup(int(fd)) }
