package eventsv2

import (
	"context"
	"fmt"
	"strings"
)

// RepairChange is [Repair] for a change event.
func RepairChange(ctx context.Context, body []byte, o RepairOptions) (Change, []string, error) {
	r := newRepairer(ctx, body, o)
	r.change = true
	if err := r.readChange(); err != nil {
		return Change{}, nil, err
	}
	r.tidy()
	r.scrub()
	r.moveImages()
	r.moveAlertMembers()
	r.fillSummary()
	r.fillTimestamp()
	r.boundLinks()
	r.shorten()
	r.finishDetails()
	// As an alert event it is longer, so what fits there fits as a change event.
	if err := r.fit(); err != nil {
		return Change{}, nil, &Invalid{Reasons: []string{reasonTooLarge}, change: true}
	}
	p := &r.e.Payload
	return Change{
		RoutingKey: r.e.RoutingKey, Summary: p.Summary, Source: p.Source, Timestamp: p.Timestamp,
		CustomDetails: p.CustomDetails, Links: r.e.Links,
	}, r.told(), nil
}

// ReadChangeKey is [ReadKey] for a change event.
func ReadChangeKey(ctx context.Context, body []byte) (Key, error) {
	r := newKeyReader(ctx, body)
	err := r.readChange()
	return r.e.RoutingKey, err
}

// readChange reads a change event and settles its key.
func (r *repairer) readChange() error {
	switch ended, err := r.read(); {
	case err != nil:
		return err
	case !ended:
		return &Invalid{Reasons: []string{reasonNoJSON}, change: true}
	}
	reasons := r.routingKey(&changeReasons)
	if len(reasons) == 0 && strings.HasPrefix(r.e.RoutingKey.Reveal(), "R") {
		reasons = []string{reasonRulesetKey}
	}
	if len(reasons) > 0 {
		return &Invalid{Reasons: reasons, change: true}
	}
	return nil
}

// moveImages: "the Change Events API only supports links".
func (r *repairer) moveImages() {
	e := &r.e
	if len(e.Images) == 0 {
		return
	}
	r.note("images became links, which is all that a change event may have")
	for _, image := range e.Images {
		e.Links = append(e.Links, Link{Href: image.Src, Text: image.Alt})
		if image.Href != "" && image.Href != image.Src {
			e.Links = append(e.Links, Link{Href: image.Href, Text: image.Alt})
		}
	}
	e.Images = nil
}

// moveAlertMembers keeps what only an alert event has.
func (r *repairer) moveAlertMembers() {
	e := &r.e
	p := &e.Payload
	key := e.RoutingKey
	for _, m := range []struct {
		name string
		text *string
	}{
		{"event_action", &r.given.action},
		{"dedup_key", &r.given.dedup},
		{"client", &e.Client},
		{"client_url", &e.ClientURL},
		{"severity", &r.given.severity},
		{"component", &p.Component},
		{"group", &p.Group},
		{"class", &p.Class},
	} {
		if isBlank(*m.text) {
			continue
		}
		r.note("a change event has no %s: it stands in custom_details", m.name)
		r.keepText(m.name, key.Scrub(*m.text))
		*m.text = ""
	}
}

// boundLinks keeps those that are too many in the details.
func (r *repairer) boundLinks() {
	e := &r.e
	if len(e.Links) <= MaxChangeLinks {
		return
	}
	r.note("%d links, at most %d are allowed: the others stand in custom_details", len(e.Links), MaxChangeLinks)
	for i, link := range e.Links[MaxChangeLinks:] {
		r.keepText(fmt.Sprintf("links_%d", MaxChangeLinks+i), strings.TrimSpace(link.Text+" "+link.Href))
	}
	e.Links = e.Links[:MaxChangeLinks]
}
