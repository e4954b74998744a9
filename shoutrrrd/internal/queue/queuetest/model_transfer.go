package queuetest

import (
	"context"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Transfer moves what is queued in a lane, and its dead letters, to another one.
func (m *Model) Transfer(_ context.Context, t queue.Transfer) (done queue.Transferred, err error) {
	done.Stay = map[queue.Stay]int{}
	if !m.has(t.From) || !m.has(t.To) {
		return done, queue.ErrNotFound
	}
	m.follow(t.From)
	m.follow(t.To)
	from, goes := m.lanes[t.From-1], m.lanes[t.To-1]
	if t.From == t.To {
		says := m.Configured(goes.Key)
		says.Listed = true
		goes.Follow(says, 0, m.lastID)
	}
	other := from.Upstream != "" && goes.Upstream != "" && from.Upstream != goes.Upstream
	if other && !t.Elsewhere && !t.Preview {
		return done, queue.ErrElsewhere
	}
	done.Before, done.After = from.Upstream, goes.Upstream
	if !t.Preview {
		m.done[t.From] = append(m.done[t.From], queue.Entry{At: t.By.At, What: "moved", Text: t.Why + ": " + t.By.Why, Who: t.By.Who})
		m.touch(t.To, func(*laneUse) {})
	}
	if t.From == t.To {
		if !t.Preview {
			m.lanes[t.From-1] = goes
			m.lanes[t.From-1].Since = 0
		}
		for _, e := range m.events {
			if e.Lane == t.From && !e.State.Ended() {
				done.Queued[e.Severity]++
			}
		}
		return done, nil
	}
	for _, e := range slices.Clone(m.events) {
		_, claimed := m.claims[e.ID]
		switch {
		case e.Lane != t.From:
		case e.State.Dead() && e.ID <= from.Since && !t.Elsewhere && !other:
			done.Stay[queue.StayEarlier]++
		case e.State.Dead():
			if done.Dead++; !t.Preview {
				e.Lane, e.Key = t.To, eventsv2.Key{}
				m.touch(t.From, func(*laneUse) {})
			}
		case e.State.Ended():
		case e.Kind == queue.Change && claimed:
			done.Stay[queue.StayInFlight]++
		case e.Kind == queue.Change:
			done.Changes++
			if done.Queued[e.Severity]++; !t.Preview {
				m.moveChange(e, t.To)
				m.OnReady(t.To, e.Priority)
			}
		case m.chain(t.From, e.DedupKey)[0] == e:
			m.transferChain(&t, e, &done)
		}
	}
	return done, nil
}

func (m *Model) transferChain(t *queue.Transfer, head *queue.Event, done *queue.Transferred) {
	_, claimed := m.claims[head.ID]
	isNew := m.isNew(head, true)
	switch {
	case claimed:
		done.Stay[queue.StayInFlight]++
		return
	case !isNew && head.Action == eventsv2.Trigger && head.ID <= m.unsure:
		done.Stay[queue.StayUnsure]++
		return
	case !isNew:
		done.Stay[queue.StayOpen]++
		return
	case len(m.chain(t.To, head.DedupKey)) > 0:
		done.Stay[queue.StayBehind]++
		return
	}
	done.Chains++
	for _, e := range m.chain(t.From, head.DedupKey) {
		done.Queued[weight(e)]++
	}
	if t.Preview {
		return
	}
	head.State, head.Due = queue.Ready, time.Time{}
	m.touch(t.From, func(*laneUse) {})
	m.transplant(head, t.To)
	m.OnReady(t.To, head.Priority)
}
