package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// found is what a filter has found.
type found struct {
	ids      []string // the oldest first: what is sent again keeps its order
	critical int
	oldest   time.Time
	others   map[string]int // that it cannot be done to, by their state
}

// all does it to all events that a filter finds, once somebody has agreed.
func (b *bulk) all(ctx context.Context, filter string) error {
	f, err := b.find(ctx, filter)
	if err != nil {
		return err
	}
	if len(f.ids) == 0 {
		tell(b.sys.stderr, "", "nothing to "+b.what.verb+": no event is like that"+f.rest())
		return nil
	}
	tell(b.sys.stderr, "", b.preview(f))
	if !b.yes {
		if err := b.ask(ctx); err != nil {
			return err
		}
	}
	return b.run(ctx, f.ids)
}

// find collects the numbers of the events. It keeps no more of them: there may be a
// million.
func (b *bulk) find(ctx context.Context, filter string) (*found, error) {
	q := url.Values{"q": {filter}}
	if !namesState(filter) {
		q.Set("state", "dead") // "lane:db" should not give up what that lane has waiting
	}
	f := &found{others: map[string]int{}}
	err := b.relay.pages(ctx, q, 0, func(p page, _ []byte) error {
		for i := range p.Events {
			e := &p.Events[i]
			if _, err := eventID(e.ID); err != nil || e.InFlight || !slices.Contains(b.what.states, e.State) {
				f.others[e.stateWord()]++
				continue
			}
			f.ids = append(f.ids, e.ID)
			if e.Severity == "critical" {
				f.critical++
			}
			if f.oldest.IsZero() || e.AcceptedAt.Before(f.oldest) {
				f.oldest = e.AcceptedAt
			}
		}
		return nil
	})
	slices.Reverse(f.ids)
	return f, err
}

// namesState reports whether a filter has a word for the state outside of quotation
// marks.
func namesState(filter string) bool {
	quoted, start := false, true // start: a word may begin here
	for i := 0; i < len(filter); i++ {
		c := filter[i]
		word := strings.ToLower(filter[i:min(len(filter), i+len("state:"))])
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && start && (word == "state:" || word == "state="):
			return true
		}
		start = strings.ContainsRune(" \t\r\n\"", rune(c))
	}
	return false
}

func (b *bulk) preview(f *found) string {
	return fmt.Sprintf("%s %s: %d critical, the oldest accepted %s ago%s",
		b.what.verb, counted(len(f.ids), "event"), f.critical, age(b.relay.now.Sub(f.oldest)), f.rest())
}

// rest tells of what was found and stays as it is.
func (f *found) rest() string {
	states := make([]string, 0, len(f.others))
	for state, n := range f.others {
		states = append(states, fmt.Sprintf("%d %s", n, state))
	}
	if len(states) == 0 {
		return ""
	}
	slices.Sort(states)
	return "; it cannot be done to " + strings.Join(states, ", ")
}

// ask asks whoever is there. Where nobody is, nothing is done.
func (b *bulk) ask(ctx context.Context) error {
	if !b.sys.isTerminal(b.sys.stdin) || !b.sys.isTerminal(b.sys.stderr) {
		return usagef("nothing was done: to do it, say it again with --yes")
	}
	answer, err := newInterview(ctx, b.sys, nil, nil).ask(ctx, "do it? yes or no", "no", yesOrNo)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.ToLower(answer), "y") {
		tell(b.sys.stderr, "", "nothing was done")
		return told(exitInterrupted)
	}
	return nil
}

// run does it, one after the other. Somebody else may have been faster with some.
func (b *bulk) run(ctx context.Context, ids []string) error {
	live := !b.json && b.sys.isTerminal(b.sys.stderr)
	clear := func() {
		if live {
			_, _ = io.WriteString(b.sys.stderr, "\r\x1b[K") // a terminal that is gone needs no cleaning
		}
	}
	done, status := 0, exitAccepted
	for i, id := range ids {
		if live && i%100 == 0 {
			_, _ = fmt.Fprintf(b.sys.stderr, "\r\x1b[K%s %d of %d", b.what.done, done, len(ids))
		}
		answer, _, err := b.one(ctx, id)
		switch {
		case err != nil && exitCode(err) != exitRefused:
			clear()
			return b.stopped(i, len(ids), err)
		case err != nil:
			clear()
			status = exitRefused
			tell(b.sys.stderr, "", explain(err))
			continue
		}
		done++
		if b.json {
			if _, err := io.WriteString(b.sys.stdout, oneLine(answer)); err != nil {
				return err
			}
		}
	}
	clear()
	if !b.json {
		if _, err := fmt.Fprintf(b.sys.stdout, "%s %d of %s\n", b.what.done, done, counted(len(ids), "event")); err != nil {
			return err
		}
	}
	return told(status)
}
