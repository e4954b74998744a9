package eventsv2

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Validate tells everything for which PagerDuty would refuse the event, joined
// into one error, or nil. Limits that PagerDuty does not publish are not
// invented here. An acknowledge or resolve needs no payload; one that has any
// part of a payload needs all of its required members, as rules and
// orchestrations read it.
func (e *Event) Validate() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if e.RoutingKey.IsZero() {
		say("routing_key is missing")
	}
	if !slices.Contains(Actions(), e.Action) {
		say("event_action %q is not one of trigger, acknowledge, resolve", e.Action)
	}
	if e.DedupKey == "" && e.Action != Trigger {
		say("dedup_key is missing: only a trigger may go without")
	}
	if n := utf8.RuneCountInString(e.DedupKey); n > MaxDedupKey {
		say("dedup_key has %d characters, at most %d are allowed", n, MaxDedupKey)
	}
	if e.Action == Trigger || e.Payload.given() {
		wrong = append(wrong, e.Payload.problems()...)
	}
	for i, l := range e.Links {
		if strings.TrimSpace(l.Href) == "" {
			say("links[%d].href is missing", i)
		}
	}
	for i, m := range e.Images {
		if !isHTTPS(m.Src) {
			say("images[%d].src must be an https URL", i)
		}
	}
	return errors.Join(wrong...)
}

// given reports whether any member of the payload is set.
func (p *Payload) given() bool {
	return p.Summary != "" || p.Source != "" || p.Severity != "" || !p.Timestamp.IsZero() ||
		p.Component != "" || p.Group != "" || p.Class != "" || len(p.CustomDetails) > 0 || p.DetailsText != ""
}

func (p *Payload) problems() []error {
	var wrong []error
	if strings.TrimSpace(p.Summary) == "" {
		wrong = append(wrong, errors.New("payload.summary is missing or blank"))
	}
	if n := utf8.RuneCountInString(p.Summary); n > MaxSummary {
		wrong = append(wrong, fmt.Errorf("payload.summary has %d characters, at most %d are allowed", n, MaxSummary))
	}
	if strings.TrimSpace(p.Source) == "" {
		wrong = append(wrong, errors.New("payload.source is missing or blank"))
	}
	if !slices.Contains(Severities(), p.Severity) {
		wrong = append(wrong, fmt.Errorf("payload.severity %q is not one of info, warning, error, critical", p.Severity))
	}
	return wrong
}

// Validate tells everything for which PagerDuty would refuse the change event,
// joined into one error, or nil.
func (c *Change) Validate() error {
	var wrong []error
	if c.RoutingKey.IsZero() {
		wrong = append(wrong, errors.New("routing_key is missing"))
	}
	// An orchestration's key begins with R and is refused for change events:
	// https://developer.pagerduty.com/docs/send-change-event
	if strings.HasPrefix(c.RoutingKey.Reveal(), "R") {
		wrong = append(wrong, errors.New("routing_key belongs to an orchestration, which takes no change events: use a service's key"))
	}
	if strings.TrimSpace(c.Summary) == "" {
		wrong = append(wrong, errors.New("payload.summary is missing or blank"))
	}
	if n := utf8.RuneCountInString(c.Summary); n > MaxSummary {
		wrong = append(wrong, fmt.Errorf("payload.summary has %d characters, at most %d are allowed", n, MaxSummary))
	}
	if len(c.Links) > MaxChangeLinks {
		wrong = append(wrong, fmt.Errorf("%d links, at most %d are allowed", len(c.Links), MaxChangeLinks))
	}
	for i, l := range c.Links {
		if strings.TrimSpace(l.Href) == "" {
			wrong = append(wrong, fmt.Errorf("links[%d].href is missing", i))
		}
	}
	return errors.Join(wrong...)
}

func isHTTPS(src string) bool {
	u, err := url.Parse(src)
	return err == nil && strings.EqualFold(u.Scheme, "https") && u.Host != ""
}
