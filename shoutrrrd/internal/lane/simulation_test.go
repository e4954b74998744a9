package lane_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"pgregory.net/rapid"
)

var ordinary = options{
	length: 24 * time.Hour, every: 20 * time.Second, limit: 60, start: 40, truth: 60, keys: 2,
	faults: true, restarts: true, people: true, damage: true, maxAge: 72 * time.Hour, capacity: 16,
}

// A month of an unkind world: nothing is lost, doubled without a reason, sent out
// of order or beyond the rate.
func TestOneMonth(t *testing.T) {
	prove.Long(t)
	o := ordinary
	o.seed, o.length, o.every, o.truth = 7, 30*24*time.Hour, 30*time.Second, 40
	o.maxAge = 3 * time.Hour
	w := simulate(t, o)
	for _, rare := range []string{
		"storm", "coalesced", "restart", "lost answer", "sent twice", "probe of a pause",
		"upstream down", "upstream up", "rate limited", "limit lowered", "expired", "poison",
		"hold", "configuration", "disk", "clock back", "clock forward", "cursed", "hanging", "rejected key",
		"try of a rejected key", "damaged", "try for more", "try for more met a 429", "claim failed", "closed",
	} {
		if w.check.reached[rare] == 0 {
			t.Errorf("in all the month there was no %s", rare)
		}
	}
	t.Logf("%d events, %d decisions, %v", w.check.seq, w.lines, w.check.reached)
}

// The same seed gives the same decisions, twice.
func TestReplay(t *testing.T) {
	o := ordinary
	o.length, o.every, o.seed = time.Hour, 10*time.Second, prove.Seed(t)
	for range prove.Share(t, 40, 100, 1000) {
		first, second := simulate(t, o), simulate(t, o)
		if first.log != second.log || first.lines != second.lines {
			t.Fatalf("%s: %d decisions with hash %x, then %d with hash %x", o, first.lines, first.log, second.lines, second.log)
		}
		o.seed++
	}
}

// Many worlds, whose parameters shrink when one of them fails.
func TestWorlds(t *testing.T) {
	prove.Rapid(t, 20, 200, 10_000)
	rapid.Check(t, func(t *rapid.T) {
		o := options{
			seed:     rapid.Uint64Range(0, 1<<40).Draw(t, "seed"),
			length:   time.Duration(rapid.IntRange(1, 12).Draw(t, "hours")) * time.Hour,
			every:    time.Duration(rapid.IntRange(1, 60).Draw(t, "every")) * time.Second,
			limit:    rapid.SampledFrom([]int{1, 2, 5, 30, 60, 300}).Draw(t, "limit"),
			start:    rapid.SampledFrom([]int{0, 0, 2, 20, 120}).Draw(t, "start"),
			truth:    rapid.SampledFrom([]int{0, 3, 20, 60, 120}).Draw(t, "truth"),
			keys:     rapid.IntRange(1, 3).Draw(t, "keys"),
			faults:   rapid.Bool().Draw(t, "faults"),
			restarts: rapid.Bool().Draw(t, "restarts"),
			people:   rapid.Bool().Draw(t, "people"),
			damage:   rapid.Bool().Draw(t, "damage"),
			capacity: rapid.SampledFrom([]int{0, 2, 8, 64}).Draw(t, "capacity"),
			maxAge:   time.Duration(rapid.SampledFrom([]int{1, 72}).Draw(t, "age")) * time.Hour,
		}
		// A queue that only grows is no use as a test, and slow. Storms are three
		// quarters as many again, and a limit that has to be found costs pauses.
		if o.start > o.limit {
			o.start = o.limit
		}
		rate := cmp.Or(o.start, o.limit)
		if o.truth > 0 && o.truth < rate {
			rate = o.truth
		}
		o.every = max(o.every, 5*time.Minute/time.Duration(rate*o.keys), o.length/3000)
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

// failureOf returns what a test fails with, or "".
func failureOf(test func(*failure)) string {
	f := &failure{}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		test(f)
	}()
	return f.text
}

// The checkers catch what they are there for.
func TestPlantedFaults(t *testing.T) {
	prove.Long(t)
	for plant, want := range map[string]string{
		"a 429 counts":                  "used up an attempt",
		"refused is forgotten":          "the last event of chain",
		"5xx is forgotten":              "the last event of chain",
		"claims too many":               "there is capacity for 16",
		"a slot is free after 55 s":     "were accepted within a minute",
		"a slot is held from the send":  "were accepted within a minute",
		"probes twice as often":         "a paused lane was probed after",
		"deaf to operators":             "left a lane that is held",
		"promotes before the end":       "in flight together",
		"forgets that something waits":  "is free and an event",
		"waits for what hangs":          "its host accepts what left later",
		"gives up at once":              "were given up after",
		"claims while the disk is full": "could not be kept",

		"takes a short answer for the last": "is free and an event",
		"a rejected key does not wait":      "a rejected key was tried again",
	} {
		t.Run(plant, func(t *testing.T) {
			o := ordinary
			o.plant, o.length, o.every = plant, 6*time.Hour, 5*time.Second
			caught(t, o, want)
		})
	}
}

// caught runs worlds of several seeds until one of them fails, as it should.
func caught(t *testing.T, o options, want string) {
	t.Helper()
	for o.seed = 1; o.seed <= 30; o.seed++ {
		text := failureOf(func(f *failure) { simulate(f, o) })
		if strings.Contains(text, want) {
			return
		}
		if text != "" {
			t.Logf("the checkers said %q", text)
		}
	}
	t.Errorf("thirty worlds have passed, want %q", want)
}
