package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// store is the model, for several goroutines, with faults.
type store struct {
	mu     sync.Mutex
	model  *queuetest.Model
	claim  func(asks []queue.Ask) error                               // before a claim; nil for no fault
	settle func(list []queue.Settlement) (answers []error, err error) // before a settlement; both nil: go on
	byID   func(id int64)                                             // before a lane is looked up
}

func (s *store) with(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *store) LaneByID(ctx context.Context, id int64) (l queue.Lane, err error) {
	if s.byID != nil {
		s.byID(id)
	}
	s.with(func() { l, err = s.model.LaneByID(ctx, id) })
	return l, err
}

func (s *store) Lanes(ctx context.Context) (list []queue.Lane, err error) {
	s.with(func() { list, err = s.model.Lanes(ctx) })
	return list, err
}

func (s *store) Totals(ctx context.Context) (list []queue.Count, err error) {
	s.with(func() { list, err = s.model.Totals(ctx) })
	return list, err
}

func (s *store) Clean() bool { return true }

func (s *store) Claim(ctx context.Context, asks []queue.Ask) (taken []queue.Taken, err error) {
	if s.claim != nil {
		if err := s.claim(asks); err != nil {
			return nil, err
		}
	}
	s.with(func() { taken, err = s.model.Claim(ctx, asks) })
	return taken, err
}

func (s *store) Release(events []queue.Event) { s.with(func() { s.model.Release(events) }) }

func (s *store) Move(ctx context.Context, m queue.Move) (moved queue.Moved, err error) {
	s.with(func() { moved, err = s.model.Move(ctx, m) })
	return moved, err
}

func (s *store) Settle(ctx context.Context, list []queue.Settlement) (answers []error, err error) {
	if s.settle != nil {
		if answers, err := s.settle(list); answers != nil || err != nil {
			return answers, err
		}
	}
	s.with(func() { answers, err = s.model.Settle(ctx, list) })
	return answers, err
}

func (s *store) Hasten(ctx context.Context, lanes []int64, n int) (more bool, err error) {
	s.with(func() { more, err = s.model.Hasten(ctx, lanes, n) })
	return more, err
}

func (s *store) Wake(ctx context.Context, now time.Time, n int) (next time.Time, err error) {
	s.with(func() { next, err = s.model.Wake(ctx, now, n) })
	return next, err
}

func (s *store) SaveLane(ctx context.Context, l queue.Lane) (err error) {
	s.with(func() { err = s.model.SaveLane(ctx, l) })
	return err
}

func (s *store) Hold(ctx context.Context, id int64, by queue.By) (err error) {
	s.with(func() { err = s.model.Hold(ctx, id, by) })
	return err
}

func (s *store) Unhold(ctx context.Context, id int64, by queue.By) (err error) {
	s.with(func() { err = s.model.Unhold(ctx, id, by) })
	return err
}

func (s *store) TryEvent(ctx context.Context, id int64, by queue.By) (head int64, err error) {
	s.with(func() { head, err = s.model.TryEvent(ctx, id, by) })
	return head, err
}

func (s *store) TryLane(ctx context.Context, id int64, by queue.By) (n int, err error) {
	s.with(func() { n, err = s.model.TryLane(ctx, id, by) })
	return n, err
}

func (s *store) Failing(ctx context.Context) (upstreams []string, err error) {
	s.with(func() { upstreams, err = s.model.Failing(ctx) })
	return upstreams, err
}

func (s *store) Recent(ctx context.Context, since time.Time) (times map[int64][]queue.Acceptance, err error) {
	s.with(func() { times, err = s.model.Recent(ctx, since) })
	return times, err
}

func (s *store) Purge(ctx context.Context, before, unheard time.Time, n int) (deleted int, err error) {
	s.with(func() { deleted, err = s.model.Purge(ctx, before, unheard, n) })
	return deleted, err
}

// bench is a relay between a store and an upstream that is a function.
type bench struct {
	t      *testing.T
	store  *store
	relay  *Relay
	log    lockedLog
	answer func(host string, dedup string) error // nil: accepted, after 100 ms
	host   func(lane int64) string

	mu   sync.Mutex
	sent []string // dedup keys, in the order of the attempts
	done []string // dedup keys and states, as metrics get them
	end  context.CancelFunc
	over chan error

	listed bool // the configuration names all keys
	begins int  // with how many events a minute lanes begin; 0 for their limit
}

