package clock

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// System reads this machine's clocks. Go's monotonic clock stands still while a machine is
// suspended; CLOCK_BOOTTIME does not, and to read it is a system call. A suspend moves the
// wall clock against the monotonic one, as a step of it does: as long as it has not moved, the
// boot clock is as far from the monotonic one as it was.
func System() Reading {
	now := time.Now()
	passed := now.Sub(started)
	moved := now.Round(0).Sub(started.Round(0)) - passed
	seen := sampled.Load()
	if seen == nil || (moved-seen.moved).Abs() > noMove {
		seen = sample(moved, seen)
	}
	return Reading{Wall: now.Round(0), Boot: seen.ahead + passed, ID: seen.id}
}

// noMove is how far apart the two clocks of one reading may be: the thread may have waited
// between them.
const noMove = time.Millisecond

// sampling is what was seen of the boot clock when the wall clock had moved last.
type sampling struct {
	moved time.Duration // the wall clock, against the monotonic one, since the start
	ahead time.Duration // the boot clock, of the time since the start
	id    string        // of the boot; "" if there is no boot clock
}

var (
	started = time.Now()
	sampled atomic.Pointer[sampling]
)

func sample(moved time.Duration, before *sampling) *sampling {
	now := &sampling{moved: moved}
	var at unix.Timespec
	switch err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); {
	case err != nil: // a sandbox may not allow it
	case before != nil && (time.Duration(at.Nano())-time.Since(started)-before.ahead).Abs() <= noMove:
		now.ahead, now.id = before.ahead, before.id // the wall clock was set
	default:
		now.ahead, now.id = time.Duration(at.Nano())-time.Since(started), boot()
	}
	sampled.Store(now)
	return now
}

// boot names the boot, and the time namespace: a container may have a boot clock of its own
// (time_namespaces(7)). It is "" if the system does not say.
var boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/time")
	if err != nil && !os.IsNotExist(err) { // before Linux 5.6 there were none
		return ""
	}
	return strings.TrimSpace(strings.TrimSpace(string(id)) + " " + space)
})
