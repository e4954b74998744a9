package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/types"
)

// longestInput bounds what is read of standard input. An event holds half a
// megabyte, so what lies beyond could not be sent in any case.
const longestInput = 16 << 20

// stdinName stands for standard input where a message or a file is given.
const stdinName = "-"

// words is how the message was given.
type words struct {
	flag  string // -m
	given bool
	args  []string
	// orStdin has the message read from standard input if there is no other, as in
	// "mail": a line of cron that ends in "| shoutrrr send" means that.
	orStdin bool
}

// read returns the message. A warning says if it is not all that there was: a page
// that is cut is worth more than none.
func (w words) read(ctx context.Context, sys *system) (message, warning string, err error) {
	message = w.flag
	switch {
	case w.given && len(w.args) > 0:
		return "", "", usagef("there are two messages: give it with -m or as arguments")
	case w.given:
	case len(w.args) == 0 && w.orStdin:
		message = stdinName
	default:
		message = strings.Join(w.args, " ")
	}
	if message != stdinName {
		return sys.text(message), "", nil
	}
	text, whole, err := readInput(ctx, sys, sys.stdin, longestInput)
	if err != nil {
		return "", "", err
	}
	if !whole {
		warning = fmt.Sprintf("standard input is longer than %d MiB: the rest is left out", longestInput>>20)
	}
	return text, warning, nil
}

// readInput reads standard input, or a file, without the end of its last line, until it or
// the context ends.
func readInput(ctx context.Context, sys *system, from io.Reader, limit int64) (text string, whole bool, err error) {
	type input struct {
		text []byte
		err  error
	}
	done := make(chan input, 1) // a read of a terminal cannot be stopped, only left alone
	go func() {
		text, err := io.ReadAll(io.LimitReader(bufio.NewReader(from), limit+1))
		done <- input{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", false, ctx.Err()
	case in := <-done:
		if in.err != nil {
			return "", false, failf(exitMachine, "standard input cannot be read: %w", in.err)
		}
		if int64(len(in.text)) > limit {
			return sys.text(string(wholeRunes(in.text[:limit]))), false, nil
		}
		text := strings.TrimPrefix(sys.text(string(in.text)), "\ufeff")
		return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), true, nil
	}
}

// wholeRunes drops the last character if it is cut through.
func wholeRunes(text []byte) []byte {
	for back := 1; back <= utf8.UTFMax && back <= len(text); back++ {
		if start := len(text) - back; utf8.RuneStart(text[start]) {
			if !utf8.FullRune(text[start:]) {
				return text[:start]
			}
			break
		}
	}
	return text
}

// parseParams reads name=value pairs, and the title beside them. What the names
// and values mean is the service's business.
func parseParams(sys *system, pairs []string, title string) (*types.Params, error) {
	params := make(types.Params, len(pairs)+1)
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" {
			return nil, usagef("-p wants name=value, such as -p severity=critical")
		}
		if _, twice := params[name]; twice {
			return nil, failf(exitConfig, "parameter %q stands twice: give -p %[1]s= once", name)
		}
		params[name] = sys.text(value)
	}
	if title != "" {
		if _, twice := params[types.TitleKey]; twice {
			return nil, failf(exitConfig, "there are two titles: give one, with -t or with -p title=")
		}
		params.SetTitle(sys.text(title))
	}
	return &params, nil
}
