package eventsv2

import "strings"

// Invalid is an event that cannot be repaired, with PagerDuty's own reasons.
type Invalid struct {
	// Reasons are texts that PagerDuty answers, such as "'event_action' is missing
	// or blank". None of them quotes what was sent.
	Reasons []string

	change     bool
	unreadable bool
}

// Error joins the reasons.
func (e *Invalid) Error() string { return "invalid event: " + strings.Join(e.Reasons, "; ") }

// AppendJSON appends the body with which PagerDuty answers 400. That of a change
// event has another shape.
func (e *Invalid) AppendJSON(dst []byte) []byte {
	switch {
	case e.change:
		dst = append(dst, `{"error":[`...)
	case e.unreadable:
		dst = append(dst, `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":[`...)
	default:
		dst = append(dst, `{"status":"invalid event","message":"Event object is invalid","errors":[`...)
	}
	for i, reason := range e.Reasons {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, reason)
	}
	return append(dst, `]}`...)
}

// keyReasons are what is said to a routing key that is none.
type keyReasons struct{ blank, noText, length, letters string }

// PagerDuty's texts, full stop included.
var alertReasons = keyReasons{
	blank:   "'routing_key' cannot be blank",
	noText:  "'routing_key' must be a string", // made after the others
	length:  "Length of 'routing_key' is incorrect (should be 32 characters)",
	letters: "'routing_key' cannot contain non-alphanumeric characters.",
}

// Of change events only "links should have at most 50 item(s)" is known. These are
// that validator's words for other flaws.
var changeReasons = keyReasons{
	blank:   "routing_key can't be blank",
	noText:  "routing_key is invalid",
	length:  "routing_key should be 32 character(s)",
	letters: "routing_key has invalid format",
}

// Those of a wrong action, of a missing dedup key, of an orchestration's key and
// of the size have not been published: they are made after those that have.
const (
	reasonNoJSON       = "JSON parse error"
	reasonNoAction     = "'event_action' is missing or blank"
	reasonNoTextAction = "'event_action' must be a string"
	reasonWrongAction  = "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"
	reasonNoDedupKey   = "'dedup_key' is missing or blank"
	reasonRulesetKey   = "routing_key is invalid (must be the integration key of a service, not of a ruleset)"
	reasonTooLarge     = "Event is too large (maximum is 512000 bytes)"
)
