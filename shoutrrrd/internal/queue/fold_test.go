package queue_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// A change event is within PagerDuty's limits, whatever the alert was, and keeps the
// sender's details where there is room.
func TestNote(t *testing.T) {
	at := time.Date(2026, 3, 1, 4, 2, 0, 0, time.FixedZone("", 3600))
	once := queue.Folded{Pairs: 1, Own: true, Spans: []queue.Span{{Opened: at, Resolved: at.Add(7 * time.Minute)}}}
	many := queue.Folded{}
	for i := range 1000 {
		many.Add(queue.Folded{Pairs: 1, Spans: []queue.Span{{Opened: at.Add(time.Duration(i) * time.Minute), Resolved: at.Add(time.Duration(i)*time.Minute + 30*time.Second)}}})
	}
	for name, c := range map[string]struct {
		details, summary string
		told             queue.Folded
		wants            []string
	}{
		"plain":             {`{"host":"web-1","n":1.50}`, "disk full", once, []string{`"summary":"disk full (opened 2026-03-01T03:02:00Z, resolved 2026-03-01T03:09:00Z, while nothing could be sent to PagerDuty)"`, `"host":"web-1"`, `"n":1.50`, `"dedup_key":"a"`, `"severity":"critical"`}},
		"a text":            {`"two\nlines"`, "disk full", once, []string{`"custom_details":"two\nlines"`, `"relay_folded":"opened and resolved once while`}},
		"a long summary":    {`{}`, strings.Repeat("ä", 1024), once, []string{`… (opened 2026`}},
		"a thousand":        {`{}`, "disk full", many, []string{`opened and resolved 1000 times from 2026-03-01T03:02:00Z to`, `and 980 more; `}},
		"no room":           {`{"log":"` + strings.Repeat("x", eventsv2.MaxEventBytes-300) + `"}`, "disk full", many, []string{`"relay_folded":`}},
		"a name is taken":   {`{"severity":"of the sender","dedup_key":7}`, "disk full", once, []string{`"severity":"critical"`}},
		"it cannot be read": {`{`, "disk full", once, []string{`"summary":"disk full (`}},
	} {
		t.Run(name, func(t *testing.T) {
			e := queue.Event{Kind: queue.Alert, DedupKey: "a", Summary: c.summary, Source: "web-1", Body: []byte(`{"event_action":"trigger","dedup_key":"a","payload":{"summary":"s","source":"web-1","severity":"info","custom_details":` + c.details + `}}`)}
			summary, body := e.Note(&c.told, queue.Critical, at)
			if utf8.RuneCountInString(summary) > 1024 || len(body) > eventsv2.MaxEventBytes-64 || !json.Valid(body) {
				t.Errorf("the summary has %d characters, the event %d bytes, as JSON %v", utf8.RuneCountInString(summary), len(body), json.Valid(body))
			}
			for _, want := range c.wants {
				if !strings.Contains(string(body), want) {
					t.Errorf("%.2000s\nhas not %s", body, want)
				}
			}
		})
	}
}
