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
		seen = sample(moved)
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
	id    string        // of the boot; "" if it has no name
	none  bool          // there is no boot clock
}

var (
	started = time.Now()
	sampled atomic.Pointer[sampling]
	samples sync.Mutex // held by who samples
)

// sample looks how far the boot clock is ahead. That never becomes less: suspends alone make
// it more. If it seems less, the thread has waited between the two readings.
func sample(moved time.Duration) *sampling {
	samples.Lock()
	defer samples.Unlock()
	before, now := sampled.Load(), &sampling{moved: moved}
	ahead, err := ahead()
	switch {
	case before == nil && err != nil: // a sandbox may not allow it
		now.none = true
	case before == nil, !before.none && err == nil && ahead > before.ahead+noMove: // or it was suspended
		now.ahead, now.id = ahead, boot()
	default: // the wall clock was set
		now.ahead, now.id, now.none = before.ahead, before.id, before.none
	}
	sampled.Store(now)
	return now
}

// ahead is how far the boot clock is ahead of the time since the start, at least.
func ahead() (time.Duration, error) {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		return 0, err
	}
	return time.Duration(at.Nano()) - time.Since(started), nil
}

// boot names the boot, and the time namespace with its offsets: a container may have a boot
// clock of its own (time_namespaces(7)), and the number of a namespace is given out again. It
// is "" if the system does not say.
var boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/time")
	if os.IsNotExist(err) { // before Linux 5.6 there were none
		return strings.TrimSpace(string(id))
	}
	offsets, errOffsets := os.ReadFile("/proc/self/timens_offsets")
	if err != nil || errOffsets != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(id)+" "+space+" "+string(offsets)), " ")
})
