package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

func largeEvent(lane int64, dedup string, severity queue.Rank) queue.New {
	e := event(lane, eventsv2.Trigger, dedup, severity)
	e.Body = fmt.Appendf(nil, `{"dedup_key":%q,"x":%q}`, dedup, strings.Repeat("x", 400<<10))
	return e
}

// Anybody can post large events over many connections. A page that comes behind fifty
// of them is written before nearly all of them: the disk takes a second for these.
func TestLargeEventsDoNotDelaySmallOnes(t *testing.T) {
	s := openTest(t, Options{slowAfter: time.Hour}) // on a busy machine they take a while to come, and who gives up is in no line
	stranger, lane := laneOf(t, s), laneFor(t, s, strings.Repeat("1", 32))
	began, goOn := make(chan struct{}), make(chan struct{})
	var posts sync.WaitGroup
	posts.Go(func() {
		err := s.submit(context.Background(), func(*writer) error { close(began); <-goOn; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-began
	const large = 50
	wait := func(n int) {
		for waitingRequests(s) < n {
			runtime.Gosched()
		}
	}
	for i := range large {
		posts.Go(func() {
			if _, err := s.Put(context.Background(), largeEvent(stranger, fmt.Sprint("large ", i), queue.Critical)); err != nil {
				t.Error(err)
			}
		})
	}
	wait(large)
	posts.Go(func() {
		placed, err := s.Put(context.Background(), event(lane, eventsv2.Trigger, "page", queue.Critical))
		if err != nil {
			t.Error(err)
		}
		if before := placed.ID - 1; before > 4 { // numbers are given out in the order of writing
			t.Errorf("%d large events were written before the page", before)
		}
	})
	wait(large + 1)
	close(goOn)
	posts.Wait()
	if counts := countOf(t, s, stranger); counts.Total() != large {
		t.Errorf("%d large events were kept, want %d", counts.Total(), large)
	}
}

func waitingRequests(s *Store) int { return len(s.requests) + len(s.large) }

// What wakes reads no bodies: five hundred events that are due at once would keep the
// disk's only writer busy with 250 MB, for each of the few that it then writes.
func TestWakeReadsNoBodies(t *testing.T) {
	const n = 24
	s, ctx := openTest(t, Options{}), t.Context()
	lane, due := laneOf(t, s), time.Now()
	for i := range n {
		mustPut(t, s, largeEvent(lane, fmt.Sprint(i), queue.Error))
	}
	events, err := queuetest.Claim(ctx, s, lane, queue.MostUrgent, n)
	if err != nil || len(events) != n {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		x := queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Waiting, At: due, Due: due, Attempts: 1, Tried: true}
		if err := queuetest.Settle(ctx, s, x); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for next, calls := due, 0; !next.IsZero(); calls++ {
		if next, err = s.Wake(ctx, due.Add(time.Second), n); err != nil || calls > n {
			t.Fatalf("after %d calls: %v", calls, err)
		}
	}
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 4<<20 {
		t.Errorf("%d MB were read to wake %d events", bytes>>20, n)
	}
	if events, err := queuetest.Claim(ctx, s, lane, queue.MostUrgent, n); err != nil || len(events) != n {
		t.Errorf("%d events are ready, want %d: %v", len(events), n, err)
	}
}
