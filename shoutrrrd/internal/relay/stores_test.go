package relay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
)

// store is what a world needs of a queue.
type store interface {
	relay.Store
	Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error)
	Put(ctx context.Context, e queue.New) (queue.Placed, error)
	Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error)
	Transfer(ctx context.Context, t queue.Transfer) (queue.Transferred, error)
	Drop(ctx context.Context, id int64, by queue.By) error
	Overview(ctx context.Context, named []int64, others int) (queue.Overview, error)
	Events(ctx context.Context, f queue.Filter) (queue.Page, error)
	Groups(ctx context.Context) ([]queue.Group, error)
	Members(ctx context.Context, g queue.Group, n int) ([]int64, error)
	Close() error
}

// bounds are those of a store which a world makes small.
type bounds struct {
	lanes  int // of unlisted keys; 0 for as many as there are
	listed func(eventsv2.Key) bool
	// configured is what the settings say of a key.
	configured func(eventsv2.Key) queue.Configured
	forget     func([]queue.Lane)
	report     func(sqlite.Incident)

	merged *atomic.Bool // see twin
	hangs  bool         // see twin
}

// openFile opens the real store, with or without the model beside it.
func openFile(path string, now *clock.Line, ready func(int64, queue.Rank), b bounds, model *queuetest.Model) (store, error) {
	o := sqlite.Options{Path: path, Clock: now, OnReady: ready, MaxLanes: b.lanes, Listed: b.listed, Configured: b.configured, OnForget: b.forget, Report: b.report}
	if model == nil {
		return sqlite.Open(context.Background(), o)
	}
	t := &twin{model: model, tokens: map[int64]uint64{}, merged: b.merged, hangs: b.hangs}
	o.OnReady = func(lane int64, rank queue.Rank) {
		t.note(&t.announced, lane)
		ready(lane, rank)
	}
	model.OnReady = func(lane int64, _ queue.Rank) { t.note(&t.expected, lane) }
	var err error
	t.file, err = sqlite.Open(context.Background(), o)
	return t, err
}

// abandon leaves the files of a queue as they are now and lets go of them, as the end
// of a process does. Nothing may be in hand.
func abandon(path string, letGo func() error) error {
	left := path + "-left"
	for _, end := range []string{"-wal", ""} { // in this order, as the writer may move the one into the other
		data, err := os.ReadFile(path + end)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(left+end, data, 0o600); err != nil {
			return err
		}
	}
	if err := letGo(); err != nil {
		return err
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + end)
	}
	for _, end := range []string{"", "-wal"} {
		if err := os.Rename(left+end, path+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// locked is the model for several goroutines.
type locked struct {
	mu    sync.Mutex
	model *queuetest.Model
	clean bool
}

func (l *locked) Clean() bool  { return l.clean }
func (l *locked) Close() error { return nil }

func (l *locked) LaneByID(ctx context.Context, id int64) (queue.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.LaneByID(ctx, id)
}

func (l *locked) Lanes(ctx context.Context) ([]queue.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Lanes(ctx)
}

func (l *locked) Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Lane(ctx, key)
}

func (l *locked) Totals(ctx context.Context) ([]queue.Count, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Totals(ctx)
}

func (l *locked) Overview(ctx context.Context, named []int64, others int) (queue.Overview, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Overview(ctx, named, others)
}

func (l *locked) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Put(ctx, e)
}

func (l *locked) Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Claim(ctx, asks)
}

func (l *locked) Release(events []queue.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.model.Release(events)
}

func (l *locked) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Settle(ctx, list)
}

func (l *locked) Move(ctx context.Context, m queue.Move) (queue.Moved, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Move(ctx, m)
}

func (l *locked) Transfer(ctx context.Context, t queue.Transfer) (queue.Transferred, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Transfer(ctx, t)
}

func (l *locked) Wake(ctx context.Context, now time.Time, n int) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Wake(ctx, now, n)
}

func (l *locked) Hasten(ctx context.Context, lanes []int64, n int) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Hasten(ctx, lanes, n)
}

func (l *locked) SaveLane(ctx context.Context, lane queue.Lane) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.SaveLane(ctx, lane)
}

func (l *locked) Hold(ctx context.Context, id int64, by queue.By) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Hold(ctx, id, by)
}

func (l *locked) Unhold(ctx context.Context, id int64, by queue.By) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Unhold(ctx, id, by)
}

func (l *locked) TryLane(ctx context.Context, id int64, by queue.By) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.TryLane(ctx, id, by)
}

