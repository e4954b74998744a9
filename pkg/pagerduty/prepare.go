package pagerduty

import (
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/internal/plain"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Prepared is an event as it would be sent.
type Prepared struct {
	Event *eventsv2.Event
	Body  []byte // the encoded event; it holds the integration key
	// Matched is false for an acknowledge or resolve for which no open incident
	// is known: PagerDuty drops it without a word unless the incident was
	// triggered elsewhere with the same source, title and message. It is true for a
	// trigger, and where a dedup key is given and nothing is looked up.
	Matched bool
	// Warnings tell what the sender should know although the event is sent.
	Warnings []string

	key int // position of the integration key
}

// Prepare makes the event that [Service.Deliver] would send at the given time,
// and sends nothing. Its errors are those of Deliver but [*DeliveryError].
func (s *Service) Prepare(message string, params *types.Params, now time.Time) (Prepared, error) {
	switch {
	case s.config == nil:
		return Prepared{}, ErrNotInitialized
	case s.broken != nil:
		return Prepared{}, s.broken
	}
	config, err := s.config.With(params)
	if err != nil {
		return Prepared{}, err
	}
	message = plain.Text(plain.UTF8(message))
	ev := config.event(0)
	ev.Payload.Summary, ev.Payload.CustomDetails, err = compose(message, config.Title, config.Details)
	if err != nil {
		return Prepared{}, err
	}
	if ev.Payload.Timestamp = config.Timestamp; ev.Payload.Timestamp.IsZero() {
		ev.Payload.Timestamp = now
	}
	p := Prepared{Event: &ev, Matched: true, Warnings: slices.Clone(config.Warnings)}
	if p.key, err = s.address(&p, config, message, now); err != nil {
		return Prepared{}, err
	}
	ev.RoutingKey = config.Keys[p.key]
	head := s.heads[p.key]
	if config != s.config && !sameHead(*params) {
		var room [512]byte // most heads fit and need no memory of their own
		head = ev.AppendHead(room[:0])
	}
	if err := p.encode(head); err != nil {
		return Prepared{}, err
	}
	return p, nil
}

// sameHead reports whether the params leave the constant part of the event alone.
func sameHead(params types.Params) bool {
	for name := range params {
		switch name {
		case paramTitle, paramDetails, paramDedupKey, paramTimestamp, types.MessageKey:
		default:
			return false
		}
	}
	return true
}

// address gives the event its dedup key, and returns which integration key it
// goes by.
func (s *Service) address(p *Prepared, config *Config, message string, now time.Time) (key int, err error) {
	ev := p.Event
	if ev.DedupKey = config.DedupKey; ev.DedupKey != "" {
		return s.integrationKey(p, now), nil
	}
	ev.DedupKey = derivedKey(config, message, s.opts.Machine)
	if ev.Action == eventsv2.Trigger {
		return s.integrationKey(p, now), nil
	}
	incident, found, err := match(s.openIncidents(p, now), ev, ev.DedupKey, config.SourceGiven)
	if err != nil {
		return 0, err
	}
	if found {
		ev.DedupKey = incident.DedupKey
		return s.indexOf(incident.KeyID), nil
	}
	p.Matched = false
	p.warn("no open incident is known here for this %s: PagerDuty drops it without a word unless one was triggered elsewhere with dedup key %s (%s); give the trigger's dedup_key to be sure",
		ev.Action, ev.DedupKey, sameIssue(config.SourceGiven))
	return eventsv2.Rendezvous(config.Keys, ev.DedupKey), nil
}

// sameIssue names what a derived dedup key is made of.
func sameIssue(sourceGiven bool) string {
	if sourceGiven {
		return "same source, title and message"
	}
	return "same machine, title and message, as no source is given"
}

// integrationKey chooses by the dedup key, but stays with the integration key by
// which the incident was opened: the set of keys may have changed since.
func (s *Service) integrationKey(p *Prepared, now time.Time) int {
	if len(s.config.Keys) == 1 {
		return 0
	}
	for _, in := range s.openIncidents(p, now) {
		if in.DedupKey == p.Event.DedupKey {
			return s.indexOf(in.KeyID)
		}
	}
	return eventsv2.Rendezvous(s.config.Keys, p.Event.DedupKey)
}

// openIncidents lists what the ledger knows of this URL's integration keys. A
// ledger that cannot be read is a warning: the event is more important.
func (s *Service) openIncidents(p *Prepared, now time.Time) []Incident {
	all, err := s.opts.Ledger.Open(now)
	if err != nil {
		p.warn("open incidents are not known: %v", err)
	}
	var ours []Incident
	for _, in := range all {
		if s.indexOf(in.KeyID) >= 0 {
			ours = append(ours, in)
		}
	}
	return ours
}

// indexOf returns the position of the integration key with that ledger id, or -1.
func (s *Service) indexOf(id string) int {
	return slices.Index(s.ids, id)
}

func (p *Prepared) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// encode completes the encoded head to the body, and cuts the details if the event
// is longer than PagerDuty takes.
func (p *Prepared) encode(head []byte) error {
	payload := &p.Event.Payload
	const names = 96 // what AppendTail writes beside the values
	size := names + len(head) + len(payload.Summary) + len(p.Event.DedupKey)
	for _, m := range payload.CustomDetails {
		size += len(m.Name) + len(m.Value) + len(`"":,`)
	}
	p.Body = p.Event.AppendTail(append(make([]byte, 0, size), head...))
	if len(p.Body) <= eventsv2.MaxEventBytes {
		return nil
	}
	done, err := p.Event.Fit(eventsv2.MaxEventBytes)
	if err != nil {
		return &ConfigError{Problems: []Problem{{Param: "event", Reason: err.Error()}}}
	}
	p.Warnings = append(p.Warnings, done...)
	p.Body = p.Event.AppendTail(append(p.Body[:0], head...))
	return nil
}
