package notify

import (
	"context"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// PagerDuty opens an incident by another integration key, at another upstream, and
// resolves it when the outage is over, unless a critical event was given up in it: nobody
// may have seen that page, so a person resolves the incident. It is sent as it is, by no
// lane of the relay.
type PagerDuty struct {
	Client *eventsv2.Client
	Key    eventsv2.Key
}

// Send implements [Sender]. A test opens an incident that is not urgent and resolves it
// at once.
func (p PagerDuty) Send(ctx context.Context, m Message) error {
	switch m.Status {
	case string(Resolved):
		if m.Rejected+m.Expired > 0 {
			return nil
		}
		return p.post(ctx, m, eventsv2.Resolve, eventsv2.SeverityCritical)
	case string(Firing):
		return p.post(ctx, m, eventsv2.Trigger, eventsv2.SeverityCritical)
	}
	if err := p.post(ctx, m, eventsv2.Trigger, eventsv2.SeverityInfo); err != nil {
		return err
	}
	return p.post(ctx, m, eventsv2.Resolve, eventsv2.SeverityInfo)
}

// post sends one event. The dedup key is the outage's, so that what is sent twice opens
// one incident.
func (p PagerDuty) post(ctx context.Context, m Message, action eventsv2.Action, severity eventsv2.Severity) error {
	e := eventsv2.Event{
		RoutingKey: p.Key, Action: action, DedupKey: m.Outage,
		Payload: eventsv2.Payload{Summary: cut(m.Subject, eventsv2.MaxSummary), Source: m.Relay, Severity: severity},
	}
	e.Tell("message", m.Text)
	if m.Upstream != "" {
		e.Tell("upstream", m.Upstream)
	}
	_, err := p.Client.Post(ctx, p.Key, e.AppendJSON(nil))
	return err
}
