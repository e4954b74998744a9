package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// demoKey is the integration key of the examples; the emulator takes any.
const demoKey = "eb243592faa24ba2a5511afdf565c889"

// binaries is the folder in which the command is built. Scripts have it on their
// PATH.
var binaries string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "shoutrrr-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	// Without the revision, which git refuses to tell of a tree of another owner.
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(binaries, "shoutrrr"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	build = exec.Command("go", "build", "-C", filepath.Join("..", "..", "shoutrrrd"), "-buildvcs=false", "-o", filepath.Join(binaries, "shoutrrrd"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the relay: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
