package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// held is what a relay takes of its machine.
type held struct {
	memory, file int64 // bytes
	descriptors  int
}

func (h held) String() string {
	return fmt.Sprintf("%d MB of memory, %.1f MB of files, %d descriptors", h.memory>>20, float64(h.file)/(1<<20), h.descriptors)
}

// holds reads what the daemon takes now.
func (p *process) holds(t *testing.T, dir string) (h held) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	rss := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if rss == nil {
		t.Fatalf("no VmRSS in\n%s", status)
	}
	kilobytes, _ := strconv.ParseInt(string(rss[1]), 10, 64)
	h.memory = kilobytes << 10
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	h.descriptors = len(open)
	for _, name := range []string{"queue.db", "queue.db-wal"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			h.file += info.Size()
		}
	}
	return h
}

// Events come, leave and are purged, by tens of thousands and by keys that come once: the
// relay's memory, its descriptors and its file are the same after each round.
func TestSoak(t *testing.T) {
	rounds := prove.Share(t, 0, 3, 20)
	t.Parallel()
	const events, keys = 20_000, 40
	if _, err := os.Stat("/proc/self/status"); err != nil {
		prove.Missing(t, "/proc")
	}
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1, MaxEntries: 1})
	dir := t.TempDir()
	p := start(t, dir, "--upstream", upstream.URL(), "--rate", "100000", "--retention", "1m")
	var first held // after the first round, which has made what stays
	for round := range rounds {
		p.flood(t, events, func(i int) string {
			key := fmt.Sprintf("%016d%016d", round+1, i%keys)
			return fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":"alert-%d","payload":{"summary":"event %d","source":"soak","severity":"warning","custom_details":{"text":"%0512d"}}}`, key, i, i, i)
		})
		p.drained(t, 5*time.Minute)
		full := p.holds(t, dir)
		eventually(t, "all that was delivered is purged, and its place given back", 6*time.Minute, func() bool {
			var list struct {
				Events []json.RawMessage `json:"events"`
			}
			p.getJSON(t, "/api/events?limit=1", &list)
			return len(list.Events) == 0 && p.holds(t, dir).file < full.file/2
		})
		now := p.holds(t, dir)
		t.Logf("round %d: full %s; purged %s", round+1, full, now)
		if round == 0 {
			first = now
			continue
		}
		if now.memory > first.memory*5/4+16<<20 {
			t.Errorf("round %d: the memory has grown from %s to %s", round+1, first, now)
		}
		if now.file > first.file*5/4+1<<20 {
			t.Errorf("round %d: the files have grown from %s to %s", round+1, first, now)
		}
		if now.descriptors > first.descriptors+8 {
			t.Errorf("round %d: the descriptors have become more: from %s to %s", round+1, first, now)
		}
	}
	if err := p.stop(t); err != nil {
		t.Errorf("the end: %v", err)
	}
}
