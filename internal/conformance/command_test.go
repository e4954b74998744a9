package conformance

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// longestArgument is Linux' bound for one argument, less a little.
const longestArgument = 120 << 10

// patience is how long one send may take before the test gives it up. Nothing here is ever retried.
const patience = time.Minute

// command sends by the real binary, one process for each step.
type command struct {
	box         *sandbox
	file, state string
}

func newCommand(t *testing.T, box *sandbox) sender {
	t.Helper()
	return &command{box: box, file: binary(t), state: t.TempDir()}
}

func (c *command) forget(t *testing.T) { c.state = t.TempDir() }

func (c *command) kept(t *testing.T) []keyleak.Sink { return keyleak.Folder(t, c.state) }

func (c *command) send(t *testing.T, s *sending) *result {
	t.Helper()
	args, stdin := c.arguments(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.file, args...)
	cmd.Env = c.box.env(c.state)
	cmd.Stdin = strings.NewReader(stdin)
	return runProgram(t, cmd)
}

func (c *command) arguments(t *testing.T, s *sending) (args []string, stdin string) {
	t.Helper()
	args = []string{"send"}
	for _, u := range s.urls {
		if len(u) < longestArgument {
			args = append(args, "-u", u)
			continue
		}
		file := filepath.Join(t.TempDir(), "url")
		if err := os.WriteFile(file, []byte(u), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--url-file", file)
	}
	if len(s.message) < longestArgument && s.message != "-" {
		args = append(args, "-m", s.message)
	} else {
		args, stdin = append(args, "-m", "-"), s.message
	}
	if s.title != nil {
		args = append(args, "-t", *s.title)
	}
	for _, name := range slices.Sorted(maps.Keys(s.params)) {
		args = append(args, "-p", name+"="+s.params[name])
	}
	return args, stdin
}

// runProgram runs cmd and gives its exit status and output. Only a program that could not run at all fails the test.
func runProgram(t *testing.T, cmd *exec.Cmd) *result {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	r := &result{start: time.Now()}
	err := cmd.Run()
	r.end = time.Now()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	r.exit, r.output = cmd.ProcessState.ExitCode(), output.String()
	return r
}
