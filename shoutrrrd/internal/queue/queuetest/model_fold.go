package queuetest

import (
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// mostLooked is at how many events of chains one claim looks, to fold them.
const mostLooked = 500

// fold folds the chain of a head that is to be claimed. It returns what leaves in its
// place, nil if the chain is not handed out in this claim.
func (m *Model) fold(head *queue.Event, way queue.WhileWaiting, left *int) (*queue.Event, []queue.Merged) {
	now := m.Now().Truncate(time.Millisecond) // as a file keeps it
	chain := m.chain(head.Lane, head.DedupKey)
	if way == queue.SendAll || head.Kind != queue.Alert || head.Action != eventsv2.Trigger || len(chain) < 2 || now.Sub(head.Accepted) < queue.FoldAfter || m.mayBeOpen(head) {
		return head, nil
	}
	n := min(len(chain), mostLooked)
	if n > *left {
		m.OnReady(head.Lane, head.Priority)
		return nil, nil
	}
	*left -= n
	more := len(chain) > n
	chain = chain[:n]
	links := make([]queue.Link, n)
	for i, e := range chain {
		links[i] = queue.Link{Action: e.Action, Stays: m.tried[e.ID]}
	}
	plan, folds := queue.PlanFold(links, way, more)
	if !folds {
		return head, nil
	}
	told := plan.Told(func(i int) time.Time { return chain[i].Accepted }, func(i int) queue.Folded { return chain[i].Folded })
	most := queue.Info
	for i, e := range chain {
		if e.Action == eventsv2.Trigger && (i == plan.Teller || slices.Contains(plan.Folded, i)) {
			most = min(most, e.Severity)
		}
	}
	merged := queue.Merged{Lane: head.Lane, DedupKey: head.DedupKey, Pairs: told.Pairs, Note: plan.Note}
	var teller *queue.Event
	if plan.Note {
		teller = m.note(chain[plan.Pairs[len(plan.Pairs)-1].Opened], head.Lane, &told, most, now)
	} else {
		teller = chain[plan.Teller]
		teller.Severity = most
	}
	teller.Folded = told
	merged.Teller = teller.ID
	for _, i := range plan.Folded {
		e := chain[i]
		merged.Events = append(merged.Events, e.ID)
		e.State, e.Ended, e.Reason = queue.Dropped, now, queue.ToldByReason(teller.ID)
		m.touch(e.Lane, func(*laneUse) {})
	}
	first := m.chain(head.Lane, head.DedupKey)[0]
	if first.ID <= m.unsure && first != head {
		m.stepped[first.ID] = true
	}
	m.settleHeads(head.Lane, head.DedupKey)
	m.OnReady(first.Lane, first.Priority)
	if plan.Note || more {
		return nil, []queue.Merged{merged}
	}
	return teller, []queue.Merged{merged}
}

// mayBeOpen reports whether PagerDuty has the incident of a head open, or may have, or the
// head itself.
func (m *Model) mayBeOpen(head *queue.Event) bool {
	if head.ID <= m.unsure && !m.stepped[head.ID] {
		return true
	}
	for at, s := range m.opened {
		if at.dedup == head.DedupKey && s.lane == head.Lane && !s.used.IsZero() {
			return true
		}
	}
	return false
}

// note makes the change event that tells of folded pairs.
func (m *Model) note(of *queue.Event, lane int64, told *queue.Folded, most queue.Rank, now time.Time) *queue.Event {
	m.lastID++
	m.origin[m.lastID] = lane
	e := &queue.Event{
		ID: m.lastID, Lane: lane, Key: of.Key, Kind: queue.Change, Severity: queue.Info, Accepted: now, Fresh: now, Source: of.Source,
	}
	dated := told.Dated(m.Date)
	e.Summary, e.Body = of.Note(&dated, most, m.Date(now))
	m.events = append(m.events, e)
	m.place(e)
	return e
}
