package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// startRelay starts a real relay whose lane "db-oncall" has one event, which
// PagerDuty has refused, and returns the address of its admin listener.
func startRelay(t *testing.T) (admin string) {
	t.Helper()
	dir := t.TempDir()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	fault, err := pagerdutytest.ParseFault("400:count=-1")
	if err != nil {
		t.Fatal(err)
	}
	upstream.Inject(fault)
	config := filepath.Join(dir, "shoutrrrd.yaml")
	if err := os.WriteFile(config, []byte("keys:\n  - {alias: db-oncall, key: "+demoKey+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, "shoutrrrd"), "run", "--config", config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--queue", filepath.Join(dir, "queue.db"), "--upstream", upstream.URL(), "--log-format", "json")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // how it ends is for its own tests
	})
	front := ""
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the relay has ended: %v", err)
		}
		var entry struct{ Msg, At, Admin string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		if entry.Msg == "accepting events" {
			front, admin = entry.At, entry.Admin
			body := fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":"db-1","payload":{"summary":"disk full","source":"db-1","severity":"critical"}}`, demoKey)
			resp, err := http.Post(front, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		if entry.Msg == "refused" {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return admin
		}
	}
}

// asksRelay reports whether an example of the help talks to a relay.
func asksRelay(line string) bool {
	return strings.HasPrefix(line, "shoutrrr status") || strings.HasPrefix(line, "shoutrrr queue")
}

// runRelayExample runs an example against a relay of its own. One that watches is
// interrupted once it has shown something.
func runRelayExample(t *testing.T, cmd *exec.Cmd, line string) {
	t.Helper()
	admin := startRelay(t)
	cmd.Env = append(cmd.Env, "SHOUTRRR_RELAY="+admin)
	cmd.Args[2] = strings.Replace(line, "http://127.0.0.1:8687", admin, 1)
	if strings.Contains(line, "--watch") {
		cmd.Args[2] = "exec " + cmd.Args[2] // the signal is for the command, not for the shell
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer stuck.Stop()
		shown := bufio.NewReader(out)
		if _, err := shown.ReadString('\n'); err != nil {
			t.Errorf("it shows nothing: %v", err)
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		_, _ = io.Copy(io.Discard, shown)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
		return
	}
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 && !strings.Contains(line, " > ") {
		t.Errorf("%v, output:\n%s", err, out)
	}
	keyleak.Check(t, demoKey, keyleak.Text("the output", string(out)))
}

// The verbs of an operator do at a real relay what they say.
func TestRelayVerbs(t *testing.T) {
	t.Parallel()
	admin := startRelay(t)
	verb := func(status int, want string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), append(args, "--relay", admin)...)
		cmd.Env = []string{"HOME=" + t.TempDir()}
		out, _ := cmd.CombinedOutput() // the status is what is looked at
		if got := cmd.ProcessState.ExitCode(); got != status || !strings.Contains(string(out), want) {
			t.Errorf("%v: status %d, want %d and %q:\n%s", args, got, status, want, out)
		}
		keyleak.Check(t, demoKey, keyleak.Text("the output", string(out)))
	}
	verb(0, "db-oncall", "status")
	verb(0, "disk full", "queue", "list", "--state", "dead")
	verb(0, "refused", "queue", "show", "1")
	verb(0, "db-oncall", "queue", "pause", "db-oncall", "--why", "maintenance")
	verb(0, "", "queue", "requeue", "1", "--why", "once more")
	verb(0, "once more", "queue", "show", "1")
	verb(0, "db-oncall", "queue", "shape")
	verb(0, "", "queue", "drop", "1", "--why", "not needed")
	verb(0, "not needed", "queue", "show", "1")
	verb(0, "db-oncall", "queue", "resume", "db-oncall")
	verb(0, "requeued 1 of 1 event", "queue", "requeue", "--filter", "state:dropped", "--why", "all of them", "--yes")
	verb(0, "", "queue", "replay", "--since", "1h", "--dry-run")
	verb(exitUsage, "--since is missing", "queue", "replay", "--why", "dropped")
	verb(exitUsage, "is no time", "queue", "replay", "--since", "noon", "--why", "dropped")
	verb(exitRefused, "", "queue", "show", "99")
	verb(exitRefused, "", "queue", "drop", "99", "--why", "there is none")
	verb(exitUsage, "", "queue", "show", "one")
}

// Without a relay the command says how to get one.
func TestNoRelay(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), "status", "--relay", "http://127.0.0.1:1")
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != exitUnreachable || !strings.Contains(string(out), "shoutrrrd run") {
		t.Errorf("status %d:\n%s", got, out)
	}
}
