package eventsv2

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// decodeReceipt reads an accepting answer. The status has accepted the event,
// whatever the body looks like.
func decodeReceipt(status int, answer []byte, key Key) Receipt {
	message, dedupKey, ok := plainReceipt(answer)
	if !ok {
		var said struct {
			Message  string `json:"message"`
			DedupKey string `json:"dedup_key"`
		}
		_ = json.Unmarshal(answer, &said) // what is not JSON leaves both empty
		message, dedupKey = said.Message, said.DedupKey
	}
	if utf8.RuneCountInString(dedupKey) > MaxDedupKey {
		dedupKey = "" // nothing that PagerDuty can have meant
	}
	return Receipt{Status: status, DedupKey: key.Scrub(dedupKey), Message: legible(message, key)}
}

// plainReceipt reads the form that every real receipt has, one object of texts
// without escapes, as encoding/json would but with one allocation instead of ten.
// It returns false for everything else.
func plainReceipt(answer []byte) (message, dedupKey string, ok bool) {
	rest, ok := skip(answer, '{')
	for ok {
		var name, value []byte
		if name, rest, ok = plainText(rest); !ok {
			break
		}
		if rest, ok = skip(rest, ':'); !ok {
			break
		}
		if value, rest, ok = plainText(rest); !ok {
			break
		}
		switch {
		case bytes.EqualFold(name, []byte("message")):
			message = commonMessage(value)
		case bytes.EqualFold(name, []byte("dedup_key")):
			dedupKey = string(value)
		}
		if end, last := skip(rest, '}'); last {
			return message, dedupKey, len(trimJSONSpace(end)) == 0
		}
		rest, ok = skip(rest, ',')
	}
	return "", "", false
}

// commonMessage returns the message without allocating the one that nearly every
// answer has.
func commonMessage(value []byte) string {
	const accepted = "Event processed"
	if string(value) == accepted {
		return accepted
	}
	return string(value)
}

func skip(b []byte, c byte) ([]byte, bool) {
	b = trimJSONSpace(b)
	if len(b) == 0 || b[0] != c {
		return b, false
	}
	return b[1:], true
}

// plainText reads a JSON string of printable ASCII without escapes.
func plainText(b []byte) (text, rest []byte, ok bool) {
	b, ok = skip(b, '"')
	if !ok {
		return nil, b, false
	}
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:], true
		case c < ' ' || c == '\\' || c >= utf8.RuneSelf:
			return nil, b, false
		}
	}
	return nil, b, false
}

// trimJSONSpace is bytes.TrimLeft of JSON's white space, which there seldom is.
func trimJSONSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\r' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}
