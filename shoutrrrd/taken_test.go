package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// status is with which the process has ended, within patience.
func (p *process) status(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(patience):
		t.Fatalf("it goes on:\n%s", p.log)
		return 0
	}
}

// copyOf copies a file, as cp does.
func copyOf(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// accept posts critical events that all get a 202.
func (p *process) promise(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if answer, said := p.answer(t, trigger(name, "critical", "database down")); answer.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s %s", name, answer.Status, said)
		}
	}
}

// Nothing is promised that goes into a file which is not the queue's any more: the next
// event gets 503, the log says why, and the process ends for its supervisor.
func TestQueueTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(path string) error{
		"all files are removed": func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		},
		"the log alone is removed":  func(path string) error { return os.Remove(path + "-wal") },
		"the file has another name": func(path string) error { return os.Rename(path, path+".old") },
		"another file has its name": func(path string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
		},
		"the file is emptied":         func(path string) error { return os.Truncate(path, 0) },
		"its folder has another name": func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			p := start(t, dir, "--upstream", "http://127.0.0.1:9")
			p.promise(t, "before")
			if err := take(filepath.Join(dir, "queue.db")); err != nil {
				t.Fatal(err)
			}
			// At once, and not only with the next look of each second.
			answer, err := http.Post(p.front+"/v2/enqueue", "application/json", strings.NewReader(trigger("after", "critical", "database down")))
			if err == nil {
				said, _ := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("after that an event is answered with %s %s", answer.Status, said)
				}
			} // else it has ended already
			if status := p.status(t); status != exitMachine || !strings.Contains(p.log.String(), "queue.db") || !strings.Contains(p.log.String(), "taken away or replaced") {
				t.Errorf("it ended with %d:\n%s", status, p.log)
			}
		})
	}
}

// A relay that nobody sends to notices it as well.
func TestQueueTakenFromAnIdleRelay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	if err := os.Remove(filepath.Join(dir, "queue.db")); err != nil {
		t.Fatal(err)
	}
	if status := p.status(t); status != exitMachine {
		t.Errorf("it ended with %d:\n%s", status, p.log)
	}
}

// What keeps a second relay away is the file itself: neither the loss of the lock file
// beside it nor another name of the file lets one in.
func TestSecondRelayOnTheSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.promise(t, "one")
	path := filepath.Join(dir, "queue.db")
	if err := errors.Join(os.Remove(path+".lock"), os.Link(path, filepath.Join(dir, "other.db"))); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--queue", filepath.Join(dir, "other.db")}} {
		second := launch(t, dir, nil, append([]string{"--upstream", "http://127.0.0.1:9"}, args...)...)
		if status := second.status(t); status != exitTaken {
			t.Errorf("%q: the second one ended with %d:\n%s", args, status, second.log)
		}
	}
	if status, _, stderr := command(t, dir, nil, "fsck", "--queue", path); status != exitTaken {
		t.Errorf("fsck of a queue that is in use: status %d, %s", status, stderr)
	}
	p.promise(t, "two") // and the first one goes on
	if err := p.stop(t); err != nil {
		t.Error(err)
	}
}

// A file that was copied from under a running relay without its write-ahead log lacks
// events. The relay says so and does not start; whoever wants what there is says so.
func TestQueueCopiedWithoutItsLog(t *testing.T) {
	t.Parallel()
	dir, other, third := t.TempDir(), t.TempDir(), t.TempDir()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.promise(t, "one", "two")
	for _, end := range []string{"", "-wal"} {
		if end == "" {
			copyOf(t, filepath.Join(dir, "queue.db"), filepath.Join(other, "queue.db"))
		}
		copyOf(t, filepath.Join(dir, "queue.db"+end), filepath.Join(third, "queue.db"+end))
	}
	// An earlier end in order does not hide it.
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	p = start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.promise(t, "three")
	later := t.TempDir()
	copyOf(t, filepath.Join(dir, "queue.db"), filepath.Join(later, "queue.db"))
	for _, copied := range []string{other, later} {
		alone := start(t, copied, "--upstream", upstream.URL()).follows(t)
		alone.drained(t, time.Minute)
		if log := alone.log.String(); !strings.Contains(log, "the write-ahead log of the queue is missing") || !strings.Contains(log, "queue.db-wal") {
			t.Errorf("it does not say that its log is missing:\n%s", log)
		}
	}
	start(t, third, "--upstream", upstream.URL()).follows(t).drained(t, time.Minute) // with both files nothing is missing
	got := map[string]bool{}
	for _, entry := range upstream.Journal() {
		got[entry.DedupKey] = true
	}
	if !got["one"] || !got["two"] {
		t.Errorf("of a whole copy %v arrived", got)
	}
}

// After a crash somebody looks at the queue. That removes its write-ahead log, and the relay
// starts all the same, with all that it had.
func TestQueueLookedAtAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	p.promise(t, "one", "two")
	p.kill()
	if status, stdout, stderr := command(t, dir, nil, "fsck", "--queue", filepath.Join(dir, "queue.db")); status != exitOK {
		t.Fatalf("fsck: status %d, %s%s", status, stdout, stderr)
	}
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	start(t, dir, "--upstream", upstream.URL()).follows(t).drained(t, time.Minute)
	if n := len(upstream.Journal()); n != 2 {
		t.Errorf("%d events have arrived, want 2", n)
	}
}

// A file that a later program has written is refused with one line, and the supervisor
// does not try again.
func TestDowngradeIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	makeQueue(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`UPDATE meta SET value = '999' WHERE name = 'version'; PRAGMA user_version = 999`)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	p := launch(t, dir, nil)
	said := func() string { return strings.TrimSpace(p.log.String()) }
	if status := p.status(t); status != exitConfig || strings.Contains(said(), "\n") || !strings.Contains(said(), "newer") {
		t.Errorf("it ended with %d: %s", status, said())
	}
	var entry struct{ Msg string }
	if json.Unmarshal([]byte(said()), &entry) == nil {
		t.Errorf("the reason is a line of the log: %+v", entry)
	}
}
