package eventsv2

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// RepairOptions is what a repair may need to make up.
type RepairOptions struct {
	// Now is the time of arrival, for an event without a usable timestamp.
	Now time.Time
	// NewDedupKey makes a key for a trigger without one. It has to be unique, as
	// the UUID is that PagerDuty would make.
	NewDedupKey func() string
}

// Repair reads an alert event as any client may have sent it and returns the
// nearest one that PagerDuty accepts, with a line for each thing that was changed.
// Clients take PagerDuty's 400 as final, so what is refused here is a page that
// nobody gets; only what cannot be meant is an *[Invalid]. What an event has no
// place for is moved into custom_details, since PagerDuty drops it without a word,
// and the repairs are told there as well.
//
// The event passes [Event.Validate], has at most [MaxEventBytes], holds its key in
// no other place, and shares no memory with body. To repair it again changes
// nothing.
func Repair(body []byte, o RepairOptions) (Event, []string, error) {
	r := repairer{reader: newReader(body), o: o}
	if !r.top() {
		return Event{}, nil, &Invalid{Reasons: []string{reasonNoJSON}, unreadable: true}
	}
	reasons := r.routingKey(&alertReasons)
	reasons = append(reasons, r.action()...)
	if len(reasons) > 0 {
		return Event{}, nil, &Invalid{Reasons: reasons}
	}
	r.scrub()
	r.dedupKey()
	r.tidy()
	if err := r.complete(); err != nil {
		return Event{}, nil, &Invalid{Reasons: []string{reasonTooLarge}}
	}
	return r.e, r.told(), nil
}

// repairer is an event on its way to what PagerDuty accepts.
type repairer struct {
	reader
	o RepairOptions
	e Event

	given  given
	taken  names   // by the details
	kept   Details // what has no place of its own
	lines  []string
	untold int // lines too many
}

// given are members as they were sent.
type given struct {
	key, action, dedup       string
	keyIsNoText, actIsNoText bool
	severity                 string

	// The names of Events API v1.
	serviceKey, eventType, incidentKey, description string
}

// alertMembers are the members of an alert event, in both versions of the API.
var alertMembers = []string{
	"routing_key", "event_action", "dedup_key", "client", "client_url", "payload", "links", "images",
	"service_key", "event_type", "incident_key", "description", "details", "contexts",
}

// top reads the outermost object.
func (r *repairer) top() bool {
	if r.peek() != '{' {
		return false
	}
	r.at++
	for first := true; r.more(first, '}'); first = false {
		name := r.name()
		if r.topMember(name) {
			continue
		}
		meant := nearest(string(name), alertMembers)
		if meant == "" || !r.topMember([]byte(meant)) {
			r.unknown(string(name))
			continue
		}
		r.note("%s was read as %s", quote(string(name)), meant)
	}
	return r.ended()
}

func (r *repairer) topMember(name []byte) bool {
	e, g := &r.e, &r.given
	switch string(name) {
	case "routing_key":
		g.key, g.keyIsNoText = r.identifier("routing_key", g.key)
	case "event_action":
		g.action, g.actIsNoText = r.identifier("event_action", g.action)
	case "dedup_key":
		r.set(&g.dedup, "dedup_key")
	case "client":
		r.set(&e.Client, "client")
	case "client_url":
		r.set(&e.ClientURL, "client_url")
	case "payload":
		r.payload()
	case "links":
		r.list("links", r.addLink)
	case "images":
		r.list("images", r.addImage)
	default:
		return r.oldMember(name)
	}
	return true
}

// oldMember reads what only Events API v1 has. Some send it to v2, where it would
// be dropped or refused.
func (r *repairer) oldMember(name []byte) bool {
	g := &r.given
	switch string(name) {
	case "service_key":
		g.serviceKey, _ = r.identifier("service_key", g.serviceKey)
	case "event_type":
		g.eventType, _ = r.identifier("event_type", g.eventType)
	case "incident_key":
		r.set(&g.incidentKey, "incident_key")
	case "description":
		r.set(&g.description, "description")
	case "contexts":
		r.list("contexts", r.addContext)
	case "details":
		if r.customDetails("details") {
			r.note("details became payload.custom_details")
		}
	default:
		return false
	}
	return true
}

// identifier reads a text that has to be right as it is. It is not kept if it
// stands twice: it may be a secret.
func (r *repairer) identifier(name, before string) (text string, noText bool) {
	if r.peek() == '"' {
		text = r.text()
	} else if value := string(r.value()); value != "null" {
		return "", true
	}
	if before != "" && before != text {
		r.note("%s stood twice: the last one counts", name)
	}
	return text, false
}

