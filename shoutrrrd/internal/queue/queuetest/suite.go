package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
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
	LaneByID(ctx context.Context, id int64) (queue.Lane, error)
	SaveLane(ctx context.Context, lane queue.Lane) error
	Hold(ctx context.Context, lane int64, by queue.By) error
	Unhold(ctx context.Context, lane int64, by queue.By) error
	Put(ctx context.Context, e queue.New) (queue.Placed, error)
	Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error)
	Release(events []queue.Event)
	Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error)
	Move(ctx context.Context, m queue.Move) (queue.Moved, error)
	Wake(ctx context.Context, now time.Time, n int) (time.Time, error)
	Hasten(ctx context.Context, lanes []int64, n int) (more bool, err error)
	Transfer(ctx context.Context, t queue.Transfer) (queue.Transferred, error)
	Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error)
	Drop(ctx context.Context, id int64, by queue.By) error
	TryEvent(ctx context.Context, id int64, by queue.By) (head int64, err error)
	TryLane(ctx context.Context, lane int64, by queue.By) (int, error)
	Recent(ctx context.Context, since time.Time) (map[int64][]queue.Acceptance, error)
	Failing(ctx context.Context) ([]string, error)
	Purge(ctx context.Context, before, unheard time.Time, n int) (int, error)
	Overview(ctx context.Context, named []int64, others int) (queue.Overview, error)
	Counted(ctx context.Context, id int64) (queue.Counted, error)
	Totals(ctx context.Context) ([]queue.Count, error)
	OpenBy(ctx context.Context, lane int64, most int) (n int, unknown bool, err error)
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
	// Bound lets the store have that many lanes, of keys that the configuration does not
	// name.
	Bound func(lanes int)
	// Configure says what the configuration says of keys from now on.
	Configure func(func(eventsv2.Key) queue.Configured)
	Close     func()
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
			m.model.Now = func() time.Time { return m.now }
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
				"put":       m.put,
				"put 2":     m.put,
				"flap":      m.flap,
				"flap 2":    m.flap,
				"claim":     m.claim,
				"settle":    m.settle,
				"settle2":   m.settle,
				"release":   m.release,
				"move":      m.moveNew,
				"stale":     m.stale,
				"wake":      m.wake,
				"hasten":    m.hasten,
				"requeue":   m.requeue,
				"configure": m.configure,
				"transfer":  m.transfer,
				"drop":      m.drop,
				"try":       m.try,
				"purge":     m.purge,
				"lane":      m.lane,
				"learn":     m.learn,
				"restart":   m.restart,
				"":          m.compare,
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
	case 1, 2, 3, 4:
		e.Origin, e.Pool = rapid.Int64Range(1, 2).Draw(t, "origin"), []int64{1, 2}
	}
	if rapid.Bool().Draw(t, "repaired") {
		e.Repairs = []string{"severity was wrong", "source was missing"}
	}
	e.Body = fmt.Appendf(nil, `{"n":%d}`, m.now.UnixMilli())
	e.Summary = fmt.Sprint("summary at ", m.now.UnixMilli())
	if rapid.IntRange(0, 4).Draw(t, "spelling") == 0 {
		e.Key, _ = eventsv2.ParseKey(strings.ToUpper(Keys[e.Lane-1]))
	}
	got, err := m.store.Put(context.Background(), e)
	m.must(err)
	want, _ := m.model.Put(context.Background(), e)
	if got != want {
		t.Fatalf("put %+v: %+v, the model has %+v", e, got, want)
	}
}

// flap has an alert opened and resolved several times while nothing is sent.
func (m *machine) flap(t *rapid.T) {
	lane, dedup := rapid.Int64Range(1, 2).Draw(t, "lane"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "dedup")
	for _, action := range rapid.SliceOfN(rapid.SampledFrom([]eventsv2.Action{eventsv2.Trigger, eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve, eventsv2.Resolve}), 2, 8).Draw(t, "actions") {
		m.now = m.now.Add(20 * time.Second)
		e := queue.New{
			Lane: lane, Action: action, DedupKey: dedup, Severity: queue.Rank(rapid.IntRange(0, 3).Draw(t, "severity")), Accepted: m.now,
			Summary: "flaps", Source: "web", Body: fmt.Appendf(nil, `{"payload":{"summary":"flaps","custom_details":{"n":%d}}}`, m.now.UnixMilli()),
		}
		got, err := m.store.Put(context.Background(), e)
		m.must(err)
		if want, _ := m.model.Put(context.Background(), e); got != want {
			t.Fatalf("put %+v: %+v, the model has %+v", e, got, want)
		}
	}
	m.now = m.now.Add(queue.FoldAfter)
	m.claimOf(t, lane)
}

