package pagerduty

import (
	"fmt"
	"strings"
)

// ConfigError tells everything that is wrong with a URL or with parameters.
// Nothing was sent.
type ConfigError struct {
	Problems []Problem
}

// Problem is one thing that is wrong: where, and what is allowed there.
type Problem struct {
	// Param is the parameter, or the part of the URL ("integration key", "host",
	// "port", "url"), or "parameter" for a name that is not known or stands twice,
	// or "event" for one that is too long as a whole.
	Param  string
	Value  string // what was given, shortened; never a key
	Reason string // what is wrong and what is allowed
}

// Error lists the problems.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// partKey is the Param of what is wrong with the integration key.
const partKey = "integration key"

// String returns the problem in one line.
func (p Problem) String() string {
	switch {
	case p.Param == partKey:
		return "invalid integration key: " + p.Reason
	case p.Value == "":
		return fmt.Sprintf("%s: %s", p.Param, p.Reason)
	}
	return fmt.Sprintf("%s %q: %s", p.Param, p.Value, p.Reason)
}

// problems collects what is wrong, so that it is told at once.
type problems []Problem

func (p *problems) add(param, value, format string, args ...any) {
	*p = append(*p, Problem{Param: param, Value: quotable(value), Reason: fmt.Sprintf(format, args...)})
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &ConfigError{Problems: p}
}

// shortestSecret is the length from which a run of letters and digits may be a
// key that was pasted into the wrong place: REST API keys have 20 characters,
// integration keys 32. It must not come back in an error.
const shortestSecret = 20

// quotable makes a given value fit to stand in an error: without anything that
// looks like a key, in one line's length.
func quotable(value string) string {
	const longest = 80
	var b strings.Builder
	for value != "" {
		n := keyRun(value)
		switch {
		case n >= shortestSecret:
			b.WriteString("[redacted]")
		case n == 0:
			n = 1
			fallthrough
		default:
			b.WriteString(value[:n])
		}
		value = value[n:]
	}
	if short := []rune(b.String()); len(short) > longest {
		return string(short[:longest-1]) + "…"
	}
	return b.String()
}

// keyRun is the length of the run of characters at the start of s that keys are
// made of.
func keyRun(s string) int {
	n := 0
	for n < len(s) && (isAlphanumeric(s[n]) || s[n] == '+' || s[n] == '_' || s[n] == '-') {
		n++
	}
	return n
}
