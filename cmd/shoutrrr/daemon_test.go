package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/rogpeppe/go-internal/testscript"
)

// daemon is a relay that runs: the real one.
type daemon struct {
	cmd   *exec.Cmd
	front string // host and port
	admin string // URL
	ended chan error
}

// daemonConfig knows the keys of the scripts by names.
const daemonConfig = `keys:
  - {alias: db-oncall, key: ` + scriptKey + `}
  - {alias: web, key: ` + scriptKey2 + `}
`

// startDaemon starts a relay with its files in dir and waits until it accepts events.
func startDaemon(dir, upstream, config string, args ...string) (*daemon, error) {
	file := filepath.Join(dir, ".relay.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	line := []string{"run", "--config", file, "--queue", filepath.Join(dir, ".queue", "queue.db"), "--upstream", upstream, "--log-format", "json"}
	for _, door := range []string{"--listen", "--admin"} {
		if !slices.Contains(args, door) {
			line = append(line, door, "127.0.0.1:0")
		}
	}
	d := &daemon{cmd: exec.Command(filepath.Join(binaries, "shoutrrrd"), append(line, args...)...), ended: make(chan error, 1)}
	d.cmd.Dir, d.cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	log, said := bufio.NewReader(stderr), ""
	for d.admin == "" {
		text, err := log.ReadString('\n')
		if err != nil {
			_ = d.cmd.Wait() // it has ended already
			return nil, fmt.Errorf("the relay has ended: %s", said)
		}
		said += text
		var entry struct{ Msg, At, Admin string }
		if json.Unmarshal([]byte(text), &entry) == nil && entry.Msg == "accepting events" {
			d.admin = entry.Admin
			d.front = strings.TrimSuffix(strings.TrimPrefix(entry.At, "http://"), "/v2/enqueue")
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, log)
		d.ended <- d.cmd.Wait()
	}()
	return d, nil
}

// stop ends the relay; it may have ended already.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	d.ended <- <-d.ended
}

// url is that of a service which sends to the relay.
func (d *daemon) url(key string) string {
	return "pagerduty://" + d.front + "/" + key + "?disabletls=yes"
}

// await asks for an event until it has a state.
func (d *daemon) await(id, state, token string) error {
	return d.awaitThat("/api/events/"+id, state, token)
}

// awaitThat asks for an event or a lane until it has a state or condition. Nothing tells
// when that is so.
func (d *daemon) awaitThat(path, want, token string) error {
	end := time.NewTimer(patience)
	defer end.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		req, err := http.NewRequest(http.MethodGet, d.admin+path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		var e struct{ State, Condition string }
		err = json.NewDecoder(resp.Body).Decode(&e)
		_ = resp.Body.Close()
		if err != nil || e.State == want || e.Condition == want {
			return err
		}
		select {
		case <-end.C:
			return fmt.Errorf("%s is %s%s, want %s", path, e.State, e.Condition, want)
		case <-ticker.C:
		}
	}
}

type daemonKey struct{}

// relayCommand starts a relay. The file relay.yaml of the script, if there is one, is
// added to its configuration.
func relayCommand(ts *testscript.TestScript, args []string) {
	config := daemonConfig
	if more, err := os.ReadFile(ts.MkAbs("relay.yaml")); err == nil {
		config += string(more)
	}
	d, err := startDaemon(ts.MkAbs("."), "http://"+ts.Getenv("SANDBOX"), config, args...)
	ts.Check(err)
	ts.Defer(d.stop)
	*ts.Value(daemonKey{}).(*daemon) = *d
	ts.Setenv("SHOUTRRR_RELAY", d.admin)
	ts.Setenv("RELAYED", d.url(scriptKey))
	ts.Setenv("RELAYED2", d.url(scriptKey2))
	ts.Setenv("FRONT", "http://"+d.front)
}

func wantEvent(ts *testscript.TestScript, args []string) {
	token := ""
	if file := ts.Getenv("SHOUTRRR_TOKEN_FILE"); file != "" {
		token = strings.TrimSpace(ts.ReadFile(file))
	}
	ts.Check(ts.Value(daemonKey{}).(*daemon).await(args[0], args[1], token))
}

