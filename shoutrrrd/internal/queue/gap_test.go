package queue

import (
	"testing"
	"time"
)

var base = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(hours float64) time.Time { return base.Add(time.Duration(hours * float64(time.Hour))) }

func TestGaps(t *testing.T) {
	gaps := Gaps{}.With(Gap{at(10), 4 * time.Hour}).With(Gap{at(20), 2 * time.Hour})
	for _, c := range []struct {
		from, to float64
		want     time.Duration
	}{
		{0, 5, 5 * time.Hour},
		{0, 10, 6 * time.Hour},
		{5, 12, 3 * time.Hour},
		{12, 19.5, 7*time.Hour + 30*time.Minute},
		{12, 21, 7 * time.Hour},
		{0, 24, 18 * time.Hour},
		{8, 11, time.Hour},
		{20, 21, time.Hour},
		{3, 1, 0},
	} {
		if got := gaps.Measured(at(c.from), at(c.to)); got != c.want {
			t.Errorf("from %v to %v h: %s measured, want %s", c.from, c.to, got, c.want)
		}
	}
	for _, c := range []struct {
		hours time.Duration
		want  float64
	}{{3, 21}, {4, 20}, {5, 17}, {12, 10}, {13, 5}, {18, 0}} {
		if got := gaps.Back(at(24), c.hours*time.Hour); !got.Equal(at(c.want)) {
			t.Errorf("%d h before: %s, want %s", c.hours, got.Sub(base), at(c.want).Sub(base))
		}
	}
}

// However many boots there were, what was measured is never counted as more than it was, and
// what is Back has that age.
func TestManyGaps(t *testing.T) {
	var gaps, all Gaps
	for n := range 5 * maxGaps {
		gap := Gap{at(float64(10 * (n + 1))), time.Duration(n%9) * time.Hour}
		gaps, all = gaps.With(gap), append(all, gap)
	}
	if len(gaps) > maxGaps {
		t.Fatalf("%d gaps are kept", len(gaps))
	}
	now := at(50*maxGaps + 5)
	for hour := range 50 * maxGaps {
		from := at(float64(hour))
		if got, most := gaps.Measured(from, now), all.Measured(from, now); got > most {
			t.Fatalf("from hour %d: %s count as measured, %s were", hour, got, most)
		}
	}
	for hours := range time.Duration(20 * maxGaps) {
		if got := all.Measured(gaps.Back(now, hours*time.Hour), now); got < hours*time.Hour {
			t.Fatalf("what is %d h back is %s old", hours, got)
		}
	}
	unknown := Gaps{}.With(Gap{now, 1<<63 - 1}).With(Gap{now.Add(time.Hour), 1<<63 - 1})
	if got := unknown.Measured(at(0), now.Add(2*time.Hour)); got != time.Hour {
		t.Errorf("%s before a gap without an end count", got)
	}
	if got := unknown.Back(now.Add(2*time.Hour), 3*time.Hour); !got.Before(now.Add(-100 * 365 * 24 * time.Hour)) {
		t.Errorf("back to %s", got)
	}
}
