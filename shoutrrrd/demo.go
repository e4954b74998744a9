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
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/spf13/cobra"
)

// The keys of the demonstration, one for each scene, so that none waits for the
// window of another. They are as good as any for the emulator.
const (
	lifeKey   = "00000000000000000000000000000001"
	stormKey  = "00000000000000000000000000000002"
	repeatKey = "00000000000000000000000000000003"
	crashKey  = "00000000000000000000000000000004"
)

func newDemo(sys *system) *cobra.Command {
	d := &demo{sys: sys}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what the relay does, against the built-in emulator",
		Long: "Start an emulator of PagerDuty and a relay before it, and show an incident's life, a storm of\n" +
			"100,000 events with one page that matters, 10,000 repeats of one alert, and a crash in the\n" +
			"middle. It takes about half a minute, sends nothing to PagerDuty and leaves nothing behind.",
		Example: "  shoutrrrd demo\n  shoutrrrd demo --events 5000",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	cmd.Flags().IntVar(&d.events, "events", 100_000, "`events` of the storm")
	return cmd
}

// demo is the demonstration: an emulator in this process, and a relay as a process
// of its own, which can be killed.
type demo struct {
	sys     *system
	events  int
	dir     string
	server  *pagerdutytest.Server
	relay   *child
	summary []string
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.events < 1000 {
		return fmt.Errorf("--events %d is no storm: give at least 1000", d.events)
	}
	if d.dir, err = os.MkdirTemp("", "shoutrrrd-demo-"); err != nil {
		return failed(exitMachine, err)
	}
	defer func() { _ = os.RemoveAll(d.dir) }()
	d.server, err = pagerdutytest.StartServer(pagerdutytest.New(pagerdutytest.Options{}), pagerdutytest.ServerOptions{})
	if err != nil {
		return failed(exitMachine, err)
	}
	defer d.server.Close()
	if err := d.start(ctx); err != nil {
		return err
	}
	defer func() { d.relay.kill() }()
	d.say("An emulator of PagerDuty takes 120 events a minute for each key; a relay stands before it.")
	for i, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"An incident's life", d.life},
		{fmt.Sprintf("A storm: %d infos, and one page that matters", d.events), d.storm},
		{"10,000 repeats of one alert", d.repeats},
		{"A crash in the middle", d.crash},
	} {
		d.say("\n%d. %s", i+1, scene.title)
		if err := scene.play(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return failed(exitInternal, fmt.Errorf("%s: %w\n%s", scene.title, err, d.relay.tail()))
		}
	}
	d.say("\nSummary")
	for _, line := range d.summary {
		d.say("  %s", line)
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.sys.stdout, format+"\n", args...) // a reader that has left misses the show
}

func (d *demo) sum(format string, args ...any) {
	d.summary = append(d.summary, fmt.Sprintf(format, args...))
}

// progress redraws one line on a terminal; elsewhere only its end is written.
func (d *demo) progress(last bool, format string, args ...any) {
	switch terminal := d.sys.isTerminal(d.sys.stdout); {
	case terminal && last:
		_, _ = fmt.Fprintf(d.sys.stdout, "\r\x1b[K   "+format+"\n", args...)
	case terminal:
		_, _ = fmt.Fprintf(d.sys.stdout, "\r\x1b[K   "+format, args...)
	case last:
		d.say("   "+format, args...)
	}
}

// child is a relay in a process of its own.
type child struct {
	cmd   *exec.Cmd
	front string
	admin string
	mu    sync.Mutex
	lines []string
	ended chan struct{}
}

// start starts the relay on the demonstration's queue.
func (d *demo) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return failed(exitMachine, err)
	}
	c := &child{ended: make(chan struct{})}
	c.cmd = exec.Command(self, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", d.server.URL(),
		"--queue", filepath.Join(d.dir, "queue.db"), "--log-format", "json")
	c.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=", "LISTEN_FDS=")
	log, err := c.cmd.StderrPipe()
	if err != nil {
		return failed(exitMachine, err)
	}
	if err := c.cmd.Start(); err != nil {
		return failed(exitMachine, fmt.Errorf("start the relay: %w", err))
	}
	ready := make(chan struct{})
	go c.follow(log, ready)
	d.relay = c
	select {
	case <-ready:
		return nil
	case <-c.ended:
		return failed(exitMachine, fmt.Errorf("the relay has ended:\n%s", c.tail()))
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *child) follow(log io.Reader, ready chan<- struct{}) {
	defer close(c.ended)
	scanner := bufio.NewScanner(log)
	for scanner.Scan() {
		var entry struct{ Msg, At, Admin string }
		if json.Unmarshal(scanner.Bytes(), &entry) == nil && entry.Msg == "accepting events" {
			c.front, c.admin = entry.At, entry.Admin
			close(ready)
		}
		c.mu.Lock()
		if c.lines = append(c.lines, scanner.Text()); len(c.lines) > 20 {
			c.lines = c.lines[1:]
		}
		c.mu.Unlock()
	}
	_ = c.cmd.Wait() // how it ended does not matter to who follows it
}

func (c *child) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

// kill ends the relay as a power cut would.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.ended
}

// event is one event of the demonstration.
type event struct{ key, action, dedup, severity, summary string }

// post sends an event to the relay and returns an error unless it got a 202.
func (d *demo) post(ctx context.Context, client *http.Client, e event) error {
	body := map[string]any{
		"routing_key": e.key, "event_action": e.action, "dedup_key": e.dedup,
		"payload": map[string]string{"summary": e.summary, "source": "demo", "severity": e.severity},
	}
	return d.call(ctx, client, d.relay.front, body)
}

func (d *demo) call(ctx context.Context, client *http.Client, url string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	said, _ := io.ReadAll(resp.Body) // it is only for the error
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, said)
	}
	return nil
}

// await waits until the emulator's state is as wanted.
func (d *demo) await(ctx context.Context, within time.Duration, what string, done func() bool) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		updated := d.server.Updated()
		if done() {
			return nil
		}
		select {
		case <-updated:
		case <-timer.C:
			return fmt.Errorf("within %s it did not happen that %s", within, what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
