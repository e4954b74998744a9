package queuetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Requeue sends events once more that have ended, in the order of their numbers.
func (m *Model) Requeue(_ context.Context, a queue.Again) (answers []queue.Requeued, err error) {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(a.IDs))) {
		answers = append(answers, m.requeue(id, &a))
	}
	return answers, nil
}

func (m *Model) requeue(id int64, a *queue.Again) queue.Requeued {
	e := m.find(id)
	switch {
	case e == nil:
		return queue.Requeued{ID: id, Err: queue.ErrNotFound}
	case !e.State.Dead() && e.State != queue.Dropped && (!a.Delivered || e.State != queue.Delivered), !m.has(e.Lane):
		return queue.Requeued{ID: id, Err: queue.ErrState}
	}
	n := queue.New{Lane: e.Lane, Origin: m.origin[id], Pool: a.PoolOf(m.origin[id]), Action: e.Action, DedupKey: e.DedupKey}
	if n.Pool == nil {
		n.Pool = a.PoolOf(e.Lane)
	}
	if heir := a.Heirs[e.Lane]; m.has(heir) && (e.Kind == queue.Change || e.Action == eventsv2.Trigger) {
		n.Lane = heir
	}
	known := stuck{}
	if e.Kind == queue.Alert {
		if _, known = m.incidentOf(&n); known.lane != 0 {
			n.Lane = known.lane
		}
		if m.outdated(e, &n) {
			return queue.Requeued{ID: id, Err: queue.ErrOutdated}
		}
	}
	m.follow(e.Lane)
	m.follow(n.Lane)
	if was, to := m.lanes[e.Lane-1], m.lanes[n.Lane-1]; !a.Elsewhere && (id <= was.Since || was.Upstream != "" && to.Upstream != "" && was.Upstream != to.Upstream) {
		return queue.Requeued{ID: id, Err: queue.ErrElsewhere}
	}
	answer := queue.Requeued{ID: id, Lane: n.Lane}
	if a.Preview {
		return answer
	}
	chain := m.chain(n.Lane, e.DedupKey)
	at := m.placeIn(chain, id)
	for _, beside := range []int{at - 1, at} {
		if e.Kind == queue.Alert && e.Action == eventsv2.Trigger && beside >= 0 && beside < len(chain) && m.takes(chain[beside]) && earlier(e, chain[beside]).Repeats == 0 {
			answer.Into, answer.Coalesced = chain[beside].ID, true
			m.coalesceAgain(e, chain[beside], a.By.At)
			return answer
		}
	}
	if e.State == queue.Delivered && a.By.At.Sub(e.Ended) < time.Minute {
		m.counts[e.Lane] = append(m.counts[e.Lane], queue.Acceptance{At: e.Ended, Critical: e.Priority == queue.Critical})
	}
	m.touch(e.Lane, func(*laneUse) {})
	if e.Kind == queue.Alert && e.Action == eventsv2.Trigger {
		if !known.used.IsZero() {
			known.used = a.By.At
		}
		m.remember(incident{n.Origin, e.DedupKey}, stuck{n.Lane, known.used})
	}
	if e.Lane != n.Lane {
		e.Lane, e.Key = n.Lane, eventsv2.Key{}
	}
	m.tried[id] = true
	if len(chain) > 0 && at == 0 && chain[0].ID <= m.unsure && !m.stepped[chain[0].ID] { // it may have been in flight
		m.tried[chain[0].ID] = true
	}
	defer func() { delete(m.stepped, id) }()
	e.Attempts, e.Fresh, e.Ended, e.Due, e.State = 0, a.By.At, time.Time{}, time.Time{}, queue.Blocked
	m.place(e)
	if e.Kind == queue.Change {
		return answer
	}
	for _, other := range slices.Insert(chain, at, e) { // the order within the chain, anew
		m.places++
		m.order[other.ID] = m.places
		if other.State == queue.Waiting && other != chain[0] || other.State == queue.Ready && at == 0 && other != e {
			other.State, other.Due = queue.Blocked, time.Time{}
		}
	}
	m.settleHeads(e.Lane, e.DedupKey)
	return answer
}

// outdated reports whether something later was delivered, or is being sent, that says
// otherwise.
func (m *Model) outdated(e *queue.Event, n *queue.New) bool {
	of := append([]int64{e.Lane, n.Lane, n.Origin}, n.Pool...)
	for _, other := range m.events {
		_, claimed := m.claims[other.ID]
		if other.ID > e.ID && other.Kind == queue.Alert && other.DedupKey == e.DedupKey && string(other.Action) == queue.OutdatedBy(string(e.Action)) &&
			(claimed || other.State == queue.Delivered) && (slices.Contains(of, other.Lane) || slices.Contains(of, m.origin[other.ID])) {
			return true
		}
	}
	return false
}

// placeIn finds the place of an event in a chain. What is being sent keeps its own.
func (m *Model) placeIn(chain []*queue.Event, id int64) int {
	if len(chain) == 0 {
		return 0
	}
	if _, claimed := m.claims[chain[0].ID]; !claimed && chain[0].ID > id {
		return 0
	}
	at := len(chain)
	for at > 1 && chain[at-1].ID > id {
		at--
	}
	return at
}

// takes reports whether a trigger can go into an event.
func (m *Model) takes(e *queue.Event) bool {
	_, claimed := m.claims[e.ID]
	return !claimed && e.Action == eventsv2.Trigger
}

func (m *Model) coalesceAgain(e, into *queue.Event, now time.Time) {
	if e.State == queue.Delivered && now.Sub(e.Ended) < time.Minute {
		m.counts[e.Lane] = append(m.counts[e.Lane], queue.Acceptance{At: e.Ended, Critical: e.Priority == queue.Critical})
	}
	if e.ID > into.ID {
		into.Body, into.Repairs, into.Summary, into.Source, into.Key = e.Body, e.Repairs, e.Summary, e.Source, eventsv2.Key{}
	}
	if e.Accepted.Before(into.Accepted) {
		into.Accepted = e.Accepted
	}
	into.Severity, into.Fresh = min(into.Severity, e.Severity), now
	into.Repeats += 1 + e.Repeats
	into.Folded.Add(e.Folded)
	e.State, e.Ended = queue.Dropped, now
	m.touch(e.Lane, func(*laneUse) {})
	m.settleHeads(into.Lane, into.DedupKey)
}

// RequeueOne sends one event once more.
func RequeueOne(ctx context.Context, s interface {
	Requeue(ctx context.Context, a queue.Again) ([]queue.Requeued, error)
}, id int64, by queue.By,
) error {
	answers, err := s.Requeue(ctx, queue.Again{IDs: []int64{id}, By: by})
	switch {
	case err != nil:
		return err
	case len(answers) != 1:
		return fmt.Errorf("%d answers for one event", len(answers))
	}
	return answers[0].Err
}

// earlier is the one with the smaller number. Where others have gone into it, nobody knows
// which of the two payloads came later.
func earlier(a, b *queue.Event) *queue.Event {
	if a.ID < b.ID {
		return a
	}
	return b
}
