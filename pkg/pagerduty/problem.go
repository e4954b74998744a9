package pagerduty

import (
	"fmt"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
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

// quotable makes a given value fit to stand in an error: without anything that
// looks like a key, in one line's length. The error quotes it with %q, which
// makes escapes of what would act on a terminal.
func quotable(value string) string {
	const longest = 80
	value = redact.Shapes(value)
	if short := []rune(value); len(short) > longest {
		return string(short[:longest-1]) + "…"
	}
	return value
}
