package eventsv2

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// smallestCut is the least that is left of a detail's value: shorter pieces tell
// a responder nothing. 256 bytes hold a line of a log.
const smallestCut = 256

// omittedName is the member that reports what [Event.Fit] had to leave out whole.
const omittedName = "omitted"

// leftOut counts members of the details that are not sent.
type leftOut struct{ n, bytes int }

func (l *leftOut) add(m Member) {
	l.n++
	l.bytes += len(m.Value)
}

// Fit makes the encoded event at most limit bytes long by cutting the largest
// values of the details, each with a marker that says how much is gone, and if
// that is not enough by leaving out the last members, which one more member
// reports, or all of them. It returns a line for each thing that it did, and an
// error, with the event as it was, if it is too long even without details. The
// details given are not changed.
func (e *Event) Fit(limit int) (done []string, err error) { return e.fit(limit, leftOut{}) }

// fit is Fit for an event of which some details are left out already.
func (e *Event) fit(limit int, left leftOut) (done []string, err error) {
	details := e.Payload.CustomDetails
	whole := len(e.AppendJSON(nil))
	if whole <= limit && left.n == 0 {
		return nil, nil
	}
	if len(details) == 0 && e.Payload.DetailsText != "" {
		return e.fitText(limit, whole)
	}
	bare := whole
	if len(details) > 0 {
		bare -= len(`,"custom_details":`) + details.size()
	}
	if bare > limit {
		return nil, fmt.Errorf("the event has %d bytes without its details, at most %d are allowed", bare, limit)
	}
	room := limit - bare - len(`,"custom_details":`)
	if room < smallestCut { // not even the member that reports the others fits
		for _, m := range details {
			left.add(m)
		}
		e.Payload.CustomDetails = nil
		return []string{"custom_details was too long: " + left.of(left.n)}, nil
	}
	e.Payload.CustomDetails, done = fitDetails(details, room, left)
	return done, nil
}

// fitText is fit for details that are a text.
func (e *Event) fitText(limit, whole int) (done []string, err error) {
	text := e.Payload.DetailsText
	bare := whole - len(`,"custom_details":`) - stringSize(text)
	if bare > limit {
		return nil, fmt.Errorf("the event has %d bytes without its details, at most %d are allowed", bare, limit)
	}
	room := limit - bare - len(`,"custom_details":`)
	if room < smallestCut {
		e.Payload.DetailsText = ""
		return []string{"custom_details was too long: it was left out"}, nil
	}
	short, marker := cutText(text, room)
	e.Payload.DetailsText = short + marker
	return []string{fmt.Sprintf("custom_details was too long: kept %d of %d characters",
		utf8.RuneCountInString(short), utf8.RuneCountInString(text))}, nil
}

// size is the number of bytes that AppendJSON writes.
func (d Details) size() int {
	n := len("{}") + max(len(d)-1, 0)
	for _, m := range d {
		n += stringSize(m.Name) + len(":") + len(m.Value)
	}
	return n
}

// smallest is what the member takes at least, with its comma.
func (m *Member) smallest() int {
	return stringSize(m.Name) + len(":,") + min(len(m.Value), smallestCut)
}

// fitDetails returns details of which the object has at most room bytes: all of
// them if their values can be cut to that, else as many of the first as there is
// room for.
func fitDetails(details Details, room int, left leftOut) (Details, []string) {
	if left.n == 0 {
		if level, fits := cutLevel(details, room); fits {
			return cutTo(details, level)
		}
	}
	all := len(details) + left.n
	omitted := details.FreeName(omittedName)
	// The text is no longer than with these numbers.
	longest := leftOut{all, left.bytes + details.size()}
	room -= len(",:") + stringSize(omitted) + stringSize(longest.of(all))
	keep, used := 0, len("{}")
	for keep < len(details) {
		if used += details[keep].smallest(); used > room {
			break
		}
		keep++
	}
	for _, m := range details[keep:] {
		left.add(m)
	}
	level, _ := cutLevel(details[:keep], room) // it fits: each value has room for smallestCut
	kept, done := cutTo(details[:keep], level)
	text := left.of(all)
	return kept.With(omitted, text), append(done, "custom_details was too long: "+text)
}

// cutLevel returns the largest size to which all larger values are cut so that
// the object takes at most room bytes.
func cutLevel(details Details, room int) (level int, fits bool) {
	fixed := len("{}")
	sizes := make([]int, len(details))
	for i, m := range details {
		fixed += stringSize(m.Name) + len(":,")
		sizes[i] = len(m.Value)
	}
	slices.Sort(sizes)
	left := room - fixed
	for i, size := range sizes {
		share := left / (len(sizes) - i)
		if size > share {
			return share, share >= smallestCut
		}
		left -= size
	}
	return room, left >= 0
}

// cutTo cuts every value that is larger than level bytes to at most that many.
func cutTo(details Details, level int) (cut Details, done []string) {
	cut = slices.Clone(details)
	for i, m := range cut {
		if len(m.Value) <= level {
			continue
		}
		text := valueText(m.Value)
		short, marker := cutText(text, level)
		cut[i].Value = appendString(nil, short+marker)
		done = append(done, fmt.Sprintf("custom_details.%s was too long: kept %d of %d characters",
			oneWord(m.Name), utf8.RuneCountInString(short), utf8.RuneCountInString(text)))
	}
	return cut, done
}

// oneWord shows a name that the sender has chosen: as it is if that is one
// printable word, else in quotes and with escapes.
func oneWord(name string) string {
	name = cutRunes(name, maxShown)
	if quoted := strconv.Quote(name); strings.ContainsAny(name, " ;:") || quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

// valueText is what is cut: the characters of a string, the JSON of anything else.
func valueText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// cutText returns the beginning of text and a marker that, joined and encoded,
// take at most size bytes.
func cutText(text string, size int) (short, marker string) {
	total := utf8.RuneCountInString(text)
	// The marker is written with the full length first: the real one is not longer.
	longest := stringSize(cutMarker(total, total))
	room, end, kept := size-longest, 0, 0
	for end < len(text) {
		r, width := utf8.DecodeRuneInString(text[end:])
		room -= runeSize(r, width)
		if room < 0 {
			break
		}
		end += width
		kept++
	}
	return text[:end], cutMarker(total-kept, total)
}

func cutMarker(gone, total int) string {
	return fmt.Sprintf("… [cut: %d of %d characters left out]", gone, total)
}

func (l leftOut) of(all int) string {
	return fmt.Sprintf("%d of %d details left out (%d bytes)", l.n, all, l.bytes)
}

// FreeName returns the name if no member has it, else the name with the first
// number behind it that makes it free.
func (d Details) FreeName(name string) string {
	taken := make(map[string]bool) // of the names that begin with it: there can be a hundred thousand
	for _, m := range d {
		if strings.HasPrefix(m.Name, name) {
			taken[m.Name] = true
		}
	}
	free := name
	for n := 2; taken[free]; n++ {
		free = name + "_" + strconv.Itoa(n)
	}
	return free
}
