package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// command runs the daemon to its end and returns what it said. Nothing of it may
// hold the key of these tests.
func command(t *testing.T, dir string, environ []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "shoutrrrd"), args...)
	cmd.Dir, cmd.Env = dir, append([]string{"HOME=" + dir}, environ...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	keyleak.Check(t, testKey, keyleak.Text("stdout", out.String()), keyleak.Text("stderr", problems.String()))
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodSettings = `rate: 120
keys:
  - {alias: oncall, key: ` + testKey + `, rate: 60, region: eu}
  - {alias: second, key: ABCDEFABCDEF00112233445566778899, region: eu}
pools:
  - {name: db, keys: [oncall, second]}
tokens:
  - {name: ana, role: operator, file: ana.token}
`

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "ana.token", "a-token-of-some-length\n")
	path := writeFile(t, dir, "shoutrrrd.yaml", goodSettings)
	status, stdout, stderr := command(t, dir, []string{"SHOUTRRRD_MAX_AGE=24h", "SHOUTRRRD_CONFIG=shoutrrrd.yaml"}, "check", "--log-level", "debug")
	want := `listen            127.0.0.1:8686                                                     default
admin             127.0.0.1:8687                                                     default
admin_hosts       -                                                                  default
queue             HOME/.local/state/shoutrrr/queue.db default
upstream          https://events.pagerduty.com                                       default
rate              120                                                                shoutrrrd.yaml:1:7
max               -                                                                  default
settle_while_waiting  one                                                          default
max_age           24h                                                                variable SHOUTRRRD_MAX_AGE
retention         168h                                                               default
max_queued        2000000                                                            default
max_dead          100000                                                             default
max_dead_size     1GiB                                                               default
max_lanes         20000                                                              default
max_disk          auto                                                               default
max_connections   4096                                                               default
max_requests_per_client 64 default
max_body_memory   64MiB                                                              default
web_config        -                                                                  default
admin_web_config  -                                                                  default
allow_plain       false                                                              default
only_listed       false                                                              default
log_level         debug                                                              flag --log-level
log_format        auto                                                               default
keys[0]           oncall (key-3eb1bd439947eb76), rate 60, https://events.eu.pagerduty.com    shoutrrrd.yaml:3:5
keys[1]           second (key-6f3bd46b02f4631d), https://events.eu.pagerduty.com             shoutrrrd.yaml:4:5
pools[0]          db: oncall, second                                                 shoutrrrd.yaml:6:5
tokens[0]         ana, operator                                                      shoutrrrd.yaml:8:5
`
	// The width of a column follows its widest value, and one of them is a temporary path.
	words := func(text string) string {
		var lines []string
		for line := range strings.Lines(strings.ReplaceAll(text, dir, "HOME")) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	table, room, _ := strings.Cut(stdout, "\n\n")
	if !regexp.MustCompile(`^The queue may have [0-9.]+ .B on its disk: about [0-9,]+ events of 600 bytes. max_queued is 2,000,000.\n$`).MatchString(room) {
		t.Errorf("of the disk it says %q", room)
	}
	if diff := cmp.Diff(words(want), words(table+"\n")); diff != "" || status != exitOK || stderr != "" {
		t.Errorf("status %d, stderr %q, -want +got:\n%s", status, stderr, diff)
	}

	if err := errors.Join(os.Chmod(path, 0o644), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = command(t, dir, nil, "check", "-c", path, "--json")
	var got struct {
		Settings   []struct{ Name, Value, Origin string }
		Warnings   []string
		QueueLimit int64 `json:"queue_limit_bytes"`
		EventsFit  int64 `json:"events_fit"`
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q, %v in:\n%s", status, stderr, err, stdout)
	}
	if got.QueueLimit < 16<<20 || got.EventsFit < 1000 || got.EventsFit > got.QueueLimit/600 {
		t.Errorf("%d events fit into %d bytes", got.EventsFit, got.QueueLimit)
	}
	if len(got.Settings) != 28 || got.Settings[5].Name != "rate" || got.Settings[5].Value != "120" || got.Settings[5].Origin != path+":1:7" {
		t.Errorf("%+v", got.Settings)
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "chmod o-rwx") {
		t.Errorf("warnings %q", got.Warnings)
	}
	if _, _, stderr = command(t, dir, nil, "check", "-c", path); !strings.HasPrefix(stderr, "shoutrrrd: warning: every user") {
		t.Errorf("stderr %q", stderr)
	}
}

// A proxy variable that cannot be read is told with what it should be, whole and with nothing of what it is.
func TestCheckProxyVariable(t *testing.T) {
	t.Parallel()
	status, _, stderr := command(t, t.TempDir(), []string{"HTTPS_PROXY=http://svc:50%off@proxy.example:3128"}, "check")
	if status != exitConfig {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"HTTPS_PROXY cannot be read", "user:password@host:port", "%40 %2F %23 %3F %25"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing in %q", want, stderr)
		}
	}
	for _, piece := range []string{"svc", "off", "50", "proxy.example"} {
		if strings.Contains(stderr, piece) {
			t.Errorf("%q is in %q", piece, stderr)
		}
	}
	// Nor is an error cut that names hosts.
	status, _, stderr = command(t, t.TempDir(), []string{"HTTP_PROXY=http://svc:secret@proxy.example:3128"}, "check", "--upstream", "http://relay.internal:8686")
	if status != exitConfig || !strings.Contains(stderr, "add relay.internal to NO_PROXY") || strings.Contains(stderr, "secret") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

// The sample is a file that check takes.
func TestCheckSample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, sample, stderr := command(t, dir, nil, "check", "--sample")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	_, plain, _ := command(t, dir, nil, "check")
	path := writeFile(t, dir, "sample.yaml", sample)
	if status, stdout, stderr := command(t, dir, nil, "check", "-c", path); status != exitOK || stdout != plain {
		t.Errorf("status %d, %s\n%s", status, stderr, cmp.Diff(plain, stdout))
	}
}

