package queue

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// WhileWaiting says what becomes of an alert that was opened and resolved again before
// anything of it could be sent.
type WhileWaiting uint8

// The ways. Each is a value of the setting settle_while_waiting.
const (
	SendAll  WhileWaiting = iota // each event is sent
	SendOne                      // of all pairs of trigger and resolve one is sent, which tells of the others
	SendNote                     // a change event tells of them, and pages nobody
)

var whileWaiting = [...]string{SendAll: "all", SendOne: "one", SendNote: "note"}

// String returns the value of the setting.
func (w WhileWaiting) String() string { return whileWaiting[w] }

// ParseWhileWaiting returns the way that a value of the setting names, [SendOne] for any
// other text.
func ParseWhileWaiting(text string) WhileWaiting {
	for w, name := range whileWaiting {
		if name == text {
			return WhileWaiting(w)
		}
	}
	return SendOne
}

// FoldAfter is how long the head of a chain has waited before its events are folded. What
// can be sent leaves within a second, and PagerDuty's limit counts minutes: whatever has
// waited for one could not be sent.
const FoldAfter = time.Minute

// Link is an event of a chain, as [PlanFold] needs to know it.
type Link struct {
	Action eventsv2.Action
	Stays  bool // PagerDuty has got it, or may have; or an operator had it sent again
}

// Pair is a trigger and what resolved it, by their places in the chain.
type Pair struct{ Opened, Resolved int }

// Fold says which events of a chain are not sent, and what tells of them.
type Fold struct {
	Teller int    // place of the trigger that tells of them
	Note   bool   // instead of a trigger a change event tells, which has no place in the chain
	Own    bool   // the pair that the teller itself begins is one of Pairs; true of a change event
	Folded []int  // places of the events that are not sent
	Last   int    // place of the resolve that stays; 0 if the trigger that tells is not resolved
	Pairs  []Pair // that are told of
}

// PlanFold decides what becomes of the first events of a chain. Its head is a trigger, and
// PagerDuty has no incident of it open, nor may have: else the first resolve would be
// that incident's. More says that there are further events behind these.
//
// What PagerDuty may have got is never folded: what follows has to resolve it. An attempt
// that certainly was in vain changes nothing. A head that stays tells of the others, as it
// is sent in any case. The last resolve always stays: whatever PagerDuty has open ends with it.
func PlanFold(chain []Link, way WhileWaiting, more bool) (f Fold, folds bool) {
	if way == SendAll || len(chain) == 0 || chain[0].Action != eventsv2.Trigger {
		return f, false
	}
	for i := 1; i < len(chain); i++ {
		if chain[i].Stays {
			chain, more = chain[:i], false
			break
		}
	}
	opened := -1
	for i, l := range chain {
		switch {
		case l.Action == eventsv2.Trigger && opened < 0:
			opened = i
		case l.Action == eventsv2.Resolve && opened >= 0:
			f.Pairs = append(f.Pairs, Pair{opened, i})
			opened = -1
		}
	}
	pairs := len(f.Pairs)
	if opened >= 0 && chain[0].Stays && more { // what resolves the last trigger is further behind
		chain, opened = chain[:opened], -1
	}
	switch {
	case pairs == 0 || opened >= 0 && chain[0].Stays:
		return Fold{}, false
	case opened >= 0:
		f.Teller = opened
		f.fold(0, opened)
		return f, true
	}
	f.Last = f.Pairs[pairs-1].Resolved
	for i := f.Last; i < len(chain); i++ { // resolves of nothing
		if chain[i].Action == eventsv2.Resolve {
			f.Last = i
		}
	}
	switch {
	case way == SendNote && !chain[0].Stays && !more:
		f.Note, f.Teller, f.Own = true, -1, true
	case pairs == 1:
		return Fold{}, false
	case chain[0].Stays:
		f.Own = true
	default:
		f.Teller, f.Own = f.Pairs[pairs-1].Opened, true
	}
	f.fold(0, len(chain))
	return f, true
}

// fold notes the events between two places that do not stay.
func (f *Fold) fold(from, to int) {
	for i := from; i < to; i++ {
		if i != f.Teller && (i != f.Last || i == 0) {
			f.Folded = append(f.Folded, i)
		}
	}
}

// Span is when an alert was opened and resolved, as the relay accepted that.
type Span struct{ Opened, Resolved time.Time }

// mostSpans is of how many spans the times are told: nobody reads more. The first and the
// last ones are.
const mostSpans = 20

// Folded is what an event tells of pairs of trigger and resolve that were not sent.
type Folded struct {
	Pairs int    // how many there were
	Own   bool   // the pair that the event itself begins is among them; true of a change event
	Spans []Span // their times, in order: of many the first and the last ones
}

// Told collects what is told by a fold of a chain, from the times at which its events were
// accepted and what its triggers tell already.
func (f *Fold) Told(accepted func(place int) time.Time, tells func(place int) Folded) (told Folded) {
	teller := false
	for _, p := range f.Pairs {
		teller = teller || p.Opened == f.Teller
		before := tells(p.Opened)
		told.Add(before)
		if !before.Own {
			told.Add(Folded{Pairs: 1, Spans: []Span{{accepted(p.Opened), accepted(p.Resolved)}}})
		}
	}
	if !f.Note && !teller {
		told.Add(tells(f.Teller))
	}
	told.Own = f.Own
	return told
}

