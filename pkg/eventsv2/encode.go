package eventsv2

import (
	"time"
	"unicode/utf8"
)

// timestampLayout is RFC 3339 with milliseconds, a form of ISO 8601 that
// PagerDuty's own clients send; it is used in UTC only.
const timestampLayout = "2006-01-02T15:04:05.000Z"

// AppendJSON appends the event as PagerDuty takes it, and nothing that PagerDuty
// does not document. Members without a value are left out: PagerDuty refuses
// some of them when they are blank. So is a payload of which nothing is set.
func (e *Event) AppendJSON(dst []byte) []byte {
	if e.Payload.given() {
		return e.AppendTail(e.AppendHead(dst))
	}
	dst = e.appendEnvelope(dst)
	dst = appendMember(dst, `,"dedup_key":`, e.DedupKey)
	return append(dst, '}')
}

// AppendHead appends the part of an event with a payload that does not differ
// from one message to the next: everything but summary, timestamp, details and
// dedup key. A sender that lives long encodes it once; [Event.AppendTail]
// completes it.
func (e *Event) AppendHead(dst []byte) []byte {
	dst = e.appendEnvelope(dst)
	dst = append(dst, `,"payload":{"source":`...)
	dst = appendString(dst, e.Payload.Source)
	dst = append(dst, `,"severity":`...)
	dst = appendString(dst, string(e.Payload.Severity))
	dst = appendMember(dst, `,"component":`, e.Payload.Component)
	dst = appendMember(dst, `,"group":`, e.Payload.Group)
	return appendMember(dst, `,"class":`, e.Payload.Class)
}

func (e *Event) appendEnvelope(dst []byte) []byte {
	dst = appendKey(dst, e.RoutingKey)
	dst = append(dst, `"event_action":`...)
	dst = appendString(dst, string(e.Action))
	dst = appendMember(dst, `,"client":`, e.Client)
	dst = appendMember(dst, `,"client_url":`, e.ClientURL)
	dst = appendLinks(dst, e.Links)
	return appendImages(dst, e.Images)
}

// AppendTail appends what [Event.AppendHead] leaves out, up to the closing brace.
func (e *Event) AppendTail(dst []byte) []byte {
	dst = append(dst, `,"summary":`...)
	dst = appendString(dst, e.Payload.Summary)
	dst = appendTimestamp(dst, e.Payload.Timestamp)
	dst = appendDetails(dst, e.Payload.CustomDetails)
	if len(e.Payload.CustomDetails) == 0 {
		dst = appendMember(dst, `,"custom_details":`, e.Payload.DetailsText)
	}
	dst = append(dst, '}')
	dst = appendMember(dst, `,"dedup_key":`, e.DedupKey)
	return append(dst, '}')
}

// AppendJSON appends the change event as PagerDuty takes it.
func (c *Change) AppendJSON(dst []byte) []byte {
	dst = appendKey(dst, c.RoutingKey)
	dst = append(dst, `"payload":{"summary":`...)
	dst = appendString(dst, c.Summary)
	dst = appendMember(dst, `,"source":`, c.Source)
	dst = appendTimestamp(dst, c.Timestamp)
	dst = appendDetails(dst, c.CustomDetails)
	dst = append(dst, '}')
	dst = appendLinks(dst, c.Links)
	return append(dst, '}')
}

// appendKey opens the object with the key, or with none if that is zero: so it is
// stored, and AppendTo completes it.
func appendKey(dst []byte, key Key) []byte {
	if key.IsZero() {
		return append(dst, '{')
	}
	dst = append(dst, `{"routing_key":"`...)
	dst = append(dst, key.Reveal()...)
	return append(dst, `",`...)
}

// AppendTo appends an event that was encoded without a key as PagerDuty takes it.
func (k Key) AppendTo(dst, body []byte) []byte {
	return append(appendKey(dst, k), body[1:]...)
}

// appendMember appends a member whose name and colon are given as they are
// written, unless its value is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

func appendTimestamp(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	dst = append(dst, `,"timestamp":"`...)
	dst = t.UTC().AppendFormat(dst, timestampLayout)
	return append(dst, '"')
}

func appendDetails(dst []byte, details Details) []byte {
	if len(details) == 0 {
		return dst
	}
	return details.AppendJSON(append(dst, `,"custom_details":`...))
}

// AppendJSON appends the details as one JSON object.
func (d Details) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range d {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m.Name)
		dst = append(dst, ':')
		dst = append(dst, m.Value...)
	}
	return append(dst, '}')
}

func appendLinks(dst []byte, links []Link) []byte {
	for i, l := range links {
		dst = appendOpening(dst, `,"links":[`, i)
		dst = append(dst, `{"href":`...)
		dst = appendString(dst, l.Href)
		dst = appendMember(dst, `,"text":`, l.Text)
		dst = append(dst, '}')
	}
	return appendClosing(dst, len(links))
}

func appendImages(dst []byte, images []Image) []byte {
	for i, m := range images {
		dst = appendOpening(dst, `,"images":[`, i)
		dst = append(dst, `{"src":`...)
		dst = appendString(dst, m.Src)
		dst = appendMember(dst, `,"href":`, m.Href)
		dst = appendMember(dst, `,"alt":`, m.Alt)
		dst = append(dst, '}')
	}
	return appendClosing(dst, len(images))
}

func appendOpening(dst []byte, name string, i int) []byte {
	if i == 0 {
		return append(dst, name...)
	}
	return append(dst, ',')
}

func appendClosing(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	return append(dst, ']')
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }

// appendString appends s as a JSON string. Bytes that are not UTF-8 become the
// replacement character: a log line in an old encoding must not cost the page.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			start = i + 1
		}
		i++
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
}

// stringSize is the number of bytes that appendString writes for s, quotes
// included.
func stringSize(s string) int {
	n := 2
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		n += runeSize(r, size)
		i += size
	}
	return n
}

// runeSize is the number of bytes that a rune of the given size takes inside a
// JSON string.
func runeSize(r rune, size int) int {
	switch {
	case r == utf8.RuneError && size == 1:
		return len("\ufffd")
	case r == '"', r == '\\', r == '\n', r == '\r', r == '\t':
		return 2
	case r < ' ':
		return 6
	}
	return size
}
