package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWithoutPagerDuty(t *testing.T) {
	tests := []struct{ list, want string }{
		{"", ""},
		{"localhost,127.0.0.1", "localhost,127.0.0.1"},
		{"*", ""},
		{"pagerduty.com", ""},
		{".pagerduty.com , localhost", "localhost"},
		{"*.pagerduty.com", ""},
		{"Events.PagerDuty.com:443", ""},
		{"events.eu.pagerduty.com.", ""},
		{"com .example.com", ".example.com"},
		{"10.0.0.0/8,[::1],::1", "10.0.0.0/8,[::1],::1"},
		{"notevents.pagerduty.com,pagerduty.com.example", "notevents.pagerduty.com,pagerduty.com.example"},
	}
	for _, tt := range tests {
		if got := withoutPagerDuty(tt.list); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.list, got, tt.want)
		}
	}
}

func TestNodeOptions(t *testing.T) {
	for _, tt := range []struct{ given, script, want string }{
		{"", "/tmp/a.cjs", `--require "/tmp/a.cjs"`},
		{"--no-warnings", `/tmp/a "b"\c.cjs`, `--no-warnings --require "/tmp/a \"b\"\\c.cjs"`},
	} {
		if got := nodeOptions(tt.given, tt.script); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// The program trusts what it trusted before, and the sandbox.
func TestPlaceEnviron(t *testing.T) {
	dir := t.TempDir()
	own, more := filepath.Join(dir, "own.pem"), filepath.Join(dir, "more.pem")
	for name, text := range map[string]string{own: "OWN", more: "MORE\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := place{dir: dir, proxyURL: "http://127.0.0.1:1", tlsAddress: "127.0.0.1:2", greeting: "token abc\r\n", token: "abc", pageURL: "http://127.0.0.1:3", ca: []byte("SANDBOX\n")}
	sys := &system{environ: []string{
		"SSL_CERT_FILE=" + own, "NODE_EXTRA_CA_CERTS=" + more, "HTTPS_PROXY=http://other", "PATH=/bin", "NO_PROXY=*", "XDG_STATE_HOME=/home/state",
	}}
	environ, err := p.environ(sys)
	if err != nil {
		t.Fatal(err)
	}
	child := &system{environ: environ}
	for name, want := range map[string]string{
		"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", "PATH": "/bin", "NO_PROXY": "", "SHOUTRRR_SANDBOX": "http://127.0.0.1:3", "SHOUTRRR_SANDBOX_TOKEN": "abc",
		"XDG_STATE_HOME": filepath.Join(dir, "state"),
	} {
		if got := child.getenv(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"SSL_CERT_FILE": "OWN\nSANDBOX\n", "CURL_CA_BUNDLE": "OWN\nSANDBOX\n", "REQUESTS_CA_BUNDLE": "OWN\nSANDBOX\n", "NODE_EXTRA_CA_CERTS": "MORE\nSANDBOX\n"} {
		if text, err := os.ReadFile(child.getenv(name)); err != nil || string(text) != want {
			t.Errorf("%s: got %q, %v, want %q", name, text, err, want)
		}
	}
	if slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(s, "NO_PROXY=") }) {
		t.Error("NO_PROXY should be gone")
	}
	if script, err := os.ReadFile(filepath.Join(dir, "preload.cjs")); err != nil || strings.Contains(string(script), "@") || !strings.Contains(string(script), "'127.0.0.1'") || !strings.Contains(string(script), `'token abc\r\n'`) {
		t.Errorf("the script: %s, %v", script, err)
	}
	p.keepState = true
	if environ, _ = p.environ(sys); !slices.Contains(environ, "XDG_STATE_HOME=/home/state") {
		t.Error("--keep-state should leave XDG_STATE_HOME alone")
	}
}
