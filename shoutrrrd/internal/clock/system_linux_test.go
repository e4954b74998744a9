package clock

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// System gives what the boot clock gives, also after the wall clock or a suspend has moved.
func TestSystemReadsTheBootClock(t *testing.T) {
	t.Cleanup(func() { sampled.Store(nil) })
	for _, before := range []*sampling{nil, {moved: 100 * time.Hour, ahead: -100 * time.Hour, id: "x"}, {moved: -time.Hour}} {
		sampled.Store(before)
		for range 3 {
			var least, most unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &least); err != nil {
				t.Fatal(err)
			}
			r := System()
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &most); err != nil {
				t.Fatal(err)
			}
			if slack := time.Duration(most.Nano()-least.Nano()) + noMove; r.Boot < time.Duration(least.Nano())-slack || r.Boot > time.Duration(most.Nano())+slack {
				t.Errorf("it says %s, the boot clock %s to %s", r.Boot, time.Duration(least.Nano()), time.Duration(most.Nano()))
			}
			if r.ID != boot() {
				t.Errorf("the boot is %q", r.ID)
			}
		}
	}
}

// What seems less than it was is a thread that has waited, or a call that has failed: the time
// does not go back.
func TestSystemDoesNotGoBack(t *testing.T) {
	t.Cleanup(func() { sampled.Store(nil) })
	sampled.Store(nil)
	before := System()
	seen := *sampled.Load()
	seen.ahead, seen.moved = seen.ahead+time.Hour, seen.moved+time.Minute
	sampled.Store(&seen)
	if r := System(); r.Boot < before.Boot+time.Hour || r.ID != before.ID {
		t.Errorf("it says %s of %q after %s of %q", r.Boot, r.ID, before.Boot+time.Hour, before.ID)
	}
}
