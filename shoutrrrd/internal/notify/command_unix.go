//go:build unix

package notify

import (
	"os/exec"
	"syscall"
)

// endWhole has the end of the context kill the program and all that it has started, and
// the end of the relay, if that is killed, the program itself where the system can do that.
func endWhole(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	dieTogether(cmd.SysProcAttr)
}
