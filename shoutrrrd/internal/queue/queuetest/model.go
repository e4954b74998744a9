// Package queuetest holds the model of the relay's queue and the suite that every
// store has to pass.
package queuetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Model is a queue in memory that is simple enough to be right: every question is
// answered by going over all events. It is not safe for concurrent use.
type Model struct {
	// OnReady is what a store calls after a commit that made an event ready.
	OnReady func(lane int64, rank queue.Rank)

	// MaxLanes bounds the lanes, as a store does for keys that the configuration does not
	// name; 0 for no bound. Now gives the time, and Date makes a date of it.
	MaxLanes int
	Now      func() time.Time
	Date     func(at time.Time) time.Time
	// Configured is what the configuration says of a key.
	Configured func(eventsv2.Key) queue.Configured

	events  []*queue.Event // chains in the order of their places
	order   map[int64]int  // an event's place in its chain: arrival, or requeue
	places  int
	lanes   []queue.Lane            // by number, from 1 on, those that are forgotten as well
	use     map[int64]laneUse       // of lanes
	done    map[int64][]queue.Entry // to lanes
	opened  map[incident]stuck
	origin  map[int64]int64 // of events, the lane of the key that their sender named
	claims  map[int64]uint64
	counts  map[int64][]queue.Acceptance // by lane: requests that PagerDuty may count, though they are no deliveries
	failing map[string]bool              // upstreams that have accepted nothing since their last failure
	token   uint64
	lastID  int64
	unsure  int64          // events up to this number may have been in flight when a process ended
	stepped map[int64]bool // events up to that number that have become heads in this process
	tried   map[int64]bool // events that PagerDuty has got, or may have, or that an operator had sent again
}

// incident is what a sender calls one: by the key that he named, and the dedup key.
type incident struct {
	origin int64
	dedup  string
}

// stuck says through which lane an incident is triggered, and when it was last.
type stuck struct {
	lane int64
	used time.Time // zero: nothing of the incident was accepted, or may have been
}

// NewModel returns an empty queue.
func NewModel() *Model {
	return &Model{
		OnReady: func(int64, queue.Rank) {},
		Now:     time.Now, Date: func(at time.Time) time.Time { return at }, Configured: func(eventsv2.Key) queue.Configured { return queue.Configured{} },
		order: map[int64]int{}, use: map[int64]laneUse{}, done: map[int64][]queue.Entry{}, opened: map[incident]stuck{}, origin: map[int64]int64{}, claims: map[int64]uint64{}, counts: map[int64][]queue.Acceptance{}, failing: map[string]bool{}, stepped: map[int64]bool{}, tried: map[int64]bool{},
	}
}

// Restart forgets what only the memory knows. Of the order in which the lanes were used
// the file has the times of their last events.
func (m *Model) Restart() {
	if len(m.claims) > 0 {
		m.Crashed()
	}
	clear(m.claims)
	clear(m.stepped)
	lanes := slices.Clone(m.lanes)
	slices.SortStableFunc(lanes, func(a, b queue.Lane) int {
		return cmp.Compare(m.use[a.ID].event.UnixMilli(), m.use[b.ID].event.UnixMilli())
	})
	for _, l := range lanes {
		m.touch(l.ID, func(*laneUse) {})
	}
}

// Crashed says that the last process did not end in order: whatever there is may have
// been in flight then.
func (m *Model) Crashed() {
	m.unsure = m.lastID
	clear(m.stepped)
}

// Shorten lets no event wait beyond then, as a store does at its start.
func (m *Model) Shorten(latest time.Time) {
	for _, e := range m.events {
		if e.State == queue.Waiting && e.Due.After(latest) {
			e.Due = latest
		}
	}
}

// Lane finds or makes a lane.
func (m *Model) Lane(_ context.Context, key eventsv2.Key) (queue.Lane, error) {
	for _, l := range m.lanes {
		if strings.EqualFold(l.Key.Reveal(), key.Reveal()) && !m.use[l.ID].forgotten {
			return l, nil
		}
	}
	if !m.makeRoomForLane() {
		return queue.Lane{}, queue.ErrFull
	}
	l := queue.Lane{ID: int64(len(m.lanes) + 1), Key: key}
	m.lanes = append(m.lanes, l)
	m.touch(l.ID, func(u *laneUse) { u.event = m.Now() })
	return l, nil
}

