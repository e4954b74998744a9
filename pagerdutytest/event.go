package pagerdutytest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits that PagerDuty publishes. "512 KB" is read as the smaller of the two
// numbers that it can mean.
const (
	maxBody     = 512_000
	maxSummary  = 1024
	maxDedupKey = 255
	maxLinks    = 50 // of a change event
	keyLength   = 32
)

// Link is a link of an event.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text,omitempty"`
}

// Image is an image of an event.
type Image struct {
	Src  string `json:"src"`
	Href string `json:"href,omitempty"`
	Alt  string `json:"alt,omitempty"`
}

// event is an alert event or, without an action, a change event as it was read.
// It holds what could be read also when the event has problems.
type event struct {
	key               string
	action            string
	dedupKey          string
	client, clientURL string
	payload           payload
	links             []Link
	images            []Image
	secrets           []string // the key in every form in which the body spells it
}

type payload struct {
	summary, source, severity, timestamp string
	component, group, class              string
	details                              json.RawMessage
}

// reading collects what is wrong with an event. Lenient, it lets pass what
// PagerDuty is known or likely to let pass.
type reading struct {
	lenient  bool
	problems []problem
}

// decodeAlert reads the body of POST /v2/enqueue. The error says that it is not
// a JSON object at all.
func decodeAlert(body []byte, lenient bool) (event, []problem, error) {
	root, err := parse(body)
	if err != nil || root.kind != jsonObject {
		return event{}, nil, errNotJSON
	}
	r := &reading{lenient: lenient}
	ev := event{secrets: secretsOf(root)}
	ev.key = r.routingKey(root)
	ev.action = r.choice(root, "", "event_action", "'trigger', 'acknowledge' or 'resolve'", "trigger", "acknowledge", "resolve")
	ev.dedupKey = r.dedupKey(root, ev.action)
	if p := root.get("payload"); ev.action == "trigger" || p.kind > jsonNull || (p.kind == jsonNull && !lenient) {
		ev.payload = r.alertPayload(p)
	}
	ev.client = r.optional(root, "", "client")
	ev.clientURL = r.clientURL(root)
	ev.links = r.links(root)
	ev.images = r.images(root)
	r.known(root, "", "routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images")
	r.repeated(root)
	return ev, r.problems, nil
}

// decodeChange reads the body of POST /v2/change/enqueue.
func decodeChange(body []byte, lenient bool) (event, []problem, error) {
	root, err := parse(body)
	if err != nil || root.kind != jsonObject {
		return event{}, nil, errNotJSON
	}
	r := &reading{lenient: lenient}
	ev := event{secrets: secretsOf(root)}
	ev.key = r.routingKey(root)
	if strings.HasPrefix(ev.key, "R") {
		r.add(problem{flaw: wrongValue, path: "routing_key", want: "the integration key of a service, not of a ruleset"})
	}
	ev.payload = r.changePayload(root.get("payload"))
	ev.links = r.links(root)
	if len(ev.links) > maxLinks {
		r.add(problem{flaw: tooMany, path: "links", limit: maxLinks})
	}
	// The schema has images; the guide says that only links are supported.
	r.known(root, "", "routing_key", "payload", "links")
	r.repeated(root)
	return ev, r.problems, nil
}

// secretsOf lists the spellings of the key in the body, for redaction: the text
// that it means and the bytes that stand there, which may hold escapes.
func secretsOf(root value) []string {
	var found []string
	for _, m := range root.members {
		if m.name == "routing_key" && m.value.kind == jsonText && m.value.text != "" {
			found = append(found, m.value.text, strings.Trim(string(m.value.raw), `"`))
		}
	}
	return found
}

func (r *reading) routingKey(root value) string {
	const path = "routing_key"
	v := root.get(path)
	switch {
	case v.kind <= jsonNull || (v.kind == jsonText && isBlank(v.text)):
		r.add(problem{flaw: blank, path: path})
		return ""
	case v.kind != jsonText:
		r.add(problem{flaw: wrongType, path: path, want: "a string"})
		return ""
	}
	if utf8.RuneCountInString(v.text) != keyLength {
		r.add(problem{flaw: wrongLength, path: path, limit: keyLength})
	}
	if !isAlphanumeric(v.text) {
		r.add(problem{flaw: wrongLetters, path: path})
	}
	return v.text
}

