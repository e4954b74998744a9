package relay_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
)

// An event that tells of others tells it beside what its sender has written, within
// PagerDuty's limits: in its details, which stay a text if they are one, or in its summary
// if links take the room for details.
func TestWhatIsToldOfOthers(t *testing.T) {
	key, err := eventsv2.ParseKey(strings.Repeat("1", 32))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 4, 2, 0, 0, time.UTC)
	told := queue.Folded{Pairs: 10, Own: true, Spans: []queue.Span{{Opened: at, Resolved: at.Add(7 * time.Minute)}}}
	const text = "opened and resolved 10 times while nothing of it could be sent: opened 2026-03-01T04:02:00Z, resolved 2026-03-01T04:09:00Z"
	links := make([]string, 2400)
	for i := range links {
		links[i] = fmt.Sprintf(`{"href":"https://example.com/%0170d","text":"t"}`, i)
	}
	for name, c := range map[string]struct{ details, links, want, keeps string }{
		"details": {`{"host":"web-1","n":1.50}`, "", `"custom_details":{"relay_folded":"` + text, `"host":"web-1","n":1.50}`},
		"none":    {`{}`, "", `"custom_details":{"relay_folded":"` + text, `"summary":"disk full"`},
		"a text":  {`"as it was"`, "", `"custom_details":"relay_folded: ` + text, `as it was"`},
		"taken":   {`{"relay_folded":"of the sender"}`, "", text, `"relay_folded":"of the sender"`},
		"large":   {`{"log":"` + strings.Repeat("x", eventsv2.MaxEventBytes-400) + `"}`, "", text, `"log":"xxx`},
		"links":   {`{"log":"x"}`, strings.Join(links, ","), `"summary":"disk full (opened and resolved 10 times while nothing of it could be sent)"`, `"links":[`},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"event_action":"trigger","dedup_key":"a","payload":{"summary":"disk full","source":"web-1","severity":"info","custom_details":` + c.details + `}`
			if c.links != "" {
				body += `,"links":[` + c.links
				room := eventsv2.MaxEventBytes - 64 - 90 - len(body)
				body += fmt.Sprintf(`,{"href":"https://example.com/%0*d","text":"t"}]`, room-40, 1)
			}
			e := queue.Event{Kind: queue.Alert, Action: eventsv2.Trigger, DedupKey: "a", Severity: queue.Critical, Body: []byte(body + "}"), Folded: told}
			got := relay.Wire(key, &e, func(at time.Time) time.Time { return at })
			var read struct {
				Payload struct{ Summary, Severity string }
			}
			if err := json.Unmarshal(got, &read); err != nil || read.Payload.Severity != "critical" || utf8.RuneCountInString(read.Payload.Summary) > 1024 || len(got) > eventsv2.MaxEventBytes {
				t.Errorf("of %d bytes the event has %d, the severity %q: %v", len(body), len(got), read.Payload.Severity, err)
			}
			for _, want := range []string{c.want, c.keeps} {
				if !strings.Contains(string(got), want) {
					t.Errorf("%.1000s … %s\nof %d bytes has not %s", got, got[max(0, len(got)-700):], len(got), want)
				}
			}
		})
	}
}
