package relay_test

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// late looks whether a critical event has left within a second, and if not, whether it
// had a reason of its own to wait.
func (j *judge) late(r *record, kept time.Time) {
	w := j.w
	w.mu.Lock()
	l := w.life
	unsent := r.tries == 0 && !r.ended && r.kept.Equal(kept)
	j.reached["critical"]++
	w.mu.Unlock()
	if !unsent || l == nil {
		return
	}
	row, err := l.store.inner.LaneByID(context.Background(), r.lane)
	statuses := l.relay.Statuses()
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.tries > 0 || r.ended || w.life != l || err != nil {
		return
	}
	if why := j.excuse(r, row, l, kept); why != "" {
		j.reached["critical had to wait: "+why]++
		return
	}
	lane := j.lane(r.lane)
	w.fail("critical event %d of %s has not left within 1 s of being accepted, and its lane has no reason to wait: %d attempts in the last minute, %d of them critical, %d critical events arrived, %d in flight; the life began %s ago; %+v; %s; the relay says %+v",
		r.id, r.chain.service, len(recent(lane.ends)), len(recent(lane.criticals)), len(lane.arrivals), lane.flying, time.Since(l.began), row, j.story(j.chain(r.chain)), statuses)
}

// wakes is how long it takes after a suspend until all leaves that has become due meanwhile:
// the relay looks for that every five seconds.
const wakes = 10 * time.Second

// mostInPool is how long a new critical event of a pool waits while another key of the
// pool could send it.
const mostInPool = 2 * time.Second

// idleSister looks whether a critical event of a pool waits for its lane although another one
// has had nothing to do for as long as that. It looks again until the event has left, less
// and less often: in an outage hundreds wait for an hour.
func (j *judge) idleSister(r *record, again time.Duration) {
	w := j.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.ended || len(r.takes) > 0 || w.quiet {
		return
	}
	time.AfterFunc(again, func() { j.idleSister(r, min(2*again, time.Minute)) })
	l, since := w.life, time.Now().Add(-mostInPool)
	if l == nil || !j.isNew(r) || r.kept.After(since) || r.movedAt.After(since) || r.answered.After(since) || j.reloaded.After(since) { // which may have brought the other lane
		return
	}
	s := l.settings.Load()
	mine, err := l.store.inner.LaneByID(context.Background(), r.lane)
	if err != nil {
		return
	}
	own := s.Lookup(mine.Key) // which has not sent anything yet, where its lane was made for what moves there
	for id, sister := range j.lanes {
		if id == r.lane || own.Pool == "" || sister.key < 0 || sister.key >= len(services) || s.Lookup(w.keys[sister.key]).Pool != own.Pool || s.Lookup(w.keys[sister.key]).Retiring {
			continue
		}
		row, err := l.store.inner.LaneByID(context.Background(), id)
		why := j.excuseOf(row, l, since)
		if mine.Upstream != row.Upstream {
			why = "it was accepted for another upstream"
		}
		if j.host(s.Lookup(w.keys[sister.key]).Upstream).down { // single probes are all that it gets
			why = "upstream down"
		}
		for _, other := range j.records {
			if why == "" && other.lane == id && !other.ended && (other.severity == queue.Critical || other.chain == r.chain) {
				why = "it has a critical event of its own"
			}
		}
		its, _ := l.relay.Status(r.lane)
		if its.Condition == lane.AtLimit && (sister.trouble.After(sister.accepted) || sister.limited.After(sister.accepted)) { // where it would stay
			why = "nothing was accepted by it since its last failure"
		}
		if why != "" || err != nil {
			j.reached["a pool's event had to wait: "+why]++
			continue
		}
		w.fail("critical event %d of %v waits for lane %d for over %s, and nothing keeps lane %d of its pool from sending it: %+v; %s; the relay says of its own lane %+v", r.id, r.chain, r.lane, mostInPool, id, row, j.story(j.chain(r.chain)), its)
	}
}

// isNew reports whether an event begins its chain, and PagerDuty can have nothing of the
// incident.
func (j *judge) isNew(r *record) bool {
	if j.chain(r.chain).spoiled {
		return false
	}
	for _, other := range j.chain(r.chain).records {
		if other.maybe || len(other.takes) > 0 || !other.ended && other.place < r.place {
			return false
		}
	}
	return !r.flying
}

// excuse says why a critical event may wait longer than a second: only for reasons of
// its own lane, its own host and its own machine.
func (j *judge) excuse(r *record, row queue.Lane, l *life, kept time.Time) string {
	switch {
	case r.moved:
		return "moved"
	case j.chain(r.chain).spoiled:
		return "damage"
	case j.w.o.severe && !l.settings.Load().Lookup(row.Key).Listed:
		return "a key that is not listed, among many"
	}
	return j.excuseOf(row, l, kept)
}

