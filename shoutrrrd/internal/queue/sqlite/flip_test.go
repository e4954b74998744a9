package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// sample is a small queue with rows in every table and events in every state.
type sample struct {
	file   []byte
	bodies map[int64]string // of each event
	live   map[int64]bool   // undelivered events and dead letters
	keys   []eventsv2.Key
}

func makeSample(t testing.TB) *sample {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queue.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	p := &sample{bodies: map[int64]string{}, live: map[int64]bool{}}
	var lanes []int64
	for _, text := range []string{testKey, "fedcba9876543210fedcba9876543210"} {
		key, _ := eventsv2.ParseKey(text)
		l, err := s.Lane(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		p.keys, lanes = append(p.keys, key), append(lanes, l.ID)
	}
	accepted := time.Now()
	put := func(lane int64, pool string, action eventsv2.Action, dedup string, severity queue.Rank) int64 {
		e := event(lane, action, dedup, severity)
		e.Summary, e.Source, e.Accepted = "summary of "+dedup, "host", accepted
		if pool != "" {
			e.Pool, e.Origin = lanes, lanes[0]
		}
		e.Repairs = []string{"severity \"fatal\" became critical"}
		if action == "" {
			e.Kind = queue.Change
		}
		placed, err := s.Put(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		p.bodies[placed.ID] = string(e.Body)
		p.live[placed.ID] = true
		return placed.ID
	}
	end := func(lane int64, state queue.State) {
		events, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
		if err != nil || len(events) != 1 {
			t.Fatal(err, len(events))
		}
		e := &events[0]
		if state == queue.Delivered {
			delete(p.live, e.ID)
		}
		now := time.Now()
		if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: e.ID, Claim: e.Claim, State: state, At: now, Due: now.Add(time.Hour), Attempts: 1, Status: 500, Reason: "failed", Tried: true}); err != nil {
			t.Fatal(err)
		}
	}
	for i, state := range []queue.State{queue.Delivered, queue.Refused, queue.Expired, queue.Waiting} {
		put(lanes[0], "", eventsv2.Trigger, state.String(), queue.Critical)
		end(lanes[0], state)
		put(lanes[1], "db", eventsv2.Trigger, fmt.Sprint("pool ", i), queue.Rank(i))
	}
	end(lanes[1], queue.Delivered)
	accepted = time.Now().Add(-time.Hour)
	for range 2 {
		put(lanes[0], "", eventsv2.Trigger, "flaps", queue.Info)
		put(lanes[0], "", eventsv2.Resolve, "flaps", queue.Info)
	}
	taken, err := s.Claim(t.Context(), []queue.Ask{{Lane: lanes[0], N: 100, Way: queue.SendOne}})
	if err != nil || len(taken[0].Merged) != 1 {
		t.Fatalf("claimed %+v, %v", taken, err)
	}
	for _, id := range taken[0].Merged[0].Events {
		delete(p.live, id)
	}
	s.Release(taken[0].Events)
	accepted = time.Now()
	for i := range 3 {
		dedup := fmt.Sprint("chain ", i)
		put(lanes[0], "", eventsv2.Trigger, dedup, queue.Rank(i))
		put(lanes[0], "", eventsv2.Acknowledge, dedup, queue.Info)
		put(lanes[0], "", eventsv2.Resolve, dedup, queue.Info)
	}
	put(lanes[0], "", "", "", queue.Info)
	dropped := put(lanes[0], "", eventsv2.Trigger, "dropped", queue.Info)
	by := queue.By{Who: "ana", Why: "a rehearsal", At: time.Now()}
	if err := errors.Join(s.Drop(t.Context(), dropped, by), s.Hold(t.Context(), lanes[1], by), s.Close()); err != nil {
		t.Fatal(err)
	}
	delete(p.live, dropped)
	p.file = content(path)
	return p
}

// readable returns the events that can still be read of a damaged file one by one,
// and are what was written.
func (p *sample) readable(path string) map[int64]bool {
	found := map[int64]bool{}
	db := (&Store{o: Options{Path: path}}).database(1, "query_only(1)")
	defer func() { _ = db.Close() }()
	for id := range p.live {
		var r row
		if r.scan(db.QueryRow(`SELECT `+columns+` FROM event WHERE id = ?1`, id).Scan) != nil || !r.sealed || r.id != id {
			continue
		}
		for _, key := range p.keys {
			found[id] = found[id] || r.intact(key)
		}
		if !found[id] {
			delete(found, id)
		}
	}
	return found
}

// life is what a relay does with a queue until all of it has left, whatever happens
// to it on the way.
type life struct {
	t    *testing.T
	p    *sample
	path string
	s    *Store
	gone map[int64]bool // delivered, or dropped by an operator
	n    int
}

func (l *life) open() {
	l.t.Helper()
	var err error
	l.s, err = Open(context.Background(), Options{Path: l.path, Keys: func() []eventsv2.Key { return l.p.keys }})
	if err != nil {
		l.t.Fatalf("the queue cannot be opened: %v", err)
	}
}

// run does everything that is done with a queue, for some rounds, and opens it anew
// when it has broken. It returns once nothing more can be claimed.
func (l *life) run() {
	const rounds = 12
	l.open()
	for round := range rounds {
		n, err := l.round(round)
		if errors.Is(err, queue.ErrBroken) || round == 2 {
			_ = l.s.Close()
			l.open()
			continue
		}
		if err != nil && !errors.Is(err, queue.ErrInternal) && !errors.Is(err, queue.ErrStale) && !errors.Is(err, queue.ErrState) && !errors.Is(err, queue.ErrNotFound) {
			l.t.Fatalf("round %d: %v", round, err)
		}
		if n == 0 && round > 5 {
			return
		}
	}
	l.t.Fatal("the queue does not become empty")
}

