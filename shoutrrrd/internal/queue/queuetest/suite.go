package queuetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// Store is what the suite asks of a store.
type Store interface {
	Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error)
	Lanes(ctx context.Context) ([]queue.Lane, error)
	SaveLane(ctx context.Context, lane queue.Lane) error
	Hold(ctx context.Context, lane int64, by queue.By) error
	Unhold(ctx context.Context, lane int64, by queue.By) error
	Put(ctx context.Context, e queue.New) (queue.Placed, error)
	Claim(ctx context.Context, lane int64, pick queue.Pick, n int) ([]queue.Event, error)
	Release(events []queue.Event)
	Settle(ctx context.Context, settlements []queue.Settlement) error
	Wake(ctx context.Context, now time.Time, n int) (time.Time, error)
	Requeue(ctx context.Context, id int64, by queue.By) error
	Drop(ctx context.Context, id int64, by queue.By) error
	Recent(ctx context.Context, lane int64, since time.Time) ([]time.Time, error)
	Purge(ctx context.Context, before time.Time, n int) (int, error)
	Counts(ctx context.Context) ([]queue.Count, error)
	Events(ctx context.Context, f queue.Filter) (queue.Page, error)
	LaneHistory(ctx context.Context, lane int64) ([]queue.Entry, error)
	Groups(ctx context.Context) ([]queue.Group, error)
	Members(ctx context.Context, g queue.Group, n int) ([]int64, error)
}

// Opened is a store under test, with the clock that it was given.
type Opened struct {
	Store
	// Restart closes the store and opens it again: in order, or as a crash leaves it.
	Restart func(clean bool) Store
	Close   func()
}

// Open opens a new, empty store that asks now for the time and calls ready.
type Open func(now func() time.Time, ready func(lane int64, rank queue.Rank)) Opened

// Keys are the integration keys of the suite's lanes.
var Keys = []string{"0123456789abcdef0123456789abcdef", "ABCDEFABCDEF00112233445566778899"}

// machine drives a store and the model with the same operations.
type machine struct {
	t       *rapid.T
	store   Opened
	model   *Model
	now     time.Time
	claimed []pair
	ready   [2]map[int64]bool // lanes that were announced since the last look, by the store and by the model
}

// pair is one claim, as the store and as the model know it.
type pair struct{ store, model queue.Event }

// Conformance shows every rule of a store, and compares it with the model over
// random operations.
func Conformance(t *testing.T, open Open) {
	t.Run("rules", func(t *testing.T) { testRules(t, open) })
	t.Run("random operations", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m := &machine{t: t, model: NewModel(), now: time.UnixMilli(1_800_000_000_000).UTC()}
			m.ready = [2]map[int64]bool{{}, {}}
			m.store = open(func() time.Time { return m.now }, func(lane int64, _ queue.Rank) { m.ready[0][lane] = true })
			m.model.OnReady = func(lane int64, _ queue.Rank) { m.ready[1][lane] = true }
			defer m.store.Close()
			for _, text := range Keys {
				key, err := eventsv2.ParseKey(text)
				m.must(err)
				_, err = m.store.Lane(context.Background(), key)
				m.must(err)
				_, _ = m.model.Lane(context.Background(), key)
			}
			t.Repeat(map[string]func(*rapid.T){
				"put":     m.put,
				"put 2":   m.put,
				"claim":   m.claim,
				"settle":  m.settle,
				"settle2": m.settle,
				"release": m.release,
				"stale":   m.stale,
				"wake":    m.wake,
				"requeue": m.requeue,
				"drop":    m.drop,
				"purge":   m.purge,
				"restart": m.restart,
				"":        m.compare,
			})
		})
	})
}

