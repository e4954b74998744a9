package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// Whatever the limit of open files, the connections to both listeners leave room for
// the queue's files and for what goes upstream.
func TestDivideFiles(t *testing.T) {
	for _, tt := range []struct {
		files              int64
		most               int
		connections, admin int
	}{
		{unlimitedFiles, 4096, 4096, 1024},
		{65536, 4096, 4096, 1024},
		{8192, 4096, 4096, 816},
		{1024, 4096, 497, 99},
		{64, 4096, 17, 3},
		{16, 4096, 2, 2},
	} {
		got := divideFiles(tt.files, tt.most)
		if got.connections != tt.connections || got.admin != tt.admin {
			t.Errorf("%d files: %d connections and %d to the admin listener, want %d and %d", tt.files, got.connections, got.admin, tt.connections, tt.admin)
		}
	}
	for files := int64(64); files < 70_000; files++ {
		got := divideFiles(files, 1_000_000)
		if left := files - ownFiles - withClosing(int64(got.connections)) - withClosing(int64(got.admin)); left < 8 {
			t.Fatalf("%d files: %d connections and %d to the admin listener leave %d", files, got.connections, got.admin, left)
		}
	}
}

// GOMEMLIMIT goes before the limit of the control group, and bodies get a quarter of
// the memory at most.
func TestMeasureLimits(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	debug.SetMemoryLimit(200 << 20) // as the runtime does when it reads GOMEMLIMIT
	var log strings.Builder
	getenv := func(name string) string { return map[string]string{"GOMEMLIMIT": "200MiB"}[name] }
	l := measureLimits(slog.New(slog.NewTextHandler(&log, nil)), getenv, &settings.Settings{MaxConnections: 10, MaxBodyMemory: 64 << 20})
	if l.bodies != 50<<20 || l.connections != 10 || !strings.Contains(log.String(), "max_body_memory is lowered") || debug.SetMemoryLimit(-1) != 200<<20 {
		t.Errorf("%+v, %d\n%s", l, debug.SetMemoryLimit(-1), log.String())
	}
	l = measureLimits(slog.New(slog.NewTextHandler(io.Discard, nil)), getenv, &settings.Settings{MaxConnections: 10, MaxBodyMemory: 20 << 20})
	if l.bodies != 20<<20 {
		t.Errorf("%d bytes, want those of the settings", l.bodies)
	}
}

// A real relay in a control group with a memory limit takes it over.
func TestControlGroup(t *testing.T) {
	t.Parallel()
	group := filepath.Join(fmt.Sprintf("shoutrrrd-test-%d", os.Getpid()))
	for _, root := range []struct{ path, limit string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		folder := filepath.Join(root.path, group)
		if os.Mkdir(folder, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(folder) }) // empty when the relay has ended
		if os.WriteFile(filepath.Join(folder, root.limit), []byte("419430400"), 0o600) != nil {
			continue
		}
		dir := t.TempDir()
		p := launch(t, dir, []string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, folder}, "--upstream", "http://127.0.0.1:9", "--max-body-memory", "1GiB")
		t.Cleanup(p.kill)
		if !p.await() {
			t.Fatalf("it has not started:\n%s", p.log)
		}
		for _, part := range []string{`"limit_bytes":419430400`, `"heap_bytes":377487360`, `"lowered_to":104857600`} {
			if !strings.Contains(p.log.String(), part) {
				t.Errorf("the log lacks %s:\n%s", part, p.log)
			}
		}
		return
	}
	prove.Missing(t, "the right to make a control group")
}
