package eventsv2

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/redact"
)

const (
	// maxMessageBytes bounds what is kept of a server's text.
	maxMessageBytes = 1024

	// legibleBytes is how much of a text is looked at to get there. It is more
	// because scrubbing a key shortens the text, to five eighths at most.
	legibleBytes = 4 * maxMessageBytes
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

// scrub replaces the key, and every piece of it, by the key's fingerprint.
func scrub(text string, key Key) string { return redact.Pieces(text, key) }
