package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaries is the folder in which the daemon is built.
var binaries string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "shoutrrrd-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	// Without the revision, which git refuses to tell of a tree of another owner.
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(binaries, "shoutrrrd"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the daemon: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// testKey stands in every event of these tests and may stand nowhere else.
const testKey = "0123456789abcdef0123456789abcdef"

// process is a running daemon.
type process struct {
	cmd   *exec.Cmd
	front string // base URL
	admin string
	log   *watchedLog
	ended chan error
}

// watchedLog keeps what a daemon logs and tells each line.
type watchedLog struct {
	mu    sync.Mutex
	all   bytes.Buffer
	lines chan string
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *watchedLog) follow(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.mu.Lock()
		l.all.WriteString(scanner.Text() + "\n")
		l.mu.Unlock()
		select {
		case l.lines <- scanner.Text():
		default:
		}
	}
	close(l.lines)
}

// launch starts the daemon with a queue in dir and does not wait for it.
func launch(t testing.TB, dir string, wrapper []string, args ...string) *process {
	t.Helper()
	return launchFiles(t, dir, nil, wrapper, args...)
}

func launchFiles(t testing.TB, dir string, files []*os.File, wrapper []string, args ...string) *process {
	t.Helper()
	line := append(wrapper, filepath.Join(binaries, "shoutrrrd"), "run",
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", filepath.Join(dir, "queue.db"), "--log-format", "json")
	line = append(line, args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.ExtraFiles = files
	return launchCommand(t, cmd)
}

// launchCommand starts the daemon as somebody else has put it together.
func launchCommand(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: &watchedLog{lines: make(chan string, 1000)}, ended: make(chan error, 1)}
	ownGroup(p.cmd)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.log.follow(stderr)
		p.ended <- p.cmd.Wait()
	}()
	return p
}

const hangup = syscall.SIGHUP

// launchWith is launch with more in the environment.
func launchWith(t testing.TB, dir string, environ []string, args ...string) *process {
	t.Helper()
	return launch(t, dir, append([]string{"env"}, environ...), args...)
}

// launchActivated starts the daemon with sockets that are open already, as systemd
// does.
func launchActivated(t testing.TB, dir string, sockets []*os.File, args ...string) *process {
	t.Helper()
	return launchFiles(t, dir, sockets, []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=front:admin exec "$@"`, "sh"}, args...)
}

// start starts the daemon and waits until it accepts events.
func start(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	p := launch(t, dir, nil, args...)
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("the daemon has ended:\n%s", p.log)
	}
	return p
}

// await returns false if the daemon ends before it accepts events.
func (p *process) await() bool {
	for line := range p.log.lines {
		var entry struct{ Msg, At, Admin string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "accepting events" {
			p.front, p.admin = strings.TrimSuffix(entry.At, "/v2/enqueue"), entry.Admin
			return true
		}
	}
	return false
}

// kill ends the daemon as a power cut would end its process.
func (p *process) kill() {
	killGroup(p.cmd)
	select {
	case err := <-p.ended:
		p.ended <- err
	case <-time.After(20 * time.Second):
	}
}

// stop asks the daemon to end and returns how it did.
func (p *process) stop(t testing.TB) error {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("the daemon does not end:\n%s", p.log)
		return nil
	}
}

// post sends an event and returns the answer's status, 0 for none.
func (p *process) post(ctx context.Context, client *http.Client, body string) int {
	status, _ := p.submit(ctx, client, body)
	return status
}

// submit posts an event and returns the status of the answer, or why there is none.
func (p *process) submit(ctx context.Context, client *http.Client, body string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.front+"/v2/enqueue", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// getJSON reads something from the second door.
func (p *process) getJSON(t testing.TB, path string, into any) {
	t.Helper()
	resp, err := http.Get(p.admin + path)
	if err != nil {
		t.Fatalf("%v; the daemon says:\n%s", err, p.log)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// patience bounds what is awaited and takes a moment on an idle machine: these tests also run on a busy one.
const patience = 30 * time.Second

// eventually asks until the condition holds; it is for what no channel tells.
func eventually(t testing.TB, what string, within time.Duration, condition func() bool) {
	t.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-end.C:
			t.Fatalf("within %s it did not happen that %s", within, what)
		}
	}
}

// drained waits until nothing is queued any more.
func (p *process) drained(t testing.TB, within time.Duration) {
	t.Helper()
	eventually(t, "the queue is empty", within, func() bool {
		var status struct{ Queued, Dead int }
		p.getJSON(t, "/api/status", &status)
		if status.Dead > 0 {
			t.Fatalf("%d dead letters:\n%s", status.Dead, p.log)
		}
		return status.Queued == 0
	})
}
