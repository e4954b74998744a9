package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var fourteen = time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)

func TestListText(t *testing.T) {
	at := func(d time.Duration) time.Time { return fourteen.Add(-d) }
	events := []relayEvent{
		{ID: "12345", AcceptedAt: at(0), State: "ready", InFlight: true, Severity: "critical", Lane: "db-oncall", Action: "trigger", Summary: "Disk full"},
		{ID: "12344", AcceptedAt: at(3 * time.Minute), State: "waiting", Severity: "error", Lane: "web", Action: "trigger", Summary: "サーバーの応答がありません、至急確認してください、サーバーの応答がありません", Repeats: 9999, Status: 503, Reason: "Service Unavailable"},
		{ID: "9", AcceptedAt: at(4 * time.Hour), State: "refused", Severity: "info", Lane: "key-ab12cd34ab12cd34", Action: "trigger", Summary: "Fan", Status: 400, Reason: "Event object is invalid"},
		{ID: "8", AcceptedAt: at(72 * time.Hour), State: "expired", Severity: "warning", Lane: "a-lane-with-a-very-long-name", Action: "resolve", DedupKey: "web-1", Reason: "older than 72h0m0s"},
		{ID: "7", AcceptedAt: at(-time.Second), State: "delivered", Severity: "info", Lane: "web", Kind: "change", Summary: "Deployed", Status: 202, Reason: "not shown"},
	}
	table := eventTable(&page{Events: events}, fourteen)
	const want = `   ID  AGE  STATE      SEVERITY  LANE                  EVENT
12345   0s  in flight  critical  db-oncall             Disk full
12344   3m  waiting    error     web                   サーバーの応答があり…
    (9999 repeats; 503: Service Unavailable)
    9   4h  refused    info      key-ab12cd34ab12cd34  Fan
    (400: Event object is invalid)
    8   3d  expired    warning   a-lane-with-a-very-…  resolve of web-1
    (older than 72h0m0s)
    7   0s  delivered  info      web                   change: Deployed
`
	if diff := cmp.Diff(want, table.text(paper{width: 76})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	text := table.text(paper{})
	for _, want := range []string{"確認してください、サーバーの応答がありません  (9999 repeats; 503: Service Unavailable)\n", " a-lane-with-a-very-long-name  resolve of web-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("where no terminal is, nothing should be cut; want %q in\n%s", want, text)
		}
	}
}

