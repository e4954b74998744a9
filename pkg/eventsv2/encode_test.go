package eventsv2

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func fullEvent(t testing.TB) Event {
	return Event{
		RoutingKey: mustKey(t, secret), Action: Trigger, DedupKey: "db/1", Client: "cron", ClientURL: "https://ci.example.com/1",
		Links:  []Link{{Href: "https://example.com/a", Text: "A"}, {Href: "https://example.com/b"}},
		Images: []Image{{Src: "https://example.com/i.png", Href: "https://example.com", Alt: "I"}, {Src: "https://example.com/j.png"}},
		Payload: Payload{
			Summary: "Disk \"full\"\n<b>", Source: "db-1", Severity: SeverityCritical,
			Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 2*3600)),
			Component: "postgres", Group: "billing", Class: "disk full",
			CustomDetails: Details{{"n", json.RawMessage("1.50")}, {"s", json.RawMessage(`"<&>"`)}},
		},
	}
}

func TestAppendJSON(t *testing.T) {
	ev := fullEvent(t)
	want := `{"routing_key":"` + secret + `","event_action":"trigger","client":"cron","client_url":"https://ci.example.com/1",` +
		`"links":[{"href":"https://example.com/a","text":"A"},{"href":"https://example.com/b"}],` +
		`"images":[{"src":"https://example.com/i.png","href":"https://example.com","alt":"I"},{"src":"https://example.com/j.png"}],` +
		`"payload":{"source":"db-1","severity":"critical","component":"postgres","group":"billing","class":"disk full",` +
		`"summary":"Disk \"full\"\n<b>","timestamp":"2026-03-01T10:00:00.123Z","custom_details":{"n":1.50,"s":"<&>"}},"dedup_key":"db/1"}`
	if diff := cmp.Diff(want, string(ev.AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
}

func TestAppendJSONLeavesOutWhatIsUnset(t *testing.T) {
	k := mustKey(t, secret)
	for _, tc := range []struct {
		name string
		ev   Event
		want string
	}{
		{
			"trigger",
			Event{RoutingKey: k, Action: Trigger, Payload: Payload{Summary: "s", Source: "o", Severity: SeverityInfo}},
			`{"routing_key":"` + secret + `","event_action":"trigger","payload":{"source":"o","severity":"info","summary":"s"}}`,
		},
		{
			"resolve without payload",
			Event{RoutingKey: k, Action: Resolve, DedupKey: "d"},
			`{"routing_key":"` + secret + `","event_action":"resolve","dedup_key":"d"}`,
		},
	} {
		if got := string(tc.ev.AppendJSON(nil)); got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
	}
	change := Change{RoutingKey: k, Summary: "deployed"}
	want := `{"routing_key":"` + secret + `","payload":{"summary":"deployed"}}`
	if got := string(change.AppendJSON(nil)); got != want {
		t.Errorf("change:\ngot  %s\nwant %s", got, want)
	}
}

// Any text comes out as the JSON string that decodes to it, with what is not
// UTF-8 replaced, and its size is known beforehand.
func TestAppendString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		encoded := appendString(nil, s)
		var back string
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatalf("%q: %v", encoded, err)
		}
		if want := replaceInvalid(s); back != want {
			t.Fatalf("got %q, want %q", back, want)
		}
		if len(encoded) != stringSize(s) {
			t.Fatalf("%q has %d bytes, stringSize says %d", encoded, len(encoded), stringSize(s))
		}
	})
}