type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newBench makes a relay with that many lanes, which does nothing yet.
func newBench(t *testing.T, lanes int) *bench {
	b := &bench{t: t, store: &store{model: queuetest.NewModel()}, over: make(chan error, 1)}
	b.host = func(int64) string { return "pagerduty" }
	for n := range lanes {
		key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", n+1))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = b.store.model.Lane(t.Context(), key)
	}
	b.relay = New(Options{
		Store: b.store, Now: time.Now, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Route: func(l queue.Lane) Route {
			host := b.host(l.ID)
			return Route{Name: fmt.Sprintf("lane-%d", l.ID), Host: host, Post: upstream{b, host}, Limit: 300, Start: b.begins, Listed: b.listed}
		},
		MaxAge: func() time.Duration { return time.Hour }, Retention: func() time.Duration { return time.Hour },
		Done: func(_ string, e queue.Event, x queue.Settlement) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.done = append(b.done, e.DedupKey+" "+x.State.String())
		},
	})
	b.store.model.OnReady = b.relay.Ready
	return b
}

// upstream makes attempts for a bench.
type upstream struct {
	b    *bench
	host string
}

func (u upstream) Post(ctx context.Context, _ eventsv2.Key, body []byte) (eventsv2.Receipt, error) {
	_, after, _ := strings.Cut(string(body), `"dedup_key":"`)
	dedup, _, _ := strings.Cut(after, `"`)
	u.b.mu.Lock()
	u.b.sent = append(u.b.sent, dedup)
	u.b.mu.Unlock()
	if err := sleep(ctx, 100*time.Millisecond); err != nil {
		return eventsv2.Receipt{}, &eventsv2.Error{Err: err, Sent: true}
	}
	if u.b.answer != nil {
		return eventsv2.Receipt{}, u.b.answer(u.host, dedup)
	}
	return eventsv2.Receipt{}, nil
}

func (u upstream) PostChange(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error) {
	return u.Post(ctx, key, body)
}

func (u upstream) Twice(key eventsv2.Key, body []byte) (first, second func(context.Context) (eventsv2.Receipt, error)) {
	attempt := func(ctx context.Context) (eventsv2.Receipt, error) { return u.Post(ctx, key, body) }
	return attempt, attempt
}

func sleep(ctx context.Context, d time.Duration) error {
	if !wait(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// pass lets the time of a bubble pass.
func pass(d time.Duration) { <-time.After(d) }

func (b *bench) put(lane int64, dedup string, severity queue.Rank) {
	body := fmt.Appendf(nil, `{"dedup_key":%q}`, dedup)
	e := queue.New{Lane: lane, Action: eventsv2.Trigger, DedupKey: dedup, Severity: severity, Accepted: time.Now(), Body: body}
	b.store.with(func() { _, _ = b.store.model.Put(context.Background(), e) })
}

func (b *bench) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	b.end = cancel
	go func() { b.over <- b.relay.Run(ctx, 6*time.Second) }()
}

func (b *bench) stop() {
	b.t.Helper()
	b.end()
	if err := <-b.over; err != nil {
		b.t.Error(err)
	}
}

// states tells how the events stand.
func (b *bench) states() map[string]queue.State {
	states := map[string]queue.State{}
	b.store.with(func() {
		for _, e := range b.store.model.All() {
			states[e.DedupKey] = e.State
		}
	})
	return states
}

func (b *bench) wantDelivered(dedup ...string) {
	b.t.Helper()
	states := b.states()
	for _, d := range dedup {
		if states[d] != queue.Delivered {
			b.t.Errorf("event %s is %s; the log:\n%s", d, states[d], b.log.String())
		}
	}
}

// What was queued before the start and what comes after it leaves; SIGTERM lets what
// is in flight end.
func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3)
		b.put(1, "before", queue.Info)
		b.start()
		pass(time.Second)
		b.put(2, "after", queue.Critical)
		pass(50 * time.Millisecond)
		b.put(3, "last", queue.Info)
		synctest.Wait()
		b.stop()
		b.wantDelivered("before", "after", "last")
	})
}

// A settlement that fails although the store can write keeps no other from the disk:
// it is given up alone, and its lane goes on.
func TestOneSettlementFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		b.store.settle = func(list []queue.Settlement) ([]error, error) {
			for _, x := range list {
				if x.ID == 2 {
					return nil, errors.New("event 2: no row with that number")
				}
			}
			return nil, nil
		}
		for i := range 9 {
			b.put(int64(1+i%2), fmt.Sprint(i+1), queue.Error)
		}
		b.start()
		pass(5 * time.Second)
		b.put(2, "later", queue.Critical)
		pass(5 * time.Second)
		b.stop()
		b.wantDelivered("1", "3", "4", "5", "6", "7", "8", "9", "later")
		if strings.Count(b.log.String(), "cannot keep how an event ended") != 1 {
			t.Errorf("the log does not say once that event 2 was given up:\n%s", b.log.String())
		}
	})
}

