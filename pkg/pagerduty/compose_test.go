package pagerduty

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"pgregory.net/rapid"
)

func TestCompose(t *testing.T) {
	long := strings.Repeat("ü", 1025)
	cut := strings.Repeat("ü", 1023) + "…"
	for _, tc := range []struct{ name, message, title, details, summary, want string }{
		{"one line", "Disk full", "", "", "Disk full", "{}"},
		{"line end", "Disk full\n", "", "", "Disk full", "{}"},
		{"line end of DOS", "Disk full\r\n", "", "", "Disk full", "{}"},
		{"several lines", "Disk full\nhost: db", "", "", "Disk full", `{"message":"Disk full\nhost: db"}`},
		{"blank lines first", "\n \r\nDisk full", "", "", "Disk full", `{}`},
		{"blank lines first, several lines", "\n\nA\nB", "", "", "A", `{"message":"\n\nA\nB"}`},
		{"exactly 1024", long[2:], "", "", long[2:], "{}"},
		{"over 1024", long, "", "", cut, `{"message":"` + long + `"}`},
		{"over 1024 and several lines", long + "\nx", "", "", cut, `{"message":"` + long + `\nx"}`},
		{"caller's message", "A\nB", "", `{"message":"mine"}`, "A", `{"message_full":"A\nB","message":"mine"}`},
		{"caller's message and message_full", "A\nB", "", `{"message":1,"message_full":2}`, "A", `{"message_full_2":"A\nB","message":1,"message_full":2}`},
		{"title", "text", "T", "", "T", `{"message":"text"}`},
		{"title alone", "", "T", "", "T", "{}"},
		{"blank title", "text", " ", "", "text", "{}"},
		{"title of several lines", "text", "T\nU", "", "T", `{"message":"T\nU\n\ntext"}`},
		{"title over 1024", "text", long, "", cut, `{"message":"` + long + `\n\ntext"}`},
		{"title of several lines alone", "", "T\nU", "", "T", `{"message":"T\nU"}`},
	} {
		details, err := eventsv2.ParseDetails([]byte("{" + strings.Trim(tc.details, "{}") + "}"))
		if err != nil {
			t.Fatal(err)
		}
		summary, got, err := compose(tc.message, tc.title, details)
		if err != nil || summary != tc.summary || string(got.AppendJSON(nil)) != tc.want {
			t.Errorf("%s:\ngot  %.60q %.90s %v\nwant %.60q %.90s", tc.name, summary, got.AppendJSON(nil), err, tc.summary, tc.want)
		}
	}
	for _, blank := range []string{"", " ", "\n\r\n\t"} {
		if _, _, err := compose(blank, "", nil); !errors.Is(err, ErrBlankMessage) {
			t.Errorf("%q: %v", blank, err)
		}
	}
}

// Whatever the message, the summary is one that PagerDuty takes, and the whole
// text is in the event, but for white space at its ends.
func TestComposeLosesNothing(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Repeat(rapid.StringN(0, 40, -1).Draw(t, "part"), rapid.IntRange(1, 60).Draw(t, "times"))
	})
	rapid.Check(t, func(t *rapid.T) {
		message, title := text.Draw(t, "message"), rapid.SampledFrom([]string{"", text.Draw(t, "title")}).Draw(t, "which")
		summary, details, err := compose(message, title, nil)
		if err != nil {
			if strings.TrimSpace(message) != "" || strings.TrimSpace(title) != "" {
				t.Fatalf("%q, %q: %v", message, title, err)
			}
			return
		}
		if n := utf8.RuneCountInString(summary); n == 0 || n > 1024 || strings.TrimSpace(summary) == "" || strings.ContainsAny(summary, "\r\n") {
			t.Fatalf("summary of %d characters: %q", n, summary)
		}
		whole := summary
		for _, m := range details {
			whole += "\n" + string(m.Value)
		}
		for _, part := range []string{message, title} {
			encoded := string(eventsv2.Details{}.With("x", strings.TrimSpace(part))[0].Value)
			if !strings.Contains(whole, strings.Trim(encoded, `"`)) && !strings.Contains(summary, strings.TrimSpace(part)) {
				t.Fatalf("%q is not in %q", part, whole)
			}
		}
	})
}
