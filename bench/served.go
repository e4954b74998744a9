package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// served is a server in a process of its own.
type served struct {
	cmd   *exec.Cmd
	addr  string
	admin string // of a relay
	pid   int
}

func (s *served) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait() // a server that is told to end has no more to say
}

// rss is the memory that the process holds, in MiB.
func (s *served) rss() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kb, _ := strconv.ParseFloat(fields[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// startOwn starts this program as one of the servers to compare with.
func (b *relayBench) startOwn(kind string) (*served, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-serve", kind, "-target", filepath.Join(b.dir, kind+".log"))
	return startServed(cmd, cmd.StdoutPipe, func(line string) string { return strings.TrimSpace(line) })
}

// startRelay starts the relay on a queue.
func (b *relayBench) startRelay(queue string, rate int) (*served, error) {
	return b.startRelayTo(b.upstream.addr, queue, rate)
}

func (b *relayBench) startRelayTo(upstream, queue string, rate int, more ...string) (*served, error) {
	if rate > 0 { // else the default
		more = append(more, "--rate", strconv.Itoa(rate))
	}
	cmd := exec.Command(b.binary, append([]string{
		"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", queue, "--log-format", "json",
		"--upstream", "http://" + upstream, "--log-level", "info",
	}, more...)...)
	admin := ""
	relay, err := startServed(cmd, cmd.StderrPipe, func(line string) string {
		var entry struct{ Msg, At, Admin string }
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "accepting events" {
			return ""
		}
		admin = strings.TrimPrefix(entry.Admin, "http://")
		return strings.TrimSuffix(strings.TrimPrefix(entry.At, "http://"), "/v2/enqueue")
	})
	if err == nil {
		relay.admin = admin
	}
	return relay, err
}

func startServed(cmd *exec.Cmd, pipe func() (io.ReadCloser, error), addressIn func(string) string) (*served, error) {
	out, err := pipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if addr := addressIn(line); addr != "" {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return &served{cmd: cmd, addr: addr, pid: cmd.Process.Pid}, nil
		}
		if err != nil {
			_ = cmd.Wait()
			return nil, fmt.Errorf("%s has not started: %w", cmd.Path, err)
		}
	}
}

// serveOwn is the process of a server to compare with: noop decodes the JSON and
// answers, append writes the body to a plain file and fsyncs that as well.
func serveOwn(kind, path string, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var file *os.File
	var mu sync.Mutex
	if kind == "append" {
		if file, err = os.Create(path); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var event any
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err == nil && file != nil {
			mu.Lock()
			if _, err = file.Write(body); err == nil {
				err = file.Sync()
			}
			mu.Unlock()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header()["Content-Type"] = []string{"application/json"}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, acceptance)
	}))
}
