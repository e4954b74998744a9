package outlook

import (
	"math"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

var now = time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)

// free is a lane that has nothing to do and may do all.
func free(change func(*lane.Status)) lane.Status {
	s := lane.Status{Lane: 1, Condition: lane.Idle, Limit: 60, Learned: 60, Free: 60, Most: 10, Places: 100}
	s.Upstream.Record.Accepted = now.Add(-time.Hour)
	if change != nil {
		change(&s)
	}
	return s
}

func critical(n int) queue.Count {
	return queue.Count{Waiting: [queue.Ranks]int{n}, OldestCritical: now.Add(-time.Second)}
}

func TestPage(t *testing.T) {
	failed := lane.Record{Failures: 1, Chains: 1, Kind: lane.ServerError, Status: 500, Since: now}
	full := make([]int, 61)
	full[9], full[29] = 30, 30 // half of the window is free in 10 s, the rest in 30 s
	for _, tt := range []struct {
		name  string
		s     lane.Status
		count queue.Count
		late  time.Duration
		why   Reason
	}{
		{"an idle lane", free(nil), queue.Count{}, 0, None},
		{"the store fails", free(func(s *lane.Status) { s.StoreFailing = true }), queue.Count{}, 0, Storage},
		{"the store does not answer", free(func(s *lane.Status) { s.StoreSilent = 2 * time.Second }), queue.Count{}, 0, Storage},
		{"paused", free(func(s *lane.Status) { s.Condition = lane.Paused }), queue.Count{}, 0, Paused},
		{"a rejected key", free(func(s *lane.Status) { s.KeyRefused = true }), queue.Count{}, 0, KeyRejected},
		{"unreachable", free(func(s *lane.Status) { s.Upstream.Down = true }), queue.Count{}, 0, Unreachable},
		{"the upstream fails, and the lane is idle", free(func(s *lane.Status) { s.Upstream.Record = failed }), queue.Count{}, 0, Failing},
		{"the lane fails", free(func(s *lane.Status) { s.Record = failed }), critical(1), 0, Failing},
		{"what failed was given up", free(func(s *lane.Status) { s.Record = failed }), queue.Count{}, 0, None},
		{"attempts hang", free(func(s *lane.Status) { s.Upstream.Record.Silent, s.Upstream.Record.Flying = 6*time.Second, 2 }), queue.Count{}, 0, NoAnswer},
		{"one attempt hangs, and nothing else is sent", free(func(s *lane.Status) {
			s.Record.Silent, s.Record.Flying, s.Busy, s.Record.Tried = 6*time.Second, 1, 1, ownRecord
			s.Upstream.Record = s.Record
		}), queue.Count{}, 3500 * time.Millisecond, None},
		{"one of 20 hung until it failed", free(func(s *lane.Status) {
			s.Record = lane.Record{Tried: 20, Broken: 1, Hung: 1}
		}), queue.Count{}, 3500 * time.Millisecond, None},
		{"two of 20 hung so, as their second copies did", free(func(s *lane.Status) {
			s.Record = lane.Record{Tried: 20, Broken: 2, Lost: 30 * time.Second}
		}), queue.Count{}, 31250*time.Millisecond + 32500*time.Millisecond, None},
		{"very many wait for another attempt", free(func(s *lane.Status) {
			s.Record, s.Retry = lane.Record{Tried: 32, Broken: 15}, 20*time.Second
		}), queue.Count{}, (1250 + 2500 + 5000 + 10000 + 2*20000) * time.Millisecond, None},
		{"the upstream is paced, and has room", free(func(s *lane.Status) {
			s.Upstream.Pace, s.Upstream.Rate, s.Upstream.Free, s.Upstream.Waiting = 20, 1200, 5, 5
		}), queue.Count{}, 0, None},
		{"the upstream is paced, and 45 lanes have their turn before", free(func(s *lane.Status) {
			s.Upstream.Pace, s.Upstream.Rate, s.Upstream.Free, s.Upstream.Waiting = 20, 1200, 5, 46
		}), queue.Count{}, 2 * time.Second, None},
		{"its account is at its limit", free(func(s *lane.Status) {
			s.Upstream.Account, s.Upstream.Rate, s.Upstream.FreeAt = 60, 60, now.Add(3*time.Second)
		}), critical(4), 7 * time.Second, None},
		{"its account takes nothing", free(func(s *lane.Status) { s.Upstream.Account, s.Upstream.Rate, s.Upstream.Pauses = 60, 60, 2 }), queue.Count{}, 0, RateLimited},
		{"one attempt hangs, others are accepted", free(func(s *lane.Status) { s.Record.Silent, s.Busy = 6*time.Second, 1 }), queue.Count{}, 0, None},
		{"a 429 that the window explains", free(func(s *lane.Status) { s.Pauses, s.PausedUntil = 1, now.Add(40*time.Second) }), queue.Count{}, 40 * time.Second, None},
		{"40 pages wait for the end of a pause, and then leave one first and the others abreast", free(func(s *lane.Status) {
			s.Condition, s.Pauses, s.PausedUntil, s.Alone = lane.Throttled, 1, now.Add(45*time.Second), true
		}), critical(40), 47500 * time.Millisecond, None},
		{"429s again and again", free(func(s *lane.Status) { s.Pauses, s.PausedUntil = 2, now.Add(40*time.Second) }), queue.Count{}, 0, RateLimited},
		{"the last slot is free", free(func(s *lane.Status) { s.Free = 1 }), queue.Count{}, 0, None},
		{"a full window", free(func(s *lane.Status) { s.Free, s.Used, s.Frees = 0, 60, full }), queue.Count{}, 10 * time.Second, None},
		{"29 critical events before it", free(func(s *lane.Status) { s.Free, s.Used, s.Frees = 0, 60, full }), critical(29), 11 * time.Second, None},
		{"30 of them", free(func(s *lane.Status) { s.Free, s.Used, s.Frees = 0, 60, full }), critical(30), 31500 * time.Millisecond, None},
		{"2,000 of them", free(nil), critical(2000), 33*time.Minute + time.Second, None},
		{"the last 429 came when 20 had been accepted", free(func(s *lane.Status) { s.Took = 20 }), critical(19), 500 * time.Millisecond, None},
		{"and these are used up", free(func(s *lane.Status) { s.Took = 20 }), critical(20), time.Minute + time.Second, None},
		{"one waits for long", free(nil), queue.Count{Waiting: [queue.Ranks]int{1}, OldestCritical: now.Add(-10 * time.Second)}, AtOnce, None},
		{"one has waited since before the relay began", free(func(s *lane.Status) {
			s.Upstream.Record.Accepted = time.Time{}
		}), queue.Count{Waiting: [queue.Ranks]int{1}, OldestCritical: now.Add(-10 * time.Second)}, 0, Unproven},
		{"a 429 is why it has waited since before the relay began", free(func(s *lane.Status) {
			s.Upstream.Record.Accepted, s.Condition, s.Pauses, s.PausedUntil = time.Time{}, lane.Throttled, 1, now.Add(40*time.Second)
		}), queue.Count{Waiting: [queue.Ranks]int{1}, OldestCritical: now.Add(-10 * time.Second)}, 40 * time.Second, None},
		{"the relay has just begun", free(func(s *lane.Status) { s.Upstream.Record.Accepted = time.Time{} }), critical(1), 0, None},
		{"all places are taken", free(func(s *lane.Status) {
			s.Busy, s.Record = 10, lane.Record{Tried: 20, Took: 3 * time.Second, Oldest: time.Second}
		}), queue.Count{}, 3 * time.Second, None},
		{"PagerDuty is slow", free(func(s *lane.Status) {
			s.Record = lane.Record{Tried: 20, Took: 9 * time.Second, Own: 2500 * time.Millisecond}
		}), queue.Count{}, 2500 * time.Millisecond, None},
		{"one of 20 fails", free(func(s *lane.Status) { s.Record = lane.Record{Tried: 20, Broken: 1} }), queue.Count{}, 1250 * time.Millisecond, None},
	} {
		got := Of(tt.s, tt.count, now)
		if got.Reason != tt.why || got.Known() && got.Late != tt.late {
			t.Errorf("%s: %s %q, want %s %q", tt.name, got.Late, got.Reason, tt.late, tt.why)
		}
	}
}