// A claim that is not held any more is no delivery: it is not counted as one, and the
// decisions that led to it are logged, once.
func TestStaleSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		b.store.settle = func(list []queue.Settlement) ([]error, error) {
			answers := make([]error, len(list))
			for i, x := range list {
				answers[i] = fmt.Errorf("event %d: %w", x.ID, queue.ErrStale)
			}
			return answers, nil
		}
		b.put(1, "one", queue.Error)
		b.put(1, "two", queue.Error)
		b.start()
		pass(5 * time.Second)
		b.stop()
		if len(b.done) > 0 {
			t.Errorf("counted as settled: %v", b.done)
		}
		log := b.log.String()
		if strings.Contains(log, "msg=delivered") || strings.Count(log, "an event's end was not kept") != 2 {
			t.Errorf("the log:\n%s", log)
		}
		if strings.Count(log, "internal error") != 1 || !strings.Contains(log, "attempt lane 1 #1") {
			t.Errorf("the log has no decisions:\n%s", log)
		}
	})
}

// While the store cannot be written nothing more is sent; what had ended is settled
// once it can.
func TestStoreThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 20)
		good := time.Now().Add(10 * time.Second)
		b.store.settle = func([]queue.Settlement) ([]error, error) {
			if time.Now().Before(good) {
				return nil, fmt.Errorf("%w: disk full", queue.ErrUnavailable)
			}
			return nil, nil
		}
		b.put(1, "1", queue.Error)
		b.start()
		pass(time.Second)
		for i := range 19 {
			b.put(int64(i+2), fmt.Sprint(i+2), queue.Critical)
		}
		pass(5 * time.Second)
		b.mu.Lock()
		sent := len(b.sent)
		b.mu.Unlock()
		if sent != 1 {
			t.Errorf("%d events were sent, whose end could not be kept", sent)
		}
		if !b.relay.Alive() {
			t.Error("a new start does not help a disk that is full")
		}
		pass(10 * time.Second)
		b.stop()
		for i := range 20 {
			b.wantDelivered(fmt.Sprint(i + 1))
		}
	})
}

// A lane for which the store cannot answer costs the others nothing, and is asked
// again.
func TestOneLaneCannotBeClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 8)
		good := time.Now().Add(10 * time.Second)
		b.store.claim = func(asks []queue.Ask) error {
			for _, ask := range asks {
				if ask.Lane == 3 && time.Now().Before(good) {
					return errors.New("lane 3: its index names a row that is not there")
				}
			}
			return nil
		}
		for i := range 8 {
			b.put(int64(i+1), fmt.Sprint(i+1), queue.Error)
		}
		b.start()
		pass(time.Second)
		b.wantDelivered("1", "2", "4", "5", "6", "7", "8")
		if b.states()["3"] != queue.Ready {
			t.Errorf("event 3 is %s", b.states()["3"])
		}
		pass(11 * time.Second)
		b.stop()
		b.wantDelivered("3")
	})
}

// The loop looks at its end and at the answers between slices of announcements.
func TestStopAmongManyAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2000)
		b.start()
		synctest.Wait()
		looked, after := 0, 0
		b.store.byID = func(int64) {
			if looked++; looked == 500 {
				b.end()
			}
			if looked > 500 {
				after++
			}
		}
		for i := range 2000 {
			b.put(int64(i+1), fmt.Sprint(i+1), queue.Info)
		}
		if err := <-b.over; err != nil {
			t.Error(err)
		}
		if looked < 500 || after > sliceOfTurn {
			t.Errorf("%d lanes were opened, %d of them after the stop", looked, after)
		}
	})
}

// A critical event's announcement is heard before thousands of others.
func TestAnnouncementsMostSevereFirst(t *testing.T) {
	h := newHints()
	for id := range int64(1000) {
		h.add(hint{id, queue.Info}, false)
		h.add(hint{id, queue.Info}, false)
	}
	h.add(hint{7, queue.Critical}, false)
	first := h.some(sliceOfTurn)
	if len(first) != sliceOfTurn || first[0] != (hint{7, queue.Critical}) {
		t.Errorf("%d announcements, %v first", len(first), first[0])
	}
	for id := range int64(1000) {
		h.add(hint{id, queue.Critical}, false)
		h.add(hint{id, queue.Error}, false)
	}
	for id := range int64(1000) {
		h.add(hint{5000 + id, queue.Critical}, true)
	}
	ranks, open := map[queue.Rank]int{}, 0
	for _, x := range h.some(sliceOfTurn) {
		ranks[x.rank]++
		if x.lane >= 5000 {
			open++
		}
	}
	if all := ranks[queue.Critical]; open < all/2 || open == all {
		t.Errorf("%d of %d critical announcements are of open lanes, want most, not all", open, all)
	}
	if ranks[queue.Critical] < sliceOfTurn/2 || ranks[queue.Error] < sliceOfTurn/4 || ranks[queue.Info] == 0 {
		t.Errorf("a slice of announcements has %v", ranks)
	}
	seen := map[hint]bool{}
	for list := h.some(sliceOfTurn); len(list) > 0; list = h.some(sliceOfTurn) {
		for _, x := range list {
			if seen[x] {
				t.Fatalf("%v comes twice", x)
			}
			seen[x] = true
		}
	}
	select {
	case <-h.signal:
	default:
		t.Error("no signal")
	}
}

// The watchdog is fed while attempts end, however they do, and while nothing is due;
// not while something is due and the store does not answer.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		var fails, stuck, endless atomic.Bool
		hang, never := make(chan struct{}), make(chan struct{})
		b.answer = func(string, string) error {
			if endless.Load() {
				<-never
			}
			if fails.Load() {
				return &eventsv2.Error{Status: 500}
			}
			return nil
		}
		b.store.claim = func([]queue.Ask) error {
			if stuck.Load() {
				<-hang
			}
			return nil
		}
		alive := func(want bool, why string) {
			t.Helper()
			if b.relay.Alive() != want {
				t.Error(why)
			}
		}
		b.start()
		pass(time.Hour)
		alive(true, "nothing was due for an hour, and that is no life")
		fails.Store(true)
		b.put(1, "fails", queue.Critical)
		for range 100 {
			pass(7 * time.Second)
			alive(true, "attempts that fail are life as well")
		}
		stuck.Store(true)
		b.put(1, "stuck", queue.Critical)
		pass(29 * time.Second)
		alive(true, "the store has not answered for 29 s")
		pass(2 * time.Minute)
		alive(false, "the store does not answer, an event is due, and that is called life")
		stuck.Store(false)
		close(hang)
		pass(time.Second)
		alive(true, "the store has answered")
		pass(5 * time.Minute)
		endless.Store(true)
		for i := range 20 { // they take all places of the lane, so that nothing more is due
			b.put(1, fmt.Sprint("never ends ", i), queue.Critical)
		}
		pass(29 * time.Second)
		alive(true, "attempts may take 30 s")
		pass(2 * time.Minute)
		alive(false, "no attempt has ended for two minutes, and that is called life")
		endless.Store(false)
		close(never)
		pass(time.Second)
		alive(true, "the attempts have ended")
		b.stop()
	})
}

// A configuration that is read anew sends lanes elsewhere, also those that are not open.
func TestReconfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3)
		var mu sync.Mutex
		host := "old"
		b.host = func(int64) string {
			mu.Lock()
			defer mu.Unlock()
			return host
		}
		b.answer = func(at, _ string) error {
			if at == "old" {
				return &eventsv2.Error{Status: 503}
			}
			return nil
		}
		b.put(1, "1", queue.Error)
		b.put(2, "2", queue.Error)
		b.start()
		pass(10 * time.Second)
		mu.Lock()
		host = "new"
		mu.Unlock()
		b.relay.Reconfigure()
		b.put(3, "3", queue.Error)
		pass(2 * time.Minute)
		b.stop()
		b.wantDelivered("1", "2", "3")
	})
}

// A key that the configuration has just taken in is a stranger's no longer, however
// many lanes strangers have.
func TestReconfigureBeginsWithListedLanes(t *testing.T) {
	const lanes = 500
	b := newBench(t, lanes)
	route, listed := b.relay.o.Route, false
	b.relay.o.Route = func(l queue.Lane) Route {
		to := route(l)
		if to.Listed = listed && l.ID == lanes; to.Listed {
			to.Limit = 7
		}
		return to
	}
	for id := range int64(lanes) {
		if !b.relay.openByID(t.Context(), id+1) {
			t.Fatal("a lane cannot be opened")
		}
	}
	listed = true
	b.relay.Reconfigure()
	b.relay.turn(t.Context())
	if s, ok := b.relay.core.Status(time.Now(), lanes); !ok || s.Limit != 7 {
		t.Errorf("after one turn the listed lane's limit is %d, want 7", s.Limit)
	}
}

