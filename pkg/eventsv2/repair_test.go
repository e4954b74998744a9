package eventsv2

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/plain"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// caseOptions make up what a case does not give.
var caseOptions = RepairOptions{
	Now:         time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
	NewDedupKey: func() string { return "made" },
}

// wholeCase completes the body of a case: it needs not repeat what each event
// has.
func wholeCase(body string) string {
	if strings.HasPrefix(body, "…") {
		body = `{"routing_key":"KEY","event_action":"trigger","dedup_key":"d",` + strings.TrimPrefix(body, "…") + "}"
	}
	body = strings.ReplaceAll(body, `"PAYLOAD"`, `{"summary":"s","source":"o","severity":"info","timestamp":"2026-01-02T03:04:05.000Z"}`)
	return strings.ReplaceAll(body, "KEY", secret)
}

// repairCase repairs a body and returns the event as it is stored, without what is
// the same in each, and the lines, which must stand in the details as well.
func repairCase(t *testing.T, body string) (got string, lines []string) {
	t.Helper()
	given := []byte(body)
	event, lines, err := Repair(context.Background(), given, caseOptions)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	copy(given, bytes.Repeat([]byte("?"), len(given))) // the caller uses it again
	if event.RoutingKey.Reveal() != secret {
		t.Errorf("%s: another key: %s", body, event.RoutingKey)
	}
	event.RoutingKey = Key{}
	got = string(event.AppendJSON(nil))
	if _, taken := event.Payload.CustomDetails.Get("relay_repairs_2"); taken {
		return got, lines // the case is about it
	}
	if told := string(appendString([]byte(`"relay_repairs":`), strings.Join(lines, "; "))); strings.Contains(got, told) {
		got = strings.NewReplacer(told+",", "", `,"custom_details":{`+told+`}`, "").Replace(got)
	} else if len(lines) > 0 && event.Payload.given() && event.Payload.DetailsText == "" {
		t.Errorf("%s became %s, which does not tell %q", body, got, lines)
	}
	got = strings.ReplaceAll(got, `"timestamp":"2026-11-24T10:00:00.000Z"`, "NOW")
	got = strings.ReplaceAll(got, `"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z"}`, `"PAYLOAD"`)
	got = strings.TrimPrefix(got, `{"event_action":"trigger",`)
	return strings.TrimSuffix(got, `,"dedup_key":"d"}`), lines
}

