package eventsv2

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// RepairOptions is what a repair may need to make up.
type RepairOptions struct {
	// Now is the time of arrival, for an event without a usable timestamp.
	Now time.Time
	// NewDedupKey makes a key for a trigger without one. It has to be unique:
	// PagerDuty would make a UUID.
	NewDedupKey func() string
}

// Names of the details that tell what was repaired. FreeName gives another one if
// they are taken.
const (
	repairsName = "relay_repairs"
	messageName = "message_full"
)

// Repair reads an alert event as any client may have sent it and returns the
// nearest one that PagerDuty accepts, with a line for each thing that was changed.
// Clients take PagerDuty's 400 as final, so what is refused here is a page that
// nobody gets; only what cannot be meant is an *[Invalid]. The repairs are told to
// the responder as well, in custom_details. The event passes [Event.Validate] and
// has at most [MaxEventBytes].
func Repair(body []byte, o RepairOptions) (Event, []string, error) {
	r := repairer{o: o}
	top, ok := r.read(body)
	if !ok {
		return Event{}, nil, &Invalid{Reasons: []string{reasonNoJSON}, unreadable: true}
	}
	e := &r.e
	var action, dedup json.RawMessage
	for _, m := range top {
		switch strings.ToLower(m.Name) {
		case "routing_key":
			r.key = m.Value
		case "event_action":
			action = m.Value
		case "dedup_key":
			dedup = m.Value
		case "client":
			e.Client = r.text("client", m.Value)
		case "client_url":
			e.ClientURL = r.text("client_url", m.Value)
		case "payload":
			r.payload(m.Value)
		case "links":
			r.links(m.Value)
		case "images":
			r.images(m.Value)
		case "contexts": // the name of Events API v1, which some send to v2
			r.note("contexts became links and images")
			r.contexts(m.Value)
		case "details":
			r.note("details became payload.custom_details")
			r.customDetails(m.Value)
		default:
			r.unknown(m.Name, m.Value)
		}
	}
	reasons := r.identify(action, dedup)
	if len(reasons) > 0 {
		return Event{}, nil, &Invalid{Reasons: reasons}
	}
	if err := r.complete(); err != nil {
		return Event{}, nil, err
	}
	return *e, r.told(), nil
}

// repairer is an event on its way to what PagerDuty accepts.
type repairer struct {
	o         RepairOptions
	e         Event
	key       json.RawMessage
	lines     []string
	details   Details // to be added: what has no place of its own
	stamp     bool    // a timestamp was given and understood
	isChange  bool
	severity  string // as it was given
	size      int    // of what was given
}

func (r *repairer) note(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// read gives the members of the outermost object, each name once.
func (r *repairer) read(body []byte) (Details, bool) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	r.size = len(body)
	top, repeated, err := looseMembers(body)
	if err != nil {
		return nil, false
	}
	for range repeated {
		r.note("a member stood twice: the last one counts")
	}
	return top, true
}

// identify settles what says which event it is; it returns PagerDuty's reasons if
// that cannot be known.
func (r *repairer) identify(action, dedup json.RawMessage) (reasons []string) {
	e := &r.e
	given := strings.TrimSpace(plain(r.key))
	switch key, err := ParseKey(given); {
	case err == nil:
		e.RoutingKey = key
	case given == "":
		reasons = append(reasons, reasonNoKey)
	default:
		if utf8.RuneCountInString(given) != keyLength {
			reasons = append(reasons, reasonKeyLength)
		}
		if strings.ContainsFunc(given, func(c rune) bool { return c > 127 || !isAlphanumeric(byte(c)) }) {
			reasons = append(reasons, reasonKeyLetters)
		}
	}
	if r.isChange {
		return reasons
	}
	word := plain(action)
	e.Action = Action(strings.ToLower(strings.TrimSpace(word)))
	switch {
	case e.Action == "":
		reasons = append(reasons, reasonNoAction)
	case !slices.Contains(Actions(), e.Action):
		reasons = append(reasons, reasonWrongAction)
	case string(e.Action) != word:
		r.note("event_action %q became %s", word, e.Action)
	}
	return append(reasons, r.identity(dedup)...)
}

