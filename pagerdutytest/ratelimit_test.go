package pagerdutytest

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLimiter(t *testing.T) {
	l := limiter{limit: 2}
	steps := []struct {
		key  string
		at   time.Duration
		want bool
	}{
		{"a", 0, true},
		{"a", 30 * time.Second, true},
		{"a", 59 * time.Second, false},
		{"b", 59 * time.Second, true}, // each key by itself
		{"a", time.Minute - 1, false},
		{"a", time.Minute, true}, // what was refused did not count
		{"a", 89 * time.Second, false},
		{"a", 90 * time.Second, true},
		{"a", 10 * time.Second, false}, // a clock that goes back frees nothing
		{"a", 2*time.Minute - 1, false},
		{"a", 2 * time.Minute, true},
	}
	for i, step := range steps {
		if got := l.take(step.key, epoch.Add(step.at)); got != step.want {
			t.Errorf("step %d at %s: got %v, want %v", i, step.at, got, step.want)
		}
	}
}

func TestLimiterOff(t *testing.T) {
	l := limiter{limit: -1}
	for i := range 1000 {
		if !l.take("a", epoch) {
			t.Fatalf("event %d was refused", i)
		}
	}
}

// TestLimiterModel: never more than the limit in any 60 s, and nothing is refused
// without that many in the 60 s before it.
func TestLimiterModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		l := limiter{limit: limit}
		var accepted []time.Time
		now := epoch
		gaps := rapid.SliceOfN(rapid.IntRange(0, 40_000), 1, 100).Draw(t, "gaps in ms")
		for _, gap := range gaps {
			now = now.Add(time.Duration(gap) * time.Millisecond)
			inWindow := 0
			for _, at := range accepted {
				if now.Sub(at) < time.Minute {
					inWindow++
				}
			}
			got := l.take("a", now)
			if want := inWindow < limit; got != want {
				t.Fatalf("with %d of %d in the last 60 s: got %v", inWindow, limit, got)
			}
			if got {
				accepted = append(accepted, now)
			}
		}
		for i := range accepted {
			if last := i + limit; last < len(accepted) && accepted[last].Sub(accepted[i]) < time.Minute {
				t.Fatalf("%d events within %s", limit+1, accepted[last].Sub(accepted[i]))
			}
		}
	})
}
