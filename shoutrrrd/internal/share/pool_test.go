package share

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

var ana, ben, eve = ClientOf("203.0.113.1:1"), ClientOf("203.0.113.2:1"), ClientOf("203.0.113.3:1")

func evenly(n int64) func(Client) int64 { return func(Client) int64 { return n } }

// takes starts a request that waits, and writes its name down when it has its units.
type takes struct {
	pool *Pool
	wait sync.WaitGroup
	mu   sync.Mutex
	got  []string
}

func (x *takes) start(name string, c Client, units int64, patience time.Duration) {
	x.wait.Go(func() {
		if err := x.pool.Take(nil, c, units, patience); err != nil {
			name += " in vain"
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.got = append(x.got, name)
	})
	synctest.Wait() // so that they queue in this order
}

func (x *takes) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	got := slices.Sorted(slices.Values(x.got)) // of those that got theirs at once, any may be first
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A client that has its share holds up itself and no other client.
func TestPoolShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &takes{pool: NewPool(10, evenly(6), 10)}
		x.start("eve 1", eve, 6, time.Minute)
		x.start("eve 2", eve, 1, time.Minute)
		x.start("ana 1", ana, 4, time.Minute)
		x.want(t, "eve 1", "ana 1")
		for c, want := range map[Client]bool{eve: true, ana: false, ben: false} {
			if share, capacity := x.pool.Lacks(c, 1); share != want || !capacity {
				t.Errorf("%v lacks its share: %v, the capacity: %v", c, share, capacity)
			}
		}
		x.pool.Give(ana, 4)
		x.want(t, "eve 1", "ana 1")
		x.pool.Give(eve, 6)
		x.want(t, "eve 1", "ana 1", "eve 2")
		x.wait.Wait()
	})
}

// Clients take turns: the first request of one does not wait for all of another's.
func TestPoolTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &takes{pool: NewPool(1, evenly(1), 10)}
		x.start("eve 0", eve, 1, time.Minute)
		for i := range 3 {
			x.start(fmt.Sprint("ben ", i), ben, 1, time.Minute)
		}
		x.start("ana", ana, 1, time.Minute)
		all := []string{"eve 0"}
		for i, c := range []Client{eve, ben, ana, ben} {
			x.pool.Give(c, 1)
			all = append(all, []string{"ben 0", "ana", "ben 1", "ben 2"}[i])
			x.want(t, slices.Clone(all)...)
		}
		x.wait.Wait()
	})
}

// A large request is not passed by small ones for ever.
func TestPoolDoesNotStarveTheLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &takes{pool: NewPool(10, evenly(10), 10)}
		x.start("eve", eve, 5, time.Minute)
		x.start("ana, 8", ana, 8, time.Minute)
		x.start("ben", ben, 3, time.Minute)
		x.want(t, "eve")
		x.pool.Give(eve, 5)
		x.want(t, "eve", "ana, 8")
		x.pool.Give(ana, 8)
		x.want(t, "eve", "ana, 8", "ben")
		x.wait.Wait()
	})
}

// A request that waits in vain is refused when its patience ends, and what was behind it
// goes on. One that can never fit is refused at once, and so is one too many.
func TestPoolPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &takes{pool: NewPool(10, evenly(9), 2)}
		began := time.Now()
		x.start("eve", eve, 8, 0)
		x.start("ana, 5", ana, 5, 5*time.Second)
		x.start("ana, 2", ana, 2, time.Minute)
		x.start("ana, 1", ana, 1, time.Minute)
		x.start("ben, 10", ben, 10, time.Minute)
		x.want(t, "eve", "ana, 1 in vain", "ben, 10 in vain")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("what can never fit has waited for %v", waited)
		}
		x.wait.Wait()
		x.want(t, "eve", "ana, 1 in vain", "ben, 10 in vain", "ana, 5 in vain", "ana, 2")
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited for %v, want 5 s", waited)
		}
	})
}

// A client that has left waits no more.
func TestPoolLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1, evenly(1), 10)
		if err := p.Take(nil, eve, 1, 0); err != nil {
			t.Fatal(err)
		}
		left, ended := make(chan struct{}), make(chan error)
		go func() { ended <- p.Take(left, ana, 1, time.Hour) }()
		synctest.Wait()
		close(left)
		if err := <-ended; !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		p.Give(eve, 1)
		if err := p.Take(nil, ben, 1, 0); err != nil {
			t.Errorf("a place was kept for a client that has left: %v", err)
		}
	})
}

// However many clients come and go: nothing is given out twice, none has more than its
// share, what is given back is there again, and nothing is remembered of those who
// have nothing.
func TestPoolHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const capacity, most = 20, 8
		p := NewPool(capacity, evenly(most), math.MaxInt)
		held := map[Client][]int64{}
		total := func(c Client) (sum int64) {
			for _, n := range held[c] {
				sum += n
			}
			return sum
		}
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			c := []Client{ana, ben, eve}[rapid.IntRange(0, 2).Draw(rt, "client")]
			if len(held[c]) > 0 && rapid.Bool().Draw(rt, "give") {
				p.Give(c, held[c][0])
				held[c] = held[c][1:]
				continue
			}
			n := rapid.Int64Range(1, most).Draw(rt, "units")
			fits := total(c)+n <= most && total(ana)+total(ben)+total(eve)+n <= capacity
			if got := p.Take(nil, c, n, 0) == nil; got != fits {
				rt.Fatalf("%d units of %v, which has %d: %v, want %v", n, c, total(c), got, fits)
			}
			if fits {
				held[c] = append(held[c], n)
			}
			if p.Used() != total(ana)+total(ben)+total(eve) {
				rt.Fatalf("%d are used, want %d", p.Used(), total(ana)+total(ben)+total(eve))
			}
		}
		for c, all := range held {
			for _, n := range all {
				p.Give(c, n)
			}
		}
		if p.Used() != 0 || len(p.accounts) != 0 {
			rt.Fatalf("%d are used, %d accounts are left", p.Used(), len(p.accounts))
		}
	})
}

// The same by many at once, of whom most wait.
func TestPoolAtOnce(t *testing.T) {
	p := NewPool(3, evenly(2), math.MaxInt)
	var inHand sync.WaitGroup
	var mu sync.Mutex
	now := map[Client]int{}
	for i := range 300 {
		c := []Client{ana, ben, eve}[i%3]
		inHand.Go(func() {
			if err := p.Take(nil, c, 1, time.Hour); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			now[c]++
			if now[c] > 2 || now[ana]+now[ben]+now[eve] > 3 {
				t.Errorf("in hand: %v", now)
			}
			mu.Unlock()
			mu.Lock()
			now[c]--
			mu.Unlock()
			p.Give(c, 1)
		})
	}
	inHand.Wait()
	if p.Used() != 0 || len(p.accounts) != 0 || p.turns.Len() != 0 {
		t.Errorf("%d are used, %d accounts and %d turns are left", p.Used(), len(p.accounts), p.turns.Len())
	}
}

func BenchmarkPool(b *testing.B) {
	p := NewPool(1<<20, evenly(1<<20), 10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = p.Take(nil, ana, 1, 0)
			p.Give(ana, 1)
		}
	})
}
