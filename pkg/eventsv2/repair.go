package eventsv2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
)

// RepairOptions is what a repair may need to make up.
type RepairOptions struct {
	// Now is the time of arrival, for an event without a usable timestamp.
	Now time.Time
	// NewDedupKey makes a key for a trigger without one. It has to be unique, as
	// the UUID is that PagerDuty would make.
	NewDedupKey func() string
	// Encoding is what the body was decoded from, "" for UTF-8. It is told.
	Encoding string
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
//
// The time and the memory that it takes grow with the length of the body and with
// nothing else. If the context ends in the midst of a large one, the error is its
// cause.
func Repair(ctx context.Context, body []byte, o RepairOptions) (Event, []string, error) {
	r := newRepairer(ctx, body, o)
	if err := r.readAlert(); err != nil {
		return Event{}, nil, err
	}
	r.tidy()
	r.scrub()
	r.dedupKey()
	if err := r.complete(); err != nil {
		return Event{}, nil, &Invalid{Reasons: []string{reasonTooLarge}}
	}
	return r.e, r.told(), nil
}

// ReadKey returns the key of an alert event, or the *[Invalid] that [Repair] would
// return, but for an event that is too large. It reads and keeps nothing else, so
// that an event whose key is unknown costs little.
func ReadKey(ctx context.Context, body []byte) (Key, error) {
	r := newKeyReader(ctx, body)
	err := r.readAlert()
	return r.e.RoutingKey, err
}

// repairer is an event on its way to what PagerDuty accepts.
type repairer struct {
	reader
	o RepairOptions
	e Event

	// keyOnly steps over each member that neither names the lane nor is judged
	// before the key is looked up.
	keyOnly bool

	change bool // a change event is read

	inPayload, inText, inList bool // the payload that is read stands in a payload, in a text, in a list

	given given
	taken names   // by the details
	kept  Details // what has no place of its own

	// What the details and kept may still take. Members beyond that cannot be sent
	// in any case: they are counted in left. Their names and values are not kept,
	// which would take many times the memory of the body.
	detailsRoom, keptRoom int
	left                  leftOut

	lines  []string
	untold int // lines too many
}

// keepRoom is what the details and kept may take, each. It is twice of what can be
// sent, as a key that is replaced makes a member smaller.
const keepRoom = 2 * MaxEventBytes

func newRepairer(ctx context.Context, body []byte, o RepairOptions) repairer {
	return repairer{reader: newReader(ctx, body), o: o, detailsRoom: keepRoom, keptRoom: keepRoom}
}

func newKeyReader(ctx context.Context, body []byte) repairer {
	r := newRepairer(ctx, body, RepairOptions{})
	r.keyOnly = true
	r.out = make([]byte, 0, keyLength) // not the length of the body
	return r
}

// readAlert reads an alert event, and settles its key and its action.
func (r *repairer) readAlert() error {
	switch ended, err := r.read(); {
	case err != nil:
		return err
	case !ended:
		return &Invalid{Reasons: []string{reasonNoJSON}, unreadable: true}
	}
	reasons := r.routingKey(&alertReasons)
	reasons = append(reasons, r.action()...)
	if len(reasons) > 0 {
		return &Invalid{Reasons: reasons}
	}
	return nil
}

// read reads the whole body and reports whether it is an object and nothing else.
func (r *repairer) read() (ended bool, err error) {
	ended = r.top()
	r.lift()
	if r.members >= membersBetweenLooks {
		err = r.stopped()
	}
	return ended, err
}

// given are members as they were sent.
type given struct {
	key, action, dedup       string
	keyIsNoText, actIsNoText bool
	severity, timestamp      string
	details                  []string // texts in the place of custom_details; joined once, as a body may hold 100,000 of them

	// The names of Events API v1.
	serviceKey, eventType, incidentKey, description string

	misplaced misplaced
}

// alertMembers are the members of an alert event, in both versions of the API.
var alertMembers = newMemberNames(
	"routing_key", "event_action", "dedup_key", "client", "client_url", "payload", "links", "images",
	"service_key", "event_type", "incident_key", "description", "details", "contexts",
	"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details", // which belong into the payload
)

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
		meant := alertMembers.nearest(name)
		if meant == "" || !r.topMember([]byte(meant)) {
			if r.keyOnly {
				r.skip(0)
			} else {
				r.unknown(string(name))
			}
			continue
		}
		r.note("%s was read as %s", quote(string(name)), meant)
	}
	return r.ended()
}

