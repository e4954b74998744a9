package pagerduty

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"pgregory.net/rapid"
)

var ledgerStart = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func eachLedger(t *testing.T, test func(*testing.T, Ledger)) {
	t.Run("memory", func(t *testing.T) { test(t, NewMemoryLedger()) })
	t.Run("file", func(t *testing.T) { test(t, OpenFileLedger(filepath.Join(t.TempDir(), "shoutrrr"))) })
}

func openKeys(t testing.TB, l Ledger, now time.Time) string {
	t.Helper()
	open, err := l.Open(now)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, len(open))
	for i, in := range open {
		keys[i] = in.KeyID + "/" + in.DedupKey
	}
	return strings.Join(keys, " ")
}

func TestLedger(t *testing.T) {
	eachLedger(t, func(t *testing.T, l Ledger) {
		if got := openKeys(t, l, ledgerStart); got != "" {
			t.Errorf("a new ledger knows %q", got)
		}
		for i, id := range []string{"k/a", "k/b", "other/a", "k/../../c\x00 ü"} {
			key, dedup, _ := strings.Cut(id, "/")
			if err := l.Put(Incident{KeyID: key, DedupKey: dedup, Source: "s", Summary: "t", Triggered: ledgerStart.Add(time.Duration(i) * time.Second)}); err != nil {
				t.Fatal(err)
			}
		}
		want := "k/a k/b other/a k/../../c\x00 ü"
		if got := openKeys(t, l, ledgerStart.Add(time.Minute)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for range 2 { // forgetting twice is no error
			if err := l.Remove("k", "b"); err != nil {
				t.Fatal(err)
			}
		}
		if got := openKeys(t, l, ledgerStart.Add(time.Minute)); got != "k/a other/a k/../../c\x00 ü" {
			t.Errorf("after the removal: %q", got)
		}
		if got := openKeys(t, l, ledgerStart.Add(30*24*time.Hour+time.Second)); got != "other/a k/../../c\x00 ü" {
			t.Errorf("after 30 days: %q", got)
		}
	})
}

// Both ledgers behave like a map with an expiry.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "ledger")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		for _, l := range []Ledger{NewMemoryLedger(), OpenFileLedger(dir)} {
			model, now := map[string]time.Time{}, ledgerStart
			for range rapid.IntRange(0, 20).Draw(t, "steps") {
				now = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "hours")) * time.Hour)
				dedup := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "dedup")
				if rapid.Bool().Draw(t, "put") {
					model[dedup] = now
					err = l.Put(Incident{KeyID: "k", DedupKey: dedup, Triggered: now})
				} else {
					delete(model, dedup)
					err = l.Remove("k", dedup)
				}
				if err != nil {
					t.Fatal(err)
				}
				open, err := l.Open(now)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]bool{}
				for _, in := range open {
					got[in.DedupKey] = true
				}
				for dedup, at := range model {
					if want := now.Sub(at) < ledgerLife; got[dedup] != want {
						t.Fatalf("%T: %s put at %v is open at %v: %t", l, dedup, at, now, got[dedup])
					}
					delete(got, dedup)
				}
				if len(got) > 0 {
					t.Fatalf("%T: knows %v", l, got)
				}
			}
		}
	})
}

func TestMemoryLedgerIsBounded(t *testing.T) {
	l := NewMemoryLedger()
	for i := range memoryLedgerSize + 500 {
		_ = l.Put(Incident{KeyID: "k", DedupKey: fmt.Sprint(i), Triggered: ledgerStart})
	}
	open, _ := l.Open(ledgerStart)
	if len(open) != memoryLedgerSize || open[0].DedupKey != "500" {
		t.Errorf("%d incidents, the first is %s", len(open), open[0].DedupKey)
	}
}

func TestFileLedgerModesAndNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "shoutrrr")
	l := OpenFileLedger(dir)
	key, err := eventsv2.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Put(Incident{KeyID: keyID(key), DedupKey: "db", Triggered: ledgerStart}); err != nil {
		t.Fatal(err)
	}
	folder, err := os.Stat(dir)
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", folder.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	info, _ := files[0].Info()
	text, _ := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if info.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v", info.Mode())
	}
	if all := strings.ToLower(files[0].Name() + string(text)); strings.Contains(all, testKey) || strings.Contains(all, testKey[:8]) {
		t.Errorf("the key stands in %s: %s", files[0].Name(), text)
	}
}

