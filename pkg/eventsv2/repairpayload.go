package eventsv2

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// payload reads the payload. An empty one is none: some agents send
// {"summary":"","source":"","severity":""} with each acknowledge.
func (r *repairer) payload(value json.RawMessage) {
	members, repeated, err := looseMembers(value)
	if err != nil {
		if string(value) != "null" {
			r.note("payload was no object: it stands in custom_details")
			r.details = append(r.details, Member{"payload", value})
		}
		return
	}
	for range repeated {
		r.note("a member of payload stood twice: the last one counts")
	}
	p := &r.e.Payload
	for _, m := range members {
		switch strings.ToLower(m.Name) {
		case "summary":
			p.Summary = r.text("payload.summary", m.Value)
		case "source":
			p.Source = r.text("payload.source", m.Value)
		case "severity":
			r.severity = strings.TrimSpace(plain(m.Value))
			p.Severity = Severity(r.severity)
		case "timestamp":
			r.timestamp(m.Value)
		case "component":
			p.Component = r.text("payload.component", m.Value)
		case "group":
			p.Group = r.text("payload.group", m.Value)
		case "class":
			p.Class = r.text("payload.class", m.Value)
		case "custom_details":
			r.customDetails(m.Value)
		default:
			r.unknown(m.Name, m.Value)
		}
	}
}

// customDetails reads an object with its members in their order; anything else
// becomes one, since PagerDuty's rules can look only into objects.
func (r *repairer) customDetails(value json.RawMessage) {
	if string(value) == "null" || string(value) == `""` {
		return
	}
	details, err := ParseDetails(value)
	switch {
	case err == nil:
		for _, m := range details {
			r.addDetail(m)
		}
	case errors.Is(err, ErrNotObject):
		r.note("custom_details was no object")
		r.addDetail(Member{"details", value})
	default: // a name stands twice in it: as a text nothing of it is lost
		r.note("custom_details is kept as a text: %v", err)
		r.addDetail(Text("details", string(value)))
	}
}

func (r *repairer) addDetail(m Member) {
	p := &r.e.Payload
	if _, taken := p.CustomDetails.Get(m.Name); taken {
		m.Name = p.CustomDetails.FreeName(m.Name)
	}
	p.CustomDetails = append(p.CustomDetails, m)
}

// fillSummary makes the summary what PagerDuty takes. A long one, or one of
// several lines, keeps its whole text in the details, as the sender does it.
func (r *repairer) fillSummary(dedupKey string) {
	p := &r.e.Payload
	switch n := utf8.RuneCountInString(p.Summary); {
	case strings.TrimSpace(p.Summary) == "":
		p.Summary = firstOf(p.Class, p.Component, p.Group, p.Source, dedupKey, "event without a summary")
		p.Summary = cutRunes(p.Summary, MaxSummary)
		r.note("payload.summary was missing")
	case n > MaxSummary:
		r.note("payload.summary had %d characters, at most %d are allowed", n, MaxSummary)
		r.keep(messageName, p.Summary)
		p.Summary = cutRunes(p.Summary, MaxSummary)
	}
}