// What goes wrong has its exit status, one message, and nothing on standard output.
func TestExitStatuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "typo.yaml", "rat: 300\n")
	writeFile(t, dir, "two.yaml", "keys:\n  - {alias: a, key: "+testKey+"}\n  - {alias: a, key: "+testKey+"}\n")
	writeFile(t, dir, "web.yaml", "tls_server_config: {cert_file: none.pem, key_file: none.key}\n")
	writeFile(t, dir, "no.db", "this is no folder")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	doors := []string{"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}
	start := func(args ...string) []string { return append([]string{"run"}, append(doors, args...)...) }
	for _, c := range []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"nothing", nil, exitUsage, []string{"Examples:", "shoutrrrd run"}},
		{"no command", []string{"chekc"}, exitUsage, []string{`"chekc" is no command, did you mean check?`}},
		{"key for a command", []string{testKey}, exitUsage, []string{`"[redacted]" is no command`}},
		{"no flag of the root", []string{"--listen"}, exitUsage, []string{"is no flag here"}},
		{"no flag", []string{"run", "--listne", "x"}, exitUsage, []string{"did you mean --listen?", "shoutrrrd run --help"}},
		{"key for a flag", []string{"run", "--" + testKey}, exitUsage, []string{"[redacted]"}},
		{"flag without a value", []string{"check", "--rate"}, exitUsage, []string{"needs an argument"}},
		{"argument", []string{"run", testKey}, exitUsage, []string{`"[redacted]" is one argument too many`}},
		{"argument of version", []string{"version", "x"}, exitUsage, []string{`"x" is one argument too many`}},
		{"no help", []string{"help", "exit-cods"}, exitUsage, []string{"did you mean exit-codes?"}},
		{"misspelt setting", []string{"check", "-c", "typo.yaml"}, exitConfig, []string{"typo.yaml:1:1: ", "did you mean rate?", "1 | rat: 300\n      | ^"}},
		{"two mistakes", []string{"check", "-c", "two.yaml"}, exitConfig, []string{"two.yaml:3:13: keys[1].alias", "keys[1].key"}},
		{"no file", []string{"check", "-c", "none.yaml"}, exitConfig, []string{`cannot read "none.yaml": no such file`}},
		{"bad flag", []string{"check", "--rate", "many"}, exitConfig, []string{`flag --rate: "many" is neither auto nor a number from 1 to 100000`}},
		{"key for a value", []string{"check", "--upstream", testKey}, exitConfig, []string{"flag --upstream", "no URL"}},
		{"run, misspelt setting", start("-c", "typo.yaml"), exitConfig, []string{"did you mean rate?"}},
		{"run, open door", []string{"run", "--listen", "0.0.0.0:0"}, exitConfig, []string{"flag --listen: other machines reach 0.0.0.0:0"}},
		{"run, no certificate", start("--web-config", "web.yaml"), exitConfig, []string{"flag --web-config", "none.pem"}},
		{"run, front address in use", []string{"run", "--listen", taken.Addr().String(), "--admin", "127.0.0.1:0", "--queue", "q/queue.db"}, exitTaken, []string{taken.Addr().String(), "address already in use", "--listen takes another"}},
		{"run, second address in use", []string{"run", "--listen", "127.0.0.1:0", "--admin", taken.Addr().String(), "--queue", "q/queue.db"}, exitTaken, []string{"--admin takes another"}},
		{"run, no folder", start("--queue", "no.db/queue.db"), exitMachine, []string{"no.db"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := command(t, dir, nil, c.args...)
			if status != c.status || stdout != "" {
				t.Errorf("status %d, want %d, stdout %q", status, c.status, stdout)
			}
			for _, part := range c.want {
				if !strings.Contains(stderr, part) {
					t.Errorf("stderr lacks %q:\n%s", part, stderr)
				}
			}
			if len(c.args) > 0 && (!strings.HasPrefix(stderr, "shoutrrrd: ") || strings.Count(stderr, "shoutrrrd: ") != 1) {
				t.Errorf("it is not told once:\n%s", stderr)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "q")); !os.IsNotExist(err) {
		t.Errorf("without an address the queue's folder was made: %v", err)
	}
}

