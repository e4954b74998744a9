package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// attempt sends one event once and reports to the core how that ended.
func (r *Relay) attempt(work context.Context, e queue.Event, to opened) {
	key := to.key(&e)
	post := to.route.Post.Post
	if e.Kind == queue.Change {
		post = to.route.Post.PostChange
	}
	_, err := post(work, key, wire(key, &e, r.o.Date))
	r.ended(work, &e, to.route.Pool, lane.Answered{Err: failure(err)})
}

// ended reports to the core how an attempt has ended.
func (r *Relay) ended(work context.Context, e *queue.Event, pool string, in lane.Answered) {
	in.Lane, in.ID = e.Lane, e.ID
	if pool != "" && e.Kind == queue.Alert && (in.Err != nil || in.Second != nil && in.Second.Err != nil) {
		in.Other = r.o.Other(work, pool, *e)
	}
	r.inputs.put(in)
}

// failure returns what has failed in an attempt, nil if the event was accepted. A Poster
// promises an *eventsv2.Error; whatever else comes is worth another attempt.
func failure(err error) *eventsv2.Error {
	var failed *eventsv2.Error
	if err != nil && !errors.As(err, &failed) {
		failed = &eventsv2.Error{Err: err}
	}
	return failed
}

// key is spelled as the configuration has it, else as the event had it: PagerDuty's
// own keys are of one case, and what it does with another is not known.
func (o *opened) key(e *queue.Event) eventsv2.Key {
	if !o.route.Listed && !e.Key.IsZero() {
		return e.Key
	}
	if !o.route.Key.IsZero() {
		return o.route.Key
	}
	return o.lane.Key
}

// wire returns the bytes that PagerDuty gets. An event that stands for several says so, and
// has the highest of their severities.
func wire(key eventsv2.Key, e *queue.Event, date func(time.Time) time.Time) []byte {
	body := e.Body
	if e.Kind == queue.Alert && (e.Repeats > 0 || e.Folded.Pairs > 0) {
		if event, err := eventsv2.ParseEvent(body); err == nil { // what the door wrote can be read
			tell(&event, e, date)
			body = event.AppendJSON(nil)
		}
	}
	return key.AppendTo(make([]byte, 0, len(body)+64), body)
}

// tell puts into an event what it stands for: into its details, or if there is no room for
// any, into its summary.
func tell(event *eventsv2.Event, e *queue.Event, date func(time.Time) time.Time) {
	p := &event.Payload
	p.Severity = e.Severity.Severity()
	if e.Repeats > 0 {
		event.Tell("relay_repeats", fmt.Sprintf("%d triggers between %s and %s, this is the latest",
			e.Repeats+1, date(e.Accepted).UTC().Format(time.RFC3339), date(e.Fresh).UTC().Format(time.RFC3339)))
	}
	if e.Folded.Pairs == 0 {
		return
	}
	told := e.Folded.Dated(date)
	event.Tell(queue.FoldedName, told.String())
	if len(p.CustomDetails) > 0 || p.DetailsText != "" {
		return
	}
	was := p.Summary
	p.Summary = told.InSummary(was)
	if len(event.AppendJSON(nil)) > eventsv2.MaxEventBytes-roomForKey {
		p.Summary = was
	}
}

// roomForKey is more than the routing key takes in an encoded event.
const roomForKey = 64