// What somebody else left in the folder does not stop an acknowledge.
func TestFileLedgerPassesOverWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	l := OpenFileLedger(dir)
	if err := l.Put(Incident{KeyID: "k", DedupKey: "good", Triggered: ledgerStart}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"k-1.json": "{", "k-2.json": "", "k-3.json": `{"key_id":""}`, "README": "hello", ".new-1": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "k-4.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	// A link may lead to something that never ends.
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "k-5.json")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	if got := openKeys(t, l, ledgerStart); got != "k/good" {
		t.Errorf("got %q", got)
	}
	// A month later what a dead process left half-written is gone, and nothing else.
	openKeys(t, l, time.Now().Add(31*24*time.Hour))
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) != 7 || len(hidden) != 0 {
		t.Errorf("left are %v and %v", left, hidden)
	}
}

func TestFileLedgerSweepsOldFiles(t *testing.T) {
	dir := t.TempDir()
	l := OpenFileLedger(dir)
	for i := range sweepAt {
		if err := l.Put(Incident{KeyID: "k", DedupKey: fmt.Sprint(i), Triggered: ledgerStart}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Put(Incident{KeyID: "k", DedupKey: "new", Triggered: ledgerStart.Add(31 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != keptOld+1 {
		t.Errorf("%d files are left", len(files))
	}
	if got := openKeys(t, l, ledgerStart.Add(31*24*time.Hour)); got != "k/new" {
		t.Errorf("open are %q", got)
	}
}

// A clock that is ten years ahead lists nothing, and forgets nothing: when it is set right,
// what is open is known. One that is behind lists all.
func TestFileLedgerWithAWrongClock(t *testing.T) {
	l := OpenFileLedger(t.TempDir())
	if err := l.Put(Incident{KeyID: "k", DedupKey: "open", Triggered: ledgerStart}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		years int
		want  string
	}{{10, ""}, {0, "k/open"}, {-10, "k/open"}} {
		if got := openKeys(t, l, ledgerStart.AddDate(c.years, 0, 0)); got != c.want {
			t.Errorf("%d years ahead: %q, want %q", c.years, got, c.want)
		}
	}
}

func TestLedgersTakeConcurrentUse(t *testing.T) {
	eachLedger(t, func(t *testing.T, l Ledger) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 20 {
					dedup := fmt.Sprint(i, j)
					err := l.Put(Incident{KeyID: "k", DedupKey: dedup, Triggered: ledgerStart})
					_, err2 := l.Open(ledgerStart)
					if err := errors.Join(err, err2, l.Remove("k", dedup)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := openKeys(t, l, ledgerStart); got != "" {
			t.Errorf("left: %q", got)
		}
	})
}

func TestMatch(t *testing.T) {
	in := func(dedup, source string) Incident { return Incident{DedupKey: dedup, Source: source} }
	for _, tc := range []struct {
		name        string
		open        []Incident
		source      string // "" for none given
		want        string
		candidates  int
		wantNothing bool
	}{
		{"none open", nil, "", "", 0, true},
		{"one open", []Incident{in("a", "x")}, "", "a", 0, false},
		{"several open", []Incident{in("a", "x"), in("b", "y")}, "", "", 2, false},
		{"several open, one of the source", []Incident{in("a", "x"), in("b", "y")}, "y", "b", 0, false},
		{"several of the source", []Incident{in("a", "x"), in("b", "x"), in("c", "y")}, "x", "", 2, false},
		{"none of the source", []Incident{in("a", "x")}, "z", "", 0, true},
		{"the derived key stands above all", []Incident{in("a", "x"), in("derived", "q"), in("b", "x")}, "x", "derived", 0, false},
	} {
		ev := &eventsv2.Event{Action: eventsv2.Resolve, Payload: eventsv2.Payload{Source: tc.source}}
		got, found, err := match(tc.open, ev, "derived", tc.source != "")
		var ambiguous *AmbiguousIncidentError
		if errors.As(err, &ambiguous) {
			if len(ambiguous.Candidates) != tc.candidates {
				t.Errorf("%s: %d candidates, want %d", tc.name, len(ambiguous.Candidates), tc.candidates)
			}
			continue
		}
		if tc.candidates > 0 || got.DedupKey != tc.want || found == tc.wantNothing {
			t.Errorf("%s: got %q, %t, %v", tc.name, got.DedupKey, found, err)
		}
	}
}
