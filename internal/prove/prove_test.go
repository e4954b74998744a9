package prove_test

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
	"pgregory.net/rapid"
)

// verdict is a test that notes how it ended instead of ending the one that looks at it.
type verdict struct {
	testing.TB        // what the package does not use panics
	name       string // of the test
	said       string // the reason of the skip or the failure, "" if the test goes on
}

func (v *verdict) Helper()                          {}
func (v *verdict) Name() string                     { return v.name }
func (v *verdict) Logf(string, ...any)              {}
func (v *verdict) Skip(args ...any)                 { v.end("skip: " + fmt.Sprint(args...)) }
func (v *verdict) Skipf(format string, args ...any) { v.end("skip: " + fmt.Sprintf(format, args...)) }

func (v *verdict) Fatalf(format string, args ...any) { v.end("fail: " + fmt.Sprintf(format, args...)) }

func (v *verdict) end(said string) {
	v.said = said
	runtime.Goexit()
}

// verdictOf runs a test's body and returns how it ended.
func verdictOf(body func(t testing.TB)) string {
	v, done := &verdict{name: "TestSomething"}, make(chan bool)
	go func() {
		defer close(done)
		body(v)
	}()
	<-done
	return v.said
}

func TestLongTestsAreSkippedAloudAndRunInProve(t *testing.T) {
	for extent, want := range map[string]string{"": "skip: LONG, NOT RUN", "share": "", "all": "", "half": `fail: SHOUTRRR_PROVE="half"`} {
		t.Setenv("SHOUTRRR_PROVE", extent)
		said := verdictOf(func(t testing.TB) { prove.Long(t) })
		if (want == "") != (said == "") || !strings.HasPrefix(said, want) {
			t.Errorf("SHOUTRRR_PROVE=%q: %q, want %q", extent, said, want)
		}
	}
}

func TestShareFollowsTheExtent(t *testing.T) {
	for extent, want := range map[string]int{"": 3, "share": 10, "all": 100} {
		t.Setenv("SHOUTRRR_PROVE", extent)
		if got := prove.Share(t, 3, 10, 100); got != want {
			t.Errorf("SHOUTRRR_PROVE=%q: %d, want %d", extent, got, want)
		}
		if got := prove.Share(t, 3, 10, 2); got != 2 {
			t.Errorf("SHOUTRRR_PROVE=%q: %d of 2", extent, got)
		}
	}
	t.Setenv("SHOUTRRR_PROVE", "")
	if said := verdictOf(func(t testing.TB) { prove.Share(t, 0, 10, 100) }); !strings.HasPrefix(said, "skip: LONG") {
		t.Errorf("a test without a short form: %q", said)
	}
}

func TestStrideVisitsEveryPlaceInTheEnd(t *testing.T) {
	for extent, want := range map[string]int{"": 7, "share": 3, "all": 1} {
		t.Setenv("SHOUTRRR_PROVE", extent)
		visited := map[int]bool{}
		for seed := range 200 {
			t.Setenv("SHOUTRRR_SEED", fmt.Sprint(seed))
			start, step := prove.Stride(t, 7, 3)
			if step != want {
				t.Fatalf("SHOUTRRR_PROVE=%q: every %d-th place, want every %d-th", extent, step, want)
			}
			visited[start] = true
		}
		if len(visited) != want {
			t.Errorf("SHOUTRRR_PROVE=%q: 200 seeds start at %v", extent, visited)
		}
	}
}

func TestRapidTriesAsManyCasesAsTheExtentSays(t *testing.T) {
	for extent, want := range map[string]int{"": 3, "share": 10, "all": 50} {
		t.Setenv("SHOUTRRR_PROVE", extent)
		before := flag.Lookup("rapid.checks").Value.String()
		t.Run("checks", func(t *testing.T) {
			cases := 0
			prove.Rapid(t, 3, 10, 50)
			rapid.Check(t, func(*rapid.T) { cases++ })
			if cases < want || cases > want+1 { // it may repeat the first one
				t.Errorf("SHOUTRRR_PROVE=%q: %d cases, want %d", extent, cases, want)
			}
		})
		if after := flag.Lookup("rapid.checks").Value.String(); after != before {
			t.Errorf("rapid.checks was %s before the test and is %s", before, after)
		}
	}
}

// hidden is a place where scripts/prove would not see the call.
func hidden(t testing.TB) { prove.Share(t, 1, 2, 3) }

func TestHiddenCallsFail(t *testing.T) {
	if said := verdictOf(hidden); !strings.HasPrefix(said, "fail: hidden calls") {
		t.Errorf("a helper's call: %q", said)
	}
}

func TestSeedsDifferByTestAndByRun(t *testing.T) {
	seed := func(name, run string) uint64 {
		t.Setenv("SHOUTRRR_SEED", run)
		return prove.Seed(&verdict{name: name})
	}
	for _, run := range []string{"", "1"} {
		if first, second := seed("TestA", run), seed("TestA", run); first != second {
			t.Errorf("SHOUTRRR_SEED=%q gives %d, then %d", run, first, second)
		}
	}
	if seed("TestA", "1") == seed("TestB", "1") || seed("TestA", "1") == seed("TestA", "2") || seed("TestA", "1") == seed("TestA", "") {
		t.Error("seeds do not differ")
	}
	t.Setenv("SHOUTRRR_SEED", "one")
	if said := verdictOf(func(t testing.TB) { prove.Seed(t) }); !strings.HasPrefix(said, `fail: SHOUTRRR_SEED="one"`) {
		t.Errorf("a seed that is not a number: %q", said)
	}
}

func TestMissingProgramsFailInCI(t *testing.T) {
	const program = "no-program-has-this-name"
	for ci, want := range map[string]string{"": "skip: NOT TESTED, missing: " + program, "true": "fail: missing: " + program} {
		t.Setenv("CI", ci)
		if said := verdictOf(func(t testing.TB) { prove.Need(t, program) }); !strings.HasPrefix(said, want) {
			t.Errorf("CI=%q: %q, want %q", ci, said, want)
		}
		if said := verdictOf(func(t testing.TB) { prove.Need(t, "go") }); said != "" {
			t.Errorf("CI=%q: a program that is here: %q", ci, said)
		}
	}
}
