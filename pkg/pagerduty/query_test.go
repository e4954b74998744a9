package pagerduty

import (
	"slices"
	"testing"
)

func TestSplitQuery(t *testing.T) {
	for _, tc := range []struct {
		query string
		want  []parameter
	}{
		{"", nil},
		{"&&", nil},
		{"a=1&B=2", []parameter{{"a", "1"}, {"b", "2"}}},
		{"a&b=", []parameter{{"a", ""}, {"b", ""}}},
		{"a=b=c", []parameter{{"a", "b=c"}}},
		{"a=x+y%20z%2B%zz%", []parameter{{"a", "x y z+%zz%"}}},
		{"a=db#1;x&b=?", []parameter{{"a", "db#1;x"}, {"b", "?"}}},
		{`details={"q":"a=1&b=2;c#d","s":"1+1","p":"95%","e":"%20","y":"\"hi\""}&source=w`, []parameter{
			{"details", `{"q":"a=1&b=2;c#d","s":"1+1","p":"95%","e":"%20","y":"\"hi\""}`}, {"source", "w"},
		}},
		{`details={"a":{"b":["}",{"c":"]"}]}}&x=1`, []parameter{{"details", `{"a":{"b":["}",{"c":"]"}]}}`}, {"x", "1"}}},
		{`DETAILS={"a":1}&x=1`, []parameter{{"details", `{"a":1}`}, {"x", "1"}}},
		{`details= {"a":"&"}&x=1`, []parameter{{"details", ` {"a":"&"}`}, {"x", "1"}}},
		{"details=%7B%22a%22%3A%22%26%22%7D&x=1", []parameter{{"details", `{"a":"&"}`}, {"x", "1"}}},
		{"details={%22a%22:%22b%20c%22}&x=1", []parameter{{"details", `{"a":"b c"}`}, {"x", "1"}}},
		{"details={key:value}&x=1", []parameter{{"details", "{key:value}"}, {"x", "1"}}},
		{`details={"a":"b&x=1`, []parameter{{"details", `{"a":"b`}, {"x", "1"}}},
		{`details={"a":1}x&y=1`, []parameter{{"details", `{"a":1}x`}, {"y", "1"}}},
		{`contexts=[{"href":"https://a?b&c"}]&x=1`, []parameter{{"contexts", `[{"href":"https://a?b&c"}]`}, {"x", "1"}}},
		{`source={a&severity=info`, []parameter{{"source", "{a"}, {"severity", "info"}}},
		{"details=a%3D1%26b%3D2", []parameter{{"details", "a=1&b=2"}}},
	} {
		if got := splitQuery(tc.query); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.query, got, tc.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"info", "warning", "error", "critical"}
	for given, want := range map[string]string{
		"warn": "warning", "WARN": "warning", "eror": "error", "crit": "critical", "inof": "info", "critcal": "critical",
		"high": "", "x": "", "": "", "none": "",
	} {
		if want != "" {
			want = ", did you mean " + want + "?"
		}
		if got := suggest(given, known); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}
