package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// A backup of a running relay is one file with all that had a 202; restored, it sends
// nothing until an operator resumes its lanes, and then all of it.
func TestBackupOfARunningRelay(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	path, file := filepath.Join(dir, "queue.db"), filepath.Join(dir, "backup.db")
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.promise(t, "one", "two", "three")
	status, stdout, stderr := command(t, dir, nil, "backup", "--queue", path, file)
	if status != exitOK || stderr != "" || !strings.Contains(stdout, "is a backup of") {
		t.Fatalf("status %d, %s%s", status, stderr, stdout)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "backup.db?*")); len(left) > 0 {
		t.Errorf("beside it there are %q", left)
	}
	p.promise(t, "later") // the relay goes on
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", path, file); status != exitConfig || !strings.Contains(stderr, "exists") {
		t.Errorf("over a file that is there: status %d, %s", status, stderr)
	}

	// A copy of it is no queue that a relay sends from at once.
	copyOf(t, file, filepath.Join(other, "queue.db"))
	early := launch(t, other, nil)
	if status := early.status(t); status != exitConfig || !strings.Contains(early.log.String(), "shoutrrrd restore") {
		t.Errorf("a relay on a backup ended with %d: %s", status, early.log)
	}
	if status, _, stderr := command(t, other, nil, "restore", "--queue", filepath.Join(other, "queue.db"), file); status != exitConfig || !strings.Contains(stderr, "overwrites nothing") {
		t.Errorf("over a queue that is there: status %d, %s", status, stderr)
	}
	if err := os.Remove(filepath.Join(other, "queue.db")); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(other, "queue.db")
	if status, stdout, stderr = command(t, other, nil, "restore", "--show", "--queue", restored, file); status != exitOK || !strings.Contains(stdout, "would send 3 events, 3 of them critical") {
		t.Errorf("status %d, %s%s", status, stderr, stdout)
	}
	if entries, _ := filepath.Glob(filepath.Join(other, "queue.db*")); len(entries) > 1 { // the lock of the relay that was refused
		t.Errorf("to show it has left %q", entries)
	}
	var told struct {
		Restored bool
		Lanes    []struct{ Queued, Critical int }
	}
	if status, stdout, stderr = command(t, other, []string{"SUDO_USER=ana"}, "restore", "--json", "--queue", restored, file); status != exitOK || json.Unmarshal([]byte(stdout), &told) != nil || !told.Restored || len(told.Lanes) != 1 || told.Lanes[0].Queued != 3 {
		t.Fatalf("status %d, %s%s", status, stderr, stdout)
	}

	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	second := start(t, other, "--upstream", upstream.URL())
	var lanes struct {
		Lanes []struct {
			ID   any
			Name string
			Held *struct{ Who, Why string } `json:"held"`
		}
	}
	second.getJSON(t, "/api/status", &lanes)
	if len(upstream.Journal()) > 0 || len(lanes.Lanes) != 1 || !strings.Contains(second.get(t, "/api/status"), `"ana"`) || !strings.Contains(second.get(t, "/api/status"), "restored from the backup") {
		t.Errorf("it has sent %d, and its lanes are %s", len(upstream.Journal()), second.get(t, "/api/status"))
	}
	second.command(t, "queue", "resume", lanes.Lanes[0].Name)
	second.follows(t) // it is another upstream than before the backup
	second.drained(t, time.Minute)
	var got []string
	for _, entry := range upstream.Journal() {
		got = append(got, entry.DedupKey)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"one", "three", "two"}) {
		t.Errorf("of the backup %q arrived", got)
	}
}

