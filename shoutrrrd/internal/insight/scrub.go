package insight

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// keyLength is that of an integration key.
const keyLength = 32

// Scrub puts the fingerprint in the place of every key that is configured or has
// a lane.
func (i *Insight) Scrub(ctx context.Context, text string) string {
	if !hasRun(text) {
		return text
	}
	keys := i.o.Keys()
	lanes, _ := i.o.Store.Lanes(ctx) // it answers from memory
	for _, l := range lanes {
		keys = append(keys[:len(keys):len(keys)], l.Key)
	}
	return scrub(text, keys)
}

// hasRun reports whether text has letters and digits enough in a row for a key.
func hasRun(text string) bool {
	run := 0
	for i := range len(text) {
		if !isAlphanumeric(text[i]) {
			run = 0
		} else if run++; run == keyLength {
			return true
		}
	}
	return false
}

// scrub looks for all keys at once: a list of events is long, and so may that of
// the keys be.
func scrub(text string, keys []eventsv2.Key) string {
	known := make(map[string]eventsv2.Key, len(keys))
	for _, key := range keys {
		if !key.IsZero() {
			known[strings.ToLower(key.Reveal())] = key
		}
	}
	found := map[string]eventsv2.Key{}
	run := 0
	for i := range len(text) {
		if !isAlphanumeric(text[i]) {
			run = 0
			continue
		}
		if run++; run < keyLength {
			continue
		}
		if key, ok := known[strings.ToLower(text[i-keyLength+1:i+1])]; ok {
			found[key.Fingerprint()] = key
		}
	}
	for _, key := range found {
		text = key.Scrub(text)
	}
	return text
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// unescaped writes the texts of a JSON value without escapes that they do not
// need, behind which a key would not be seen. What is no JSON stays as it is.
func unescaped(body []byte) []byte {
	if !bytes.ContainsRune(body, '\\') {
		return body
	}
	out := make([]byte, 0, len(body))
	for len(body) > 0 {
		start := bytes.IndexByte(body, '"')
		if start < 0 {
			break
		}
		end := start + 1
		for end < len(body) && body[end] != '"' {
			if body[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(body))
		literal := body[start:end]
		out = append(out, body[:start]...)
		var text string
		if bytes.ContainsRune(literal, '\\') && json.Unmarshal(literal, &text) == nil {
			out = eventsv2.AppendString(out, text)
		} else {
			out = append(out, literal...)
		}
		body = body[end:]
	}
	return append(out, body...)
}
