package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
)

// refused starts the daemon, wants it to end with the status of wrong settings, and
// returns what it said.
func refused(t *testing.T, p *process) string {
	t.Helper()
	t.Cleanup(p.kill)
	if p.await() {
		t.Fatalf("it accepts events:\n%s", p.log)
	}
	err := <-p.ended
	p.ended <- err // for kill
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitConfig {
		t.Errorf("it ended with %v, not with status %d", err, exitConfig)
	}
	return p.log.String()
}

// A reload that takes the guards of an open socket away is refused whole, and log,
// status and metric say so; what the old settings refuse stays refused.
func TestReloadKeepsTheGuardsOfOpenSockets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := writeFile(t, dir, "shoutrrrd.yaml", "allow_plain: true\nonly_listed: true\nkeys: [{alias: oncall, key: 0123456789abcdef0123456789abcde0}]\n")
	reserved, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	_ = reserved.Close()
	cmd := exec.Command(filepath.Join(binaries, "shoutrrrd"), "run", "--config", path, "--admin", "127.0.0.1:0", "--queue", filepath.Join(dir, "queue.db"), "--log-format", "json", "--upstream", "http://127.0.0.1:9")
	cmd.Env = []string{"HOME=" + dir, "SHOUTRRRD_CONFIG="}
	_, port, _ := net.SplitHostPort(address)
	writeFile(t, dir, "shoutrrrd.yaml", "listen: 0.0.0.0:"+port+"\nallow_plain: true\nonly_listed: true\nkeys: [{alias: oncall, key: 0123456789abcdef0123456789abcde0}]\n")
	p := launchCommand(t, cmd)
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	p.front = "http://127.0.0.1:" + port
	unlisted := func() int { return p.post(t.Context(), http.DefaultClient, trigger("a", "info", "an info")) }
	if status := unlisted(); status != http.StatusBadRequest {
		t.Fatalf("a key that is not listed: status %d", status)
	}
	writeFile(t, dir, "shoutrrrd.yaml", "listen: 127.0.0.1:"+port+"\n")
	if err := p.cmd.Process.Signal(hangup); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the metric tells of the refused reload", 20*time.Second, func() bool {
		return strings.Contains(p.get(t, "/metrics"), "shoutrrrd_config_last_reload_successful 0")
	})
	if status := unlisted(); status != http.StatusBadRequest {
		t.Errorf("after the reload a key that is not listed gets status %d", status)
	}
	for _, where := range []string{p.log.String(), p.get(t, "/api/status")} {
		for _, part := range []string{"allow_plain", "only_listed: true", ":" + port + ", and integration keys would come in clear", "restart the relay"} {
			if !strings.Contains(where, part) {
				t.Errorf("%q is missing in:\n%s", part, where)
			}
		}
	}
	// A file that leaves the guards is taken, and its address waits for the restart.
	writeFile(t, dir, "shoutrrrd.yaml", "listen: 127.0.0.1:"+port+"\nallow_plain: true\nonly_listed: true\nkeys: [{alias: oncall, key: "+testKey+"}]\n")
	if err := p.cmd.Process.Signal(hangup); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new list is taken", 20*time.Second, func() bool { return unlisted() == http.StatusAccepted })
	if log := p.log.String(); !strings.Contains(log, "some changes need a new start") {
		t.Errorf("the log does not tell of the address:\n%s", log)
	}
}

// A name of the loopback that leads elsewhere opens nothing.
func TestLocalhostThatIsNot(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		prove.Missing(t, "mount namespaces, which only Linux has")
	}
	dir := t.TempDir()
	hosts := writeFile(t, dir, "hosts", "0.0.0.0 localhost\n")
	inside := []string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount --bind " + hosts + ` /etc/hosts && exec "$@"`, "sh"}
	if os.Geteuid() == 0 {
		inside = append(inside[:1:1], inside[3:]...)
	}
	if out, err := exec.Command(inside[0], append(inside[1:], "true")...).CombinedOutput(); err != nil {
		prove.Missing(t, "the right to make private mounts: %v %s", err, out)
	}
	for _, command := range [][]string{{"run", "--queue", filepath.Join(dir, "queue.db")}, {"check"}} {
		args := append(append(inside[1:len(inside):len(inside)], filepath.Join(binaries, "shoutrrrd")), append(command, "--listen", "localhost:0", "--admin", "localhost:0")...)
		cmd := exec.Command(inside[0], args...)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		said := refused(t, launchCommand(t, cmd))
		for _, part := range []string{"localhost:0 (0.0.0.0)", "allow_plain", "only_listed", "give tokens"} {
			if !strings.Contains(said, part) {
				t.Errorf("%s does not say %q:\n%s", command[0], part, said)
			}
		}
	}
}

// Without a home folder the queue goes nowhere.
func TestNoHomeFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"run", "check"} {
		cmd := exec.Command(filepath.Join(binaries, "shoutrrrd"), name, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		if said := refused(t, launchCommand(t, cmd)); !strings.Contains(said, "--queue") {
			t.Errorf("%s says:\n%s", name, said)
		}
	}
}

// The queue holds the keys: where others may write to it it is not opened, and where
// they may read it they cannot any more once the relay has started.
func TestQueueOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	queue := writeFile(t, dir, "queue.db", "")
	if err := os.Chmod(queue, 0o666); err != nil {
		t.Fatal(err)
	}
	if said := refused(t, launch(t, dir, nil)); !strings.Contains(said, "can write to the queue's file") {
		t.Errorf("it says:\n%s", said)
	}
	if status, _, stderr := command(t, dir, nil, "check", "--queue", queue); status != exitConfig || !strings.Contains(stderr, "can write to the queue's file") {
		t.Errorf("check: status %d:\n%s", status, stderr)
	}
	if err := os.Chmod(queue, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, dir, nil, "check", "--queue", queue); status != exitOK || !strings.Contains(stderr, "can read the queue's file") {
		t.Errorf("check: status %d:\n%s", status, stderr)
	}
	p := start(t, dir, "--upstream", "http://127.0.0.1:9")
	if info, err := os.Stat(queue); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(p.log.String(), "its mode is 0600 now") {
		t.Errorf("%v, %v:\n%s", info.Mode(), err, p.log)
	}
}