// A backup holds the integration keys: it does not go into a folder in which another user
// could take it, and nothing but a backup is restored.
func TestBackupIsKeptFromOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	makeQueue(t, path)
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	folders := []string{open}
	if os.Getuid() == 0 {
		foreign := filepath.Join(dir, "foreign")
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, foreign)
	}
	for _, folder := range append(folders, filepath.Join(dir, "none")) {
		status, _, stderr := command(t, dir, nil, "backup", "--queue", path, filepath.Join(folder, "backup.db"))
		if entries, _ := os.ReadDir(folder); status != exitConfig || len(entries) > 0 {
			t.Errorf("%s: status %d, %s", folder, status, stderr)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", path, filepath.Join(dir, "link")); status != exitConfig {
		t.Errorf("through a link: status %d, %s", status, stderr)
	}
	for i, text := range []string{"", "no database", strings.Repeat("SQLite format 3\x00", 300)} {
		file := writeFile(t, dir, fmt.Sprint("other", i), text)
		into := filepath.Join(dir, "into", "queue.db")
		if status, _, stderr := command(t, dir, nil, "restore", "--queue", into, file); status == exitOK || strings.Contains(stderr, "goroutine") {
			t.Errorf("%.10q: status %d, %s", text, status, stderr)
		}
		if _, err := os.Stat(into); err == nil {
			t.Errorf("%.10q was restored", text)
		}
	}
	if status, _, stderr := command(t, dir, nil, "restore", "--queue", filepath.Join(dir, "new.db"), path); status != exitConfig || !strings.Contains(stderr, "no backup") {
		t.Errorf("a queue that is no backup: status %d, %s", status, stderr)
	}
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", filepath.Join(dir, "none.db"), filepath.Join(dir, "b.db")); status != exitConfig || !strings.Contains(stderr, "no queue") {
		t.Errorf("without a queue: status %d, %s", status, stderr)
	}
}

// A file that cannot be restored keeps no other one from being restored, and is named. What
// a restore has left that was killed is named as well, with what to do about it.
func TestRestoreAfterOneThatFailed(t *testing.T) {
	t.Parallel()
	dir, into := t.TempDir(), t.TempDir()
	queue, file := filepath.Join(dir, "queue.db"), filepath.Join(dir, "backup.db")
	makeQueue(t, queue)
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", queue, file); status != exitOK {
		t.Fatalf("status %d, %s", status, stderr)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(into, "queue.db")
	for name, text := range map[string]string{"text": "no database", "half": string(whole[:len(whole)/2]), "header": string(whole[:100])} {
		bad := writeFile(t, dir, name, text)
		for _, args := range [][]string{{"restore", "--queue", to, bad}, {"restore", "--show", "--queue", to, bad}} {
			if status, _, stderr := command(t, dir, nil, args...); status == exitOK || !strings.Contains(stderr, "/"+name+":") || !strings.Contains(stderr, "another backup") {
				t.Errorf("%s: status %d, %s", name, status, stderr)
			}
		}
		if left, _ := os.ReadDir(into); len(left) > 0 {
			t.Errorf("%s has left %v", name, left)
		}
	}
	rest := filepath.Join(into, "queue.db.restoring")
	writeFile(t, into, filepath.Base(rest), "left")
	if status, _, stderr := command(t, dir, nil, "restore", "--queue", to, file); status != exitConfig || !regexp.MustCompile(`delete .*queue\.db\.restoring`).MatchString(stderr) {
		t.Errorf("beside what was left: status %d, %s", status, stderr)
	}
	if err := os.Remove(rest); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, dir, nil, "restore", "--queue", to, file); status != exitOK {
		t.Errorf("a good backup: status %d, %s", status, stderr)
	}
	if left, _ := os.ReadDir(into); len(left) != 1 {
		t.Errorf("beside the queue there is %v", left)
	}
	again := writeFile(t, dir, "again.db", "")
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", queue, again); status != exitConfig || !regexp.MustCompile(`delete .*again\.db`).MatchString(stderr) {
		t.Errorf("a backup over a file: status %d, %s", status, stderr)
	}
	if err := os.Rename(again, again+".partial"); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", queue, again); status != exitOK {
		t.Errorf("a backup beside a part of one: status %d, %s", status, stderr)
	}
}

