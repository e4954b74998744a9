package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
)

// startServer starts a command that prints a URL on its first line and serves. It
// returns the URL, and what ends the command by SIGTERM.
func startServer(t *testing.T, cmd *exec.Cmd) (url string, stop func() error) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceValue(func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, stdout)
		return cmd.Wait()
	})
	t.Cleanup(func() { _ = ended() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no URL: %v", err)
	}
	return strings.TrimSpace(line), ended
}

// startSandbox starts shoutrrr sandbox on a free port.
func startSandbox(t *testing.T, dir string, args ...string) (url string, stderr *bytes.Buffer, stop func() error) {
	t.Helper()
	stderr = new(bytes.Buffer)
	cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), append([]string{"sandbox", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, stderr
	url, stop = startServer(t, cmd)
	return url, stderr, stop
}

// runBinary runs the command in a folder and returns its output.
func runBinary(t *testing.T, dir string, environ []string, args ...string) (output string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "shoutrrr"), args...)
	cmd.Dir, cmd.Env = dir, append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, environ...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestSandboxServes(t *testing.T) {
	dir := t.TempDir()
	url, log, stop := startSandbox(t, dir, "--fault", "429:retry-after=1", "--limit", "2")
	url = strings.Replace(url, sandboxKey, scriptKey, 1)
	if out, status := runBinary(t, dir, nil, "send", "-u", url, "-m", "Server is down, "+scriptKey); status != 0 {
		t.Fatalf("exit status %d: %s", status, out)
	}
	if out, status := runBinary(t, dir, nil, "send", "-u", url, "-m", "Second"); status != 0 {
		t.Fatalf("exit status %d: %s", status, out)
	}
	if out, status := runBinary(t, dir, nil, "send", "-u", url, "-m", "Third", "--retry-for", "0"); status != exitTemporary {
		t.Fatalf("over the limit: exit status %d, want %d: %s", status, exitTemporary, out)
	}
	if err := stop(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	for _, want := range []string{
		"429 Too Many Requests (fault 429)", "202 Accepted, opened", "429 Too Many Requests, throttled", `#1 trigger "Server is down, key-`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if n := strings.Count(log.String(), " #"); n != 4 {
		t.Errorf("%d lines for 4 requests:\n%s", n, log)
	}
	keyleak.Check(t, scriptKey, keyleak.Text("the log", log.String()))
}

func TestSandboxServesTLS(t *testing.T) {
	dir := t.TempDir()
	url, log, stop := startSandbox(t, dir, "--tls")
	shared := filepath.Join(dir, "shared.txt") // others may read it, as far as the umask lets them
	if err := os.WriteFile(shared, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(shared)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "sandbox-ca.pem"))
	if err != nil || info.Mode() != want.Mode() {
		t.Fatalf("the CA file: %v, %v, want mode %v", info, err, want.Mode())
	}
	trust := []string{"SSL_CERT_FILE=" + filepath.Join(dir, "sandbox-ca.pem"), "SSL_CERT_DIR=" + filepath.Join(dir, "none")}
	if out, status := runBinary(t, dir, trust, "send", "-u", url, "-m", "Server is down"); status != 0 {
		t.Errorf("exit status %d: %s", status, out)
	}
	if out, status := runBinary(t, dir, nil, "send", "-u", url, "-m", "Server is down"); status != exitUnreachable {
		t.Errorf("without the CA: exit status %d, want %d: %s", status, exitUnreachable, out)
	}
	if err := stop(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if strings.Contains(url, "disabletls") || !strings.Contains(log.String(), "SSL_CERT_FILE=sandbox-ca.pem") {
		t.Errorf("URL %s, told:\n%s", url, log)
	}
	// The next one takes the place of its own file.
	if _, _, stop := startSandbox(t, dir, "--tls"); stop() != nil {
		t.Error("a second sandbox cannot overwrite the CA file of the first")
	}
}

// enqueueBody is an event as a program that knows nothing of shoutrrr sends it.
const enqueueBody = `{"routing_key":"` + scriptKey + `","event_action":"trigger","dedup_key":"probe","payload":{"summary":"Probe","source":"test","severity":"info"}}`

// What runs in the sandbox needs no change: PagerDuty's name is in each of these
// programs, and nothing on this machine leads there.
func TestSandboxExecRunsOtherPrograms(t *testing.T) {
	probes, err := filepath.Abs(filepath.Join("testdata", "probes"))
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://events.pagerduty.com/v2/enqueue"
	programs := []struct {
		name  string
		needs []string // succeeds if the tool is there
		args  []string // the event is added
		want  string
	}{
		{"curl", []string{"curl", "--version"}, []string{"curl", "-sS", "-w", " %{http_code}", "-H", "Content-Type: application/json", url, "-d"}, "202"},
		{"Go", []string{"go", "version"}, []string{"go", "run", filepath.Join(probes, "post.go")}, "202 HTTP/2.0"},
		{"Node fetch", []string{"node", "--version"}, []string{"node", filepath.Join(probes, "fetch.cjs")}, "202"},
		{"Node https", []string{"node", "--version"}, []string{"node", filepath.Join(probes, "https.cjs")}, "202"},
		{"Node import", []string{"node", "--version"}, []string{"node", filepath.Join(probes, "import.mjs")}, "202"},
		{"Python requests", []string{"/usr/bin/python3", "-c", "import requests"}, []string{"/usr/bin/python3", filepath.Join(probes, "post.py")}, "202"},
	}
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			needs(t, p.needs...)
			runInSandbox(t, append(p.args, enqueueBody), p.want)
		})
	}
}

