package redact

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line makes one line of a text of others, for a terminal, a log or a history. Line breaks, control characters, escape
// sequences, characters that turn the direction of writing or cannot be seen, and bytes that are not UTF-8 are shown
// as the escapes of Go (\n, \u001b, \u202e, \xff). What can be read stays as it is.
//
// ESC is \u001b and not \x1b: tint, which writes the relay's log on terminals, turns \x1b back into ESC. U+FFFD is
// escaped as well: tint without colours drops what follows it.
func Line(text string) string { return escape(text, oneLine) }

// Text is Line for a text of several lines, such as an error with an excerpt of a file: line breaks stay.
func Text(text string) string { return escape(text, lines) }

// JSON is Text for what is JSON, and it stays the same JSON: an escape means what was there.
func JSON(text string) string { return escape(text, jsonLines) }

// form says how escape writes.
type form int

const (
	oneLine form = iota
	lines
	jsonLines
)

func escape(text string, as form) string {
	if isPlain(text) {
		return text
	}
	var out strings.Builder
	before := rune(0)
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch {
		case r == utf8.RuneError && size == 1 && as != jsonLines:
			fmt.Fprintf(&out, `\x%02x`, text[at])
		case r == '\n' && as != oneLine, !acts(r), joins(r) && isOther(before) && isOther(next(text[at+size:])):
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r > 0xFFFF && as == jsonLines:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		case r > 0xFFFF:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		before = r
		at += size
	}
	return out.String()
}

// isPlain reports whether the text has printable ASCII alone.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// acts reports whether a character does something to a reader's screen instead of being read.
func acts(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}

// joins reports whether r is one of the two joiners without which emoji, Persian and the scripts of India fall apart.
// Next to ASCII they have no use but to hide.
func joins(r rune) bool { return r == '\u200c' || r == '\u200d' }

// isOther reports whether r can be read and is not ASCII.
func isOther(r rune) bool { return r > unicode.MaxASCII && !acts(r) }

func next(text string) rune {
	r, _ := utf8.DecodeRuneInString(text)
	return r
}

// hidden stands where something had the shape of a key.
const hidden = "[redacted]"

// shortestSecret is the length from which a word may be a key in the wrong place: REST API keys have 20 characters,
// integration keys 32.
const shortestSecret = 20

// Shapes hides every word that may be a key or a token, by its shape, for where no key is known: an error that quotes
// the command line. A name of words and numbers, such as on-call-database-primary-2026 or relay-7d9c5b6f4-x2x9z, stays,
// and so does a fingerprint.
func Shapes(text string) string {
	return Words(text, func(word string) string {
		if len(word) < shortestSecret || isName(word) || isFingerprint(word) {
			return word
		}
		return hidden
	})
}

// Words calls by for each run of the characters that keys are made of, and puts what it returns into the run's place.
func Words(text string, by func(word string) string) string {
	var out strings.Builder
	for text != "" {
		n := strings.IndexFunc(text, inWord)
		if n < 0 {
			n = len(text)
		}
		out.WriteString(text[:n])
		text = text[n:]
		n = strings.IndexFunc(text, func(r rune) bool { return !inWord(r) })
		if n < 0 {
			n = len(text)
		}
		if n > 0 {
			out.WriteString(by(text[:n]))
		}
		text = text[n:]
	}
	return out.String()
}

func inWord(r rune) bool {
	return r < utf8.RuneSelf && lower[r] != 0 || r == '+' || r == '_' || r == '-'
}

// longestMix is the longest part of a name that letters and digits, or capitals and small letters, may share. Hashes in
// the names of pods have 10 characters, the last part of a UUID has 12.
const longestMix = 11

// isTime reports whether text is a time as the relay has it in the name of a queue that it has set aside,
// 20261129T042955Z: 14 digits in their places. A random generator does not write that in the life of this program.
func isTime(text string) bool {
	const form = "00000000T000000Z"
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, text)
	return digits == form
}

// isName reports whether each part of a word is letters of one case, a capital before them at most, or digits, and
// shorter than a key, or is short, or is a time: people and programs write names like that, random generators do not.
func isName(word string) bool {
	for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return lower[r] == 0 }) {
		switch {
		case len(part) >= shortestSecret:
			return false
		case len(part) <= longestMix, isTime(part), strings.TrimLeft(part[1:], "abcdefghijklmnopqrstuvwxyz") == "":
		case strings.Trim(part, "0123456789") == "", strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
		default:
			return false
		}
	}
	return true
}

// printLength is the length of a fingerprint: "key-" and 16 hexadecimal digits.
const printLength = len("key-") + 16

// isFingerprint reports whether the word stands for a key already.
func isFingerprint(word string) bool {
	digits, ok := strings.CutPrefix(word, "key-")
	return ok && len(word) == printLength && strings.Trim(digits, "0123456789abcdef") == ""
}
