package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	maxActionBody = 16 << 10
	maxActor      = 64 // characters of a name
)

// by reads who wants something and why. A wrong request has been answered if ok
// is false.
func (d *Door) by(w http.ResponseWriter, r *http.Request) (by queue.By, ok bool) {
	who, err := actor(r)
	if err == nil {
		by, err = d.reason(w, r)
	}
	if err != nil {
		d.fail(w, http.StatusBadRequest, err.Error())
		return by, false
	}
	by.Who, by.At = d.o.Insight.Scrub(r.Context(), who), d.o.Now()
	return by, true
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

func (d *Door) reason(w http.ResponseWriter, r *http.Request) (by queue.By, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxActionBody))
	if err != nil {
		return by, errors.New(`the body is too long or did not come whole; {"why":"..."} is expected`)
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return by, nil
	}
	var given struct {
		Why string `json:"why"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil || decoder.More() {
		return by, errors.New(`the body cannot be read; {"why":"..."} is expected`)
	}
	by.Why, err = d.o.Insight.Reason(r.Context(), given.Why)
	if err != nil {
		return by, fmt.Errorf("why: %w", err)
	}
	return by, nil
}

func (d *Door) requeue(w http.ResponseWriter, r *http.Request) {
	d.act(w, r, "requeued", "a refused, expired or dropped one can be requeued", d.o.Store.Requeue)
}

func (d *Door) drop(w http.ResponseWriter, r *http.Request) {
	d.act(w, r, "dropped", "one that is not in flight and has not been delivered or dropped can be dropped", d.o.Store.Drop)
}

func (d *Door) tryEvent(w http.ResponseWriter, r *http.Request) {
	d.act(w, r, "tried", "one that is queued can be tried", d.o.Holder.TryEvent)
}

// act does to an event what an operator wants and shows the event.
func (d *Door) act(w http.ResponseWriter, r *http.Request, what, rule string, do func(context.Context, int64, queue.By) error) {
	id, ok := d.eventID(w, r)
	if !ok {
		return
	}
	by, ok := d.by(w, r)
	if !ok {
		return
	}
	err := do(r.Context(), id, by)
	if errors.Is(err, queue.ErrUnsendable) {
		d.fail(w, http.StatusConflict, err.Error())
		return
	}
	if errors.Is(err, queue.ErrState) {
		d.fail(w, http.StatusConflict, fmt.Sprintf("event %d is %s; only %s", id, d.state(r.Context(), id), rule))
		return
	}
	if err != nil {
		d.failed(w, r, fmt.Errorf("event %d was not %s: %w", id, what, err))
		return
	}
	d.o.Log.Info("an event was "+what, "event", id, "by", by.Who, "why", by.Why)
	d.o.Insight.Changed()
	// Without its body and history: a command that acts on many events would get them all.
	show(d, w, r, func(ctx context.Context) (insight.Event, error) { return d.o.Insight.Listed(ctx, id) })
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

func (d *Door) pause(w http.ResponseWriter, r *http.Request) { d.hold(w, r, d.o.Holder.Hold) }

func (d *Door) resume(w http.ResponseWriter, r *http.Request) { d.hold(w, r, d.o.Holder.Unhold) }

func (d *Door) tryLane(w http.ResponseWriter, r *http.Request) { d.hold(w, r, d.o.Holder.Try) }

// hold pauses, resumes or tries a lane, in both cases of letters if there are two. The scheduler logs it.
func (d *Door) hold(w http.ResponseWriter, r *http.Request, do func(context.Context, int64, queue.By) error) {
	by, ok := d.by(w, r)
	if !ok {
		return
	}
	found, err := d.o.Insight.FindLanes(r.Context(), r.PathValue("lane"))
	if err != nil {
		d.failed(w, r, err)
		return
	}
	for _, l := range found {
		if err := do(r.Context(), l.ID, by); err != nil {
			d.failed(w, r, fmt.Errorf("pause, resume or try a lane: %w", err))
			return
		}
	}
	d.o.Insight.Changed()
	d.lane(w, r)
}
