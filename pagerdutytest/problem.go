package pagerdutytest

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// flaw is what can be wrong with a member of an event.
type flaw uint8

const (
	blank        flaw = iota // not there, null, or without a visible character
	wrongType                // want: "a string", "an object", "an array"
	wrongLength              // of the routing key
	wrongLetters             // of the routing key
	wrongValue               // want: what is allowed
	tooLong                  // limit: characters
	tooMany                  // limit: elements
	unknown                  // no member of the published schema
	repeated                 // two members of one name
)

// maxPath is the number of characters of a member's path that an error shows.
const maxPath = 100

// problem is one thing for which an event is refused. How it is said depends on
// the endpoint.
type problem struct {
	flaw  flaw
	path  string // payload.severity, links[0].href
	want  string
	limit int
}

// alertText says a problem in the words of POST /v2/enqueue. The texts that
// PagerDuty is known to use stand as it writes them, "maiximum", missing prefix
// and lone full stop included; the others follow their pattern.
func (p problem) alertText() string {
	name := "'" + shorten(p.path, maxPath) + "'"
	switch p.flaw {
	case blank:
		if p.path == "routing_key" {
			return name + " cannot be blank"
		}
		return name + " is missing or blank"
	case wrongType:
		return fmt.Sprintf("%s must be %s", name, p.want)
	case wrongLength:
		return fmt.Sprintf("Length of %s is incorrect (should be %d characters)", name, p.limit)
	case wrongLetters:
		return name + " cannot contain non-alphanumeric characters."
	case wrongValue:
		return fmt.Sprintf("%s is invalid (must be %s)", name, p.want)
	case tooLong:
		if p.path == "payload.summary" {
			return fmt.Sprintf("'summary' is too long (maiximum is %d characters)", p.limit)
		}
		return fmt.Sprintf("%s is too long (maximum is %d characters)", name, p.limit)
	case tooMany:
		return fmt.Sprintf("%s has too many elements (maximum is %d)", name, p.limit)
	case repeated:
		return name + " is given more than once"
	default:
		return name + " is not a member of the published schema"
	}
}

// changeText says a problem in the words of POST /v2/change/enqueue, of which
// "links should have at most 50 item(s)" is known; the others are that
// validator's siblings.
func (p problem) changeText() string {
	name := shorten(p.path, maxPath)
	switch p.flaw {
	case blank:
		return name + " can't be blank"
	case wrongType:
		return name + " is invalid"
	case wrongLength:
		return fmt.Sprintf("%s should be %d character(s)", name, p.limit)
	case wrongLetters:
		return name + " has invalid format"
	case wrongValue:
		return fmt.Sprintf("%s is invalid (must be %s)", name, p.want)
	case tooLong:
		return fmt.Sprintf("%s should be at most %d character(s)", name, p.limit)
	case tooMany:
		return fmt.Sprintf("%s should have at most %d item(s)", name, p.limit)
	case repeated:
		return name + " is given more than once"
	default:
		return name + " is not a member of the published schema"
	}
}

// shorten cuts s to n characters, the ellipsis included: a member's name can be
// as long as the body.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	cut := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(s[cut:])
		cut += size
	}
	return s[:cut] + "…"
}

// isBlank reports whether s holds nothing to read.
func isBlank(s string) bool { return strings.TrimSpace(s) == "" }
