package lane

import (
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Input is something that happened.
type Input interface{ isInput() }

// Opened: a lane is there, at the start or because a key was used for the first
// time.
type Opened struct {
	Lane    queue.Lane
	Host    string      // that it sends to
	Limit   int         // events per 60 s
	Recent  []time.Time // when PagerDuty accepted events of the last 60 s
	Unclean bool        // the last end was a crash: some may have been accepted that nobody noted
}

// Configured: the configuration of a lane has changed.
type Configured struct {
	Lane  int64
	Host  string
	Limit int
}

// Aged: how old an event may be has changed ([Options.MaxAge]).
type Aged struct{ MaxAge time.Duration }

// Arrived: an event has become ready.
type Arrived struct {
	Lane int64
	Rank queue.Rank
}

// Claimed answers a [Claim].
type Claimed struct {
	Lane   int64
	Pick   queue.Pick
	N      int // that were asked for
	Events []queue.Event
	Failed bool // the store could not say
}

// Answered: an [Attempt] has ended.
type Answered struct {
	Lane int64
	ID   int64
	Err  *eventsv2.Error // nil: accepted
	// Other is a lane of the event's pool whose key is not known to be refused; 0
	// if there is none.
	Other int64
}

// Settled: the end of an attempt is on the disk. Only with [Options.Told].
type Settled struct{ Lane int64 }

// Hold: an operator has paused the lane, or resumed it.
type Hold struct {
	Lane int64
	Held bool
	By   queue.By
}

// Storage: the store cannot be written, so nothing is claimed, as its end could
// not be kept; or it can again.
type Storage struct{ Failing bool }

// Tick: the time of [Core.Next] has come.
type Tick struct{}

// Stop: nothing is claimed any more.
type Stop struct{}

func (Opened) isInput()     {}
func (Configured) isInput() {}
func (Aged) isInput()       {}
func (Arrived) isInput()    {}
func (Claimed) isInput()    {}
func (Answered) isInput()   {}
func (Settled) isInput()    {}
func (Hold) isInput()       {}
func (Storage) isInput()    {}
func (Tick) isInput()       {}
func (Stop) isInput()       {}

// Decision is something to be done.
type Decision interface{ isDecision() }

// Claim events of a lane; the answer, [Claimed], comes before any other input.
type Claim struct {
	Lane int64
	Pick queue.Pick
	N    int
}

// Attempt to send an event; the answer is [Answered].
type Attempt struct{ Event queue.Event }

// Settle an attempt, durably.
type Settle struct {
	Lane int64
	queue.Settlement
}

// Release events that were claimed and are not wanted.
type Release struct{ Events []queue.Event }

// Save what was learned of a lane, durably.
type Save struct{ Lane queue.Lane }

// Tell people what has changed, once.
type Tell struct {
	Lane int64  // 0 if it is about a host
	Host string // "" if it is about a lane
	What Change
	Why  string // of a failure
	Till time.Time
}

// Change is what [Tell] tells.
type Change string

// The changes.
const (
	HostDown     Change = "upstream down"
	HostUp       Change = "upstream up"
	RateLimited  Change = "rate limited"
	LimitLowered Change = "limit lowered"
	KeyIsRefused Change = "integration key refused"
	KeyIsTaken   Change = "integration key accepted again"
)

func (Claim) isDecision()   {}
func (Attempt) isDecision() {}
func (Settle) isDecision()  {}
func (Release) isDecision() {}
func (Save) isDecision()    {}
func (Tell) isDecision()    {}

// Step takes what happened at that time and returns what is to be done, in order.
// The time never goes back from one call to the next.
func (c *Core) Step(now time.Time, in Input) []Decision {
	c.out = nil
	switch in := in.(type) {
	case Opened:
		c.open(now, in)
	case Configured:
		c.configure(now, in)
	case Aged:
		c.o.MaxAge = in.MaxAge
	case Arrived:
		if l := c.lanes[in.Lane]; l != nil {
			l.hinted[in.Rank] = true
			c.fill(now, l)
		}
	case Claimed:
		c.claimed(now, in)
	case Answered:
		c.answered(now, in)
	case Settled:
		if l := c.lanes[in.Lane]; l != nil && l.settling > 0 {
			l.settling--
			c.fill(now, l)
		}
	case Hold:
		if l := c.lanes[in.Lane]; l != nil {
			l.kept.Held, l.kept.HeldBy = in.Held, in.By
			c.fill(now, l)
		}
	case Storage:
		c.failing = in.Failing
		c.fillAll(now)
	case Tick:
		c.tick(now)
	case Stop:
		c.stopping = true
	default:
		panic(fmt.Sprintf("lane: internal error: unknown input %T", in))
	}
	return c.out
}

func (c *Core) decide(d Decision) { c.out = append(c.out, d) }