// Lanes returns all lanes.
func (m *Model) Lanes(context.Context) ([]queue.Lane, error) {
	for i := range m.lanes {
		m.follow(int64(i + 1))
	}
	return slices.DeleteFunc(slices.Clone(m.lanes), func(l queue.Lane) bool { return m.use[l.ID].forgotten }), nil
}

// has reports whether there is such a lane.
func (m *Model) has(id int64) bool {
	return id >= 1 && id <= int64(len(m.lanes)) && !m.use[id].forgotten
}

// LaneByID returns one lane.
func (m *Model) LaneByID(_ context.Context, id int64) (queue.Lane, error) {
	if !m.has(id) {
		return queue.Lane{}, queue.ErrNotFound
	}
	m.follow(id)
	return m.lanes[id-1], nil
}

// SaveLane keeps what the scheduler has learned.
func (m *Model) SaveLane(_ context.Context, lane queue.Lane) error {
	if !m.has(lane.ID) {
		return queue.ErrNotFound
	}
	m.touch(lane.ID, func(*laneUse) {})
	l := &m.lanes[lane.ID-1]
	l.Learned, l.Ceiling, l.Pauses, l.PausedUntil, l.KeyRefused = lane.Learned, lane.Ceiling, lane.Pauses, lane.PausedUntil, lane.KeyRefused
	return nil
}

// Hold pauses a lane in an operator's name.
func (m *Model) Hold(_ context.Context, lane int64, by queue.By) error {
	return m.hold(lane, true, "paused", by)
}

// Unhold resumes it.
func (m *Model) Unhold(_ context.Context, lane int64, by queue.By) error {
	return m.hold(lane, false, "resumed", by)
}

func (m *Model) hold(lane int64, held bool, what string, by queue.By) error {
	if !m.has(lane) {
		return queue.ErrNotFound
	}
	m.touch(lane, func(*laneUse) {})
	m.done[lane] = append(m.done[lane], queue.Entry{At: by.At, What: what, Text: by.Why, Who: by.Who})
	if !held {
		by = queue.By{}
	}
	m.lanes[lane-1].Held, m.lanes[lane-1].HeldBy = held, by
	return nil
}

// LaneHistory returns what operators did to a lane, the latest first.
func (m *Model) LaneHistory(_ context.Context, lane int64) ([]queue.Entry, error) {
	entries := slices.Clone(m.done[lane])
	slices.Reverse(entries)
	return entries[:min(len(entries), 100)], nil
}

// chain returns the undelivered events of a chain, its head first.
func (m *Model) chain(lane int64, dedup string) []*queue.Event {
	var chain []*queue.Event
	for _, e := range m.events {
		if e.Kind == queue.Alert && e.Lane == lane && e.DedupKey == dedup && !e.State.Ended() {
			chain = append(chain, e)
		}
	}
	slices.SortFunc(chain, func(a, b *queue.Event) int { return m.order[a.ID] - m.order[b.ID] })
	return chain
}

func weight(e *queue.Event) queue.Rank {
	if e.Kind == queue.Alert && e.Action != eventsv2.Trigger {
		return max(e.Severity, queue.Error)
	}
	return e.Severity
}

// settleHeads makes states and priorities what the chains say.
func (m *Model) settleHeads(lane int64, dedup string) {
	chain := m.chain(lane, dedup)
	for i, e := range chain {
		if i > 0 {
			e.State = queue.Blocked
			continue
		}
		was := e.Priority
		for _, other := range chain {
			e.Priority = min(e.Priority, weight(other))
		}
		e.Priority = weight(slices.MinFunc(chain, func(a, b *queue.Event) int { return cmp.Compare(weight(a), weight(b)) }))
		if e.State == queue.Blocked {
			e.State = queue.Ready
			m.stepped[e.ID] = true
			m.OnReady(lane, e.Priority)
		} else if e.State == queue.Ready && e.Priority < was {
			m.OnReady(lane, e.Priority)
		}
	}
}