// Add adds what another event tells. Own stays as it is.
func (f *Folded) Add(other Folded) {
	f.Pairs += other.Pairs
	f.Spans = append(f.Spans[:len(f.Spans):len(f.Spans)], other.Spans...)
	if n := len(f.Spans); n > mostSpans {
		f.Spans = append(f.Spans[:mostSpans/2:mostSpans/2], f.Spans[n-mostSpans/2:]...)
	}
}

// Dated returns the same with dates in place of the queue's times.
func (f *Folded) Dated(date func(time.Time) time.Time) Folded {
	dated := *f
	dated.Spans = make([]Span, len(f.Spans))
	for i, s := range f.Spans {
		dated.Spans[i] = Span{date(s.Opened), date(s.Resolved)}
	}
	return dated
}

// times lists when that was, with the zone.
func (f *Folded) times() string {
	var b strings.Builder
	for i, s := range f.Spans {
		if i > 0 {
			b.WriteString("; ")
		}
		if left := f.Pairs - len(f.Spans); left > 0 && i == mostSpans/2 {
			fmt.Fprintf(&b, "and %d more; ", left)
		}
		fmt.Fprintf(&b, "opened %s, resolved %s", s.Opened.UTC().Format(time.RFC3339), s.Resolved.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// String tells of the pairs, for the responder and for the history of the event.
func (f *Folded) String() string {
	before := "before this trigger "
	if f.Own {
		before = ""
	}
	return fmt.Sprintf("%sopened and resolved %s while nothing of it could be sent: %s", before, timesOf(f.Pairs), f.times())
}

// InSummary adds to a summary how many pairs there were, within what PagerDuty takes of one.
func (f *Folded) InSummary(summary string) string {
	tail := fmt.Sprintf(" (opened and resolved %s while nothing of it could be sent)", timesOf(f.Pairs))
	return cutTo(summary, maxSummary-utf8.RuneCountInString(tail)) + tail
}

func timesOf(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprint(n, " times")
}

// toldBy begins the reason of an event that was folded.
const toldBy = "told by event "

// ToldByReason is the reason of an event that was folded into another one.
func ToldByReason(teller int64) string { return fmt.Sprint(toldBy, teller) }

// ToldBy returns which event tells of one that was folded, 0 if it was not.
func (e *Event) ToldBy() (teller int64) {
	if e.State == Dropped && strings.HasPrefix(e.Reason, toldBy) {
		if _, err := fmt.Sscanf(e.Reason, toldBy+"%d", &teller); err != nil {
			return 0
		}
	}
	return teller
}

// FoldedName is the detail that tells of the pairs which were not sent.
const FoldedName = "relay_folded"

// maxSummary is how many characters PagerDuty takes of a summary.
const maxSummary = 1024

// Note makes the change event that tells of alerts which were opened and resolved while
// nothing could be sent. It is made of the latest trigger, and has its details as far as
// there is room. It has no routing key yet.
func (e *Event) Note(told *Folded, most Rank, at time.Time) (summary string, body []byte) {
	of, _ := eventsv2.ParseEvent(e.Body) // of a body that cannot be read the row has summary and source
	first, last := at, at
	if len(told.Spans) > 0 {
		first, last = told.Spans[0].Opened, told.Spans[len(told.Spans)-1].Resolved
	}
	tail := fmt.Sprintf(" (opened %s, resolved %s, while nothing could be sent to PagerDuty)", first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	if told.Pairs > 1 {
		tail = fmt.Sprintf(" (opened and resolved %d times from %s to %s, while nothing could be sent to PagerDuty)", told.Pairs, first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	}
	summary = cutTo(e.Summary, maxSummary-utf8.RuneCountInString(tail)) + tail
	own := eventsv2.Details{eventsv2.Text(FoldedName, told.String()), eventsv2.Text("dedup_key", e.DedupKey), eventsv2.Text("severity", most.String())}
	details := own
	for _, m := range of.Payload.CustomDetails {
		if _, taken := own.Get(m.Name); !taken {
			details = append(details, m)
		}
	}
	if text := of.Payload.DetailsText; text != "" {
		details = append(details, eventsv2.Text("custom_details", text))
	}
	c := eventsv2.Change{Summary: summary, Source: e.Source, Timestamp: last, CustomDetails: details}
	if body = c.AppendJSON(nil); len(body) > eventsv2.MaxEventBytes-roomForKey {
		c.CustomDetails = own
		body = c.AppendJSON(nil)
	}
	return summary, body
}

// roomForKey is more than the routing key takes in an encoded event.
const roomForKey = 64

// cutTo cuts a text to so many characters, with a mark.
func cutTo(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(0, n-1)]) + "…"
}

// Merged is what a store has folded while it was asked for events.
type Merged struct {
	Lane     int64
	DedupKey string
	Teller   int64   // the event that tells of the others
	Events   []int64 // that were folded
	Pairs    int     // that the teller tells of
	Note     bool    // the teller is a change event
}
