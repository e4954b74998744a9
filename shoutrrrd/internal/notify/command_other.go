//go:build !unix

package notify

import "os/exec"

// endWhole leaves it at the program itself, which the end of the context kills: there
// are no groups of processes here.
func endWhole(*exec.Cmd) {}
