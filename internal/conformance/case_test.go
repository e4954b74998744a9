package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// conformanceCase is one case of cases.json. A case without steps has one.
type conformanceCase struct {
	name, why string
	steps     []step
	wantKeys  int
}

// step is one send and what must come of it.
type step struct {
	urls     []string
	message  string
	title    *string
	params   object
	forget   bool
	want     []outcome // of which one must hold
	mentions []any
}

// outcome is exactly one of want, want_partial and want_error.
type outcome struct {
	want      []any // requests, in any order
	partial   object
	wantError object
}

// readCases reads cases.json. A member that the grammar does not know is an error: a runner that passes over it would pass anything.
func readCases() ([]conformanceCase, error) {
	data, err := os.ReadFile(filepath.Join("testdata", "cases.json"))
	if err != nil {
		return nil, err
	}
	tree, err := parseTree(data)
	if err != nil {
		return nil, err
	}
	if tree, err = expand(tree); err != nil {
		return nil, err
	}
	array, ok := tree.([]any)
	if !ok {
		return nil, errors.New("cases.json is no array")
	}
	cases := make([]conformanceCase, len(array))
	for i := range array {
		if cases[i], err = readCase(array[i]); err != nil {
			return nil, fmt.Errorf("case %d (%s): %w", i+1, cases[i].name, err)
		}
	}
	return cases, nil
}

func readCase(tree any) (conformanceCase, error) {
	var c conformanceCase
	o, ok := tree.(object)
	if !ok {
		return c, errors.New("no object")
	}
	var single object
	var err error
	for _, m := range o {
		switch m.name {
		case "name":
			err = setText(&c.name, m)
		case "why":
			err = setText(&c.why, m)
		case "want_keys":
			c.wantKeys, err = readInt(m)
		case "steps":
			c.steps, err = readSteps(m.value)
		default:
			single = append(single, m)
		}
		if err != nil {
			return c, err
		}
	}
	if c.steps != nil {
		if len(single) > 0 {
			return c, fmt.Errorf("%q stands beside steps", single[0].name)
		}
		return c, nil
	}
	s, err := readStep(single)
	c.steps = []step{s}
	return c, err
}

func readSteps(tree any) ([]step, error) {
	array, ok := tree.([]any)
	if !ok || len(array) == 0 {
		return nil, errors.New("steps is no array, or empty")
	}
	steps := make([]step, len(array))
	for i := range array {
		o, ok := array[i].(object)
		if !ok {
			return nil, fmt.Errorf("step %d is no object", i+1)
		}
		var err error
		if steps[i], err = readStep(o); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return steps, nil
}

func readStep(o object) (step, error) {
	var s step
	var wants int
	for _, m := range o {
		var err error
		switch m.name {
		case "url":
			s.urls = make([]string, 1)
			err = setText(&s.urls[0], m)
		case "urls":
			s.urls, err = readTexts(m)
		case "message":
			err = setText(&s.message, m)
		case "title":
			s.title = new(string)
			err = setText(s.title, m)
		case "params":
			s.params, err = readObject(m)
		case "forget":
			s.forget = m.value == true
		case "mentions":
			s.mentions, err = readArray(m)
		case "want_any":
			wants++
			s.want, err = readAlternatives(m)
		default:
			wants++
			s.want = make([]outcome, 1)
			s.want[0], err = readOutcome(m)
		}
		if err != nil {
			return s, err
		}
	}
	if len(s.urls) == 0 || wants != 1 {
		return s, fmt.Errorf("%d URLs and %d wants, want at least one and exactly one", len(s.urls), wants)
	}
	return s, nil
}

func readAlternatives(m member) ([]outcome, error) {
	array, err := readArray(m)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(array))
	for i := range array {
		o, ok := array[i].(object)
		if !ok || len(o) != 1 {
			return nil, fmt.Errorf("%s: alternative %d is no object of one member", m.name, i+1)
		}
		if outcomes[i], err = readOutcome(o[0]); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

func readOutcome(m member) (outcome, error) {
	var o outcome
	var err error
	switch m.name {
	case "want":
		if array, ok := m.value.([]any); ok {
			o.want = array
		} else {
			o.want = []any{m.value}
		}
	case "want_partial":
		o.partial, err = readObject(m)
	case "want_error":
		o.wantError, err = readObject(m)
	default:
		err = fmt.Errorf("unknown member %q", m.name)
	}
	return o, err
}

func setText(to *string, m member) error {
	text, ok := m.value.(string)
	if !ok {
		return fmt.Errorf("%s is no text: %s", m.name, show(m.value))
	}
	*to = text
	return nil
}

func readTexts(m member) ([]string, error) {
	array, err := readArray(m)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(array))
	for i := range array {
		if err := setText(&texts[i], member{m.name, array[i]}); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func readArray(m member) ([]any, error) {
	array, ok := m.value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is no array: %s", m.name, show(m.value))
	}
	return array, nil
}

func readObject(m member) (object, error) {
	o, ok := m.value.(object)
	if !ok {
		return nil, fmt.Errorf("%s is no object: %s", m.name, show(m.value))
	}
	return o, nil
}

func readInt(m member) (int, error) {
	number, ok := m.value.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s is no number: %s", m.name, show(m.value))
	}
	return strconv.Atoi(number.String())
}
