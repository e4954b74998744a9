package queuetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
)

// laneUse is what the model knows of a lane's use.
type laneUse struct {
	forgotten bool
	proven    bool      // PagerDuty has accepted an event of it
	event     time.Time // when its last event came, or it was made
	claimed   time.Time // when a claim of it ended last
	turn      int       // when it was last used, as a number
}

func (m *Model) touch(lane int64, change func(*laneUse)) {
	u := m.use[lane]
	change(&u)
	m.places++
	u.turn = m.places
	m.use[lane] = u
}

// makeRoomForLane forgets a lane if there are as many as there may be: of the first
// kind of which there is one, the one that has been idle for longest. It returns false
// if none can go.
func (m *Model) makeRoomForLane() bool {
	lanes, _ := m.Lanes(context.Background())
	if m.MaxLanes == 0 || len(lanes) < m.MaxLanes {
		return true
	}
	now := m.Now()
	for _, kind := range []func(l *queue.Lane, u laneUse, queued, dead int) bool{
		func(l *queue.Lane, u laneUse, queued, dead int) bool {
			return queued+dead == 0 && !l.Held && !u.proven && now.Sub(u.event) > 10*time.Second
		},
		func(l *queue.Lane, u laneUse, queued, dead int) bool {
			return queued+dead == 0 && !l.Held && u.proven && !m.isOpen(l.ID)
		},
		func(l *queue.Lane, u laneUse, queued, dead int) bool { return queued+dead == 0 && !l.Held && u.proven },
		func(l *queue.Lane, u laneUse, queued, dead int) bool {
			return queued+dead > 0 && !l.Held && !u.proven && (queued == 0 || !l.KeyRefused.IsZero()) && now.Sub(u.claimed) >= time.Second
		},
		func(l *queue.Lane, u laneUse, queued, dead int) bool { return queued+dead == 0 && !l.Held && !u.proven },
	} {
		var idle *queue.Lane
		for i := range lanes {
			l := &lanes[i]
			queued, dead, needed := m.content(l.ID)
			if !needed && kind(l, m.use[l.ID], queued, dead) && (idle == nil || m.use[l.ID].turn < m.use[idle.ID].turn) {
				idle = l
			}
		}
		if idle != nil {
			m.forget(idle.ID, now)
			return true
		}
	}
	return false
}

// content counts what is queued in a lane and its dead letters, and reports whether an
// event of it is being sent, an incident of another key is open through it, or one of its
// own through another key.
func (m *Model) content(lane int64) (queued, dead int, needed bool) {
	for _, e := range m.events {
		switch {
		case e.Lane != lane:
			continue
		case e.State.Dead():
			dead++
		case !e.State.Ended():
			queued++
		}
		_, claimed := m.claims[e.ID]
		needed = needed || claimed
	}
	needed = needed || m.lanes[lane-1].Alias != "" && m.isOpen(lane)
	for at, s := range m.opened {
		needed = needed || at.origin != s.lane && (at.origin == lane || s.lane == lane)
	}
	return queued, dead, needed
}

// queued counts what is queued in a lane.
func (m *Model) queued(lane int64) (n int) {
	for _, e := range m.events {
		if e.Lane == lane && !e.State.Ended() {
			n++
		}
	}
	return n
}

// follow has a lane be what the configuration says. A store does that when the last event of
// the lane has ended; nobody can tell the difference.
func (m *Model) follow(lane int64) {
	l := &m.lanes[lane-1]
	if c := m.Configured(l.Key); c.Upstream != "" && (l.Upstream != c.Upstream || l.Own != c.Own) || c.Alias != "" && l.Alias != c.Alias {
		l.Follow(c, m.queued(lane), m.lastID)
	}
}

// takesFrom reports whether what is queued in one lane may move to another one.
func (m *Model) takesFrom(from, to int64) bool {
	m.follow(from)
	m.follow(to)
	return m.lanes[to-1].Takes(m.lanes[from-1], m.queued(to), m.lastID)
}

// isOpen reports whether an incident is open through a lane.
func (m *Model) isOpen(lane int64) bool {
	for _, s := range m.opened {
		if s.lane == lane {
			return true
		}
	}
	return false
}

func (m *Model) forget(lane int64, now time.Time) {
	u := m.use[lane]
	u.forgotten = true
	m.use[lane] = u
	for _, e := range m.events {
		if e.Lane == lane && !e.State.Ended() {
			e.State, e.Ended, e.Reason = queue.Refused, now, "PagerDuty rejects the integration key"
		}
	}
}