// wantCheck waits until a check has an exit status: how long something has waited is told
// by time alone.
func wantCheck(ts *testscript.TestScript, args []string) {
	end := time.NewTimer(patience)
	defer end.Stop()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), "status", "--check", "--relay", ts.Getenv("SHOUTRRR_RELAY"))
		out, err := cmd.CombinedOutput()
		if got := fmt.Sprint(cmd.ProcessState.ExitCode()); err == nil && args[0] == "0" || got == args[0] {
			return
		}
		select {
		case <-end.C:
			ts.Fatalf("status --check says %s, want exit status %s", out, args[0])
		case <-ticker.C:
		}
	}
}

// wantLane waits for a lane's condition.
func wantLane(ts *testscript.TestScript, args []string) {
	ts.Check(ts.Value(daemonKey{}).(*daemon).awaitThat("/api/lanes/"+args[0], args[1], ""))
}

// newDaemon starts a relay before an emulator, for a test that is no script.
func newDaemon(t *testing.T, dir string, upstream *pagerdutytest.Server, args ...string) *daemon {
	t.Helper()
	d, err := startDaemon(dir, upstream.URL(), daemonConfig, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	return d
}

// refusingRelay is one whose event 1 has been refused.
func refusingRelay(t *testing.T) *daemon {
	t.Helper()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	upstream.Inject(pagerdutytest.Fault{Name: "400"})
	d := newDaemon(t, t.TempDir(), upstream)
	if out, status := runBinary(t, t.TempDir(), nil, "send", "-u", d.url(scriptKey), "-m", "Disk full"); status != 0 {
		t.Fatalf("%s", out)
	}
	if err := d.await("1", "refused", ""); err != nil {
		t.Fatal(err)
	}
	return d
}

// console is a terminal on which somebody waits for a text.
type console struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func newConsole() *console {
	r, w := io.Pipe()
	return &console{r, w}
}

// until reads what is written until a text has come and returns it all.
func (c *console) until(t *testing.T, text string) string {
	t.Helper()
	timer := time.AfterFunc(patience, func() { _ = c.w.CloseWithError(fmt.Errorf("nothing more came in %s", patience)) })
	defer timer.Stop()
	var all strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(all.String(), text) {
		n, err := c.r.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v; want %q after:\n%q", err, text, &all)
		}
	}
	return all.String()
}

// A watch shows a relay that goes away, waits for it, and leaves the terminal as it
// was.
func TestWatchOutlivesTheRelay(t *testing.T) {
	t.Parallel()
	dir, upstream := t.TempDir(), pagerdutytest.NewServer(t, pagerdutytest.Options{})
	d := newDaemon(t, dir, upstream)
	screen := newConsole()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		status := run(ctx, &system{
			args:   []string{"status", "--watch", "--interval", "100ms", "--relay", d.admin},
			stdout: screen.w, stderr: io.Discard,
			isTerminal: func(any) bool { return true }, environ: []string{"NO_COLOR=1"},
		})
		_ = screen.w.Close()
		ended <- status
	}()
	if text := screen.until(t, "started "); !strings.HasPrefix(text, hideCursor) || !strings.Contains(text, "time to page  at once") {
		t.Errorf("it begins with %q", text)
	}
	d.stop()
	text := screen.until(t, "What it said last")
	if !strings.Contains(text, "unreachable since ") || !strings.Contains(text, "shoutrrrd run") {
		t.Errorf("it tells of the end by %q", text)
	}
	newDaemon(t, dir, upstream, "--admin", strings.TrimPrefix(d.admin, "http://"))
	screen.until(t, "Ctrl-C ends it\x1b[K\n\r\x1b[K\n\rpages") // nothing of the trouble stands between
	cancel()
	rest, err := io.ReadAll(screen.r)
	if status := <-ended; status != exitAccepted || err != nil {
		t.Errorf("exit status %d, %v", status, err)
	}
	if !strings.HasSuffix(string(rest), showCursor) {
		t.Errorf("it ends with %q", rest)
	}
}

