package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// moved is what was moved from a lane to another one, or would be.
type moved struct {
	From        string             `json:"from"`
	To          string             `json:"to"`
	Upstream    string             `json:"upstream"`               // by which it leaves then
	Accepted    string             `json:"accepted_for,omitempty"` // another upstream, for which it was accepted
	Incidents   int                `json:"incidents"`              // dedup keys
	Changes     int                `json:"change_events"`
	Queued      insight.Severities `json:"queued"` // events
	DeadLetters int                `json:"dead_letters"`
	Stay        []stays            `json:"stay"`
	Error       string             `json:"error,omitempty"`
}

// stays are dedup keys that stay in their lane.
type stays struct {
	Incidents int    `json:"incidents"`
	Why       string `json:"why"`
}

// move moves what is in a lane to another one, or says what it would move.
func (d *Door) move(w http.ResponseWriter, r *http.Request) {
	by, g, ok := d.by(w, r, maxActionBody)
	if !ok {
		return
	}
	if g.To == "" {
		d.fail(w, http.StatusBadRequest, `{"to":"web"} is expected: the lane by which it is to leave`)
		return
	}
	found, err := d.o.Insight.FindLanes(r.Context(), r.PathValue("lane"))
	if err != nil {
		d.failed(w, r, err)
		return
	}
	to, err := d.laneTo(r.Context(), g.To)
	if err != nil {
		d.failed(w, r, err)
		return
	}
	var sum moved
	for _, from := range found { // both of a key that version 1 knew in two cases
		out, err := d.o.Ops.Move(r.Context(), ops.Moving{From: from.ID, To: to, By: by, Preview: g.Preview, Force: g.Force})
		if errors.Is(err, queue.ErrElsewhere) {
			d.ask(w, fmt.Errorf("what is in the lane was accepted for %s, and would go to %s", out.Before, out.After), otherUpstream)
			return
		}
		if err != nil && out.Chains+out.Changes+out.Dead == 0 {
			d.failed(w, r, fmt.Errorf("move what is in a lane: %w", err))
			return
		}
		sum.add(&out)
		if err != nil {
			d.o.Log.Error("not all of a lane was moved", "error", err)
			sum.Error = "the queue has failed before all was moved; the log says why"
			break
		}
	}
	if sum.From, err = d.o.Insight.LaneName(r.Context(), found[0].ID); err == nil {
		sum.To, err = d.o.Insight.LaneName(r.Context(), to)
	}
	if err != nil {
		d.failed(w, r, err)
		return
	}
	d.write(r.Context(), w, sum)
}

var errNoLaneTo = errors.New("there is no such lane to move to; GET /api/lanes lists them, a lane appears with its first event")

// laneTo finds the lane to which something is to move. That of a new key, which the
// configuration names and by which nothing has come yet, is made.
func (d *Door) laneTo(ctx context.Context, name string) (int64, error) {
	found, err := d.o.Insight.FindLanes(ctx, name)
	if err == nil {
		return found[0].ID, nil
	}
	if !errors.Is(err, insight.ErrNoLane) {
		return 0, err
	}
	l, made := d.o.Ops.Alias(ctx, name)
	switch {
	case errors.Is(made, queue.ErrNotFound):
		return 0, errNoLaneTo
	case made != nil:
		return 0, fmt.Errorf("make a lane: %w", made)
	}
	return l.ID, nil
}

func (m *moved) add(t *queue.Transferred) {
	m.Incidents, m.Changes, m.DeadLetters = m.Incidents+t.Chains, m.Changes+t.Changes, m.DeadLetters+t.Dead
	q := t.Queued
	m.Queued.Critical += q[queue.Critical]
	m.Queued.Error += q[queue.Error]
	m.Queued.Warning += q[queue.Warning]
	m.Queued.Info += q[queue.Info]
	if m.Upstream = t.After; t.Elsewhere() {
		m.Accepted = t.Before
	}
	if m.Stay == nil {
		m.Stay = []stays{}
	}
	for _, why := range slices.Sorted(maps.Keys(t.Stay)) {
		m.Stay = append(m.Stay, stays{t.Stay[why], string(why)})
	}
}
