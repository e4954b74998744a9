package eventsv2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
)

// ErrNotObject is returned by [ParseDetails] for JSON that is no object.
var ErrNotObject = errors.New("must be a JSON object such as {\"key\":\"value\"}")

// ParseDetails reads a JSON object into its members, in their order and with
// every value as it is written. White space and control sequences go, and what
// would make PagerDuty refuse the event is mended: bytes that are not UTF-8, which
// are read as windows-1252, and halves of surrogate pairs, as programs leave them
// that cut text in the middle of a character.
//
// A name that stands twice in one object is an error, at any depth: receivers
// keep one of the two values without a word, and nobody knows which.
func ParseDetails(text []byte) (Details, error) {
	text = plain.UTF8(text)
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, jsonError(bytes.Clone(text)) // or every caller's text would go to the heap
	}
	w := walker{text: dropControls(mendSurrogates(compact.Bytes()))}
	if w.text[0] != '{' {
		return nil, ErrNotObject
	}
	details := make(Details, 0, 4)
	err := w.object(func(name string, value []byte) {
		details = append(details, Member{Name: name, Value: value})
	})
	if err != nil {
		return nil, err
	}
	return details, nil
}

// Get returns the value of the named member, and whether there is one.
func (d Details) Get(name string) (json.RawMessage, bool) {
	for _, m := range d {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}

// With returns the details with a member of text added at the end. The receiver
// is not changed.
func (d Details) With(name, text string) Details {
	return append(d[:len(d):len(d)], Text(name, text))
}

// Text makes a member of a text.
func Text(name, text string) Member {
	return Member{Name: name, Value: appendString(nil, text)}
}

// jsonError says where the text stops being JSON, which json.Compact does not.
func jsonError(text []byte) error {
	err := json.Unmarshal(text, new(json.RawMessage))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not JSON: %w at character %d; names and texts stand in double quotes", err, syntax.Offset)
	}
	return fmt.Errorf("is not JSON: %w", err)
}

// walker goes over compact, valid JSON; it checks nothing but repeated names.
type walker struct {
	text []byte
	at   int
}

func (w *walker) object(member func(name string, value []byte)) error {
	var seen names
	w.at++ // {
	for w.text[w.at] != '}' {
		if w.text[w.at] == ',' {
			w.at++
		}
		name := w.name()
		if !seen.add(name) {
			return twice(name)
		}
		w.at++ // :
		start := w.at
		if err := w.value(); err != nil {
			return err
		}
		member(name, w.text[start:w.at])
	}
	w.at++ // }
	return nil
}

// twice names the member only if it is a word: a long name may be a key that was
// pasted into the wrong place.
func twice(name string) error {
	const longestWord = 19 // a REST API key has 20 characters
	if n := utf8.RuneCountInString(name); n > longestWord {
		return fmt.Errorf("a member whose name has %d characters stands twice", n)
	}
	return fmt.Errorf("the member %q stands twice", name)
}

// names are those of one object's members: in a list while they are few, as they
// nearly always are, and then in a map.
type names struct {
	few  [16]string
	n    int
	many map[string]bool
	last map[string]int // the number that a name was given last
}

// add reports whether the name is new.
func (s *names) add(name string) bool {
	if s.many == nil {
		if slices.Contains(s.few[:s.n], name) {
			return false
		}
		if s.n < len(s.few) {
			s.few[s.n] = name
			s.n++
			return true
		}
		s.many = make(map[string]bool)
		for _, known := range s.few {
			s.many[known] = true
		}
	}
	if s.many[name] {
		return false
	}
	s.many[name] = true
	return true
}

// free returns the name if it is new, else the name with the first number behind
// it that makes it new.
func (s *names) free(name string) string {
	if s.add(name) {
		return name
	}
	if s.last == nil {
		s.last = make(map[string]int)
	}
	for n := max(s.last[name], 1) + 1; ; n++ {
		if numbered := name + "_" + strconv.Itoa(n); s.add(numbered) {
			s.last[name] = n // or a thousand of one name would be tried a thousand times each
			return numbered
		}
	}
}

func (w *walker) array() error {
	w.at++ // [
	for w.text[w.at] != ']' {
		if w.text[w.at] == ',' {
			w.at++
		}
		if err := w.value(); err != nil {
			return err
		}
	}
	w.at++ // ]
	return nil
}

func (w *walker) value() error {
	switch w.text[w.at] {
	case '{':
		return w.object(func(string, []byte) {})
	case '[':
		return w.array()
	case '"':
		w.skipString()
	default: // a number or a word ends before the next mark
		for w.at < len(w.text) && !strings.ContainsRune(",]}", rune(w.text[w.at])) {
			w.at++
		}
	}
	return nil
}

func (w *walker) name() string {
	start := w.at
	w.skipString()
	quoted := w.text[start:w.at]
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // a valid JSON string
	return name
}

func (w *walker) skipString() {
	w.at++
	for w.text[w.at] != '"' {
		if w.text[w.at] == '\\' {
			w.at++
		}
		w.at++
	}
	w.at++
}

// mendSurrogates replaces each \u escape that is half of a pair without its other
// half, which JSON's grammar allows and strict receivers refuse.
func mendSurrogates(text []byte) []byte {
	for i := 0; i+6 <= len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		unit, ok := escapedUnit(text[i:])
		if !ok {
			i++ // the escaped character
			continue
		}
		next, paired := escapedUnit(text[i+6:])
		switch {
		case isHigh(unit) && paired && isLow(next):
			i += 11
			continue
		case isHigh(unit) || isLow(unit):
			copy(text[i:], `\ufffd`)
		}
		i += 5
	}
	return text
}

// dropControls takes the control sequences out of compact, valid JSON. Texts without any stay as
// they are written.
func dropControls(text []byte) []byte {
	if !bytes.ContainsRune(text, 0x7f) && !bytes.Contains(text, []byte{0xc2}) && !bytes.ContainsAny(text, `\`) {
		return text
	}
	w := walker{text: text}
	out := make([]byte, 0, len(text))
	for w.at < len(text) {
		start := w.at
		if text[start] != '"' {
			w.at++
			out = append(out, text[start])
			continue
		}
		w.skipString()
		var said string
		if quoted := text[start:w.at]; json.Unmarshal(quoted, &said) == nil && plain.HasControls(said) {
			out = appendString(out, plain.Text(said))
		} else {
			out = append(out, quoted...)
		}
	}
	return out
}

// escapedUnit reads a \uXXXX at the start of text.
func escapedUnit(text []byte) (unit uint16, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		digit := strings.IndexByte(hexDigits, c|0x20)
		if digit < 0 {
			return 0, false
		}
		unit = unit<<4 | uint16(digit)
	}
	return unit, true
}

func isHigh(unit uint16) bool { return unit >= 0xD800 && unit < 0xDC00 }

func isLow(unit uint16) bool { return unit >= 0xDC00 && unit < 0xE000 }
