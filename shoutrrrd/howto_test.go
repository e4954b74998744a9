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
	return runAsUser(t, dir, block[1], relay)
}

// runAsUser runs commands in dir, with both programs on the path.
func runAsUser(t *testing.T, dir, commands, relay string) string {
	t.Helper()
	path, err := builtCommand()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", commands)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + binaries + ":" + filepath.Dir(path) + ":" + os.Getenv("PATH"), "SHOUTRRR_RELAY=" + relay, "USER=ana"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, commands, out)
	}
	return string(out)
}

// The page on backup, move and upgrade does what it says.
func TestBackupPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, ".local/state/shoutrrr/queue.db")
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	writeFile(t, dir, "new.key", testKey)
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
	eventually(t, "the lane stops, as its upstream is another one", patience, func() bool {
		return strings.Contains(p.get(t, "/api/lanes/web"), "upstream_not_configured")
	})
	runAsUser(t, dir, "shoutrrr queue move web web --why restored --yes", p.admin)
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
}
