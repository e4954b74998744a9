package plain

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "disk full on db-1\n\t50 %\r\n", "disk full on db-1\n\t50 %\r\n"},
		{"other alphabets", "Сервер 伺服器 🔥", "Сервер 伺服器 🔥"},
		{"colours", "backup \x1b[31mFAILED\x1b[0m\x00", "backup FAILED"},
		{"many colours", "\x1b[1;38;5;196mred\x1b[m", "red"},
		{"private parameters", "\x1b[?25lx\x1b[?25h", "x"},
		{"a title", "\x1b]0;root@db\adisk full", "disk full"},
		{"a link", "\x1b]8;;https://example.com/a\x1b\\runbook\x1b]8;;\x1b\\", "runbook"},
		{"C1", "a\u009b31mb\u009d0;title\u009cc\u0085d", "abcd"},
		{"a set of characters", "\x1b(Bx", "x"},
		{"reset", "\x1bcx", "x"},
		{"a letter behind ESC", "\x1bFAILED", "FAILED"},
		{"cut colour", "disk full \x1b[31", "disk full 31"},
		{"cut colour, more follows", "disk \x1b[3\nfull", "disk 3\nfull"},
		{"a title without end", "\x1b]0;disk full\nnow", "0;disk full\nnow"},
		{"ESC alone", "x\x1b", "x"},
		{"bell, backspace, delete", "a\ab\bc\x7fd", "abcd"},
	} {
		if got := Text(tt.text); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestUTF8(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"UTF-8", "café", "café"},
		{"windows-1252", "caf\xe9 \x80 5 \x93now\x94", "café € 5 “now”"},
		{"of two programs", "café, caf\xe9", "café, café"},
		{"cut", "caf\xc3", "cafÃ"},
		{"Cyrillic that is not declared", "\xd1\xe5\xf0", "Ñåð"},
		{"not assigned", "a\x81", "a\u0081"},
	} {
		if got := UTF8(tt.text); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := UTF8([]byte(tt.text)); string(got) != tt.want {
			t.Errorf("%s: got %q of bytes, want %q", tt.name, got, tt.want)
		}
	}
	seen := map[rune]bool{}
	for b := 0x80; b <= 0xff; b++ {
		seen[Rune(byte(b))] = true
	}
	if len(seen) != 128 {
		t.Errorf("128 bytes are %d characters", len(seen))
	}
}

func TestUTF16(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		is               bool
	}{
		{"little endian", "\xff\xfec\x00a\x00f\x00\xe9\x00", "café", true},
		{"big endian", "\xfe\xff\x00c\x00a\x00f\x00\xe9", "café", true},
		{"JSON without a mark", "{\x00}\x00", "{}", true},
		{"JSON without a mark, big endian", "\x00{\x00}", "{}", true},
		{"a pair", "\xff\xfe\x3d\xd8\x25\xdd", "🔥", true},
		{"half of a pair", "\xff\xfe\x3d\xd8x\x00", "\ufffdx", true},
		{"ASCII", "{}", "{}", false},
		{"odd", "\xff\xfea", "\xff\xfea", false},
	} {
		got, is := UTF16([]byte(tt.text))
		if string(got) != tt.want || is != tt.is {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.name, got, is, tt.want, tt.is)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"\x1b[31mx\x1b[0m", "\x1b]0;x\a", "\u009b31m", "\xc2", "\x1b", "caf\xe9", "\x1b(B", "\x1bP1$r\x1b\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		valid := UTF8(text)
		if !utf8.ValidString(valid) {
			t.Fatalf("%q is no UTF-8", valid)
		}
		got := Text(valid)
		if HasControls(got) || !utf8.ValidString(got) || len(got) > len(valid) {
			t.Errorf("%q became %q", valid, got)
		}
		if Text(got) != got {
			t.Errorf("%q changes once more", got)
		}
		words := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r == '\n' {
				return r
			}
			return -1
		}, valid)
		if !HasControls(valid) && got != valid || words == "" && strings.ContainsAny(got, "abc") {
			t.Errorf("%q became %q", valid, got)
		}
	})
}

func FuzzUTF16(f *testing.F) {
	f.Add([]byte("\xff\xfea\x00"))
	f.Add([]byte("{\x00}\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, is := UTF16(text); is && !utf8.Valid(got) || !is && string(got) != string(text) {
			t.Errorf("%q became %q, %v", text, got, is)
		}
	})
}