// replaceInvalid replaces each byte that is not UTF-8, as encoding/json does.
func replaceInvalid(s string) string {
	var b strings.Builder
	for _, r := range s { // range gives RuneError for each bad byte
		b.WriteRune(r)
	}
	return b.String()
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Event)
		want   string // "" for valid
	}{
		{"as it is", func(*Event) {}, ""},
		{"no key", func(e *Event) { e.RoutingKey = Key{} }, "routing_key is missing"},
		{"no action", func(e *Event) { e.Action = "" }, "event_action"},
		{"action in capitals", func(e *Event) { e.Action = "Trigger" }, "event_action"},
		{"trigger without dedup key", func(e *Event) { e.DedupKey = "" }, ""},
		{"resolve without dedup key", func(e *Event) { e.Action, e.DedupKey = Resolve, "" }, "dedup_key is missing"},
		{"dedup key of 255 characters", func(e *Event) { e.DedupKey = strings.Repeat("ü", 255) }, ""},
		{"dedup key of 256 characters", func(e *Event) { e.DedupKey = strings.Repeat("ü", 256) }, "256 characters"},
		{"summary of 1024", func(e *Event) { e.Payload.Summary = strings.Repeat("ü", 1024) }, ""},
		{"summary of 1025", func(e *Event) { e.Payload.Summary = strings.Repeat("ü", 1025) }, "1025 characters"},
		{"blank summary", func(e *Event) { e.Payload.Summary = " \n" }, "summary is missing"},
		{"blank source", func(e *Event) { e.Payload.Source = "" }, "source is missing"},
		{"severity in capitals", func(e *Event) { e.Payload.Severity = "Critical" }, "severity"},
		{"resolve without payload", func(e *Event) { e.Action, e.Payload = Resolve, Payload{} }, ""},
		{"resolve with half a payload", func(e *Event) { e.Action, e.Payload = Resolve, Payload{Summary: "s"} }, "source is missing"},
		{"trigger without payload", func(e *Event) { e.Payload = Payload{} }, "summary is missing"},
		{"link without href", func(e *Event) { e.Links[1].Href = "" }, "links[1].href"},
		{"image by http", func(e *Event) { e.Images[0].Src = "http://example.com/i.png" }, "images[0].src"},
	} {
		ev := fullEvent(t)
		tc.change(&ev)
		err := ev.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestValidateChange(t *testing.T) {
	valid := func() Change {
		return Change{RoutingKey: mustKey(t, secret), Summary: "deployed", Links: make([]Link, 0)}
	}
	for _, tc := range []struct {
		name   string
		change func(*Change)
		want   string
	}{
		{"as it is", func(*Change) {}, ""},
		{"no key", func(c *Change) { c.RoutingKey = Key{} }, "routing_key is missing"},
		{"orchestration key", func(c *Change) { c.RoutingKey = mustKey(t, "R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T") }, "orchestration"},
		{"blank summary", func(c *Change) { c.Summary = "" }, "summary is missing"},
		{"long summary", func(c *Change) { c.Summary = strings.Repeat("x", 1025) }, "1025 characters"},
		{"50 links", func(c *Change) { c.Links = manyLinks(50) }, ""},
		{"51 links", func(c *Change) { c.Links = manyLinks(51) }, "51 links"},
		{"link without href", func(c *Change) { c.Links = []Link{{Text: "x"}} }, "links[0].href"},
	} {
		c := valid()
		tc.change(&c)
		err := c.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func manyLinks(n int) []Link {
	links := make([]Link, n)
	for i := range links {
		links[i].Href = "https://example.com"
	}
	return links
}

// An event of any size fits afterwards, stays JSON, keeps its members' order and
// loses nothing that it does not tell.
func TestFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev := Event{Action: Trigger, DedupKey: "d", Payload: Payload{Summary: "s", Source: "o", Severity: SeverityInfo}}
		n := rapid.IntRange(0, 40).Draw(t, "members")
		for i := range n {
			size := rapid.IntRange(0, 3000).Draw(t, "size")
			text := strings.Repeat(rapid.SampledFrom([]string{"x", "ü", "\"", "\x01", "😀"}).Draw(t, "rune"), size)
			ev.Payload.CustomDetails = ev.Payload.CustomDetails.With("m"+string(rune('A'+i)), text)
		}
		before := ev.Payload.CustomDetails
		limit := rapid.IntRange(1000, 20_000).Draw(t, "limit")
		whole := len(ev.AppendJSON(nil)) <= limit
		done, err := ev.Fit(limit)
		if err != nil {
			t.Fatal(err)
		}
		body := ev.AppendJSON(nil)
		if len(body) > limit || !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("%d bytes of at most %d: %s", len(body), limit, body)
		}
		if whole != (len(done) == 0) {
			t.Fatalf("fitted before: %t, done: %q", whole, done)
		}
		for i, m := range ev.Payload.CustomDetails {
			if m.Name == omittedName {
				continue
			}
			if m.Name != before[i].Name {
				t.Fatalf("member %d was %s and is %s", i, before[i].Name, m.Name)
			}
			if string(m.Value) != string(before[i].Value) && !strings.Contains(string(m.Value), "characters left out]") {
				t.Fatalf("%s was cut and does not say so: %s", m.Name, m.Value)
			}
		}
	})
}