// Where there is no terminal, each look is written below the one before, without
// anything that is meant for a terminal. SIGINT is how it ends.
func TestWatchWithoutATerminal(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, t.TempDir(), pagerdutytest.NewServer(t, pagerdutytest.Options{}))
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{nil, "time to page  at once\n"},
		{[]string{"--json"}, `{"version":`},
	} {
		cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), append([]string{"status", "--watch", "--interval", "100ms", "--relay", d.admin}, tt.flags...)...)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		text, lines := "", bufio.NewReader(stdout)
		for strings.Count(text, tt.want) < 2 {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("%v after %q", err, text)
			}
			text += line
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		_, _ = io.Copy(io.Discard, lines)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", tt.flags, err)
		}
		timer.Stop()
		if strings.ContainsAny(text, "\x1b\r") {
			t.Errorf("%v: it speaks to a terminal: %q", tt.flags, text)
		}
	}
}

// Whoever is there is asked before many events are dealt with.
func TestBulkAsks(t *testing.T) {
	t.Parallel()
	d := refusingRelay(t)
	for _, tt := range []struct {
		answer string
		status int
		stdout string
		state  string
	}{
		{"no\n", exitInterrupted, "", "refused"},
		{"\n", exitInterrupted, "", "refused"},
		{"perhaps\n", exitUsage, "", "refused"}, // asked again, and the answers end
		{"yes\n", exitAccepted, "dropped 1 of 1 event\n", "dropped"},
	} {
		var stdout, stderr strings.Builder
		status := run(t.Context(), &system{
			args:  []string{"queue", "drop", "--relay", d.admin, "--filter", "lane:db-oncall", "--why", "a rehearsal"},
			stdin: strings.NewReader(tt.answer), stdout: &stdout, stderr: &stderr,
			isTerminal: func(any) bool { return true }, environ: []string{"NO_COLOR=1", "USER=ana"},
		})
		if status != tt.status || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), "drop 1 event: 0 critical, the oldest accepted ") {
			t.Errorf("%q: exit status %d, %q, %q", tt.answer, status, stdout.String(), stderr.String())
		}
		if err := d.await("1", tt.state, ""); err != nil {
			t.Errorf("%q: %v", tt.answer, err)
		}
	}
}

// What a client has put there an operator can list and clear: 400 events with a source
// of 240,000 characters do not keep the relay from answering in time.
func TestLargeEventsAreListedAndDropped(t *testing.T) {
	t.Parallel()
	events, size := prove.Share(t, 100, 400, 400), 240_000
	dir := t.TempDir()
	d := newDaemon(t, dir, pagerdutytest.NewServer(t, pagerdutytest.Options{}))
	env := []string{"SHOUTRRR_RELAY=" + d.admin}
	command := func(args ...string) string {
		t.Helper()
		out, status := runBinary(t, dir, env, args...)
		if status != exitAccepted {
			t.Fatalf("%v: exit status %d, %.300s", args, status, out)
		}
		return out
	}
	post := func(n int) {
		t.Helper()
		body := fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":"large-%d","payload":{"summary":"number %[2]d","severity":"info","source":%q}}`,
			scriptKey, n, strings.Repeat("A", size))
		resp, err := http.Post("http://"+d.front+"/v2/enqueue", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp.Status)
		}
	}
	post(0)
	command("queue", "pause", "db-oncall", "--why", "so that nothing leaves")
	for n := range events {
		post(n + 1)
	}
	if out := command("queue", "list", "--all", "--state", "queued"); strings.Count(out, "number ") != events {
		t.Errorf("%d events are listed, want %d", strings.Count(out, "number "), events)
	}
	if out := command("queue", "list", "--all", "--json", "number", "state:queued"); strings.Count(out, `"summary":"number `) != events {
		t.Errorf("a search lists %d events, want %d", strings.Count(out, `"summary":"number `), events)
	}
	if out := command("queue", "drop", "--filter", "state:queued", "--why", "a test", "--yes"); !strings.Contains(out, fmt.Sprintf("dropped %d of %[1]d events", events)) {
		t.Errorf("%.300s", out)
	}
}
