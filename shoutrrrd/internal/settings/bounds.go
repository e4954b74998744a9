package settings

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// The YAML reader has no bounds of its own: it needs some 400 bytes for each token, calls
// itself for each level of nesting (80 KB of "{a: " took 886 MB, 2 MB of "[" the
// process), and compares each name with all others beside it (120,000 names took more
// than two minutes). What is beyond these bounds does not reach it.
const (
	// maxFile is the size of a file of settings. Ten thousand keys with long paths take
	// 1 MB.
	maxFile = 2 << 20
	// maxMarks is how many lines and characters with a meaning in YAML may stand in it.
	// Ten thousand keys with alias, key and rate have 70,000.
	maxMarks = 100_000
	// maxDepth is how deep lists and names may stand in each other. The settings need 4,
	// Prometheus' web configuration 3.
	maxDepth = 32
	// maxNames may stand beside each other. The settings need 30; a web configuration
	// may list users.
	maxNames = 300
)

// boundError is a text that is too much for the YAML reader.
type boundError struct {
	at   *token.Position // nil for the whole of it
	text string
}

func (e *boundError) Error() string { return e.text }

// bounded returns the tokens of a text, or why it must not be parsed.
func bounded(text string) (tokens token.Tokens, err error) {
	marks := 0
	for i := range len(text) {
		switch text[i] {
		case '\n', '[', ']', '{', '}', ',', ':', '#', '"', '\'', '&', '*', '!', '|', '>', '%', '@', '?', '`':
			marks++
		case '-':
			if i+1 == len(text) || strings.IndexByte(" \t\n", text[i+1]) >= 0 {
				marks++
			}
		}
	}
	if marks > maxMarks {
		return nil, &boundError{nil, fmt.Sprintf("it has %d lines, colons, commas and other marks, at most %d are taken: list fewer keys", marks, maxMarks)}
	}
	if err := withoutPanic(func() error { tokens = lexer.Tokenize(text); return nil }); err != nil {
		return nil, err
	}
	return tokens, checkDepth(tokens)
}

// level is a list or a mapping that is still open.
type level struct {
	flow   bool // in brackets
	column int  // of its beginning, for one without brackets
	names  int  // of a mapping, so far
}

// checkDepth refuses what is nested too deep, by brackets or by indentation, mappings of
// too many names, and what stands for other text.
func checkDepth(tokens token.Tokens) error {
	var open []level
	inFlow := func() bool { return len(open) > 0 && open[len(open)-1].flow }
	begin := func(column int) { // a list or a mapping without brackets begins or goes on
		for len(open) > 0 && open[len(open)-1].column > column {
			open = open[:len(open)-1]
		}
		if len(open) == 0 || open[len(open)-1].column < column {
			open = append(open, level{column: column})
		}
	}
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
			return &boundError{t.Position, "anchors, aliases and tags are not taken; write the value itself"}
		case token.MappingStartType, token.SequenceStartType:
			open = append(open, level{flow: true})
		case token.MappingEndType, token.SequenceEndType:
			if inFlow() {
				open = open[:len(open)-1]
			}
		case token.SequenceEntryType, token.MappingKeyType:
			if !inFlow() {
				begin(t.Position.Column)
			}
		case token.MappingValueType:
			if !inFlow() && t.Prev != nil {
				begin(t.Prev.Position.Column)
			}
			if len(open) > 0 {
				open[len(open)-1].names++
			}
		}
		switch {
		case len(open) > maxDepth:
			return &boundError{t.Position, fmt.Sprintf("lists and names stand in each other more than %d deep here", maxDepth)}
		case len(open) > 0 && open[len(open)-1].names > maxNames:
			return &boundError{t.Position, fmt.Sprintf("more than %d names stand beside each other here", maxNames)}
		}
	}
	return nil
}