// firstOf returns the first text that is not blank.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// cutRunes shortens a text to at most limit characters, the ellipsis included.
func cutRunes(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	end := 0
	for range limit - 1 {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return text[:end] + "…"
}

func (r *repairer) fillSource() {
	p := &r.e.Payload
	if strings.TrimSpace(p.Source) != "" {
		return
	}
	p.Source = firstOf(r.e.Client, p.Component, p.Group, "unknown")
	r.note("payload.source was missing: %q stands for it", p.Source)
}

// synonyms are severities in the words of other systems: syslog (RFC 5424), Nagios
// and Icinga states, Prometheus and Grafana labels, Zabbix and Datadog levels, and
// priorities. In doubt the graver one is taken: somebody looks, and corrects it.
var synonyms = map[string]Severity{
	"emerg": SeverityCritical, "emergency": SeverityCritical, "alert": SeverityCritical, "crit": SeverityCritical, "fatal": SeverityCritical,
	"panic": SeverityCritical, "disaster": SeverityCritical, "page": SeverityCritical, "down": SeverityCritical, "blocker": SeverityCritical,
	"p0": SeverityCritical, "p1": SeverityCritical, "sev0": SeverityCritical, "sev1": SeverityCritical,

	"err": SeverityError, "high": SeverityError, "major": SeverityError, "unreachable": SeverityError, "unknown": SeverityError,
	"failed": SeverityError, "failure": SeverityError, "p2": SeverityError, "sev2": SeverityError,

	"warn": SeverityWarning, "average": SeverityWarning, "medium": SeverityWarning, "minor": SeverityWarning, "degraded": SeverityWarning,
	"moderate": SeverityWarning, "p3": SeverityWarning, "sev3": SeverityWarning,

	"notice": SeverityInfo, "information": SeverityInfo, "informational": SeverityInfo, "debug": SeverityInfo, "low": SeverityInfo,
	"ok": SeverityInfo, "none": SeverityInfo, "trace": SeverityInfo, "p4": SeverityInfo, "p5": SeverityInfo, "sev4": SeverityInfo, "sev5": SeverityInfo,
}

func (r *repairer) fillSeverity() {
	p := &r.e.Payload
	if isSeverity(p.Severity) {
		return
	}
	word := strings.ToLower(string(p.Severity))
	known, isKnown := synonyms[word]
	switch {
	case isSeverity(Severity(word)):
		p.Severity = Severity(word)
	case isKnown:
		p.Severity = known
	default:
		p.Severity = SeverityError // PagerDuty's own middle, which pages
	}
	if r.severity == "" {
		r.note("payload.severity was missing: %s", p.Severity)
		return
	}
	r.note("payload.severity %q became %s", cutRunes(r.severity, 40), p.Severity)
}

func isSeverity(s Severity) bool {
	switch s {
	case SeverityInfo, SeverityWarning, SeverityError, SeverityCritical:
		return true
	}
	return false
}

// timestamp reads the time in whatever form it has.
func (r *repairer) timestamp(value json.RawMessage) {
	text := strings.TrimSpace(plain(value))
	if text == "" {
		return
	}
	t, exact, ok := readTime(text)
	if !ok {
		r.note("payload.timestamp %q is no time: the time of arrival stands for it", cutRunes(text, 40))
		return
	}
	r.stamp = true
	r.e.Payload.Timestamp = t
	if !exact {
		r.note("payload.timestamp %q was read as %s", cutRunes(text, 40), t.UTC().Format(timestampLayout))
	}
}

// links keeps those that PagerDuty takes and tells of the others.
func (r *repairer) links(value json.RawMessage) {
	for i, one := range r.list("links", value) {
		link := Link{}
		for _, m := range one {
			switch strings.ToLower(m.Name) {
			case "href":
				link.Href = strings.TrimSpace(plain(m.Value))
			case "text":
				link.Text = plain(m.Value)
			}
		}
		if link.Href == "" {
			r.note("links[%d] had no href", i)
			if link.Text != "" {
				r.keep(fmt.Sprintf("link_%d", i), link.Text)
			}
			continue
		}
		r.e.Links = append(r.e.Links, link)
	}
}

func (r *repairer) images(value json.RawMessage) {
	for i, one := range r.list("images", value) {
		image := Image{}
		for _, m := range one {
			switch strings.ToLower(m.Name) {
			case "src":
				image.Src = strings.TrimSpace(plain(m.Value))
			case "href":
				image.Href = plain(m.Value)
			case "alt":
				image.Alt = plain(m.Value)
			case "text": // of v1's contexts, and of those who mix them up
				if image.Alt == "" {
					image.Alt = plain(m.Value)
				}
			}
		}
		r.addImage(i, image)
	}
}

func (r *repairer) addImage(i int, image Image) {
	switch {
	case isHTTPS(image.Src):
		r.e.Images = append(r.e.Images, image)
	case isWebURL(image.Src): // PagerDuty shows only https: a link still leads there
		r.note("images[%d].src is no https URL: it became a link", i)
		r.e.Links = append(r.e.Links, Link{Href: image.Src, Text: image.Alt})
	default:
		r.note("images[%d] had no usable src", i)
		if left := firstOf(image.Src, image.Href, image.Alt); left != "" {
			r.keep(fmt.Sprintf("image_%d", i), left)
		}
	}
}

// contexts reads what Events API v1 calls so.
func (r *repairer) contexts(value json.RawMessage) {
	for i, one := range r.list("contexts", value) {
		kind := ""
		for _, m := range one {
			if strings.EqualFold(m.Name, "type") {
				kind = strings.ToLower(plain(m.Value))
			}
		}
		single := append(append([]byte{'['}, one.AppendJSON(nil)...), ']')
		switch kind {
		case "link":
			r.links(single)
		case "image":
			r.images(single)
		default:
			r.keep(fmt.Sprintf("context_%d", i), string(single[1:len(single)-1]))
		}
	}
}

// list reads an array of objects, or one object that should have been in one.
func (r *repairer) list(name string, value json.RawMessage) []Details {
	if string(value) == "null" {
		return nil
	}
	var raw []json.RawMessage
	if value[0] == '{' {
		raw = []json.RawMessage{value}
		r.note("%s was no list", name)
	} else if json.Unmarshal(value, &raw) != nil {
		r.note("%s was no list: it stands in custom_details", name)
		r.details = append(r.details, Member{name, value})
		return nil
	}
	list := make([]Details, 0, len(raw))
	for i, one := range raw {
		members, _, err := looseMembers(one)
		if err != nil {
			r.note("%s[%d] was no object", name, i)
			r.keep(fmt.Sprintf("%s_%d", name, i), plain(one))
			continue
		}
		list = append(list, members)
	}
	return list
}
