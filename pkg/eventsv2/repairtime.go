package eventsv2

import (
	"strconv"
	"strings"
	"time"
)

// looseLayouts are forms of a time that programs send and PagerDuty may refuse.
// Those without a zone are taken for UTC.
var looseLayouts = []string{
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z07",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05 -0700 MST",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02",
	time.RFC1123,
	time.RFC1123Z,
	time.RFC850,
	time.ANSIC,
	time.UnixDate,
}

// readTime reads a time. It is exact if PagerDuty would have read it so as well.
func readTime(text string) (t time.Time, exact, ok bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true, usable(t)
	}
	for i, layout := range looseLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, i == 0, usable(t) // the first is the form of PagerDuty's own examples
		}
	}
	if strings.Trim(text, "0123456789.") != "" {
		return t, false, false
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return t, false, false
	}
	// 1e11 seconds are the year 5138, 1e11 milliseconds 1973: what is more has a
	// finer unit.
	for seconds >= 1e11 {
		seconds /= 1000
	}
	t = time.UnixMilli(int64(seconds * 1000)).UTC()
	return t, false, seconds >= 1e8 // a smaller number is no time of day, but a counter
}

// usable reports whether the year has four digits, as the format wants.
func usable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999 && !t.IsZero()
}