// round returns how many events were claimed.
func (l *life) round(round int) (claimed int, err error) {
	ctx, s := l.t.Context(), l.s
	note := func(errs ...error) { err = errors.Join(append(errs, err)...) }
	_, failed := s.Wake(ctx, time.Now().Add(1000*time.Hour), 0)
	note(failed)
	lanes, _ := s.Lanes(ctx)
	by := queue.By{Who: "ana", At: time.Now()}
	for _, lane := range lanes {
		events, failed := queuetest.Claim(ctx, s, lane.ID, queue.Oldest, 3)
		note(failed)
		for i := range events {
			claimed++
			note(l.settle(&events[i]))
		}
		note(s.Hold(ctx, lane.ID, by), s.Unhold(ctx, lane.ID, by), s.SaveLane(ctx, lane))
	}
	_, failed = s.Overview(ctx, nil, math.MaxInt)
	note(failed)
	page, failed := s.Events(ctx, queue.Filter{Limit: 100})
	note(failed)
	for _, e := range page.Events {
		_, _, failed := s.Event(ctx, e.ID)
		note(failed)
		switch {
		case round == 1 && e.State == queue.Blocked && e.ID%3 == 0:
			failed = s.Drop(ctx, e.ID, by)
			l.gone[e.ID] = l.gone[e.ID] || failed == nil
		case round == 3 && e.State.Dead():
			failed = queuetest.RequeueOne(ctx, s, e.ID, by)
		default:
			continue
		}
		note(failed)
	}
	if round == 4 {
		_, failed = s.Purge(ctx, time.Now().Add(time.Hour), time.Now().Add(time.Hour), 100)
		note(failed)
		_, failed = s.Examine(ctx, true)
		note(failed)
	}
	return claimed, err
}

// settle ends an attempt in one of the ways in which attempts end.
func (l *life) settle(e *queue.Event) error {
	l.n++
	if body, known := l.p.bodies[e.ID]; !known || body != string(e.Body) {
		l.t.Fatalf("a changed event came out: %d %s %.80s", e.ID, e.DedupKey, e.Body)
	}
	x := queue.Settlement{ID: e.ID, Claim: e.Claim, At: time.Now(), State: queue.Delivered, Attempts: e.Attempts + 1, Tried: true}
	switch l.n % 5 {
	case 0:
		x.State, x.Due = queue.Waiting, time.Now().Add(time.Minute)
	case 1:
		x.State = queue.Ready
	}
	if e.Attempts > 2 {
		x.State = queue.Delivered
	}
	err := queuetest.Settle(l.t.Context(), l.s, x)
	l.gone[e.ID] = l.gone[e.ID] || err == nil && x.State == queue.Delivered
	return err
}

// Whatever byte of a queue the disk changes, and whatever is done with it then:
// nothing panics or stalls, nothing comes out that was not put in, and every event
// that can still be read is delivered or a dead letter that an operator can see.
func TestFlippedByte(t *testing.T) {
	prove.NoRace(t)
	p := makeSample(t)
	random := rand.New(rand.NewPCG(prove.Seed(t), 0))
	dir := memoryDir(t)
	defer func() { _ = os.RemoveAll(dir) }()
	offsets := random.Perm(len(p.file))[:prove.Share(t, 20, 600, len(p.file))]
	t.Logf("%d of %d bytes", len(offsets), len(p.file))
	aside := 0
	for n, at := range offsets {
		path := filepath.Join(dir, fmt.Sprint(n), "queue.db")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(p.file)
		damaged[at] ^= byte(1 << random.IntN(8))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if flip(t, p, path, at, damaged[at]) {
			aside++
		}
		_ = os.RemoveAll(filepath.Dir(path))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d files were set aside", aside)
}

func flip(t *testing.T, p *sample, path string, at int, now byte) (aside bool) {
	t.Helper()
	name := fmt.Sprintf("byte %d became %d", at, now)
	copied := path + ".copy"
	if err := os.WriteFile(copied, content(path), 0o600); err != nil {
		t.Fatal(err)
	}
	wanted := p.readable(copied)
	t.Run(name, func(t *testing.T) {
		l := &life{t: t, p: p, path: path, gone: map[int64]bool{}}
		stall := time.AfterFunc(2*time.Minute, func() { panic(name + ": the queue stalls") })
		defer stall.Stop()
		l.run()
		page, err := l.s.Events(t.Context(), queue.Filter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int64]bool{}
		for _, e := range page.Events {
			seen[e.ID] = e.State.Dead()
		}
		for id := range wanted {
			if !l.gone[id] && !seen[id] {
				t.Errorf("event %d can be read and is lost; salvaged: %+v", id, l.s.Salvaged())
			}
		}
		if _, err := l.s.Examine(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if report, err := l.s.Examine(t.Context(), false); err != nil || !report.Sound() {
			t.Errorf("after the repair an examination finds %+v, %v", report.Findings, err)
		}
		aside = len(l.s.Quarantined()) > 0
		if err := l.s.Close(); err != nil {
			t.Error(err)
		}
	})
	return aside
}
