package insight

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Event is an event as people see it.
type Event struct {
	ID          string   `json:"id"`
	Lane        string   `json:"lane"`
	LaneID      string   `json:"lane_id"`
	Fingerprint string   `json:"fingerprint"`
	Pool        string   `json:"pool,omitempty"`
	Kind        string   `json:"kind"`
	Action      string   `json:"action,omitempty"`
	DedupKey    string   `json:"dedup_key,omitempty"`
	State       string   `json:"state"`
	InFlight    bool     `json:"in_flight"`
	Severity    string   `json:"severity"`
	Priority    string   `json:"priority"`
	Summary     string   `json:"summary,omitempty"`
	Source      string   `json:"source,omitempty"`
	AcceptedAt  Stamp    `json:"accepted_at"`
	FreshAt     Stamp    `json:"fresh_at"`
	DueAt       Stamp    `json:"due_at,omitzero"`
	EndedAt     Stamp    `json:"ended_at,omitzero"`
	Attempts    int      `json:"attempts"`
	Repeats     int      `json:"repeats"`
	Folded      *Folded  `json:"folded,omitempty"`
	ToldBy      string   `json:"told_by,omitempty"` // the event that tells of this one, which was not sent
	Repairs     []string `json:"repairs,omitempty"`
	Status      int      `json:"status,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// Folded is what an event tells of pairs of trigger and resolve that were not sent.
type Folded struct {
	Pairs int      `json:"pairs"`
	Own   bool     `json:"own"`   // the pair that the event itself begins is among them
	Times []Opened `json:"times"` // of many the first and the last ones
}

// Opened is when an alert was opened and resolved.
type Opened struct {
	OpenedAt   Stamp `json:"opened_at"`
	ResolvedAt Stamp `json:"resolved_at"`
}

// FullEvent is an event with all that there is.
type FullEvent struct {
	Event
	Body    json.RawMessage `json:"body"`
	History []Entry         `json:"history"`
}

// Entry is a line of an event's history.
type Entry struct {
	At     Stamp  `json:"at"`
	What   string `json:"what"`
	Status int    `json:"status,omitempty"`
	Text   string `json:"text,omitempty"`
	Who    string `json:"who,omitempty"`
}

func (i *Insight) view(ctx context.Context, e *queue.Event) (Event, error) {
	l, err := i.laneOf(ctx, e.Lane)
	if err != nil {
		return Event{}, err
	}
	v := Event{
		ID: strconv.FormatInt(e.ID, 10), Lane: i.o.Describe(l.Key).Name, LaneID: laneID(e.Lane), Fingerprint: l.Key.Fingerprint(), Pool: i.o.Describe(l.Key).Pool,
		Kind: e.Kind.String(), Action: string(e.Action), DedupKey: e.DedupKey, State: e.State.String(), InFlight: e.InFlight,
		Severity: e.Severity.String(), Priority: e.Priority.String(),
		AcceptedAt: i.Stamp(e.Accepted), FreshAt: i.Stamp(e.Fresh), EndedAt: i.Stamp(e.Ended),
		Attempts: e.Attempts, Repeats: e.Repeats, Repairs: e.Repairs, Status: e.Status, Reason: e.Reason, Summary: e.Summary, Source: e.Source,
	}
	if e.State == queue.Waiting {
		v.DueAt = i.Stamp(e.Due)
	}
	if e.Folded.Pairs > 0 {
		v.Folded = &Folded{Pairs: e.Folded.Pairs, Own: e.Folded.Own, Times: []Opened{}}
		for _, s := range e.Folded.Spans {
			v.Folded.Times = append(v.Folded.Times, Opened{i.Stamp(s.Opened), i.Stamp(s.Resolved)})
		}
	}
	if teller := e.ToldBy(); teller != 0 {
		v.ToldBy = strconv.FormatInt(teller, 10)
	}
	return v, nil
}

func (i *Insight) told(history []queue.Entry) []Entry {
	entries := make([]Entry, 0, len(history))
	for _, h := range history {
		entries = append(entries, Entry{At: i.Stamp(h.At), What: h.What, Status: h.Status, Text: h.Text, Who: h.Who})
	}
	return entries
}

const (
	defaultLimit = 50
	maxLimit     = 500
)

// Selection is which events are asked for.
type Selection struct {
	filter  queue.Filter
	exactly *queue.Rank // the store knows "at least" only
	lane    string

	// Client is who asks: searches for a text are shared out among clients.
	Client string
}

// ParseSelection reads the parameters of a list.
func ParseSelection(query url.Values) (Selection, error) {
	for name := range query {
		switch name {
		case "state", "lane", "severity", "dedup_key", "q", "limit", "cursor":
		default:
			return Selection{}, fmt.Errorf("there is no parameter %q; there are state, lane, severity, dedup_key, q, limit and cursor", cut(name))
		}
	}
	words, err := ParseWords(strings.Join(query["q"], " "))
	if err != nil {
		return Selection{}, fmt.Errorf("q: %w", err)
	}
	for _, p := range []struct{ parameter, word string }{{"state", "state"}, {"lane", "lane"}, {"severity", "sev"}, {"dedup_key", "dedup"}} {
		for _, value := range query[p.parameter] {
			if value == "" {
				continue
			}
			if err := words.add(p.word, ":", value); err != nil {
				return Selection{}, fmt.Errorf("%s=%q: %w", p.parameter, cut(value), err)
			}
		}
	}
	s := Selection{lane: words.Lane, exactly: words.Exactly, filter: queue.Filter{
		States: words.States, InFlight: words.InFlight, DedupKey: words.DedupKey, AtLeast: words.AtLeast, Text: words.Text,
	}}
	if s.exactly != nil && (s.filter.AtLeast == nil || *s.filter.AtLeast > *s.exactly) {
		s.filter.AtLeast = s.exactly
	}
	limit, err := number(query, "limit", defaultLimit, maxLimit)
	if err != nil {
		return s, err
	}
	s.filter.Limit = int(limit)
	s.filter.Before, err = number(query, "cursor", 0, 1<<62)
	return s, err
}

// number reads a parameter that is a number from 1 on.
func number(query url.Values, name string, standard, highest int64) (int64, error) {
	text := query.Get(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > highest {
		if name == "cursor" {
			return 0, fmt.Errorf("cursor=%q: it is no cursor; take the \"next\" of the page before", cut(text))
		}
		return 0, fmt.Errorf("%s=%q: it has to be a number from 1 to %d", name, cut(text), highest)
	}
	return n, nil
}

// List is a page of events, the newest first.
type List struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"` // the cursor of the next page; "" at the end
	Read   int     `json:"read"`           // rows that were looked at
}

