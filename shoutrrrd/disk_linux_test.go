package main

import "syscall"

// unmount takes a file system away although something may still be open there.
func unmount(dir string) { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }
