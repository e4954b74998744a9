package relay_test

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/routes"
)

// disk is what stands below the store: it takes its time, and has its troubles.
type disk struct {
	failing bool
	hanging chan struct{} // closed when the disk answers again; nil if it does
	last    time.Time     // of any trouble
}

// troubled reports whether there was any trouble since then.
func (d *disk) troubled(since time.Time) bool {
	return d.failing || d.hanging != nil || d.last.After(since)
}

// watched is the store as a process has it: the judge sees all that goes through, the
// disk takes its time, and a process that was killed reaches nothing any more.
type watched struct {
	w     *world
	life  *life
	inner store
	calls atomic.Int64
	mu    sync.Mutex
	gone  map[int64]queue.Lane // forgotten lanes, for a planted fault
	bad   int64                // the event whose settlement fails for ever, for a planted fault
}

func (s *watched) count() int { return int(s.calls.Add(1)) }

// enter waits as the disk demands, and reports whether it works.
func (s *watched) enter(what string) error {
	w := s.w
	dice := w.dice(s.life.n<<20, s.count())
	if w.o.disk {
		if !s.after(time.Duration(dice.Int64N(int64(5 * time.Millisecond)))) {
			return queue.ErrBroken
		}
	}
	w.mu.Lock()
	hanging, failing := w.disk.hanging, w.disk.failing
	if w.o.disk && !w.quiet && dice.IntN(3000) == 0 && what != "put" {
		failing = true
		w.disk.last = time.Now()
		w.judge.reached["disk failed once"]++
	}
	w.mu.Unlock()
	if hanging != nil {
		select {
		case <-hanging:
		case <-s.life.killed:
		}
	}
	switch {
	case s.dead():
		return queue.ErrBroken
	case failing:
		return queue.ErrUnavailable
	}
	return nil
}

func (s *watched) after(wait time.Duration) bool {
	select {
	case <-time.After(wait):
		return true
	case <-s.life.killed:
		return false
	}
}

func (s *watched) dead() bool {
	select {
	case <-s.life.killed:
		return true
	default:
		return false
	}
}

func (s *watched) Clean() bool { return s.inner.Clean() }

func (s *watched) LaneByID(ctx context.Context, id int64) (queue.Lane, error) {
	if s.w.o.strangers > 0 && !s.after(3*time.Millisecond) { // a store far away
		return queue.Lane{}, queue.ErrBroken
	}
	l, err := s.inner.LaneByID(ctx, id)
	if err != nil && s.w.o.plant == "forgotten lanes are announced" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if gone, ok := s.gone[id]; ok {
			return gone, nil
		}
	}
	return l, err
}

func (s *watched) forgets(l queue.Lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.gone = map[int64]queue.Lane{}
	}
	s.gone[l.ID] = l
}

func (s *watched) Lanes(ctx context.Context) ([]queue.Lane, error)   { return s.inner.Lanes(ctx) }
func (s *watched) Totals(ctx context.Context) ([]queue.Count, error) { return s.inner.Totals(ctx) }

func (s *watched) Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	l, err := s.inner.Lane(ctx, key)
	if err == nil {
		s.w.mu.Lock()
		s.w.judge.laneIs(l)
		s.w.mu.Unlock()
	}
	return l, err
}

func (s *watched) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	if err := s.enter("put"); err != nil {
		return queue.Placed{}, err
	}
	s.w.order.Lock()
	placed, err := s.inner.Put(ctx, e)
	if err == nil {
		s.w.mu.Lock()
		s.w.judge.kept(&e, placed)
		s.w.mu.Unlock()
	}
	s.w.order.Unlock()
	if err == nil && e.Action == eventsv2.Trigger && e.Severity == queue.Critical {
		s.tell(placed)
	}
	if err == nil && s.w.o.disk && !s.after(time.Millisecond) {
		return placed, queue.ErrBroken // it is kept, and its sender does not learn of it
	}
	return placed, err
}

func (s *watched) Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error) {
	if err := s.enter("claim"); err != nil {
		return nil, err
	}
	if s.w.o.plant == "what has waited is not folded" {
		asks = slices.Clone(asks)
		for i := range asks {
			asks[i].Way = queue.SendAll
		}
	}
	s.w.order.Lock()
	taken, err := s.inner.Claim(ctx, asks)
	s.w.mu.Lock()
	for _, t := range taken {
		for _, m := range t.Merged {
			s.w.judge.folded(m)
		}
	}
	s.w.mu.Unlock()
	s.w.order.Unlock()
	for i := range taken {
		if s.w.o.plant == "a short claim ends the lane" {
			s.shorten(ctx, &taken[i])
		}
	}
	return taken, err
}

