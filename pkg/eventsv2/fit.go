package eventsv2

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// smallestCut is the least that is left of a detail's value: shorter pieces tell
// a responder nothing. 256 bytes hold a line of a log.
const smallestCut = 256

// omittedName is the member that tells what [Event.Fit] had to leave out whole.
const omittedName = "omitted"

// Fit makes the encoded event at most limit bytes long by cutting the largest
// values of the details, each with a marker that says how much is gone, and if
// that is not enough by leaving out the last members, which one more member
// tells, or all of them. It returns a line for each thing that it did, and an
// error, with the event as it was, if it is too long even without details. The
// details given are not changed.
func (e *Event) Fit(limit int) (done []string, err error) {
	over := len(e.AppendJSON(nil)) - limit
	if over <= 0 {
		return nil, nil
	}
	details := e.Payload.CustomDetails
	e.Payload.CustomDetails = nil
	bare := len(e.AppendJSON(nil))
	if bare > limit {
		e.Payload.CustomDetails = details
		return nil, fmt.Errorf("the event has %d bytes without its details, at most %d are allowed", bare, limit)
	}
	room := limit - bare - len(`,"custom_details":`)
	if room < smallestCut { // not even the member that tells of the others fits
		return []string{"custom_details was too long: " + omittedText(details, nil)}, nil
	}
	e.Payload.CustomDetails, done = fitDetails(details, room)
	return done, nil
}

// fitDetails returns details of which the object has at most room bytes.
func fitDetails(details Details, room int) (Details, []string) {
	keep := details
	for {
		level, fits := cutLevel(keep, room-omittedSize(details, keep))
		if fits {
			kept, done := cutTo(keep, level)
			return withOmitted(kept, done, details, keep)
		}
		keep = keep[:len(keep)*3/4]
	}
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
			m.Name, utf8.RuneCountInString(short), utf8.RuneCountInString(text)))
	}
	return cut, done
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

// omittedSize is the room to leave for the member that tells what is left out.
func omittedSize(all, keep Details) int {
	if len(keep) == len(all) {
		return 0
	}
	return len(`,"omitted_00":""`) + stringSize(omittedText(all, nil))
}

func omittedText(all, keep Details) string {
	size := 0
	for _, m := range all[len(keep):] {
		size += len(m.Value)
	}
	return fmt.Sprintf("%d of %d details left out (%d bytes)", len(all)-len(keep), len(all), size)
}

func withOmitted(kept Details, done []string, all, keep Details) (Details, []string) {
	if len(keep) == len(all) {
		return kept, done
	}
	text := omittedText(all, keep)
	return kept.With(kept.FreeName(omittedName), text), append(done, "custom_details was too long: "+text)
}

// FreeName returns the name if no member has it, else the name with the first
// number behind it that makes it free.
func (d Details) FreeName(name string) string {
	free := name
	for n := 2; ; n++ {
		if _, taken := d.Get(free); !taken {
			return free
		}
		free = fmt.Sprintf("%s_%d", name, n)
	}
}
