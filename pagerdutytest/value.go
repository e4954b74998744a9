package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// kind is the JSON type of a value.
type kind uint8

const (
	jsonAbsent kind = iota
	jsonNull
	jsonBool
	jsonNumber
	jsonText
	jsonArray
	jsonObject
)

// value is one JSON value with its members in their order. The structs and maps
// of encoding/json would hide a member that comes twice or in another case.
type value struct {
	kind    kind
	text    string // of a text
	items   []value
	members []member
	raw     json.RawMessage
}

type member struct {
	name  string
	value value
}

var errNotJSON = errors.New("not JSON")

// parse reads one JSON text. The depth of nesting is bounded by encoding/json.
func parse(body []byte) (value, error) {
	// encoding/json would put U+FFFD for bytes that are not UTF-8 and go on.
	if !utf8.Valid(body) || !json.Valid(body) {
		return value{}, errNotJSON
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	return parseNext(dec, body)
}

func parseNext(dec *json.Decoder, body []byte) (value, error) {
	start := dec.InputOffset()
	token, err := dec.Token()
	if err != nil {
		return value{}, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	var v value
	switch token := token.(type) {
	case nil:
		v.kind = jsonNull
	case bool:
		v.kind = jsonBool
	case json.Number:
		v.kind = jsonNumber
	case string:
		v.kind, v.text = jsonText, token
	case json.Delim:
		if err := v.parseInside(dec, body, token); err != nil {
			return value{}, err
		}
	}
	// The offset before the value stands before its colon or comma.
	v.raw = bytes.TrimLeft(body[start:dec.InputOffset()], " \t\r\n:,")
	return v, nil
}

// parseInside reads what stands between an opening delimiter and its end.
func (v *value) parseInside(dec *json.Decoder, body []byte, opening json.Delim) error {
	v.kind = jsonArray
	if opening == '{' {
		v.kind = jsonObject
	}
	for dec.More() {
		var name string
		if v.kind == jsonObject {
			token, err := dec.Token()
			if err != nil {
				return fmt.Errorf("%w: %w", errNotJSON, err)
			}
			name, _ = token.(string)
		}
		next, err := parseNext(dec, body)
		if err != nil {
			return err
		}
		if v.kind == jsonObject {
			v.members = append(v.members, member{name, next})
		} else {
			v.items = append(v.items, next)
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("%w: %w", errNotJSON, err)
	}
	return nil
}

// get returns the first member of that name; its kind is absent if there is
// none. A second one is a problem of its own, see [value.repeated].
func (v value) get(name string) value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return value{}
}

// repeated lists the paths of the members that come more than once in their
// object, at any depth.
func (v value) repeated(path string) []string {
	var found []string
	seen := make(map[string]int, len(v.members))
	for _, m := range v.members {
		at := shorten(join(path, m.name), maxPath) // at each step: the depth may be great
		if seen[m.name]++; seen[m.name] == 2 {
			found = append(found, at)
		}
		if m.value.kind >= jsonArray {
			found = append(found, m.value.repeated(at)...)
		}
	}
	for i, item := range v.items {
		if item.kind >= jsonArray {
			found = append(found, item.repeated(shorten(index(path, i), maxPath))...)
		}
	}
	return found
}

// join names a member the way PagerDuty does: payload.summary.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// index names an element of an array: links[0].
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
