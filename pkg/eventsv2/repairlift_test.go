package eventsv2

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// Different dedup keys stay different, whatever they hold, and each is the same in trigger and
// resolve.
func TestDedupKeysStayDifferent(t *testing.T) {
	inside := []string{
		"", "a", "a-1", "A", " a", "\xd1\xe5\xf0\xe2\xe5\xf0-1", "\xcf\xf0\xe8\xed\xf2\xe5\xf0-1", "\xff", "\xfe", "\xff\xff", "\x81", "\x8d", "é",
		`a\u0000`, `a\u0001`, `a\u0000\u0000`, `\u0000a`, `a\u001b[1m`, `a\u001b[2m`, `a\u009b1m`, `a\u007f`,
		`a\ud800`, `a\ud801`, `a\udc00`, `a\ud800\ud800`, `a\ufffd`, `a\ufffd\ufffd`, "a\\t", "a\\n", strings.Repeat("k", 256), strings.Repeat("k", 257),
	}
	keys := map[string]string{}
	for _, key := range inside {
		seen := map[string]bool{}
		for _, action := range []string{"trigger", "acknowledge", "resolve"} {
			body := `{"routing_key":"` + secret + `","event_action":"` + action + `","dedup_key":"` + key + `"}`
			event, _, err := Repair(context.Background(), []byte(body), caseOptions)
			if key == "" {
				continue
			}
			if err != nil {
				t.Fatalf("%q: %v", key, err)
			}
			if !utf8.ValidString(event.DedupKey) || strings.ContainsAny(event.DedupKey, "\x00\x1b\x7f\ufffd\u009b") && key != `a\ufffd` && key != `a\ufffd\ufffd` {
				t.Errorf("%q became %q", key, event.DedupKey)
			}
			seen[event.DedupKey] = true
		}
		for sent := range seen {
			if other, twice := keys[sent]; twice || len(seen) > 1 {
				t.Errorf("%q and %q are both %q, or one has %d keys", key, other, sent, len(seen))
			}
			keys[sent] = key
		}
	}
}

// What Repair reads of the key, and where, ReadKey reads as well.
func TestReadKeyOfMisplacedMembers(t *testing.T) {
	for _, body := range []string{
		`{"payload":{"routing_key":"KEY","event_action":"trigger"}}`,
		`{"payload":{"Routing-Key":"KEY","EVENT_ACTION":"trigger","custom_details":{"routing_key":"x"},"x":[{}]}}`,
		`{"payload":{"payload":{"routing_key":"KEY","event_action":"trigger"}}}`,
		`{"payload":"{\"routing_key\":\"KEY\",\"event_action\":\"trigger\"}"}`,
		`{"payload":"{\"routing_key\":\"KEY\",\"event_action\":\"trigger\""}`,
		`{"routing_key":"KEY","payload":{"event_action":"resolve","dedup_key":"\u0000"}}`,
		`{"routing_key":"KEY","payload":{"event_action":"resolve"}}`,
		`{"routing_key":7,"payload":{"routing_key":"KEY","event_action":"trigger"}}`,
		`{"routing_key":"KEY","event_action":"trigger","payload":["routing_key"]}`,
		`{"payload":[{"routing_key":"KEY","event_action":"trigger"}]}`,
		`{"payload":[{"routing_key":"KEY","event_action":"trigger"},{}]}`,
		`{"payload":[{"payload":[{"routing_key":"KEY","event_action":"trigger"}]}]}`,
		`{"payload":["{\"routing_key\":\"KEY\",\"event_action\":\"trigger\"}"]}`,
		`{"payload":[{"routing_key":"KEY","event_action":"trigger"}`,
		`{"routing_key":"KEY","event_action":"trigger","payload":{"a":}}`,
	} {
		body = strings.ReplaceAll(body, "KEY", secret)
		event, _, want := Repair(context.Background(), []byte(body), caseOptions)
		key, err := ReadKey(context.Background(), []byte(body))
		if fmt.Sprint(err) != fmt.Sprint(want) || want == nil && key.Reveal() != event.RoutingKey.Reveal() {
			t.Errorf("%s: %v, %v, want %v, %v", body, key, err, event.RoutingKey, want)
		}
	}
}

// A text of details is cut like any other, and what is told goes before it.
func TestDetailsText(t *testing.T) {
	body := `{"routing_key":"` + secret + `","event_action":"trigger","dedup_key":"d","payload":{"summary":"s","source":"o","severity":"info","custom_details":"` + strings.Repeat("\u00e9", 400_000) + `"}}`
	event, lines, err := Repair(context.Background(), []byte(body), caseOptions)
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "custom_details was too long: kept ") {
		t.Fatalf("%q, %v", lines, err)
	}
	encoded := event.AppendJSON(nil)
	if n := len(encoded); n > MaxEventBytes || n < MaxEventBytes-10 {
		t.Errorf("%d bytes", n)
	}
	again, err := ParseEvent(encoded)
	if err != nil || string(again.AppendJSON(nil)) != string(encoded) {
		t.Errorf("it is read back as another one: %v", err)
	}
	again.Payload.DetailsText = "short"
	if again.Tell("repeats", "3"); again.Payload.DetailsText != "repeats: 3\nshort" || again.Payload.CustomDetails != nil {
		t.Errorf("told in %q, %v", again.Payload.DetailsText, again.Payload.CustomDetails)
	}
}

func FuzzDedupKeys(f *testing.F) {
	f.Add("a", `a\u0000`)
	f.Add("\xd1\xe5", "\xcf\xf0")
	f.Add(`\ud800`, `\ud801`)
	f.Fuzz(func(t *testing.T, one, two string) {
		var keys [2]string
		for i, inside := range []string{one, two} {
			r := newReader(context.Background(), []byte(`"`+inside+`"`))
			exact := r.exact()
			if !r.ended() || isBlank(exact) {
				return
			}
			keys[i] = PlainDedupKey(exact)
			if !utf8.ValidString(keys[i]) || keys[i] != PlainDedupKey(keys[i]) {
				t.Fatalf("%q became %q", exact, keys[i])
			}
			if again := newReader(context.Background(), []byte(`"`+inside+`"`)); again.exact() != exact {
				t.Fatalf("%q is read in two ways", inside)
			}
			keys[i] += "\x00" + exact
		}
		first, exactFirst, _ := strings.Cut(keys[0], "\x00")
		second, exactSecond, _ := strings.Cut(keys[1], "\x00")
		if (first == second) != (exactFirst == exactSecond) {
			t.Errorf("%q and %q became %q and %q", exactFirst, exactSecond, first, second)
		}
	})
}