func (m *machine) must(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) put(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
	e := queue.New{
		Lane:     rapid.Int64Range(1, 2).Draw(t, "lane"),
		Action:   rapid.SampledFrom([]eventsv2.Action{eventsv2.Trigger, eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve}).Draw(t, "action"),
		DedupKey: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "dedup"),
		Severity: queue.Rank(rapid.IntRange(0, 3).Draw(t, "severity")),
		Accepted: m.now,
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		e.Kind, e.Action, e.DedupKey = queue.Change, "", ""
	case 1, 2:
		e.Pool = "pool"
	}
	if rapid.Bool().Draw(t, "repaired") {
		e.Repairs = []string{"severity was wrong", "source was missing"}
	}
	e.Body = fmt.Appendf(nil, `{"n":%d}`, m.now.UnixMilli())
	got, err := m.store.Put(context.Background(), e)
	m.must(err)
	want, _ := m.model.Put(context.Background(), e)
	if got != want {
		t.Fatalf("put %+v: %+v, the model has %+v", e, got, want)
	}
}

func (m *machine) claim(t *rapid.T) {
	lane := rapid.Int64Range(1, 2).Draw(t, "lane")
	pick := rapid.SampledFrom([]queue.Pick{queue.MostUrgent, queue.OnlyCritical, queue.Oldest}).Draw(t, "pick")
	n := rapid.IntRange(1, 3).Draw(t, "n")
	got, err := m.store.Claim(context.Background(), lane, pick, n)
	m.must(err)
	want, _ := m.model.Claim(context.Background(), lane, pick, n)
	m.same("claimed", want, got)
	for i := range got {
		m.claimed = append(m.claimed, pair{got[i], want[i]})
	}
}

// takeClaim removes one of the claims that are held.
func (m *machine) takeClaim(t *rapid.T) (pair, bool) {
	if len(m.claimed) == 0 {
		return pair{}, false
	}
	i := rapid.IntRange(0, len(m.claimed)-1).Draw(t, "claim")
	p := m.claimed[i]
	m.claimed = append(m.claimed[:i:i], m.claimed[i+1:]...)
	return p, true
}

func (m *machine) settle(t *rapid.T) {
	p, ok := m.takeClaim(t)
	if !ok {
		return
	}
	x := queue.Settlement{
		ID: p.store.ID, Claim: p.store.Claim, At: m.now, Attempts: p.store.Attempts + 1, Tried: true, Status: 500, Reason: rapid.SampledFrom([]string{"failed", "refused"}).Draw(t, "reason"),
		State: rapid.SampledFrom([]queue.State{queue.Delivered, queue.Delivered, queue.Ready, queue.Waiting, queue.Refused, queue.Expired}).Draw(t, "state"),
	}
	if x.State == queue.Ready && p.store.Kind == queue.Alert && rapid.Bool().Draw(t, "move") {
		x.Lane = rapid.Int64Range(1, 2).Draw(t, "lane")
	}
	if x.State == queue.Waiting {
		x.Due = m.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "wait")) * time.Second)
	}
	m.must(m.store.Settle(context.Background(), []queue.Settlement{x}))
	x.Claim = p.model.Claim
	m.must(m.model.Settle(context.Background(), []queue.Settlement{x}))
}

// stale settles with a claim that is not held.
func (m *machine) stale(t *rapid.T) {
	all := m.model.All()
	if len(all) == 0 {
		return
	}
	x := queue.Settlement{ID: all[rapid.IntRange(0, len(all)-1).Draw(t, "stale")].ID, Claim: 1 << 40, State: queue.Delivered, At: m.now}
	if err := m.store.Settle(context.Background(), []queue.Settlement{x}); !errors.Is(err, queue.ErrStale) {
		t.Fatalf("settled event %d with a claim that nobody has: %v", x.ID, err)
	}
}

func (m *machine) release(t *rapid.T) {
	if p, ok := m.takeClaim(t); ok {
		m.store.Release([]queue.Event{p.store})
		m.model.Release([]queue.Event{p.model})
	}
}

func (m *machine) wake(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond)
	got, err := m.store.Wake(context.Background(), m.now, 0)
	m.must(err)
	want, _ := m.model.Wake(context.Background(), m.now, 0)
	if !got.Equal(want) {
		t.Fatalf("wake at %s: next %s, the model has %s", m.now, got, want)
	}
}

// some returns the number of an event, or one that there is not.
func (m *machine) some(t *rapid.T) int64 { return rapid.Int64Range(1, m.model.lastID+1).Draw(t, "id") }

