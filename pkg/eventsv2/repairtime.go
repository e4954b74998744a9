package eventsv2

import (
	"strconv"
	"strings"
	"time"
)

// looseLayouts are forms of a time that programs send. Those without a zone are
// taken for UTC. The first stands in PagerDuty's own examples.
var looseLayouts = []string{
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z0700",
	"2006-01-02T15:04Z07",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02 15:04:05 Z07:00",
	"2006-01-02 15:04:05 -0700 MST", // Go's
	"2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02",
	"2006/01/02 15:04:05",
	"20060102T150405Z0700",
	"20060102T150405",
	time.RFC1123,
	time.RFC1123Z,
	time.RFC850,
	time.ANSIC,
	time.UnixDate,
	time.RubyDate,
}

// longestTime is more than any form of a time takes. What is longer is not tried
// in two dozen of them.
const longestTime = 100

// timestamp reads the member. Only the last one is settled: to try two dozen forms
// on each of a hundred thousand takes a second.
func (r *repairer) timestamp() {
	var text string
	if r.peek() == '"' {
		text = strings.TrimSpace(r.text())
	} else if value := r.value(); !isEmpty(value) {
		text = string(value)
	}
	if text == "" {
		return // what stood before, or the time of arrival
	}
	g := &r.given
	if g.timestamp != "" && g.timestamp != text {
		r.note("payload.timestamp stood twice: the last one counts, the other stands in custom_details")
		r.keepText("timestamp", g.timestamp)
	}
	g.timestamp = text
}

// settleTimestamp reads the time in whatever form it has.
func (r *repairer) settleTimestamp() {
	text := r.given.timestamp
	if text == "" {
		return
	}
	t, exact := readTime(text)
	switch shown := cutRunes(text, maxShown); {
	case !isUsable(t):
		r.note("payload.timestamp %q is no time that can be meant: the time of arrival stands for it", shown)
		return
	case !exact:
		r.note("payload.timestamp %q was read as %s", shown, t.UTC().Format(timestampLayout))
	}
	r.e.Payload.Timestamp = t
}

// readTime reads a time, the zero time if it is none. It is exact if PagerDuty
// would have read it so as well.
func readTime(text string) (t time.Time, exact bool) {
	if len(text) > longestTime {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, isPadded(text)
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return readEpoch(seconds), false
	}
	text, _, _ = strings.Cut(text, " m=") // Go's monotonic clock
	for i, layout := range looseLayouts {
		// In UTC, or an abbreviation would mean what it means where this runs.
		t, err := time.ParseInLocation(layout, text, time.UTC)
		if err != nil {
			continue
		}
		if zone, offset := t.Zone(); offset == 0 && zone != "UTC" && zone != "GMT" && zone != "" {
			return time.Time{}, false // CET, of which Go knows the name alone
		}
		return t, i == 0 && isPadded(text)
	}
	return time.Time{}, false
}

// isPadded reports whether the hour has two digits: Go takes one as well, and
// PagerDuty refuses it.
func isPadded(text string) bool { return len(text) > 13 && text[13] == ':' }

// readEpoch reads seconds or a finer unit since 1970.
func readEpoch(n float64) time.Time {
	// Less than 1e8 seconds, the year 1973, is a counter and no time of an event.
	// 1e11 seconds are the year 5138 and as milliseconds 1973 again, so what is
	// more has a finer unit.
	if !(n >= 1e8 && n < 1e20) {
		return time.Time{}
	}
	for n >= 1e11 {
		n /= 1000
	}
	return time.UnixMilli(int64(n * 1000)).UTC()
}

// isUsable reports whether the year has four digits, as the format wants. The zero
// time is what programs send that have none.
func isUsable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999 && !t.IsZero()
}