// busy reports whether people should see a lane.
func busy(l *queue.Counted) bool {
	return l.Count.Total()+l.Count.Refused+l.Count.Expired > 0 || l.Lane.Held || !l.Lane.KeyRefused.IsZero()
}

// counted are all lanes.
func (m *Model) counted() []queue.Counted {
	lanes, _ := m.Lanes(context.Background())
	counts, _ := m.Counts(context.Background())
	all := make([]queue.Counted, len(lanes))
	for i := range lanes {
		all[i] = queue.Counted{Lane: lanes[i], Count: counts[i]}
	}
	return all
}

// Counted returns one lane and its count without the ages.
func (m *Model) Counted(_ context.Context, id int64) (queue.Counted, error) {
	for _, l := range m.counted() {
		if l.Lane.ID == id {
			l.Count.Oldest, l.Count.OldestCritical, l.Count.OldestOf = time.Time{}, time.Time{}, [queue.Ranks]time.Time{}
			return l, nil
		}
	}
	return queue.Counted{}, queue.ErrNotFound
}

// OpenBy counts the incidents that are open by the key of a lane, or may be, up to so many.
// One that was triggered under the names of two keys is one.
func (m *Model) OpenBy(_ context.Context, lane int64, most int) (n int, unknown bool, err error) {
	open := map[string]bool{}
	for of, s := range m.opened {
		if s.lane == lane && !s.used.IsZero() {
			open[of.dedup] = true
		}
	}
	return min(most, len(open)), false, nil
}

// Overview returns the lanes that people should see, those that are named and up to so
// many of the others, the latest used first.
func (m *Model) Overview(_ context.Context, named []int64, others int) (queue.Overview, error) {
	all := m.counted()
	idle := slices.DeleteFunc(slices.Clone(all), func(l queue.Counted) bool { return busy(&l) })
	slices.SortFunc(idle, func(a, b queue.Counted) int { return m.use[b.Lane.ID].turn - m.use[a.Lane.ID].turn })
	for _, l := range idle[:min(others, len(idle))] {
		named = append(slices.Clip(named), l.Lane.ID)
	}
	o := queue.Overview{Total: len(all)}
	for _, l := range all {
		if busy(&l) || slices.Contains(named, l.Lane.ID) {
			o.Lanes = append(o.Lanes, l)
		}
	}
	return o, nil
}

// Wrong says what is wrong with a store's overview, "" if nothing is, by going over all
// lanes and events: it has each lane that people should see, those that were named, and
// as many of the others as were asked for. Which others is left to the store: several
// may have been used in one commit.
func (m *Model) Wrong(got queue.Overview, named []int64, others int) string {
	shown := map[int64]queue.Counted{}
	last := int64(0)
	for _, l := range got.Lanes {
		if l.Lane.ID <= last {
			return fmt.Sprintf("lane %d comes behind lane %d", l.Lane.ID, last)
		}
		last = l.Lane.ID
		shown[last] = l
	}
	all := m.counted()
	idle, idleShown := 0, 0
	for _, l := range all {
		one, is := shown[l.Lane.ID]
		delete(shown, l.Lane.ID)
		if !busy(&l) {
			idle++
		}
		switch {
		case !is && (busy(&l) || slices.Contains(named, l.Lane.ID)):
			return fmt.Sprintf("lane %d is missing: %+v", l.Lane.ID, l.Count)
		case !is:
			continue
		case one.Lane.Held != l.Lane.Held || one.Lane.KeyRefused.IsZero() != l.Lane.KeyRefused.IsZero() || !one.Lane.Key.Equal(l.Lane.Key):
			return fmt.Sprintf("lane %d is %+v, the model has %+v", l.Lane.ID, one.Lane, l.Lane)
		case !busy(&l):
			idleShown++
		}
		if diff := cmp.Diff(l.Count, one.Count); diff != "" {
			return fmt.Sprintf("lane %d (-model +store):\n%s", l.Lane.ID, diff)
		}
	}
	switch least := min(others, idle); {
	case got.Total != len(all):
		return fmt.Sprintf("%d lanes, the model has %d", got.Total, len(all))
	case len(shown) > 0:
		return fmt.Sprintf("there are no such lanes: %v", shown)
	case idleShown < least || idleShown > least+len(named):
		return fmt.Sprintf("%d of %d idle lanes, want %d", idleShown, idle, least)
	}
	return ""
}
