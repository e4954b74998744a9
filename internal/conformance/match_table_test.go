package conformance

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		name, want, got string
		known           names
		fails           string // a part of the failure, "" for a match
	}{
		{name: "same object in another order", want: `{"a":1,"b":"x"}`, got: `{"b":"x","a":1}`},
		{name: "member missing", want: `{"a":1,"b":2}`, got: `{"a":1}`, fails: `no member "b"`},
		{name: "member too many", want: `{"a":1}`, got: `{"a":1,"c":null}`, fails: `a member too many, "c"`},
		{name: "nested member too many", want: `{"p":{"a":1}}`, got: `{"p":{"a":1,"b":1}}`, fails: `/p: a member too many`},
		{name: "number as written", want: `1.50`, got: `1.50`},
		{name: "number rewritten", want: `1.50`, got: `1.5`, fails: "got 1.5"},
		{name: "exponent rewritten", want: `1e2`, got: `100`, fails: "got 100"},
		{name: "big integer rounded", want: `12345678901234567890`, got: `12345678901234567000`, fails: "want 12345678901234567890"},
		{name: "number as text", want: `1`, got: `"1"`, fails: `got "1"`},
		{name: "true", want: `true`, got: `true`},
		{name: "null for missing", want: `null`, got: `""`, fails: "want <nil>"},
		{name: "text differs in case", want: `"Disk"`, got: `"disk"`, fails: `want "Disk"`},
		{name: "object for text", want: `"x"`, got: `{}`, fails: "want the text"},
		{name: "text for object", want: `{}`, got: `"x"`, fails: "want an object"},
		{name: "array", want: `[1,"@ANY@"]`, got: `[1,"x"]`},
		{name: "array in another order", want: `[1,2]`, got: `[2,1]`, fails: "/0: got 2"},
		{name: "array too long", want: `[1]`, got: `[1,1]`, fails: "array of 1"},

		{name: "any", want: `"@ANY@"`, got: `"x"`},
		{name: "any, blank", want: `"@ANY@"`, got: `" \n"`, fails: "blank"},
		{name: "any, no text", want: `"@ANY@"`, got: `7`, fails: "want the text"},

		{name: "name comes again", want: `["@DEDUP1@","@DEDUP1@"]`, got: `["k","k"]`},
		{name: "name for two texts", want: `["@DEDUP1@","@DEDUP1@"]`, got: `["k","l"]`, fails: `got "l", want "k"`},
		{name: "two names for one text", want: `["@DEDUP1@","@DEDUP2@"]`, got: `["k","k"]`, fails: "which is what @DEDUP1@ stands for"},
		{name: "two families for one text", want: `["@DEDUP1@","@KEY1@"]`, got: `["k","k"]`},
		{name: "known name", want: `"@KEY1@"`, got: `"k"`, known: names{"@KEY1@": "other"}, fails: `want "other"`},
		{name: "blank name", want: `"@DEDUP1@"`, got: `""`, fails: "blank"},

		{name: "one of", want: `{"@ONEOF@":["a","b"]}`, got: `"b"`},
		{name: "none of", want: `{"@ONEOF@":["a","b"]}`, got: `"c"`, fails: "want one of"},
		{name: "one of, named", want: `[{"@ONEOF@":["a","b"],"@AS@":"@KEY1@"},"@KEY1@"]`, got: `["b","b"]`},
		{name: "one of, named, later another", want: `[{"@ONEOF@":["a","b"],"@AS@":"@KEY1@"},"@KEY1@"]`, got: `["b","a"]`, fails: `want "b" (@KEY1@)`},

		{name: "pattern", want: `{"@MATCH@":"^a.*z"}`, got: `"a\nz"`},
		{name: "no match", want: `{"@MATCH@":"^z"}`, got: `"az"`, fails: "want a match"},
		{name: "pattern on a number", want: `{"@MATCH@":"1"}`, got: `1`, fails: "want a text"},

		{name: "instant in UTC", want: `{"@TIME@":"2026-03-01T10:00:00Z"}`, got: `"2026-03-01T10:00:00.000Z"`},
		{name: "instant with an offset", want: `{"@TIME@":"2026-03-01T10:00:00Z"}`, got: `"2026-03-01T12:00:00+02:00"`},
		{name: "instant, offset without colon", want: `{"@TIME@":"2026-03-01T10:00:00Z"}`, got: `"2026-03-01T12:00:00.0004+0200"`},
		{name: "another instant", want: `{"@TIME@":"2026-03-01T10:00:00Z"}`, got: `"2026-03-01T12:00:00Z"`, fails: "want the instant"},
		{name: "a millisecond later", want: `{"@TIME@":"2026-03-01T10:00:00Z"}`, got: `"2026-03-01T10:00:00.001Z"`, fails: "want the instant"},
		{name: "no offset", want: `{"@TIME@":"2026-03-01T10:00:00Z"}`, got: `"2026-03-01T10:00:00"`, fails: "no ISO 8601"},

		{name: "raw", want: `"@RAW@:{\"b\": 1.0, \"a\":\"\\u003cb>\"}"`, got: `{"b":1.0,"a":"<b>"}`},
		{name: "raw in another order", want: `"@RAW@:{\"b\":1,\"a\":2}"`, got: `{"a":2,"b":1}`, fails: "want"},
		{name: "raw, number rewritten", want: `"@RAW@:{\"b\":[1.0]}"`, got: `{"b":[1]}`, fails: "want"},
		{name: "raw as a text", want: `"@RAW@:{}"`, got: `"{}"`, fails: "want"},

		{name: "unknown helper", want: `{"@NEW@":1}`, got: `"x"`, fails: "unknown helper @NEW@"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := names{}
			for name, text := range tt.known {
				n[name] = text
			}
			wantFailure(t, match(mustParseTree(t, tt.want), mustParseTree(t, tt.got), n, ""), tt.fails)
		})
	}
}