func TestRepair(t *testing.T) {
	for _, tc := range repairCases {
		t.Run(tc.name, func(t *testing.T) {
			got, lines := repairCase(t, wholeCase(tc.body))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tc.lines, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRepairUnreadableBytes(t *testing.T) {
	body := "\ufeff" + wholeCase("…\"payload\":{\"summary\":\"caf\xe9\nand more\",\"source\":\"o\",\"severity\":\"info\"}") + "\n\x00"
	got, lines := repairCase(t, body)
	if want := `"payload":{"source":"o","severity":"info","summary":"café\nand more",NOW}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := []string{"bytes that were not UTF-8 were read as windows-1252", "line ends or control characters stood bare in a text"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

// A summary that is too long shows its beginning, and the details have all of it,
// under a name that is free, before what the client gave.
func TestRepairLongSummary(t *testing.T) {
	long := strings.Repeat("é", MaxSummary+1)
	short := strings.Repeat("é", MaxSummary-1) + "…"
	for taken, name := range map[string]string{"other": "message", "message": "message_full"} {
		got, lines := repairCase(t, wholeCase(`…"payload":{"summary":"`+long+`","source":"o","severity":"info","custom_details":{"`+taken+`":1}}`))
		want := `"payload":{"source":"o","severity":"info","summary":"` + short + `",NOW,"custom_details":{"` + taken + `":1,"` + name + `":"` + long + `"}}`
		if got != want || len(lines) != 1 || lines[0] != "payload.summary had 1025 characters, at most 1024 are allowed" {
			t.Errorf("got %s, %q\nwant %s", got, lines, want)
		}
	}
}

// Trigger and resolve with one long key meet in its hash.
func TestRepairLongDedupKey(t *testing.T) {
	long := strings.Repeat("k", MaxDedupKey) + "é"
	hashes := map[string]bool{}
	for _, action := range Actions() {
		event, lines, err := Repair(context.Background(), []byte(wholeCase(`{"routing_key":"KEY","event_action":"`+string(action)+`","dedup_key":"`+long+`","payload":"PAYLOAD"}`)), caseOptions)
		if err != nil || len(lines) != 1 {
			t.Fatalf("%s: %v, %q", action, err, lines)
		}
		hashes[event.DedupKey] = true
		if value, _ := event.Payload.CustomDetails.Get("dedup_key"); string(value) != `"`+long+`"` {
			t.Errorf("%s: the details have %s, want the whole key", action, value)
		}
	}
	if len(hashes) != 1 || !hashes[digest(long)] {
		t.Errorf("got %v, want one hash", hashes)
	}
}

func TestSeverityOf(t *testing.T) {
	for text, want := range map[string]Severity{
		"critical": SeverityCritical, "CRITICAL": SeverityCritical, "crit": SeverityCritical, "Emergency": SeverityCritical, "fatal": SeverityCritical,
		"page": SeverityCritical, "P1": SeverityCritical, "sev-0": SeverityCritical, "SEV 1": SeverityCritical, "Down": SeverityCritical, "0": SeverityCritical,
		"error": SeverityError, "ERR": SeverityError, "high": SeverityError, "UNKNOWN": SeverityError, "unreachable": SeverityError, "p2": SeverityError,
		"warning": SeverityWarning, "WARN": SeverityWarning, "Average": SeverityWarning, "minor": SeverityWarning, "P-3": SeverityWarning, "4": SeverityWarning,
		"info": SeverityInfo, "Informational": SeverityInfo, "none": SeverityInfo, "OK": SeverityInfo, "Not classified": SeverityInfo, "debug": SeverityInfo, "6": SeverityInfo,
		"": SeverityError, "{{ .severity }}": SeverityError, "ünknown level": SeverityError, "8": SeverityError,
	} {
		if got := severityOf(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	for word, severity := range synonyms {
		if severityOf(word) != severity || !isSeverity(severity) {
			t.Errorf("%q is not found as it is written in the table", word)
		}
	}
}

func TestReadTime(t *testing.T) {
	const same = "2021-10-22T05:01:32.000Z"
	for _, tc := range []struct {
		text, want string
		exact      bool
	}{
		{"2021-10-22T05:01:32Z", same, true},
		{"2021-10-22T07:01:32.000+02:00", same, true},
		{"2021-10-22T05:01:32.000+0000", same, true},
		{"2021-10-22T5:01:32Z", same, false},
		{"2021-10-22T05:01:32.999999Z", "2021-10-22T05:01:32.999Z", true},
		{"2021-10-22T05:01Z", "2021-10-22T05:01:00.000Z", false},
		{"2021-10-22T03:01:32-02", same, false},
		{"2021-10-22T05:01:32", same, false},
		{"2021-10-22 5:01:32", same, false},
		{"2021-10-22 05:01:32.000001+00:00", same, false},
		{"2021-10-22 05:01:32 UTC", same, false},
		{"2021-10-22 05:01:32 +0000 UTC m=+0.001", same, false},
		{"2021/10/22 05:01:32", same, false},
		{"20211022T050132Z", same, false},
		{"2021-10-22", "2021-10-22T00:00:00.000Z", false},
		{"Fri, 22 Oct 2021 05:01:32 GMT", same, false},
		{"Fri, 22 Oct 2021 07:01:32 +0200", same, false},
		{"Fri Oct 22 05:01:32 2021", same, false},
		{"Fri Oct 22 05:01:32 UTC 2021", same, false},
		{"1634878892", same, false},
		{"1634878892.25", "2021-10-22T05:01:32.250Z", false},
		{"1.634878892e9", same, false},
		{"1634878892000", same, false},
		{"1634878892000000", same, false},
		{"1634878892000000000", same, false},
		{"Fri, 22 Oct 2021 05:01:32 CET", "", false}, // Go does not know how late that is
		{"0001-01-01T00:00:00Z", "", false},
		{"0000-12-31T23:00:00Z", "", false},
		{"9999-12-31T23:59:59-05:00", "", false},
		{"10000-01-01T00:00:00Z", "", false},
		{"2021-02-30T05:01:32Z", "", false},
		{"0", "", false},
		{"-1634878892", "", false},
		{"NaN", "", false},
		{"1e300", "", false},
		{"Inf", "", false},
		{"yesterday", "", false},
		{"10/22/2021", "", false}, // or is the 22nd the month?
	} {
		got, exact := readTime(tc.text)
		text := ""
		if isUsable(got) {
			text = got.UTC().Format(timestampLayout)
		}
		if text != tc.want || tc.want != "" && exact != tc.exact {
			t.Errorf("%s: got %q, exact %v, want %q, %v", tc.text, text, exact, tc.want, tc.exact)
		}
	}
}

// An abbreviation must not mean what it means where this runs.
func TestReadTimeAnywhere(t *testing.T) {
	before := time.Local
	t.Cleanup(func() { time.Local = before })
	time.Local = time.FixedZone("CET", 3600)
	if got, _ := readTime("Fri, 22 Oct 2021 05:01:32 CET"); !got.IsZero() {
		t.Errorf("got %s, want no time", got)
	}
}

// What is long without need is kept while there is room for it.
func TestRepairCutsOnlyForRoom(t *testing.T) {
	client, log := strings.Repeat("c", 2*maxMessageBytes), strings.Repeat("x", sureToFit)
	got, lines := repairCase(t, wholeCase(`…"client":"`+client+`","payload":{"summary":"s","source":"o","severity":"info","custom_details":{"log":"`+log+`"}}`))
	want := `"client":"` + client + `","payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"log":"` + log + `"}}`
	if got != want || len(lines) > 0 {
		t.Errorf("got %d bytes, %q, want %d", len(got), lines, len(want))
	}
}

func TestRepairTimestamp(t *testing.T) {
	for given, want := range map[string]struct{ stamp, line string }{
		`"2021-10-22 5:01:32"`: {`"timestamp":"2021-10-22T05:01:32.000Z"`, `payload.timestamp "2021-10-22 5:01:32" was read as 2021-10-22T05:01:32.000Z`},
		`1634878892000`:        {`"timestamp":"2021-10-22T05:01:32.000Z"`, `payload.timestamp "1634878892000" was read as 2021-10-22T05:01:32.000Z`},
		`"soon"`:               {"NOW", `payload.timestamp "soon" is no time that can be meant: the time of arrival stands for it`},
		`[1]`:                  {"NOW", `payload.timestamp "[1]" is no time that can be meant: the time of arrival stands for it`},
		`""`:                   {"NOW", ""},
		`null`:                 {"NOW", ""},
	} {
		got, lines := repairCase(t, wholeCase(`…"payload":{"summary":"s","source":"o","severity":"info","timestamp":`+given+`}`))
		if whole := `"payload":{"source":"o","severity":"info","summary":"s",` + want.stamp + `}`; got != whole || strings.Join(lines, "") != want.line {
			t.Errorf("%s: got %s, %q", given, got, lines)
		}
	}
}

func TestRepairChange(t *testing.T) {
	links := strings.TrimSuffix(strings.Repeat(`{"href":"https://e.com"},`, MaxChangeLinks), ",")
	for _, tc := range []struct {
		name, body, want string
		lines            []string
	}{
		{"valid", `"payload":{"summary":"s","source":"o","custom_details":{"a":1}}`, `"payload":{"summary":"s","source":"o",NOW,"custom_details":{"a":1}}`, nil},
		{"no source", `"payload":{"summary":"s"}`, `"payload":{"summary":"s",NOW}`, nil},
		{
			"an alert event",
			`"event_action":"trigger","dedup_key":"d","client":"c","client_url":"https://e.com","payload":{"summary":"s","severity":"info","component":"x","group":"g","class":"k"}`,
			`"payload":{"summary":"s",NOW,"custom_details":{"event_action":"trigger","dedup_key":"d","client":"c","client_url":"https://e.com","severity":"info","component":"x","group":"g","class":"k"}}`,
			[]string{
				"a change event has no event_action: it stands in custom_details", "a change event has no dedup_key: it stands in custom_details",
				"a change event has no client: it stands in custom_details", "a change event has no client_url: it stands in custom_details",
				"a change event has no severity: it stands in custom_details", "a change event has no component: it stands in custom_details",
				"a change event has no group: it stands in custom_details", "a change event has no class: it stands in custom_details",
			},
		},
		{
			"images", `"payload":{"summary":"s"},"images":[{"src":"https://e.com/i","href":"https://e.com","alt":"a"}]`,
			`"payload":{"summary":"s",NOW},"links":[{"href":"https://e.com/i","text":"a"},{"href":"https://e.com","text":"a"}]`,
			[]string{"images became links, which is all that a change event may have"},
		},
		{
			"too many links", `"payload":{"summary":"s"},"links":[` + links + `,{"href":"https://f.com","text":"t"}]`,
			`"payload":{"summary":"s",NOW,"custom_details":{"links_50":"t https://f.com"}},"links":[` + links + `]`,
			[]string{"51 links, at most 50 are allowed: the others stand in custom_details"},
		},
		{"no payload", `"dedup_key":null`, `"payload":{"summary":"event without a summary",NOW}`, []string{`payload.summary was missing: "event without a summary" stands for it`}},
	} {
		change, lines, err := RepairChange(context.Background(), []byte(`{"routing_key":"`+secret+`",`+tc.body+`}`), caseOptions)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		change.RoutingKey = Key{}
		got := string(change.AppendJSON(nil))
		if len(lines) > 0 {
			told := string(appendString([]byte(`"relay_repairs":`), strings.Join(lines, "; ")))
			got = strings.NewReplacer(told+",", "", `,"custom_details":{`+told+`}`, "").Replace(got)
		}
		got = strings.ReplaceAll(got, `"timestamp":"2026-11-24T10:00:00.000Z"`, "NOW")
		if diff := cmp.Diff("{"+tc.want+"}", got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.lines, lines); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// What AppendJSON wrote is read back so that it is written in the same bytes,
// whatever the texts and details are, and the key's bytes can be put in later.
func TestParseEventRoundTrip(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }), rapid.Just(""))
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string { return text.Draw(t, name) }
		event := Event{
			Action: rapid.SampledFrom(Actions()).Draw(t, "action"), DedupKey: draw("dedup"), Client: draw("client"), ClientURL: draw("url"),
			Payload: Payload{
				Summary: draw("summary"), Source: draw("source"), Component: draw("component"), Group: draw("group"), Class: draw("class"),
				Severity: rapid.SampledFrom(append(Severities(), "")).Draw(t, "severity"),
			},
		}
		if rapid.Bool().Draw(t, "timed") {
			event.Payload.Timestamp = time.UnixMicro(rapid.Int64Range(0, 250e15).Draw(t, "time"))
		}
		var taken names
		for range rapid.IntRange(0, 20).Draw(t, "details") {
			value := rapid.SampledFrom([]string{`1.50`, `null`, `"\u0041\/"`, `{"a":[1,{"b":-0e1}]}`, `""`}).Draw(t, "value")
			name := plain.Text(plain.UTF8(draw("name"))) // as all details are read
			event.Payload.CustomDetails = append(event.Payload.CustomDetails, Member{taken.free(name), []byte(value)})
		}
		for range rapid.IntRange(0, 2).Draw(t, "links") {
			event.Links = append(event.Links, Link{Href: draw("href"), Text: draw("text")})
			event.Images = append(event.Images, Image{Src: draw("src"), Href: draw("href"), Alt: draw("alt")})
		}
		key, err := ParseKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		stored := event.AppendJSON(nil)
		event.RoutingKey = key
		wire := event.AppendJSON(nil)
		if got := key.AppendTo([]byte("x"), stored); string(got) != "x"+string(wire) {
			t.Fatalf("the key and %q are %q, want %q", stored, got, wire)
		}
		for _, body := range [][]byte{stored, wire} {
			back, err := ParseEvent(body)
			if err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			if again := back.AppendJSON(nil); !bytes.Equal(again, body) {
				t.Fatalf("%q became %q", body, again)
			}
		}
	})
}

func TestParseEventRefuses(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `{"routing_key":"` + secret[1:] + `"}`, `{"event_action":7}`, `{"payload":{"custom_details":[]}}`, `{"payload":{"custom_details":{"a":1,"a":2}}}`,
		`{"payload":{"timestamp":"soon"}}`, `{"event_action":"trigger"`,
	} {
		event, err := ParseEvent([]byte(body))
		if err == nil {
			t.Errorf("%s was read as %+v", body, event)
		} else if strings.Contains(err.Error(), secret[1:9]) {
			t.Errorf("the error holds the key: %v", err)
		}
	}
}