// topMember reads a member of the outermost object. Those that only Events API v1
// has are sent to v2 as well, which would drop or refuse them.
func (r *repairer) topMember(name []byte) bool {
	g := &r.given
	switch string(name) {
	case "routing_key":
		g.key, g.keyIsNoText = r.identifier("routing_key", g.key)
	case "event_action":
		g.action, g.actIsNoText = r.identifier("event_action", g.action)
	case "dedup_key":
		r.setExact(&g.dedup, "dedup_key")
	case "service_key":
		g.serviceKey, _ = r.identifier("service_key", g.serviceKey)
	case "event_type":
		g.eventType, _ = r.identifier("event_type", g.eventType)
	case "incident_key":
		r.setExact(&g.incidentKey, "incident_key")
	default:
		if r.keyOnly && string(name) != "payload" && alertMembers.has(name) {
			r.skip(0)
			return true
		}
		return (!r.keyOnly || string(name) == "payload") && r.bodyMember(name)
	}
	return true
}

// bodyMember reads what names neither the lane nor the chain.
func (r *repairer) bodyMember(name []byte) bool {
	e := &r.e
	switch string(name) {
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
	case "description":
		r.set(&r.given.description, "description")
	case "contexts":
		r.list("contexts", r.addContext)
	case "details":
		if r.customDetails("details") {
			r.note("details became payload.custom_details")
		}
	default:
		return r.high(name)
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

// dedupKey settles the dedup key. One that PagerDuty would refuse, or that cannot be sent as it
// is, is hashed as Alertmanager does it, so that trigger and resolve still meet.
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
		if e.DedupKey = PlainDedupKey(key); e.DedupKey != key {
			r.note("dedup_key held control characters or halves of a character: its SHA-256 stands for it")
		}
	}
	r.given.dedup = plain.Text(strings.ToValidUTF8(key, "\ufffd")) // for the details
}

// PlainDedupKey returns a dedup key that can be sent: the text itself, or its SHA-256 in
// hexadecimal digits if it holds control characters or is no UTF-8. To drop or to replace
// these would make one key of two, and close the one's incident by the other's resolve.
func PlainDedupKey(key string) string {
	if utf8.ValidString(key) && !plain.HasControls(key) {
		return key
	}
	return digest(key)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// complete settles the payload once all of it is known, adds what was kept, and
// makes the event fit. What it fills in can be long, so shorten comes after that.
func (r *repairer) complete() error {
	e := &r.e
	if e.Action != Trigger && !r.useful() && len(r.kept) == 0 {
		e.Payload = Payload{}
		r.shorten()
		return r.fit() // PagerDuty needs none, and there is nothing to say
	}
	if e.DedupKey != r.given.dedup && occurrences(e.RoutingKey, r.given.dedup) == 0 {
		r.keepText("dedup_key", r.given.dedup)
	}
	r.fillSummary()
	r.fillSource()
	r.fillSeverity()
	r.fillTimestamp()
	r.shorten()
	r.finishDetails()
	return r.fit()
}

// useful reports whether the payload of an acknowledge or resolve says anything.
// Some agents send {"summary":"","source":"","severity":""} with each.
func (r *repairer) useful() bool {
	bare := r.e.Payload
	bare.Timestamp = time.Time{}
	return bare.given() || r.given.severity != ""
}

// fillTimestamp gives the time of arrival to an event without any.
func (r *repairer) fillTimestamp() {
	if p := &r.e.Payload; p.Timestamp.IsZero() {
		p.Timestamp = r.o.Now
	}
}

// finishDetails adds what was kept, and the lines.
func (r *repairer) finishDetails() {
	p := &r.e.Payload
	if p.DetailsText != "" && (len(p.CustomDetails) > 0 || r.change) { // there is one place for both
		p.CustomDetails = append(p.CustomDetails, Text(r.taken.free("details"), p.DetailsText))
		p.DetailsText = ""
		r.note("custom_details was a text: it stands in an object")
	}
	if p.DetailsText != "" {
		r.finishDetailsText()
		return
	}
	p.CustomDetails = slices.Grow(p.CustomDetails, len(r.kept))
	for _, m := range r.kept {
		p.CustomDetails = append(p.CustomDetails, Member{r.taken.free(m.Name), m.Value})
	}
	if lines := r.told(); len(lines) > 0 {
		told := Text(r.taken.free(repairsName), strings.Join(lines, "; "))
		p.CustomDetails = append(Details{told}, p.CustomDetails...) // first, where Fit leaves it
	}
}

// finishDetailsText adds what was kept to details that are a text, a line for each. The repairs
// are not told there: the rules of whoever sends a text look at all of it.
func (r *repairer) finishDetailsText() {
	p := &r.e.Payload
	var all strings.Builder
	all.WriteString(p.DetailsText)
	for _, m := range r.kept {
		all.WriteString("\n" + m.Name + ": " + valueText(m.Value))
	}
	if n := r.left.n; n > 0 {
		all.WriteString("\n" + omittedName + ": " + r.left.of(len(r.kept)+n))
		r.left = leftOut{}
	}
	p.DetailsText = all.String()
}
