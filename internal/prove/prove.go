// Package prove decides how much of a long or endless test runs, in every module of this repository.
//
//	make test        every short test; what is long is skipped, and named at the end
//	make prove       what is long, with a seeded share of what is endless (CI runs both)
//	make prove-all   what is long, whole
//
// A test that takes longer than some seconds begins with Long:
//
//	func TestAlertmanager(t *testing.T) {
//		prove.Long(t)
//
// A test that could go on for ever asks how much to try, and draws it with Seed, so that another run tries another part:
//
//	func TestFlippedBytes(t *testing.T) {
//		random := rand.New(rand.NewPCG(prove.Seed(t), 0))
//		for _, at := range random.Perm(len(file))[:prove.Share(t, 50, 2000, len(file))] {
//
// If the places are in a row whose end is not known, Stride says which of them to visit. Rapid sets how many cases the checks of that library try.
//
// Call Long, Share, Stride and Rapid in the test function itself, not in a helper: scripts/prove finds the tests of `make prove` by these calls in the source.
// A test that needs a program, or root, says so with Need or Missing: it is skipped on a machine that lacks them, and fails with CI=true.
//
// To run one such test by hand: SHOUTRRR_PROVE=share go test -run TestKill . (or =all; a seed is repeated with SHOUTRRR_SEED=17).
package prove

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

const (
	extentVariable = "SHOUTRRR_PROVE" // "" in `make test`, "share" in `make prove`, "all" in `make prove-all`
	seedVariable   = "SHOUTRRR_SEED"  // a decimal number; scripts/prove chooses and prints it
)

// Long skips a test outside `make prove` and `make prove-all`.
func Long(t testing.TB) {
	t.Helper()
	calledByTest(t)
	if extent(t) == "" {
		skipLong(t)
	}
}

// Share returns how many of an endless set a test tries: few in `make test`, share in `make prove`, all in `make prove-all`. With few = 0 the
// test is skipped in `make test`, as Long does.
func Share(t testing.TB, few, share, all int) int {
	t.Helper()
	calledByTest(t)
	return amount(t, few, share, all)
}

func amount(t testing.TB, few, share, all int) int {
	t.Helper()
	switch extent(t) {
	case "all":
		return all
	case "share":
		return min(share, all)
	}
	if few == 0 {
		skipLong(t)
	}
	return min(few, all)
}

// Rapid does what Share and Seed do for the checks of pgregory.net/rapid: until the test ends, each tries so many cases, from that seed. Its
// flags are the program's, so it is not for parallel tests.
func Rapid(t testing.TB, few, share, all int) {
	t.Helper()
	calledByTest(t)
	for name, value := range map[string]string{"rapid.checks": fmt.Sprint(amount(t, few, share, all)), "rapid.seed": fmt.Sprint(Seed(t))} {
		known := flag.Lookup(name)
		if known == nil {
			t.Fatalf("the program has no flag %s: does the test use rapid?", name)
		}
		before := known.Value.String()
		t.Cleanup(func() { _ = known.Value.Set(before) }) // a value that it has given is one that it takes
		if err := known.Value.Set(value); err != nil {
			t.Fatal(err)
		}
	}
}

// Stride says which of an endless row of places a test visits, 0, 1, 2 and so on: every few-th one in `make test`, every share-th one in
// `make prove`, from a start that the seed chooses, and each in `make prove-all`.
func Stride(t testing.TB, few, share int) (start, step int) {
	t.Helper()
	calledByTest(t)
	step = few
	switch extent(t) {
	case "all":
		return 0, 1
	case "share":
		step = share
	}
	return int(Seed(t) % uint64(step)), step
}

// Seed returns the seed of a test's random numbers and logs it. Without SHOUTRRR_SEED it is the same in each run, so that `make test` does not
// fail by chance; `make prove` sets another one each time, and .ci/run one for each commit. Each test gets a seed of its own.
func Seed(t testing.TB) uint64 {
	t.Helper()
	hash := fnv.New64a()
	fmt.Fprint(hash, os.Getenv(seedVariable), " ", t.Name())
	if text := os.Getenv(seedVariable); text != "" {
		if _, err := strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s=%q is not a number: %v", seedVariable, text, err)
		}
		t.Logf("repeat it with %s=%s", seedVariable, text)
	}
	return hash.Sum64()
}

// NoRace skips a test under the race detector, which makes a simulation, and SQLite without cgo, eight times as long. `make test` runs its package
// once more without it (scripts/test).
func NoRace(t testing.TB) {
	t.Helper()
	if raceDetector {
		t.Skip("RUN WITHOUT THE RACE DETECTOR")
	}
}

// Need skips a test that needs a program which this machine lacks. With CI=true the test fails.
func Need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		Missing(t, "%s (make deps installs it)", program)
	}
}

// Missing skips a test that cannot run on this machine and says what it lacks. With CI=true the test fails, so that a change is not let through
// untested.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	what := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("NOT TESTED, missing: %s", what)
}

func extent(t testing.TB) string {
	t.Helper()
	value := os.Getenv(extentVariable)
	switch value {
	case "", "share", "all":
		return value
	}
	t.Fatalf("%s=%q: it can be share or all", extentVariable, value)
	return ""
}

func skipLong(t testing.TB) {
	t.Helper()
	t.Skip("LONG, NOT RUN: make prove runs it")
}

// calledByTest fails a test whose call scripts/prove would not find.
func calledByTest(t testing.TB) {
	t.Helper()
	pc := make([]uintptr, 1)
	runtime.Callers(3, pc) // 0 is Callers, 1 is this function, 2 is Long, Share, Stride or Rapid
	caller, _ := runtime.CallersFrames(pc).Next()
	name := caller.Function[strings.LastIndex(caller.Function, "/")+1:] // package.TestName or package.TestName.func1
	_, name, _ = strings.Cut(name, ".")
	if !strings.HasPrefix(name, "Test") && !strings.HasPrefix(name, "Fuzz") {
		t.Fatalf("%s calls prove.Long, Share, Stride or Rapid: call it in the test function itself, where scripts/prove looks for it", name)
	}
}
