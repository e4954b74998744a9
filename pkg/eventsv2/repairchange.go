package eventsv2

import (
	"encoding/json"
	"fmt"
	"strings"
)

// RepairChange is [Repair] for a change event.
func RepairChange(body []byte, o RepairOptions) (Change, []string, error) {
	r := repairer{o: o, isChange: true}
	top, ok := r.read(body)
	if !ok {
		return Change{}, nil, &Invalid{Reasons: []string{reasonNoJSON}, change: true}
	}
	for _, m := range top {
		switch strings.ToLower(m.Name) {
		case "routing_key":
			r.key = m.Value
		case "payload":
			r.payload(m.Value)
		case "links":
			r.links(m.Value)
		case "images": // "the Change Events API only supports links"
			r.imageLinks(m.Value)
		default:
			r.unknown(m.Name, m.Value)
		}
	}
	reasons := r.identify(nil, nil)
	if len(reasons) == 0 && strings.HasPrefix(r.e.RoutingKey.Reveal(), "R") {
		reasons = []string{reasonRulesetKey}
	}
	if len(reasons) > 0 {
		return Change{}, nil, &Invalid{Reasons: reasons, change: true}
	}
	return r.completeChange()
}

func (r *repairer) imageLinks(value json.RawMessage) {
	r.images(value)
	for _, image := range r.e.Images {
		r.e.Links = append(r.e.Links, Link{Href: firstOf(image.Href, image.Src), Text: image.Alt})
	}
	if len(r.e.Images) > 0 {
		r.note("images became links, which is all that a change event may have")
	}
	r.e.Images = nil
}

func (r *repairer) completeChange() (Change, []string, error) {
	e := &r.e
	r.fillSummary("")
	if !r.stamp {
		e.Payload.Timestamp = r.o.Now
	}
	for i := MaxChangeLinks; i < len(e.Links); i++ {
		r.keep(fmt.Sprintf("link_%d", i), strings.TrimSpace(e.Links[i].Text+" "+e.Links[i].Href))
	}
	if len(e.Links) > MaxChangeLinks {
		r.note("%d links, at most %d are allowed: the others stand in custom_details", len(e.Links), MaxChangeLinks)
		e.Links = e.Links[:MaxChangeLinks]
	}
	e.Payload.CustomDetails = r.merged(e.Payload.CustomDetails)
	if len(r.lines) > 0 {
		e.Tell(repairsName, strings.Join(r.told(), "; "))
	}
	// As an alert event it is longer, so what fits there fits as a change event.
	if err := r.fit(e); err != nil {
		return Change{}, nil, &Invalid{Reasons: []string{reasonTooLarge}, change: true}
	}
	return Change{
		RoutingKey: e.RoutingKey, Summary: e.Payload.Summary, Source: e.Payload.Source, Timestamp: e.Payload.Timestamp,
		CustomDetails: e.Payload.CustomDetails, Links: e.Links,
	}, r.told(), nil
}
