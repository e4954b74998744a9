package main

import (
	"cmp"
	"context"
	"errors"
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
	force bool // somebody means it although PagerDuty rejects the key
}

// run does it to one event, or to several in the order in which they were named, where that
// does not matter. One that it cannot be done to, as somebody else has been faster perhaps,
// does not keep the others from it.
func (b *bulk) run(ctx context.Context, ids []string) error {
	done, status := 0, exitAccepted
	for _, id := range ids {
		e := new(relayEvent)
		answer, err := b.post(ctx, "/api/events/"+id+"/"+b.what.verb, map[string]any{}, e)
		if err != nil && exitCode(err) != exitRefused {
			return b.stopped(done, len(ids), err)
		}
		if err != nil {
			status = exitRefused
			notify(b.sys.stderr, "", explain(aboutEvent(id, err)))
			continue
		}
		done++
		if _, err := io.WriteString(b.sys.stdout, b.line(e, answer)); err != nil {
			return err
		}
	}
	return told(status)
}

// atOnce is how many events one call is about. The relay does that within a second or
// two, and sends them in the order in which it has accepted them.
const atOnce = 2000

// bulkAnswer is what the relay says of many events.
type bulkAnswer struct {
	Done      int    `json:"done"`
	Coalesced int    `json:"coalesced"`
	LeftCount int    `json:"left_count"`
	Error     string `json:"error"`
	Left      []struct {
		ID  string `json:"id"`
		Why string `json:"why"`
	} `json:"left"`
}

// runMany does it to several events, a call for each two thousand. The relay puts those of one
// call in the order in which it has accepted them, so all are put in it before they are divided.
func (b *bulk) runMany(ctx context.Context, ids []string) error {
	ids = slices.SortedFunc(slices.Values(ids), byNumber)
	ids = slices.CompactFunc(ids, func(a, b string) bool { return byNumber(a, b) == 0 })
	live := !b.json && b.sys.isTerminal(b.sys.stderr)
	var sum bulkAnswer
	for some := range slices.Chunk(ids, atOnce) {
		if live {
			_, _ = fmt.Fprintf(b.sys.stderr, "\r\x1b[K%s %d of %d\r", b.what.done, sum.Done, len(ids)) // it will soon be too old
		}
		a := new(bulkAnswer)
		answer, err := b.post(ctx, "/api/events/"+b.what.verb, map[string]any{"ids": some}, a)
		if err == nil && a.Error != "" {
			err = failf(exitTemporary, "%s", a.Error)
		}
		sum.Done, sum.Coalesced, sum.LeftCount = sum.Done+a.Done, sum.Coalesced+a.Coalesced, sum.LeftCount+a.LeftCount
		if err != nil {
			return b.stopped(sum.Done, len(ids), err)
		}
		if b.name(a); b.json {
			if _, err := io.WriteString(b.sys.stdout, oneLine(answer)); err != nil {
				return err
			}
		}
	}
	return b.sum(&sum, len(ids))
}

// byNumber compares numbers by their value: eventID has looked at them.
func byNumber(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// name says why some events were left.
func (b *bulk) name(a *bulkAnswer) {
	const most = 20 // of a screen
	for _, left := range a.Left[:min(len(a.Left), most)] {
		text := left.Why
		if about := "event " + left.ID; !strings.HasPrefix(text, about) {
			text = about + ": " + text
		}
		notify(b.sys.stderr, "", singleLine(text))
	}
}

// report says what became of events that were done in one call.
func (b *bulk) report(a *bulkAnswer, answer []byte, of int) error {
	b.name(a)
	if a.Error != "" {
		return b.stopped(a.Done, of, failf(exitTemporary, "%s", a.Error))
	}
	if b.json {
		if _, err := io.WriteString(b.sys.stdout, oneLine(answer)); err != nil {
			return err
		}
	}
	return b.sum(a, of)
}

// sum says what became of all of them.
func (b *bulk) sum(a *bulkAnswer, of int) error {
	if !b.json {
		text := fmt.Sprintf("%s %d of %s", b.what.done, a.Done, counted(of, "event"))
		if a.Coalesced > 0 {
			text += fmt.Sprintf(", %d of them in one with another of their dedup key", a.Coalesced)
		}
		if _, err := fmt.Fprintln(b.sys.stdout, text); err != nil {
			return err
		}
	}
	return b.status(a)
}

func (b *bulk) status(sum *bulkAnswer) error {
	if sum.LeftCount > 0 {
		return told(exitRefused)
	}
	return told(exitAccepted)
}

// post has the relay do it. What would go to a key that PagerDuty rejects goes only if
// somebody means it: --yes says so, or the answer on a terminal.
func (b *bulk) post(ctx context.Context, path string, body map[string]any, into any) ([]byte, error) {
	body["why"] = b.why
	if b.force {
		body["force"] = true
	}
	answer, err := b.relay.post(ctx, path, body, into)
	var rejected keyRejected
	if b.force || !errors.As(err, &rejected) {
		return answer, err
	}
	if !b.yes {
		notify(b.sys.stderr, "", singleLine(rejected.Error()))
		if err := b.ask(ctx); err != nil {
			return nil, err
		}
	}
	b.force, body["force"] = true, true
	return b.relay.post(ctx, path, body, into)
}

// line is what is printed of an event that it was done to.
func (b *bulk) line(e *relayEvent, answer []byte) string {
	if b.json {
		return oneLine(answer)
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
	return b.runMany(ctx, f.ids)
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
