package conformance

import (
	"testing"
	"time"
)

// sent is an instant at which the results below were sent.
var sent = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func posted(bodies ...string) *result {
	r := &result{start: sent, end: sent.Add(time.Second)}
	for _, body := range bodies {
		r.requests = append(r.requests, request{"POST", "/v2/enqueue", "application/json", "events.pagerduty.com:443", []byte(body)})
	}
	return r
}

func failed(exit int, output string) *result {
	return &result{exit: exit, output: output, start: sent, end: sent}
}

func TestJudge(t *testing.T) {
	get := posted(`{}`)
	get.requests[0].method = "GET"
	form := posted(`{}`)
	form.requests[0].contentType = "text/plain"
	late := posted(`{}`)
	late.exit = 75
	told := posted(`{"dedup_key":"k"}`)
	told.output = "accepted, dedup key K"

	const want = `{"url":"u","message":"m","want":{"path":"/v2/enqueue","body":`
	tests := []struct {
		name, step string
		result     *result
		fails      string
	}{
		{"accepted", want + `{"a":1}}}`, posted(`{"a":1}`), ""},
		{"nothing sent", want + `{"a":1}}}`, posted(), "got 0 requests, want 1"},
		{"sent twice", want + `{"a":1}}}`, posted(`{"a":1}`, `{"a":1}`), "got 2 requests, want 1"},
		{"exit status", want + `{}}}`, late, "got exit 75"},
		{"another method", want + `{}}}`, get, "got GET"},
		{"another media type", want + `{}}}`, form, `"text/plain"`},
		{"another path", `{"url":"u","want":{"path":"/v2/change/enqueue"}}`, posted(`{}`), "path: got"},
		{"another target", `{"url":"u","want":{"target":"events.eu.pagerduty.com:443"}}`, posted(`{}`), "target: got"},
		{"unknown member of want", `{"url":"u","want":{"pathe":"/"}}`, posted(`{}`), `unknown member "pathe"`},
		{"member twice in the body", want + `{"a":1}}}`, posted(`{"a":1,"a":1}`), "stands twice"},
		{"time of sending", want + `{"payload":{"s":1}}}}`, posted(`{"payload":{"s":1,"timestamp":"2026-03-01T10:00:00.500Z"}}`), ""},
		{"another time", want + `{"payload":{"s":1}}}}`, posted(`{"payload":{"s":1,"timestamp":"2026-03-01T11:00:00Z"}}`), "want the time of sending"},
		{"no time", want + `{"payload":{"s":1}}}}`, posted(`{"payload":{"s":1,"timestamp":""}}`), "no ISO 8601"},
		{"a time that is asked for", want + `{"payload":{"timestamp":{"@TIME@":"2026-03-01T10:00:00Z"}}}}}`, posted(`{"payload":{}}`), `no member "timestamp"`},
		{"timestamp elsewhere", want + `{"payload":{}}}}`, posted(`{"payload":{},"timestamp":"2026-03-01T10:00:00Z"}`), "member too many"},

		{"several, in any order", `{"urls":["u","v"],"want":[{"body":{"a":"@DEDUP1@","n":1}},{"body":{"a":"@DEDUP2@","n":2}}]}`, posted(`{"a":"y","n":2}`, `{"a":"x","n":1}`), ""},
		{"several, one twice", `{"urls":["u","v"],"want":[{"body":{"n":1}},{"body":{"n":2}}]}`, posted(`{"n":1}`, `{"n":1}`), "want 2"},

		{"mentioned", want + `{"dedup_key":"@DEDUP1@"}},"mentions":["@DEDUP1@",["refused","ACCEPTED"]]}`, told, ""},
		{"not mentioned", want + `{"dedup_key":"k"}},"mentions":["severity"]}`, told, `does not mention "severity"`},
		{"none of the words", want + `{"dedup_key":"k"}},"mentions":[["a1","b2"]]}`, told, "does not mention"},
		{"unknown name mentioned", want + `{"dedup_key":"k"}},"mentions":["@DEDUP7@"]}`, told, "@DEDUP7@ is not known yet"},

		{"partial", `{"url":"u","want_partial":{"/a/b":"x","@MAXBYTES@":21,"/c":"@ABSENT@"}}`, posted(`{"a":{"b":"x"},"z":1}`), ""},
		{"partial, other value", `{"url":"u","want_partial":{"/a":"x"}}`, posted(`{"a":"y"}`), "/a: got"},
		{"partial, missing", `{"url":"u","want_partial":{"/a":"x"}}`, posted(`{}`), "/a: no such member"},
		{"partial, not absent", `{"url":"u","want_partial":{"/a":"@ABSENT@"}}`, posted(`{"a":null}`), "want no such member"},
		{"partial, too many bytes", `{"url":"u","want_partial":{"@MAXBYTES@":10}}`, posted(`{"a":"123456"}`), "want at most 10"},
		{"partial, two requests", `{"url":"u","want_partial":{"/a":1}}`, posted(`{"a":1}`, `{"a":1}`), "got 2 requests"},

		{"refused", `{"url":"u","want_error":{"exit":78,"mentions":["Severity",["a","warn"]],"not_mentions":["key"]}}`, failed(78, "severity: warn?"), ""},
		{"refused, one of two", `{"url":"u","want_error":{"exit":[65,78]}}`, failed(65, ""), ""},
		{"refused otherwise", `{"url":"u","want_error":{"exit":78}}`, failed(77, ""), "got exit 77, want 78"},
		{"not refused", `{"url":"u","want_error":{"exit":78}}`, failed(0, ""), "got exit 0"},
		{"refused but sent", `{"url":"u","want_error":{"exit":0}}`, posted(`{}`), "got 1 requests, want none"},
		{"refused without a word", `{"url":"u","want_error":{"exit":78,"mentions":["severity"]}}`, failed(78, "no"), "does not mention"},
		{"refused with the key", `{"url":"u","want_error":{"exit":78,"not_mentions":["ABC"]}}`, failed(78, "key abc"), "the output mentions"},

		{"any, the second", `{"url":"u","want_any":[{"want_error":{"exit":78}},{"want_partial":{"/a":1}}]}`, posted(`{"a":1}`), ""},
		{"any, none", `{"url":"u","want_any":[{"want_error":{"exit":78}},{"want_partial":{"/a":2}}]}`, posted(`{"a":1}`), "/a: got 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := readStep(mustParseTree(t, tt.step).(object))
			if err != nil {
				t.Fatal(err)
			}
			wantFailure(t, s.judge(tt.result, names{}), tt.fails)
		})
	}
}