// Output that nobody takes is a failure, for scripts that keep it.
func TestOutputCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check"}, {"check", "--json"}, {"check", "--sample"}, {"version"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			prove.Missing(t, "/dev/full")
		}
		cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "shoutrrrd"), args...)
		cmd.Stdout = full
		_ = cmd.Run() // its status says it
		_ = full.Close()
		if got := cmd.ProcessState.ExitCode(); got != exitMachine {
			t.Errorf("%v: status %d, want %d", args, got, exitMachine)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	_, long, _ := command(t, t.TempDir(), nil, "--version")
	_, short, _ := command(t, t.TempDir(), nil, "version")
	if long != short || !strings.HasPrefix(long, "shoutrrrd version ") || strings.Contains(long, "v0.0.0\n") {
		t.Errorf("--version says %q, version %q", long, short)
	}
}

// A second relay at the same queue is told who is in its way.
func TestSecondRelay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, "--upstream", "http://127.0.0.1:9")
	status, _, stderr := command(t, dir, nil, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", filepath.Join(dir, "queue.db"))
	if status != exitTaken || !strings.Contains(stderr, "queue.db") {
		t.Errorf("status %d:\n%s", status, stderr)
	}
}

// Every example of the help runs as it stands there, but in folders of its own and
// with systemd's tools replaced by true.
func TestHelpExamples(t *testing.T) {
	t.Parallel()
	var lines []string
	collectExamples(t, newRoot(&system{isTerminal: func(any) bool { return false }}), &lines)
	if len(lines) < 12 {
		t.Fatalf("only %d examples were found", len(lines))
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) { // the demo's stands in two helps, and takes a minute
		if line == "shoutrrrd demo" {
			continue // it is the same as with --events, and takes longer
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, dir, "shoutrrrd.yaml", goodSettings+"notify: {ways: [{name: mail, command: [/bin/true]}]}\n")
			writeFile(t, dir, "ana.token", "a-token-of-some-length\n")
			bin := t.TempDir()
			for _, name := range []string{"systemctl"} {
				if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\ntrue\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			script := strings.NewReplacer("/etc/shoutrrr/", dir+"/", "/var/lib/shoutrrr/", dir+"/state/", "/root/", dir+"/").Replace(line)
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
			cmd.Dir = dir
			cmd.Env = []string{
				"HOME=" + dir, "PATH=" + strings.Join([]string{binaries, bin, os.Getenv("PATH")}, ":"), "TMPDIR=" + t.TempDir(),
				// The usual ports may be in use here, and nothing may go to PagerDuty.
				"SHOUTRRRD_LISTEN=127.0.0.1:0", "SHOUTRRRD_ADMIN=127.0.0.1:0", "SHOUTRRRD_LOG_FORMAT=json",
			}
			if strings.Contains(line, "shoutrrrd restore") {
				makeQueue(t, dir+"/old/queue.db")
				if err := sqlite.Backup(t.Context(), dir+"/old/queue.db", dir+"/queue-backup.db", time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(line, "shoutrrrd fsck") || strings.Contains(line, "shoutrrrd backup") { // they make no queue
				for _, path := range []string{dir + "/.local/state/shoutrrr/queue.db", dir + "/state/queue.db"} {
					makeQueue(t, path)
				}
			}
			if strings.Contains(line, "shoutrrrd run") {
				runDaemonExample(t, cmd)
				return
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

// makeQueue makes an empty queue.
func makeQueue(t *testing.T, path string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The JSON of fsck has names like all other JSON, and its lists are lists.
func TestFsckJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	makeQueue(t, path)
	const sound = `{"lanes":0,"events":0,"chains":0,"damaged":0,"findings":[],"more":0}` + "\n"
	if status, stdout, stderr := command(t, dir, nil, "fsck", "--queue", path, "--json"); status != exitOK || stdout != sound {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.Exec(`INSERT INTO chain (lane, dedup, head, tail, n0, n1, n2, n3, seal) VALUES (7, 'web-1', 5, 5, 1, 0, 0, 0, 0)`)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := command(t, dir, nil, "fsck", "--queue", path, "--json")
	var report struct {
		Chains   int
		Findings []struct {
			Lane     int
			What     string
			Repaired *bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &report); status != exitData || err != nil {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	if len(report.Findings) == 0 || report.Findings[0].Lane != 7 || report.Findings[0].Repaired == nil || *report.Findings[0].Repaired {
		t.Errorf("%s", stdout)
	}
}

// runDaemonExample waits until the daemon accepts events, and ends it.
func runDaemonExample(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Args[2] = "exec env " + cmd.Args[2] // the daemon itself gets the signal, not the shell
	p := launchCommand(t, cmd)
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	if err := p.stop(t); err != nil {
		t.Errorf("it ended with %v:\n%s", err, p.log)
	}
}

// collectExamples walks the commands; each has to have an example.
func collectExamples(t *testing.T, cmd *cobra.Command, lines *[]string) {
	t.Helper()
	if cmd.Example == "" {
		t.Errorf("%s has no example", cmd.CommandPath())
	}
	for line := range strings.Lines(cmd.Example) {
		if !strings.HasPrefix(line, "  ") {
			t.Errorf("%s: the example %q is not indented", cmd.CommandPath(), line)
		}
		*lines = append(*lines, strings.TrimSpace(line))
	}
	for _, sub := range cmd.Commands() {
		collectExamples(t, sub, lines)
	}
}

// Help stands on standard output, examples first, and fits a terminal.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"help"}, {"run", "--help"}, {"help", "run"}, {"check", "-h"}, {"help", "exit-codes"}, {"help", "signals"}, {"demo", "--help"}} {
		status, stdout, stderr := command(t, t.TempDir(), nil, args...)
		if status != exitOK || stderr != "" {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
		examples, flags := strings.Index(stdout, "\nExamples:\n"), strings.Index(stdout, "\nFlags:\n")
		if examples < 0 || flags >= 0 && flags < examples {
			t.Errorf("%v: the examples are not first:\n%s", args, stdout)
		}
		for line := range strings.Lines(stdout) {
			if len(line) > 101 {
				t.Errorf("%v: a line of %d characters: %s", args, len(line), line)
			}
		}
	}
	for _, m := range exitMeanings {
		if !strings.Contains(exitCodesPage(), fmt.Sprintf("\n  %d ", m.status)) {
			t.Errorf("the page lacks %d", m.status)
		}
	}
}

// What stands in an error cannot speak to the terminal.
func TestLegible(t *testing.T) {
	var stderr bytes.Buffer
	status := run(context.Background(), &system{args: []string{"run\x1b[2J\u202e"}, getenv: func(string) string { return "" }, stdout: &stderr, stderr: &stderr, isTerminal: func(any) bool { return false }})
	if status != exitUsage || strings.ContainsAny(stderr.String(), "\x1b\u202e") {
		t.Errorf("status %d, %q", status, stderr.String())
	}
}
