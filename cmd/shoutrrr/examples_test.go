package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every example of the help runs as it stands there and succeeds.
func TestHelpExamples(t *testing.T) {
	var lines []string
	collectExamples(t, newRoot(&system{isTerminal: func(any) bool { return false }}), &lines)
	if len(lines) < 20 {
		t.Fatalf("only %d examples were found", len(lines))
	}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, environ := newHost(t)
			dir := t.TempDir()
			writeFixtures(t, dir)
			cmd := exec.CommandContext(t.Context(), "bash", "-c", line)
			cmd.Dir, cmd.Env = dir, environ
			if asksRelay(line) {
				runRelayExample(t, cmd, line)
				return
			}
			if strings.HasPrefix(line, "shoutrrr sandbox") && !strings.Contains(line, " exec ") {
				runServerExample(t, cmd)
				return
			}
			out, err := cmd.CombinedOutput()
			if err != nil || len(out) == 0 && !strings.Contains(line, " > ") {
				t.Errorf("%v, output:\n%s", err, out)
			}
		})
	}
}

// collectExamples walks the commands. A command that can be run without help has
// to have an example.
func collectExamples(t *testing.T, cmd *cobra.Command, lines *[]string) {
	t.Helper()
	if cmd.Example == "" {
		t.Errorf("%s has no example", cmd.CommandPath())
	}
	for line := range strings.Lines(cmd.Example) {
		if !strings.HasPrefix(line, "  ") {
			t.Errorf("%s: the example %q is not indented", cmd.CommandPath(), line)
		}
		*lines = append(*lines, strings.TrimSpace(line))
	}
	for _, sub := range cmd.Commands() {
		collectExamples(t, sub, lines)
	}
}

// writeFixtures makes the files that the examples speak of.
func writeFixtures(t *testing.T, dir string) {
	t.Helper()
	files := map[string]string{
		"oncall.txt":          "# the team on call\npagerduty:///" + demoKey + "\n",
		"integration-key.txt": demoKey + "\n",
		"backup.sh":           "#!/bin/sh\nshoutrrr send --url-file oncall.txt 'Backup failed'\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// runServerExample starts a sandbox, waits for its URL, and ends it.
func runServerExample(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if !strings.Contains(cmd.Args[2], "--listen") {
		cmd.Args[2] += " --listen 127.0.0.1:0" // the usual port may be taken here
	}
	cmd.Args[2] = "exec " + cmd.Args[2] // the signal is for the sandbox, not for the shell
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	url, stop := startServer(t, cmd)
	if !strings.HasPrefix(url, "pagerduty://127.0.0.1:") {
		t.Errorf("it printed %q", url)
	}
	if err := stop(); err != nil {
		t.Errorf("%v: %s", err, stderr)
	}
}

// The page of the service has what the code says.
func TestConfigPageIsUpToDate(t *testing.T) {
	const page = "../../docs/services/incident/pagerduty/config.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != markdownDocs() {
		t.Errorf("%s is not what `shoutrrr docs pagerduty -f markdown` prints: run make docs", page)
	}
}

// docs/cli.md says what the help says about exit statuses, JSON and variables.
func TestReferenceIsUpToDate(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{exitCodesPage(), environmentPage, jsonPage} {
		for line := range strings.Lines(page) {
			if line = strings.TrimRight(line, "\n"); !strings.Contains(string(text), line) {
				t.Errorf("docs/cli.md lacks the line of the help: %s", line)
			}
		}
	}
}

// The help of the command is written without running it.
func TestHelpTexts(t *testing.T) {
	var out bytes.Buffer
	sys := &system{args: []string{"send", "--help"}, stdout: &out, stderr: &out, isTerminal: func(any) bool { return false }}
	if status := run(context.Background(), sys); status != exitAccepted {
		t.Errorf("exit status %d", status)
	}
	examples, flags := strings.Index(out.String(), "Examples:"), strings.Index(out.String(), "Flags:")
	if examples < 0 || flags < examples {
		t.Errorf("examples should come before flags:\n%s", &out)
	}
}
