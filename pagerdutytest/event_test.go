package pagerdutytest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// with is a good trigger whose top level has one more member.
func with(more string) string {
	return `{"routing_key":"` + testKey + `","event_action":"trigger","payload":{"summary":"s","source":"h","severity":"info"},` + more + `}`
}

// withPayload is a trigger with that payload.
func withPayload(p string) string {
	return `{"routing_key":"` + testKey + `","event_action":"trigger","payload":` + p + `}`
}

func withKey(k string) string {
	return `{"routing_key":` + k + `,"event_action":"resolve","dedup_key":"d"}`
}

const severityText = "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"

// alertCases lists what is refused, in strict and in lenient reading.
var alertCases = []struct {
	name, body string
	want       []string
	strictOnly bool // lenient reading takes it
}{
	{"nothing", `{}`, []string{"'routing_key' cannot be blank", "'event_action' is missing or blank"}, false},
	{"good trigger", minimal("trigger", "d"), nil, false},
	{"trigger without dedup key", withPayload(`{"summary":"s","source":"h","severity":"warning"}`), nil, false},
	{"bare resolve", withKey(`"` + testKey + `"`), nil, false},
	{"everything", with(`"dedup_key":"d","client":"c","client_url":"https://m.example/x","links":[{"href":"https://a.example"},{"href":"x","text":"t"}],"images":[{"src":"https://a.example/i.png","href":"https://a.example","alt":"i"}]`), nil, false},
	{"key blank", withKey(`"  "`), []string{"'routing_key' cannot be blank"}, false},
	{"key null", withKey(`null`), []string{"'routing_key' cannot be blank"}, false},
	{"key a number", withKey(`12345678901234567890123456789012`), []string{"'routing_key' must be a string"}, false},
	{"key short", withKey(`"0123456789abcdef"`), []string{"Length of 'routing_key' is incorrect (should be 32 characters)"}, false},
	{"REST API key", withKey(`"e+23rschqsESqk9Q6_-g"`), []string{"Length of 'routing_key' is incorrect (should be 32 characters)", "'routing_key' cannot contain non-alphanumeric characters."}, false},
	{"key with a letter that only looks right", withKey(`"0123456789abcdef0123456789abcdeе"`), []string{"'routing_key' cannot contain non-alphanumeric characters."}, false},
	{"orchestration key", withKey(`"R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T"`), nil, false},
	{"action capitalised", `{"routing_key":"` + testKey + `","event_action":"Trigger"}`, []string{"'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"}, false},
	{"acknowledge without dedup key", `{"routing_key":"` + testKey + `","event_action":"acknowledge"}`, []string{"'dedup_key' is missing or blank"}, false},
	{"resolve with blank dedup key", `{"routing_key":"` + testKey + `","event_action":"resolve","dedup_key":" "}`, []string{"'dedup_key' is missing or blank"}, false},
	{"dedup key of 255", with(`"dedup_key":"` + strings.Repeat("é", 255) + `"`), nil, false},
	{"dedup key of 256", with(`"dedup_key":"` + strings.Repeat("é", 256) + `"`), []string{"'dedup_key' is too long (maximum is 255 characters)"}, false},
	{"dedup key a number", with(`"dedup_key":7`), []string{"'dedup_key' must be a string"}, false},
	{"dedup key null", with(`"dedup_key":null`), []string{"'dedup_key' must be a string"}, true},
	{"no payload", `{"routing_key":"` + testKey + `","event_action":"trigger"}`, []string{"'payload' is missing or blank"}, false},
	{"payload a text", withPayload(`"s"`), []string{"'payload' must be an object"}, false},
	{"payload empty", withPayload(`{}`), []string{"'payload.summary' is missing or blank", "'payload.source' is missing or blank", "'payload.severity' is missing or blank"}, false},
	{"summary of 1024", withPayload(`{"summary":"` + strings.Repeat("ж", 1024) + `","source":"h","severity":"info"}`), nil, false},
	{"summary of 1025", withPayload(`{"summary":"` + strings.Repeat("ж", 1025) + `","source":"h","severity":"info"}`), []string{"'summary' is too long (maiximum is 1024 characters)"}, false},
	{"summary a number", withPayload(`{"summary":1,"source":"h","severity":"info"}`), []string{"'payload.summary' must be a string"}, false},
	{"severity capitalised", withPayload(`{"summary":"s","source":"h","severity":"Critical"}`), []string{severityText}, false},
	{"severity unknown", withPayload(`{"summary":"s","source":"h","severity":"none"}`), []string{severityText}, false},
	{"severity empty", withPayload(`{"summary":"s","source":"h","severity":""}`), []string{"'payload.severity' is missing or blank"}, false},
	{
		"payload of a resolve is read too", `{"routing_key":"` + testKey + `","event_action":"resolve","dedup_key":"d","payload":{"summary":"","source":"","severity":""}}`,
		[]string{"'payload.summary' is missing or blank", "'payload.source' is missing or blank", "'payload.severity' is missing or blank"},
		false,
	},
	{"payload of a resolve null", `{"routing_key":"` + testKey + `","event_action":"resolve","dedup_key":"d","payload":null}`, []string{"'payload' is missing or blank"}, true},
	{"timestamp with a bare hour", withPayload(`{"summary":"s","source":"h","severity":"info","timestamp":"2021-10-22T5:01:32Z"}`), []string{"'payload.timestamp' is invalid (must be an ISO 8601 timestamp)"}, false},
	{"timestamp a number", withPayload(`{"summary":"s","source":"h","severity":"info","timestamp":1437122578}`), []string{"'payload.timestamp' must be a string"}, false},
	{"timestamp empty", withPayload(`{"summary":"s","source":"h","severity":"info","timestamp":""}`), []string{"'payload.timestamp' is invalid (must be an ISO 8601 timestamp)"}, false},
	{"timestamp without a zone", withPayload(`{"summary":"s","source":"h","severity":"info","timestamp":"2021-10-22T05:01:32"}`), []string{"'payload.timestamp' is invalid (must be an ISO 8601 timestamp)"}, true},
	{"component an object", withPayload(`{"summary":"s","source":"h","severity":"info","component":{},"group":1,"class":false}`), []string{"'payload.component' must be a string", "'payload.group' must be a string", "'payload.class' must be a string"}, false},
	{"details a text", withPayload(`{"summary":"s","source":"h","severity":"info","custom_details":"x"}`), nil, false},
	{"details free", withPayload(`{"summary":"s","source":"h","severity":"info","custom_details":{"a":[1,{"b":null}]}}`), nil, false},
	{"client_url relative", with(`"client_url":"/x"`), []string{"'client_url' is invalid (must be an absolute URL)"}, true},
	{"client a number", with(`"client":5`), []string{"'client' must be a string"}, false},
	{"links no array", with(`"links":{"href":"x"}`), []string{"'links' must be an array"}, false},
	{"link no object", with(`"links":["x"]`), []string{"'links[0]' must be an object"}, false},
	{"link without href", with(`"links":[{"href":"x"},{"text":"t"}]`), []string{"'links[1].href' is missing or blank"}, false},
	{"image without src", with(`"images":[{"href":"https://a.example"}]`), []string{"'images[0].src' is missing or blank"}, false},
	{"image over http", with(`"images":[{"src":"http://a.example/i.png"}]`), []string{"'images[0].src' is invalid (must be served via HTTPS)"}, false},
	{"image without a host", with(`"images":[{"src":"https:///i.png"}]`), []string{"'images[0].src' is invalid (must be served via HTTPS)"}, false},
	{"unknown at the top", with(`"details":{},"contexts":[]`), []string{"'details' is not a member of the published schema", "'contexts' is not a member of the published schema"}, true},
	{"unknown in the payload", withPayload(`{"summary":"s","source":"h","severity":"info","details":1}`), []string{"'payload.details' is not a member of the published schema"}, true},
	{"member in another case", with(`"Client":"c"`), []string{"'Client' is not a member of the published schema"}, true},
	{"unknown in a link", with(`"links":[{"href":"x","type":"link"}]`), []string{"'links[0].type' is not a member of the published schema"}, true},
	{"unknown in an image", with(`"images":[{"src":"https://a.example/i","text":"t"}]`), []string{"'images[0].text' is not a member of the published schema"}, true},
	{"unknown of great length", with(`"` + strings.Repeat("x", 5000) + `":1`), []string{"'" + strings.Repeat("x", 99) + "…' is not a member of the published schema"}, true},
	{"twice at the top", with(`"client":"a","client":"b"`), []string{"'client' is given more than once"}, false},
	{"twice, once escaped", with(`"client":"a","cl\u0069ent":"b"`), []string{"'client' is given more than once"}, false},
	{"twice in the details", withPayload(`{"summary":"s","source":"h","severity":"info","custom_details":{"a":[{"b":1,"b":2}]}}`), []string{"'payload.custom_details.a[0].b' is given more than once"}, false},
}

