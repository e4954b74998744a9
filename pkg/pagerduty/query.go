package pagerduty

import (
	"encoding/json"
	"strings"
)

// parameter is one name=value of a query, decoded.
type parameter struct {
	name, value string
}

// splitQuery takes a query apart. People paste JSON into URLs as it is, so the
// values of details and contexts may be raw JSON, in which & ; # + and % mean
// themselves; everything else is percent-encoded text in which + is a space and
// a stray % stays.
func splitQuery(query string) []parameter {
	var params []parameter
	for query != "" {
		name, rest, hasValue := cutName(query)
		name = strings.ToLower(decode(name))
		if !hasValue {
			query = rest
			if name != "" {
				params = append(params, parameter{name: name})
			}
			continue
		}
		end := valueEnd(name, rest)
		params = append(params, parameter{name: name, value: decodeValue(name, rest[:end])})
		query = strings.TrimPrefix(rest[end:], "&")
	}
	return params
}

// cutName cuts at the = behind a name; a name without a value ends at the &.
func cutName(query string) (name, rest string, hasValue bool) {
	at := strings.IndexAny(query, "=&")
	switch {
	case at < 0:
		return query, "", false
	case query[at] == '&':
		return query[:at], query[at+1:], false
	}
	return query[:at], query[at+1:], true
}

// valueEnd finds where a value ends: at the & that is not inside raw JSON.
func valueEnd(name, rest string) int {
	if isJSONParam(name) {
		if end := jsonEnd(rest); end > 0 && (end == len(rest) || rest[end] == '&') {
			return end
		}
	}
	if at := strings.IndexByte(rest, '&'); at >= 0 {
		return at
	}
	return len(rest)
}

// jsonEnd returns the length of the raw JSON object or array at the start of
// text, or 0 if there is none that ends.
func jsonEnd(text string) int {
	start := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	if start == len(text) || text[start] != '{' && text[start] != '[' {
		return 0
	}
	depth, quoted := 0, false
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// decodeValue takes raw JSON as it is if it parses, and decodes anything else.
func decodeValue(name, raw string) string {
	if isJSONParam(name) && jsonEnd(raw) > 0 && json.Valid([]byte(raw)) {
		return raw
	}
	return decode(raw)
}

func isJSONParam(name string) bool { return name == paramDetails || name == paramContexts }

// decode undoes percent-encoding. Unlike net/url it never fails: a % that stands
// alone is a percent sign, as in "load at 95%".
func decode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
