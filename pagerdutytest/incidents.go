package pagerdutytest

import (
	"encoding/json"
	"slices"
	"time"
)

// The states of an incident.
const (
	StatusTriggered    = "triggered"
	StatusAcknowledged = "acknowledged"
	StatusResolved     = "resolved"
)

// Outcomes of a request, as the journal tells them.
const (
	OutcomeOpened       = "opened"       // a trigger that opened an incident
	OutcomeAppended     = "appended"     // a trigger that went to an open incident
	OutcomeAcknowledged = "acknowledged" // an acknowledge that found its incident
	OutcomeResolved     = "resolved"     // a resolve that found its incident
	OutcomeDropped      = "dropped"      // an acknowledge or resolve with nothing open: answered 202 and forgotten
	OutcomeChange       = "change"       // a change event
	OutcomeRefused      = "refused"      // not ingested: 4xx
	OutcomeThrottled    = "throttled"    // not ingested: over the rate limit
)

// Incident is one incident, from its first trigger to its resolve. Summary,
// Severity and the other members of the payload are those of the latest trigger.
type Incident struct {
	ID            int             `json:"id"`          // 1 for the first
	RoutingKey    string          `json:"routing_key"` // fingerprint
	DedupKey      string          `json:"dedup_key"`
	Status        string          `json:"status"` // StatusTriggered, StatusAcknowledged or StatusResolved
	Summary       string          `json:"summary"`
	Severity      string          `json:"severity"`
	Source        string          `json:"source"`
	Timestamp     string          `json:"timestamp,omitempty"`
	Component     string          `json:"component,omitempty"`
	Group         string          `json:"group,omitempty"`
	Class         string          `json:"class,omitempty"`
	Client        string          `json:"client,omitempty"`
	ClientURL     string          `json:"client_url,omitempty"`
	CustomDetails json.RawMessage `json:"custom_details,omitempty"`
	Links         []Link          `json:"links,omitempty"`
	Images        []Image         `json:"images,omitempty"`
	Opened        time.Time       `json:"opened_at"`
	Acknowledged  time.Time       `json:"acknowledged_at,omitzero"` // the first acknowledge
	Resolved      time.Time       `json:"resolved_at,omitzero"`
	Events        int             `json:"events"` // that went to it
	Log           []LogEntry      `json:"log"`
}

// LogEntry is one event of an incident.
type LogEntry struct {
	Time     time.Time `json:"at"`
	Action   string    `json:"action"`
	Summary  string    `json:"summary,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Notified bool      `json:"notified"` // somebody was paged: only the trigger that opens an incident does that
}

// Change is one change event.
type Change struct {
	RoutingKey    string          `json:"routing_key"` // fingerprint
	Summary       string          `json:"summary"`
	Source        string          `json:"source,omitempty"`
	Timestamp     string          `json:"timestamp,omitempty"`
	CustomDetails json.RawMessage `json:"custom_details,omitempty"`
	Links         []Link          `json:"links,omitempty"`
	Time          time.Time       `json:"at"`
}

// identity is what makes two events speak of one incident. Both parts compare
// letter by letter.
type identity struct{ key, dedupKey string }

// incidents is the state machine of PagerDuty's deduplication. It has no clock.
type incidents struct {
	all  []*Incident
	open map[identity]*Incident
}

// apply takes an event that has been accepted and says what it did.
func (s *incidents) apply(ev event, now time.Time) string {
	id := identity{ev.key, ev.dedupKey}
	incident := s.open[id]
	entry := LogEntry{Time: now, Action: ev.action, Summary: ev.payload.summary, Severity: ev.payload.severity}
	outcome := OutcomeAppended
	switch {
	case ev.action != "trigger" && incident == nil:
		return OutcomeDropped
	case ev.action == "trigger" && incident == nil:
		outcome = OutcomeOpened
		entry.Notified = true
		incident = &Incident{ID: len(s.all) + 1, RoutingKey: Fingerprint(ev.key), DedupKey: ev.dedupKey, Status: StatusTriggered, Opened: now}
		s.all = append(s.all, incident)
		if s.open == nil {
			s.open = make(map[identity]*Incident)
		}
		s.open[id] = incident
	case ev.action == "acknowledge":
		outcome = OutcomeAcknowledged
		if incident.Acknowledged.IsZero() {
			incident.Acknowledged = now
		}
		incident.Status = StatusAcknowledged
	case ev.action == "resolve":
		outcome = OutcomeResolved
		incident.Status, incident.Resolved = StatusResolved, now
		delete(s.open, id)
	}
	if ev.action == "trigger" {
		incident.describe(ev)
	}
	incident.Events++
	incident.Log = append(incident.Log, entry)
	return outcome
}

// describe takes over what the latest trigger says.
func (i *Incident) describe(ev event) {
	p := ev.payload
	i.Summary, i.Severity, i.Source, i.Timestamp = p.summary, p.severity, p.source, p.timestamp
	i.Component, i.Group, i.Class = p.component, p.group, p.class
	i.Client, i.ClientURL = ev.client, ev.clientURL
	i.CustomDetails, i.Links, i.Images = p.details, ev.links, ev.images
}

// snapshot copies the incidents, in the order in which they were opened.
func (s *incidents) snapshot() []Incident {
	list := make([]Incident, len(s.all))
	for i, incident := range s.all {
		list[i] = *incident
		list[i].Log = slices.Clone(incident.Log)
	}
	return list
}

// newChange takes a change event that has been accepted.
func newChange(ev event, now time.Time) Change {
	p := ev.payload
	return Change{
		RoutingKey: Fingerprint(ev.key), Summary: p.summary, Source: p.source, Timestamp: p.timestamp,
		CustomDetails: p.details, Links: ev.links, Time: now,
	}
}
