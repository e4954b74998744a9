//go:build linux || freebsd

package notify

import "syscall"

// dieTogether has the kernel kill the program when the thread ends that has started it: at
// the end of the relay, however that comes, as [Command.Send] stays on its thread.
func dieTogether(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
