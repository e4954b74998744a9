package pagerduty

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Severities in the words of other systems are mapped as the relay maps them, and told.
func TestSeverityWords(t *testing.T) {
	for _, tt := range []struct {
		word    string
		want    eventsv2.Severity
		warning string
	}{
		{"critical", "critical", ""},
		{" Critical ", "critical", ""},
		{"UNKNOWN", "error", `severity "UNKNOWN" became error`},
		{"OK", "info", `severity "OK" became info`},
		{"DOWN", "critical", `severity "DOWN" became critical`},
		{"high", "error", `severity "high" became error`},
		{"Disaster", "critical", `severity "Disaster" became critical`},
		{"P1", "critical", `severity "P1" became critical`},
		{"warn", "warning", `severity "warn" became warning`},
	} {
		for name, c := range map[string]*Config{
			"URL":    mustParse(t, "pagerduty:///"+testKey+"?severity="+strings.ReplaceAll(tt.word, " ", "%20")),
			"params": withParams(t, "pagerduty:///"+testKey+"?severity=P5", types.Params{"severity": tt.word}),
		} {
			if c.Severity != tt.want || strings.Join(c.Warnings, "; ") != tt.warning {
				t.Errorf("%s, %q: got %s, %q, want %s, %q", name, tt.word, c.Severity, c.Warnings, tt.want, tt.warning)
			}
		}
	}
	p, err := service(t, testURL, &server{}, Options{}).Prepare("m", &types.Params{"severity": "P1"}, time.Time{})
	if err != nil || p.Event.Payload.Severity != "critical" || len(p.Warnings) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func withParams(t *testing.T, url string, params types.Params) *Config {
	t.Helper()
	c, err := mustParse(t, url).With(&params)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Control sequences never leave, and bytes that are no UTF-8 keep their meaning.
func TestPlainTextsLeave(t *testing.T) {
	p, err := service(t, testURL, &server{}, Options{}).Prepare("backup \x1b[31mFAILED\x1b[0m\x00\ncaf\xe9", &types.Params{
		"source": "\x1b]0;title\adb\xe9", "component": "\u009b1mc", "client": "c\x7f",
		"details":  `{"log":"\u001b[2Jx","n":1.50,"` + "\xe9" + `":["\u0000y"]}`,
		"contexts": `[{"type":"link","href":"https://example.com/","text":"\u001b[1mt"}]`,
	}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"summary":"backup FAILED"`, `"message":"backup FAILED\ncafé"`, `"source":"dbé"`, `"component":"c"`, `"client":"c"`,
		`"log":"x","n":1.50,"é":["y"]`, `"text":"t"`,
	} {
		if !bytes.Contains(p.Body, []byte(want)) {
			t.Errorf("%s lacks %s", p.Body, want)
		}
	}
	pairs := withParams(t, "pagerduty:///"+testKey, types.Params{"details": "a=%1b[1mb&%e9=c"})
	if got := string(pairs.Details.AppendJSON(nil)); got != `{"a":"b","é":"c"}` {
		t.Errorf("pairs became %s", got)
	}
}

// Different dedup keys stay different, whatever bytes they have.
func TestDedupKeysStayDifferent(t *testing.T) {
	seen := map[string]string{}
	for _, key := range []string{"a", "a\x00", "a\x01", "a\x1b[1m", "a\x1b[2m", "a\xff", "a\xfe", "\xd1\xe5-1", "\xcf\xf0-1", "a\u009b", "a\x7f"} {
		c := withParams(t, "pagerduty:///"+testKey, types.Params{"dedup_key": key})
		if other, twice := seen[c.DedupKey]; twice || !utf8.ValidString(c.DedupKey) || strings.ContainsAny(c.DedupKey, "\x00\x1b\x7f\u009b") {
			t.Errorf("%q became %q, as %q did", key, c.DedupKey, other)
		}
		seen[c.DedupKey] = key
	}
}