// identity settles the dedup key. One that PagerDuty would refuse is hashed, so
// that trigger and resolve still meet.
func (r *repairer) identity(given json.RawMessage) (reasons []string) {
	e := &r.e
	key := r.text("dedup_key", given)
	switch {
	case strings.TrimSpace(key) == "" && e.Action == Trigger:
		e.DedupKey = r.o.NewDedupKey() // as PagerDuty does: no repair
	case strings.TrimSpace(key) == "":
		return []string{reasonNoDedupKey}
	case utf8.RuneCountInString(key) > MaxDedupKey:
		e.DedupKey = digest(key)
		r.note("dedup_key had %d characters, at most %d are allowed: its SHA-256 stands for it", utf8.RuneCountInString(key), MaxDedupKey)
		r.keep("dedup_key", e.RoutingKey.Scrub(key))
	case e.RoutingKey.Scrub(key) != key:
		e.DedupKey = digest(key) // it is shown to people
		r.note("dedup_key held the integration key: its SHA-256 stands for it")
	default:
		e.DedupKey = key
	}
	return nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// complete settles the payload once all of it is known, adds what was kept, and
// makes the event fit.
func (r *repairer) complete() error {
	e := &r.e
	if e.Action != Trigger && !e.Payload.given() && len(r.details) == 0 {
		return nil // PagerDuty needs none, and there is nothing to say
	}
	r.clientURL()
	r.fillSummary(e.DedupKey)
	r.fillSource()
	r.fillSeverity()
	if !r.stamp {
		e.Payload.Timestamp = r.o.Now
	}
	e.Payload.CustomDetails = r.merged(e.Payload.CustomDetails)
	if len(r.lines) > 0 {
		e.Tell(repairsName, strings.Join(r.told(), "; "))
	}
	return r.fit(e)
}

// told returns the lines; they may quote what a client has put in a wrong place.
func (r *repairer) told() []string {
	for i, line := range r.lines {
		r.lines[i] = r.e.RoutingKey.Scrub(line)
	}
	return r.lines
}

// fit is spared an event that cannot be too long: encoding makes at most six bytes
// of one.
func (r *repairer) fit(e *Event) error {
	if r.size < MaxEventBytes/8 {
		return nil
	}
	done, err := e.Fit(MaxEventBytes)
	if err == nil {
		r.lines = append(r.lines, done...)
		return nil
	}
	// Something beside the details is too long: links, images or a name.
	e.Links, e.Images = nil, nil
	for _, field := range []*string{&e.Client, &e.ClientURL, &e.Payload.Source, &e.Payload.Component, &e.Payload.Group, &e.Payload.Class} {
		if len(*field) > maxMessageBytes {
			*field = cut(*field, maxMessageBytes)
		}
	}
	r.note("the event was too large: links and images were left out, long fields cut")
	if done, err = e.Fit(MaxEventBytes); err != nil {
		return &Invalid{Reasons: []string{reasonTooLarge}}
	}
	r.lines = append(r.lines, done...)
	return nil
}

// merged adds what was kept to the details, under names that are free.
func (r *repairer) merged(details Details) Details {
	for _, m := range r.details {
		details = append(details[:len(details):len(details)], Member{details.FreeName(m.Name), m.Value})
	}
	return details
}

// keep puts a text that has lost its place among the details.
func (r *repairer) keep(name, text string) { r.details = append(r.details, Text(name, text)) }

// unknown keeps what PagerDuty would drop without a word.
func (r *repairer) unknown(name string, value json.RawMessage) {
	if string(value) == "null" || string(value) == `""` {
		return
	}
	if strings.EqualFold(name, "agent") { // the mark that PagerDuty's own agents leave
		return
	}
	r.note("%s is no member of an event: it stands in custom_details", wordOrLength(name))
	r.details = append(r.details, Member{name, value})
}

// wordOrLength quotes a name unless it is long enough to be a key that was pasted
// into the wrong place.
func wordOrLength(name string) string {
	if utf8.RuneCountInString(name) > 19 {
		return fmt.Sprintf("a name of %d characters", utf8.RuneCountInString(name))
	}
	return strconv.Quote(name)
}

// text reads a member that has to be a text.
func (r *repairer) text(name string, value json.RawMessage) string {
	if len(value) == 0 || value[0] == '"' || string(value) == "null" {
		return plain(value)
	}
	r.note("%s was no text", name)
	return string(value)
}

// plain is the text of a JSON string, and the JSON of anything else but null.
func plain(value json.RawMessage) string {
	if len(value) == 0 || string(value) == "null" {
		return ""
	}
	if value[0] != '"' {
		return string(value)
	}
	if inner := value[1 : len(value)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var text string
	_ = json.Unmarshal(value, &text) // it is a valid JSON string
	return text
}

func (r *repairer) clientURL() {
	e := &r.e
	if e.ClientURL == "" || isWebURL(e.ClientURL) {
		return
	}
	r.note("client_url is no http URL: it stands in custom_details")
	r.keep("client_url", e.ClientURL)
	e.ClientURL = ""
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https"))
}
