package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// object is a JSON object as it was written: its members in their order. Numbers are json.Number, so 1.50 stays 1.50.
type object []member

type member struct {
	name  string
	value any
}

func (o object) get(name string) (any, bool) {
	i := slices.IndexFunc(o, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].value, true
}

func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// parseTree reads one JSON text into object, []any, string, json.Number, bool and nil. A member that stands twice is an error.
func parseTree(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	tree, err := parseValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON text")
	}
	return tree, nil
}

func parseValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return parseObject(dec)
	case json.Delim('['):
		array := []any{}
		for dec.More() {
			value, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		_, err := dec.Token()
		return array, err
	}
	return token, nil
}

func parseObject(dec *json.Decoder) (any, error) {
	o := object{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("member name %v", token)
		}
		if _, twice := o.get(name); twice {
			return nil, fmt.Errorf("member %q stands twice", name)
		}
		value, err := parseValue(dec)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	_, err := dec.Token()
	return o, err
}

// lookUp follows a JSON pointer.
func lookUp(tree any, pointer string) (any, bool) {
	for i, step := range strings.Split(pointer, "/") {
		if i == 0 { // before the first slash
			continue
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch node := tree.(type) {
		case object:
			value, ok := node.get(step)
			if !ok {
				return nil, false
			}
			tree = value
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(node) {
				return nil, false
			}
			tree = node[n]
		default:
			return nil, false
		}
	}
	return tree, true
}

// show writes a tree for a failure message, long texts shortened.
func show(tree any) string {
	switch v := tree.(type) {
	case object:
		parts := make([]string, len(v))
		for i, m := range v {
			parts[i] = strconv.Quote(m.name) + ":" + show(m.value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, value := range v {
			parts[i] = show(value)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case string:
		if len(v) > 200 {
			return fmt.Sprintf("%q… (%d bytes)", v[:100], len(v))
		}
		return strconv.Quote(v)
	}
	return fmt.Sprint(tree)
}

func mustParseTree(tb testing.TB, text string) any {
	tb.Helper()
	tree, err := parseTree([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return tree
}
