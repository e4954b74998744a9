package eventsv2

import (
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
)

var payloadMembers = newMemberNames(
	"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details",
	"routing_key", "event_action", "dedup_key", "client", "client_url", "links", "images", "payload", // which belong outside
)

// payload reads the payload. A text in its place is the summary, or the payload once more
// encoded. A list of one may hold either.
func (r *repairer) payload() {
	switch r.peek() {
	case '{':
	case '"':
		if text := r.exact(); !r.nested(text) && !r.keyOnly {
			r.note("payload was a text: it became payload.summary")
			r.setText(&r.e.Payload.Summary, r.clean(text), "payload.summary")
		}
		return
	default:
		if r.alone() {
			r.onlyElement()
			return
		}
		if r.keyOnly {
			r.skip(0)
			return
		}
		if value := r.value(); !isEmpty(value) {
			r.note("payload was no object: it stands in custom_details")
			r.keep("payload", value)
		}
		return
	}
	r.at++
	for first := true; r.more(first, '}'); first = false {
		name := r.name()
		if r.payloadMember(name) {
			continue
		}
		meant := payloadMembers.nearest(name)
		if meant == "" || !r.payloadMember([]byte(meant)) {
			if r.keyOnly {
				r.skip(0)
			} else {
				r.unknown(string(name))
			}
			continue
		}
		r.note("payload.%s was read as %s", strings.Trim(quote(string(name)), `"`), meant)
	}
}

// alone reports whether a list begins here that has one element, which can be a payload.
func (r *repairer) alone() bool {
	if r.inList || r.peek() != '[' {
		return false
	}
	ahead := r.reader
	ahead.at++
	if c := ahead.peek(); c != '{' && c != '"' || !ahead.more(true, ']') {
		return false
	}
	ahead.skip(1)
	alone := !ahead.more(false, ']') && !ahead.bad
	r.members = ahead.members
	return alone
}

// onlyElement reads the payload that is the only element of a list.
func (r *repairer) onlyElement() {
	r.at++
	r.inList = true
	r.payload()
	r.inList = false
	r.more(false, ']')
	if !r.keyOnly {
		r.note("payload was a list: its only element was read")
	}
}

func (r *repairer) payloadMember(name []byte) bool {
	p := &r.e.Payload
	if r.keyOnly {
		if r.deep(name) {
			return true
		}
		known := payloadMembers.has(name)
		if known {
			r.skip(0)
		}
		return known
	}
	switch string(name) {
	case "summary":
		r.set(&p.Summary, "payload.summary")
	case "source":
		r.set(&p.Source, "payload.source")
	case "severity":
		r.set(&r.given.severity, "payload.severity") // the event has none that is not one of the four
	case "timestamp":
		r.timestamp()
	case "component":
		r.set(&p.Component, "payload.component")
	case "group":
		r.set(&p.Group, "payload.group")
	case "class":
		r.set(&p.Class, "payload.class")
	case "custom_details":
		r.customDetails("payload.custom_details")
	default:
		return r.deep(name)
	}
	return true
}

// set reads a member that has to be a text. If it stands twice the last one counts,
// as most readers have it, and the other is kept.
func (r *repairer) set(field *string, name string) { r.setBy(r.text, field, name) }

// setExact is set for a text that names something, so that each character of it counts.
func (r *repairer) setExact(field *string, name string) { r.setBy(r.exact, field, name) }

func (r *repairer) setBy(read func() string, field *string, name string) {
	var text string
	if r.peek() == '"' {
		text = read()
	} else if value := r.value(); string(value) != "null" {
		text = string(value)
		r.note("%s was no text", name)
	}
	r.setText(field, text, name)
}

func (r *repairer) setText(field *string, text, name string) {
	if isBlank(text) && *field != "" {
		return
	}
	if *field != "" && *field != text {
		r.note("%s stood twice: the last one counts, the other stands in custom_details", name)
		r.keepText(strings.TrimPrefix(name, "payload."), *field)
	}
	*field = text
}

// customDetails reads an object with its members in their order. A text, which PagerDuty
// takes, stays one; anything else becomes an object, since PagerDuty's rules look only into
// those. It reports whether there is anything.
func (r *repairer) customDetails(name string) bool {
	switch r.peek() {
	case '{':
	case '"':
		text, g := r.text(), &r.given
		switch n := len(g.details); {
		case text == "":
			return false
		case n > 0 && text == g.details[n-1]:
			return true
		case n > 0:
			r.note("%s stood twice: both are kept", name)
		}
		g.details = append(g.details, text)
		return true
	default:
		value := r.value()
		if isEmpty(value) {
			return false
		}
		r.note("%s was no object", name)
		r.addDetail(Member{"details", value})
		return true
	}
	r.at++
	if r.e.Payload.CustomDetails == nil {
		r.e.Payload.CustomDetails = make(Details, 0, 8)
	}
	before := len(r.e.Payload.CustomDetails)
	for first := true; r.more(first, '}'); first = false {
		name := string(r.name())
		r.addDetail(Member{name, r.value()})
	}
	return len(r.e.Payload.CustomDetails) > before
}

