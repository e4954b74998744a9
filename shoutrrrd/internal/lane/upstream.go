package lane

import (
	"container/list"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	firstProbe = time.Second
	maxProbe   = 30 * time.Second
)

// host is what lanes send to, with its breaker. sony/gobreaker would do this with
// a clock and locks of its own, which a pure core cannot have.
//
// The breaker opens when attempts of two different chains have failed in a row: what
// one chain alone meets, its own body may have caused, and it waits alone. While it is
// open, single events go out as probes, and never the same one twice while others
// wait: one that has failed waits. Ordinary probes go out at growing intervals, and every
// second one is of the lane that has waited longest. Beside them a critical event goes
// out each second while any waits: what those before it met may have been about them.
type host struct {
	name   string
	users  int                // lanes that send to it
	lanes  [queues]*list.List // those that may send now
	taken  [shares]int        // places of the capacity
	fails  []chain            // different ones that failed, since the last answer of PagerDuty's
	down   bool
	falls  int    // how often it went down
	record record // of the attempts

	unproven bool // the last process has seen it fail, and it has accepted nothing since

	failed map[int64]bool // lanes of which attempts have failed since it last accepted anything, but for those that fail apart: at most as many as send to it

	twice    []*hedge  // second copies that are in flight, in the order in which they left
	answered time.Time // when the latest of the requests began that it has accepted

	probes   int       // ordinary ones, since it went down
	probeAt  time.Time // the next ordinary one
	critical time.Time // the last one that was for a critical event
	retrying window    // until when each critical event waits that has failed
	alarm    time.Time // of the next probe, or of room in the budget, if a lane waits for it

	budget budget
}

// chain names the events of one dedup key, or one change event.
type chain struct {
	lane  int64
	dedup string
	event int64
}

func chainOf(e *queue.Event) chain {
	if e.Kind == queue.Change || e.DedupKey == "" {
		return chain{lane: e.Lane, event: e.ID}
	}
	return chain{lane: e.Lane, dedup: e.DedupKey}
}

func newHost(name string) *host {
	h := &host{name: name, failed: map[int64]bool{}}
	for rank := range h.lanes {
		h.lanes[rank] = list.New()
	}
	return h
}

func (c *Core) attach(now time.Time, l *lane, name string) {
	h := c.hosts[name]
	if h == nil {
		h = newHost(name)
		if h.unproven = c.unproven[name]; h.unproven { // it would fall over again under all that has waited for this process
			h.budget.slowed = now
		}
		c.hosts[name] = h
		c.ordered = append(c.ordered, h)
	}
	h.users++
	l.host, l.failedIn = h, 0
	h.counts(l)
}

func (c *Core) detach(l *lane) {
	l.host.users--
	l.host.budget.limits, l.counted = l.host.budget.limits-l.counted, 0
	c.tidy(l.host)
}

// failing reports whether it has accepted nothing since its last failure, which another
// process may have seen.
func (h *host) failing() bool { return h.unproven || h.record.failures > 0 }

// troubled reports whether that is so, or it cannot be reached.
func (h *host) troubled() bool { return h.down || h.failing() }

// tidy forgets a host that no lane sends to any more. What has failed last is remembered:
// nobody knows of the next event that it leaves.
func (c *Core) tidy(h *host) {
	if h.users > 0 || h.troubled() || h.taken != [shares]int{} || c.hosts[h.name] != h {
		return
	}
	delete(c.hosts, h.name)
	c.ordered = slices.DeleteFunc(c.ordered, func(other *host) bool { return other == h })
}

// failed takes an attempt that brought no answer of PagerDuty's. Those that were on
// their way when the host went down say nothing new.
func (c *Core) failed(now time.Time, l *lane, f flight, why string) {
	h, of := f.host, chainOf(&f.event)
	if h.down {
		l.failedIn = h.falls
		return
	}
	l.failedIn = h.falls + 1 // if it goes down by this
	if !slices.Contains(h.fails, of) {
		h.fails = append(h.fails, of)
	}
	if len(h.fails) < c.rules.chains {
		return
	}
	// The first probe goes out at once, with the event of a third chain if there is
	// one: two bodies that are disliked on the way cost the others nothing.
	h.down, h.probes, h.probeAt, h.critical = true, 0, now, time.Time{}
	h.falls++
	c.decide(now, Tell{Host: h.name, What: HostDown, Why: why, Till: now.Add(firstProbe)})
}

// reached takes any other answer.
func (c *Core) reached(now time.Time, h *host) {
	h.fails = h.fails[:0]
	if !h.down {
		return
	}
	h.down, h.alarm, h.budget.slow, h.budget.slowed = false, time.Time{}, false, now
	c.stirPools(h)
	c.decide(now, Tell{Host: h.name, What: HostUp})
}

// nextProbe is when the next probe may go out: zero if no lane waits for it.
func (h *host) nextProbe() time.Time {
	switch {
	case h.head(milder) != nil:
		return earlier(h.probeAt, h.critical.Add(firstProbe))
	case h.head(queues) != nil:
		return h.probeAt
	}
	return time.Time{}
}

// next is when the next attempt goes to a host that is down, if nothing new comes before
// that: a critical event that becomes due does not wait for the ordinary probe. One that
// could go already and has found no place goes as soon as there is one.
func (h *host) next(now time.Time) time.Time {
	at := h.probeAt
	if h.retrying.held(now) > 0 {
		at = earlier(at, latest(h.retrying.first(), h.critical.Add(firstProbe)))
	}
	if probe := h.nextProbe(); !probe.IsZero() {
		at = earlier(at, probe)
	}
	return latest(at, now)
}

// probed says that a probe goes out. The next one does not wait for its end: it may
// hang because of its own event.
func (h *host) probed(c *Core, now time.Time, a ask) {
	if a.pick == queue.LeastTried {
		h.critical = now
	}
	if a.ordinary {
		h.probes++
		h.probeAt = now.Add(c.spread(double(firstProbe, maxProbe, h.probes)))
	}
}

// unprobed says that a lane had nothing to probe with, so that the next one can.
func (h *host) unprobed(a ask, now time.Time) {
	if !a.probe || !h.down {
		return
	}
	if a.pick == queue.LeastTried {
		h.critical = time.Time{}
	}
	if a.ordinary {
		h.probes, h.probeAt = h.probes-1, now
	}
}
