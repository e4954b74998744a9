package eventsv2

import (
	"bytes"
	"context"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
)

// mending is what a [reader] had to mend in the JSON itself.
type mending uint16

const (
	mendedUTF8 mending = 1 << iota
	mendedControl
	mendedUnicode
	mendedEscape
	mendedComma
	mendedNumber
	mendedDepth
	mendedName
	mendedDropped

	// spelledOut is no flaw: letters or digits are written as \u escapes, so that a
	// search in the text does not find all that it says.
	spelledOut
)

// maxDepth is how deep a value may be nested: it is what Ruby's parser takes, the
// strictest of the common ones. Nobody knows what PagerDuty reads with.
const maxDepth = 100

// reader reads JSON in one pass and forgives what programs and people get wrong
// in it, as long as there is only one thing that it can mean: bytes that are not
// UTF-8, line ends and control characters in a text, halves of surrogate pairs,
// stray backslashes, a comma too many, NaN, numbers with leading zeros, and names
// that stand twice in one object. What it gives out is JSON that strict receivers
// take and shares no memory with what it reads.
//
// Text that is no JSON makes it bad, and everything else end soon. So does the end
// of the context.
type reader struct {
	src    []byte
	at     int
	out    []byte // the values that were read
	bad    bool
	mended mending

	ctx     context.Context // of the work; nil if that is too little to be stopped
	members int             // and elements that were read: the measure of the work
}

// membersBetweenLooks is the number of members or elements after which a reader
// looks whether its result is still wanted: they take about a millisecond, and an
// event that people send has fewer. That is read to its end whether its client
// waits or not, since some clients close their half of the connection at once.
const membersBetweenLooks = 4096

