package pagerduty

import (
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Prepared is an event as it would be sent.
type Prepared struct {
	Event *eventsv2.Event
	Body  []byte // the encoded event; it holds the integration key
	// Matched is false for an acknowledge or resolve for which no open incident
	// is known: PagerDuty drops it without a word unless the incident was
	// triggered elsewhere with the same source and message.
	Matched bool
	// Warnings tell what the sender should know although the event is sent.
	Warnings []string

	key int // position of the integration key
}

// Prepare makes the event that [Service.Deliver] would send at the given time,
// and sends nothing.
func (s *Service) Prepare(message string, params *types.Params, now time.Time) (Prepared, error) {
	if s.config == nil {
		return Prepared{}, ErrNotInitialized
	}
	config, err := s.config.With(params)
	if err != nil {
		return Prepared{}, err
	}
	ev := config.event(0)
	ev.Payload.Summary, ev.Payload.CustomDetails, err = compose(message, config.Title, config.Details)
	if err != nil {
		return Prepared{}, err
	}
	if ev.Payload.Timestamp = config.Timestamp; ev.Payload.Timestamp.IsZero() {
		ev.Payload.Timestamp = now
	}
	p := Prepared{Event: &ev, Matched: true}
	if p.key, err = s.address(&p, config, now); err != nil {
		return Prepared{}, err
	}
	ev.RoutingKey = config.Keys[p.key]
	if config == s.config || sameHead(*params) {
		return p, p.encode(s.heads[p.key])
	}
	var room [512]byte
	return p, p.encode(ev.AppendHead(room[:0]))
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
func (s *Service) address(p *Prepared, config *Config, now time.Time) (key int, err error) {
	ev := p.Event
	if ev.DedupKey = config.DedupKey; ev.DedupKey != "" {
		return s.integrationKey(p, now), nil
	}
	ev.DedupKey = derivedKey(&ev.Payload)
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
	p.warn("no open incident is known here for this %s: PagerDuty drops it without a word unless one was triggered elsewhere with dedup key %s (same source and message); give the trigger's dedup_key to be sure",
		ev.Action, ev.DedupKey)
	return chooseKey(config.Keys, ev.DedupKey), nil
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
	return chooseKey(s.config.Keys, p.Event.DedupKey)
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

// encode makes the body of the encoded head, nil if that has to be encoded too,
// and cuts the details if the event is longer than PagerDuty takes.
func (p *Prepared) encode(head []byte) error {
	p.Body = p.append(make([]byte, 0, p.estimate(head)), head)
	if len(p.Body) <= eventsv2.MaxEventBytes {
		return nil
	}
	done, err := p.Event.Fit(eventsv2.MaxEventBytes)
	if err != nil {
		return &ConfigError{Problems: []Problem{{Param: "event", Reason: err.Error()}}}
	}
	p.Warnings = append(p.Warnings, done...)
	p.Body = p.append(p.Body[:0], head)
	return nil
}

func (p *Prepared) append(dst, head []byte) []byte {
	if head == nil {
		return p.Event.AppendJSON(dst)
	}
	return p.Event.AppendTail(append(dst, head...))
}

// estimate is the size of most bodies, a little more rather than less.
func (p *Prepared) estimate(head []byte) int {
	const headNames, tailNames = 192, 96 // of members, and their marks
	ev, payload := p.Event, &p.Event.Payload
	size := tailNames + len(payload.Summary) + len(ev.DedupKey)
	for _, m := range payload.CustomDetails {
		size += len(m.Name) + len(m.Value) + len(`"":,`)
	}
	if head != nil {
		return size + len(head)
	}
	size += headNames + len(ev.Client) + len(ev.ClientURL) + len(payload.Source) + len(payload.Component) + len(payload.Group) + len(payload.Class)
	for _, l := range ev.Links {
		size += len(l.Href) + len(l.Text) + len(`{"href":"","text":""},`)
	}
	for _, m := range ev.Images {
		size += len(m.Src) + len(m.Href) + len(m.Alt) + len(`{"src":"","href":"","alt":""},`)
	}
	return size
}
