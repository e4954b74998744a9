package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// logForms are the ways in which the log is written.
var logForms = []struct {
	name, format string
	terminal     bool
	noColor      string
}{
	{"JSON", "json", false, ""},
	{"text in a file", "text", false, ""},
	{"a terminal", "auto", true, ""},
	{"a terminal without colours", "auto", true, "1"},
}

func mustKey(t testing.TB, text string) eventsv2.Key {
	t.Helper()
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// eachLog runs a test with a logger of each form.
func eachLog(t *testing.T, test func(t *testing.T, log *slog.Logger, out *bytes.Buffer)) {
	secrets := &redact.Set{}
	secrets.Add(mustKey(t, testKey))
	for _, form := range logForms {
		t.Run(form.name, func(t *testing.T) {
			var out bytes.Buffer
			sys := &system{stderr: &out, isTerminal: func(any) bool { return form.terminal }, getenv: func(string) string { return form.noColor }}
			test(t, newLogger(sys, &settings.Settings{LogFormat: form.format, LogLevel: "debug"}, &slog.LevelVar{}, secrets), &out)
		})
	}
}

// ours are the colours that the log itself uses on a terminal.
var ours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestLogDoesNotSpeakToTheTerminal(t *testing.T) {
	hostile := map[string]string{ // the value and what has to be there of it
		"\x1b]52;c;Y3VybCBldmlsLmV4YW1wbGV8c2g=\x1b\\": "Y3VybCBldmlsLmV4YW1wbGV8c2g=",
		"db-1\x1b[2K\x1b[1G03:04 INF all is well":      "all is well",
		`four characters: \x1b]52;c;eA==\x1b\\ and \n`: "eA==",
		"\u009b2Jeight bits":                           "2Jeight bits",
		"\ufffdpager is on fire":                       "pager is on fire",
		"turned \u202e around":                         "around",
		"two\nlines\u2028three":                        "three",
		"not \xff UTF-8":                               "UTF-8",
		"a tab\tand a bell\a":                          "and a bell",
	}
	eachLog(t, func(t *testing.T, log *slog.Logger, out *bytes.Buffer) {
		for text, rest := range hostile {
			out.Reset()
			log.Info("delivered", "dedup_key", text, "error", errors.New(text), slog.Group("group", "nested", text))
			log.With("before", text).WithGroup(text).Info(text, "list", []string{text}, "bytes", []byte(text), text, 1)
			written := ours.ReplaceAllString(out.String(), "")
			if n := strings.Count(written, "\n"); n != 2 {
				t.Errorf("%q: %d lines, want 2:\n%q", text, n, written)
			}
			if at := strings.IndexFunc(written, func(r rune) bool {
				return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\ufffd' || r == '\u202e' || r == '\u2028'
			}); at >= 0 {
				t.Errorf("%q: a character that acts at %d of %q", text, at, written)
			}
			if n := strings.Count(written, rest); n < 7 {
				t.Errorf("%q: %q is there %d times, want 7 at least: %q", text, rest, n, written)
			}
		}
	})
}

// holder has a text where neither error nor Stringer would show it.
type holder struct{ Name string }

func TestLogHidesKeys(t *testing.T) {
	eachLog(t, func(t *testing.T, log *slog.Logger, out *bytes.Buffer) {
		key, capital := mustKey(t, testKey), strings.ToUpper(testKey)
		var missing *eventsv2.Error
		log.With("before", testKey, slog.Group("g", "in", capital)).WithGroup(testKey).Error("refused "+capital,
			"dedup_key", testKey, "error", fmt.Errorf("reading: %w", errors.New("of "+capital)), "struct", holder{testKey}, "map", map[string]string{testKey: capital},
			"list", []string{testKey}, "any", []any{testKey, key}, "bytes", []byte(capital), "key", key, "nil", nil, "no error", missing, testKey, true,
			"after", time.Second, "n", 7)
		keyleak.Check(t, testKey, keyleak.Text("the log", out.String()))
		if n := strings.Count(out.String(), key.Fingerprint()); n < 14 {
			t.Errorf("%d fingerprints, want at least 14:\n%s", n, out)
		}
		if !strings.Contains(out.String(), "1s") && !strings.Contains(out.String(), "1000000000") {
			t.Errorf("no duration in %s", out)
		}
	})
}

// What a program reads of the JSON log keeps its kinds.
func TestLogAsJSON(t *testing.T) {
	var out bytes.Buffer
	sys := &system{stderr: &out, isTerminal: func(any) bool { return false }, getenv: func(string) string { return "" }}
	log := newLogger(sys, &settings.Settings{LogFormat: "auto", LogLevel: "info"}, &slog.LevelVar{}, &redact.Set{})
	log.Info("read", "changes", []string{"rate is 2"}, "n", 7, "on", true, "error", io.EOF)
	log.Debug("not at this level")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	delete(got, "time")
	const want = `{"changes":["rate is 2"],"error":"EOF","level":"INFO","msg":"read","n":7,"on":true}`
	if text, _ := json.Marshal(got); string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
}

func BenchmarkLog(b *testing.B) {
	secrets := &redact.Set{}
	secrets.Add(mustKey(b, testKey))
	sys := &system{stderr: io.Discard, isTerminal: func(any) bool { return false }, getenv: func(string) string { return "" }}
	logs := map[string]*slog.Logger{
		"plain":   slog.New(slog.NewJSONHandler(io.Discard, nil)),
		"fitting": newLogger(sys, &settings.Settings{LogFormat: "json", LogLevel: "info"}, &slog.LevelVar{}, secrets),
	}
	for name, log := range logs {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				log.Info("delivered", "lane", "db-oncall", "event", 12345, "action", "trigger", "dedup_key", "29bdea9694088e8c228b82a5080b782b",
					"severity", "critical", "attempts", 1, "status", 202, "after", "7ms")
			}
		})
	}
}