func TestEventText(t *testing.T) {
	e := new(relayEvent)
	if err := json.Unmarshal([]byte(`{"id":"123","lane":"db-oncall","fingerprint":"key-ab12cd34ab12cd34","pool":"db","kind":"alert","action":"trigger","dedup_key":"db-1",
		"state":"refused","in_flight":false,"severity":"error","priority":"critical","summary":"Disk full","source":"db-1.example","accepted_at":"2026-03-01T13:59:18.000Z",
		"fresh_at":"2026-03-01T13:59:18.000Z","ended_at":"2026-03-01T13:59:30.000Z","attempts":2,"repeats":3,"repairs":["severity \"ERR\" became error"],"status":400,"reason":"Event object is invalid",
		"body":{"event_action":"trigger","payload":{"summary":"Disk\u001b full"}},
		"history":[{"at":"2026-03-01T13:59:18.000Z","what":"accepted"},{"at":"2026-03-01T13:59:19.000Z","what":"attempt","status":503,"text":"Service Unavailable"},
		{"at":"2026-03-01T13:59:20.000Z","what":"requeued","text":"the details are valid now, and whoever wrote them has been told","who":"ana"},{"at":"2026-03-01T13:59:30.000Z","what":"refused","status":400}]}`), e); err != nil {
		t.Fatal(err)
	}
	const want = `event         123, trigger alert
state         refused at 2026-03-01 13:59:30, 30s ago
reason        400: Event object is invalid
severity      error
summary       Disk full
source        db-1.example
dedup key     db-1
lane          db-oncall (key-ab12cd34ab12cd34), of the pool db
accepted      2026-03-01 13:59:18, 42s ago
attempts      2
repeats       3, all in this one event
repaired      severity "ERR" became error

History (UTC):
  2026-03-01 13:59:18.000  accepted
  2026-03-01 13:59:19.000  attempt    503: Service Unavailable
  2026-03-01 13:59:20.000  requeued
    by ana: the details are valid now, and whoever wrote them has been told
  2026-03-01 13:59:30.000  refused    400

Body, without the integration key:
  {
    "event_action": "trigger",
    "payload": {
      "summary": "Disk\u001b full"
    }
  }

To send it again: shoutrrr queue requeue 123 --why TEXT
To give it up:    shoutrrr queue drop 123 --why TEXT
`
	if diff := cmp.Diff(want, eventText(e, fourteen, paper{width: 80})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// An event leaves as something else than its severity for one of two reasons, and one that
// has ended leaves no more.
func TestSeverityText(t *testing.T) {
	for _, tt := range []struct {
		e    relayEvent
		want string
	}{
		{relayEvent{Severity: "error", Priority: "error"}, "error"},
		{relayEvent{Severity: "error"}, "error"},
		{relayEvent{Severity: "error", Priority: "critical"}, "error, but it leaves as critical: something more severe waits behind it"},
		{relayEvent{Action: "acknowledge", Severity: "info", Priority: "warning"}, "info, but it leaves as warning: something more severe waits behind it"},
		{relayEvent{Action: "resolve", Severity: "critical", Priority: "error"}, "critical, but it leaves as error: an acknowledge or resolve pages nobody"},
		{relayEvent{Action: "resolve", State: "delivered", Severity: "critical", Priority: "error", EndedAt: fourteen}, "critical"},
		{relayEvent{State: "expired", Severity: "error", Priority: "critical", EndedAt: fourteen}, "error"},
	} {
		if got := severityText(&tt.e); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestStateText(t *testing.T) {
	for _, tt := range []struct {
		e    relayEvent
		want string
	}{
		{relayEvent{State: "ready", InFlight: true}, "in flight: it is being sent"},
		{relayEvent{State: "ready"}, "ready: it leaves when its lane lets it"},
		{relayEvent{State: "blocked"}, "blocked: an earlier event of its dedup key has to leave first"},
		{relayEvent{State: "waiting", DueAt: fourteen.Add(90 * time.Second)}, "waiting: the next attempt is in 1m"},
		{relayEvent{State: "waiting", DueAt: fourteen}, "waiting"},
		{relayEvent{State: "delivered", EndedAt: fourteen.Add(-5 * time.Hour)}, "delivered at 2026-03-01 09:00:00, 5h ago"},
	} {
		if got := stateText(&tt.e, fourteen); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestShapeText(t *testing.T) {
	s := &relayShape{Ages: []int{10, 60, 600, 3600, 21600, 86400}, Lanes: []laneShape{
		{Name: "idle", Counts: map[string][]int{"critical": {0, 0, 0, 0, 0, 0, 0}}},
		{Name: "web", Counts: map[string][]int{"error": {3, 0, 0, 0, 0, 0, 0}, "critical": {0, 1, 0, 0, 0, 0, 0}}},
		{Name: "db-oncall", Counts: map[string][]int{"info": {1200, 20, 100, 100000, 1200000, 0, 7}, "critical": {1, 0, 0, 0, 0, 0, 0}}},
	}}
	const want = `LANE        ALL  <10s  <1m  <10m   <1h  <6h  <24h  older
db-oncall    1M  1201   20   100  100k   1M     .      7  ############
  critical    1     1    .     .     .    .     .      .
  info       1M  1200   20   100  100k   1M     .      7
web           4     3    1     .     .    .     .      .  #
  critical    1     .    1     .     .    .     .      .
  error       3     3    .     .     .    .     .      .
`
	if diff := cmp.Diff(want, shapeText(s, paper{width: 80})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, odd := range []*relayShape{{}, {Lanes: []laneShape{{Name: "x"}}}} {
		if got := shapeText(odd, paper{}); got != "Nothing is queued.\n" {
			t.Errorf("got %q", got)
		}
	}
	// More or fewer numbers than columns: a relay of another version.
	s.Lanes[1].Counts["error"] = []int{1, 2, 3, 4, 5, 6, 7, 8, 9}
	s.Lanes[1].Counts["critical"] = []int{1}
	_ = shapeText(s, paper{width: 80})
}

func TestNamesState(t *testing.T) {
	for filter, want := range map[string]bool{
		"":                          false,
		"lane:db":                   false,
		"state:refused":             true,
		"lane:db STATE=refused":     true,
		`"disk full" state:refused`: true,
		`"disk full"state:refused`:  true,
		`"state:refused"`:           false,
		`lane:"a state:b"`:          false,
		`"a \" state:b"`:            false,
		`"a \\" state:b`:            true,
		"the-state:x":               false,
		"\tstate:dead":              true,
	} {
		if got := namesState(filter); got != want {
			t.Errorf("%s: got %v", filter, got)
		}
	}
}

// Whatever text: cut it takes no more columns than there are, folded it loses no
// letter of a word that fits, and one line does not speak to the terminal.
func TestTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := singleLine(rapid.String().Draw(t, "text"))
		width := rapid.IntRange(8, 100).Draw(t, "width")
		if cut := clipped(text, width); textWidth(cut) > width || textWidth(text) <= width && cut != text {
			t.Fatalf("%q is cut to %q", text, cut)
		}
		if filled := padded(text, width, false); textWidth(filled) != max(width, textWidth(text)) {
			t.Fatalf("%q is filled up to %q", text, filled)
		}
		joined := ""
		for line := range strings.SplitSeq(folded(text, width, "  "), "\n") {
			if textWidth(line) > width {
				t.Fatalf("%q has the line %q", text, line)
			}
			joined += " " + strings.TrimSpace(line)
		}
		longest := 0
		for word := range strings.FieldsSeq(text) {
			longest = max(longest, textWidth(word))
		}
		if longest <= width-2 && strings.Join(strings.Fields(joined), " ") != strings.Join(strings.Fields(text), " ") {
			t.Fatalf("%q is folded to %q", text, joined)
		}
		for _, r := range text {
			joins := r == '\u200c' || r == '\u200d' // between letters: some scripts need them
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && !joins {
				t.Fatalf("%q holds %U", text, r)
			}
		}
	})
}

// JSON on one line says the same, and nothing to the terminal.
func TestOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := map[string]string{rapid.String().Draw(t, "name"): rapid.String().Draw(t, "value")}
		answer, err := json.MarshalIndent(value, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		line := oneLine(answer)
		var got, want map[string]string
		if json.Unmarshal([]byte(line), &got) != nil || json.Unmarshal(answer, &want) != nil || !cmp.Equal(got, want) {
			t.Fatalf("%s became %s", answer, line)
		}
		if strings.Count(line, "\n") != 1 || redact.Text(line) != line {
			t.Fatalf("%q", line)
		}
	})
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 999 * time.Millisecond: "0s", 12 * time.Second: "12s", 59 * time.Second: "59s",
		time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m", time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 500 * time.Hour: "20d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 9999: "9999", 10_000: "10k", 999_999: "999k", 1_000_000: "1M", 123_456_789: "123M"} {
		if got := short(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
