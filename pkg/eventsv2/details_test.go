package eventsv2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/plain"
	"github.com/containrrr/shoutrrr/internal/prove"
)

func TestParseDetails(t *testing.T) {
	for _, tc := range []struct{ text, want, fails string }{
		{`{}`, `{}`, ""},
		{`{"zeta": 1, "id":12345678901234567890, "ratio":5.20, "alpha":1e2}`, `{"zeta":1,"id":12345678901234567890,"ratio":5.20,"alpha":1e2}`, ""},
		{"{\n  \"a\": [1, {\"b\": null}],\n  \"c\": \" spaces stay \"\n}", `{"a":[1,{"b":null}],"c":" spaces stay "}`, ""},
		{`{"html":"<b>&</b>","esc":"\u0041\"\\"}`, `{"html":"<b>&</b>","esc":"\u0041\"\\"}`, ""},
		{`{"":1}`, `{"":1}`, ""},
		{"{\"latin\":\"caf\xe9\"}", "{\"latin\":\"café\"}", ""},
		{`{"log":"\u001b[1mred\u001B[m","n":1.50}`, `{"log":"red","n":1.50}`, ""},
		{`{"half":"\ud83d","pair":"\ud83d\ude00","low":"\ude00x","text":"\\ud83d"}`, `{"half":"\ufffd","pair":"\ud83d\ude00","low":"\ufffdx","text":"\\ud83d"}`, ""},
		{`{"two":"\ud83d\ud83d\ude00"}`, `{"two":"\ufffd\ud83d\ude00"}`, ""},
		{`{"a":1,"a":2}`, "", `"a" stands twice`},
		{`{"a":1,"\u0061":2}`, "", `"a" stands twice`},
		{`{"o":{"x":1,"x":1}}`, "", `"x" stands twice`},
		{`{"o":[{"x":1,"x":1}]}`, "", `"x" stands twice`},
		{`{` + manyMembers(40) + `"z":1}`, `{` + manyMembers(40) + `"z":1}`, ""},
		{`{` + manyMembers(40) + `"m7":1}`, "", `"m7" stands twice`},
		{`{` + manyMembers(40) + `"m39":1}`, "", `"m39" stands twice`},
		{`{` + manyMembers(16) + `"m15":1}`, "", `"m15" stands twice`},
		{`["a"]`, "", "must be a JSON object"},
		{`"a"`, "", "must be a JSON object"},
		{`null`, "", "must be a JSON object"},
		{`{key:"value"}`, "", "is not JSON"},
		{`{"a":1`, "", "is not JSON"},
		{`{"a":1} {}`, "", "is not JSON"},
		{``, "", "is not JSON"},
		{strings.Repeat("[", 20_000), "", "is not JSON"},
	} {
		details, err := ParseDetails([]byte(tc.text))
		if tc.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%.60s: err %v, want %q", tc.text, err, tc.fails)
			}
			continue
		}
		if got := string(details.AppendJSON(nil)); err != nil || got != tc.want {
			t.Errorf("%.60s:\ngot  %s, %v\nwant %s", tc.text, got, err, tc.want)
		}
	}
}

// manyMembers is the beginning of an object with more members than a short list
// of names holds.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":%d,`, i, i)
	}
	return b.String()
}

// What is accepted is one JSON object that strict receivers take, and reading it
// again changes nothing.
func FuzzDetails(f *testing.F) {
	prove.NoRace(f)
	for _, seed := range []string{
		`{}`, `{"a":[1,2,{"b":"c"}],"d":-1.5e+3}`, `{"a":"\ud83d","b":"\ud83d\ude00"}`, `{"a":{"a":{}},"b":[[]]}`,
		`{"\u0061":1,"a":2}`, "{\"x\":\"\xff\"}", `{"a":"\\"}`, `{"a":tru`, `[]`, ` {"a" : 1 } `,
	} {
		f.Add([]byte(seed), uint16(0), uint16(0), uint16(0))
	}
	for i, s := range bodies.Shapes() {
		if i%8 == 1 {
			body, from, to, times := s.Seed(MaxEventBytes / 4)
			f.Add(body, from, to, times)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, from, to, times uint16) {
		text = bodies.Grow(text, from, to, times, MaxEventBytes)
		details, err := ParseDetails(text)
		if err != nil {
			return
		}
		out := details.AppendJSON(nil)
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("%q became %q", text, out)
		}
		again, err := ParseDetails(out)
		if err != nil || !bytes.Equal(again.AppendJSON(nil), out) {
			t.Fatalf("%q became %q, and that %q, %v", text, out, again.AppendJSON(nil), err)
		}
		if plain.HasControls(string(out)) {
			t.Fatalf("%q became %q, with control characters", text, out)
		}
		mended := bytes.Contains(text, []byte(`\u`)) || bytes.Contains(text, []byte(`\b`)) || bytes.Contains(text, []byte(`\f`)) || plain.HasControls(text)
		if utf8.Valid(text) && !mended { // else something may have been mended
			if want, got := numbersKept(t, text), numbersKept(t, out); !reflect.DeepEqual(want, got) {
				t.Fatalf("%q became %q", text, out)
			}
		}
		seen := map[string]bool{}
		for _, m := range details {
			if seen[m.Name] {
				t.Fatalf("%q holds %q twice", out, m.Name)
			}
			seen[m.Name] = true
		}
	})
}

// numbersKept decodes JSON with its numbers as they are written.
func numbersKept(t *testing.T, text []byte) (value any) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}