// Put keeps an event.
func (m *Model) Put(_ context.Context, n queue.New) (queue.Placed, error) {
	lane := n.Lane
	if !m.has(lane) {
		return queue.Placed{}, queue.ErrNotFound
	}
	if n.Origin == 0 {
		n.Origin = lane
	}
	if n.Kind == queue.Alert {
		lane = m.laneOf(&n)
	}
	m.touch(lane, func(u *laneUse) { u.event = n.Accepted })
	m.follow(lane)
	if chain := m.chain(lane, n.DedupKey); n.Kind == queue.Alert && n.Action == eventsv2.Trigger && len(chain) > 0 {
		tail := chain[len(chain)-1]
		if _, claimed := m.claims[tail.ID]; !claimed && tail.Action == eventsv2.Trigger {
			tail.Body, tail.Repairs, tail.Fresh = n.Body, n.Repairs, n.Accepted
			tail.Summary, tail.Source, tail.Key = n.Summary, n.Source, m.spelled(lane, &n)
			tail.Severity = min(tail.Severity, n.Severity)
			tail.Repeats++
			m.settleHeads(lane, n.DedupKey)
			return queue.Placed{ID: tail.ID, Lane: lane, Coalesced: true}, nil
		}
		m.remember(incident{n.Origin, n.DedupKey}, stuck{lane: lane})
	}
	m.lastID++
	m.origin[m.lastID] = n.Origin
	e := &queue.Event{
		ID: m.lastID, Lane: lane, Key: m.spelled(lane, &n), Kind: n.Kind, Action: n.Action, DedupKey: n.DedupKey, State: queue.Blocked,
		Severity: n.Severity, Priority: n.Severity, Accepted: n.Accepted, Fresh: n.Accepted, Repairs: n.Repairs,
		Summary: n.Summary, Source: n.Source, Body: n.Body,
	}
	m.events = append(m.events, e)
	m.place(e)
	return queue.Placed{ID: e.ID, Lane: lane}, nil
}

// laneOf finds the lane of an event's incident, by what is known of it under all keys of
// its pool, its own first, and remembers it of a trigger.
func (m *Model) laneOf(n *queue.New) int64 {
	at, known := m.incidentOf(n)
	lane := known.lane
	if lane == 0 {
		lane = n.Lane
	}
	if n.Action == eventsv2.Trigger && at.origin != n.Origin && (len(n.Pool) > 0 || lane != n.Origin) {
		if !known.used.IsZero() {
			known.used = n.Accepted
		}
		m.remember(incident{n.Origin, n.DedupKey}, stuck{lane, known.used})
	}
	return lane
}

func (m *Model) incidentOf(n *queue.New) (incident, stuck) {
	own := incident{n.Origin, n.DedupKey}
	if s, ok := m.opened[own]; ok && m.has(s.lane) {
		return own, s
	}
	if len(n.Pool) == 0 {
		return incident{}, stuck{}
	}
	if at, s := m.through(n.Origin, n.DedupKey); s.lane != 0 {
		return at, s
	}
	chain := m.chain(n.Origin, n.DedupKey)
	if len(chain) > 0 && chain[0].Action == eventsv2.Trigger {
		return incident{}, stuck{lane: n.Origin}
	}
	for _, lane := range n.Pool {
		at := incident{lane, n.DedupKey}
		if s, ok := m.opened[at]; ok && m.has(s.lane) {
			return at, s
		}
		if at, s := m.through(lane, n.DedupKey); s.lane != 0 {
			return at, s
		}
	}
	if len(chain) > 0 && n.Action != eventsv2.Trigger {
		return incident{}, stuck{lane: n.Origin}
	}
	return incident{}, stuck{}
}

// through finds an incident by the lane through which it is triggered, the one that was
// triggered last.
func (m *Model) through(lane int64, dedup string) (at incident, found stuck) {
	for i, s := range m.opened {
		if i.dedup == dedup && s.lane == lane && m.has(lane) && (found.lane == 0 || s.used.After(found.used)) {
			at, found = i, s
		}
	}
	return at, found
}

// remember keeps through which lane an incident leaves, and what is known of it already.
func (m *Model) remember(at incident, s stuck) {
	if had, ok := m.opened[at]; ok && had.lane == s.lane && had.used.After(s.used) {
		s.used = had.used
	}
	m.opened[at] = s
}

// spelled is the key of an event if its own lane has it in another case.
func (m *Model) spelled(lane int64, n *queue.New) eventsv2.Key {
	if lane != n.Origin || n.Key.Reveal() == m.lanes[lane-1].Key.Reveal() {
		return eventsv2.Key{}
	}
	return n.Key
}