func TestDecodeAlert(t *testing.T) {
	for _, tt := range alertCases {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			for _, lenient := range []bool{false, true} {
				if lenient && tt.strictOnly {
					want = nil
				}
				_, problems, err := decodeAlert([]byte(tt.body), lenient)
				if err != nil {
					t.Fatalf("lenient %v: %v", lenient, err)
				}
				var got []string
				for _, p := range problems {
					got = append(got, p.alertText())
				}
				if !slices.Equal(got, want) {
					t.Errorf("lenient %v: got %q, want %q", lenient, got, want)
				}
			}
		})
	}
}

// TestDecodeIsBounded: the answer to a hostile body stays small.
func TestDecodeIsBounded(t *testing.T) {
	var members strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&members, `"m%d":1,`, i)
	}
	deep := strings.Repeat(`{"`+strings.Repeat("n", 40)+`":`, 9_000) + `{"a":1,"a":2}` + strings.Repeat("}", 9_000)
	for _, body := range []string{with(members.String() + `"last":1`), withPayload(`{"custom_details":` + deep + `}`)} {
		_, problems, err := decodeAlert([]byte(body), false)
		if err != nil || len(problems) == 0 || len(problems) > maxProblems {
			t.Fatalf("got %d problems, %v", len(problems), err)
		}
		for _, p := range problems {
			if len(p.alertText()) > 2*maxPath || (p.flaw == repeated && len(p.path) > 2*maxPath) {
				t.Fatalf("got %s", p.alertText())
			}
		}
	}
}

