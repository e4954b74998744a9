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

// PagerDuty's reasons, as they are seen in its answers. That of a wrong action is
// made after the one of a wrong severity, as nobody has published it.
const (
	reasonNoJSON      = "JSON parse error"
	reasonNoKey       = "'routing_key' cannot be blank"
	reasonKeyLength   = "Length of 'routing_key' is incorrect (should be 32 characters)"
	reasonKeyLetters  = "'routing_key' cannot contain non-alphanumeric characters."
	reasonNoAction    = "'event_action' is missing or blank"
	reasonWrongAction = "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"
	reasonNoDedupKey  = "'dedup_key' is missing or blank"
	reasonRulesetKey  = "'routing_key' belongs to an orchestration, which takes no change events"
	reasonTooLarge    = "the event is too large (maximum is 512000 bytes)"
)
