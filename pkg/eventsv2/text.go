package eventsv2

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMessageBytes bounds what is kept of a server's text.
	maxMessageBytes = 1024

	// legibleBytes is how much of a text is looked at to get there. It is more
	// because scrubbing a key shortens the text, to three eighths at most.
	legibleBytes = 4 * maxMessageBytes

	// minLeak is the number of consecutive characters of a key that are taken for
	// a piece of it: a text that was cut or wrapped shows a key in pieces. By
	// chance eight hexadecimal digits agree once in four billion.
	minLeak = 8
)

// legible makes one line out of a server's text: white space becomes single
// spaces; control and format characters, which can drive a terminal or turn the
// direction of writing, are dropped, then the key is scrubbed (in this order, or
// a control character in the midst of the key would hide it), then it is cut.
func legible(text string, key Key) string {
	return cut(scrub(oneLine(text), key), maxMessageBytes)
}

func oneLine(text string) string {
	if isOneLine(text) {
		return text
	}
	var b strings.Builder
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		if b.Len() > legibleBytes {
			break
		}
	}
	return b.String()
}

// isOneLine reports whether oneLine would change nothing, for ASCII.
func isOneLine(text string) bool {
	before := byte(' ')
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c > '~' || c == ' ' && before == ' ' {
			return false
		}
		before = c
	}
	return len(text) <= legibleBytes && (text == "" || before != ' ')
}

// cut shortens text to at most limit bytes, the ellipsis included, between runes.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// scrub replaces the key, and every piece of at least minLeak of its characters,
// in any case of letters, by the key's fingerprint.
func scrub(text string, key Key) string {
	secret := key.Reveal()
	var b strings.Builder
	start := 0
	for i := 0; i+minLeak <= len(text); {
		n := leakAt(text[i:], secret)
		if n == 0 {
			i++
			continue
		}
		b.WriteString(text[start:i])
		b.WriteString(key.Fingerprint())
		i += n
		start = i
	}
	if start == 0 {
		return text
	}
	b.WriteString(text[start:])
	return b.String()
}

// leakAt returns the length of the longest piece of secret with which text
// begins, 0 if that is shorter than minLeak.
func leakAt(text, secret string) int {
	longest := 0
	for j := 0; j+minLeak <= len(secret); j++ {
		n := 0
		for n < len(text) && j+n < len(secret) && foldASCII(text[n]) == foldASCII(secret[j+n]) {
			n++
		}
		longest = max(longest, n)
	}
	if longest < minLeak {
		return 0
	}
	return longest
}

func foldASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
