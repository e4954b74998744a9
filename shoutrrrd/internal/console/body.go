package console

import (
	"bytes"
	"encoding/json"
)

// indented is a body for people. What is no JSON stays as it is.
func indented(body json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return string(body)
	}
	return out.String()
}