func (l *locked) TryEvent(ctx context.Context, id int64, by queue.By) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.TryEvent(ctx, id, by)
}

func (l *locked) Failing(ctx context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Failing(ctx)
}

func (l *locked) Recent(ctx context.Context, since time.Time) (map[int64][]queue.Acceptance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Recent(ctx, since)
}

func (l *locked) Purge(ctx context.Context, before, unheard time.Time, n int) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Purge(ctx, before, unheard, n)
}

func (l *locked) Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Requeue(ctx, a)
}

func (l *locked) Drop(ctx context.Context, id int64, by queue.By) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Drop(ctx, id, by)
}

func (l *locked) Groups(ctx context.Context) ([]queue.Group, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Groups(ctx)
}

func (l *locked) Members(ctx context.Context, g queue.Group, n int) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.model.Members(ctx, g, n)
}

func (l *locked) Events(_ context.Context, f queue.Filter) (queue.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return queue.Page{Events: matching(l.model.All(), f)}, nil
}

// matching filters by going over all events, the newest first.
func matching(all []queue.Event, f queue.Filter) (found []queue.Event) {
	slices.Reverse(all)
	for _, e := range all {
		lists := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(f.Text)) }
		switch {
		case len(f.States) > 0 && !slices.Contains(f.States, e.State), f.InFlight && !e.InFlight, f.Lane != 0 && e.Lane != f.Lane,
			f.DedupKey != "" && e.DedupKey != f.DedupKey, f.AtLeast != nil && e.Severity > *f.AtLeast,
			f.Text != "" && !lists(string(e.Body)) && !lists(e.Reason), f.Before != 0 && e.ID >= f.Before:
			continue
		}
		found = append(found, e)
	}
	return found[:min(len(found), cmp.Or(f.Limit, 50))]
}

// twin asks the real store and the model for the same, one request after the other,
// and compares the answers.
type twin struct {
	mu        sync.Mutex
	file      *sqlite.Store
	model     *queuetest.Model
	tokens    map[int64]uint64 // of the model's claims, by event
	merged    *atomic.Bool     // an event was requeued into a later one, which has its time since then
	hangs     bool             // where the disk hangs numbers are not in the order of times: of events that come meanwhile a later one may be kept first
	announced map[int64]bool   // lanes of the request in hand, by the store
	expected  map[int64]bool   // and by the model
	notes     sync.Mutex
	differs   string // the first difference
}

func (t *twin) note(in *map[int64]bool, lane int64) {
	t.notes.Lock()
	defer t.notes.Unlock()
	if *in == nil {
		*in = map[int64]bool{}
	}
	(*in)[lane] = true
}

// same notes the first difference, and looks whether what the model has announced was
// announced by the store as well.
func (t *twin) same(what string, want, got any) {
	t.notes.Lock()
	defer t.notes.Unlock()
	diff := ""
	if !reflect.DeepEqual(want, got) { // that is much faster, and takes two spellings of one time for different
		diff = gocmp.Diff(want, got, cmpopts.EquateEmpty())
	}
	for lane := range t.expected {
		if !t.announced[lane] {
			diff += fmt.Sprintf("an event of lane %d became ready and was not announced", lane)
		}
	}
	t.expected, t.announced = nil, nil
	if diff != "" && t.differs == "" {
		t.differs = fmt.Sprintf("%s differs from the model (-model +store):\n%s", what, diff)
	}
}

// kind is what two errors have in common that say the same.
func kind(err error) string {
	for _, kind := range []error{queue.ErrNotFound, queue.ErrOutdated, queue.ErrState, queue.ErrStale} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return fmt.Sprint(err)
}

func cut(at time.Time) time.Time { return at.Truncate(time.Millisecond) } // as the file keeps it

// plain leaves out what differs without a meaning: tokens are each store's own, a
// priority is that of a head, a time is due only while it is waited for.
func plain(events []queue.Event) []queue.Event {
	list := slices.Clone(events)
	for i := range list {
		e := &list[i]
		e.Claim = 0
		for _, at := range []*time.Time{&e.Accepted, &e.Fresh, &e.Due, &e.Ended} {
			*at = at.Round(0).UTC()
		}
		if len(e.Repairs) == 0 {
			e.Repairs = nil
		}
		if e.State != queue.Ready {
			e.Priority = 0
		}
		if e.State != queue.Waiting {
			e.Due = time.Time{}
		}
	}
	return list
}

func (t *twin) Clean() bool { return t.file.Clean() }

func (t *twin) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.file.Close()
}