func TestTell(t *testing.T) {
	event := fullEvent(t)
	event.Payload.CustomDetails = Details{Text("relay_repeats", "mine")}
	event.Tell("relay_repeats", "the latest of 3")
	want := `{"relay_repeats_2":"the latest of 3","relay_repeats":"mine"}`
	if got := string(event.Payload.CustomDetails.AppendJSON(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A note in an event that is as large as it may be still goes, with the key.
func TestTellFits(t *testing.T) {
	event := fullEvent(t)
	key := event.RoutingKey
	event.Payload.CustomDetails = Details{Text("log", "")}
	event.Payload.CustomDetails = Details{Text("log", strings.Repeat("x", MaxEventBytes-len(event.AppendJSON(nil))))}
	event.RoutingKey = Key{}
	if wire := key.AppendTo(nil, event.AppendJSON(nil)); len(wire) != MaxEventBytes {
		t.Fatalf("the event has %d bytes", len(wire))
	}
	event.Tell("relay_repeats", "the latest of 3")
	wire := key.AppendTo(nil, event.AppendJSON(nil))
	if len(wire) > MaxEventBytes || !bytes.Contains(wire, []byte(`{"relay_repeats":"the latest of 3","log":"xxx`)) {
		t.Errorf("the event has %d bytes: %.600s", len(wire), wire)
	}
	event.Payload.CustomDetails, event.Client = nil, strings.Repeat("c", MaxEventBytes)
	event.Tell("relay_repeats", "the latest of 3")
	if len(event.Payload.CustomDetails) > 0 {
		t.Error("a note was put where there is no room for it")
	}
}

func TestOccurrences(t *testing.T) {
	key := mustKey(t, secret)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{secret, strings.ToLower(secret), secret[:31], "a", " ", "-", strings.Repeat("x", 40), strings.Repeat(".", 40)}), 0, 12).Draw(t, "parts")
		text := strings.Join(parts, "")
		want := 0
		for at := 0; at+len(secret) <= len(text); at++ {
			if strings.EqualFold(text[at:at+len(secret)], secret) {
				want++
			}
		}
		if got := occurrences(key, text); got != want {
			t.Fatalf("%q: got %d, want %d", text, got, want)
		}
	})
}
