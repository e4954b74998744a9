package pagerdutytest

import "strings"

// keyRing knows the integration keys that have been seen, to keep them out of
// whatever is shown, wherever they stand in it.
type keyRing map[string]string // lower case to fingerprint

// maxKeys bounds the ring against a sender that makes keys up.
const maxKeys = 100_000

func (k keyRing) add(key string) {
	if len(key) == keyLength && isAlphanumeric(key) && len(k) < maxKeys {
		k[strings.ToLower(key)] = Fingerprint(key)
	}
}

// redact puts the fingerprint for each key of the ring, in any case.
func (k keyRing) redact(s string) string {
	if len(k) == 0 || len(s) < keyLength {
		return s
	}
	lower := lowerASCII(s)
	var out strings.Builder
	done, run := 0, 0
	for i := range len(s) {
		if !isAlphanumeric(s[i : i+1]) {
			run = 0
			continue
		}
		if run++; run < keyLength {
			continue
		}
		if fingerprint, ok := k[lower[i+1-keyLength:i+1]]; ok {
			out.WriteString(s[done : i+1-keyLength])
			out.WriteString(fingerprint)
			done, run = i+1, 0
		}
	}
	return out.String() + s[done:]
}

// secretNames are the members that hold a key of PagerDuty, in v2 and in v1.
var secretNames = []string{"routing_key", "service_key"}

// blankSecrets puts the fingerprint for what stands after the name of a secret
// and a colon or an equals sign. It needs no valid JSON: the bodies that are
// none are those that somebody reads.
func blankSecrets(s string) string {
	lower := lowerASCII(s)
	var out strings.Builder
	done := 0
	for {
		at := indexSecret(lower[done:])
		if at < 0 {
			return out.String() + s[done:]
		}
		start := done + at
		value := strings.TrimLeft(s[start:], "\\\"':= \t\r\n")
		gap := s[start : len(s)-len(value)]
		start += len(gap)
		out.WriteString(s[done:start])
		done = start
		if !strings.ContainsAny(gap, ":=") {
			continue
		}
		end := strings.IndexAny(value, "\\\"',{}[]&\r\n")
		if end < 0 {
			end = len(value)
		}
		if end > 0 && !isFingerprint(value[:end]) {
			out.WriteString(Fingerprint(value[:end]))
			done += end
		}
	}
}

// isFingerprint tells a text that was redacted already.
func isFingerprint(s string) bool {
	digits, found := strings.CutPrefix(s, "key-")
	return found && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// indexSecret returns where the first name of a secret ends, or -1.
func indexSecret(lower string) int {
	first := -1
	for _, name := range secretNames {
		if at := strings.Index(lower, name); at >= 0 && (first < 0 || at+len(name) < first) {
			first = at + len(name)
		}
	}
	return first
}

// lowerASCII keeps the length, as strings.ToLower does not.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
