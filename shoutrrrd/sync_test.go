package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// The shipped daemon asks the kernel to put an event onto the disk after it has
// written it and before it answers: what the tests below SQLite cannot see of it.
func TestAnswerComesAfterTheDisk(t *testing.T) {
	prove.Need(t, "strace")
	// An upstream that does not answer: how an attempt ended would be written, too.
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	fault, err := pagerdutytest.ParseFault("hang:count=-1")
	if err != nil {
		t.Fatal(err)
	}
	upstream.Inject(fault)
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	p := launch(t, dir, []string{"strace", "-f", "-qq", "-y", "-s", "64", "-e", "trace=pwrite64,fsync,fdatasync,write", "-e", "signal=none", "-o", trace},
		"--upstream", upstream.URL())
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("the daemon has ended:\n%s", p.log)
	}
	if resp, said := p.answer(t, trigger("a", "info", "on the disk")); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s", resp.StatusCode, said)
	}
	p.kill()
	said, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	before, _, answered := strings.Cut(string(said), "HTTP/1.1 202")
	written := regexp.MustCompile(`(?m)^\d+ +pwrite64\(\d+<[^>]*queue\.db-wal>`).FindAllStringIndex(before, -1)
	synced := regexp.MustCompile(`(?m)^\d+ +(f(?:data)?sync\(\d+<[^>]*queue\.db-wal>\) += 0|<\.\.\. f(?:data)?sync resumed>.* = 0)`).FindAllStringIndex(before, -1)
	if !answered || len(written) == 0 || len(synced) == 0 || synced[len(synced)-1][0] < written[len(written)-1][0] {
		t.Errorf("answered %v after %d writes of the WAL and %d syncs, the last of which has to be behind the last write:\n%s", answered, len(written), len(synced), before)
	}
}
