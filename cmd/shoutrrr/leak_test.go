package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// canary is a key that stands in the wrong place.
const canary = "c0ffee5aba7e4d1c9a8b7c6d5e4f3a2b"

// misplaced gives command lines with a canary in every place of the command and of those below it: each flag, arguments, flags that there are
// not. The words before it are ordinary.
func misplaced(cmd *cobra.Command) (lines [][]string) {
	path := strings.Fields(cmd.CommandPath())[1:]
	line := func(words ...string) {
		if cmd.Flags().Lookup("retry-for") != nil {
			words = append([]string{"--retry-for=0s"}, words...) // one attempt
		}
		lines = append(lines, append(append([]string{}, path...), words...))
	}
	for _, text := range keyleak.Misplaced(canary) {
		line(text)
		line("--", text)
		line("on-call", text)
		line(text, "--", text, text)
		line("--" + text)
		line("-" + text)
		cmd.Flags().VisitAll(func(f *pflag.Flag) { line("--" + f.Name + "=" + text) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { line("--" + f.Name + "=" + text) })
	}
	for _, sub := range cmd.Commands() {
		lines = append(lines, misplaced(sub)...)
	}
	return lines
}

// ends is a stream that calls off the command once it waits for Ctrl-C.
type ends struct {
	bytes.Buffer
	stop context.CancelFunc
}

func (e *ends) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "Ctrl-C ends it") {
		e.stop()
	}
	return e.Buffer.Write(p)
}

// runMisplaced runs the command within this process and looks for the canary in what it prints. The one thing that prints a key is a URL that
// was asked for.
func runMisplaced(t *testing.T, environ []string, args ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var out bytes.Buffer
	problems := &ends{stop: stop}
	home := t.TempDir()
	status := run(ctx, &system{
		args: args, environ: append([]string{"HOME=" + home, "SHOUTRRR_RELAY=http://127.0.0.1:1"}, environ...), stdin: strings.NewReader(""),
		stdout: &out, stderr: problems, isTerminal: func(any) bool { return false },
	})
	shown := strings.ReplaceAll(strings.Join(append(environ, args...), " "), canary, "KEY")
	sinks := append(keyleak.Folder(t, home), keyleak.Text("stderr of: "+shown, problems.String()))
	if !(status == 0 && len(args) > 0 && args[0] == "generate") {
		sinks = append(sinks, keyleak.Text("stdout of: "+shown, out.String()))
	}
	keyleak.Check(t, canary, sinks...)
	if text := problems.String() + out.String(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
		t.Errorf("a control character in the output of: %s", shown)
	}
	if ctx.Err() == context.DeadlineExceeded {
		t.Errorf("no end: %s", shown)
	}
}

// A key that was pasted into the wrong place is not printed, wherever that is.
func TestMisplacedKeys(t *testing.T) {
	t.Parallel()
	lines := misplaced(newRoot(&system{isTerminal: func(any) bool { return false }}))
	lines = append(lines, []string{"__complete", canary}, []string{"__complete", "queue", "show", canary}, []string{"help", canary}, []string{"docs", canary})
	if len(lines) < 300 {
		t.Fatalf("only %d command lines", len(lines))
	}
	for _, args := range lines {
		runMisplaced(t, nil, args...)
	}
}

// As in a flag, so in a variable.
func TestMisplacedKeysInTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{
		"SHOUTRRR_URL", "SHOUTRRR_RELAY", "SHOUTRRR_TOKEN_FILE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "NO_PROXY", "HOME", "XDG_STATE_HOME", "SUDO_USER", "COLUMNS",
	} {
		for _, text := range keyleak.Misplaced(canary) {
			for _, args := range [][]string{
				{"send", "--retry-for=0s", "-m", "a message"},
				{"send", "--retry-for=0s", "--json", "-m", "a message"},
				{"verify"},
				{"status"},
				{"queue", "list"},
				{"queue", "pause", "db", "--why", "a test"},
				{"sandbox", "exec", "--", "false"},
			} {
				runMisplaced(t, []string{variable + "=" + text}, args...)
			}
		}
	}
}

// The binary as people run it: these quoted the key.
func TestMisplacedKeysOfTheBinary(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"generate", "pagerduty", "--key-file", canary},
		{"sandbox", "--listen", canary},
		{"sandbox", "--listen", "127.0.0.1:0", "--fault", canary},
		{"sandbox", "--listen", "127.0.0.1:0", "--tls", "--ca-file", "/nowhere/" + canary + "/ca.pem"},
		{"sandbox", "exec", "--", "pagerduty:///" + canary},
		{"verify", "-u", "pagerduty:///" + canary + "?" + canary + "=" + canary},
		{"send", "--url-file", canary},
		{"status", "--relay", "http://127.0.0.1:1/" + canary},
	} {
		dir := t.TempDir()
		out, status := runBinary(t, dir, nil, args...)
		if status == 0 {
			t.Errorf("it was taken: %s", strings.ReplaceAll(strings.Join(args, " "), canary, "KEY"))
		}
		keyleak.Check(t, canary, keyleak.Text("the output of "+strings.ReplaceAll(strings.Join(args, " "), canary, "KEY"), out))
	}
}