func TestFitTellsWhatItCut(t *testing.T) {
	ev := fullEvent(t)
	ev.Payload.CustomDetails = Details{}.With("small", "kept").With("log", strings.Repeat("é", 600_000))
	done, err := ev.Fit(MaxEventBytes)
	if err != nil || len(done) != 1 {
		t.Fatalf("done %q, err %v", done, err)
	}
	body := ev.AppendJSON(nil)
	if len(body) > MaxEventBytes || len(body) < MaxEventBytes-100 {
		t.Errorf("%d bytes: wants to be just below %d", len(body), MaxEventBytes)
	}
	small, _ := ev.Payload.CustomDetails.Get("small")
	if string(small) != `"kept"` {
		t.Errorf("small = %s", small)
	}
	log, _ := ev.Payload.CustomDetails.Get("log")
	if !strings.Contains(string(log), " of 600000 characters left out]") {
		t.Errorf("marker missing: …%s", log[len(log)-80:])
	}
}

func TestFitTooManyMembers(t *testing.T) {
	ev := fullEvent(t)
	ev.Payload.CustomDetails = nil
	for i := range 30_000 {
		ev.Payload.CustomDetails = append(ev.Payload.CustomDetails, Member{Name: "member" + strings.Repeat("x", 20) + strconv.Itoa(i), Value: json.RawMessage(`"v"`)})
	}
	done, err := ev.Fit(MaxEventBytes)
	if err != nil {
		t.Fatal(err)
	}
	if body := ev.AppendJSON(nil); len(body) > MaxEventBytes {
		t.Errorf("%d bytes", len(body))
	}
	if told, ok := ev.Payload.CustomDetails.Get(omittedName); !ok || !strings.Contains(string(told), "of 30000 details left out") {
		t.Errorf("omitted = %s, done = %q", told, done)
	}
}

// Where the rest leaves no room the details go, not the page.
func TestFitLeavesAllDetailsOut(t *testing.T) {
	ev := fullEvent(t)
	ev.Payload.CustomDetails = nil
	ev.Payload.Source += strings.Repeat("x", MaxEventBytes-len(ev.AppendJSON(nil))-100)
	ev.Payload.CustomDetails = Details{}.With("log", strings.Repeat("y", 1000))
	done, err := ev.Fit(MaxEventBytes)
	if err != nil || len(done) != 1 || !strings.Contains(done[0], "1 of 1 details left out") {
		t.Errorf("done %q, err %v", done, err)
	}
	if n := len(ev.AppendJSON(nil)); n > MaxEventBytes || len(ev.Payload.CustomDetails) != 0 {
		t.Errorf("%d bytes, details %v", n, ev.Payload.CustomDetails)
	}
}

func TestFitGivesUpOnTheRest(t *testing.T) {
	ev := fullEvent(t)
	ev.Payload.Source = strings.Repeat("x", MaxEventBytes)
	if _, err := ev.Fit(MaxEventBytes); err == nil || !strings.Contains(err.Error(), "without its details") {
		t.Errorf("err = %v", err)
	}
}
