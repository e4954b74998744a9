package lane

import (
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	// failuresToOpen network failures in a row, without any answer between them,
	// say that it is the host or the way to it and not one connection.
	failuresToOpen = 3

	firstProbe = time.Second
	maxProbe   = 30 * time.Second
)

// host is what lanes send to, with its breaker. sony/gobreaker would do this with
// a clock and locks of its own, which a pure core cannot have.
type host struct {
	name    string
	lanes   []*lane
	fails   int // in a row
	down    bool
	probes  int // that failed in a row
	probeAt time.Time
	probing *lane
	alarm   time.Time
}

// giveUpProbe says that the lane had nothing to probe with.
func (h *host) giveUpProbe(l *lane) {
	if h.probing == l {
		h.probing = nil
	}
}

// unreached takes a failure to reach the host. Answers to attempts that were
// already on their way when it went down say nothing new.
func (c *Core) unreached(now time.Time, l *lane, f flight, hard bool, why string) {
	h := f.host
	h.fails++
	switch {
	case !h.down && (hard || h.fails >= failuresToOpen):
		h.down, h.probes = true, 1
		h.probeAt = now.Add(c.spread(firstProbe))
		c.decide(Tell{Host: h.name, What: HostDown, Why: why, Till: h.probeAt})
	case h.down && f.trial && h.probing == l:
		h.probes++
		h.probeAt = now.Add(c.spread(double(firstProbe, maxProbe, h.probes)))
	default:
		return
	}
	h.giveUpProbe(l)
	c.wakeHost(h, h.probeAt)
}

// reached takes any answer of the host's.
func (c *Core) reached(now time.Time, h *host) {
	h.fails = 0
	if !h.down {
		return
	}
	h.down, h.probes, h.probing, h.alarm = false, 0, nil, time.Time{}
	c.decide(Tell{Host: h.name, What: HostUp})
	for _, l := range h.lanes {
		c.fill(now, l)
	}
}

// probe sends one event to a host that is down, the gravest there is, if it is
// time for that.
func (c *Core) probe(now time.Time, h *host) {
	if !h.down || h.probing != nil || c.failing || c.stopping {
		return
	}
	if now.Before(h.probeAt) {
		c.wakeHost(h, h.probeAt)
		return
	}
	var best *lane
	var bestPick queue.Pick
	for _, l := range h.lanes {
		if l.kept.Held || l.claiming || !l.hints() || best != nil && l.gravest() >= best.gravest() {
			continue
		}
		pick, n, at := l.next(now)
		if n == 0 {
			c.wake(l, at)
			continue
		}
		best, bestPick = l, pick
	}
	if best == nil {
		return
	}
	h.probing = best
	c.claim(best, bestPick, 1)
}

// gravest is the most urgent rank that may be ready in the lane.
func (l *lane) gravest() int { return slices.Index(l.hinted[:], true) }
