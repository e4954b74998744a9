package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A command that hangs does not outlive a relay that is killed.
func TestKilledRelayTakesItsCommandAlong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noted := filepath.Join(dir, "pid")
	program := writeFile(t, dir, "hangs", "#!/bin/sh\necho $$ > "+noted+".new && mv "+noted+".new "+noted+"\nexec sleep 1000\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	p := helped(t, dir, newPatient(t).URL, "1s", "    - {name: help, timeout: 10m, command: ["+program+"]}\n")
	p.accept(t, "db", "critical")
	pid := 0
	eventually(t, "the command runs", patience, func() bool {
		text, err := os.ReadFile(noted)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	p.kill()
	eventually(t, "the command has ended", patience, func() bool { return hasEnded(pid) })
}

// hasEnded reports whether a process has ended; nobody may have asked for its status.
func hasEnded(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}
