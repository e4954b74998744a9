package eventsv2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

const repairKey = "e93facc04764012d7bfb002500d5d1a6"

func repairOptions() eventsv2.RepairOptions {
	made := 0
	return eventsv2.RepairOptions{
		Now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
		NewDedupKey: func() string {
			made++
			return fmt.Sprintf("made-%d", made)
		},
	}
}

// post gives the emulator a body as a client would.
func post(path string, body []byte) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	pagerdutytest.New(pagerdutytest.Options{}).ServeHTTP(answer, request)
	return answer
}

// repaired is what must hold for any body whatever: the strict emulator takes what
// comes out, or the error has the words with which it refuses.
func repaired(t testing.TB, body []byte) {
	t.Helper()
	event, lines, err := eventsv2.Repair(context.Background(), body, repairOptions())
	key, keyErr := eventsv2.ReadKey(context.Background(), body)
	alike(t, body, event.RoutingKey, key, err, keyErr)
	if err != nil {
		refused(t, err)
		return
	}
	if err := event.Validate(); err != nil {
		t.Fatalf("%q: %v", short(body), err)
	}
	wire := event.AppendJSON(nil)
	accepted(t, "/v2/enqueue", body, wire)
	again, more, err := eventsv2.Repair(context.Background(), wire, repairOptions())
	if err != nil || len(more) > 0 || !bytes.Equal(again.AppendJSON(nil), wire) {
		t.Fatalf("%q became %q, and that %q, %q, %v", short(body), short(wire), short(again.AppendJSON(nil)), more, err)
	}
	back, err := eventsv2.ParseEvent(wire)
	if err != nil || !bytes.Equal(back.AppendJSON(nil), wire) {
		t.Fatalf("%q was read back as %q, %v", short(wire), short(back.AppendJSON(nil)), err)
	}
	readable(t, lines)
	event.RoutingKey = eventsv2.Key{}
	stored := event.AppendJSON(nil)
	if !bytes.Equal(key.AppendTo(nil, stored), wire) {
		t.Fatalf("%q with its key is %q, not %q", short(stored), short(key.AppendTo(nil, stored)), short(wire))
	}
	noKey(t, body, key, stored, lines)
}

func repairedChange(t testing.TB, body []byte) {
	t.Helper()
	change, lines, err := eventsv2.RepairChange(context.Background(), body, repairOptions())
	key, keyErr := eventsv2.ReadChangeKey(context.Background(), body)
	alike(t, body, change.RoutingKey, key, err, keyErr)
	if err != nil {
		refused(t, err)
		return
	}
	if err := change.Validate(); err != nil {
		t.Fatalf("%q: %v", short(body), err)
	}
	wire := change.AppendJSON(nil)
	accepted(t, "/v2/change/enqueue", body, wire)
	again, more, err := eventsv2.RepairChange(context.Background(), wire, repairOptions())
	if err != nil || len(more) > 0 || !bytes.Equal(again.AppendJSON(nil), wire) {
		t.Fatalf("%q became %q, and that %q, %q, %v", short(body), short(wire), short(again.AppendJSON(nil)), more, err)
	}
	readable(t, lines)
	change.RoutingKey = eventsv2.Key{}
	noKey(t, body, key, change.AppendJSON(nil), lines)
}

// alike proves that the key alone is read as the whole event is.
func alike(t testing.TB, body []byte, whole, alone eventsv2.Key, wholeErr, aloneErr error) {
	t.Helper()
	switch {
	case (wholeErr == nil) != (aloneErr == nil):
		t.Fatalf("%q: the whole gives %v, the key alone %v", short(body), wholeErr, aloneErr)
	case wholeErr == nil && whole.Reveal() != alone.Reveal():
		t.Fatalf("%q: the whole has the key %v, alone it is %v", short(body), whole, alone)
	case wholeErr != nil && wholeErr.Error() != aloneErr.Error():
		t.Fatalf("%q: the whole gives %v, the key alone %v", short(body), wholeErr, aloneErr)
	}
}