// routingKey settles the key, or says what PagerDuty says to it.
func (r *repairer) routingKey(reasons *keyReasons) (wrong []string) {
	g := &r.given
	if g.key == "" && g.serviceKey != "" && !g.keyIsNoText {
		g.key = g.serviceKey
		r.note("service_key was read as routing_key")
	}
	text := strings.TrimSpace(g.key)
	switch key, err := ParseKey(text); {
	case err == nil:
		r.e.RoutingKey = key
		if text != g.key {
			r.note("routing_key had white space around it")
		}
		return nil
	case g.keyIsNoText:
		return []string{reasons.noText}
	case text == "":
		return []string{reasons.blank}
	}
	if utf8.RuneCountInString(text) != keyLength {
		wrong = append(wrong, reasons.length)
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c >= utf8.RuneSelf || !isAlphanumeric(byte(c)) }) {
		wrong = append(wrong, reasons.letters)
	}
	return wrong
}

// action settles what the event does, or says what PagerDuty says to it.
func (r *repairer) action() (wrong []string) {
	g := &r.given
	if g.action == "" && g.eventType != "" && !g.actIsNoText {
		g.action = g.eventType
		r.note("event_type was read as event_action")
	}
	word := Action(strings.ToLower(strings.TrimSpace(g.action)))
	switch {
	case g.actIsNoText:
		return []string{reasonNoTextAction}
	case word == "":
		return []string{reasonNoAction}
	case !slices.Contains(Actions(), word):
		return []string{reasonWrongAction}
	case string(word) != g.action:
		r.note("event_action %q became %s", r.shown(g.action), word)
	}
	r.e.Action = word
	if isBlank(g.dedup) && !isBlank(g.incidentKey) {
		g.dedup, g.incidentKey = g.incidentKey, ""
		r.note("incident_key was read as dedup_key")
	}
	if isBlank(g.dedup) && word != Trigger {
		return []string{reasonNoDedupKey}
	}
	return nil
}

// dedupKey settles the dedup key. One that PagerDuty would refuse is hashed as
// Alertmanager does it, so that trigger and resolve still meet.
func (r *repairer) dedupKey() {
	e, key := &r.e, r.given.dedup
	n := utf8.RuneCountInString(key)
	switch {
	case isBlank(key):
		e.DedupKey = r.o.NewDedupKey() // as PagerDuty does: no repair
	case occurrences(e.RoutingKey, key) > 0: // people see the dedup key
		e.DedupKey = digest(key)
		r.note("dedup_key held the integration key: its SHA-256 stands for it")
	case n > MaxDedupKey:
		e.DedupKey = digest(key)
		r.note("dedup_key had %d characters, at most %d are allowed: its SHA-256 stands for it", n, MaxDedupKey)
	default:
		e.DedupKey = key
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// complete settles the payload once all of it is known, adds what was kept, and
// makes the event fit.
func (r *repairer) complete() error {
	e := &r.e
	r.shorten()
	if e.Action != Trigger && !e.Payload.useful() && len(r.kept) == 0 {
		e.Payload = Payload{}
		return r.fit() // PagerDuty needs none, and there is nothing to say
	}
	if e.DedupKey != r.given.dedup && occurrences(e.RoutingKey, r.given.dedup) == 0 {
		r.keepText("dedup_key", r.given.dedup)
	}
	r.fillSummary()
	r.fillSource()
	r.fillSeverity()
	r.finishDetails()
	return r.fit()
}

// useful reports whether the payload of an acknowledge or resolve says anything.
// Some agents send {"summary":"","source":"","severity":""} with each.
func (p *Payload) useful() bool {
	bare := *p
	bare.Timestamp = time.Time{}
	return bare.given()
}

// finishDetails gives the time of arrival to an event without any, and adds what
// was kept and told.
func (r *repairer) finishDetails() {
	p := &r.e.Payload
	if p.Timestamp.IsZero() {
		p.Timestamp = r.o.Now
	}
	for _, m := range r.kept {
		p.CustomDetails = append(p.CustomDetails, Member{r.taken.free(m.Name), m.Value})
	}
	if lines := r.told(); len(lines) > 0 {
		told := Text(r.taken.free(repairsName), strings.Join(lines, "; "))
		p.CustomDetails = append(Details{told}, p.CustomDetails...) // first, where Fit leaves it
	}
}
