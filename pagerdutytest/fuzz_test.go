package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/prove"
)

// FuzzDecode: whatever the body, reading it ends without a panic, the parse is
// the one of encoding/json, and no event with two members of one name is taken.
func FuzzDecode(f *testing.F) {
	prove.NoRace(f)
	for _, tt := range alertCases {
		f.Add([]byte(tt.body), uint16(0), uint16(0), uint16(0), false)
	}
	f.Add([]byte(change(`{"summary":"s"}`, "")), uint16(0), uint16(0), uint16(0), true)
	for i, s := range bodies.Shapes() {
		if i%8 == 0 {
			body, from, to, times := s.Seed(maxBody / 4)
			f.Add(body, from, to, times, true)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, from, to, times uint16, lenient bool) {
		body = bodies.Grow(body, from, to, times, maxBody)
		for _, decode := range []func([]byte, bool) (event, []problem, error){decodeAlert, decodeChange} {
			ev, problems, err := decode(body, lenient)
			if err == nil && !json.Valid(body) {
				t.Fatal("took what is no JSON")
			}
			for _, p := range problems {
				if p.alertText() == "" || p.changeText() == "" {
					t.Fatalf("no words for %+v", p)
				}
			}
			if err != nil || len(problems) > 0 {
				continue
			}
			if names, members := countNames(t, body), countMembers(t, body); names != members {
				t.Fatalf("took an event with %d names for %d members", names, members)
			}
			if len(ev.key) != keyLength || bytes.ContainsFunc([]byte(ev.key), func(r rune) bool { return r > 'z' }) {
				t.Fatalf("took the key %q", ev.key)
			}
		}
		blankSecrets(string(body))
	})
}

// countNames counts the names as they are written.
func countNames(t *testing.T, body []byte) int {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	names := 0
	var inside []json.Delim // and whether a name comes next, by position
	var nameNext []bool
	for {
		token, err := dec.Token()
		if err != nil {
			return names
		}
		last := len(inside) - 1
		if delim, ok := token.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				inside, nameNext = append(inside, delim), append(nameNext, true)
				continue
			}
			inside, nameNext = inside[:last], nameNext[:last]
			last--
		} else if last >= 0 && inside[last] == '{' && nameNext[last] {
			names++
			nameNext[last] = false
			continue
		}
		if last >= 0 {
			nameNext[last] = true
		}
	}
}

// countMembers counts what encoding/json keeps of them.
func countMembers(t *testing.T, body []byte) int {
	t.Helper()
	var root any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // a number that float64 cannot hold is JSON all the same
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	var count func(any) int
	count = func(v any) int {
		n := 0
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				n += 1 + count(inner)
			}
		case []any:
			for _, inner := range v {
				n += count(inner)
			}
		}
		return n
	}
	return count(root)
}