func refused(t testing.TB, err error) {
	t.Helper()
	if invalid := (*eventsv2.Invalid)(nil); !errors.As(err, &invalid) || len(invalid.Reasons) == 0 {
		t.Fatalf("got %v, want an *Invalid with reasons", err)
	}
	if strings.Contains(err.Error(), "too large") {
		t.Fatalf("%v: it can be made to fit", err)
	}
	keyleak.Check(t, repairKey, keyleak.Text("the error", err.Error()))
}

func accepted(t testing.TB, path string, body, wire []byte) {
	t.Helper()
	if answer := post(path, wire); answer.Code != http.StatusAccepted {
		t.Fatalf("%q became %q, to which the emulator says %d %s", short(body), short(wire), answer.Code, answer.Body)
	}
}

// readable proves that somebody can read what is told.
func readable(t testing.TB, lines []string) {
	t.Helper()
	for _, line := range lines {
		if len(lines) > 25 || utf8.RuneCountInString(line) > 200 || !utf8.ValidString(line) || strings.ContainsFunc(line, movesText) {
			t.Fatalf("%d lines, and one of them is %q", len(lines), line)
		}
	}
}

// movesText reports whether a character ends a line, drives a terminal or turns the
// direction of writing.
func movesText(c rune) bool { return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// noKey proves that what is stored and shown holds no key, unless the body holds
// pieces of it: those are the sender's.
func noKey(t testing.TB, body []byte, key eventsv2.Key, stored []byte, lines []string) {
	t.Helper()
	if key.Reveal() != repairKey || len(keyleak.Find(repairKey, anyCase.ReplaceAll(body, []byte("KEY")))) > 0 {
		return
	}
	keyleak.Check(t, repairKey, keyleak.Sink{Name: "what is stored", Data: stored}, keyleak.Text("the lines", strings.Join(lines, "\n")))
}

// anyCase finds the key in any case of letters.
var anyCase = regexp.MustCompile("(?i)" + repairKey)

func short(body []byte) string {
	if len(body) > 1000 {
		return string(body[:1000]) + "…"
	}
	return string(body)
}

// repairSeeds are bodies for every rule; the fuzzer starts from them.
func repairSeeds() []string {
	start := `{"routing_key":"` + repairKey + `","event_action":"trigger",`
	return []string{
		`{}`, `[]`, `null`, ``, `{"routing_key":"` + repairKey + `"}`, `{"routing_key":"short","event_action":"fire"}`,
		start + `"payload":{"summary":"s","source":"o","severity":"critical"}}`,
		start + `"payload":{"summary":"","source":" ","severity":"CRIT","timestamp":"2021-10-22 5:01:32","component":"","custom_details":"text"}}`,
		start + `"payload":{"summary":7,"source":true,"severity":3,"timestamp":1634878892000,"custom_details":[1,{"a":1,"a":2}]},"dedup_key":12}`,
		start + `"links":[{"href":"https://e.com","text":"t"},{"text":"only"},"https://f.com",7,{"href":"nowhere","x":1}],` +
			`"images":[{"src":"http://e.com/i"},{"src":"https://e.com/i","text":"t","href":"no"},{}],"contexts":[{"type":"link","href":"https://e.com"},{"type":"image","src":"https://e.com/i"}]}`,
		start + `"client_url":"no url","details":{"a":1},"payload":{"custom_details":{"a":2,"relay_repairs":"x","message":1,"b":{"c":1,"c":2}}},"extra":{"y":NaN}}`,
		start + `"dedup_key":"` + strings.Repeat("k", 300) + `","payload":null,"payload":{"summary":"` + strings.Repeat("s", 1100) + `"}}`,
		start + `"dedup_key":"x ` + repairKey + ` y","payload":{"summary":"` + repairKey + `","severity":"` + repairKey + `","custom_details":{"` + repairKey + `":"` + repairKey + `"}}}`,
		`{"routing_key":"` + repairKey + `","event_action":"Resolve ","dedup_key":"d","payload":{"summary":"","source":"","severity":""}}`,
		`{"service_key":"` + repairKey + `","event_type":"trigger","incident_key":"i","description":"d","details":"x"}`,
		"\ufeff" + `{"Routing-Key":" ` + repairKey + `","eventAction":"TRIGGER","payload":"text","x":"\ud83d","y":"\u0000","z":"C:\Windows",}` + "\x00",
		start + `"payload":{"summary":"` + "\xff\x1b[31m\n" + `","custom_details":` + strings.Repeat("[", 150) + strings.Repeat("]", 150) + `}}`,
		start + `"x":007,"x_2":1,"x":1,"":"","":1,"api_key":"k","agent":{"queued_by":"a"}}`,
	}
}

func FuzzRepair(f *testing.F) {
	prove.NoRace(f)
	// The largest body is enough for each way to make an event fit. The race detector takes
	// half a minute for the corpus with it.
	largest := prove.Share(f, 64_000, 640_000, 640_000)
	for _, seed := range repairSeeds() {
		f.Add([]byte(seed), uint16(0), uint16(0), uint16(0))
	}
	for i, s := range bodies.Shapes() {
		if i%8 == 2 {
			body, from, to, times := s.Seed(largest / 5)
			f.Add(body, from, to, times)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, from, to, times uint16) {
		body = bodies.Grow(body, from, to, times, largest)
		repaired(t, body)
		repairedChange(t, body)
	})
}

// pieces are what random events are made of.
var pieces = []string{
	`null`, `true`, `-1`, `1634878892`, `""`, `" "`, `"x"`, `"critical"`, `"P1"`, `"trigger"`, `"Resolve"`, `{}`, `[]`, `"https://example.com/"`, `"http://example.com/i.png"`,
	`{"href":"https://example.com","text":"t"}`, `{"src":"https://example.com/i"}`, `{"type":"image","src":"http://example.com"}`, `[{"href":1},{"text":"x"}]`,
	`"2026-11-24T10:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"Fri, 22 Oct 2021 05:01:32 GMT"`, `{"a":{"b":1,"b":2},"a":3}`, `"\u0000\ud800"`, `NaN`, `"` + repairKey + `"`,
	`"` + "\x1b[1m" + `"`, `"` + strings.Repeat("é", 1100) + `"`, `["https://example.com"]`, `{"summary":"s","source":"","severity":"warn"}`,
}

var names = []string{
	"routing_key", "event_action", "dedup_key", "client", "client_url", "payload", "links", "images", "service_key", "event_type", "incident_key", "description",
	"details", "contexts", "summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details", "other", "relay_repairs", "message", "Payload", "",
}

func randomObject(t *rapid.T, depth int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range rapid.IntRange(0, 6).Draw(t, "members") {
		if i > 0 {
			b.WriteByte(',')
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		value := rapid.SampledFrom(pieces).Draw(t, "value")
		if depth > 0 && rapid.Bool().Draw(t, "nested") {
			value = randomObject(t, depth-1)
		}
		fmt.Fprintf(&b, "%q:%s", name, value)
	}
	return b.String() + "}"
}

// Members of every name with values of every kind, most of them with a key and an
// action, so that there is something to repair.
func TestRepairRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := randomObject(t, 2)
		if rapid.IntRange(0, 9).Draw(t, "key") > 0 {
			action := rapid.SampledFrom([]string{"trigger", "acknowledge", "resolve"}).Draw(t, "action")
			rest := strings.TrimPrefix(body, "{")
			if rest != "}" {
				rest = "," + rest
			}
			body = `{"routing_key":"` + repairKey + `","event_action":"` + action + `","dedup_key":"d"` + rest
		}
		repaired(tb{t: t}, []byte(body))
		repairedChange(tb{t: t}, []byte(body))
	})
}