// In a pool a new incident leaves by the lane that can send it; what stays is told beside.
func TestPageOfPool(t *testing.T) {
	sister := free(func(s *lane.Status) { s.Lane = 2 })
	limited := free(func(s *lane.Status) { s.Pauses, s.PausedUntil, s.Sister = 1, now.Add(time.Minute), &sister })
	rejected := free(func(s *lane.Status) { s.KeyRefused, s.Sister = true, &sister })
	waits := queue.Count{Waiting: [queue.Ranks]int{1}, OldestCritical: now.Add(-time.Minute)}
	for _, tt := range []struct {
		name  string
		s     lane.Status
		count queue.Count
		want  Page
		stays Page
	}{
		{"rate limited", limited, queue.Count{}, Page{By: 2, Stays: time.Minute}, Page{Late: time.Minute}},
		{"rate limited, and one has to stay", limited, waits, Page{By: 2, Stays: time.Minute, Late: AtOnce}, Page{Late: time.Minute}},
		{"a rejected key", rejected, queue.Count{}, Page{By: 2, Stuck: KeyRejected}, Page{Reason: KeyRejected}},
		{"a rejected key, and one has to stay", rejected, waits, Page{By: 2, Stuck: KeyRejected, Late: AtOnce}, Page{Reason: KeyRejected}},
	} {
		if got := Of(tt.s, tt.count, now); got != tt.want || got.Staying() != tt.stays {
			t.Errorf("%s: %+v, %+v", tt.name, got, got.Staying())
		}
	}
	sister.Upstream.Down = true
	if got := Of(rejected, queue.Count{}, now); got.Reason != KeyRejected || got.By != 0 {
		t.Errorf("where the other lane cannot send either: %+v", got)
	}
}

// The sum of the waits is that within which all but one page of a hundred arrive: tried
// out with the shares themselves.
func TestRetries(t *testing.T) {
	wait := func(failed int) time.Duration { return time.Second << min(failed-1, 2) } // 1 s doubling to 4 s
	for share, want := range map[float64]time.Duration{
		0: 0, 0.01: 0, 0.02: time.Second, 0.09: time.Second, 0.18: 3 * time.Second, 0.5: 19 * time.Second, 0.95: (3 + 4*87) * time.Second,
	} {
		got := Retries(share, wait)
		if share < 0.9 && got != want || math.Abs((got-want).Seconds()) > 5 {
			t.Errorf("of %.2f: %s, want %s", share, got, want)
		}
		left := share
		for late := time.Duration(0); late < got; left *= share {
			late += wait(1 + int(math.Round(math.Log(left)/math.Log(share))-1))
		}
		if left > 1-surely+1e-3 {
			t.Errorf("of %.2f: after %s %.3f of the pages have not arrived", share, got, left)
		}
	}
	if got := Retries(1, wait); got < time.Hour {
		t.Errorf("if all fail: %s", got)
	}
}
