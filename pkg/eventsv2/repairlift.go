package eventsv2

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// misplaced are members that stood one level too high, outside the payload, or one level too
// deep, in it. PagerDuty drops the former without a word, a severity among them, and refuses
// the event for want of the latter.
type misplaced struct {
	summary, source, severity, timestamp, component, group, class string // outside

	key, action, dedup, client, clientURL string // inside
}

// high reads a member of the payload that stands outside of it.
func (r *repairer) high(name []byte) bool {
	m := &r.given.misplaced
	switch string(name) {
	case "summary":
		r.set(&m.summary, "summary")
	case "source":
		r.set(&m.source, "source")
	case "severity":
		r.set(&m.severity, "severity")
	case "timestamp":
		r.set(&m.timestamp, "timestamp")
	case "component":
		r.set(&m.component, "component")
	case "group":
		r.set(&m.group, "group")
	case "class":
		r.set(&m.class, "class")
	case "custom_details":
		if r.customDetails("custom_details") {
			r.note("custom_details stood outside the payload: it was read as the payload's")
		}
	default:
		return false
	}
	return true
}

// deep reads a member of the event that stands in the payload.
func (r *repairer) deep(name []byte) bool {
	m := &r.given.misplaced
	switch string(name) {
	case "routing_key":
		m.key, _ = r.identifier("payload.routing_key", m.key)
	case "event_action":
		m.action, _ = r.identifier("payload.event_action", m.action)
	case "dedup_key":
		r.setExact(&m.dedup, "payload.dedup_key")
	case "payload":
		if r.inPayload {
			return false
		}
		r.inPayload = true
		r.payload()
		r.inPayload = false
		r.note("payload stood in itself: it was read")
	default:
		return !r.keyOnly && r.deepBody(name)
	}
	return true
}

// deepBody reads what names neither the lane nor the chain.
func (r *repairer) deepBody(name []byte) bool {
	m := &r.given.misplaced
	switch string(name) {
	case "client":
		r.set(&m.client, "payload.client")
	case "client_url":
		r.set(&m.clientURL, "payload.client_url")
	case "links":
		r.list("payload.links", r.addLink)
	case "images":
		r.list("payload.images", r.addImage)
	default:
		return false
	}
	return true
}

// nested reads a payload that is JSON in a text, as programs make it that encode twice, and
// reports whether it was such a one.
func (r *repairer) nested(text string) bool {
	body := bytes.TrimSpace([]byte(text))
	if r.inText || len(body) == 0 || body[0] != '{' {
		return false
	}
	if !utf8.Valid(body) {
		body = replaceHalves(body)
	}
	whole := newReader(r.ctx, body)
	if whole.skip(0); !whole.ended() {
		r.members += whole.members
		return false
	}
	outer := r.reader
	r.reader, r.inText = newReader(r.ctx, body), true
	r.payload()
	inner := r.reader
	r.reader, r.inText = outer, false
	r.mended |= inner.mended
	r.members += whole.members + inner.members
	r.bad = r.bad || inner.bad // its context has ended
	r.note("payload was JSON in a text: it was read")
	return true
}

// lift puts what named the lane or the chain into its place, where nothing stands there.
func (r *repairer) lift() {
	g := &r.given
	m := &g.misplaced
	if g.key == "" && g.serviceKey == "" && !g.keyIsNoText && m.key != "" {
		g.key = m.key
		r.note("payload.routing_key was read as routing_key")
	}
	if isBlank(g.action) && isBlank(g.eventType) && !g.actIsNoText && !isBlank(m.action) {
		g.action = m.action
		r.note("payload.event_action was read as event_action")
	}
	if isBlank(g.dedup) && isBlank(g.incidentKey) && !isBlank(m.dedup) {
		g.dedup = m.dedup
		r.note("payload.dedup_key was read as dedup_key")
	}
}

// liftTexts puts the other misplaced members into their place, or keeps them where that is
// taken by another one.
func (r *repairer) liftTexts() {
	e, g := &r.e, &r.given
	p, m := &e.Payload, &g.misplaced
	for _, member := range []struct {
		place    *string
		text     string
		from, to string
	}{
		{&p.Summary, m.summary, "summary", "payload.summary"},
		{&p.Source, m.source, "source", "payload.source"},
		{&g.severity, m.severity, "severity", "payload.severity"},
		{&g.timestamp, m.timestamp, "timestamp", "payload.timestamp"},
		{&p.Component, m.component, "component", "payload.component"},
		{&p.Group, m.group, "group", "payload.group"},
		{&p.Class, m.class, "class", "payload.class"},
		{&e.Client, m.client, "payload.client", "client"},
		{&e.ClientURL, m.clientURL, "payload.client_url", "client_url"},
	} {
		switch {
		case isBlank(member.text), member.text == *member.place:
		case isBlank(*member.place):
			*member.place = member.text
			r.note("%s was read as %s", member.from, member.to)
		default:
			r.note("%s stood beside %s: it stands in custom_details", member.from, member.to)
			r.keepText(strings.TrimPrefix(member.from, "payload."), member.text)
		}
	}
	if dedup := m.dedup; !isBlank(dedup) && dedup != g.dedup {
		r.note("payload.dedup_key stood beside dedup_key: it stands in custom_details")
		r.keepText("dedup_key", strings.ToValidUTF8(dedup, "\ufffd"))
	}
}
