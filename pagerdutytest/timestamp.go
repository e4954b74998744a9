package pagerdutytest

import (
	"strings"
	"time"
)

// isTimestamp reports whether s is ISO 8601 in its extended form: a date alone,
// or a date, a T and a time of day with its zone (Z, +hh, +hhmm or +hh:mm). A
// time without a zone means a different instant to each reader and is taken only
// if zoneless says so.
//
// time.Parse is not enough: it takes the hour 5 for 05, which PagerDuty refuses.
func isTimestamp(s string, zoneless bool) bool {
	date, clock, timed := strings.Cut(s, "T")
	if _, err := time.Parse(time.DateOnly, date); err != nil || len(date) != len(time.DateOnly) {
		return false
	}
	if !timed {
		return true
	}
	if zone := strings.IndexAny(clock, "Z+-"); zone >= 0 {
		return isClock(clock[:zone]) && isZone(clock[zone:])
	}
	return zoneless && isClock(clock)
}

// isClock reports whether s is hh:mm or hh:mm:ss with or without a fraction.
func isClock(s string) bool {
	if at := strings.IndexAny(s, ".,"); at >= 0 {
		if at != len("hh:mm:ss") || !isDigits(s[at+1:]) {
			return false
		}
		s = s[:at]
	}
	parts := strings.Split(s, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return false
	}
	for i, part := range parts {
		limit := "59"
		if i == 0 {
			limit = "23"
		}
		if !isTwoDigits(part, limit) {
			return false
		}
	}
	return true
}

// isZone reports whether s is Z, +hh, +hhmm or +hh:mm, with either sign.
func isZone(s string) bool {
	if s == "Z" {
		return true
	}
	if len(s) < len("+hh") {
		return false
	}
	hours, minutes := s[1:3], strings.TrimPrefix(s[3:], ":")
	if !isTwoDigits(hours, "23") {
		return false
	}
	return s[3:] == "" || isTwoDigits(minutes, "59")
}

// isTwoDigits compares as text, which orders numbers of equal length.
func isTwoDigits(s, limit string) bool { return len(s) == 2 && isDigits(s) && s <= limit }

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