func TestDecodeAlertReadsEverything(t *testing.T) {
	ev, problems, err := decodeAlert([]byte(`{"routing_key":"`+testKey+`","event_action":"trigger","dedup_key":"D","client":"cl","client_url":"https://c.example/",
		"payload":{"summary":"sum","source":"src","severity":"error","timestamp":"2015-07-17T08:42:58.315+0000","component":"comp","group":"grp","class":"cls",
		"custom_details": {"b": 1.50, "a":"x"}},
		"links":[{"href":"h","text":"t"}],"images":[{"src":"https://i.example/i","href":"h2","alt":"alt"}]}`), false)
	if err != nil || len(problems) > 0 {
		t.Fatalf("got %v, %v", problems, err)
	}
	got := fmt.Sprint(ev.key, ev.action, ev.dedupKey, ev.client, ev.clientURL, ev.payload.summary, ev.payload.source, ev.payload.severity,
		ev.payload.timestamp, ev.payload.component, ev.payload.group, ev.payload.class, string(ev.payload.details), ev.links, ev.images)
	want := fmt.Sprint(testKey, "trigger", "D", "cl", "https://c.example/", "sum", "src", "error",
		"2015-07-17T08:42:58.315+0000", "comp", "grp", "cls", `{"b": 1.50, "a":"x"}`, []Link{{"h", "t"}}, []Image{{"https://i.example/i", "h2", "alt"}})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecodeIsNoObject(t *testing.T) {
	for _, body := range []string{``, `{`, `[]`, `null`, `"x"`, `{} {}`, "{\"client\":\"\xff\"}", `{"a":1,}`, `routing_key=` + testKey, strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)} {
		if _, _, err := decodeAlert([]byte(body), false); err == nil {
			t.Errorf("alert %.40q: got no error", body)
		}
		if _, _, err := decodeChange([]byte(body), true); err == nil {
			t.Errorf("change %.40q: got no error", body)
		}
	}
}

func change(payload, more string) string {
	return `{"routing_key":"` + testKey + `","payload":` + payload + more + `}`
}