func (t *twin) LaneByID(ctx context.Context, id int64) (queue.Lane, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.LaneByID(ctx, id)
	want, _ := t.model.LaneByID(ctx, id)
	t.same("a lane", want.ID, got.ID)
	return got, err
}

func (t *twin) Lanes(ctx context.Context) ([]queue.Lane, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.file.Lanes(ctx)
}

func (t *twin) Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Lane(ctx, key)
	want, _ := t.model.Lane(ctx, key)
	t.same("a key's lane", want.ID, got.ID)
	return got, err
}

func (t *twin) Totals(ctx context.Context) ([]queue.Count, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Totals(ctx)
	want, _ := t.model.Totals(ctx)
	t.same("totals", want, got)
	return got, err
}

func (t *twin) Overview(ctx context.Context, named []int64, others int) (queue.Overview, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Overview(ctx, named, others)
	compared := queue.Overview{Total: got.Total, Lanes: slices.Clone(got.Lanes)}
	if t.hangs || t.merged != nil && t.merged.Load() { // the store takes the head with the smallest number for the oldest one
		ages := map[int64]queue.Count{}
		counts, _ := t.model.Counts(ctx)
		for _, c := range counts {
			ages[c.Lane] = c
		}
		for i := range compared.Lanes {
			c := &compared.Lanes[i].Count
			c.Oldest, c.OldestCritical, c.OldestOf = ages[c.Lane].Oldest, ages[c.Lane].OldestCritical, ages[c.Lane].OldestOf
		}
	}
	t.same(fmt.Sprintf("an overview with lanes %d and %d others", named, others), "", t.model.Wrong(compared, named, others))
	return got, err
}

func (t *twin) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Accepted = cut(e.Accepted)
	got, err := t.file.Put(ctx, e)
	if err == nil {
		want, _ := t.model.Put(ctx, e)
		t.same("the place of a new event", want, got)
	}
	return got, err
}

func (t *twin) Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Claim(ctx, asks)
	if err != nil {
		return got, err
	}
	want, _ := t.model.Claim(ctx, asks)
	for i := range want {
		for _, e := range want[i].Events {
			t.tokens[e.ID] = e.Claim
		}
		t.same("a claim", queue.Taken{Events: plain(want[i].Events), More: want[i].More, Upstream: want[i].Upstream, Merged: want[i].Merged}, queue.Taken{Events: plain(got[i].Events), More: got[i].More, Upstream: got[i].Upstream, Merged: got[i].Merged})
	}
	return got, nil
}

func (t *twin) Release(events []queue.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.file.Release(events)
	list := slices.Clone(events)
	for i := range list {
		list[i].Claim = t.tokens[list[i].ID]
	}
	t.model.Release(list)
	t.same("a release", nil, nil)
}

func (t *twin) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list = slices.Clone(list)
	for i := range list {
		list[i].At, list[i].Due = cut(list[i].At), cut(list[i].Due)
	}
	got, err := t.file.Settle(ctx, list)
	if err != nil {
		return got, err
	}
	for i := range list {
		list[i].Claim = t.tokens[list[i].ID]
	}
	want, _ := t.model.Settle(ctx, list)
	for i := range want {
		t.same("a settlement", kind(want[i]), kind(got[i]))
	}
	return got, nil
}

func (t *twin) Move(ctx context.Context, m queue.Move) (queue.Moved, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.At = cut(m.At)
	got, err := t.file.Move(ctx, m)
	if err == nil {
		want, _ := t.model.Move(ctx, m)
		t.same("what has moved", want, got)
	}
	return got, err
}

func (t *twin) Transfer(ctx context.Context, x queue.Transfer) (queue.Transferred, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.By.At = cut(x.By.At)
	got, err := t.file.Transfer(ctx, x)
	if err == nil {
		want, _ := t.model.Transfer(ctx, x)
		t.same("what was transferred", want, got)
	}
	return got, err
}

func (t *twin) Wake(ctx context.Context, now time.Time, n int) (time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Wake(ctx, cut(now), n)
	if err == nil {
		want, _ := t.model.Wake(ctx, cut(now), n)
		t.same("the next that is due", want, got)
	}
	return got, err
}

func (t *twin) Hasten(ctx context.Context, lanes []int64, n int) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Hasten(ctx, lanes, n)
	if err == nil {
		want, _ := t.model.Hasten(ctx, lanes, n)
		t.same("whether there are more to hasten", want, got)
	}
	return got, err
}

func (t *twin) SaveLane(ctx context.Context, l queue.Lane) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.model.SaveLane(ctx, l)
	return t.file.SaveLane(ctx, l)
}

