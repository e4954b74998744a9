package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWords(t *testing.T) {
	tests := []struct {
		name  string
		words words
		stdin string
		want  string
	}{
		{"flag", words{flag: "a", given: true, orStdin: true}, "x", "a"},
		{"blank flag", words{given: true, orStdin: true}, "x", ""},
		{"nothing else", words{orStdin: true}, "x\n", "x"},
		{"arguments before it", words{args: []string{"a"}, orStdin: true}, "x", "a"},
		{"arguments", words{args: []string{"a", "b c"}}, "", "a b c"},
		{"standard input", words{flag: "-", given: true}, "a\n\nb\n", "a\n\nb"},
		{"lines of Windows", words{args: []string{"-"}}, "a\r\nb\r\n", "a\r\nb"},
		{"a dash among others", words{args: []string{"-", "b"}}, "x", "- b"},
		{"none", words{}, "x", ""},
	}
	for _, tt := range tests {
		got, warning, err := tt.words.read(t.Context(), &system{stdin: strings.NewReader(tt.stdin)})
		if got != tt.want || warning != "" || err != nil {
			t.Errorf("%s: got %q, %q, %v, want %q", tt.name, got, warning, err, tt.want)
		}
	}
}

func TestReadInput(t *testing.T) {
	text, whole, err := readInput(t.Context(), &system{}, strings.NewReader("aäöü"), 4)
	if text != "aä" || whole || err != nil {
		t.Errorf("got %q, %v, %v, want the two characters that fit", text, whole, err)
	}
	if _, _, err = readInput(t.Context(), &system{}, iotest.ErrReader(errors.New("broken")), 4); exitCode(err) != exitMachine {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, other := io.Pipe()
	defer other.Close()
	if _, _, err = readInput(ctx, &system{}, silent, 4); exitCode(err) != exitInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestLooksLikeURL(t *testing.T) {
	for text, want := range map[string]bool{
		"pagerduty:///x":                      true,
		" PagerDuty://h/k?details={\"a\": 1}": true,
		"slack://token@channel":               true,
		"https://example.com":                 true,
		"https://example.com is down":         false,
		"pagerduty: is down":                  false,
		"disk: full":                          false,
		"GET https://x":                       false,
		"":                                    false,
	} {
		if got := looksLikeURL(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestShellQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"shoutrrr-abc": "shoutrrr-abc",
		"web 1":        "'web 1'",
		"it's":         `'it'\''s'`,
		"$(reboot)":    "'$(reboot)'",
		"":             "''",
	} {
		if got := shellQuoted(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
