package eventsv2

import (
	"encoding/json"
	"time"
)

// Limits that PagerDuty publishes
// (https://developer.pagerduty.com/docs/send-alert-event).
const (
	// MaxSummary is the longest payload.summary, in characters; a longer one is
	// refused, not cut.
	MaxSummary = 1024
	// MaxDedupKey is the longest dedup_key, in characters.
	MaxDedupKey = 255
	// MaxEventBytes is the size of the encoded event. PagerDuty says "512 KB" and
	// not whether that is 512,000 or 524,288; the smaller is safe in both readings.
	MaxEventBytes = 512_000
	// MaxChangeLinks is the number of links that a change event may carry.
	MaxChangeLinks = 50
)

// Action is what an event does to its incident.
type Action string

// The three event actions.
const (
	Trigger     Action = "trigger"
	Acknowledge Action = "acknowledge"
	Resolve     Action = "resolve"
)

// Actions lists the event actions, in the order of an incident's life.
func Actions() []Action { return []Action{Trigger, Acknowledge, Resolve} }

// Severity is the perceived severity of the affected system.
type Severity string

// The four severities; PagerDuty takes them in lower case only.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityError    Severity = "error"
	SeverityCritical Severity = "critical"
)

// Severities lists the severities, from the mildest to the gravest.
func Severities() []Severity {
	return []Severity{SeverityInfo, SeverityWarning, SeverityError, SeverityCritical}
}

// Event is one event of the Events API v2, as POST /v2/enqueue takes it.
type Event struct {
	RoutingKey Key
	Action     Action
	DedupKey   string // required but for a trigger; at most 255 characters, its case matters
	Client     string
	ClientURL  string
	Payload    Payload
	Links      []Link
	Images     []Image
}

// Payload is what the responder reads. Summary, Source and Severity are required
// of a trigger, and of any other event that has a payload at all.
type Payload struct {
	Summary       string // at most 1,024 characters
	Source        string
	Severity      Severity
	Timestamp     time.Time // sent in UTC with milliseconds; zero: PagerDuty takes the time of arrival
	Component     string
	Group         string
	Class         string
	CustomDetails Details
	// DetailsText is custom_details as a text, which PagerDuty takes as well although none of
	// its rules can look into it. It is sent where CustomDetails has no members.
	DetailsText string
}

// Link is shown with the incident. Href is required.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Image is shown with the incident. Src is required and must be served by https;
// Href makes the image a link.
type Image struct {
	Src  string `json:"src"`
	Href string `json:"href"`
	Alt  string `json:"alt"`
}

// Details is payload.custom_details: members in their order, names unique. Each
// value is JSON as it was written, so that no number is rounded on its way.
type Details []Member

// Member is one named value of [Details].
type Member struct {
	Name  string
	Value json.RawMessage
}

// Change is one change event, as POST /v2/change/enqueue takes it
// (https://developer.pagerduty.com/docs/send-change-event). It has no dedup key:
// one that is sent twice is shown twice.
type Change struct {
	RoutingKey    Key
	Summary       string // at most 1,024 characters
	Source        string
	Timestamp     time.Time
	CustomDetails Details
	Links         []Link // at most 50
}
