package plain

import (
	"strings"
	"unicode/utf8"
)

// Text returns the text without control sequences and without all other control characters
// but tabs and line ends. Of a sequence that has no end only its beginning goes: what follows
// may be the message.
func Text(text string) string {
	at := firstControl(text)
	if at < 0 {
		return text
	}
	var out strings.Builder
	out.Grow(len(text))
	for {
		out.WriteString(text[:at])
		text = text[at+sequence(text[at:]):]
		if at = firstControl(text); at < 0 {
			out.WriteString(text)
			return out.String()
		}
	}
}

// HasControls reports whether Text would change the text.
func HasControls[T ~string | ~[]byte](text T) bool { return firstControl(text) >= 0 }

// firstControl returns where the first control character stands that has to go, or -1.
func firstControl[T ~string | ~[]byte](text T) int {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == 0x7f:
			return i
		case c == 0xc2 && i+1 < len(text) && text[i+1] >= 0x80 && text[i+1] < 0xa0: // C1
			return i
		}
	}
	return -1
}

// What stands behind ESC, or in C1 (ECMA-48, 5.3 and 5.6).
const (
	controlSequence = '['
	controlStrings  = "]P_^X" // OSC, DCS, APC, PM, SOS
	stringEnd       = "\x1b\\"
	stringEndC1     = "\u009c"

	// alone are those that terminals have in use and that take nothing behind them. Others
	// would be letters of a message before which an ESC stands by mistake.
	alone = "78=>cDEHMZ"
)

// sequence returns the length of the control sequence, or character, at the start of text.
func sequence(text string) int {
	var kind byte
	var start int // of what the sequence holds
	switch {
	case text[0] == 0x1b && len(text) > 1:
		kind, start = text[1], 2
	case text[0] == 0xc2: // U+009B is ESC [ in one character, and so on
		kind, start = text[1]-0x40, 2
	default:
		return 1
	}
	switch {
	case kind == controlSequence:
		if end := parametersEnd(text[start:]); end > 0 {
			return start + end
		}
		return start
	case strings.IndexByte(controlStrings, kind) >= 0:
		return start + stringLength(text[start:])
	case text[0] == 0xc2, strings.IndexByte(alone, kind) >= 0:
		return start
	case kind >= ' ' && kind <= '/': // ESC ( B chooses a set of characters
		if end := parametersEnd(text[1:]); end > 0 {
			return 1 + end
		}
	}
	return 1
}

// parametersEnd returns the length of a control sequence's parameters with the character that
// ends them, 0 if that does not come.
func parametersEnd(text string) int {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '@' && c <= '~':
			return i + 1
		case c < ' ' || c > '?':
			return 0
		}
	}
	return 0
}

// stringLength returns the length of a control string with its end, 0 if that does not come in
// the same line. A bell ends it as well, as xterm has it.
func stringLength(text string) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\a':
			return i + size
		case strings.HasPrefix(text[i:], stringEnd), strings.HasPrefix(text[i:], stringEndC1):
			return i + 2
		case r == '\n', r == '\r', r == 0x1b:
			return 0
		}
		i += size
	}
	return 0
}