func (t *twin) Hold(ctx context.Context, id int64, by queue.By) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.model.Hold(ctx, id, by)
	return t.file.Hold(ctx, id, by)
}

func (t *twin) Unhold(ctx context.Context, id int64, by queue.By) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.model.Unhold(ctx, id, by)
	return t.file.Unhold(ctx, id, by)
}

func (t *twin) TryLane(ctx context.Context, id int64, by queue.By) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.TryLane(ctx, id, by)
	want, _ := t.model.TryLane(ctx, id, by)
	t.same("a lane that is tried", want, got)
	return got, err
}

func (t *twin) TryEvent(ctx context.Context, id int64, by queue.By) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.TryEvent(ctx, id, by)
	want, failed := t.model.TryEvent(ctx, id, by)
	t.same("the error of an event that is tried", kind(failed), kind(err))
	t.same("an event that is tried", want, got)
	return got, err
}

func (t *twin) Failing(ctx context.Context) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Failing(ctx)
	if want, _ := t.model.Failing(ctx); len(want)+len(got) > 0 {
		t.same("the upstreams that fail", want, got)
	}
	return got, err
}

func (t *twin) Recent(ctx context.Context, since time.Time) (map[int64][]queue.Acceptance, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Recent(ctx, cut(since))
	want, _ := t.model.Recent(ctx, cut(since))
	t.same("what was delivered", want, got)
	return got, err
}

func (t *twin) Purge(ctx context.Context, before, unheard time.Time, n int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Purge(ctx, cut(before), cut(unheard), n)
	if err == nil {
		want, _ := t.model.Purge(ctx, cut(before), cut(unheard), n)
		t.same("a purge", want, got)
	}
	return got, err
}

func (t *twin) Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.By.At = cut(a.By.At)
	got, err := t.file.Requeue(ctx, a)
	a.IDs = a.IDs[:0:0]
	for _, x := range got {
		a.IDs = append(a.IDs, x.ID)
	}
	want, _ := t.model.Requeue(ctx, a)
	plainly := func(list []queue.Requeued) (texts []string) {
		for _, x := range list {
			if x.Err != nil {
				x.Lane = 0
			}
			texts = append(texts, fmt.Sprintf("event %d into %d, lane %d: %s", x.ID, x.Into, x.Lane, kind(x.Err)))
		}
		return texts
	}
	t.same("a requeue", plainly(want), plainly(got))
	return got, err
}

func (t *twin) Drop(ctx context.Context, id int64, by queue.By) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	by.At = cut(by.At)
	err := t.file.Drop(ctx, id, by)
	t.same("a drop", kind(t.model.Drop(ctx, id, by)), kind(err))
	return err
}

func (t *twin) Groups(ctx context.Context) ([]queue.Group, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Groups(ctx)
	want, _ := t.model.Groups(ctx)
	t.same("groups", want, got)
	return got, err
}

func (t *twin) Members(ctx context.Context, g queue.Group, n int) ([]int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Members(ctx, g, n)
	want, _ := t.model.Members(ctx, g, n)
	t.same("members of a group", want, got)
	return got, err
}

// Events follows the pages of a search to its end.
func (t *twin) Events(ctx context.Context, f queue.Filter) (queue.Page, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.file.Events(ctx, f)
	for limit := cmp.Or(f.Limit, 50); err == nil && got.Next != 0 && len(got.Events) < limit; {
		f := f
		f.Before, f.Limit = got.Next, limit-len(got.Events)
		var more queue.Page
		if more, err = t.file.Events(ctx, f); err == nil {
			got.Events, got.Next = append(got.Events, more.Events...), more.Next
		}
	}
	if err == nil {
		want, got := plain(matching(t.model.All(), f)), plain(got.Events)
		for _, list := range [][]queue.Event{want, got} { // bodies are compared when they are claimed
			for i := range list {
				list[i].Body = nil
			}
			slices.SortFunc(list, func(a, b queue.Event) int { return cmp.Compare(b.ID, a.ID) })
		}
		t.same(fmt.Sprintf("a list by %+v", f), want, got)
	}
	return got, err
}

// difference returns what the twin has found so far.
func difference(s store) string {
	t, ok := s.(*twin)
	if !ok {
		return ""
	}
	t.notes.Lock()
	defer t.notes.Unlock()
	return t.differs
}

var _ = []store{(*locked)(nil), (*twin)(nil), (*sqlite.Store)(nil)}

func queueFile(dir string) string { return filepath.Join(dir, "queue.db") }