// place puts an event to the end of its chain.
func (m *Model) place(e *queue.Event) {
	m.places++
	m.order[e.ID] = m.places
	e.Priority = weight(e)
	if e.Kind == queue.Change {
		e.State = queue.Ready
		m.OnReady(e.Lane, e.Priority)
		return
	}
	e.State = queue.Blocked
	m.settleHeads(e.Lane, e.DedupKey)
}

// Claim takes ready events that nobody holds.
func (m *Model) Claim(_ context.Context, asks []queue.Ask) ([]queue.Taken, error) {
	taken := make([]queue.Taken, len(asks))
	left := mostLooked
	for i, ask := range asks {
		taken[i] = m.claim(ask, &left)
	}
	return taken, nil
}

func (m *Model) claim(ask queue.Ask, left *int) queue.Taken {
	lane, pick, n := ask.Lane, ask.Pick, ask.N
	var ready []*queue.Event
	for _, e := range m.events {
		if _, claimed := m.claims[e.ID]; e.Lane == lane && e.State == queue.Ready && !claimed && (pick != queue.OnlyCritical && pick != queue.LeastTried || e.Priority == queue.Critical) {
			ready = append(ready, e)
		}
	}
	slices.SortFunc(ready, func(a, b *queue.Event) int {
		if pick == queue.MostUrgent && a.Priority != b.Priority {
			return cmp.Compare(a.Priority, b.Priority)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	if pick == queue.LeastTried {
		ready = ready[max(0, len(ready)-queue.LeastTriedOf):]
		slices.SortStableFunc(ready, func(a, b *queue.Event) int { return cmp.Compare(a.Attempts, b.Attempts) })
	}
	taken := queue.Taken{More: len(ready) > n}
	if m.has(lane) {
		m.follow(lane)
		taken.Upstream = m.lanes[lane-1].Upstream
	}
	for _, head := range ready[:min(n, len(ready))] {
		e, merged := m.fold(head, ask.Way, left)
		taken.Merged = append(taken.Merged, merged...)
		if e == nil {
			taken.More = true
			continue
		}
		m.token++
		m.claims[e.ID] = m.token
		event := *e
		event.Claim, event.InFlight = m.token, true
		taken.Events = append(taken.Events, event)
	}
	return taken
}

// Release gives claims back.
func (m *Model) Release(events []queue.Event) {
	for _, e := range events {
		if m.claims[e.ID] == e.Claim {
			delete(m.claims, e.ID)
			m.touch(e.Lane, func(u *laneUse) { u.claimed = m.Now() })
			m.OnReady(e.Lane, e.Priority)
		}
	}
}

// Settle ends attempts.
func (m *Model) Settle(_ context.Context, settlements []queue.Settlement) ([]error, error) {
	answers := make([]error, len(settlements))
	for i, x := range settlements {
		if token, ok := m.claims[x.ID]; !ok || token != x.Claim {
			answers[i] = fmt.Errorf("event %d: %w", x.ID, queue.ErrStale)
			continue
		}
		delete(m.claims, x.ID)
		e := m.find(x.ID)
		m.touch(e.Lane, func(u *laneUse) {
			u.claimed = m.Now()
			u.proven = u.proven || x.State == queue.Delivered
		})
		if x.Upstream != "" {
			delete(m.failing, x.Upstream)
			if x.Failing {
				m.failing[x.Upstream] = true
			}
		}
		for range x.Lost() {
			m.counts[e.Lane] = append(m.counts[e.Lane], queue.Acceptance{At: x.At, Critical: e.Priority == queue.Critical})
		}
		if x.MaybeAccepted || x.State == queue.Delivered {
			m.sent(e, x)
		}
		m.tried[e.ID] = m.tried[e.ID] || x.Tried && x.MaybeAccepted
		if x.Lane != 0 && x.Lane != e.Lane && (!m.isNew(e, true) || !m.move(e, x.Lane)) {
			x.State = queue.Waiting
			x.Attempts++
		}
		e.State, e.Attempts, e.Status, e.Reason = x.State, x.Attempts, x.Status, x.Reason
		switch {
		case x.State.Ended():
			m.ended(e, x.At)
		case x.State == queue.Waiting:
			e.Due = x.Due
		default:
			m.OnReady(e.Lane, e.Priority)
		}
	}
	return answers, nil
}

// sent notes that PagerDuty has accepted an event, or may have. A resolve that was
// accepted ends the incident: what is behind it is of a new one.
func (m *Model) sent(e *queue.Event, x queue.Settlement) {
	if e.Kind == queue.Change {
		return
	}
	known := false
	for at, s := range m.opened {
		if at.dedup != e.DedupKey || s.lane != e.Lane {
			continue
		}
		known = true
		switch {
		case x.State == queue.Delivered && e.Action == eventsv2.Resolve:
			s.used = time.Time{}
		case e.Action == eventsv2.Trigger || !s.used.IsZero():
			s.used = x.At
		}
		m.opened[at] = s
	}
	if !known && e.Action == eventsv2.Trigger {
		m.opened[incident{e.Lane, e.DedupKey}] = stuck{e.Lane, x.At}
	}
}

// isNew reports whether a chain that begins with an event may leave by another lane.
func (m *Model) isNew(e *queue.Event, rejected bool) bool {
	if e.Kind != queue.Alert || e.Action != eventsv2.Trigger {
		return false
	}
	if l := m.lanes[e.Lane-1]; e.ID <= m.unsure && (!rejected || l.KeyRefused.IsZero() || l.KeyRefused.UnixMilli() >= e.Fresh.UnixMilli()) {
		return false
	}
	for at, s := range m.opened {
		if at.dedup == e.DedupKey && s.lane == e.Lane && !s.used.IsZero() {
			return false
		}
	}
	return true
}

// Move takes new chains to another lane of their pool.
func (m *Model) Move(_ context.Context, x queue.Move) (moved queue.Moved, err error) {
	var heads []*queue.Event
	for _, e := range m.events {
		if e.Lane == x.From && e.State == queue.Ready && e.Priority == x.Rank && e.ID > x.After && x.From != x.To && m.has(x.To) {
			heads = append(heads, e)
		}
	}
	slices.SortFunc(heads, func(a, b *queue.Event) int { return cmp.Compare(a.ID, b.ID) })
	for i, e := range heads {
		if i == queue.MoveLook || len(moved.Heads) == x.N {
			return moved, nil
		}
		moved.Next = e.ID
		_, claimed := m.claims[e.ID]
		change := x.Retiring && e.Kind == queue.Change && !claimed && m.takesFrom(x.From, x.To)
		if change {
			m.moveChange(e, x.To)
		}
		if change || !claimed && m.isNew(e, false) && m.move(e, x.To) {
			m.touch(x.From, func(*laneUse) {})
			moved.Heads = append(moved.Heads, e.ID)
			m.OnReady(x.To, e.Priority)
		}
	}
	moved.Next = 0
	return moved, nil
}

// move takes an event's whole chain to another lane, unless that has one of the
// same dedup key, or what is queued there goes to another upstream.
func (m *Model) move(e *queue.Event, to int64) bool {
	if !m.has(to) || !m.takesFrom(e.Lane, to) || len(m.chain(to, e.DedupKey)) > 0 {
		return false
	}
	m.transplant(e, to)
	return true
}

func (m *Model) transplant(e *queue.Event, to int64) {
	from := e.Lane
	m.remember(incident{from, e.DedupKey}, stuck{lane: to})
	for at, s := range m.opened {
		if at.dedup == e.DedupKey && s.lane == from {
			m.opened[at] = stuck{to, s.used}
		}
	}
	for _, other := range m.chain(e.Lane, e.DedupKey) {
		other.Lane, other.Key = to, eventsv2.Key{} // which is a spelling of the other lane's
	}
}

func (m *Model) moveChange(e *queue.Event, to int64) {
	e.Lane, e.Key, e.State, e.Due = to, eventsv2.Key{}, queue.Ready, time.Time{}
}

func (m *Model) ended(e *queue.Event, at time.Time) {
	e.Ended = at
	if e.State == queue.Delivered {
		m.lanes[e.Lane-1].Proven = true
	}
	if e.Kind == queue.Change {
		return
	}
	if len(m.chain(e.Lane, e.DedupKey)) == 0 {
		m.over(e)
	}
	m.settleHeads(e.Lane, e.DedupKey)
}

// over forgets an incident when the last event of its chain has ended.
func (m *Model) over(e *queue.Event) {
	resolved := e.State == queue.Delivered && e.Action == eventsv2.Resolve
	for at, s := range m.opened {
		if at.dedup == e.DedupKey && s.lane == e.Lane && (resolved || s.used.IsZero()) {
			delete(m.opened, at)
		}
	}
}

func (m *Model) find(id int64) *queue.Event {
	for _, e := range m.events {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// Wake makes due events ready.
func (m *Model) Wake(_ context.Context, now time.Time, n int) (next time.Time, err error) {
	if n <= 0 {
		n = 500
	}
	waiting := slices.DeleteFunc(slices.Clone(m.events), func(e *queue.Event) bool { return e.State != queue.Waiting })
	slices.SortStableFunc(waiting, func(a, b *queue.Event) int { return a.Due.Compare(b.Due) })
	for _, e := range waiting {
		if e.Due.After(now) || n == 0 {
			return e.Due, nil
		}
		n--
		e.State = queue.Ready
		m.OnReady(e.Lane, e.Priority)
	}
	return time.Time{}, nil
}

// Hasten makes waiting events of these lanes ready, the most severe first.
func (m *Model) Hasten(_ context.Context, lanes []int64, n int) (more bool, err error) {
	if n <= 0 {
		n = 500
	}
	waiting := slices.DeleteFunc(slices.Clone(m.events), func(e *queue.Event) bool {
		return e.State != queue.Waiting || !slices.Contains(lanes, e.Lane)
	})
	slices.SortStableFunc(waiting, func(a, b *queue.Event) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
	for _, e := range waiting[:min(n, len(waiting))] {
		m.hasten(e)
	}
	return len(waiting) > n, nil
}

// TryEvent makes an event that waits due at once, or the head of its chain, and returns
// which of them it is.
func (m *Model) TryEvent(_ context.Context, id int64, _ queue.By) (head int64, err error) {
	e := m.find(id)
	switch {
	case e == nil:
		return 0, queue.ErrNotFound
	case e.State.Ended():
		return 0, queue.ErrState
	case e.State == queue.Blocked:
		e = m.chain(e.Lane, e.DedupKey)[0]
	}
	m.hasten(e)
	return e.ID, nil
}

// TryLane makes all that waits in a lane due at once.
func (m *Model) TryLane(_ context.Context, lane int64, by queue.By) (n int, err error) {
	if !m.has(lane) {
		return 0, queue.ErrNotFound
	}
	m.touch(lane, func(*laneUse) {})
	m.done[lane] = append(m.done[lane], queue.Entry{At: by.At, What: "tried", Text: by.Why, Who: by.Who})
	for _, e := range m.events {
		if e.Lane == lane && e.State == queue.Waiting {
			m.hasten(e)
			n++
		}
	}
	return n, nil
}

func (m *Model) hasten(e *queue.Event) {
	if e.State == queue.Waiting {
		e.State = queue.Ready
		m.OnReady(e.Lane, e.Priority)
	}
}

// Drop gives an event up.
func (m *Model) Drop(_ context.Context, id int64, by queue.By) error {
	e := m.find(id)
	_, claimed := m.claims[id]
	switch {
	case e == nil:
		return queue.ErrNotFound
	case claimed, e.State.Ended() && !e.State.Dead():
		return queue.ErrState
	}
	head := e.State == queue.Ready || e.State == queue.Waiting
	live := !e.State.Ended()
	e.State, e.Ended = queue.Dropped, by.At
	if head && e.Kind == queue.Alert && len(m.chain(e.Lane, e.DedupKey)) == 0 {
		m.over(e)
	}
	if live && e.Kind == queue.Alert {
		m.settleHeads(e.Lane, e.DedupKey)
	}
	return nil
}

// Failing returns the upstreams that have accepted nothing since their last failure.
func (m *Model) Failing(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(m.failing)), nil
}

// Recent returns when events were, or may have been, accepted by PagerDuty, by lane.
func (m *Model) Recent(_ context.Context, since time.Time) (map[int64][]queue.Acceptance, error) {
	times := map[int64][]queue.Acceptance{}
	for _, e := range m.events {
		if e.State == queue.Delivered && !e.Ended.Before(since) {
			times[e.Lane] = append(times[e.Lane], queue.Acceptance{At: e.Ended, Critical: e.Priority == queue.Critical})
		}
	}
	for lane, counts := range m.counts {
		for _, a := range counts {
			if !a.At.Before(since) {
				times[lane] = append(times[lane], a)
			}
		}
	}
	for _, of := range times {
		slices.SortStableFunc(of, func(a, b queue.Acceptance) int {
			switch {
			case !a.At.Equal(b.At), a.Critical == b.Critical:
				return a.At.Compare(b.At)
			case a.Critical:
				return -1
			}
			return 1
		})
	}
	return times, nil
}

// Purge deletes old delivered and dropped events.
func (m *Model) Purge(_ context.Context, before, unheard time.Time, n int) (deleted int, err error) {
	m.events = slices.DeleteFunc(m.events, func(e *queue.Event) bool {
		gone := (e.State == queue.Delivered || e.State == queue.Dropped) && e.Ended.Before(before) && deleted < n
		if gone {
			deleted++
		}
		return gone
	})
	for at, s := range m.opened { // the zero time is before any
		if s.used.Before(unheard) && len(m.chain(s.lane, at.dedup)) == 0 {
			delete(m.opened, at)
		}
	}
	return deleted, nil
}

// All returns every event, by number.
func (m *Model) All() []queue.Event {
	all := make([]queue.Event, len(m.events))
	for i, e := range m.events {
		all[i] = *e
		_, all[i].InFlight = m.claims[e.ID]
	}
	slices.SortFunc(all, func(a, b queue.Event) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Counts counts by going over all events.
func (m *Model) Counts(context.Context) ([]queue.Count, error) {
	counts := make([]queue.Count, len(m.lanes))
	for i := range counts {
		counts[i].Lane = m.lanes[i].ID
	}
	type place struct {
		lane     int64
		priority queue.Rank
	}
	first := map[place]*queue.Event{} // the ready head with the smallest number
	for _, e := range m.events {
		c := &counts[e.Lane-1]
		switch e.State {
		case queue.Delivered:
			c.Delivered++
		case queue.Refused:
			c.Refused++
		case queue.Expired:
			c.Expired++
		case queue.Dropped:
		default:
			c.Waiting[e.Severity]++
			at := place{e.Lane, e.Priority}
			if f := first[at]; e.State == queue.Ready && (f == nil || e.ID < f.ID) {
				first[at] = e
			}
			if e.State == queue.Waiting {
				countAge(c, e)
			}
		}
	}
	for _, e := range first {
		countAge(&counts[e.Lane-1], e)
	}
	return slices.DeleteFunc(counts, func(c queue.Count) bool { return m.use[c.Lane].forgotten }), nil
}

func countAge(c *queue.Count, head *queue.Event) {
	ages := []*time.Time{&c.Oldest, &c.OldestOf[head.Priority]}
	if head.Priority == queue.Critical {
		ages = append(ages, &c.OldestCritical)
	}
	for _, age := range ages {
		if age.IsZero() || head.Accepted.Before(*age) {
			*age = head.Accepted
		}
	}
}

// Totals counts without the ages.
func (m *Model) Totals(ctx context.Context) ([]queue.Count, error) {
	counts, err := m.Counts(ctx)
	for i := range counts {
		counts[i].Oldest, counts[i].OldestCritical, counts[i].OldestOf = time.Time{}, time.Time{}, [queue.Ranks]time.Time{}
	}
	return counts, err
}

// Groups groups the dead events by going over all events.
func (m *Model) Groups(context.Context) ([]queue.Group, error) {
	var groups []queue.Group
	for _, e := range m.All() {
		if !e.State.Dead() {
			continue
		}
		i := slices.IndexFunc(groups, func(g queue.Group) bool { return belongs(&e, g) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, queue.Group{Lane: e.Lane, State: e.State, Status: e.Status, Reason: e.Reason, Oldest: e.Accepted})
		}
		g := &groups[i]
		g.Count++
		g.Latest = e.ID
		if e.Severity == queue.Critical {
			g.Critical++
		}
		if e.Accepted.Before(g.Oldest) {
			g.Oldest = e.Accepted
		}
	}
	slices.SortFunc(groups, func(a, b queue.Group) int { return cmp.Or(b.Count-a.Count, int(b.Latest-a.Latest)) })
	return groups, nil
}

func belongs(e *queue.Event, g queue.Group) bool {
	return e.Lane == g.Lane && e.State == g.State && e.Status == g.Status && e.Reason == g.Reason
}

// Members lists the events of a group by going over all events.
func (m *Model) Members(_ context.Context, g queue.Group, n int) ([]int64, error) {
	var ids []int64
	for _, e := range m.All() {
		if belongs(&e, g) && e.ID <= g.Latest && len(ids) < n {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}
