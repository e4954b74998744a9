package admin

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// laneKey is the key of the nth lane of many.
func laneKey(n int) string { return fmt.Sprintf("%032d", n) }

// fill gives each of so many lanes one event, with many writers at once so that they
// share commits.
func (b *bench) fill(lanes int) {
	b.t.Helper()
	var all sync.WaitGroup
	for start := range 64 {
		all.Go(func() {
			for n := start; n < lanes; n += 64 {
				l, err := b.store.Lane(context.Background(), mustKey(b.t, laneKey(n)))
				if err == nil {
					_, err = b.store.Put(context.Background(), queue.New{
						Lane: l.ID, Action: eventsv2.Trigger, DedupKey: "a", Severity: queue.Rank(n % queue.Ranks), Accepted: b.clock(), Body: []byte("{}"),
					})
				}
				if err != nil {
					b.t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// lanePage is what is read of a list of lanes.
type lanePage struct {
	Lanes []struct {
		Name, Fingerprint string
		InTrouble         bool `json:"in_trouble"`
		Queued            int
	}
	Next   string
	Totals struct {
		Lanes     int
		InTrouble int `json:"in_trouble"`
		Queued    map[string]int
	}
}

// names are the lanes' fingerprints as a list has them.
func (p *lanePage) names() (names []string) {
	for _, l := range p.Lanes {
		names = append(names, l.Fingerprint)
	}
	return names
}

// The pages of the lanes follow each other without a gap or a repeat, whatever changes
// between them.
func TestLanePages(t *testing.T) {
	b := newBench(t, nil)
	var want []string
	for n := range 7 {
		b.put(laneKey(n), "a", queue.Info, body("x"))
		want = append(want, mustKey(t, laneKey(n)).Fingerprint())
	}
	var got []string
	cursor := ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		if pages > 7 {
			t.Fatal("the pages have no end")
		}
		var page lanePage
		b.read(b.get("/api/lanes?limit=3&cursor="+cursor), &page)
		got, cursor = append(got, page.names()...), page.Next
		b.later(2 * time.Second)
	}
	if !slices.Equal(got, want) {
		t.Errorf("all pages have %v, want %v", got, want)
	}
}

func TestLanesFilter(t *testing.T) {
	b := newBench(t, nil)
	b.put(dbKey, "a", queue.Info, body("x")) // lane 1: db, of the pool dbs
	b.put(otherKey, "a", queue.Info, body("x"))
	b.settle(2, queue.Settlement{State: queue.Refused, Status: 400})
	b.put(laneKey(0), "a", queue.Info, body("x"))
	b.put(laneKey(1), "a", queue.Info, body("x"))
	b.settle(4, queue.Settlement{State: queue.Delivered, Status: 202})
	b.scheduler.statuses = []lane.Status{{Lane: 3, Condition: lane.Delivering, KeyRefused: true}}
	prints := map[string]string{}
	for name, key := range map[string]string{"db": dbKey, "other": otherKey, "0": laneKey(0), "1": laneKey(1)} {
		prints[mustKey(t, key).Fingerprint()] = name
	}
	for query, want := range map[string]string{
		"":                                   "db other 0 1",
		"db":                                 "db",
		"DBS":                                "db",
		"pool:dbs":                           "db",
		"pool:db":                            "",
		"lane:db":                            "db",
		"state:queued":                       "db 0",
		"state:trouble":                      "other 0",
		"state:dead":                         "other",
		"state:key_rejected":                 "0",
		"state:idle":                         "other 1",
		"state:trouble state:queued":         "0",
		`"db" state:trouble`:                 "",
		mustKey(t, otherKey).Fingerprint():   "other",
		mustKey(t, laneKey(1)).Fingerprint(): "1",
	} {
		var page lanePage
		b.read(b.get("/api/lanes?q="+strings.ReplaceAll(query, " ", "+")), &page)
		var got []string
		for _, print := range page.names() {
			got = append(got, prints[print])
		}
		if strings.Join(got, " ") != want || page.Totals.Lanes != 4 || page.Totals.InTrouble != 2 {
			t.Errorf("%s: %v of %+v, want %s", query, got, page.Totals, want)
		}
	}
}

// asking counts how often the scheduler and the queue are asked about all lanes.
type asking struct {
	insight.Store
	mu       sync.Mutex
	statuses int
	queries  map[int]int // by how many idle lanes are asked for
}

func (a *asking) Overview(ctx context.Context, named []int64, others int) (queue.Overview, error) {
	a.mu.Lock()
	a.queries[others]++
	a.mu.Unlock()
	return a.Store.Overview(ctx, named, others)
}

// With 2,000 lanes the status has those in trouble, the most severe first, the busiest
// others, and totals over all. However many ask for it and for metrics, the queue and
// the scheduler are asked once in a second; for the list the queue is asked once more.
func TestStatusOfManyLanes(t *testing.T) {
	const lanes = 1000
	var asked *asking
	b := newBench(t, func(o *parts) {
		asked = &asking{Store: o.told.Store, queries: map[int]int{}}
		statuses := o.told.Statuses
		o.told.Store = asked
		o.told.Statuses = func() []lane.Status {
			asked.mu.Lock()
			asked.statuses++
			asked.mu.Unlock()
			return statuses()
		}
	})
	b.fill(lanes)
	conditions := []lane.Condition{lane.Delivering, lane.AtLimit, lane.Throttled, lane.Unreachable} // ever more severe
	for id := range int64(400) {
		b.scheduler.statuses = append(b.scheduler.statuses, lane.Status{Lane: id + 1, Condition: conditions[id%4], InFlight: 1})
	}
	b.scheduler.statuses[399].KeyRefused = true
	b.put(laneKey(lanes-1), "b", queue.Critical, body("x"))

	var all sync.WaitGroup
	for range 20 {
		for _, path := range []string{"/api/status", "/metrics", "/api/lanes", "/api/lanes?q=state:trouble"} {
			all.Go(func() {
				if g := b.do(call{method: http.MethodGet, path: path}); g.status != http.StatusOK && path != "/metrics" { // which takes 4 at once
					t.Errorf("%s: %d %s", path, g.status, g.body)
				}
			})
		}
	}
	all.Wait()
	if asked.queries[200] != 1 || asked.queries[math.MaxInt] != 1 || asked.statuses != 1 {
		t.Errorf("80 requests in a second asked the queue %d times and the scheduler %d times, want once for what is shown and once for the list", asked.queries, asked.statuses)
	}

	var status struct {
		lanePage
		Queued   int
		NotShown map[string]int `json:"not_shown"`
		Lanes    []struct {
			Fingerprint, Condition string
			KeyRefused             bool `json:"key_refused"`
			InTrouble              bool `json:"in_trouble"`
		}
	}
	b.read(b.get("/api/status"), &status)
	if len(status.Lanes) != 400 || status.Queued != lanes+1 || status.Totals.Lanes != lanes || status.Totals.InTrouble != 300 ||
		status.Totals.Queued["critical"] != lanes/queue.Ranks+1 || status.NotShown["lanes"] != lanes-400 || status.NotShown["in_trouble"] != 100 {
		t.Errorf("%d lanes, %d queued, %+v, not shown %v", len(status.Lanes), status.Queued, status.Totals, status.NotShown)
	}
	if !status.Lanes[0].KeyRefused {
		t.Errorf("first comes %+v, want the lane whose key is rejected", status.Lanes[0])
	}
	rank := len(conditions) - 1
	for i, l := range status.Lanes[1:200] {
		now := slices.Index(conditions, lane.Condition(l.Condition))
		if now > rank || !l.InTrouble {
			t.Fatalf("lane %d is %s, after %s", i+1, l.Condition, conditions[rank])
		}
		rank = now
	}
	if busiest := status.Lanes[200]; busiest.InTrouble || busiest.Fingerprint != mustKey(t, laneKey(lanes-1)).Fingerprint() {
		t.Errorf("the busiest lane is %+v", busiest)
	}
}

// An action shows in what is asked next, although a look is kept for a second.
func TestActionsShowAtOnce(t *testing.T) {
	b := newBench(t, nil)
	id := b.put(dbKey, "a", queue.Critical, body("disk full"))
	var status struct {
		Queued int
		Totals struct{ Paused int }
	}
	b.read(b.get("/api/status"), &status)
	b.post("/api/lanes/db/pause", "")
	b.post(fmt.Sprintf("/api/events/%d/drop", id), "")
	b.read(b.get("/api/status"), &status)
	if status.Queued != 0 || status.Totals.Paused != 1 {
		t.Errorf("after a pause and a drop: %+v", status)
	}
}
