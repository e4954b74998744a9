package eventsv2

import (
	"encoding/json"
	"fmt"
	"time"
)

// ParseEvent reads back what [Event.AppendJSON] wrote, with the routing key or
// without one, so that encoding it again gives the same bytes. It repairs nothing.
func ParseEvent(body []byte) (Event, error) {
	var in struct {
		Key       string  `json:"routing_key"`
		Action    Action  `json:"event_action"`
		DedupKey  string  `json:"dedup_key"`
		Client    string  `json:"client"`
		ClientURL string  `json:"client_url"`
		Links     []Link  `json:"links"`
		Images    []Image `json:"images"`
		Payload   struct {
			Summary       string          `json:"summary"`
			Source        string          `json:"source"`
			Severity      Severity        `json:"severity"`
			Timestamp     time.Time       `json:"timestamp"`
			Component     string          `json:"component"`
			Group         string          `json:"group"`
			Class         string          `json:"class"`
			CustomDetails json.RawMessage `json:"custom_details"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Event{}, fmt.Errorf("read an encoded event: %w", err)
	}
	p := in.Payload
	e := Event{
		Action: in.Action, DedupKey: in.DedupKey, Client: in.Client, ClientURL: in.ClientURL, Links: in.Links, Images: in.Images,
		Payload: Payload{
			Summary: p.Summary, Source: p.Source, Severity: p.Severity, Timestamp: p.Timestamp,
			Component: p.Component, Group: p.Group, Class: p.Class,
		},
	}
	if in.Key != "" {
		key, err := ParseKey(in.Key)
		if err != nil {
			return Event{}, fmt.Errorf("read the routing_key of an encoded event: %w", err)
		}
		e.RoutingKey = key
	}
	if len(p.CustomDetails) > 0 && p.CustomDetails[0] == '"' {
		if err := json.Unmarshal(p.CustomDetails, &e.Payload.DetailsText); err != nil {
			return Event{}, fmt.Errorf("read the details of an encoded event: %w", err)
		}
	} else if len(p.CustomDetails) > 0 {
		details, err := ParseDetails(p.CustomDetails)
		if err != nil {
			return Event{}, fmt.Errorf("read the details of an encoded event: %w", err)
		}
		e.Payload.CustomDetails = details
	}
	return e, nil
}

// keyRoom is what the routing key takes in an encoded event.
const keyRoom = len(`"routing_key":"",`) + keyLength

// Tell puts a note to the responder before the other details, and makes the event
// fit again. Nothing is told in an event whose texts leave no room.
func (e *Event) Tell(name, text string) {
	details, detailsText := e.Payload.CustomDetails, e.Payload.DetailsText
	if len(details) == 0 && detailsText != "" {
		e.Payload.DetailsText = name + ": " + text + "\n" + detailsText
	} else {
		e.Payload.CustomDetails = append(Details{Text(details.FreeName(name), text)}, details...)
	}
	limit := MaxEventBytes
	if e.RoutingKey.IsZero() {
		limit -= keyRoom
	}
	if _, err := e.Fit(limit); err != nil {
		e.Payload.CustomDetails, e.Payload.DetailsText = details, detailsText
	}
}
