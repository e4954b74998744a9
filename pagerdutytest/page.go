package pagerdutytest

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/internal/look"
)

const (
	pageIncidents = 200 // the latest that the page shows
	pageRequests  = 50
	pageRefresh   = 3 // seconds
)

// pagePolicy lets the page do nothing but be seen: no script, no form, no other
// origin.
func pagePolicy() string {
	return "default-src 'none'; style-src " + hashSource(look.Style) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// servePage shows the incidents and the last requests. It loads itself again
// unless it is asked to hold still, which keeps what was opened open.
func (e *Emulator) servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy())
	w.Header().Set("Referrer-Policy", "no-referrer")
	p := &page{now: e.options.Now(), redact: e.redact}
	p.write(e.Incidents(), e.Journal(), r.URL.Query().Has("hold"))
	_, _ = io.WriteString(w, e.redact(p.String())) // the reader may be gone
}

// page is HTML in the making. Everything that is not a constant of this file
// goes through text.
type page struct {
	strings.Builder
	now    time.Time
	redact func(string) string
}

// cut shortens a text; a key that is in it must not be cut beyond recognition
// first.
func (p *page) cut(s string, n int) string { return shorten(p.redact(s), n) }

// f writes constant markup with escaped texts in its place holders.
func (p *page) f(markup string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, t := range texts {
		escaped[i] = html.EscapeString(visible(t))
	}
	fmt.Fprintf(p, markup, escaped...)
}

// visible puts U+FFFD for what HTML must not hold or what would turn the line
// around.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || (r >= 0x7f && r < 0xa0), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '\ufffd'
		}
		return r
	}, s)
}

func (p *page) write(incidents []Incident, entries []Entry, hold bool) {
	p.f("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n")
	if !hold {
		p.f("<meta http-equiv=\"refresh\" content=\"%s\">\n", fmt.Sprint(pageRefresh))
	}
	p.f("<title>%s open · PagerDuty sandbox</title><style>", fmt.Sprint(countOpen(incidents)))
	p.WriteString(look.Style) // not escaped: the policy names its hash
	p.f("</style></head><body>\n<header><h1>PagerDuty sandbox</h1>")
	p.f("<p>%s incidents, %s open · %s requests · %s</p>", fmt.Sprint(len(incidents)), fmt.Sprint(countOpen(incidents)), fmt.Sprint(len(entries)), p.now.Format("15:04:05 MST"))
	if hold {
		p.f("<p><a href=\"/\">follow</a></p>")
	} else {
		p.f("<p><a href=\"/?hold\">hold still</a></p>")
	}
	p.f("</header>\n<main>\n")
	p.incidents(incidents)
	p.requests(entries)
	p.f("</main></body></html>\n")
}

func countOpen(incidents []Incident) int {
	open := 0
	for _, i := range incidents {
		if i.Status != StatusResolved {
			open++
		}
	}
	return open
}

// incidents shows the open ones first, each group from the latest on.
func (p *page) incidents(all []Incident) {
	p.f("<h2>Incidents</h2>\n")
	if len(all) == 0 {
		p.f("<p class=\"none\">None yet. Send an event to /v2/enqueue on this address.</p>\n")
		return
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b Incident) int { return rank(a) - rank(b) })
	p.f("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Incidents\"><table><thead><tr><th scope=\"col\">State</th><th scope=\"col\">Severity</th><th scope=\"col\">Incident</th>" +
		"<th scope=\"col\">Source</th><th scope=\"col\">Dedup key</th><th scope=\"col\">Key</th><th scope=\"col\">Opened</th></tr></thead><tbody>\n")
	for _, i := range all[:min(len(all), pageIncidents)] {
		p.f("<tr><td class=\"%s\">%s</td><td>%s</td><td class=\"text\">%s", i.Status, i.Status, i.Severity, i.Summary)
		p.timeline(i.Log)
		p.f("</td><td>%s</td><td><code>%s</code></td><td><code>%s</code></td><td>%s</td></tr>\n",
			p.cut(i.Source, 40), p.cut(i.DedupKey, 40), i.RoutingKey, clock(i.Opened))
	}
	p.f("</tbody></table></div>\n")
	if more := len(all) - pageIncidents; more > 0 {
		p.f("<p class=\"none\">%s more at /sandbox/incidents</p>\n", fmt.Sprint(more))
	}
}

func rank(i Incident) int {
	if i.Status == StatusResolved {
		return 1
	}
	return 0
}

// timeline lists the events of an incident, the latest ten if there are more.
func (p *page) timeline(log []LogEntry) {
	first := max(0, len(log)-10)
	p.f("<ol start=\"%s\">", fmt.Sprint(first+1))
	for _, entry := range log[first:] {
		p.f("<li>%s %s", clock(entry.Time), entry.Action)
		if entry.Notified {
			p.f(", somebody is paged")
		}
		if entry.Summary != "" {
			p.f(": %s", p.cut(entry.Summary, 120))
		}
		p.f("</li>")
	}
	p.f("</ol>")
}

// requests shows the last requests, from the latest on.
func (p *page) requests(entries []Entry) {
	p.f("<h2>Last requests</h2>\n")
	if len(entries) == 0 {
		p.f("<p class=\"none\">None yet.</p>\n")
		return
	}
	p.f("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Last requests\"><table><thead><tr><th scope=\"col\">No.</th><th scope=\"col\">Time</th><th scope=\"col\">Request</th>" +
		"<th scope=\"col\">Became</th><th scope=\"col\">Body and answer</th></tr></thead><tbody>\n")
	slices.Reverse(entries)
	for _, x := range entries[:min(len(entries), pageRequests)] {
		p.f("<tr><td>%s</td><td>%s</td><td><code>%s %s%s</code></td><td class=\"%s\">%s</td>", fmt.Sprint(x.Number), clock(x.Time),
			p.cut(x.Method, 20), p.cut(x.redact(x.Target), 60), p.cut(x.redact(x.Path), 60), x.grade(), x.verdict())
		p.f("<td class=\"text\"><details><summary>%s</summary><pre>%s</pre><pre>%s</pre></details></td></tr>\n",
			strings.TrimSpace("show "+x.Key+" "+p.cut(x.redact(x.Action), 20)), p.cut(x.redact(string(x.Body)), 4000), p.cut(x.redact(string(x.Answer)), 1000))
	}
	p.f("</tbody></table></div>\n")
}

// grade is the colour of a request. A dropped event was answered well and still
// changed nothing.
func (x Entry) grade() string {
	switch {
	case x.Status < 200 || x.Status > 299:
		return "bad"
	case x.Outcome == OutcomeDropped:
		return "odd"
	}
	return "good"
}

func clock(t time.Time) string { return t.Format("15:04:05") }
