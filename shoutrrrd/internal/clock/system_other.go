//go:build !linux

package clock

import "time"

// System reads this machine's clocks. Whether Go's monotonic clock goes on while a machine is
// suspended depends on the system, and no boot of it has a name: what the next process does
// not measure itself is a gap.
func System() Reading { return Reading{Wall: time.Now(), Boot: time.Since(started)} }

var started = time.Now()
