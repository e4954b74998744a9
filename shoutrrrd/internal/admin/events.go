package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// eventView is an event in the API.
type eventView struct {
	ID          string   `json:"id"`
	Lane        string   `json:"lane"`
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
	AcceptedAt  stamp    `json:"accepted_at"`
	FreshAt     stamp    `json:"fresh_at"`
	DueAt       stamp    `json:"due_at,omitzero"`
	EndedAt     stamp    `json:"ended_at,omitzero"`
	Attempts    int      `json:"attempts"`
	Repeats     int      `json:"repeats"`
	Repairs     []string `json:"repairs,omitempty"`
	Status      int      `json:"status,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// fullView is an event with all that there is.
type fullView struct {
	eventView
	Body    json.RawMessage `json:"body"`
	History []entryView     `json:"history"`
}

type entryView struct {
	At     stamp  `json:"at"`
	What   string `json:"what"`
	Status int    `json:"status,omitempty"`
	Text   string `json:"text,omitempty"`
	Who    string `json:"who,omitempty"`
}

func (d *Door) view(e *queue.Event, lanes map[int64]queue.Lane) eventView {
	key := lanes[e.Lane].Key
	v := eventView{
		ID: strconv.FormatInt(e.ID, 10), Lane: d.o.Describe(key).Name, Fingerprint: key.Fingerprint(), Pool: e.Pool,
		Kind: e.Kind.String(), Action: string(e.Action), DedupKey: e.DedupKey, State: e.State.String(), InFlight: e.InFlight,
		Severity: e.Severity.String(), Priority: e.Priority.String(),
		AcceptedAt: stamp{e.Accepted}, FreshAt: stamp{e.Fresh}, EndedAt: stamp{e.Ended},
		Attempts: e.Attempts, Repeats: e.Repeats, Repairs: e.Repairs, Status: e.Status, Reason: e.Reason,
	}
	if e.State == queue.Waiting {
		v.DueAt = stamp{e.Due}
	}
	var told struct {
		Payload struct{ Summary, Source string }
	}
	if json.Unmarshal(e.Body, &told) == nil { // else the row is damaged; the rest of it is still worth showing
		v.Summary, v.Source = told.Payload.Summary, told.Payload.Source
	}
	return v
}

func (d *Door) full(e *queue.Event, history []queue.Entry, lanes map[int64]queue.Lane) fullView {
	v := fullView{eventView: d.view(e, lanes), Body: json.RawMessage("null"), History: []entryView{}}
	if json.Valid(e.Body) {
		v.Body = unescaped(e.Body)
	}
	for _, h := range history {
		v.History = append(v.History, entryView{At: stamp{h.At}, What: h.What, Status: h.Status, Text: h.Text, Who: h.Who})
	}
	return v
}

const (
	defaultLimit = 50
	maxLimit     = 500
)

// selection is what was asked for, as the store understands it.
type selection struct {
	filter  queue.Filter
	exactly *queue.Rank // the store knows "at least" only
	lane    string
}

// parseSelection reads the parameters of a list.
func parseSelection(query url.Values) (selection, error) {
	for name := range query {
		switch name {
		case "state", "lane", "severity", "dedup_key", "q", "limit", "cursor":
		default:
			return selection{}, fmt.Errorf("there is no parameter %q; there are state, lane, severity, dedup_key, q, limit and cursor", cut(name))
		}
	}
	words, err := ParseWords(strings.Join(query["q"], " "))
	if err != nil {
		return selection{}, fmt.Errorf("q: %w", err)
	}
	for _, p := range []struct{ parameter, word string }{{"state", "state"}, {"lane", "lane"}, {"severity", "sev"}, {"dedup_key", "dedup"}} {
		for _, value := range query[p.parameter] {
			if value == "" {
				continue
			}
			if err := words.add(p.word, ":", value); err != nil {
				return selection{}, fmt.Errorf("%s=%q: %w", p.parameter, cut(value), err)
			}
		}
	}
	s := selection{lane: words.Lane, exactly: words.Exactly, filter: queue.Filter{
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

func (d *Door) events(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		d.fail(w, http.StatusBadRequest, "the parameters cannot be read; percent-encode them")
		return
	}
	s, err := parseSelection(query)
	if err != nil {
		d.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if s.lane != "" {
		found, err := d.lanesNamed(r.Context(), s.lane)
		if err != nil {
			d.failed(w, r, err)
			return
		}
		if len(found) == 0 {
			d.fail(w, http.StatusBadRequest, fmt.Sprintf("lane %q: %s", cut(s.lane), noLane))
			return
		}
		s.filter.Lane = found[0].ID
	}
	d.list(w, r, s)
}

// list answers a page. One severity alone is sifted out here, so that a page may
// have fewer events than were asked for; its cursor goes on all the same.
func (d *Door) list(w http.ResponseWriter, r *http.Request, s selection) {
	lanes, err := d.names(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	page, err := d.o.Store.Events(r.Context(), s.filter)
	if err != nil {
		d.failed(w, r, fmt.Errorf("list events: %w", err))
		return
	}
	answer := struct {
		Events []eventView `json:"events"`
		Next   string      `json:"next,omitempty"`
		Read   int         `json:"read"`
	}{Events: []eventView{}, Read: page.Read}
	for i := range page.Events {
		if s.exactly == nil || page.Events[i].Severity == *s.exactly {
			answer.Events = append(answer.Events, d.view(&page.Events[i], lanes))
		}
	}
	if page.Next > 0 {
		answer.Next = strconv.FormatInt(page.Next, 10)
	}
	d.write(r.Context(), w, answer)
}

func (d *Door) event(w http.ResponseWriter, r *http.Request) {
	id, ok := d.eventID(w, r)
	if !ok {
		return
	}
	d.showEvent(w, r, id)
}

func (d *Door) showEvent(w http.ResponseWriter, r *http.Request, id int64) {
	lanes, err := d.names(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	e, history, err := d.o.Store.Event(r.Context(), id)
	if err != nil {
		d.failed(w, r, fmt.Errorf("read event %d: %w", id, err))
		return
	}
	d.write(r.Context(), w, d.full(&e, history, lanes))
}

func (d *Door) eventID(w http.ResponseWriter, r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		d.fail(w, http.StatusBadRequest, "the number of an event is expected; GET /api/events shows them")
		return 0, false
	}
	return id, true
}
