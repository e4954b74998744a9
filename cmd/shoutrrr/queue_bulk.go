package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bulk does the same to several events.
type bulk struct {
	sys   *system
	relay *relay
	what  deed
	why   string
	json  bool
	yes   bool
}

// run does it, one after the other. One that it cannot be done to, as somebody else
// has been faster perhaps, does not keep the others from it. Few are told one by one,
// many by their number.
func (b *bulk) run(ctx context.Context, ids []string, many bool) error {
	live := many && !b.json && b.sys.isTerminal(b.sys.stderr)
	done, status := 0, exitAccepted
	for i, id := range ids {
		if live && i%100 == 0 {
			_, _ = fmt.Fprintf(b.sys.stderr, "\r\x1b[K%s %d of %d\r", b.what.done, done, len(ids)) // it will soon be too old
		}
		e := new(relayEvent)
		answer, err := b.relay.do(ctx, "/api/events/"+id+"/"+b.what.verb, b.why, e)
		if err != nil && exitCode(err) != exitRefused {
			return b.stopped(done, len(ids), err)
		}
		if err != nil {
			status = exitRefused
			notify(b.sys.stderr, "", explain(aboutEvent(id, err)))
			continue
		}
		done++
		if text := b.line(e, answer, many); text != "" {
			if _, err := io.WriteString(b.sys.stdout, text); err != nil {
				return err
			}
		}
	}
	if many && !b.json {
		if _, err := fmt.Fprintf(b.sys.stdout, "%s %d of %s\n", b.what.done, done, counted(len(ids), "event")); err != nil {
			return err
		}
	}
	return told(status)
}

// line is what is printed of an event that it was done to.
func (b *bulk) line(e *relayEvent, answer []byte, many bool) string {
	switch {
	case b.json:
		return oneLine(answer)
	case many:
		return ""
	}
	return b.what.done + " " + singleLine(e.ID+" ("+e.Severity+", lane "+e.Lane+"): "+e.what()) + "\n"
}

// stopped is the error of a bulk that ends in the middle: it says how far it came.
func (b *bulk) stopped(done, of int, err error) error {
	if of < 2 {
		return err
	}
	return failf(exitCode(err), "%s; %s %d of %d events before that", explain(err), b.what.done, done, of)
}

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
		notify(b.sys.stderr, "", "nothing to "+b.what.verb+": no events match"+f.rest())
		return nil
	}
	notify(b.sys.stderr, "", fmt.Sprintf("%s %s: %d critical, the oldest accepted %s ago%s",
		b.what.verb, counted(len(f.ids), "event"), f.critical, age(b.relay.now.Sub(f.oldest)), f.rest()))
	if !b.yes {
		if err := b.ask(ctx); err != nil {
			return err
		}
	}
	return b.run(ctx, f.ids, true)
}

// find collects the numbers of the events. It keeps no more of them: there may be a
// million.
func (b *bulk) find(ctx context.Context, filter string) (*found, error) {
	query := parameters("q", filter)
	if !namesState(filter) {
		query += "&state=dead" // "lane:db" should not give up what that lane has waiting
	}
	f := &found{others: map[string]int{}}
	err := b.relay.pages(ctx, "events", query, 0, func(p *page, _ []byte) error {
		for i := range p.Events {
			f.add(&p.Events[i], b.what.states)
		}
		return nil
	})
	slices.Reverse(f.ids)
	return f, err
}

func (f *found) add(e *relayEvent, states []string) {
	if _, err := eventID(e.ID); err != nil || e.InFlight || !slices.Contains(states, e.State) {
		f.others[e.stateWord()]++
		return
	}
	f.ids = append(f.ids, e.ID)
	if e.Severity == "critical" {
		f.critical++
	}
	if f.oldest.IsZero() || e.AcceptedAt.Before(f.oldest) {
		f.oldest = e.AcceptedAt
	}
}

// rest tells of what was found and stays as it is.
func (f *found) rest() string {
	var states []string
	for state, n := range f.others {
		states = append(states, strconv.Itoa(n)+" "+state)
	}
	if len(states) == 0 {
		return ""
	}
	slices.Sort(states)
	return "; it cannot be done to " + strings.Join(states, ", ")
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
		notify(b.sys.stderr, "", "nothing was done")
		return told(exitInterrupted)
	}
	return nil
}
