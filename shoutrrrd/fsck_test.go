package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// fsck finds what the disk has changed in a queue, leaves it as it is, and repairs it
// when it is told to. It does not touch the queue of a relay that runs.
func TestFsck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	queue := filepath.Join(dir, "queue.db")
	fsck := func(want int, say string, args ...string) string {
		t.Helper()
		status, stdout, stderr := command(t, dir, nil, append([]string{"fsck", "--queue", queue}, args...)...)
		if status != want || !strings.Contains(stdout+stderr, say) {
			t.Errorf("fsck %v: status %d, want %d and %q:\n%s%s", args, status, want, say, stdout, stderr)
		}
		return stdout
	}
	fsck(exitConfig, "give another file with --queue")
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.flood(t, 5, func(i int) string { return trigger(fmt.Sprint("event-", i), "error", "waits") })
	fsck(exitTaken, "another relay")
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	fsck(exitOK, "the queue is sound")
	db, err := sql.Open("sqlite", queue)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE event SET next = 77 WHERE id = 3`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fsck(exitData, "event 3: ")
	}
	var report struct {
		Findings []struct{ Event int64 }
	}
	if text := fsck(exitData, "3", "--json"); json.Unmarshal([]byte(text), &report) != nil || len(report.Findings) == 0 || report.Findings[0].Event != 3 {
		t.Errorf("as JSON: %s", text)
	}
	fsck(exitOK, "the queue was repaired", "--repair")
	fsck(exitOK, "the queue is sound")
	p = start(t, dir, "--upstream", "http://127.0.0.1:9")
	var status struct{ Queued, Dead int }
	if p.getJSON(t, "/api/status", &status); status.Queued != 4 || status.Dead != 1 {
		t.Errorf("after the repair: %+v, want 4 queued and the bad one as a dead letter", status)
	}
}