// Root makes a backup of the service's queue, and a restore leaves it to the service.
func TestBackupOfTheService(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		prove.Missing(t, "root, who alone can give files away")
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	path := filepath.Join(state, "queue.db")
	makeQueue(t, path)
	const service = 61184 // the first user that systemd makes up
	entries, err := filepath.Glob(filepath.Join(state, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(entries, state) {
		if err := os.Chown(name, service, service); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "backup.db")
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", path, file); status != exitOK {
		t.Fatalf("status %d, %s", status, stderr)
	}
	if entries, err = filepath.Glob(path + "*"); err != nil { // to read a queue leaves its log
		t.Fatal(err)
	}
	for _, name := range entries {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, stderr := command(t, dir, nil, "restore", "--queue", path, file); status != exitOK {
		t.Fatalf("status %d, %s", status, stderr)
	}
	if owner, err := exec.Command("stat", "-c", "%u", path).Output(); err != nil || strings.TrimSpace(string(owner)) != fmt.Sprint(service) {
		t.Errorf("the queue belongs to %s: %v", owner, err)
	}
}

// What another queue has left at that path would be replayed into the restored one, or have
// it set aside: its lanes would not be paused.
func TestRestoreBesideAnotherLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, file := filepath.Join(dir, "queue.db"), filepath.Join(dir, "backup.db")
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.promise(t, "one")
	if status, _, stderr := command(t, dir, nil, "backup", "--queue", path, file); status != exitOK {
		t.Fatalf("status %d, %s", status, stderr)
	}
	p.promise(t, "two")
	p.kill()
	if err := os.Rename(path, filepath.Join(dir, "elsewhere.db")); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"-wal", "-shm", "-journal", ".salvage"} {
		rest := path + end
		if _, err := os.Stat(rest); err != nil {
			writeFile(t, dir, filepath.Base(rest), "left")
		}
		if status, _, stderr := command(t, dir, nil, "restore", "--queue", path, file); status != exitConfig || !strings.Contains(stderr, filepath.Base(rest)+":") {
			t.Errorf("beside %s: status %d, %s", end, status, stderr)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("beside %s it was restored", end)
		}
		if err := os.Remove(rest); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, stderr := command(t, dir, nil, "restore", "--queue", path, file); status != exitOK {
		t.Errorf("beside nothing: status %d, %s", status, stderr)
	}
}

// Events that are named in any order leave in that in which they were accepted.
func TestRequeueByNumbers(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	upstream.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultStatus, Status: 400, Count: 10})
	p := start(t, t.TempDir(), "--upstream", upstream.URL())
	for i := range 5 {
		dedup := fmt.Sprint("chain-", i)
		p.promise(t, dedup)
		if answer, said := p.answer(t, strings.Replace(trigger(dedup, "critical", "database down"), `"trigger"`, `"acknowledge"`, 1)); answer.StatusCode != http.StatusAccepted {
			t.Fatal(said)
		}
	}
	eventually(t, "all events were rejected", time.Minute, func() bool {
		var status struct{ Dead int }
		p.getJSON(t, "/api/status", &status)
		return status.Dead == 10
	})
	args := []string{"queue", "requeue", "--why", "the upstream is well"}
	for id := 10; id > 0; id-- {
		args = append(args, fmt.Sprint(id))
	}
	if said := p.command(t, args...); !strings.Contains(said, "requeued 10 of 10 events") {
		t.Errorf("it says %s", said)
	}
	p.drained(t, time.Minute)
	acknowledged := map[string]bool{}
	for _, entry := range upstream.Journal()[10:] {
		if entry.Action == "trigger" && acknowledged[entry.DedupKey] {
			t.Errorf("the trigger of %s left behind its acknowledge", entry.DedupKey)
		}
		acknowledged[entry.DedupKey] = entry.Action == "acknowledge"
	}
	if len(acknowledged) != 5 {
		t.Errorf("there were %d requests", len(upstream.Journal()))
	}
}