// newReader reads text, which may begin with a byte order mark and end with the
// zero byte that C programs like to send.
func newReader(ctx context.Context, text []byte) reader {
	r := reader{ctx: ctx, src: bytes.TrimRight(bytes.TrimPrefix(text, []byte("\ufeff")), "\x00")}
	if !utf8.Valid(r.src) {
		r.src = plain.UTF8(r.src)
		r.mended |= mendedUTF8
	}
	return r
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	for ; r.at < len(r.src); r.at++ {
		switch c := r.src[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// more steps to the next member of an object or array, of which closing is the
// end, and reports whether there is one.
func (r *reader) more(first bool, closing byte) bool {
	c := r.peek()
	if c == ',' && !first {
		r.at++
		if c = r.peek(); c == closing {
			r.mended |= mendedComma
		}
	} else if !first && c != closing {
		r.bad = true
	}
	if c == closing {
		r.at++
		return false
	}
	if r.members++; r.members%membersBetweenLooks == 0 && r.stopped() != nil {
		r.bad = true
	}
	return !r.bad
}

// stopped says why the result is not wanted any more, nil if it is.
func (r *reader) stopped() error {
	if r.ctx == nil || r.ctx.Err() == nil {
		return nil
	}
	return context.Cause(r.ctx)
}

// name reads a member's name and its colon. It may refer to what is read.
func (r *reader) name() []byte {
	if r.peek() != '"' {
		r.bad = true
		return nil
	}
	start, end, plain := r.quoted()
	name := r.src[start:end]
	if !plain {
		name = r.unescape(name)
	}
	if r.peek() != ':' {
		r.bad = true
		return nil
	}
	r.at++
	return name
}

// exact reads a text with all that it holds, control characters and halves of a pair as well,
// so that two that differ stay different. It may be no UTF-8.
func (r *reader) exact() string {
	start, end, _ := r.quoted()
	return string(r.spelled(r.src[start:end]))
}

// text reads a text, at whose opening quote the reader stands.
func (r *reader) text() string {
	start, end, plain := r.quoted()
	if plain {
		return string(r.src[start:end])
	}
	return string(r.unescape(r.src[start:end]))
}

// quoted steps over a text and returns where its inside begins and ends, and
// whether that is what it says.
func (r *reader) quoted() (start, end int, plain bool) {
	start, plain = r.at+1, true
	for i := start; i < len(r.src); i++ {
		switch c := r.src[i]; {
		case c == '"':
			r.at = i + 1
			return start, i, plain
		case c == '\\':
			plain = false
			i++
		case c < ' ', c == 0x7f, c == 0xc2: // 0xC2 may begin a control character of C1
			plain = false
		}
	}
	r.bad = true
	r.at = len(r.src)
	return r.at, r.at, true
}

// unescape returns what the inside of a text says, without control sequences. Half of a pair
// becomes the replacement character: receivers refuse it, or end the text.
func (r *reader) unescape(inside []byte) []byte {
	said := r.spelled(inside)
	if utf8.Valid(said) && !plain.HasControls(said) {
		return said
	}
	return []byte(r.clean(string(said)))
}

// clean makes plain text of what was spelled.
func (r *reader) clean(said string) string {
	if !utf8.ValidString(said) {
		r.mended |= mendedUnicode
		said = string(replaceHalves([]byte(said)))
	}
	if plain.HasControls(said) {
		r.mended |= mendedDropped
		said = plain.Text(said)
	}
	return said
}

// spelled returns what the inside of a text says, each half of a pair as the three bytes that
// UTF-8 would have for it.
func (r *reader) spelled(inside []byte) []byte {
	said := make([]byte, 0, len(inside))
	for i := 0; i < len(inside); {
		switch c := inside[i]; {
		case c == '\\':
			char, size := r.escaped(inside[i:])
			if utf16.IsSurrogate(char) {
				said = append(said, 0xe0|byte(char>>12), 0x80|byte(char>>6)&0x3f, 0x80|byte(char)&0x3f)
			} else {
				said = utf8.AppendRune(said, char)
			}
			i += size
		default:
			if c < ' ' && c != 0 {
				r.mended |= mendedControl
			}
			said = append(said, c)
			i++
		}
	}
	return said
}

// replaceHalves puts one replacement character for each half of a pair.
func replaceHalves(said []byte) []byte {
	const half = 3 // bytes
	whole := make([]byte, 0, len(said))
	for len(said) > 0 {
		char, size := utf8.DecodeRune(said)
		if char == utf8.RuneError && size == 1 {
			size = min(half, len(said))
		}
		whole, said = utf8.AppendRune(whole, char), said[size:]
	}
	return whole
}

// escaped reads the escape at the start of text. A backslash that begins none
// stands for itself, as in a Windows path that was pasted.
func (r *reader) escaped(text []byte) (char rune, size int) {
	if len(text) > 1 {
		switch text[1] {
		case '"', '\\', '/':
			return rune(text[1]), 2
		case 'b':
			return '\b', 2
		case 'f':
			return '\f', 2
		case 'n':
			return '\n', 2
		case 'r':
			return '\r', 2
		case 't':
			return '\t', 2
		}
	}
	unit, ok := escapedUnit(text)
	if !ok {
		r.mended |= mendedEscape
		return '\\', 1
	}
	char = rune(unit)
	switch {
	case char < utf8.RuneSelf && isAlphanumeric(byte(char)):
		r.mended |= spelledOut
	case isHigh(unit):
		if low, paired := escapedUnit(text[6:]); paired && isLow(low) {
			return utf16.DecodeRune(char, rune(low)), 12
		}
	}
	return char, 6
}

// value reads a value of any kind and returns it without white space.
func (r *reader) value() json.RawMessage {
	if r.out == nil {
		r.out = make([]byte, 0, len(r.src)-r.at)
	}
	start := len(r.out)
	r.appendValue(0)
	return r.out[start:len(r.out):len(r.out)]
}

func (r *reader) appendValue(depth int) {
	switch c := r.peek(); {
	case c == '"':
		start, end, plain := r.quoted()
		if plain {
			r.out = append(append(append(r.out, '"'), r.src[start:end]...), '"')
		} else {
			r.out = appendString(r.out, string(r.unescape(r.src[start:end])))
		}
	case c != '{' && c != '[':
		r.appendWord()
	case depth == maxDepth:
		r.appendDeep()
	case c == '{':
		r.appendObject(depth)
	default:
		r.appendArray(depth)
	}
}

func (r *reader) appendObject(depth int) {
	var seen names
	r.at++
	r.out = append(r.out, '{')
	for first := true; r.more(first, '}'); first = false {
		if !first {
			r.out = append(r.out, ',')
		}
		given := string(r.name())
		name := seen.free(given)
		if name != given {
			r.mended |= mendedName
		}
		r.out = append(appendString(r.out, name), ':')
		r.appendValue(depth + 1)
	}
	r.out = append(r.out, '}')
}

func (r *reader) appendArray(depth int) {
	r.at++
	r.out = append(r.out, '[')
	for first := true; r.more(first, ']'); first = false {
		if !first {
			r.out = append(r.out, ',')
		}
		r.appendValue(depth + 1)
	}
	r.out = append(r.out, ']')
}

// appendDeep reads what is nested too deep, and keeps it as a text.
func (r *reader) appendDeep() {
	if text := r.deep(); text != nil {
		r.mended |= mendedDepth
		r.out = appendString(r.out, string(text))
	}
}

// deep steps over an object or array without a look at what is in it. It returns
// nil if that has no end.
func (r *reader) deep() []byte {
	start, open := r.at, 0
	for r.at < len(r.src) {
		switch r.src[r.at] {
		case '"':
			r.quoted()
			continue
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
		r.at++
		if open == 0 {
			return r.src[start:r.at]
		}
	}
	r.bad = true
	return nil
}

// appendWord reads a number, true, false or null. What other languages write for
// a number becomes a text.
func (r *reader) appendWord() {
	switch word := r.word(); {
	case isNumber(word), isLiteral(word):
		r.out = append(r.out, word...)
	case isForeignNumber(word):
		r.mended |= mendedNumber
		r.out = append(append(append(r.out, '"'), word...), '"')
	default:
		r.bad = true
		r.out = append(r.out, `""`...)
	}
}

// word steps over what ends before the next mark.
func (r *reader) word() []byte {
	start := r.at
	for r.at < len(r.src) && bytes.IndexByte([]byte(",]}:{[\" \t\n\r"), r.src[r.at]) < 0 {
		r.at++
	}
	return r.src[start:r.at]
}

// skip steps over a value of any kind. It takes what value takes and refuses what
// value refuses, and needs no memory.
func (r *reader) skip(depth int) {
	c := r.peek()
	switch {
	case c == '"':
		r.quoted()
	case c != '{' && c != '[':
		if word := r.word(); !isNumber(word) && !isLiteral(word) && !isForeignNumber(word) {
			r.bad = true
		}
	case depth == maxDepth:
		r.deep()
	default:
		r.at++
		closing := c + 2 // as ASCII has them
		for first := true; r.more(first, closing); first = false {
			if c == '{' && !r.skipName() {
				return
			}
			r.skip(depth + 1)
		}
	}
}

// skipName steps over a member's name and its colon.
func (r *reader) skipName() bool {
	if r.peek() != '"' {
		r.bad = true
		return false
	}
	if r.quoted(); r.peek() != ':' {
		r.bad = true
		return false
	}
	r.at++
	return true
}

func isLiteral(word []byte) bool {
	switch string(word) {
	case "true", "false", "null":
		return true
	}
	return false
}

// isNumber reports whether the word is a number as JSON has it.
func isNumber(word []byte) bool {
	i := 0
	if i < len(word) && word[i] == '-' {
		i++
	}
	whole := digitsAt(word, i)
	if whole == 0 || whole > 1 && word[i] == '0' {
		return false
	}
	i += whole
	if i < len(word) && word[i] == '.' {
		n := digitsAt(word, i+1)
		if n == 0 {
			return false
		}
		i += 1 + n
	}
	if i < len(word) && word[i]|0x20 == 'e' {
		i++
		if i < len(word) && (word[i] == '+' || word[i] == '-') {
			i++
		}
		n := digitsAt(word, i)
		if n == 0 {
			return false
		}
		i += n
	}
	return i == len(word)
}

func digitsAt(word []byte, from int) (n int) {
	for from+n < len(word) && word[from+n] >= '0' && word[from+n] <= '9' {
		n++
	}
	return n
}

// isForeignNumber knows what Python and JavaScript write, and digits in a form
// that JSON does not have, such as 007 and .5.
func isForeignNumber(word []byte) bool {
	switch string(word) {
	case "NaN", "Infinity", "-Infinity":
		return true
	}
	if len(bytes.Trim(word, "0123456789.+-eE")) > 0 {
		return false
	}
	return bytes.ContainsAny(word, "0123456789")
}

// ended reports whether nothing follows.
func (r *reader) ended() bool { return r.peek() == 0 && r.at == len(r.src) && !r.bad }
