package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// eventLog tells each request to the emulator once its fate is known.
type eventLog struct {
	w        io.Writer
	emulator *pagerdutytest.Emulator
	seen     int        // number of the last request that was looked at
	pending  []int      // numbers of those without a fate yet
	keys     redact.Set // of all requests that were looked at
}

func newEventLog(w io.Writer, e *pagerdutytest.Emulator) *eventLog {
	return &eventLog{w: w, emulator: e}
}

// logPace bounds how often the journal is copied under load.
const logPace = 50 * time.Millisecond

// follow tells requests until the context ends.
func (l *eventLog) follow(ctx context.Context) {
	for {
		updated := l.emulator.Updated()
		l.tellNew()
		select {
		case <-ctx.Done():
			l.tellNew()
			return
		case <-updated:
		}
		pause := time.NewTimer(logPace)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

func (l *eventLog) tellNew() {
	entries := l.emulator.Journal()
	if len(entries) == 0 || entries[len(entries)-1].Number < l.seen { // somebody has reset it
		l.seen, l.pending = 0, nil
	}
	var still []int
	for _, entry := range entries {
		if entry.Number <= l.seen && !slices.Contains(l.pending, entry.Number) {
			continue
		}
		if l.seen < entry.Number {
			l.seen = entry.Number
			key, _ := readable(entry)
			l.keys.Add(key)
		}
		if !hasFate(entry) {
			still = append(still, entry.Number)
			continue
		}
		_, _ = fmt.Fprintf(l.w, "%s %s\n", entry.Time.Format(time.TimeOnly), l.keys.Hide(requestLine(entry))) // there is no other place for an error
	}
	l.pending = still
}

// hasFate reports whether no more will happen to a request.
func hasFate(x pagerdutytest.Entry) bool {
	switch x.Fault {
	case pagerdutytest.FaultHang, pagerdutytest.FaultResetBefore:
		return true
	case pagerdutytest.FaultResetAfter:
		return x.Outcome != ""
	}
	return x.Status != 0
}

// requestLine tells a request in one line, without its key. The caller hides the
// keys of the other requests.
func requestLine(x pagerdutytest.Entry) string {
	parts := []string{fmt.Sprintf("#%d", x.Number)}
	key, summary := readable(x)
	if x.Action == "" {
		parts = append(parts, redact.Line(x.Method), redact.Line(redact.Shapes(x.Path)))
	} else {
		parts = append(parts, redact.Line(x.Action))
	}
	if summary != "" {
		parts = append(parts, fmt.Sprintf("%q", summary))
	}
	if x.DedupKey != "" {
		parts = append(parts, "dedup_key="+redact.Line(key.Scrub(x.DedupKey)))
	}
	if x.Key != "" {
		parts = append(parts, x.Key)
	}
	return strings.Join(parts, " ") + ": " + fate(x)
}

// fate is what the emulator did with a request.
func fate(x pagerdutytest.Entry) string {
	text := "no answer"
	if x.Status != 0 {
		text = strings.TrimSpace(fmt.Sprintf("%d %s", x.Status, http.StatusText(x.Status)))
	}
	if x.Outcome != "" {
		text += ", " + x.Outcome
	}
	if x.Fault != "" {
		text += " (fault " + x.Fault + ")"
	}
	if x.Outcome == pagerdutytest.OutcomeRefused {
		key, _ := readable(x)
		text += ": " + redact.Line(key.Scrub(shortened(strings.TrimSpace(string(x.Answer)))))
	}
	return text
}

// readable takes the key and the summary out of a body, if it is an event.
func readable(x pagerdutytest.Entry) (key eventsv2.Key, summary string) {
	var body struct {
		RoutingKey string `json:"routing_key"`
		Payload    struct{ Summary string }
	}
	if json.Unmarshal(x.Body, &body) != nil {
		return key, ""
	}
	key, _ = eventsv2.ParseKey(body.RoutingKey) // the zero key scrubs nothing
	return key, shortened(key.Scrub(body.Payload.Summary))
}

func shortened(text string) string {
	const longest = 200
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}

// incidentText tells an incident and its history.
func incidentText(i pagerdutytest.Incident) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  incident %d is %s: %q (%s, source %s)\n", i.ID, i.Status, shortened(i.Summary), i.Severity, redact.Line(i.Source))
	fmt.Fprintf(&b, "    dedup_key=%s %s, %s:\n", redact.Line(i.DedupKey), i.RoutingKey, counted(i.Events, "event"))
	for _, entry := range i.Log {
		paged := ""
		if entry.Notified {
			paged = ", somebody is paged"
		}
		fmt.Fprintf(&b, "    %s %s %q%s\n", entry.Time.Format("15:04:05.000"), entry.Action, shortened(entry.Summary), paged)
	}
	return b.String()
}
