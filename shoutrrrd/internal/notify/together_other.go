//go:build unix && !linux && !freebsd

package notify

import "syscall"

// dieTogether does nothing: here the kernel tells no program that its parent was killed.
func dieTogether(*syscall.SysProcAttr) {}