func (m *machine) claim(t *rapid.T) { m.claimOf(t, rapid.Int64Range(1, 2).Draw(t, "lane")) }

func (m *machine) claimOf(t *rapid.T, lane int64) {
	pick := rapid.SampledFrom([]queue.Pick{queue.MostUrgent, queue.OnlyCritical, queue.Oldest, queue.LeastTried}).Draw(t, "pick")
	n := rapid.IntRange(1, 3).Draw(t, "n")
	way := rapid.SampledFrom([]queue.WhileWaiting{queue.SendAll, queue.SendOne, queue.SendNote}).Draw(t, "while waiting")
	asks := []queue.Ask{{Lane: lane, Pick: pick, N: n, Way: way}}
	if rapid.Bool().Draw(t, "both lanes") {
		asks = append(asks, queue.Ask{Lane: 3 - lane, Pick: pick, N: n, Way: way})
	}
	taken, err := m.store.Claim(context.Background(), asks)
	m.must(err)
	wanted, _ := m.model.Claim(context.Background(), asks)
	var got, want []queue.Event
	for i := range wanted {
		got, want = append(got, taken[i].Events...), append(want, wanted[i].Events...)
		if taken[i].More != wanted[i].More {
			t.Fatalf("claimed %+v: more of it: %v, the model has %v", asks[i], taken[i].More, wanted[i].More)
		}
		if diff := cmp.Diff(wanted[i].Merged, taken[i].Merged, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("folded by %+v (-model +store):\n%s", asks[i], diff)
		}
	}
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
		Counts: rapid.IntRange(0, 2).Draw(t, "counts"), Upstream: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "upstream"), Failing: rapid.Bool().Draw(t, "failing"),
		State: rapid.SampledFrom([]queue.State{queue.Delivered, queue.Delivered, queue.Ready, queue.Waiting, queue.Refused, queue.Expired}).Draw(t, "state"),
	}
	if x.State == queue.Ready && p.store.Kind == queue.Alert && rapid.Bool().Draw(t, "move") {
		x.Lane, x.Due = rapid.Int64Range(1, 2).Draw(t, "lane"), m.now.Add(time.Minute)
	}
	if x.State == queue.Ready || x.State == queue.Waiting || x.State == queue.Expired {
		x.MaybeAccepted = rapid.Bool().Draw(t, "maybe accepted")
	}
	if x.State == queue.Waiting {
		x.Due = m.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "wait")) * time.Second)
	}
	m.must(Settle(context.Background(), m.store, x))
	x.Claim = p.model.Claim
	m.must(Settle(context.Background(), m.model, x))
}

// moveNew moves what is new of a pool.
func (m *machine) moveNew(t *rapid.T) {
	x := queue.Move{
		From: rapid.Int64Range(1, 2).Draw(t, "lane"),
		Rank: queue.Rank(rapid.IntRange(0, 3).Draw(t, "rank")), After: rapid.SampledFrom([]int64{0, 0, 2}).Draw(t, "after"),
		N: rapid.IntRange(1, 3).Draw(t, "n"), Retiring: rapid.Bool().Draw(t, "retiring"), At: m.now, Why: "from lane a to b: rate limited",
	}
	x.To = rapid.SampledFrom([]int64{3 - x.From, 3 - x.From, 3 - x.From, 99}).Draw(t, "to")
	got, err := m.store.Move(context.Background(), x)
	m.must(err)
	want, _ := m.model.Move(context.Background(), x)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("moved by %+v (-model +store):\n%s", x, diff)
	}
}

// configure gives keys other upstreams and aliases.
func (m *machine) configure(t *rapid.T) {
	said := map[string]queue.Configured{}
	for i, key := range Keys {
		said[key] = queue.Configured{
			Upstream: rapid.SampledFrom([]string{"", "https://one.example.com", "https://two.example.com"}).Draw(t, "upstream"),
			Own:      rapid.Bool().Draw(t, "own"), Listed: rapid.Bool().Draw(t, "listed"),
			Alias: rapid.SampledFrom([]string{"", fmt.Sprint("alias-", i)}).Draw(t, "alias"),
		}
	}
	configured := func(key eventsv2.Key) queue.Configured { return said[key.Reveal()] }
	m.store.Configure(configured)
	m.model.Configured = configured
}

