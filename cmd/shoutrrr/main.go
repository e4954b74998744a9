// Command shoutrrr sends events to PagerDuty, and brings the emulator to try it
// against.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
)

// system is what the command has of the machine that it runs on.
type system struct {
	args       []string
	environ    []string
	stdin      io.Reader
	stdout     io.Writer
	stderr     io.Writer
	isTerminal func(stream any) bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(run(ctx, &system{
		args:       os.Args[1:],
		environ:    os.Environ(),
		stdin:      os.Stdin,
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		isTerminal: isTerminal,
	}))
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && (isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}
