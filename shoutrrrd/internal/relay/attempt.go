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

// attempt sends one event once and tells the core how that ended.
func (r *Relay) attempt(work context.Context, e queue.Event) {
	r.mu.Lock()
	to := r.lanes[e.Lane]
	r.mu.Unlock()
	key := to.lane.Key
	post := to.route.Post.Post
	if e.Kind == queue.Change {
		post = to.route.Post.PostChange
	}
	_, err := post(work, key, wire(key, &e))
	answered := lane.Answered{Lane: e.Lane, ID: e.ID}
	if err != nil && !errors.As(err, &answered.Err) {
		answered.Err = &eventsv2.Error{Err: err} // Post promises an *eventsv2.Error; whatever else comes is worth another attempt
	}
	if e.Pool != "" && answered.Err != nil {
		answered.Other = r.o.Other(work, e)
	}
	r.inputs.put(answered)
}

// wire returns the bytes that PagerDuty gets. An event that stands for several
// says so, and has the highest of their severities.
func wire(key eventsv2.Key, e *queue.Event) []byte {
	body := e.Body
	if e.Repeats > 0 {
		if event, err := eventsv2.ParseEvent(body); err == nil { // what the door wrote can be read
			event.Payload.Severity = e.Severity.Severity()
			event.Tell("relay_repeats", fmt.Sprintf("%d triggers between %s and %s, this is the latest",
				e.Repeats+1, e.Accepted.UTC().Format(time.RFC3339), e.Fresh.UTC().Format(time.RFC3339)))
			body = event.AppendJSON(nil)
		}
	}
	return key.AppendTo(make([]byte, 0, len(body)+64), body)
}
