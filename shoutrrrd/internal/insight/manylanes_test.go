package insight

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

// looked counts the lanes that a look takes out of the queue, and those that it asks
// the configuration about.
type looked struct {
	*sqlite.Store
	lanes, described int
}

func (l *looked) Lanes(ctx context.Context) ([]queue.Lane, error) {
	lanes, err := l.Store.Lanes(ctx)
	l.lanes += len(lanes)
	return lanes, err
}

func (l *looked) Overview(ctx context.Context, named []int64, others int) (queue.Overview, error) {
	o, err := l.Store.Overview(ctx, named, others)
	l.lanes += len(o.Lanes)
	return o, err
}

func (l *looked) Counted(ctx context.Context, id int64) (queue.Counted, error) {
	l.lanes++
	return l.Store.Counted(ctx, id)
}

// manyLanes is a queue with so many lanes, of which three have something to say: one
// event is queued, one was rejected, one lane is paused.
func manyLanes(t *testing.T, lanes int) *looked {
	t.Helper()
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	failed := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup
	for start := range 256 { // writers that share their commits
		all.Go(func() {
			for n := start; n < lanes; n += 256 {
				key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", n))
				failed(err)
				_, err = s.Lane(context.Background(), key)
				failed(err)
			}
		})
	}
	all.Wait()
	for id := range int64(2) {
		_, err := s.Put(t.Context(), queue.New{Lane: id + 1, Action: eventsv2.Trigger, DedupKey: "a", Accepted: now, Body: []byte("{}")})
		failed(err)
	}
	taken, err := s.Claim(t.Context(), []queue.Ask{{Lane: 2, Pick: queue.Oldest, N: 1}})
	failed(err)
	e := taken[0].Events[0]
	_, err = s.Settle(t.Context(), []queue.Settlement{{ID: e.ID, Claim: e.Claim, State: queue.Refused, At: now}})
	failed(err)
	failed(s.Hold(t.Context(), 3, queue.By{Who: "ana", At: now}))
	return &looked{Store: s}
}

// over is an insight into a queue. Nothing is kept for the next reader.
func (l *looked) over() *Insight {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	up := lane.Upstream{Record: lane.Record{Accepted: now}}
	return New(Options{
		Store: l, Now: func() time.Time { now = now.Add(time.Minute); return now },
		Prospect: func(queue.Lane) lane.Status { return lane.Status{Free: 100, Most: 8} }, Upstreams: func() []lane.Upstream { return nil },
		Statuses: func() []lane.Status {
			return []lane.Status{{Lane: 1, Condition: lane.Delivering, Limit: 5, Free: 5, Most: 2, Upstream: up}, {Lane: 4, Condition: lane.Throttled, Limit: 5, Free: 5}}
		},
		Status: func(id int64) (lane.Status, bool) {
			return lane.Status{Lane: id, Condition: lane.Idle, Limit: 200, Learned: 100, Free: 100}, id == 6
		},
		Describe: func(key eventsv2.Key) Named {
			l.described++
			return Named{Name: key.Fingerprint(), Limit: 300}
		},
		Config: func() Loaded { return Loaded{} }, Accepting: func() error { return nil },
	})
}

// The cost of a status, a scrape, a lane's page or the groups of dead letters does not
// grow with the lanes that have nothing to say.
func TestIdleLanesCostNothing(t *testing.T) {
	readers := map[string]func(context.Context, *Insight) error{
		"status":   func(ctx context.Context, i *Insight) error { _, err := i.Status(ctx); return err },
		"snapshot": func(ctx context.Context, i *Insight) error { _, err := i.Snapshot(ctx); return err },
		"dead":     func(ctx context.Context, i *Insight) error { _, err := i.Dead(ctx); return err },
		"lane":     func(ctx context.Context, i *Insight) error { _, err := i.Lane(ctx, "900"); return err },
		"shape":    func(ctx context.Context, i *Insight) error { _, err := i.Shape(ctx); return err },
	}
	const few, many, times = 1000, 4000, 5
	bytes := map[string][2]uint64{}
	for at, lanes := range []int{few, many} {
		l := manyLanes(t, lanes)
		i := l.over()
		status, err := i.Status(t.Context())
		if err != nil || status.Totals.Lanes != lanes || status.Totals.InTrouble != 3 || status.Totals.Paused != 1 || status.Queued != 1 || status.Dead != 1 ||
			len(status.Lanes) != 3+maxBusiest || status.NotShown.Lanes != lanes-3-maxBusiest || status.TimeToPage == nil || *status.TimeToPage != 1 { // one waits for longer than 10 s
			t.Fatalf("%d lanes: %+v, %d shown, %+v, %+v, %v", lanes, status.Totals, len(status.Lanes), status.NotShown, status.Headline, err)
		}
		for name, read := range readers {
			l.lanes, l.described = 0, 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range times {
				if err := read(t.Context(), i); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			runtime.ReadMemStats(&after)
			const most = times * (3 + 1 + maxBusiest + 2) // one that the scheduler has open, and two by their number
			if l.lanes > most || l.described > most {
				t.Errorf("%s of %d lanes, %d times: %d lanes were read and %d looked up, want at most %d", name, lanes, times, l.lanes, l.described, most)
			}
			two := bytes[name]
			two[at] = after.TotalAlloc - before.TotalAlloc
			bytes[name] = two
		}
	}
	for name, two := range bytes {
		if two[1] > 2*two[0] {
			t.Errorf("%s takes %d bytes with %d lanes and %d with %d", name, two[0]/times, few, two[1]/times, many)
		}
	}
}

// Of a lane in which the scheduler has nothing to do it is asked when the lane is shown.
// If it does not know it, the configuration says the limit, and the queue what was learned.
func TestLanesThatAreNotOpen(t *testing.T) {
	l := manyLanes(t, 6)
	for id, learned := range map[int64]queue.Lane{
		5: {ID: 5, Learned: 30, KeyRefused: time.Date(2026, 3, 4, 14, 0, 0, 0, time.UTC)},
		6: {ID: 6, Learned: 900},
	} {
		if err := l.SaveLane(t.Context(), learned); err != nil {
			t.Fatal(id, err)
		}
	}
	i := l.over()
	want := map[string]string{
		"1": "5 0 delivering false", "2": "300 300 idle false", "3": "300 300 paused false", "4": "5 0 rate_limited false", "5": "300 30 idle true", "6": "200 100 idle false",
	}
	said := func(where string, all []Lane) {
		if len(all) != len(want) {
			t.Errorf("%s has %d lanes, want %d", where, len(all), len(want))
		}
		for _, one := range all {
			if got := fmt.Sprintf("%d %d %s %t", one.Limit, one.Learned, one.Condition, one.KeyRefused); got != want[one.ID] {
				t.Errorf("%s: lane %s: %s, want %s", where, one.ID, got, want[one.ID])
			}
		}
	}
	status, err := i.Status(t.Context())
	if err != nil || status.Totals.InTrouble != 4 {
		t.Errorf("%+v, %v, want 4 lanes in trouble", status.Totals, err)
	}
	said("status", status.Lanes)
	list, err := i.Lanes(t.Context(), LaneSelection{limit: 10})
	if err != nil || list.Totals != status.Totals {
		t.Errorf("the list has %+v, %v, the status %+v", list.Totals, err, status.Totals)
	}
	said("the list", list.Lanes)
	var each []Lane
	for id := range 6 {
		one, err := i.Lane(t.Context(), fmt.Sprint(id+1))
		if err != nil {
			t.Fatal(err)
		}
		each = append(each, one)
	}
	said("its page", each)
}