// runInSandbox runs a program that sends the event of enqueueBody.
func runInSandbox(t *testing.T, args []string, want string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "shoutrrr"), append([]string{"sandbox", "exec", "--"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &stdout, &stderr
	// Lists that would let programs by, in both spellings.
	cmd.Env = append(os.Environ(), "NO_PROXY=events.pagerduty.com", "no_proxy=.pagerduty.com,localhost")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
	}
	if !strings.Contains(stdout.String(), want) {
		t.Errorf("it printed %q, want %s", &stdout, want)
	}
	if !strings.Contains(stderr.String(), `incident 1 is triggered: "Probe" (info, source test)`) {
		t.Errorf("no incident is told:\n%s", &stderr)
	}
	keyleak.Check(t, scriptKey, keyleak.Text("stderr", stderr.String()))
}

// needs skips a test whose program is not there or does not work, and fails it in CI.
func needs(t *testing.T, program ...string) {
	t.Helper()
	if err := exec.Command(program[0], program[1:]...).Run(); err != nil {
		prove.Missing(t, "%s: %v (make deps installs it)", program[0], err)
	}
}

// A signal goes to the program, which decides.
func TestSandboxExecForwardsSignals(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), "sandbox", "exec", "--", "sh", "-c", `trap 'exit 9' TERM; echo ready; while :; do read line; done`)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	stdin, err := cmd.StdinPipe() // keeps the program waiting
	if err != nil {
		t.Fatal(err)
	}
	line, stop := startServer(t, cmd)
	if line != "ready" {
		t.Fatalf("it printed %q", line)
	}
	var exit *exec.ExitError
	if err := stop(); !errors.As(err, &exit) || exit.ExitCode() != 9 {
		t.Errorf("got %v, want the program's exit status 9", err)
	}
	_ = stdin.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Other users of this machine, who know the ports, can do nothing with the sandbox of a
// program.
func TestSandboxExecIsForItsProgramAlone(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), "sandbox", "exec", "--", "sh", "-c", `trap 'exit 0' TERM; echo "$HTTPS_PROXY $SHOUTRRR_SANDBOX $SHOUTRRR_SANDBOX_TOKEN"; while :; do read line; done`)
	cmd.Dir = dir
	stdin, err := cmd.StdinPipe() // keeps the program waiting
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	line, _ := startServer(t, cmd)
	told := strings.Fields(line)
	if len(told) != 3 || len(told[2]) < 32 || !strings.Contains(told[0], told[2]) || !strings.Contains(told[1], told[2]) {
		t.Fatalf("it was told %q", line)
	}
	ask := func(method, address, header string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	page, err := url.Parse(told[1])
	if err != nil {
		t.Fatal(err)
	}
	token := "Bearer " + told[2]
	page.User = nil
	for _, path := range []string{"/", "/sandbox/journal"} {
		if stranger, program := ask("GET", page.String()+path, ""), ask("GET", page.String()+path, token); stranger != 401 || program != 200 {
			t.Errorf("%s: %d for a stranger, %d for the program", path, stranger, program)
		}
	}
	if stranger, program := ask("POST", page.String()+"/sandbox/reset", ""), ask("POST", page.String()+"/sandbox/reset", token); stranger != 401 || program != 204 {
		t.Errorf("reset: %d for a stranger, %d for the program", stranger, program)
	}
	proxy, err := url.Parse(told[0])
	if err != nil {
		t.Fatal(err)
	}
	proxy.User = nil
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	defer transport.CloseIdleConnections()
	for _, target := range []string{"https://events.pagerduty.com/v2/enqueue", "https://127.0.0.1:1/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := transport.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") {
			t.Errorf("CONNECT for %s: %v, %v", target, resp, err)
		}
	}
}