// tb gives rapid's T to helpers of package testing.
type tb struct {
	testing.TB
	t *rapid.T
}

func (tb tb) Helper()                           { tb.t.Helper() }
func (tb tb) Fatalf(format string, args ...any) { tb.t.Fatalf(format, args...) }
func (tb tb) Errorf(format string, args ...any) { tb.t.Errorf(format, args...) }

// What cannot be repaired is refused in the words of the emulator, which are
// PagerDuty's.
func TestRepairRefusesAsPagerDutyDoes(t *testing.T) {
	const payload = `"payload":{"summary":"s","source":"o","severity":"info"}`
	const goodKey = `"routing_key":"` + repairKey + `",`
	for _, body := range []string{
		``, `null`, `[]`, `"text"`, `{`, `{"routing_key":}`, `{} {}`, `not JSON`,
		`{"event_action":"trigger",` + payload + `}`,
		`{"routing_key":null,"event_action":"trigger",` + payload + `}`,
		`{"routing_key":" ","event_action":"trigger",` + payload + `}`,
		`{"routing_key":7,"event_action":"trigger",` + payload + `}`,
		`{"routing_key":"tooshort","event_action":"trigger",` + payload + `}`,
		`{"routing_key":"e+23rschqsESqk9Q6_-g","event_action":"trigger",` + payload + `}`,
		`{"routing_key":"0123456789abcdef0123456789abcde!","event_action":"trigger",` + payload + `}`,
		`{` + goodKey + payload + `}`,
		`{` + goodKey + `"event_action":"",` + payload + `}`,
		`{` + goodKey + `"event_action":null,` + payload + `}`,
		`{` + goodKey + `"event_action":{},` + payload + `}`,
		`{` + goodKey + `"event_action":"fire",` + payload + `}`,
		`{` + goodKey + `"event_action":"acknowledge",` + payload + `}`,
		`{` + goodKey + `"event_action":"resolve","dedup_key":" ",` + payload + `}`,
		`{"routing_key":"x","event_action":"fire",` + payload + `}`,
		`{"routing_key":"","event_action":"resolve",` + payload + `}`,
		`{` + payload + `}`,
	} {
		refusedAlike(t, "/v2/enqueue", body, func(body []byte) error {
			_, _, err := eventsv2.Repair(context.Background(), body, repairOptions())
			return err
		})
		body = strings.ReplaceAll(body, `,"severity":"info"`, "")
		if strings.Contains(body, "event_action") || strings.Contains(body, "dedup_key") || strings.Contains(body, repairKey) {
			continue // no members of a change event, or right without them
		}
		refusedChange(t, body)
	}
	for _, key := range []string{`""`, `7`, `"short"`, `"e+23rschqsESqk9Q6_-g"`, `"R022XIJR9M266DX570EVE6EXP1AFBN6D"`} {
		refusedChange(t, `{"routing_key":`+key+`,"payload":{"summary":"s"}}`)
	}
}

func refusedChange(t *testing.T, body string) {
	t.Helper()
	refusedAlike(t, "/v2/change/enqueue", body, func(body []byte) error {
		_, _, err := eventsv2.RepairChange(context.Background(), body, repairOptions())
		return err
	})
}

func refusedAlike(t *testing.T, path, body string, repair func([]byte) error) {
	t.Helper()
	answer := post(path, []byte(body))
	err := repair([]byte(body))
	var invalid *eventsv2.Invalid
	if !errors.As(err, &invalid) {
		t.Errorf("%s: got %v, want what the emulator says: %s", body, err, answer.Body)
		return
	}
	if got := string(invalid.AppendJSON(nil)); answer.Code != http.StatusBadRequest || got != answer.Body.String() {
		t.Errorf("%s:\ngot  %s\nwant %d %s", body, got, answer.Code, answer.Body)
	}
	for _, secret := range []string{"e+23rschqsESqk9Q6_-g", "0123456789abcdef0123456789abcde!", repairKey} {
		keyleak.Check(t, secret, keyleak.Text("the error", err.Error()), keyleak.Sink{Name: "the answer", Data: invalid.AppendJSON(nil)})
	}
}
