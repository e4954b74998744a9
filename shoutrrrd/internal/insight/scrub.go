package insight

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Scrub puts the fingerprint in the place of every key that is configured or has
// a lane.
func (i *Insight) Scrub(_ context.Context, text string) string { return i.o.Hide(text) }

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