func (r *repairer) addDetail(m Member) {
	if r.detailsRoom -= m.smallest(); r.detailsRoom < 0 {
		r.left.add(m)
		return
	}
	name := r.taken.free(m.Name)
	if name != m.Name {
		r.mended |= mendedName
		m.Name = name
	}
	r.e.Payload.CustomDetails = append(r.e.Payload.CustomDetails, m)
}

// tidy clears blank texts, which PagerDuty refuses in some places, and a client_url that is
// none.
func (r *repairer) tidy() {
	e, g := &r.e, &r.given
	p := &e.Payload
	for _, field := range []*string{&p.Summary, &p.Source, &p.Component, &p.Group, &p.Class, &e.Client, &e.ClientURL, &g.description} {
		if isBlank(*field) {
			*field = ""
		}
	}
	if isBlank(g.severity) {
		g.severity = ""
	}
	p.DetailsText = strings.Join(g.details, "\n")
	r.liftTexts()
	r.settleTimestamp()
	if url := strings.TrimSpace(e.ClientURL); url == "" || isURL(url) {
		e.ClientURL = url
	} else {
		r.note("client_url was no URL: it stands in custom_details")
		r.keepText("client_url", e.ClientURL)
		e.ClientURL = ""
	}
	if g.description != "" {
		if p.Summary == "" {
			p.Summary = g.description
			r.note("description was read as payload.summary")
		} else {
			r.note("description is no member of an event: it stands in custom_details")
			r.keepText("description", g.description)
		}
	}
	if key := g.incidentKey; !isBlank(key) {
		r.note("incident_key is no member of an event: it stands in custom_details")
		r.keepText("incident_key", key)
	}
}

// fillSummary makes the summary what PagerDuty takes. The whole text of a long one
// is kept in the details, as the sender does it.
func (r *repairer) fillSummary() {
	p := &r.e.Payload
	if isBlank(p.Summary) {
		// To drop control characters can join the pieces of a key.
		p.Summary = r.e.RoutingKey.Scrub(r.anySummary())
		r.note("payload.summary was missing: %q stands for it", r.shown(p.Summary))
	}
	short, whole := CutSummary(p.Summary)
	if whole {
		return
	}
	r.note("payload.summary had %d characters, at most %d are allowed", utf8.RuneCountInString(p.Summary), MaxSummary)
	r.kept = append(Details{Text(r.messageName(), p.Summary)}, r.kept...)
	p.Summary = short
}

func (r *repairer) messageName() string {
	if _, taken := r.e.Payload.CustomDetails.Get(messageName); taken {
		return longMessageName
	}
	return messageName
}

// anySummary makes a summary out of what else there is.
func (r *repairer) anySummary() string {
	e := &r.e
	p := &e.Payload
	line, _, _ := strings.Cut(strings.TrimSpace(p.DetailsText), "\n")
	what := firstOf(r.detailText("summary", "title", messageName, "description", "msg", "text", "alertname"), line, p.Class, p.Component, p.Group)
	switch {
	case what != "" && p.Source != "":
		return what + " on " + strings.TrimSpace(p.Source)
	case what != "" || p.Source != "":
		return firstOf(what, p.Source)
	}
	return firstOf(r.given.dedup, e.Client, "event without a summary")
}

// detailText returns the first text of these names in the details.
func (r *repairer) detailText(names ...string) string {
	for _, name := range names {
		for _, details := range []Details{r.e.Payload.CustomDetails, r.kept} {
			if value, found := details.Get(name); found && value[0] == '"' {
				text := reader{src: value}
				if said := text.text(); !isBlank(said) {
					return said
				}
			}
		}
	}
	return ""
}

// firstOf returns the first text that is not blank, without control characters.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text = strings.TrimSpace(plain.Text(text)); text != "" {
			return text
		}
	}
	return ""
}

func (r *repairer) fillSource() {
	p := &r.e.Payload
	if p.Source != "" {
		return
	}
	host := cut(r.detailText("host", "hostname", "instance", "node", "server"), maxMessageBytes)
	p.Source = r.e.RoutingKey.Scrub(firstOf(host, p.Component, p.Group, r.e.Client, "unknown source"))
	r.note("payload.source was missing: %q stands for it", r.shown(p.Source))
}