// A step that does not hold leaves no names behind.
func TestJudgeBindsOnlyWhatHolds(t *testing.T) {
	n := names{}
	s, err := readStep(mustParseTree(t, `{"url":"u","want":{"body":{"a":"@DEDUP1@","b":2}}}`).(object))
	if err != nil {
		t.Fatal(err)
	}
	if s.judge(posted(`{"a":"x","b":1}`), n) == nil || len(n) != 0 {
		t.Fatalf("got names %v after a failure, want none", n)
	}
	if err := s.judge(posted(`{"a":"y","b":2}`), n); err != nil || n["@DEDUP1@"] != "y" {
		t.Errorf("got %v and names %v, want @DEDUP1@ bound to y", err, n)
	}
}

func TestReadCaseRefusesWhatItDoesNotKnow(t *testing.T) {
	tests := []struct{ name, text, fails string }{
		{"full", `{"name":"n","why":"w","want_keys":2,"steps":[{"url":"u","title":"t","params":{"a":"b"},"forget":true,"want":{},"mentions":[]}]}`, ""},
		{"unknown member", `{"name":"n","url":"u","want":{},"wants":1}`, `unknown member "wants"`},
		{"two wants", `{"name":"n","url":"u","want":{},"want_error":{}}`, "exactly one"},
		{"no want", `{"name":"n","url":"u"}`, "0 wants"},
		{"no URL", `{"name":"n","want":{}}`, "0 URLs"},
		{"a step beside steps", `{"name":"n","url":"u","steps":[{"url":"u","want":{}}]}`, `"url" stands beside steps`},
		{"steps empty", `{"name":"n","steps":[]}`, "empty"},
		{"message no text", `{"name":"n","url":"u","message":1,"want":{}}`, "message is no text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readCase(mustParseTree(t, tt.text))
			wantFailure(t, err, tt.fails)
		})
	}
}