// shorten is the planted fault of a store that has skipped a damaged row, and says that
// there is nothing more.
func (s *watched) shorten(ctx context.Context, t *queue.Taken) {
	if len(t.Events) == 0 || s.w.dice(int(t.Events[0].ID), 0).IntN(5) > 0 {
		return
	}
	e := t.Events[0]
	x := queue.Settlement{ID: e.ID, Claim: e.Claim, State: queue.Refused, At: s.w.now(), Reason: "damaged"}
	if answers, err := s.inner.Settle(ctx, []queue.Settlement{x}); err == nil && answers[0] == nil {
		s.w.mu.Lock()
		s.w.judge.settled(x)
		s.w.mu.Unlock()
	}
	t.Events, t.More = t.Events[1:], false
}

func (s *watched) Release(events []queue.Event) {
	if s.w.o.plant == "released claims are lost" || s.dead() {
		return
	}
	s.w.mu.Lock()
	s.w.judge.reached["release"]++
	s.w.mu.Unlock()
	s.inner.Release(events)
}

func (s *watched) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	if err := s.enter("settle"); err != nil {
		return nil, err
	}
	if s.w.o.plant == "one settlement blocks all" && s.poisoned(list) {
		return nil, queue.ErrUnavailable
	}
	kept := list
	if s.w.o.plant == "settlements are lost" && s.w.dice(int(list[0].ID), 1).IntN(50) == 0 {
		kept = list[1:]
	}
	if s.w.o.plant == "what was accepted moves" || s.w.o.plant == "attempts are forgotten" {
		kept = slices.Clone(kept)
		for i := range kept {
			kept[i].MaybeAccepted = false
			kept[i].Tried = kept[i].Tried && s.w.o.plant != "attempts are forgotten"
		}
	}
	answers, err := s.inner.Settle(ctx, kept)
	if err != nil {
		return nil, err
	}
	stays := s.stays(ctx, kept)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for i := range kept {
		if x := kept[i]; answers[i] == nil {
			if stays[x.ID] {
				x.Lane, x.State = 0, queue.Waiting
				s.w.judge.reached["stays with its rejected key"]++
			}
			s.w.judge.settled(x)
		}
	}
	return append(make([]error, len(list)-len(kept)), answers...), nil
}

// stays are the events of which a settlement wanted to move the chain, and the store has
// let it wait, as PagerDuty may have its incident.
func (s *watched) stays(ctx context.Context, list []queue.Settlement) map[int64]bool {
	stays := map[int64]bool{}
	for _, x := range list {
		if x.Lane == 0 {
			continue
		}
		page, err := s.inner.Events(ctx, queue.Filter{Before: x.ID + 1, Limit: 1})
		if err != nil || len(page.Events) != 1 || page.Events[0].ID != x.ID {
			s.w.fail("event %d cannot be read: %v", x.ID, err)
			continue
		}
		stays[x.ID] = page.Events[0].State == queue.Waiting
	}
	return stays
}

func (s *watched) Move(ctx context.Context, m queue.Move) (queue.Moved, error) {
	if err := s.enter("move"); err != nil {
		return queue.Moved{}, err
	}
	if s.w.o.plant == "new incidents do not move" {
		return queue.Moved{}, nil
	}
	s.w.order.Lock()
	defer s.w.order.Unlock()
	moved, err := s.inner.Move(ctx, m)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, head := range moved.Heads {
		s.w.judge.moved(head, m)
	}
	return moved, err
}

func (s *watched) poisoned(list []queue.Settlement) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range list {
		if s.bad == 0 && x.ID > 100 {
			s.bad = x.ID
		}
		if x.ID == s.bad {
			return true
		}
	}
	return false
}

func (s *watched) Wake(ctx context.Context, now time.Time, n int) (time.Time, error) {
	if s.w.o.plant == "retries are forgotten" {
		return time.Time{}, nil
	}
	if err := s.enter("wake"); err != nil {
		return time.Time{}, err
	}
	return s.inner.Wake(ctx, now, n)
}