// The first page for hours of a key that PagerDuty has accepted is announced before
// those of a thousand strangers, although its lane is not open.
func TestAnnouncementsOfTrustedLanes(t *testing.T) {
	b := newBench(t, 0)
	b.relay.o.Trusted = func(id int64) bool { return id == 5000 }
	for id := range int64(1000) {
		b.relay.Ready(id+1, queue.Critical)
	}
	b.relay.Ready(5000, queue.Critical)
	if first := b.relay.ready.some(sliceOfTurn); !slices.Contains(first, hint{5000, queue.Critical}) {
		t.Errorf("the trusted lane is not among the first %d announcements", len(first))
	}
}

// A rejected key of a pool is tried by a new incident once a minute.
func TestTryRejectedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		tries := 0
		for range 300 {
			if b.relay.TryRejectedKey(1) {
				tries++
			}
			pass(time.Second)
		}
		if tries != 5 {
			t.Errorf("%d tries in five minutes", tries)
		}
	})
}

// Lanes that the configuration names stay open. While they have nothing to do, what is
// said of all does not grow with them; all of them have trouble while their upstream is down.
func TestIdleLanesAreNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 500)
		b.listed = true
		var down atomic.Bool
		b.answer = func(string, string) error {
			if down.Load() {
				return &eventsv2.Error{Err: errors.New("connection refused")}
			}
			return nil
		}
		b.start()
		reported := func(when string, want int) {
			t.Helper()
			b.relay.Statuses() // what has nothing to say is left out from the next one on
			if s := b.relay.Statuses(); len(s) != want || len(b.relay.core.Stirring()) != want {
				t.Errorf("%s %d lanes are reported, %d are looked at, want %d", when, len(s), len(b.relay.core.Stirring()), want)
			}
			if s, ok := b.relay.Status(9); !ok || s.Limit != 300 {
				t.Errorf("%s lane 9 is %+v, %t", when, s, ok)
			}
		}
		pass(10 * time.Second)
		reported("with nothing to do", 0)
		b.put(7, "7", queue.Info)
		b.put(8, "8", queue.Info)
		pass(10 * time.Second)
		reported("after two events", 2)
		pass(2 * time.Minute)
		reported("two minutes later", 0)
		down.Store(true)
		b.put(7, "7 again", queue.Info)
		b.put(8, "8 again", queue.Info)
		pass(10 * time.Second)
		reported("while the upstream is down", 500)
		down.Store(false)
		pass(5 * time.Minute)
		reported("later", 0)
		b.stop()
		b.wantDelivered("7", "8", "7 again", "8 again")
	})
}

// Lanes that have had nothing to do are not kept.
func TestIdleLanesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 500)
		b.start()
		for i := range 500 {
			b.put(int64(i+1), fmt.Sprint(i+1), queue.Info)
		}
		pass(10 * time.Second)
		if n := len(b.relay.Statuses()); n != 500 {
			t.Errorf("%d lanes are open", n)
		}
		pass(2 * time.Minute)
		if n := len(b.relay.Statuses()); n != 0 || len(b.relay.lanes) != 0 {
			t.Errorf("%d lanes are still open", n)
		}
		b.put(7, "again", queue.Info)
		pass(time.Second)
		b.relay.Forgotten([]int64{7})
		b.put(8, "other", queue.Info)
		pass(time.Second)
		b.stop()
		b.wantDelivered("again", "other")
	})
}

// What is told of a lane that is not open is what is told of it as soon as it is.
func TestProspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		b.begins = 120
		b.start()
		pass(time.Second)
		l, _ := b.store.LaneByID(t.Context(), 1)
		before := b.relay.Prospect(l)
		b.put(1, "1", queue.Info)
		pass(2 * time.Minute) // what has left is long out of the window
		b.put(1, "2", queue.Info)
		pass(time.Second)
		open, _ := b.relay.Status(1)
		if before.Limit != open.Limit || before.Start != open.Start || before.Learned != open.Learned || before.Free != open.Free+open.Used || before.Most != open.Most {
			t.Errorf("told before: %+v, and when it is open: %+v", before, open)
		}
		b.stop()
	})
}
