package lane_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var ordinary = options{
	length: 24 * time.Hour, every: 20 * time.Second, limit: 60, truth: 60, keys: 2,
	faults: true, restarts: true, maxAge: 72 * time.Hour,
}

// A month of an unkind world: nothing is lost, doubled without a reason, sent out
// of order or beyond the rate.
func TestOneMonth(t *testing.T) {
	o := ordinary
	o.seed, o.length, o.every, o.truth = 7, 30*24*time.Hour, 30*time.Second, 40
	w := simulate(t, o)
	for _, rare := range []string{
		"storm", "coalesced", "restart", "lost answer", "sent twice", "probe of a pause",
		"upstream down", "upstream up", "rate limited", "limit lowered",
	} {
		if w.check.reached[rare] == 0 {
			t.Errorf("in all the month there was no %s", rare)
		}
	}
	t.Logf("%d events, %d decisions, %v", w.check.seq, w.lines, w.check.reached)
}

// The same seed gives the same decisions, twice.
func TestReplay(t *testing.T) {
	for seed := range uint64(100) {
		o := ordinary
		o.seed, o.length = seed, 2*time.Hour
		first, second := simulate(t, o), simulate(t, o)
		if first.log != second.log || first.lines != second.lines {
			t.Fatalf("%s: %d decisions with hash %x, then %d with hash %x", o, first.lines, first.log, second.lines, second.log)
		}
	}
}

// Many worlds, whose parameters shrink when one of them fails.
func TestWorlds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := options{
			seed:     rapid.Uint64Range(0, 1<<40).Draw(t, "seed"),
			length:   time.Duration(rapid.IntRange(1, 12).Draw(t, "hours")) * time.Hour,
			every:    time.Duration(rapid.IntRange(1, 60).Draw(t, "every")) * time.Second,
			limit:    rapid.SampledFrom([]int{1, 2, 5, 30, 60, 300}).Draw(t, "limit"),
			truth:    rapid.SampledFrom([]int{0, 3, 20, 60, 120}).Draw(t, "truth"),
			keys:     rapid.IntRange(1, 3).Draw(t, "keys"),
			faults:   rapid.Bool().Draw(t, "faults"),
			restarts: rapid.Bool().Draw(t, "restarts"),
			maxAge:   time.Duration(rapid.SampledFrom([]int{1, 72}).Draw(t, "age")) * time.Hour,
		}
		// A queue that only grows is no use as a test, and slow.
		if perMinute := float64(time.Minute) / float64(o.every); perMinute > float64(o.limit*o.keys)/2 {
			o.every = 2 * time.Minute / time.Duration(o.limit*o.keys)
		}
		simulate(t, o)
	})
}

// failure keeps what a simulation fails with.
type failure struct{ text string }

func (f *failure) Helper() {}
func (f *failure) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	panic(f)
}

// The checkers catch what they are there for.
func TestPlantedFaults(t *testing.T) {
	for plant, want := range map[string]string{
		"a 429 counts":         "used up an attempt",
		"refused is forgotten": "the last event of chain",
		"5xx is forgotten":     "the last event of chain",
		"claims too many":      "were accepted within a minute",
	} {
		t.Run(plant, func(t *testing.T) {
			o := ordinary
			o.seed, o.plant, o.truth, o.restarts = 3, plant, 0, false
			if plant == "a 429 counts" {
				o.truth = 20
			}
			f := &failure{}
			func() {
				defer func() {
					if r := recover(); r != nil && r != any(f) {
						panic(r)
					}
				}()
				simulate(f, o)
			}()
			if !strings.Contains(f.text, want) {
				t.Errorf("the checkers said %q, want %q", f.text, want)
			}
		})
	}
}
