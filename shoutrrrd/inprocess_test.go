package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"go.uber.org/goleak"
)

// Whoever ends a relay while it starts, which takes minutes with a damaged queue, ends
// it in order: that is no fault of the disk.
func TestEndedWhileItStarts(t *testing.T) {
	damaged := t.TempDir()
	for _, name := range []string{"queue.db", "queue.db.suspect"} {
		writeFile(t, damaged, name, "no database")
	}
	for name, dir := range map[string]string{"a new queue": t.TempDir(), "a damaged queue": damaged} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var said strings.Builder
			status := run(ctx, &system{
				args:   []string{"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", filepath.Join(dir, "queue.db"), "--log-format", "json"},
				getenv: func(string) string { return "" }, stdout: io.Discard, stderr: &said, isTerminal: func(any) bool { return false },
			})
			if status != exitOK || !strings.Contains(said.String(), "ended while it starts") {
				t.Errorf("it ended with status %d:\n%s", status, said.String())
			}
		})
	}
}

// The other tests run a binary of its own, which the race detector does not see.
// Here the whole daemon runs within the test: clients, operators, scrapes, a
// reload and faults at once, then the end, after which no goroutine is left.
func TestWithinOneProcess(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1, Seed: 1})
	for _, text := range []string{"500:probability=0.02:count=-1", "reset-after:probability=0.02:count=-1", "429:retry-after=1:count=2"} {
		fault, err := pagerdutytest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		upstream.Inject(fault)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "shoutrrrd.yaml")
	if err := os.WriteFile(config, []byte("keys:\n  - alias: oncall\n    key: "+testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe()
	hangups := make(chan os.Signal)
	ctx, cancel := context.WithCancel(t.Context())
	p := &process{log: &watchedLog{lines: make(chan string, 10_000)}}
	ended := make(chan int, 1)
	go p.log.follow(reader)
	go func() {
		ended <- run(ctx, &system{
			args: []string{
				"run", "--config", config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--queue", filepath.Join(dir, "q", "queue.db"),
				"--upstream", upstream.URL(), "--rate", "100000", "--log-format", "json",
			},
			getenv: func(string) string { return "" }, stdout: io.Discard, stderr: writer, hangups: hangups,
			isTerminal: func(any) bool { return false },
		})
		_ = writer.Close()
	}()
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	var busy sync.WaitGroup
	busy.Go(func() {
		p.flood(t, 600, func(i int) string { return trigger(fmt.Sprintf("e-%d", i%200), "warning", "busy") })
	})
	busy.Go(func() {
		for range 20 {
			for _, path := range []string{"/metrics", "/api/status", "/api/events?q=busy", "/api/shape", "/api/events/1"} {
				_ = p.get(t, path)
			}
		}
	})
	busy.Go(func() {
		for _, what := range []string{"pause", "resume", "pause", "resume"} {
			resp, err := http.Post(p.admin+"/api/lanes/oncall/"+what, "application/json", strings.NewReader(`{"why":"test"}`))
			if err == nil {
				_ = resp.Body.Close()
			}
			hangups <- syscall.SIGHUP
		}
	})
	busy.Wait()
	p.drained(t, time.Minute)
	cancel()
	if status := <-ended; status != exitOK {
		t.Errorf("it ended with status %d:\n%s", status, p.log)
	}
	http.DefaultClient.CloseIdleConnections()
	upstream.Close()
	goleak.VerifyNone(t, ignore)
}
