package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// generate runs shoutrrr generate pagerduty on a terminal, with answers.
func generate(ctx context.Context, stdin io.Reader, flags ...string) (stdout, stderr string, status int) {
	var out, err bytes.Buffer
	status = run(ctx, &system{
		args:  append([]string{"generate", "pagerduty"}, flags...),
		stdin: stdin, stdout: &out, stderr: &err,
		isTerminal: func(any) bool { return true },
	})
	return out.String(), err.String(), status
}

func TestInterview(t *testing.T) {
	answers := strings.Join([]string{
		"", "too short", scriptKey + "?x=y", scriptKey, // integration key
		"http://x", "relay.example:8686", // host
		"warnig", "warning", // severity
		"web 1",                 // source
		"",                      // action
		"{a:b}", `{"a":"it's"}`, // details
		"",                          // contexts
		"tool",                      // client
		"tool.example", "https://t", // client_url
		"perhaps", "yes", // more
		"", "", "", "", // dedup_key, component, group, class
		"2026-03-01T12:00:00Z", // timestamp
		"",                     // title
		"yes",                  // disabletls
	}, "\n") + "\n"
	stdout, stderr, status := generate(t.Context(), strings.NewReader(answers))
	want := "pagerduty://relay.example:8686/" + scriptKey + "?severity=warning&source=web+1&details=%7B%22a%22%3A%22it%27s%22%7D" +
		"&client=tool&client_url=https%3A%2F%2Ft&timestamp=2026-03-01T12%3A00%3A00Z&disabletls=yes\n"
	if status != 0 || stdout != want {
		t.Fatalf("exit status %d, got\n%swant\n%s%s", status, stdout, want, stderr)
	}
	for _, told := range []string{
		"without an integration key there is no URL", "it has 9", "the host is given as host or host:port",
		"must be one of info, warning, error, critical, did you mean warning?", "{a:b}", "must be an absolute http or https URL", "yes or no",
	} {
		if !strings.Contains(stderr, told) {
			t.Errorf("%q is not told:\n%s", told, stderr)
		}
	}
	keyleak.Check(t, scriptKey, keyleak.Text("stderr", stderr))
}

// Enter everywhere gives the shortest URL; what a flag says is not asked for.
func TestInterviewDefaults(t *testing.T) {
	stdout, stderr, status := generate(t.Context(), strings.NewReader(scriptKey+strings.Repeat("\n", 20)), "--severity", "critical")
	if want := "pagerduty:///" + scriptKey + "?severity=critical\n"; status != 0 || stdout != want {
		t.Errorf("exit status %d, got %q, want %q", status, stdout, want)
	}
	if strings.Contains(stderr, "severity [") || strings.Contains(stderr, "disabletls [") {
		t.Errorf("asked for nothing:\n%s", stderr)
	}
}

func TestInterviewEnds(t *testing.T) {
	stdout, stderr, status := generate(t.Context(), strings.NewReader(scriptKey+"\n"))
	if status != exitUsage || stdout != "" || !strings.Contains(stderr, "the answers ended before the questions did") {
		t.Errorf("exit status %d, %q, %s", status, stdout, stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, other := io.Pipe()
	defer other.Close()
	stdout, stderr, status = generate(ctx, silent)
	if status != exitInterrupted || stdout != "" || !strings.HasSuffix(stderr, "shoutrrr: interrupted\n") {
		t.Errorf("interrupted: exit status %d, %q, %s", status, stdout, stderr)
	}
}
