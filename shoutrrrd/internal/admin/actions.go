package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	maxActionBody = 16 << 10
	maxActor      = 64 // characters of a name
)

// given is the body of a request that does something.
type given struct {
	Why   string   `json:"why"`
	Force bool     `json:"force"` // requeue although PagerDuty rejects the key, or to another upstream
	IDs   []string `json:"ids"`   // of events

	// Of a replay.
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Lane    string    `json:"lane"`    // "" for all
	Preview bool      `json:"preview"` // nothing is done

	To string `json:"to"` // of a move: the other lane
}

// by reads who wants something, what and why. A wrong request has been answered if ok
// is false.
func (d *Door) by(w http.ResponseWriter, r *http.Request, most int64) (by queue.By, g given, ok bool) {
	who, err := actor(r)
	if err == nil {
		g, err = readGiven(w, r, most)
	}
	if err == nil {
		if by.Why, err = d.o.Insight.Reason(r.Context(), g.Why); err != nil {
			err = fmt.Errorf("why: %w", err)
		}
	}
	if err != nil {
		d.fail(w, http.StatusBadRequest, err.Error())
		return by, g, false
	}
	by.Who, by.At = d.o.Insight.Scrub(r.Context(), who), d.o.Now()
	return by, g, true
}

// actor is the name of the token, or without tokens the name that the client gives.
func actor(r *http.Request) (string, error) {
	if who, ok := door.IdentityOf(r.Context()); ok {
		return who.Name, nil
	}
	name := strings.TrimSpace(r.Header.Get("X-Shoutrrr-Actor"))
	switch {
	case name == "":
		return "local", nil
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || utf8.RuneCountInString(name) > maxActor:
		return "", fmt.Errorf("X-Shoutrrr-Actor: a name of at most %d characters is expected", maxActor)
	}
	return name, nil
}

func readGiven(w http.ResponseWriter, r *http.Request, most int64) (g given, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return g, errors.New(`the body is too long or did not come whole; {"why":"..."} is expected`)
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return g, nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&g); err != nil || decoder.More() {
		return g, errors.New(`the body cannot be read; {"why":"..."} is expected`)
	}
	return g, nil
}

// rules say which events a verb is for.
var rules = map[ops.Verb]string{
	ops.Requeue: "a refused, expired or dropped one can be requeued",
	ops.Drop:    "one that is not in flight and has not been delivered or dropped can be dropped",
	ops.Try:     "one that is queued can be tried",
}

// one does to an event what an operator wants and shows the event.
func (d *Door) one(what ops.Verb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, ok := d.eventID(w, r)
		if !ok {
			return
		}
		by, g, ok := d.by(w, r, maxActionBody)
		if !ok {
			return
		}
		out, err := d.o.Ops.Events(r.Context(), ops.Deed{What: what, IDs: []int64{id}, By: by, Force: g.Force})
		if err == nil && len(out.Left) > 0 {
			err = out.Left[0].Err
		}
		rejected := (*ops.RejectedKeyError)(nil)
		switch {
		case errors.As(err, &rejected):
			d.keyRejected(w, err)
		case errors.Is(err, queue.ErrElsewhere):
			d.ask(w, err, otherUpstream)
		case errors.Is(err, queue.ErrUnsendable), errors.Is(err, queue.ErrOutdated):
			d.fail(w, http.StatusConflict, err.Error())
		case errors.Is(err, queue.ErrState):
			d.fail(w, http.StatusConflict, fmt.Sprintf("event %d is %s; only %s", id, d.state(r.Context(), id), rules[what]))
		case err != nil:
			d.failed(w, r, fmt.Errorf("event %d was not %s: %w", id, what.Done(), err))
		default:
			// Without its body and history: a command that acts on many events would get them all.
			show(d, w, r, func(ctx context.Context) (insight.Event, error) { return d.o.Insight.Listed(ctx, id) })
		}
	}
}

// What has to be meant.
const (
	keyRejected   = "key_rejected"
	otherUpstream = "other_upstream" // than the events were accepted for
)

// keyRejected asks whether it is meant.
func (d *Door) keyRejected(w http.ResponseWriter, err error) { d.ask(w, err, keyRejected) }

// ask asks whether it is meant. The code is for programs, which can ask somebody.
func (d *Door) ask(w http.ResponseWriter, err error, code string) {
	body, _ := json.Marshal(map[string]string{"error": err.Error() + ` ("force": true)`, "code": code}) // a map of texts has no way to fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_, _ = w.Write(append(body, '\n'))
}

// maxManyBody is the body of a deed about [ops.MaxEvents] events, of 20 bytes each.
const maxManyBody = 512 << 10

// maxLeft is how many events are named that were left as they are.
const maxLeft = 100

type left struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

type outcome struct {
	Done      int    `json:"done"`
	Coalesced int    `json:"coalesced"`
	LeftCount int    `json:"left_count"`
	Left      []left `json:"left"`
	Error     string `json:"error,omitempty"`
}

