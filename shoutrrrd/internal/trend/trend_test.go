package trend

import (
	"fmt"
	"testing"
	"time"
)

func TestHour(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	tr := New()
	tr.Accepted("db", now)
	tr.Accepted("db", now.Add(30*time.Second)) // 14:03:50
	tr.Learned("db", 270, now)
	tr.Delivered("db", now.Add(time.Minute))
	tr.Throttled("db", now.Add(2*time.Minute))
	tr.Accepted("db", now.Add(-time.Hour)) // a clock that was set back: it counts now

	later := now.Add(10 * time.Minute)
	hour := tr.Hour("db", later)
	for i, want := range map[int]Minute{
		48: {},
		49: {Accepted: 2, Learned: 270},
		50: {Delivered: 1, Learned: 270},
		51: {Accepted: 1, Throttled: 1, Learned: 270},
		59: {Learned: 270},
	} {
		if hour[i] != want {
			t.Errorf("minute %d: %+v, want %+v", i, hour[i], want)
		}
	}
	if got, want := hour.Total(), (Minute{3, 1, 1, 270}); got != want {
		t.Errorf("in all %+v, want %+v", got, want)
	}
	after := tr.Hour("db", now.Add(3*time.Hour))
	if got, want := after.Total(), (Minute{Learned: 270}); got != want {
		t.Errorf("three hours later %+v, want %+v", got, want)
	}
	none := tr.Hour("web", now)
	if got := none.Total(); got != (Minute{}) {
		t.Errorf("a lane that nobody has heard of: %+v", got)
	}
}

func TestLanesAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tr := New()
	for i := range maxLanes + 5 {
		tr.Accepted(fmt.Sprint("lane-", i), now)
	}
	if len(tr.lanes) != maxLanes {
		t.Errorf("%d lanes are remembered, want at most %d", len(tr.lanes), maxLanes)
	}

	tr.Learned("lane-0", 270, now.Add(2*time.Hour))
	tr.Learned("idle", 270, now)
	tr.Accepted("later", now.Add(61*time.Minute))
	if hour := tr.Hour("later", now.Add(61*time.Minute)); hour.Total().Accepted != 1 || len(tr.lanes) != 1 {
		t.Errorf("an hour later a new lane has %+v among %d; it takes the place of those in which nothing happens any more", hour.Total(), len(tr.lanes))
	}
}
