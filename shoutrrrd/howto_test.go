package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// howTo runs the commands of one part of docs/backup.md as a user does, in dir.
func howTo(t *testing.T, dir, part, relay string) string {
	t.Helper()
	block := regexp.MustCompile("(?s)```sh " + part + "\n(.*?)```").FindStringSubmatch(readPage(t, "backup.md"))
	if block == nil {
		t.Fatalf("the page has no part %s", part)
	}
	path, err := builtCommand()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", block[1])
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + binaries + ":" + filepath.Dir(path) + ":" + os.Getenv("PATH"), "SHOUTRRR_RELAY=" + relay, "USER=ana"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", part, err, block[1], out)
	}
	return string(out)
}

// The page on backup, move, upgrade and rotation does what it says.
func TestBackupPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, ".local/state/shoutrrr/queue.db")
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	oldKey := "f4a9c27e51b8d036e9c4f17a2b5d80c1"
	writeFile(t, dir, "new.key", testKey)
	writeFile(t, dir, "old.key", oldKey)
	settings := writeFile(t, dir, "web.yaml", "keys:\n  - {alias: web, key: file:new.key}\n")
	relay := func(queue, to string) *process {
		return start(t, dir, "--config", settings, "--queue", queue, "--upstream", to)
	}
	stop := func(p *process) {
		if err := p.stop(t); err != nil {
			t.Fatal(err)
		}
	}
	p := relay(path, "http://127.0.0.1:9")
	p.promise(t, "one")
	howTo(t, dir, "backup", p.admin)
	stop(p)

	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "aside")); err != nil {
		t.Fatal(err)
	}
	if said := howTo(t, dir, "restore", ""); strings.Count(said, "would send 1 event, 1 of them critical") != 2 {
		t.Error(said)
	}
	p = relay(path, upstream.URL())
	if n := len(upstream.Journal()); n > 0 {
		t.Errorf("%d were sent before anybody has looked", n)
	}
	howTo(t, dir, "resume", p.admin)
	p.drained(t, time.Minute)
	stop(p)

	before, after := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	if err := errors.Join(os.Mkdir(before, 0o700), os.Mkdir(after, 0o700), os.Rename(path, filepath.Join(before, "queue.db"))); err != nil {
		t.Fatal(err)
	}
	if said := howTo(t, dir, "move", ""); !strings.Contains(said, "the queue is sound") || !strings.Contains(said, "1 events") {
		t.Error(said)
	}
	stop(relay(filepath.Join(after, "queue.db"), upstream.URL()))

	if err := os.Rename(filepath.Join(after, "queue.db"), path); err != nil {
		t.Fatal(err)
	}
	if said := howTo(t, dir, "upgrade", ""); !strings.Contains(said, "the queue is sound") {
		t.Error(said)
	}

	yaml := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(readPage(t, "backup.md"))
	settings = writeFile(t, dir, "both.yaml", yaml[1])
	p = relay(path, upstream.URL())
	old := strings.Replace(trigger("of-old", "critical", "database down"), testKey, oldKey, 1)
	for _, body := range []string{old, trigger("of-new", "critical", "database down"), strings.Replace(old, `"trigger"`, `"resolve"`, 1)} {
		if answer, said := p.answer(t, body); answer.StatusCode != 202 {
			t.Errorf("%s %s", answer.Status, said)
		}
	}
	p.drained(t, time.Minute)
	if said := howTo(t, dir, "rotate", p.admin); !strings.Contains(said, "web-old") {
		t.Error(said)
	}
	for _, incident := range upstream.Incidents() {
		if incident.DedupKey == "of-old" && incident.Status != "resolved" {
			t.Errorf("%+v", incident)
		}
	}
}
