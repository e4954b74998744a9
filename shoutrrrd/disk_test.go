package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// smallDisk mounts a file system of its own, whose size and mode can be changed.
// Only root may.
func smallDisk(t *testing.T, size string) (dir string, remount func(options string)) {
	t.Helper()
	dir = t.TempDir()
	if os.Getuid() != 0 {
		prove.Missing(t, "root, who alone can mount a small disk")
	}
	mount := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Fatalf("mount: %v %s", err, out)
		}
	}
	mount("-t", "tmpfs", "-o", "size="+size+",mode=0700", "tmpfs", dir)
	t.Cleanup(func() { unmount(dir) })
	return dir, func(options string) { mount("-o", "remount,"+options, dir) }
}

// answer posts an event and returns the whole answer.
func (p *process) answer(t *testing.T, body string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Post(p.front+"/v2/enqueue", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// trouble posts events until one is turned away, with a 503 that says why and when
// to come again. It returns the dedup keys of those that got a 202.
func (p *process) trouble(t *testing.T, most int) (promised []string) {
	t.Helper()
	filler := strings.Repeat("x", 900)
	for i := range most {
		dedup := fmt.Sprintf("event-%d", i)
		resp, said := p.answer(t, trigger(dedup, "error", filler))
		switch resp.StatusCode {
		case http.StatusAccepted:
			promised = append(promised, dedup)
		case http.StatusServiceUnavailable:
			if resp.Header.Get("Retry-After") == "" || !strings.Contains(said, "cannot be written") && !strings.Contains(said, "disk of its queue is full") {
				t.Errorf("the 503 does not say why or for how long: %v %s", resp.Header, said)
			}
			var status struct{ Reason, Full string }
			if p.getJSON(t, "/api/status", &status); status.Reason == "" && status.Full == "" {
				t.Error("the relay does not say why it turns events away")
			}
			return promised
		default:
			t.Fatalf("status %d: %s", resp.StatusCode, said)
		}
	}
	t.Fatalf("%d events were accepted and the disk has had no trouble", most)
	return nil
}

// relieved waits until events are accepted again, and then for those that were
// promised.
func (p *process) relieved(t *testing.T, upstream *pagerdutytest.Server, promised []string) {
	t.Helper()
	eventually(t, "events are accepted again", time.Minute, func() bool {
		resp, _ := p.answer(t, trigger("relief", "error", "the disk works again"))
		return resp.StatusCode == http.StatusAccepted
	})
	p.drained(t, time.Minute)
	eventually(t, "all that got a 202 has arrived", patience, func() bool { // the emulator notes a request when it has answered it
		arrived := map[string]bool{}
		for _, entry := range upstream.Journal() {
			arrived[entry.DedupKey] = true
		}
		return !slices.ContainsFunc(append(slices.Clone(promised), "relief"), func(dedup string) bool { return !arrived[dedup] })
	})
}

// A full disk costs nothing that was promised; with room again the relay goes on by
// itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir, remount := smallDisk(t, "3m")
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p := start(t, dir, "--upstream", upstream.URL(), "--rate", "100000")
	promised := p.trouble(t, 20_000)
	remount("size=256m")
	p.relieved(t, upstream, promised)
}

// So does a file system that turns read-only, as some do when their disk fails.
func TestDiskReadOnly(t *testing.T) {
	t.Parallel()
	dir, remount := smallDisk(t, "64m")
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p := start(t, dir, "--upstream", upstream.URL(), "--rate", "100000")
	if resp, said := p.answer(t, trigger("before", "error", "all is well")); resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status, said)
	}
	p.drained(t, time.Minute)
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	remount("ro")
	ended := launch(t, dir, nil, "--upstream", upstream.URL())
	var exit *exec.ExitError
	if err := <-ended.ended; !errors.As(err, &exit) || exit.ExitCode() != exitMachine {
		t.Errorf("on a read-only disk the start ended with %v:\n%s", err, ended.log)
	}
	remount("rw")
	p = start(t, dir, "--upstream", upstream.URL(), "--rate", "100000")
	p.relieved(t, upstream, []string{"before"})
}

// Large events that have filled a small disk all leave it, and there is room again:
// each end of one is written as well.
func TestSmallDiskGetsEmpty(t *testing.T) {
	t.Parallel()
	dir, _ := smallDisk(t, "64m")
	down := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	down.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultStatus, Status: 503, Count: -1})
	p := start(t, dir, "--upstream", down.URL())
	filler := strings.Repeat("x", 400_000)
	large := func(dedup, severity string) (int, string) {
		event := strings.TrimSuffix(trigger(dedup, severity, "large"), "}}") + fmt.Sprintf(`,"custom_details":{"filler":%q}}}`, filler)
		resp, said := p.answer(t, event)
		return resp.StatusCode, said
	}
	var promised []string
	for i := range 400 { // 160 MB
		dedup := fmt.Sprint("large-", i)
		status, said := large(dedup, "error")
		if status == http.StatusServiceUnavailable {
			break
		}
		if status != http.StatusAccepted {
			t.Fatalf("status %d: %s", status, said)
		}
		promised = append(promised, dedup)
	}
	if len(promised) < 20 || len(promised) == 400 {
		t.Fatalf("%d large events found room on 64 MB", len(promised))
	}
	if status, said := large("page", "critical"); status != http.StatusAccepted {
		t.Errorf("the first critical event got %d: %s", status, said)
	}
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p = start(t, dir, "--upstream", upstream.URL(), "--rate", "100000").follows(t)
	p.relieved(t, upstream, append(promised, "page"))
	for i := range 20 {
		if status, said := large(fmt.Sprint("again-", i), "error"); status != http.StatusAccepted {
			t.Fatalf("large event %d after all had left got %d: %s", i, status, said)
		}
	}
	if strings.Contains(p.log.String(), "cannot keep how events ended") {
		t.Errorf("the disk was full while events left:\n%s", p.log)
	}
}
