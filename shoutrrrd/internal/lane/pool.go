package lane

import (
	"maps"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// moveBatch is how many chains one move takes at most: it is one transaction, and an
// event that comes meanwhile waits for it.
const moveBatch = 64

// moveRest is how long a lane keeps what has moved to it, and how long it waits after a
// move that the store could not make. So no chain moves more than once in that time,
// whatever the keys of its pool meet.
const moveRest = time.Second

// pool is lanes that can send for each other, as their keys belong to one service of
// PagerDuty. A new chain, of whose incident nothing was accepted yet or may have been,
// leaves by any of them. So it moves from a lane that cannot send to one that can, and
// never to another one. Which chains are new the store knows.
type pool struct {
	name   string
	lanes  []*lane // by number
	moving *lane   // from which a move is out; there is one at a time
}

// Why new chains of a lane move.
const (
	becausePaused      = "paused by an operator"
	becauseStopped     = "its upstream is not configured"
	becauseRetiring    = "another key takes the place of its own"
	becauseDown        = "upstream unreachable"
	becauseKey         = "key rejected"
	becauseRateLimited = "rate limited"
	becauseLimit       = "at its limit"
	becauseHanging     = "attempts in flight without an answer"
	becauseFailing     = "attempts by this key fail"
)

// enroll puts a lane into a pool, and takes it out of the one in which it was; "" is none.
func (c *Core) enroll(l *lane, name string) {
	if l.pool != nil {
		if l.pool.name == name {
			return
		}
		l.pool.lanes = slices.DeleteFunc(l.pool.lanes, func(other *lane) bool { return other == l })
		if len(l.pool.lanes) == 0 {
			delete(c.pools, l.pool.name)
		}
		l.pool = nil
	}
	if name == "" {
		return
	}
	p := c.pools[name]
	if p == nil {
		p = &pool{name: name}
		c.pools[name] = p
	}
	at, _ := slices.BinarySearchFunc(p.lanes, l, func(a, b *lane) int { return int(a.stored.ID - b.stored.ID) })
	p.lanes = slices.Insert(p.lanes, at, l)
	l.pool, l.unsearched = p, [queue.Ranks]bool{true, true, true, true}
}

// stir remembers that something has happened to a lane, and so to its pool.
func (c *Core) stir(l *lane) {
	if l.pool != nil && len(l.pool.lanes) > 1 && !slices.Contains(c.stirred, l.pool) {
		c.stirred = append(c.stirred, l.pool)
	}
}

// stirPools does that for all that send to a host: lanes in which nothing waits are not
// looked at when it comes up, and can send for others from now on.
func (c *Core) stirPools(h *host) {
	for _, name := range slices.Sorted(maps.Keys(c.pools)) {
		for _, l := range c.pools[name].lanes {
			if l.host == h {
				c.stir(l)
				break
			}
		}
	}
}

// relieve looks in the pools to which something has happened for new chains that wait
// for a lane which cannot send, while another one can. It costs as much as the pools have
// lanes.
func (c *Core) relieve(now time.Time) {
	if c.failing || c.stopping {
		return
	}
	for _, p := range c.stirred {
		if p.moving == nil {
			p.relieve(c, now)
		}
		if p.moving != nil { // what is to move is not claimed
			c.unqueue(p.moving)
		}
	}
	c.stirred = c.stirred[:0]
}

// relieve begins one move: of the most severe chains, and of these from the first lane.
func (p *pool) relieve(c *Core, now time.Time) {
	none := false // no lane can take anything but what has to leave by it
	for rank := range queue.Rank(queue.Ranks) {
		for _, l := range p.lanes {
			if !l.hinted[rank] || !l.unsearched[rank] || l.gone || l.way.Stopped || c.moves[l.stored.ID] != nil {
				continue
			}
			heir := l.successor(now, rank)
			if none && heir == nil {
				continue
			}
			why, w := becauseRetiring, want{}
			if heir == nil {
				why, w = l.trouble(now, rank)
			}
			if why == "" {
				if w.n == 0 {
					c.wake(l, w.at)
				}
				continue
			}
			if rest := l.movedAt.Add(moveRest); now.Before(rest) {
				c.wake(l, rest)
				continue
			}
			to, n, at := heir, moveBatch, time.Time{}
			if heir == nil {
				to, n, at = p.able(now, l, rank, why)
			}
			if to == nil {
				c.wake(l, at)
				none = true // and for what is less severe there is none either
				continue
			}
			p.moving = l
			c.moves[l.stored.ID] = p
			c.decide(now, Move{From: l.stored.ID, To: to.stored.ID, Pool: p.name, Rank: rank, After: l.looked[rank], N: min(n, moveBatch), Retiring: heir != nil, Why: why})
			return
		}
	}
}

// successor returns the lane of the pool to which the new chains of a retiring lane move,
// also if it cannot send them now: they are to leave by its key. It is nil if the lane does
// not retire, or there is none.
func (l *lane) successor(now time.Time, rank queue.Rank) (heir *lane) {
	if !l.way.Retiring || l.way.Stopped || l.pool == nil {
		return nil
	}
	if to, _, _ := l.pool.able(now, l, rank, becauseRetiring); to != nil {
		return to
	}
	for _, other := range l.pool.lanes {
		if other != l && !other.way.Retiring && !other.way.Stopped && !other.gone && !other.lost && other.host.name == l.host.name {
			return other
		}
	}
	return nil
}

// hasToMove reports whether a retiring lane has something ready that may have to move first.
func (l *lane) hasToMove(now time.Time) bool {
	for rank := range l.hinted {
		if l.hinted[rank] && l.unsearched[rank] {
			return l.successor(now, queue.Rank(rank)) != nil
		}
	}
	return false
}

// trouble says why chains of a priority had better leave by another lane, and else how many
// this one can send, whatever waits for it already.
func (l *lane) trouble(now time.Time, rank queue.Rank) (why string, w want) {
	if why, w = l.blocked(now, rank); why == "" && l.failsAlone(now) {
		return becauseFailing, want{at: l.record.failed.Add(l.rules.window)}
	}
	return why, w
}

// blocked says why a lane cannot send an event of a priority, and else how many it can. A
// lane that has its attempts in flight is in trouble only after a while: in a burst they
// end soon.
func (l *lane) blocked(now time.Time, rank queue.Rank) (why string, w want) {
	switch {
	case l.stored.Held:
		return becausePaused, w
	case l.way.Stopped:
		return becauseStopped, w
	case l.host.down:
		return becauseDown, w
	case !l.stored.KeyRefused.IsZero() && (l.keyWaits(now) || len(l.flying) > 0 || now.Before(l.launched.Add(l.rules.rejected))):
		return becauseKey, w // else one of them tries it
	case now.Before(l.stored.PausedUntil):
		return becauseRateLimited, want{at: l.stored.PausedUntil}
	}
	bare := *l
	bare.hinted = [queue.Ranks]bool{}
	bare.hinted[rank] = true
	w = bare.next(now)
	switch hangs := l.launched.Add(patience); {
	case w.n > 0:
		return "", w
	case !w.at.IsZero():
		return becauseLimit, w
	case now.Before(hangs):
		return "", want{at: hangs}
	}
	return becauseHanging, w
}

// failsAlone reports whether what is sent by this key fails, and not what is sent by another
// one of its pool: two chains have met that, in the last minute, and another lane has had
// nothing but acceptances since. What may have been accepted stays and is tried on.
func (l *lane) failsAlone(now time.Time) bool {
	r := &l.record
	return l.pool != nil && len(r.chains) > 1 && now.Before(r.failed.Add(l.rules.window)) && slices.ContainsFunc(l.pool.lanes, func(other *lane) bool {
		return other.record.failures == 0 && other.record.accepted.After(r.since)
	})
}

// able returns the lane of the pool, other than that one, which can send most chains of a
// priority now, and how many; or when that may change by itself. Where all that is the matter is
// the other's limit, none is of use that may not send them: there they would stay.
func (p *pool) able(now time.Time, but *lane, rank queue.Rank, why string) (to *lane, n int, at time.Time) {
	for _, l := range p.lanes {
		if l == but || l.host.name != but.host.name || why == becauseLimit && l.doubtful() {
			continue
		}
		w := l.takes(now, rank)
		if w.n > n {
			to, n = l, w.n
		}
		if !w.at.IsZero() && (at.IsZero() || w.at.Before(at)) {
			at = w.at
		}
	}
	return to, n, at
}

// doubtful reports whether nothing was accepted of a lane since its last 429 or failure.
func (l *lane) doubtful() bool { return l.gentle || l.record.failures > 0 }

// takes says how many chains of a priority a lane could send beyond its own: none if as
// severe ones wait for it already.
func (l *lane) takes(now time.Time, rank queue.Rank) want {
	switch {
	case l.gone, l.lost, l.way.Retiring, l.way.Stopped, !l.stored.KeyRefused.IsZero(), slices.Contains(l.hinted[:rank+1], true):
		return want{}
	case now.Before(l.stalled):
		return want{at: l.stalled}
	}
	_, w := l.blocked(now, rank) // one that fails is better than one that cannot send
	return w
}

// moved takes the answer to a move.
func (c *Core) moved(now time.Time, in Moved) {
	p := c.moves[in.From]
	if p == nil {
		c.fault(now, "an answer to a move that was not asked for", in.From, 0)
		return
	}
	delete(c.moves, in.From)
	l := p.moving
	p.moving = nil
	if to := c.lanes[in.To]; to != nil && in.Chains > 0 {
		to.movedAt = now
		to.hint(in.Rank)
		c.look(now, to)
	}
	if l.gone {
		return
	}
	switch l.looked[in.Rank] = in.Next; {
	case in.Failed:
		l.looked[in.Rank], l.movedAt = 0, now
	case in.Next == 0: // all were looked at, but for those that have come meanwhile
		l.unsearched[in.Rank], l.cameLate[in.Rank] = l.cameLate[in.Rank], false
	}
	c.look(now, l)
}

// search says that something has become ready in a lane, which may be a new chain.
func (l *lane) search(rank queue.Rank) {
	if l.pool == nil {
		return
	}
	if l.unsearched[rank] && (l.looked[rank] != 0 || l.pool.moving == l) {
		l.cameLate[rank] = true
	}
	l.unsearched[rank] = true
}

// CanSend reports whether nothing keeps a lane from sending an event of that severity
// but others that wait for it; known is false if the core does not know the lane.
func (c *Core) CanSend(now time.Time, id int64, rank queue.Rank) (can, known bool) {
	l := c.lanes[id]
	if l == nil {
		return false, false
	}
	why, _ := l.trouble(now, rank)
	return why == "", true
}
