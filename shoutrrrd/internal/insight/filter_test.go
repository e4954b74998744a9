package insight

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
)

func TestParseWords(t *testing.T) {
	for _, tt := range []struct {
		filter string
		want   Words
	}{
		{"", Words{}},
		{"  ", Words{}},
		{"disk", Words{Text: "disk"}},
		{"disk full", Words{Text: "disk full"}},
		{`"disk full"`, Words{Text: "disk full"}},
		{`lane:db state:refused sev>=error dedup:web-1 "disk full"`, Words{
			Lane: "db", States: []queue.State{queue.Refused}, AtLeast: new(queue.Error), DedupKey: "web-1", Text: "disk full",
		}},
		{`disk lane:db full`, Words{Lane: "db", Text: "disk full"}},
		{`lane:"db on call"`, Words{Lane: "db on call"}},
		{`dedup:"a \"b\" \\ c"`, Words{DedupKey: `a "b" \ c`}},
		{`dedup:web:1:disk`, Words{DedupKey: "web:1:disk"}},
		{`dedup=web-1`, Words{DedupKey: "web-1"}},
		{"LANE:db STATE:READY", Words{Lane: "db", States: []queue.State{queue.Ready}}},
		{"state:queued", Words{States: []queue.State{queue.Ready, queue.Blocked, queue.Waiting}}},
		{"state:dead,delivered", Words{States: []queue.State{queue.Delivered, queue.Refused, queue.Expired}}},
		{"state:refused state:dead", Words{States: []queue.State{queue.Refused, queue.Expired}}},
		{"state:in_flight", Words{InFlight: true}},
		{"sev:critical", Words{Exactly: new(queue.Critical)}},
		{"severity=info", Words{Exactly: new(queue.Info)}},
		{"sev:>=warning", Words{AtLeast: new(queue.Warning)}},
		{"sev:error sev>=error", Words{Exactly: new(queue.Error), AtLeast: new(queue.Error)}},
		{`"state:ready"`, Words{Text: "state:ready"}},
		{`"http://x/"`, Words{Text: "http://x/"}},
		{":x", Words{Text: ":x"}},
		{"лента", Words{Text: "лента"}},
		{`a"b"c`, Words{Text: "a b c"}},
		{`""`, Words{}},
	} {
		got, err := ParseWords(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.filter, diff)
		}
	}
}

func TestParseWordsErrors(t *testing.T) {
	for _, tt := range []struct{ filter, want string }{
		{"foo:bar", `"foo:bar": foo is no word of the filter; there are lane:, state:, sev: or sev>=, and dedup:; text with a colon stands in quotation marks`},
		{"disk http://x", `"http://x": http is no word`},
		{"state:redy", `"state:redy": there is no state "redy"; there are ready, blocked, in_flight`},
		{"state:unknown", `there is no state "unknown"`},
		{"state:,", `there is no state ""`},
		{"sev>=high", `"sev>=high": there is no severity "high"; there are critical, error, warning and info`},
		{"sev<error", `"sev<error": a severity takes sev:error or sev>=error`},
		{"sev>error", `"sev>error": a severity takes sev:error or sev>=error`},
		{"lane>=db", `"lane>=db": lane takes a colon: lane:VALUE`},
		{"lane:", `"lane:": the value is missing`},
		{`lane:""`, `"lane:": the value is missing`},
		{"lane:a lane:b", `"lane:b": it stands twice with two values`},
		{"dedup:a dedup:b", `"dedup:b": it stands twice`},
		{"sev:error sev:info", `"sev:info": it stands twice`},
		{"state:in_flight state:ready", `in_flight stands alone`},
		{`"disk`, `the quotation mark is not closed`},
		{`lane:"db`, `the quotation mark is not closed`},
		{strings.Repeat("x", 500) + ":y", "…"},
	} {
		_, err := ParseWords(tt.filter)
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 600 {
			t.Errorf("%.50s: %v, want %q", tt.filter, err, tt.want)
		}
	}
}

// Whatever is typed is understood or explained, and what is understood means the
// same when it is written out.
func FuzzParseWords(f *testing.F) {
	for _, seed := range []string{`lane:db state:refused sev>=error dedup:web-1 "disk full"`, `"`, `a"b`, `lane:"a\"`, "state:,", "sev:>=", "\xff:\xff", "sev>=CRITICAL x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		words, err := ParseWords(filter)
		if err != nil {
			if !utf8.ValidString(err.Error()) || diffZero(words) != "" {
				t.Fatalf("an error of %q with %+v", err, words)
			}
			return
		}
		again, err := ParseWords(words.String())
		if err != nil {
			t.Fatalf("%q means %q, which is not understood: %v", filter, words.String(), err)
		}
		if diff := cmp.Diff(words, again); diff != "" {
			t.Fatalf("%q means %q, which means something else (-first +second):\n%s", filter, words.String(), diff)
		}
	})
}

func diffZero(w Words) string { return cmp.Diff(Words{}, w) }

// String writes the filter in full.
func (w Words) String() string {
	quote := func(text string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	var all []string
	if w.Lane != "" {
		all = append(all, "lane:"+quote(w.Lane))
	}
	if w.DedupKey != "" {
		all = append(all, "dedup:"+quote(w.DedupKey))
	}
	for _, state := range w.States {
		all = append(all, "state:"+state.String())
	}
	if w.InFlight {
		all = append(all, "state:in_flight")
	}
	if w.AtLeast != nil {
		all = append(all, "sev>="+w.AtLeast.String())
	}
	if w.Exactly != nil {
		all = append(all, "sev:"+w.Exactly.String())
	}
	if w.Text != "" {
		all = append(all, quote(w.Text))
	}
	return strings.Join(all, " ")
}
