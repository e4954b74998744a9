package lane

import (
	"fmt"
	"time"
)

// traced is how many decisions are kept for the log.
const traced = 100

// trace holds the last decisions, as little of them as a reader needs: a decision
// would keep its event's body in memory.
type trace struct {
	ring [traced]note
	n    int // decisions so far
}

// note is one decision.
type note struct {
	at       time.Time
	what     string
	lane, id int64  // 0 where there is none
	more     string // the change that people hear of, or the state of a settlement
	number   int    // of asks, or of events
}

func (t *trace) add(now time.Time, d Decision) {
	n := note{at: now}
	switch d := d.(type) {
	case Claim:
		n.what, n.number, n.id = "claim", len(d.Asks), int64(d.Token)
		if len(d.Asks) > 0 {
			n.lane = d.Asks[0].Lane
		}
	case Attempt:
		n.what, n.lane, n.id = "attempt", d.Event.Lane, d.Event.ID
	case Hedge:
		n.what, n.lane, n.id = "hedge", d.Lane, d.ID
	case Abandon:
		n.what, n.lane, n.id = "abandon", d.Lane, d.ID
	case Settle:
		n.what, n.lane, n.id, n.more, n.number = "settle", d.Lane, d.ID, d.State.String(), d.Status
	case Release:
		n.what, n.number = "release", len(d.Events)
	case Move:
		n.what, n.lane, n.id, n.more, n.number = "move", d.From, d.To, d.Why, d.N
	case Hasten:
		n.what, n.lane, n.more = "hasten", d.Lane, d.Host
	case Save:
		n.what, n.lane = "save", d.Lane.ID
	case Close:
		n.what, n.lane = "close", d.Lane
	case Tell:
		n.what, n.lane, n.more = "tell", d.Lane, string(d.What)
	default:
		return
	}
	t.ring[t.n%traced] = n
	t.n++
}

// lines returns what was decided, the oldest first. There is no key in it.
func (t *trace) lines() []string {
	var lines []string
	for i := max(0, t.n-traced); i < t.n; i++ {
		n := t.ring[i%traced]
		line := n.at.UTC().Format("15:04:05.000") + " " + n.what
		if n.lane != 0 {
			line += fmt.Sprintf(" lane %d", n.lane)
		}
		if n.id != 0 {
			line += fmt.Sprintf(" #%d", n.id)
		}
		if n.more != "" {
			line += " " + n.more
		}
		if n.number != 0 {
			line += fmt.Sprintf(" (%d)", n.number)
		}
		lines = append(lines, line)
	}
	return lines
}

// fault reports something that cannot happen.
func (c *Core) fault(now time.Time, what string, lane, id int64) {
	if c.broken[what] {
		return
	}
	c.broken[what] = true
	text := what
	if lane != 0 || id != 0 {
		text += fmt.Sprintf(" (lane %d, event %d)", lane, id)
	}
	c.decide(now, Broken{What: text, Trace: c.trace.lines()})
}

// take changes a count that must not become negative.
func (c *Core) take(now time.Time, count *int, n int, what string) {
	if *count += n; *count < 0 {
		*count = 0
		c.fault(now, "a negative number of "+what, 0, 0)
	}
}