// many does to events what an operator wants, in the order in which they were accepted.
func (d *Door) many(what ops.Verb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		by, g, ok := d.by(w, r, maxManyBody)
		if !ok {
			return
		}
		ids, err := numbers(g.IDs)
		if err != nil {
			d.fail(w, http.StatusBadRequest, err.Error())
			return
		}
		out, err := d.o.Ops.Events(r.Context(), ops.Deed{What: what, IDs: ids, By: by, Force: g.Force})
		if rejected := (*ops.RejectedKeyError)(nil); errors.As(err, &rejected) {
			d.keyRejected(w, err)
			return
		}
		if err == nil && out.Done == 0 && len(out.Left) > 0 && errors.Is(out.Left[0].Err, queue.ErrElsewhere) {
			d.ask(w, out.Left[0].Err, otherUpstream)
			return
		}
		d.outcome(w, r, what.Done(), out, err)
	}
}

// outcome answers what became of many events.
func (d *Door) outcome(w http.ResponseWriter, r *http.Request, done string, out ops.Outcome, err error) {
	if err != nil && out.Done == 0 {
		d.failed(w, r, fmt.Errorf("events were not %s: %w", done, err))
		return
	}
	answer := outcome{Done: out.Done, Coalesced: out.Coalesced, LeftCount: len(out.Left), Left: []left{}}
	for _, x := range out.Left[:min(maxLeft, len(out.Left))] {
		answer.Left = append(answer.Left, left{strconv.FormatInt(x.ID, 10), x.Err.Error()})
	}
	if err != nil {
		d.o.Log.Error("not all events were "+done, "error", err)
		answer.Error = "the queue has failed before all were " + done + "; the log says why"
	}
	d.write(r.Context(), w, answer)
}

// planned is what a replay would send.
type planned struct {
	Events     int            `json:"events"`
	Over       int            `json:"over"`
	BySeverity map[string]int `json:"by_severity"`
	ByLane     map[string]int `json:"by_lane"`
}

// replay sends delivered events of a time again, or says what it would send.
func (d *Door) replay(w http.ResponseWriter, r *http.Request) {
	by, g, ok := d.by(w, r, maxActionBody)
	if !ok {
		return
	}
	if g.Since.IsZero() || !g.Until.After(g.Since) {
		d.fail(w, http.StatusBadRequest, `{"since":"2026-03-01T14:00:00Z","until":"2026-03-01T15:00:00Z"} is expected, a time and a later one`)
		return
	}
	p := ops.Period{Since: g.Since, Until: g.Until}
	if g.Lane != "" {
		found, err := d.o.Insight.FindLanes(r.Context(), g.Lane)
		if err != nil {
			d.failed(w, r, err)
			return
		}
		p.Lane = found[0].ID
	}
	if g.Preview {
		d.preview(w, r, p)
		return
	}
	out, err := d.o.Ops.Replay(r.Context(), p, by, g.Force)
	rejected := (*ops.RejectedKeyError)(nil)
	switch {
	case errors.Is(err, ops.ErrTooMany):
		d.fail(w, http.StatusConflict, err.Error())
	case errors.As(err, &rejected):
		d.keyRejected(w, err)
	default:
		d.outcome(w, r, "replayed", out, err)
	}
}

func (d *Door) preview(w http.ResponseWriter, r *http.Request, p ops.Period) {
	plan, err := d.o.Ops.Plan(r.Context(), p)
	if errors.Is(err, ops.ErrTooMany) {
		d.fail(w, http.StatusConflict, err.Error())
		return
	}
	answer := planned{Events: len(plan.Events), Over: plan.Over, BySeverity: map[string]int{}, ByLane: map[string]int{}}
	lanes := map[int64]string{}
	for _, x := range plan.Events {
		if _, known := lanes[x.Lane]; !known && err == nil {
			lanes[x.Lane], err = d.o.Insight.LaneName(r.Context(), x.Lane)
		}
		answer.BySeverity[x.Severity.String()]++
		answer.ByLane[lanes[x.Lane]]++
	}
	if err != nil {
		d.failed(w, r, fmt.Errorf("plan a replay: %w", err))
		return
	}
	d.write(r.Context(), w, answer)
}

func numbers(texts []string) (ids []int64, err error) {
	if len(texts) == 0 || len(texts) > ops.MaxEvents {
		return nil, fmt.Errorf(`{"ids":["1"]} with up to %d numbers of events is expected`, ops.MaxEvents)
	}
	for _, text := range texts {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, errors.New("ids: numbers of events are expected, as texts")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// state names the state that was in the way.
func (d *Door) state(ctx context.Context, id int64) string {
	e, err := d.o.Insight.Listed(ctx, id)
	switch {
	case err != nil:
		return "gone"
	case e.InFlight:
		return "in flight"
	}
	return e.State
}

// hold pauses, resumes or tries a lane, in both cases of letters if there are two. The scheduler logs it.
func (d *Door) hold(what ops.LaneVerb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		by, _, ok := d.by(w, r, maxActionBody)
		if !ok {
			return
		}
		found, err := d.o.Insight.FindLanes(r.Context(), r.PathValue("lane"))
		var lanes []int64
		for _, l := range found {
			lanes = append(lanes, l.ID)
		}
		if err == nil {
			err = d.o.Ops.Lanes(r.Context(), what, lanes, by)
		}
		if err != nil {
			d.failed(w, r, err)
			return
		}
		d.lane(w, r)
	}
}
