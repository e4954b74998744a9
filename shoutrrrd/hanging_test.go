package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// hangDisk lets each fsync of a daemon take longer than any test, until it is released:
// strace also holds a thread that is to die with its process.
func hangDisk(t *testing.T, dir string, pid int) (release func()) {
	t.Helper()
	strace := exec.Command("strace", "-f", "-p", fmt.Sprint(pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=600000000", "-o", filepath.Join(dir, "trace"))
	said, err := strace.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := strace.Start(); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		_ = strace.Process.Kill()
		_ = strace.Wait() // it was killed
	})
	t.Cleanup(release)
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "attached") {
			return release
		}
	}
	t.Fatal("strace does not follow the daemon")
	return nil
}

// While its disk hangs the daemon turns events away and says so everywhere. It ends when
// it is asked to, and by itself when the disk does not come back; what it has promised
// before leaves after the next start. The log of this test has the times.
func TestHangingDisk(t *testing.T) {
	prove.Long(t)
	prove.Need(t, "strace")
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprint("asked to end ", asked), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := start(t, dir, "--upstream", "http://127.0.0.1:9")
			if resp, said := p.answer(t, trigger("before", "critical", "all is well")); resp.StatusCode != http.StatusAccepted {
				t.Fatal(resp.Status, said)
			}
			release := hangDisk(t, dir, p.cmd.Process.Pid)
			begun := time.Now()
			resp, said := p.answer(t, trigger("during", "critical", "nothing is well"))
			if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
				t.Errorf("an event got %s: %s", resp.Status, said)
			}
			t.Logf("turned away after %s", time.Since(begun))
			if ready, err := http.Get(p.admin + "/readyz"); err != nil || ready.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("readyz: %v, %v", ready, err)
			}
			var status struct {
				Accepting bool
				Disk      struct {
					Hanging float64 `json:"hanging_s"`
				}
			}
			if p.getJSON(t, "/api/status", &status); status.Accepting || status.Disk.Hanging < 5 {
				t.Errorf("the status says %+v", status)
			}
			if healthy, hangs := p.metric(t, "shoutrrrd_store_healthy"), p.metric(t, "shoutrrrd_disk_hanging_seconds"); healthy != 0 || hangs < 5 {
				t.Errorf("the metrics say healthy %v, hanging for %v s", healthy, hangs)
			}
			if asked {
				begun = time.Now()
				if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "it says why it ends", 3*time.Minute, func() bool {
				return strings.Contains(p.log.String(), "shoutrrrd: the disk of the queue has not answered")
			})
			t.Logf("ended after %s", time.Since(begun)) // 9 s after SIGTERM, 31 s after the disk hung
			release()
			err := <-p.ended
			p.ended <- err
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitMachine {
				t.Errorf("it ended with %v:\n%s", err, p.log)
			}
			upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
			start(t, dir, "--upstream", upstream.URL()).follows(t)
			upstream.WantIncident(t, "before").Within(time.Minute).Triggered()
		})
	}
}
