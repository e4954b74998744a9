package conformance

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// names are the texts that the case's names (@DEDUP1@, @KEY1@) have come to stand for.
type names map[string]string

var namePattern = regexp.MustCompile(`@([A-Z]+)[0-9]+@`)

func isName(s string) bool { return namePattern.FindString(s) == s && s != "" }

// bind lets name stand for text, or checks that it does.
func (n names) bind(name, text string) error {
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("got a blank text for %s", name)
	}
	if known, ok := n[name]; ok {
		if known != text {
			return fmt.Errorf("got %q, want %q (%s)", text, known, name)
		}
		return nil
	}
	family := namePattern.FindStringSubmatch(name)[1]
	for other, known := range n {
		if namePattern.FindStringSubmatch(other)[1] == family && known == text {
			return fmt.Errorf("got %q for %s, which is what %s stands for", text, name, other)
		}
	}
	n[name] = text
	return nil
}

// fill writes the known names out. A name that is not known yet is an error of the case.
func (n names) fill(s string) (string, error) {
	var err error
	filled := namePattern.ReplaceAllStringFunc(s, func(name string) string {
		text, ok := n[name]
		if !ok && err == nil {
			err = fmt.Errorf("%s is not known yet", name)
		}
		return text
	})
	return filled, err
}

// match compares what came with what is wanted, helpers included. Names that it meets are bound in n.
func match(want, got any, n names, at string) error {
	switch want := want.(type) {
	case object:
		if isHelper(want) {
			return matchHelper(want, got, n, at)
		}
		return matchObject(want, got, n, at)
	case []any:
		array, ok := got.([]any)
		if !ok || len(array) != len(want) {
			return fmt.Errorf("%s: got %s, want an array of %d", at, show(got), len(want))
		}
		for i := range want {
			if err := match(want[i], array[i], n, fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
		return nil
	case string:
		return matchText(want, got, n, at)
	}
	if want != got { // json.Number, bool, nil: as they are written
		return fmt.Errorf("%s: got %s, want %s", at, show(got), show(want))
	}
	return nil
}

func matchObject(want object, got any, n names, at string) error {
	o, ok := got.(object)
	if !ok {
		return fmt.Errorf("%s: got %s, want an object", at, show(got))
	}
	for _, m := range want {
		value, ok := o.get(m.name)
		if !ok {
			return fmt.Errorf("%s: no member %q in %s", at, m.name, show(got))
		}
		if err := match(m.value, value, n, at+"/"+m.name); err != nil {
			return err
		}
	}
	for _, m := range o {
		if _, wanted := want.get(m.name); !wanted {
			return fmt.Errorf("%s: a member too many, %q: %s", at, m.name, show(m.value))
		}
	}
	return nil
}

func matchText(want string, got any, n names, at string) error {
	if raw, ok := strings.CutPrefix(want, "@RAW@:"); ok {
		tree, err := parseTree([]byte(raw))
		if err != nil {
			return fmt.Errorf("%s: the case's @RAW@ is no JSON: %w", at, err)
		}
		if !sameAsWritten(tree, got) {
			return fmt.Errorf("%s: got %s, want %s", at, show(got), show(tree))
		}
		return nil
	}
	text, ok := got.(string)
	if !ok {
		return fmt.Errorf("%s: got %s, want the text %s", at, show(got), show(want))
	}
	switch {
	case want == "@ANY@":
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("%s: got a blank text", at)
		}
	case isName(want):
		if err := n.bind(want, text); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	case want != text:
		return fmt.Errorf("%s: got %s, want %s", at, show(text), show(want))
	}
	return nil
}

// sameAsWritten compares two trees with the order of their members.
func sameAsWritten(a, b any) bool {
	switch a := a.(type) {
	case object:
		o, ok := b.(object)
		return ok && slices.EqualFunc(a, o, func(x, y member) bool { return x.name == y.name && sameAsWritten(x.value, y.value) })
	case []any:
		array, ok := b.([]any)
		return ok && slices.EqualFunc(a, array, sameAsWritten)
	}
	return a == b
}

func isHelper(o object) bool {
	return slices.ContainsFunc(o, func(m member) bool { return strings.HasPrefix(m.name, "@") })
}

func matchHelper(helper object, got any, n names, at string) error {
	text, ok := got.(string)
	if !ok {
		return fmt.Errorf("%s: got %s, want a text", at, show(got))
	}
	for _, m := range helper {
		var err error
		switch m.name {
		case "@ONEOF@":
			err = matchOneOf(m.value, text, n, at)
		case "@AS@":
			name, ok := m.value.(string)
			if !ok || !isName(name) {
				return fmt.Errorf("%s: the case's @AS@ is no name: %s", at, show(m.value))
			}
			err = n.bind(name, text)
		case "@MATCH@":
			err = matchPattern(m.value, text)
		case "@TIME@":
			err = matchTime(m.value, text)
		default:
			err = fmt.Errorf("the case has an unknown helper %s", m.name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func matchOneOf(choices any, text string, n names, at string) error {
	array, ok := choices.([]any)
	if !ok {
		return fmt.Errorf("the case's @ONEOF@ is no array: %s", show(choices))
	}
	for _, choice := range array {
		trial := maps.Clone(n)
		if match(choice, text, trial, at) == nil {
			maps.Copy(n, trial)
			return nil
		}
	}
	return fmt.Errorf("got %s, want one of %s", show(text), show(choices))
}

func matchPattern(pattern any, text string) error {
	s, ok := pattern.(string)
	if !ok {
		return fmt.Errorf("the case's @MATCH@ is no text: %s", show(pattern))
	}
	re, err := regexp.Compile("(?s)" + s)
	if err != nil {
		return fmt.Errorf("the case's @MATCH@: %w", err)
	}
	if !re.MatchString(text) {
		return fmt.Errorf("got %s, want a match of %s", show(text), s)
	}
	return nil
}

func matchTime(want any, text string) error {
	s, ok := want.(string)
	if !ok {
		return fmt.Errorf("the case's @TIME@ is no text: %s", show(want))
	}
	instant, err := parseTime(s)
	if err != nil {
		return fmt.Errorf("the case's @TIME@: %w", err)
	}
	got, err := parseTime(text)
	if err != nil {
		return err
	}
	if got.Sub(instant).Abs() >= time.Millisecond {
		return fmt.Errorf("got %s, want the instant %s", text, s)
	}
	return nil
}

// parseTime reads the ISO 8601 forms of an instant: date and time, extended or basic, with an offset.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
		"2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04Z07",
		"20060102T150405Z0700", "20060102T150405Z07:00", "20060102T150405Z07",
	} {
		if instant, err := time.Parse(layout, s); err == nil { // a fraction after the seconds is read in any case
			return instant, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no ISO 8601 time with an offset", s)
}