// transfer moves what is in one of the first two lanes to the other one, or says what would
// move.
func (m *machine) transfer(t *rapid.T) {
	x := queue.Transfer{
		From: rapid.Int64Range(1, 2).Draw(t, "lane"), To: rapid.SampledFrom([]int64{1, 2, 2, 99}).Draw(t, "to"),
		Elsewhere: rapid.Bool().Draw(t, "elsewhere"), Preview: rapid.Bool().Draw(t, "preview"),
		By: queue.By{Who: "ana", Why: "a new key", At: m.now}, Why: "from lane a to b",
	}
	want, failed := m.model.Transfer(context.Background(), x)
	got, err := m.store.Transfer(context.Background(), x)
	m.sameError("transfer", failed, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("transferred by %+v (-model +store):\n%s", x, diff)
	}
}

// stale settles with a claim that is not held.
func (m *machine) stale(t *rapid.T) {
	all := m.model.All()
	if len(all) == 0 {
		return
	}
	x := queue.Settlement{ID: all[rapid.IntRange(0, len(all)-1).Draw(t, "stale")].ID, Claim: 1 << 40, State: queue.Delivered, At: m.now}
	if err := Settle(context.Background(), m.store, x); !errors.Is(err, queue.ErrStale) {
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

func (m *machine) hasten(t *rapid.T) {
	lanes := rapid.SliceOfN(rapid.Int64Range(1, 4), 0, 3).Draw(t, "lanes")
	n := rapid.IntRange(1, 4).Draw(t, "n")
	got, err := m.store.Hasten(context.Background(), lanes, n)
	m.must(err)
	if want, _ := m.model.Hasten(context.Background(), lanes, n); got != want {
		t.Fatalf("hasten %d events of the lanes %v: there are more: %t, the model has %t", n, lanes, got, want)
	}
}

// some returns the number of an event, or one that there is not.
func (m *machine) some(t *rapid.T) int64 { return rapid.Int64Range(1, m.model.lastID+1).Draw(t, "id") }

// requeue sends some events once more, those that were delivered too, with the pool as it
// is configured at that time.
func (m *machine) requeue(t *rapid.T) {
	a := queue.Again{
		IDs: rapid.SliceOfN(rapid.Int64Range(1, m.model.lastID+1), 1, 4).Draw(t, "ids"), By: queue.By{Who: "ana", Why: "try again", At: m.now},
		Delivered: rapid.Bool().Draw(t, "delivered"), Elsewhere: rapid.Bool().Draw(t, "elsewhere"), Preview: rapid.IntRange(0, 9).Draw(t, "preview") == 9,
	}
	if rapid.Bool().Draw(t, "in a pool") {
		a.Pools = [][]int64{{1, 2}}
	}
	if rapid.Bool().Draw(t, "a key retires") {
		a.Heirs = map[int64]int64{1: 2}
	}
	want, _ := m.model.Requeue(context.Background(), a)
	got, err := m.store.Requeue(context.Background(), a)
	m.must(err)
	for i := range want {
		m.sameError("requeue", want[i].Err, got[i].Err)
		want[i].Err, got[i].Err = nil, nil
		if want[i].ID != 0 && want[i].Lane == 0 {
			got[i].Lane = 0
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("requeued %+v (-model +store):\n%s", a, diff)
	}
}

func (m *machine) drop(t *rapid.T) {
	id, by := m.some(t), queue.By{Who: "ana", Why: "not needed", At: m.now}
	m.sameError("drop", m.model.Drop(context.Background(), id, by), m.store.Drop(context.Background(), id, by))
}

func (m *machine) try(t *rapid.T) {
	id, by := m.some(t), queue.By{Who: "ana", Why: "now", At: m.now}
	if rapid.Bool().Draw(t, "one event") {
		want, failed := m.model.TryEvent(context.Background(), id, by)
		got, err := m.store.TryEvent(context.Background(), id, by)
		if m.sameError("try", failed, err); got != want {
			t.Fatalf("event %d was tried, the model has %d", got, want)
		}
		return
	}
	want, failed := m.model.TryLane(context.Background(), id%4, by)
	got, err := m.store.TryLane(context.Background(), id%4, by)
	m.sameError("try a lane", failed, err)
	if got != want {
		t.Fatalf("%d events of a lane were tried, the model has %d", got, want)
	}
}

func (m *machine) purge(t *rapid.T) {
	before := m.now.Add(-time.Duration(rapid.IntRange(0, 600).Draw(t, "age")) * time.Second)
	unheard := before.Add(-time.Duration(rapid.IntRange(0, 300).Draw(t, "longer")) * time.Second)
	got, err := m.store.Purge(context.Background(), before, unheard, 1000)
	m.must(err)
	want, _ := m.model.Purge(context.Background(), before, unheard, 1000)
	if got != want {
		t.Fatalf("purged %d, the model %d", got, want)
	}
}

// lane makes another lane.
func (m *machine) lane(t *rapid.T) {
	lanes, _ := m.model.Lanes(context.Background())
	if len(lanes) > 6 {
		return
	}
	key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", len(lanes)))
	m.must(err)
	_, err = m.store.Lane(context.Background(), key)
	m.must(err)
	_, _ = m.model.Lane(context.Background(), key)
}

// learn pauses or resumes a lane, or learns whether its key is rejected.
func (m *machine) learn(t *rapid.T) {
	l, err := m.store.LaneByID(context.Background(), rapid.Int64Range(1, 3).Draw(t, "lane"))
	if err != nil {
		return
	}
	by := queue.By{Who: "ana", Why: "a test", At: m.now}
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		m.must(m.store.Hold(context.Background(), l.ID, by))
		m.must(m.model.Hold(context.Background(), l.ID, by))
	case 1:
		m.must(m.store.Unhold(context.Background(), l.ID, by))
		m.must(m.model.Unhold(context.Background(), l.ID, by))
	case 2:
		l.KeyRefused = m.now
		m.must(m.store.SaveLane(context.Background(), l))
		m.must(m.model.SaveLane(context.Background(), l))
	default:
		l.KeyRefused = time.Time{}
		m.must(m.store.SaveLane(context.Background(), l))
		m.must(m.model.SaveLane(context.Background(), l))
	}
}

func (m *machine) restart(t *rapid.T) {
	clean := rapid.Bool().Draw(t, "clean")
	m.store.Store = m.store.Restart(clean)
	m.model.Restart()
	if !clean {
		m.model.Crashed()
	}
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
	want := m.model.All()
	for i := range want { // bodies are compared when they are claimed
		want[i].Body = nil
	}
	m.same("events", want, got)
	m.compareOverviews(t)
	totals, err := m.store.Totals(context.Background())
	m.must(err)
	wanted, _ := m.model.Totals(context.Background())
	if diff := cmp.Diff(wanted, totals); diff != "" {
		t.Fatalf("totals (-model +store):\n%s", diff)
	}
	for _, want := range wanted {
		got, err := m.store.Counted(context.Background(), want.Lane)
		m.must(err)
		if l, _ := m.model.LaneByID(context.Background(), want.Lane); l.Upstream != got.Lane.Upstream || l.Alias != got.Lane.Alias {
			t.Fatalf("lane %d goes to %q (%s), the model says %q (%s)", want.Lane, got.Lane.Upstream, got.Lane.Alias, l.Upstream, l.Alias)
		}
		open, unknown, err := m.store.OpenBy(context.Background(), want.Lane, 1000)
		m.must(err)
		if wanted, _, _ := m.model.OpenBy(context.Background(), want.Lane, 1000); open != wanted || unknown {
			t.Fatalf("%d incidents are open by lane %d, the model says %d", open, want.Lane, wanted)
		}
		if diff := cmp.Diff(want, got.Count); diff != "" || got.Lane.ID != want.Lane {
			t.Fatalf("lane %d by its number is %d (-model +store):\n%s", want.Lane, got.Lane.ID, diff)
		}
	}
	m.compareGroups(t)
	recent, err := m.store.Recent(context.Background(), m.now.Add(-time.Minute))
	m.must(err)
	wantRecent, _ := m.model.Recent(context.Background(), m.now.Add(-time.Minute))
	if diff := cmp.Diff(wantRecent, recent, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("recent (-model +store):\n%s", diff)
	}
	failing, err := m.store.Failing(context.Background())
	m.must(err)
	wantFailing, _ := m.model.Failing(context.Background())
	if diff := cmp.Diff(wantFailing, failing, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("failing upstreams (-model +store):\n%s", diff)
	}
	for lane := range m.ready[1] {
		if !m.ready[0][lane] {
			t.Fatalf("an event of lane %d became ready and nobody was told", lane)
		}
	}
	clear(m.ready[0])
	clear(m.ready[1])
}

func (m *machine) compareOverviews(t *rapid.T) {
	named := rapid.SliceOfN(rapid.Int64Range(1, 8), 0, 2).Draw(t, "named")
	others := rapid.SampledFrom([]int{0, 1, 2, math.MaxInt}).Draw(t, "others")
	got, err := m.store.Overview(context.Background(), named, others)
	m.must(err)
	if wrong := m.model.Wrong(got, named, others); wrong != "" {
		t.Fatalf("an overview with lanes %d and %d others: %s", named, others, wrong)
	}
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
	for _, kind := range []error{queue.ErrNotFound, queue.ErrState, queue.ErrOutdated} {
		if errors.Is(want, kind) != errors.Is(got, kind) {
			m.t.Fatalf("%s: %v, the model says %v", what, got, want)
		}
	}
	if (want == nil) != (got == nil) {
		m.t.Fatalf("%s: %v, the model says %v", what, got, want)
	}
}
