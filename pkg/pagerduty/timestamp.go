package pagerduty

import (
	"strings"
	"time"
)

// timestampForms are the forms of ISO 8601 that PagerDuty's documents show
// (https://developer.pagerduty.com/docs/types). Fractions of a second may stand
// behind the seconds in each of them. A time without a zone is not among them:
// it means another instant on each machine.
var timestampForms = []string{
	time.RFC3339,
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z0700",
	"2006-01-02T15:04Z07",
	time.DateOnly,
}

func setTimestamp(c *Config, value string, wrong *problems) {
	text := strings.TrimSpace(value)
	// In a URL the + of an offset that nobody encoded reads as a space.
	if at := strings.LastIndexByte(text, ' '); at > len(time.DateOnly) {
		text = text[:at] + "+" + text[at+1:]
	}
	for _, form := range timestampForms {
		if t, err := time.Parse(form, text); err == nil {
			c.Timestamp = t
			return
		}
	}
	wrong.add(paramTimestamp, value, "must be an ISO 8601 time with its zone, such as 2026-03-01T12:00:00Z or 2026-03-01T12:00:00+02:00")
}

func getTimestamp(c *Config) string {
	if c.Timestamp.IsZero() {
		return ""
	}
	return c.Timestamp.Format(time.RFC3339Nano)
}
