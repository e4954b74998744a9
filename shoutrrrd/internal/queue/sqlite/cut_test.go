package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Of a file that was cut off, what is left of it is taken over.
func TestCutOffFileIsSalvaged(t *testing.T) {
	const chains = 400 // the pages of tables and indexes, which come first, are a third of the file then
	file, bodies := filled(t, chains)
	for tenths, least := range map[int]int{9: 300, 7: 200, 5: 100} {
		path := filepath.Join(t.TempDir(), "queue.db")
		if err := os.WriteFile(path, bytes.Clone(file)[:len(file)*tenths/10], 0o600); err != nil {
			t.Fatal(err)
		}
		s := openTest(t, Options{Path: path, Keys: func() []eventsv2.Key { key, _ := eventsv2.ParseKey(testKey); return []eventsv2.Key{key} }})
		if whole, err := take(t, s, bodies); err != nil || whole < least {
			t.Errorf("of %d events %d came out of %d tenths of the file: %v; %+v", chains, whole, tenths, err, s.Salvaged())
		}
	}
}

// A repair that meets damage in the middle of a file does what the next start would do.
func TestRepairOfDamageFarInside(t *testing.T) {
	prove.Long(t)
	file, _ := filled(t, 200)
	for page := 3; page < len(file)/4096; page += 3 {
		path := filepath.Join(t.TempDir(), "queue.db")
		damaged := bytes.Clone(file)
		clear(damaged[page*4096 : (page+1)*4096])
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if report, err := Check(t.Context(), Options{Path: path}, true); err != nil {
			t.Fatalf("page %d: the repair ends with %v and %+v", page, err, report)
		}
		if report, err := Check(t.Context(), Options{Path: path}, false); err != nil || !report.Sound() {
			t.Errorf("page %d: after the repair there is %+v, %v", page, report, err)
		}
		if _, err := os.Stat(path + suspectSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("page %d: the mark is left: %v", page, err)
		}
	}
}

// What was read of a damaged file before the damage was met is not counted in the new
// one.
func TestSalvageCountsOnce(t *testing.T) {
	prove.Long(t)
	const chains = 200
	file, _ := filled(t, chains)
	for page := 1; page < len(file)/4096; page++ {
		path := filepath.Join(t.TempDir(), "queue.db")
		damaged := bytes.Clone(file)
		clear(damaged[page*4096 : (page+1)*4096])
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openTest(t, Options{Path: path})
		counts, err := s.Totals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, c := range counts {
			total += c.Total()
		}
		if total > chains || total != s.queued {
			t.Errorf("page %d: the lanes count %d events of %d, the queue counts %d", page, total, chains, s.queued)
		}
		if lane := laneOf(t, s); len(counts) > 0 && counts[0].Lane != lane {
			t.Errorf("page %d: a new event goes to lane %d, the others wait in %d", page, lane, counts[0].Lane)
		}
	}
}

// Between two events there may be a billion numbers that are not used any more. A page
// that stands for them and cannot be read does not keep the relay from starting.
func TestSalvageLeapsOverUnusedNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	fill := func(name string) {
		s := openTest(t, Options{Path: path})
		lane := laneOf(t, s)
		for i := range 30 {
			e := event(lane, eventsv2.Trigger, fmt.Sprint(name, " ", i), queue.Error)
			e.Body = fmt.Appendf(nil, `{"text":"%s of %s %d"}`, strings.Repeat("x", 900), name, i)
			mustPut(t, s, e)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fill("early")
	change(t, path, "INSERT INTO meta VALUES ('last', '1000000000')")
	fill("late")
	file := content(path)
	at := strings.Index(string(file), "of late 0") / 4096 * 4096
	clear(file[at : at+4096])
	for _, f := range []struct{ suffix, text string }{{"", string(file)}, {suspectSuffix, ""}} {
		if err := os.WriteFile(path+f.suffix, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := openTest(t, Options{Path: path})
	if taken := s.Salvaged(); taken == nil || taken.Events < 54 || taken.Damaged > 0 {
		t.Errorf("taken over: %+v", taken)
	}
}
