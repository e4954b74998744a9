package lane

import (
	"testing"
	"time"
)

// A critical event that has found no place since its host went down goes to it as soon as
// there is one: that is no time before now.
func TestNextAttemptOfWhatCouldGo(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	h := newHost("pagerduty")
	h.down, h.probeAt = true, now.Add(30*time.Second)
	if got := h.next(now); !got.Equal(h.probeAt) {
		t.Errorf("with nothing critical it is at %s", got)
	}
	h.lanes[0].PushBack(new(lane))
	if got := h.next(now); !got.Equal(now) {
		t.Errorf("it is at %s, want %s", got, now)
	}
}