func (r *reading) dedupKey(root value, action string) string {
	const path = "dedup_key"
	before := len(r.problems)
	key := r.optional(root, "", path)
	switch {
	case len(r.problems) > before: // of the wrong type
	case utf8.RuneCountInString(key) > maxDedupKey:
		r.add(problem{flaw: tooLong, path: path, limit: maxDedupKey})
	case isBlank(key) && (action == "acknowledge" || action == "resolve"):
		r.add(problem{flaw: blank, path: path})
	}
	return key
}

func (r *reading) alertPayload(v value) payload {
	var p payload
	if !r.isObject(v, "payload") {
		return p
	}
	p.summary = r.summary(v)
	p.source = r.required(v, "payload", "source")
	p.severity = r.choice(v, "payload", "severity", "'critical', 'warning', 'error' or 'info'", "critical", "warning", "error", "info")
	p.timestamp = r.timestamp(v)
	p.component = r.optional(v, "payload", "component")
	p.group = r.optional(v, "payload", "group")
	p.class = r.optional(v, "payload", "class")
	p.details = r.details(v)
	r.known(v, "payload", "summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details")
	return p
}

func (r *reading) changePayload(v value) payload {
	var p payload
	if !r.isObject(v, "payload") {
		return p
	}
	p.summary = r.summary(v)
	p.source = r.optional(v, "payload", "source")
	p.timestamp = r.timestamp(v)
	p.details = r.details(v)
	r.known(v, "payload", "summary", "source", "timestamp", "custom_details")
	return p
}

func (r *reading) summary(v value) string {
	s := r.required(v, "payload", "summary")
	if utf8.RuneCountInString(s) > maxSummary {
		r.add(problem{flaw: tooLong, path: "payload.summary", limit: maxSummary})
	}
	return s
}

func (r *reading) timestamp(v value) string {
	s := r.optional(v, "payload", "timestamp")
	if given := v.get("timestamp"); given.kind == jsonText && !isTimestamp(s, r.lenient) {
		r.add(problem{flaw: wrongValue, path: "payload.timestamp", want: "an ISO 8601 timestamp"})
	}
	return s
}

// details takes an object, or a text, which PagerDuty takes too, but no rule can
// filter on it then.
func (r *reading) details(v value) json.RawMessage {
	d := v.get("custom_details")
	switch {
	case d.kind == jsonAbsent || (d.kind == jsonNull && r.lenient):
		return nil
	case d.kind != jsonObject && d.kind != jsonText && !r.lenient:
		r.add(problem{flaw: wrongType, path: "payload.custom_details", want: "an object or a text"})
		return nil
	}
	return slices.Clone(d.raw) // the body is large and need not be kept for it
}

func (r *reading) clientURL(root value) string {
	s := r.optional(root, "", "client_url")
	if root.get("client_url").kind != jsonText || r.lenient {
		return s
	}
	if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.Host == "" {
		r.add(problem{flaw: wrongValue, path: "client_url", want: "an absolute URL"})
	}
	return s
}

func (r *reading) links(root value) []Link {
	var links []Link
	for path, v := range r.elements(root, "links") {
		links = append(links, Link{Href: r.required(v, path, "href"), Text: r.optional(v, path, "text")})
		r.known(v, path, "href", "text")
	}
	return links
}

func (r *reading) images(root value) []Image {
	var images []Image
	for path, v := range r.elements(root, "images") {
		image := Image{Src: r.required(v, path, "src"), Href: r.optional(v, path, "href"), Alt: r.optional(v, path, "alt")}
		if image.Src != "" {
			if u, err := url.Parse(image.Src); err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "" {
				r.add(problem{flaw: wrongValue, path: path + ".src", want: "served via HTTPS"})
			}
		}
		images = append(images, image)
		r.known(v, path, "src", "href", "alt")
	}
	return images
}

func isAlphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
