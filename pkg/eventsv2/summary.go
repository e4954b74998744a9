package eventsv2

import "unicode/utf8"

// The names under which the details hold the whole text of a message of which the
// summary shows the beginning: the second one if the first is taken.
const (
	messageName     = "message"
	longMessageName = "message_full"
)

// CutSummary shortens a text to the longest summary that PagerDuty takes, the
// ellipsis included, and reports whether it is whole.
func CutSummary(text string) (short string, whole bool) {
	short = cutRunes(text, MaxSummary)
	return short, short == text // not their lengths: an ellipsis is as long as the three letters that it can replace
}

// cutRunes shortens a text to at most limit characters, the ellipsis included.
func cutRunes(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	kept := 0
	for at := range text {
		if kept == limit-1 {
			return text[:at] + "…"
		}
		kept++
	}
	return text
}
