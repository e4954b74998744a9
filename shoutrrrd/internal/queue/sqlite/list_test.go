package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// putLarge keeps n events whose bodies have about so many bytes. One of a hundred has
// the word needle in its body.
func putLarge(t testing.TB, s *Store, n, size int) {
	t.Helper()
	lane := laneOf(t, s)
	filler := strings.Repeat("A", size)
	for i := range n {
		e := event(lane, eventsv2.Trigger, fmt.Sprint("large-", i), queue.Info)
		e.Summary, e.Source = fmt.Sprint("number ", i), "db-1"
		text := ""
		if i%100 == 0 {
			text = "needle"
		}
		e.Body = fmt.Appendf(nil, `{"payload":{"summary":"number %d","source":%q,"custom_details":%q}}`, i, filler, text)
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// A list shows summaries and sources from their columns. It reads no body: what it
// allocates does not grow with the bodies.
func TestListsReadNoBodies(t *testing.T) {
	s := openTest(t, Options{})
	putLarge(t, s, 40, 480_000)
	var before, after runtime.MemStats
	for _, f := range []queue.Filter{{Limit: 500}, {Limit: 500, States: []queue.State{queue.Ready}}, {Limit: 500, Text: "NUMBER"}} {
		runtime.ReadMemStats(&before)
		page, err := s.Events(t.Context(), f)
		runtime.ReadMemStats(&after)
		if err != nil || len(page.Events) != 40 || page.Next != 0 || page.Read != 40 {
			t.Fatalf("%+v: %d events, next %d, read %d, %v", f, len(page.Events), page.Next, page.Read, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
			t.Errorf("%+v: the list of 40 events of 480 kB allocates %d bytes, want less than 1 MiB", f, allocated)
		}
		for i, e := range page.Events {
			if e.Body != nil || e.Summary != fmt.Sprint("number ", 39-i) || e.Source != "db-1" {
				t.Fatalf("%+v: event %d has a body of %d bytes, summary %q, source %q", f, e.ID, len(e.Body), e.Summary, e.Source)
			}
		}
	}
}

// One event is listed as a list would show it.
func TestListed(t *testing.T) {
	s := openTest(t, Options{})
	putLarge(t, s, 1, 10)
	e, err := s.Listed(t.Context(), 1)
	if err != nil || e.Summary != "number 0" || e.Body != nil || e.State != queue.Ready {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := s.Listed(t.Context(), 2); err == nil {
		t.Error("an event that is not there is listed")
	}
}

// A search for a text looks at a bounded number of bytes for a page, and its cursor
// goes on from there until everything has been looked at.
func TestSearchesAreBoundedByBytes(t *testing.T) {
	prove.NoRace(t)
	s := openTest(t, Options{})
	const n, size = 210, 500_000
	putLarge(t, s, n, size)
	for text, want := range map[string]int{"needle": 3, "nèedle": 0} { // the second one cannot be decided by SQL alone
		found, read, pages := 0, 0, 0
		for before := int64(0); pages == 0 || before > 0; pages++ {
			page, err := s.Events(t.Context(), queue.Filter{Text: text, Before: before})
			if err != nil {
				t.Fatal(err)
			}
			if page.Read*size > maxSearched {
				t.Errorf("%s: a page looks at %d bodies of %d bytes", text, page.Read, size)
			}
			found, read, before = found+len(page.Events), read+page.Read, page.Next
		}
		if found != want || read != n || pages != 2 {
			t.Errorf("%s: found %d of %d looked at, on %d pages", text, found, read, pages)
		}
	}
	// What the other words exclude costs no look into a body.
	page, err := s.Events(t.Context(), queue.Filter{Text: "needle", DedupKey: "large-0"})
	if err != nil || len(page.Events) != 1 || page.Read != n {
		t.Errorf("within one dedup key: %d events, read %d, %v", len(page.Events), page.Read, err)
	}
}

// The events in flight come the newest first, page by page.
func TestClaimedPages(t *testing.T) {
	s := openTest(t, Options{})
	putLarge(t, s, 7, 10)
	if _, err := s.Claim(t.Context(), []queue.Ask{{Lane: 1, Pick: queue.Oldest, N: 7}}); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for before, pages := int64(0), 0; pages == 0 || before > 0; pages++ {
		page, err := s.Events(t.Context(), queue.Filter{InFlight: true, Limit: 3, Before: before})
		if err != nil || pages > 3 {
			t.Fatal(err, pages)
		}
		for _, e := range page.Events {
			ids = append(ids, e.ID)
		}
		before = page.Next
	}
	if got := fmt.Sprint(ids); got != "[7 6 5 4 3 2 1]" {
		t.Errorf("in flight: %s", got)
	}
}

// fillLanes gives so many lanes one event each, and some of them more.
func fillLanes(t testing.TB, s *Store, lanes int) {
	t.Helper()
	var all sync.WaitGroup
	for start := range 32 {
		all.Go(func() {
			for i := start; i < lanes; i += 32 {
				key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", i))
				if err != nil {
					t.Error(err)
					return
				}
				lane, err := s.Lane(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				for n := range 1 + i%3 {
					if _, err := s.Put(t.Context(), event(lane.ID, eventsv2.Trigger, fmt.Sprint(n), queue.Rank((i+n)%queue.Ranks))); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
}

// The oldest event of each lane is found by leaps over the index, in one statement.
// A plan that scans would cost every status a look at all that is queued.
func TestOldestLeaps(t *testing.T) {
	s := openTest(t, Options{})
	fillLanes(t, s, 100)
	var plan []string
	err := s.rows(t.Context(), "EXPLAIN QUERY PLAN "+firstReady, nil, func(scan func(...any) error) error {
		var id, parent, unused int
		var detail string
		err := scan(&id, &parent, &unused, &detail)
		plan = append(plan, detail)
		return err
	})
	text := strings.Join(plan, "\n")
	if err != nil || !strings.Contains(text, "event_ready ((lane,priority)>(?,?))") || strings.Contains(text, "USE TEMP B-TREE") {
		t.Errorf("the plan is\n%s\n%v", text, err)
	}
	oldest, err := s.oldest(t.Context())
	if err != nil || len(oldest) != 100 {
		t.Errorf("the oldest events of %d lanes, %v; want those of 100", len(oldest), err)
	}
	for lane, at := range oldest {
		if at.any.IsZero() {
			t.Errorf("lane %d has something queued and no oldest event", lane)
		}
	}
}

// To choose among the latest events costs the same however many are ready: the index
// has them in their order.
func TestLeastTriedIsBounded(t *testing.T) {
	s := openTest(t, Options{})
	var plan []string
	err := s.rows(t.Context(), "EXPLAIN QUERY PLAN "+latestCritical, []any{1, 100}, func(scan func(...any) error) error {
		var id, parent, unused int
		var detail string
		err := scan(&id, &parent, &unused, &detail)
		plan = append(plan, detail)
		return err
	})
	text := strings.Join(plan, "\n")
	if err != nil || !strings.Contains(text, "event_ready (lane=? AND priority=?)") || strings.Contains(text, "USE TEMP B-TREE") {
		t.Errorf("the plan is\n%s\n%v", text, err)
	}
}

func BenchmarkOverview(b *testing.B) {
	s := openTest(b, Options{})
	fillLanes(b, s, 10_000)
	for b.Loop() {
		if _, err := s.Overview(b.Context(), nil, 200); err != nil {
			b.Fatal(err)
		}
	}
}

// A query ends with the request that asked for it: while SQLite looks for the first
// row, and between two rows. Neither of these would ever end by itself.
//
// The driver does not interrupt SQLite while it looks for a later row. What it may look
// at for that is bounded in every query, so that it ends soon after.
func TestQueriesEndWithTheirRequests(t *testing.T) {
	s := openTest(t, Options{})
	const endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
	for _, query := range []string{endless + "SELECT count(*) FROM n", endless + "SELECT i FROM n"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		err := s.rows(ctx, query, nil, func(func(...any) error) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", query, err)
		}
		cancel()
	}
}
