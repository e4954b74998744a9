package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// binaries is the folder in which the command is built. Every program of the tests has it on its PATH.
var binaries string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "conformance"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	return m.Run()
}

// buildCommand builds the command as users have it, once for all tests. Only the
// revision is left out, which git refuses to tell of a tree of another owner.
var buildCommand = sync.OnceValues(func() (string, error) {
	file := filepath.Join(binaries, "shoutrrr")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", file, "./cmd/shoutrrr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the command: %w\n%s", err, out)
	}
	return file, nil
})

// binary gives the command, which it builds if it is the first to ask.
func binary(t *testing.T) string {
	t.Helper()
	file, err := buildCommand()
	if err != nil {
		t.Fatal(err)
	}
	return file
}