// excuseOf says why a lane may have kept a critical event waiting since then.
func (j *judge) excuseOf(row queue.Lane, l *life, kept time.Time) string {
	route := l.settings.Load().Lookup(row.Key)
	upstream := route.Upstream
	lane, host := j.lane(row.ID), j.host(upstream)
	rate := route.Start
	if row.Learned > 0 {
		rate = min(row.Learned, route.Rate)
	}
	rate = min(rate, j.limitOf(lane.key))
	if j.w.o.limit > 0 {
		rate = min(rate, j.w.o.limit)
	}
	reserve, abreast := max(1, rate/10), max(1, min(8, rate/10))
	used, critical := len(recent(lane.ends))+lane.flying, len(recent(lane.criticals))+lane.flyingCritical
	switch {
	case row.Upstream != upstream, j.directed(lane.key).After(kept.Add(-time.Second)):
		return "its upstream is not configured"
	case j.woke.Add(wakes).After(kept): // timers stood still
		return "a suspended machine"
	case l.began.After(kept), l.blind && l.began.Add(61*time.Second).After(kept):
		return "a new process"
	case j.w.disk.troubled(kept.Add(-2500 * time.Millisecond)):
		return "disk"
	case row.Held, lane.resumed.After(kept):
		return "paused"
	case j.w.up.moods[upstream] != "", host.troubled.Add(45 * time.Second).After(kept):
		return "host"
	case host.changed.Add(5 * time.Second).After(kept), host.paced.Add(11 * time.Second).After(kept): // it gets more each second again
		return "pace"
	case !row.KeyRefused.IsZero(), lane.rejected.After(kept), !lane.rejected.IsZero() && lane.accepted.Equal(time.Now()): // it may have been taken again just now
		return "rejected key"
	case j.w.now().Before(row.PausedUntil), row.Pauses > 0, lane.limited.Add(5 * time.Second).After(kept):
		return "rate limited"
	case used >= rate-reserve && critical >= reserve, len(recent(lane.arrivals)) > reserve:
		return "window"
	case rate == 1 && used > 0: // nothing is reserved of one
		return "window"
	case j.w.up.account > 0 || host.account: // then no info may leave before it, see overtakes
		return "account"
	case lane.flying >= abreast+2 || rate == 1 && lane.flying > 0:
		return "in flight"
	}
	return ""
}

// directed is when the configuration has last named another upstream for a key.
func (j *judge) directed(key int) time.Time {
	if l := j.limits[key]; l != nil {
		return l.directed
	}
	return time.Time{}
}

func (j *judge) limitOf(key int) int {
	if l := j.limits[key]; l != nil {
		if !l.changed.IsZero() && time.Since(l.changed) <= time.Minute+time.Second {
			return min(l.now, l.before)
		}
		return l.now
	}
	return cmp.Or(j.w.o.limit, 300)
}

// isBlocked reports whether an event of the same chain has to leave first: one that was
// requeued has its old place.
func (j *judge) isBlocked(x *record) bool {
	return slices.ContainsFunc(j.chain(x.chain).records, func(other *record) bool { return !other.ended && other.place < x.place })
}

// passedBy looks whether a critical event whose attempts have failed waits while less
// severe ones of its lane are accepted.
func (j *judge) passedBy(by *record, host string) {
	if h := j.host(host); by.severity < queue.Warning || j.w.up.moods[host] != "" || h.down || time.Since(h.troubled) < 2*time.Minute || j.isFull(by.lane) {
		return
	}
	for _, x := range j.waits {
		if x.lane != by.lane || x.ended || x.flying || x.failed == nil || x.answered.Before(j.w.life.began) || j.chain(x.chain).spoiled || j.isBlocked(x) {
			continue
		}
		x.passed++
		if time.Since(x.answered) > 5*time.Minute && x.passed >= 5 {
			answered := x.answered
			time.AfterFunc(2*time.Second, func() { j.stillWaits(x, answered, by) })
		}
	}
}

// stillWaits is the end of that: a burst, as after a long pause of the lane, fills the window
// within a second, and that it does shows only then.
func (j *judge) stillWaits(x *record, answered time.Time, by *record) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	if x.ended || x.flying || x.lane != by.lane || !x.answered.Equal(answered) || j.w.life == nil || answered.Before(j.w.life.began) || j.isFull(x.lane) {
		return
	}
	j.w.fail("critical event %d failed %s ago with %v and waits, while %d less severe events of its lane were accepted, the last one %d", x.id, time.Since(answered), x.failed, x.passed, by.id)
}

// isFull reports whether the window of a lane is the bound, as after a long outage: every
// tenth slot is the oldest event's.
func (j *judge) isFull(id int64) bool {
	l := j.lane(id)
	limit := j.limitOf(l.key)
	if s, ok := j.w.life.relay.Status(id); ok {
		limit = min(limit, s.Learned) // from 429s
	}
	return len(recent(l.ends))+l.flying >= limit*3/4
}