func (s *watched) Hasten(ctx context.Context, lanes []int64, n int) (bool, error) {
	if err := s.enter("hasten"); err != nil {
		return false, err
	}
	s.w.note("hasten")
	return s.inner.Hasten(ctx, lanes, n)
}

func (s *watched) SaveLane(ctx context.Context, l queue.Lane) error {
	if err := s.enter("save"); err != nil {
		return err
	}
	return s.inner.SaveLane(ctx, l)
}

func (s *watched) Hold(ctx context.Context, id int64, by queue.By) error {
	return s.inner.Hold(ctx, id, by)
}

func (s *watched) Unhold(ctx context.Context, id int64, by queue.By) error {
	return s.inner.Unhold(ctx, id, by)
}

func (s *watched) TryEvent(ctx context.Context, id int64, by queue.By) (int64, error) {
	return s.inner.TryEvent(ctx, id, by)
}

func (s *watched) TryLane(ctx context.Context, id int64, by queue.By) (int, error) {
	return s.inner.TryLane(ctx, id, by)
}

func (s *watched) Failing(ctx context.Context) ([]string, error) { return s.inner.Failing(ctx) }

func (s *watched) Recent(ctx context.Context, since time.Time) (map[int64][]queue.Acceptance, error) {
	return s.inner.Recent(ctx, since)
}

func (s *watched) Purge(ctx context.Context, before, unheard time.Time, n int) (int, error) {
	if s.w.o.plant == "a purge waits for ever" {
		<-s.life.killed
	}
	if err := s.enter("purge"); err != nil {
		return 0, err
	}
	return s.inner.Purge(ctx, before, unheard, n)
}

// requeue is an operator's, who means the order in which the events were accepted; also
// those that were delivered, if he says so.
func (s *watched) requeue(ids []int64, delivered bool) {
	s.w.order.Lock()
	defer s.w.order.Unlock()
	a := queue.Again{IDs: ids, Delivered: delivered, Pools: s.pools(), Heirs: s.heirs(), By: s.by()}
	if s.w.o.plant == "incidents are forgotten" {
		s.w.file(func(db *sql.DB) error {
			_, err := db.Exec(`DELETE FROM incident`)
			return err
		})
	}
	answers, err := s.inner.Requeue(context.Background(), a)
	if err != nil {
		s.w.note("requeue failed: " + kind(err))
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, x := range answers {
		if x.Err == nil {
			if x.Coalesced {
				s.w.merged.Store(true)
			}
			s.w.judge.requeued(x)
		} else {
			s.w.judge.reached["requeue refused: "+kind(x.Err)]++
		}
	}
}

// heirs are the lanes that take the place of others.
func (s *watched) heirs() map[int64]int64 {
	lanes, err := s.inner.Lanes(context.Background())
	if err != nil {
		s.w.fail("the lanes that take the place of others: %v", err)
	}
	return s.life.from.Heirs(lanes)
}

// transfer moves what is in the lane of a key to that of another one, in an operator's name.
func (s *watched) transfer(x queue.Transfer) (queue.Transferred, error) {
	s.w.order.Lock()
	defer s.w.order.Unlock()
	x.By, x.Why = s.by(), "from one to the other"
	done, err := s.inner.Transfer(context.Background(), x)
	if err != nil {
		s.w.note("transfer failed: " + kind(err))
	}
	states := []queue.State{queue.Ready, queue.Blocked, queue.Waiting, queue.Refused, queue.Expired}
	page, failed := s.inner.Events(context.Background(), queue.Filter{Lane: x.To, States: states, Limit: 100_000})
	if failed != nil {
		s.w.fail("what is in a lane: %v", failed)
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, e := range page.Events {
		s.w.judge.transferred(&e, x.To)
	}
	return done, err
}

// pools are the lanes of the pools as the settings have them.
func (s *watched) pools() [][]int64 {
	lanes, err := s.inner.Lanes(context.Background())
	if err != nil {
		s.w.fail("the lanes of the pools: %v", err)
	}
	return routes.Routes{Settings: s.life.settings.Load}.Pools(lanes)
}

// drop is an operator's.
func (s *watched) drop(id int64) {
	s.w.order.Lock()
	defer s.w.order.Unlock()
	err := s.inner.Drop(context.Background(), id, s.by())
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err == nil {
		s.w.judge.dropped(id)
	}
}

func (s *watched) by() queue.By { return queue.By{Who: "ana", Why: "a decision", At: s.w.now()} }