// wantFailure checks that err holds part, or that there is none if part is empty.
func wantFailure(t *testing.T, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("got %v, want a match", err)
	case part != "" && err == nil:
		t.Errorf("got a match, want a failure with %q", part)
	case part != "" && !strings.Contains(err.Error(), part):
		t.Errorf("got %v, want a failure with %q", err, part)
	}
}

func TestParseTree(t *testing.T) {
	tests := []struct{ name, text, fails string }{
		{"nested", `{"a":[{"b":null},true,1e400]}`, ""},
		{"member twice", `{"a":1,"a":1}`, `"a" stands twice`},
		{"nested member twice", `{"p":{"a":1,"b":2,"a":3}}`, `"a" stands twice`},
		{"escaped member twice", `{"a":1,"\u0061":1}`, `"a" stands twice`},
		{"two texts", `{} {}`, "more than one"},
		{"cut short", `{"a":[1`, "EOF"},
		{"empty", ``, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTree([]byte(tt.text))
			wantFailure(t, err, tt.fails)
		})
	}
}

func TestExpand(t *testing.T) {
	tests := []struct{ name, text, want, fails string }{
		{"repeat", `{"@REPEAT@":["ab",3]}`, `"ababab"`, ""},
		{"join", `{"@JOIN@":["x",{"@REPEAT@":["y",2]},"z"]}`, `"xyyz"`, ""},
		{"anywhere", `[{"a":{"@REPEAT@":["k",1]}}]`, `[{"a":"k"}]`, ""},
		{"nothing to do", `{"a":[1,"@ANY@"]}`, `{"a":[1,"@ANY@"]}`, ""},
		{"repeat without a number", `{"@REPEAT@":["ab"]}`, ``, "@REPEAT@ wants"},
		{"join of no texts", `{"@JOIN@":[1]}`, ``, "@JOIN@ wants texts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := expand(mustParseTree(t, tt.text))
			wantFailure(t, err, tt.fails)
			if tt.fails == "" && !sameAsWritten(mustParseTree(t, tt.want), got) {
				t.Errorf("got %s, want %s", show(got), tt.want)
			}
		})
	}
}

func TestLookUp(t *testing.T) {
	tree := mustParseTree(t, `{"a":[{"b/c":1},null],"~":"x"}`)
	tests := []struct{ pointer, want string }{
		{"/a/0/b~1c", "1"},
		{"/a/1", "null"},
		{"/~0", `"x"`},
		{"/a/2", ""},
		{"/a/-1", ""},
		{"/a/x", ""},
		{"/b", ""},
		{"/~0/x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.pointer, func(t *testing.T) {
			got, there := lookUp(tree, tt.pointer)
			if there != (tt.want != "") {
				t.Fatalf("got %s, there: %v", show(got), there)
			}
			if there && !sameAsWritten(mustParseTree(t, tt.want), got) {
				t.Errorf("got %s, want %s", show(got), tt.want)
			}
		})
	}
}
