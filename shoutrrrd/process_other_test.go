//go:build !unix

package main

import (
	"errors"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may have ended already

func duplicate(uintptr) (int, error) { return 0, errors.ErrUnsupported }
