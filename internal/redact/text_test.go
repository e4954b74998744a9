package redact

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"ASCII", `db-1 "is" full: C:\data`, `db-1 "is" full: C:\data`},
		{"other letters", "Überlauf auf größe.example, 磁盘已满 ✅", "Überlauf auf größe.example, 磁盘已满 ✅"},
		{"spaces of other kinds", "Erreur\u00a0: disque\u3000plein", "Erreur\u00a0: disque\u3000plein"},
		{"ESC", "\x1b]52;c;Y3VybA==\x1b\\", `\u001b]52;c;Y3VybA==\u001b\`},
		{"the escape of eight bits", "\u009b2K", `\u009b2K`},
		{"line breaks", "a\nb\r\nc\td", `a\nb\r\nc\td`},
		{"zero and bell", "\x00\a\x7f", `\u0000\u0007\u007f`},
		{"direction", "abc\u202ecba\u2066x", `abc\u202ecba\u2066x`},
		{"line separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"not UTF-8", "a\xffb\xc3", `a\xffb\xc3`},
		{"the replacement character", "\ufffdpager", `\ufffdpager`},
		{"a tag", "\U000e0041", `\U000e0041`},
		{"a joiner beside ASCII", "db\u200d-1", `db\u200d-1`},
		{"a family", "👩\u200d👧", "👩\u200d👧"},
		{"Persian", "می\u200cشود", "می\u200cشود"},
		{"joiners in a row", "م\u200c\u200cش", `م\u200c\u200cش`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Line(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got, want := Text("a\nb\x1bc\r\n"), "a\nb\\u001bc\\r\n"; got != want {
		t.Errorf("a text of lines becomes %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	const text = "{\n \"a\u2028\": \"\U000e0041\u009b\xff é\"\n}"
	const want = "{\n \"a\\u2028\": \"\\udb40\\udc41\\u009b\\ufffd é\"\n}"
	got := JSON(text)
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var before, after map[string]string
	if err := json.Unmarshal([]byte(text), &before); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &after); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before, after) {
		t.Errorf("%q has become %q", before, after)
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b[2K", "\xff\xfe", "👩\u200d👧\u200d", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := Line(text)
		if !utf8.ValidString(line) {
			t.Errorf("%q is not UTF-8", line)
		}
		if Line(line) != line {
			t.Errorf("%q is not the last word: %q", line, Line(line))
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u202e' }); i >= 0 {
			t.Errorf("%q acts at %d", line, i)
		}
		if lines := Text(text); strings.ReplaceAll(lines, "\n", `\n`) != line {
			t.Errorf("as lines %q, as one line %q", lines, line)
		}
	})
}

func TestShapes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a word", "unknown flag: --sevrity", "unknown flag: --sevrity"},
		{"an integration key", "open " + string(one) + ": no such file", "open [redacted]: no such file"},
		{"in a path", "/tmp/" + string(two) + "/a.yaml", "/tmp/[redacted]/a.yaml"},
		{"behind a short flag", "-u" + string(one), "[redacted]"},
		{"behind a long flag", "--url-file=" + string(one), "--url-file=[redacted]"},
		{"digits alone", strings.Repeat("1", 32), "[redacted]"},
		{"letters alone", strings.Repeat("a", 32), "[redacted]"},
		{"a REST API key", "u+sYEbxFyhbpSnoAJjRA y_NbAkKc66ryYTWUXYEu", "[redacted] [redacted]"},
		{"a key written as a UUID", "eb243592-faa2-4ba2-a551-1afdf565c889", "[redacted]"},
		{"a longer run", "x" + string(one) + string(two), "[redacted]"},
		{"a name of words", "on-call-database-primary-2026-v2.yaml", "on-call-database-primary-2026-v2.yaml"},
		{"a damaged queue", "set aside as queue.db.corrupt-20261129T042955Z-2;", "set aside as queue.db.corrupt-20261129T042955Z-2;"},
		{"almost a time", "queue.db.corrupt-20261129T04295aZ", "queue.db.[redacted]"},
		{"a key beside a time", "20261129T042955Z-" + string(one), "[redacted]"},
		{"a key behind a time", "20261129T042955Z" + string(one), "[redacted]"},
		{"a pod", "http://relay-7d9c5b6f4-x2x9z:8687", "http://relay-7d9c5b6f4-x2x9z:8687"},
		{"a variable", "SHOUTRRRD_MAX_CONNECTIONS_ALL", "SHOUTRRRD_MAX_CONNECTIONS_ALL"},
		{"a fingerprint", "no lane " + one.Fingerprint(), "no lane " + one.Fingerprint()},
		{"almost a fingerprint", one.Fingerprint() + "0", "[redacted]"},
		{"beside other letters", "é" + string(one) + "é", "é[redacted]é"},
		{"only rules", strings.Repeat("-", 40), strings.Repeat("-", 40)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Shapes(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
