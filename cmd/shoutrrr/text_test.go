package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// What comes in another encoding than UTF-8 keeps its meaning: in that of the locale, else in
// windows-1252.
func TestTextsInOtherEncodings(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		environ          []string
	}{
		{"UTF-8", "café", "café", []string{"LANG=ru_RU.KOI8-R"}},
		{"no locale", "caf\xe9 \x96 5 \x80", "café – 5 €", nil},
		{"a locale of UTF-8", "caf\xe9", "café", []string{"LANG=de_DE.UTF-8"}},
		{"KOI8-R", "\xc4\xc9\xd3\xcb", "диск", []string{"LANG=ru_RU.KOI8-R"}},
		{"LC_ALL counts first", "\xe4\xe8\xf1\xea", "диск", []string{"LC_ALL=ru_RU.CP1251", "LC_CTYPE=C", "LANG=ru_RU.KOI8-R"}},
		{"Japanese", "\xa5\xb5\xa1\xbc\xa5\xd0", "サーバ", []string{"LANG=ja_JP.eucJP"}},
		{"PowerShell", "\xff\xfeZ\x00a\x00|\x01", "Zaż", nil},
	} {
		sys := &system{environ: tt.environ}
		params, err := parseParams(sys, []string{"source=" + tt.text}, tt.text)
		if err != nil || (*params)["source"] != tt.want && !strings.HasPrefix(tt.text, "\xff\xfe") {
			t.Errorf("%s: the parameter is %q, %v", tt.name, *params, err)
		}
		sys.stdin = strings.NewReader(tt.text)
		if got, _, err := (words{flag: "-", given: true}).read(t.Context(), sys); got != tt.want || err != nil {
			t.Errorf("%s: standard input is %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if got, _, err := (words{args: []string{tt.text}}).read(t.Context(), sys); got != tt.want || err != nil {
			t.Errorf("%s: the argument is %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestSeparate(t *testing.T) {
	const one, two = "pagerduty:///11111111111111111111111111111111", "pagerduty://relay.example:8686/22222222222222222222222222222222?disabletls=yes"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"one", one, []string{one}},
		{"quotes", `"` + one + `"`, []string{one}},
		{"single quotes", "'" + two + "'", []string{two}},
		{"a blank", one + " " + two, []string{one, two}},
		{"a comma", one + "," + two, []string{one, two}},
		{"both", two + " ,\t" + one, []string{two, one}},
		{"quotes around both", `"` + one + " " + two + `"`, []string{one, two}},
		{"a comma too many", one + ",", []string{one + ","}},
		{"quotes each", `"` + one + `" "` + two + `"`, []string{one, two}},
		{"parameters", one + "?severity=critical " + one + "?source=a", []string{one + "?severity=critical", one + "?source=a"}},
		{"several keys", one + ",33333333333333333333333333333333", []string{one + ",33333333333333333333333333333333"}},
		{"raw JSON", one + `?details={"a":"see ` + two + `"}`, []string{one + `?details={"a":"see ` + two + `"}`}},
		{"behind raw JSON", one + `?details={"a":"b, c"} ` + two, []string{one + `?details={"a":"b, c"}`, two}},
		{"a text that speaks of one", one + "?title=no pagerduty://x/y", []string{one + "?title=no pagerduty://x/y"}},
		{"blank", " ", nil},
	} {
		if got := separate([]string{tt.text}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzSeparate(f *testing.F) {
	f.Add("pagerduty:///11111111111111111111111111111111 pagerduty:///22222222222222222222222222222222")
	f.Add(`"pagerduty:///1",{ [`)
	f.Add(", pagerduty:///11111111111111111111111111111111")
	f.Fuzz(func(t *testing.T, text string) {
		urls := separate([]string{text})
		if n := len(strings.Join(urls, "")); n > len(text) {
			t.Errorf("%q became %q", text, urls)
		}
	})
}

// A proxy variable that cannot be read is told at once. No piece of it is shown, and none is
// looked up in the DNS: that would be told as a host that is not found.
func TestUnreadableProxy(t *testing.T) {
	for _, value := range []string{
		"http://svc:p@ss/w0rd@proxy.example:3128", "http://user:50%off@proxy.example:3128", "http://user:Hash#Pass@proxy.example:3128", `"http://proxy.example:3128"`,
	} {
		environ := []string{"HTTPS_PROXY=" + value}
		for _, args := range [][]string{{"send", "-m", "Disk full"}, {"verify"}} {
			out, status := runBinary(t, t.TempDir(), environ, append(args, "-u", "pagerduty:///"+scriptKey)...)
			if status != exitUnreachable && status != exitConfig || !strings.Contains(out, "HTTPS_PROXY cannot be read") || strings.Contains(out, "look up") {
				t.Errorf("%s with %s: exit status %d: %s", args[0], value, status, out)
			}
			for _, piece := range []string{"svc", "w0rd", "50%off", "Hash", "proxy.example"} {
				if strings.Contains(out, piece) {
					t.Errorf("%s: it shows %q: %s", value, piece, out)
				}
			}
			keyleak.Check(t, scriptKey, keyleak.Text("the error", out))
		}
	}
}
