// Package browser looks at the console as people do, in a real browser before a real
// relay.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

const (
	dbKey  = "eb243592faa24ba2a5511afdf565c889"
	webKey = "0123456789abcdef0123456789abcdef"
)

// patience bounds what is awaited: far more than it takes on a busy machine.
const patience = 30 * time.Second

var (
	daemon  string // the relay's program
	chrome  string // the browser's program, "" if there is none
	axeCore string // the source of the program that looks for barriers, "" if it is not installed
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "browser-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	daemon = filepath.Join(dir, "shoutrrrd")
	build := exec.Command("go", "build", "-C", "../shoutrrrd", "-buildvcs=false", "-o", daemon, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chrome = path
			break
		}
	}
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 1, err
	}
	axeCore = string(axe)
	return m.Run(), nil
}

// relay is a relay with the emulator behind it.
type relay struct {
	front, admin string // URLs
	emulator     *pagerdutytest.Server
	process      *os.Process
}

// startRelay starts a relay; lines are added to its configuration.
func startRelay(t *testing.T, lines ...string) *relay {
	t.Helper()
	r := &relay{emulator: pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})}
	dir := t.TempDir()
	config := filepath.Join(dir, "shoutrrrd.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nqueue: %s\nupstream: %s\nlog_format: json\n%s\n",
		filepath.Join(dir, "queue.db"), r.emulator.URL(), strings.Join(lines, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemon, "run", "--config", config)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stderr)
	for r.admin == "" && said.Scan() {
		var line struct{ Msg, At, Admin string }
		if json.Unmarshal(said.Bytes(), &line) == nil && line.Msg == "accepting events" {
			r.front, r.admin = strings.TrimSuffix(line.At, "/v2/enqueue"), line.Admin
		}
	}
	if r.admin == "" {
		t.Fatalf("the relay has not started: %v", cmd.Wait())
	}
	r.process = cmd.Process
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the relay: %v", err)
		}
	})
	return r
}

// event is what a client sends.
type event struct {
	Key     string   `json:"routing_key"`
	Action  string   `json:"event_action"`
	Dedup   string   `json:"dedup_key,omitempty"`
	Payload *payload `json:"payload,omitempty"`
}

type payload struct {
	Summary  string         `json:"summary"`
	Source   string         `json:"source"`
	Severity string         `json:"severity"`
	Details  map[string]any `json:"custom_details,omitempty"`
}

func trigger(key, dedup, severity, summary string) event {
	return event{Key: key, Action: "trigger", Dedup: dedup, Payload: &payload{Summary: summary, Source: "db-1", Severity: severity}}
}

func (r *relay) send(t *testing.T, e event) {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(r.front+"/v2/enqueue", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
}

// fill sends many events with dedup keys of their own, over several connections.
func (r *relay) fill(t *testing.T, n int) {
	t.Helper()
	severities := []string{"critical", "error", "warning", "info"}
	next := make(chan int)
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			for i := range next {
				r.send(t, trigger(dbKey, fmt.Sprintf("disk-%d", i), severities[i%4], fmt.Sprintf("Disk %d of db-%d is almost full", i, i%50)))
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	senders.Wait()
}

// tab is a browser that notes what a person would never see: errors of the console
// and requests to anywhere but the relay.
type tab struct {
	t      *testing.T
	ctx    context.Context
	origin string

	mu    sync.Mutex
	wrong []string
}

func openTab(t *testing.T, r *relay) *tab {
	t.Helper()
	if chrome == "" || axeCore == "" {
		prove.Missing(t, "chromium or axe-core (make deps installs them)")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chrome), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	b := &tab{t: t, origin: r.admin}
	ctx, closeTab := chromedp.NewContext(allocated, chromedp.WithListener(b.note))
	b.ctx = ctx
	t.Cleanup(func() {
		closeTab()
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, line := range b.wrong {
			t.Errorf("the browser: %s", line)
		}
	})
	// The first action starts the browser, which would end with a deadline of it.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b.do(command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}))
	return b
}

func (b *tab) note(happened any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := happened.(type) {
	case *runtime.EventConsoleAPICalled:
		b.wrong = append(b.wrong, fmt.Sprintf("console.%s %v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "an exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		b.wrong = append(b.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && !strings.HasPrefix(e.Request.URL, b.origin+"/") {
			b.wrong = append(b.wrong, "a request to "+e.Request.URL)
		}
	}
}

// forgive takes back what a test has provoked on purpose.
func (b *tab) forgive(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = slices.DeleteFunc(b.wrong, func(line string) bool { return strings.Contains(line, part) })
}

// command is one of the browser's own.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, params)
		return err
	})
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	get(b, chromedp.Steps(steps...))
}

// get carries out an action and gives its value.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%v\nThe page says:\n%s", err, b.text())
	}
	return value
}

// text is what the page says, for a test that has failed.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// press is a key as the keyboard sends it: one event that is text as well, unless
// the page prevents that.
func press(key string) chromedp.Action[chromedp.Void] {
	text := key
	if key == "Enter" {
		text = "\r"
	}
	return chromedp.Steps(
		command(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: text}),
		command(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key}),
	)
}

func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

func enter(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.SendKeys(chromedp.CSS(selector), text)
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.origin+path), chromedp.WaitReady(chromedp.CSS("body")))
}

// openUntil opens a page until it says something: without scripts a page does not follow the relay.
func (b *tab) openUntil(path, text string) {
	b.t.Helper()
	for began := time.Now(); ; {
		b.open(path)
		said := b.text()
		if strings.Contains(said, text) {
			return
		}
		if time.Since(began) > patience {
			b.t.Fatalf("%s does not say %q, but:\n%s", path, text, said)
		}
	}
}

// eval gives the value of an expression of the page's.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](expression))
}

// until waits for an expression to become true, over pages that end meanwhile.
func (b *tab) until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience)))
		if err == nil {
			return
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "navigated") && !strings.Contains(err.Error(), "context") {
			b.t.Fatalf("%s: %v\nThe page says:\n%s", expression, err, b.text())
		}
	}
}

// says waits for the page to say something.
func (b *tab) says(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body?.innerText.includes(%q)", text))
}