func TestDecodeChange(t *testing.T) {
	links := func(n int) string {
		return `,"links":[` + strings.TrimSuffix(strings.Repeat(`{"href":"x"},`, n), ",") + `]`
	}
	tests := []struct {
		name, body string
		want       []string
	}{
		{"good", change(`{"summary":"s","source":"h","timestamp":"2026-03-01T10:00:00Z","custom_details":{"a":1}}`, links(50)), nil},
		{"smallest", change(`{"summary":"s"}`, ""), nil},
		{"nothing", `{}`, []string{"routing_key can't be blank", "payload can't be blank"}},
		{"51 links", change(`{"summary":"s"}`, links(51)), []string{"links should have at most 50 item(s)"}},
		{"long summary", change(`{"summary":"`+strings.Repeat("x", 1025)+`"}`, ""), []string{"payload.summary should be at most 1024 character(s)"}},
		{"ruleset key", `{"routing_key":"R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T","payload":{"summary":"s"}}`, []string{"routing_key is invalid (must be the integration key of a service, not of a ruleset)"}},
		{"key of wrong form", `{"routing_key":"e+23","payload":{"summary":"s"}}`, []string{"routing_key should be 32 character(s)", "routing_key has invalid format"}},
		{"members of an alert", change(`{"summary":"s","severity":"info"}`, `,"event_action":"trigger","images":[]`), []string{
			"payload.severity is not a member of the published schema", "event_action is not a member of the published schema", "images is not a member of the published schema",
		}},
		{"wrong types", change(`{"summary":1,"source":2,"custom_details":[]}`, `,"links":1`), []string{"payload.summary is invalid", "payload.source is invalid", "payload.custom_details is invalid", "links is invalid"}},
		{"twice", change(`{"summary":"s","summary":"t"}`, ""), []string{"payload.summary is given more than once"}},
		{"timestamp", change(`{"summary":"s","timestamp":"yesterday"}`, ""), []string{"payload.timestamp is invalid (must be an ISO 8601 timestamp)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, problems, err := decodeChange([]byte(tt.body), false)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.changeText())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestIsTimestamp(t *testing.T) {
	tests := []struct {
		in               string
		strict, zoneless bool
	}{
		{"2015-07-17T08:42:58.315+0000", true, true}, // PagerDuty's own example
		{"2020-10-19T03:06:16.318Z", true, true},
		{"2020-10-19T03:06:16.318123Z", true, true},
		{"2020-10-19T03:06:16,3Z", true, true},
		{"2011-05-06T17:00Z", true, true},
		{"2011-05-06T03:30-07", true, true},
		{"2011-05-06T03:30-07:30", true, true},
		{"2011-05-06", true, true},
		{"2021-10-22T05:01:32", false, true},
		{"2021-10-22T5:01:32Z", false, false},
		{"2021-10-22 05:01:32Z", false, false},
		{"2021-10-22T05:01:32z", false, false},
		{"2021-13-22T05:01:32Z", false, false},
		{"2021-02-30T05:01:32Z", false, false},
		{"2021-2-03", false, false},
		{"2021-10-22T24:01:32Z", false, false},
		{"2021-10-22T05:60:32Z", false, false},
		{"2021-10-22T05:01:60Z", false, false},
		{"2021-10-22T05:01:32.Z", false, false},
		{"2021-10-22T05.5:01Z", false, false},
		{"2021-10-22T05:01:32+1", false, false},
		{"2021-10-22T05:01:32+01:", false, false},
		{"2021-10-22T05:01:32+01:60", false, false},
		{"2021-10-22T05:01:32+25:00", false, false},
		{"2021-10-22T05:01:32ZZ", false, false},
		{"2021-10-22T05:01:32Zulu", false, false},
		{"2021-10-22T", false, false},
		{"2021-10-22TZ", false, false},
		{"1437122578", false, false},
		{"", false, false},
		{" 2021-10-22", false, false},
		{"now", false, false},
	}
	for _, tt := range tests {
		if got := isTimestamp(tt.in, false); got != tt.strict {
			t.Errorf("isTimestamp(%q): got %v, want %v", tt.in, got, tt.strict)
		}
		if got := isTimestamp(tt.in, true); got != tt.zoneless {
			t.Errorf("isTimestamp(%q) with a zone left out: got %v, want %v", tt.in, got, tt.zoneless)
		}
	}
}
