package pagerduty

import (
	"errors"
	"strings"
	"unicode"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// ErrBlankMessage is returned for a message that says nothing: PagerDuty refuses
// a blank summary.
var ErrBlankMessage = errors.New("the message is empty: PagerDuty needs a summary")

// compose makes the summary of a message and a title, and adds to the details
// what the summary cannot hold. A responder reads the whole text or is told
// where it is cut: nothing is dropped here.
func compose(message, title string, details eventsv2.Details) (summary string, _ eventsv2.Details, _ error) {
	if strings.TrimSpace(title) != "" {
		line, whole := firstLine(title)
		full := message
		if !whole {
			full = strings.TrimSpace(title + "\n\n" + message)
		}
		if strings.TrimSpace(full) != "" {
			details = withMessage(details, full)
		}
		return line, details, nil
	}
	line, whole := firstLine(message)
	if line == "" {
		return "", nil, ErrBlankMessage
	}
	if !whole {
		details = withMessage(details, message)
	}
	return line, details, nil
}

// firstLine returns the first line of text that is not blank, cut to the longest
// summary, and whether that is the whole text.
func firstLine(text string) (line string, whole bool) {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	for {
		end := strings.IndexAny(text, "\r\n")
		if end < 0 {
			return eventsv2.CutSummary(text)
		}
		if line = strings.TrimRightFunc(text[:end], unicode.IsSpace); line != "" {
			line, _ = eventsv2.CutSummary(line)
			return line, false
		}
		text = text[end+1:]
	}
}

// withMessage adds the whole text under a name that the caller does not use. It
// comes first: what is too long loses its last details first, and this is what a
// person wrote for the responder.
func withMessage(details eventsv2.Details, text string) eventsv2.Details {
	name := "message"
	if _, taken := details.Get(name); taken {
		name = details.FreeName("message_full")
	}
	return append(eventsv2.Details(nil).With(name, text), details...)
}