// Events lists what was selected. One severity alone is sifted out here, so that a
// page may have fewer events than were asked for; its cursor goes on all the same.
func (i *Insight) Events(ctx context.Context, s Selection) (List, error) {
	list := List{Events: []Event{}}
	if s.lane != "" {
		found, err := i.FindLanes(ctx, s.lane)
		if err != nil {
			return list, fmt.Errorf("lane %q: %w", cut(s.lane), err)
		}
		s.filter.Lane = found[0].ID
	}
	page, err := i.page(ctx, s)
	if err != nil {
		return list, err
	}
	list.Read = page.Read
	for at := range page.Events {
		if s.exactly == nil || page.Events[at].Severity == *s.exactly {
			view, err := i.view(ctx, &page.Events[at])
			if err != nil {
				return list, err
			}
			list.Events = append(list.Events, view)
		}
	}
	if page.Next > 0 {
		list.Next = strconv.FormatInt(page.Next, 10)
	}
	return list, nil
}

// page reads a page of events. One that looks for a text waits for its turn.
func (i *Insight) page(ctx context.Context, s Selection) (queue.Page, error) {
	if s.filter.Text != "" {
		end, err := i.searches.begin(ctx, s.Client)
		if err != nil {
			return queue.Page{}, err
		}
		defer end()
	}
	page, err := i.o.Store.Events(ctx, s.filter)
	if err != nil {
		return page, fmt.Errorf("list events: %w", err)
	}
	return page, nil
}

// Listed tells of one event what a list tells, or queue.ErrNotFound.
func (i *Insight) Listed(ctx context.Context, id int64) (Event, error) {
	e, err := i.o.Store.Listed(ctx, id)
	if err != nil {
		return Event{}, fmt.Errorf("read event %d: %w", id, err)
	}
	return i.view(ctx, &e)
}

// Event tells all of one event, or queue.ErrNotFound.
func (i *Insight) Event(ctx context.Context, id int64) (FullEvent, error) {
	e, history, err := i.o.Store.Event(ctx, id)
	if err != nil {
		return FullEvent{}, fmt.Errorf("read event %d: %w", id, err)
	}
	v := FullEvent{Body: json.RawMessage("null"), History: i.told(history)}
	if v.Event, err = i.view(ctx, &e); err != nil {
		return FullEvent{}, err
	}
	var body struct {
		Payload struct{ Summary, Source string }
	}
	if json.Unmarshal(e.Body, &body) == nil { // else the row is damaged; the rest of it is still worth showing
		v.Summary, v.Source = cmp.Or(body.Payload.Summary, v.Summary), cmp.Or(body.Payload.Source, v.Source)
	}
	if json.Valid(e.Body) {
		v.Body = unescaped(e.Body)
	}
	return v, nil
}
