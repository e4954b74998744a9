// Command shoutrrrd is a relay for PagerDuty's Events API v2: it keeps events on
// disk and delivers them in order, at the rate that PagerDuty takes, the most severe
// first.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/mattn/go-isatty"
)

// system is what the daemon has of the machine that it runs on.
type system struct {
	args       []string
	getenv     func(string) string
	stdout     io.Writer
	stderr     io.Writer
	hangups    <-chan os.Signal
	isTerminal func(stream any) bool
	clock      clock.Clock // nil: this machine's
}

// gcPercent lets the heap grow to five times of what lives. That is a few
// megabytes, which a load of 12,000 events a second fills 40 times a second: a
// third of the rate was lost to collections with Go's 100 (bench/README.md).
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" { // one more, for the thread that waits for the disk
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	os.Exit(run(ctx, &system{
		args:       os.Args[1:],
		getenv:     os.Getenv,
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		hangups:    hangups,
		isTerminal: isTerminal,
	}))
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}
