package eventsv2_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// spent returns the processor time of this thread: other than the time of the day
// it does not depend on who else uses the machine.
func spent(tb testing.TB) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// cost returns what the repairs of a body and the search for its key take.
func cost(tb testing.TB, body []byte) time.Duration {
	before := spent(tb)
	ctx := context.Background()
	_, _, _ = eventsv2.Repair(ctx, body, repairOptions())
	_, _, _ = eventsv2.RepairChange(ctx, body, repairOptions())
	_, _ = eventsv2.ReadKey(ctx, body)
	return spent(tb) - before
}

// Eight times the body costs about eight times the work, whatever it is made of.
// Work that grows with the square costs 64 times as much. The bound is between
// them: caches, and that only the larger body has to be made to fit, make it up to
// 35 at times. So a ratio above the bound counts only if it stays there.
func TestRepairIsLinear(t *testing.T) {
	prove.Long(t) // the race detector would be measured as well
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The collector would take its share of this thread whenever it likes.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(512 << 20))
	const small, times, bound, tries = 64 << 10, 8, 40, 5
	const least = 2 * time.Millisecond // what costs less does not matter, nor does its square
	for _, s := range bodies.Shapes() {
		few, many := s.Body(small), s.Body(small*times)
		short, long := max(cost(t, few), least), cost(t, many)
		for range tries {
			if long < short*bound {
				break
			}
			short, long = max(min(short, cost(t, few)), least), min(long, cost(t, many))
		}
		if long >= short*bound {
			t.Errorf("%s: %d KiB take %v, %d KiB %v", s.Name, len(few)>>10, short, len(many)>>10, long)
		}
	}
}

// BenchmarkRepairShapes finds the body of 2 MiB that takes longest, and the one that
// takes the most memory.
func BenchmarkRepairShapes(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		var slowest time.Duration
		var largest uint64
		var slow, large string
		for _, s := range bodies.Shapes() {
			body := s.Body(bodies.Most)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := spent(b)
			_, _, _ = eventsv2.Repair(context.Background(), body, repairOptions())
			took := spent(b) - start
			runtime.ReadMemStats(&after)
			if took > slowest {
				slowest, slow = took, s.Name
			}
			if memory := after.TotalAlloc - before.TotalAlloc; memory > largest {
				largest, large = memory, s.Name
			}
		}
		b.Logf("slowest: %s; largest: %s", slow, large)
		b.ReportMetric(float64(slowest.Milliseconds()), "ms/worst")
		b.ReportMetric(float64(largest>>20), "MiB/worst")
	}
}
