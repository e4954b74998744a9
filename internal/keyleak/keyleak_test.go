package keyleak

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testKey = "0123456789abcdef0123456789ABCDEF"

func TestFind(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // "" for none
	}{
		{"nothing", "event accepted, dedup key 4f1c", ""},
		{"a fingerprint", "key-9f86d081884c7d65 refused", ""},
		{"seven characters", "0123456 and BCDEF", ""},
		{"plain", "cannot send to pagerduty:///" + testKey, "plain"},
		{"lower case", "x" + strings.ToLower(testKey) + "x", "plain"},
		{"upper case", strings.ToUpper(testKey), "plain"},
		{"first eight", "key 01234567…", "its first characters"},
		{"last eight", "key …89ABCDEF", "its last characters"},
		{"hexadecimal", fmt.Sprintf("%x", testKey), "hexadecimal"},
		{"hexadecimal in capitals", fmt.Sprintf("%X", testKey), "hexadecimal"},
		{"base64 alone", base64.StdEncoding.EncodeToString([]byte(testKey)), "base64"},
		{"base64 one off", base64.StdEncoding.EncodeToString([]byte("/" + testKey + "?a")), "base64"},
		{"base64 two off", base64.URLEncoding.EncodeToString([]byte("//" + testKey)), "base64"},
		{"base64 in lower case", base64.StdEncoding.EncodeToString([]byte("key=" + strings.ToLower(testKey) + "&")), "base64"},
		{"every byte URL-escaped", escapeAll(testKey), "URL-escaped"},
		{"every byte JSON-escaped", jsonEscapeAll(testKey), "JSON-escaped"},
		{"every byte Go-escaped", fmt.Sprintf(`\x%s`, strings.Join(pairs(testKey), `\x`)), "Go-escaped"},
		{"bytes printed by Go", fmt.Sprintf("%v", []byte("x"+testKey)), "as decimal bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Find(testKey, []byte(tt.text))
			if tt.want == "" && len(got) > 0 {
				t.Errorf("got %q, want none", got)
			}
			if tt.want != "" && !slices.Contains(got, tt.want) {
				t.Errorf("got %q, want %q among them", got, tt.want)
			}
		})
	}
}

func pairs(s string) []string {
	var all []string
	for _, c := range []byte(s) {
		all = append(all, fmt.Sprintf("%02X", c))
	}
	return all
}

func escapeAll(s string) string {
	escaped := "%" + strings.Join(pairs(s), "%")
	if back, err := url.QueryUnescape(escaped); err != nil || back != s {
		panic("the test's own escape is wrong")
	}
	return escaped
}

func jsonEscapeAll(s string) string {
	escaped := `"\u00` + strings.Join(pairs(s), `\u00`) + `"`
	var back string
	if err := json.Unmarshal([]byte(escaped), &back); err != nil || back != s {
		panic("the test's own escape is wrong")
	}
	return escaped
}

// recorder is a test that only remembers what it was told.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestCheck(t *testing.T) {
	var r recorder
	Check(&r, testKey, Text("stdout", "all well"), Text("stderr", "bad URL pagerduty:///"+testKey))
	if len(r.errors) != 1 || !strings.HasPrefix(r.errors[0], "stderr ") {
		t.Fatalf("got %q, want one failure about stderr", r.errors)
	}
	if strings.Contains(r.errors[0], testKey) {
		t.Error("the failure itself holds the key")
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "shoutrrr", testKey), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shoutrrr", "ledger"), []byte("open "+testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	sinks := Folder(t, dir)
	if len(sinks) != 2 {
		t.Fatalf("got %d sinks, want the file and the names", len(sinks))
	}
	for _, sink := range sinks {
		if len(Find(testKey, sink.Data)) == 0 {
			t.Errorf("no key seen in %s", sink.Name)
		}
	}
	if none := Folder(t, filepath.Join(dir, "missing")); len(none) != 1 || len(bytes.TrimSpace(none[0].Data)) > 0 {
		t.Errorf("a folder that does not exist gives %v, want one empty sink", none)
	}
}
