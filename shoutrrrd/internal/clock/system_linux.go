package clock

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// System reads this machine's clocks. Go's monotonic clock stands still while a machine is
// suspended; CLOCK_BOOTTIME does not.
func System() Reading {
	r := Reading{Wall: time.Now(), ID: boot()}
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil { // a sandbox may not allow it
		r.Boot, r.ID = time.Since(started), ""
		return r
	}
	r.Boot = time.Duration(at.Nano())
	return r
}

var started = time.Now()

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