func (m *machine) requeue(t *rapid.T) {
	id, by := m.some(t), queue.By{Who: "ana", Why: "try again", At: m.now}
	m.sameError("requeue", m.model.Requeue(context.Background(), id, by), m.store.Requeue(context.Background(), id, by))
}

func (m *machine) drop(t *rapid.T) {
	id, by := m.some(t), queue.By{Who: "ana", Why: "not needed", At: m.now}
	m.sameError("drop", m.model.Drop(context.Background(), id, by), m.store.Drop(context.Background(), id, by))
}

func (m *machine) purge(t *rapid.T) {
	before := m.now.Add(-time.Duration(rapid.IntRange(0, 600).Draw(t, "age")) * time.Second)
	got, err := m.store.Purge(context.Background(), before, 1000)
	m.must(err)
	want, _ := m.model.Purge(context.Background(), before, 1000)
	if got != want {
		t.Fatalf("purged %d, the model %d", got, want)
	}
}

func (m *machine) restart(t *rapid.T) {
	m.store.Store = m.store.Restart(rapid.Bool().Draw(t, "clean"))
	m.model.Restart()
	m.claimed = nil
}

// compare looks at all that can be seen.
func (m *machine) compare(t *rapid.T) {
	page, err := m.store.Events(context.Background(), queue.Filter{Limit: 10_000})
	m.must(err)
	got := page.Events
	for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
		got[i], got[j] = got[j], got[i]
	}
	m.same("events", m.model.All(), got)
	counts, err := m.store.Counts(context.Background())
	m.must(err)
	wanted, _ := m.model.Counts(context.Background())
	if diff := cmp.Diff(wanted, counts); diff != "" {
		t.Fatalf("counts (-model +store):\n%s", diff)
	}
	m.compareGroups(t)
	for lane := int64(1); lane <= 2; lane++ {
		got, err := m.store.Recent(context.Background(), lane, m.now.Add(-time.Minute))
		m.must(err)
		want, _ := m.model.Recent(context.Background(), lane, m.now.Add(-time.Minute))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("recent (-model +store):\n%s", diff)
		}
	}
	for lane := range m.ready[1] {
		if !m.ready[0][lane] {
			t.Fatalf("an event of lane %d became ready and nobody was told", lane)
		}
	}
	clear(m.ready[0])
	clear(m.ready[1])
}

func (m *machine) compareGroups(t *rapid.T) {
	got, err := m.store.Groups(context.Background())
	m.must(err)
	want, _ := m.model.Groups(context.Background())
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("groups (-model +store):\n%s", diff)
	}
	for _, g := range want {
		g.Latest -= rapid.Int64Range(0, 1).Draw(t, "before")
		n := rapid.IntRange(1, 5).Draw(t, "members")
		got, err := m.store.Members(context.Background(), g, n)
		m.must(err)
		want, _ := m.model.Members(context.Background(), g, n)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("members of %+v (-model +store):\n%s", g, diff)
		}
	}
}

// same compares events; tokens of claims are each store's own, and a priority
// means something only in a head.
func (m *machine) same(what string, want, got []queue.Event) {
	if diff := cmp.Diff(plain(want), plain(got), cmpopts.EquateEmpty()); diff != "" {
		m.t.Fatalf("%s (-model +store):\n%s", what, diff)
	}
}

func plain(events []queue.Event) []queue.Event {
	list := make([]queue.Event, len(events))
	for i, e := range events {
		e.Claim = 0
		if e.State != queue.Ready {
			e.Priority = 0
		}
		if e.State != queue.Waiting {
			e.Due = time.Time{}
		}
		list[i] = e
	}
	return list
}

func (m *machine) sameError(what string, want, got error) {
	for _, kind := range []error{queue.ErrNotFound, queue.ErrState} {
		if errors.Is(want, kind) != errors.Is(got, kind) {
			m.t.Fatalf("%s: %v, the model says %v", what, got, want)
		}
	}
	if (want == nil) != (got == nil) {
		m.t.Fatalf("%s: %v, the model says %v", what, got, want)
	}
}
