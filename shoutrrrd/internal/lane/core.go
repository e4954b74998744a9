package lane

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Options are the same for all lanes.
type Options struct {
	// MaxAge is how old an event may be when it leaves. An acknowledge or resolve
	// gets an hour more, so that it is never given up before its trigger.
	MaxAge time.Duration

	// Seed decides all jitter.
	Seed uint64

	// Told says that every settlement that is on the disk is reported with [Settled].
	// An attempt then counts as in flight until that: a disk that stands still cannot
	// hide more acceptances from the next process than it takes for granted after
	// an unclean end.
	Told bool

	// Capacity is how many attempts are in flight at once, over all lanes. Each holds
	// a connection or a stream of one, and a body. Defaults to 256.
	Capacity int
}

const (
	defaultCapacity = 256

	// resolveGrace is how much longer an acknowledge or resolve is worth sending.
	resolveGrace = time.Hour

	// claimAgain is when a claim is repeated that the store could not answer.
	claimAgain = time.Second
)

// Core is the state of all lanes that have something to do, and of those that the
// configuration names. It is not safe for concurrent use. No step takes longer
// because there are more lanes.
type Core struct {
	o        Options
	rules    rules
	random   *rand.Rand
	lanes    map[int64]*lane
	stirring *list.List // of lanes, those of which something may have to be told, see [Core.Stirring]
	hosts    map[string]*host
	ordered  []*host // the same, in the order of their first use: a map has none, and a seed has to replay
	pools    map[string]*pool
	moves    map[int64]*pool // those from which a move is out, by the lane that it leaves
	stirred  []*pool         // to which something has happened in the step in hand
	places   [shares]int     // attempts that may be in flight: of all events, on top of that of critical ones, of those of trusted lanes, and of those of listed ones
	taken    [shares]int     // of these: in flight, or asked of the store
	queued   uint64          // lanes that entered a queue so far: the order among those that may send
	turn     int             // common places that were given out, for every tenth
	out      *claim          // what the store was asked for and has not answered
	token    uint64          // of the last claim
	asked    time.Time       // and when the store was asked
	retryAt  time.Time       // the store could not answer: it is not asked before then
	alarms   alarms
	coreWake time.Time // the core's own alarm, for retryAt
	failing  bool      // the store cannot be written
	stopping bool
	quiet    time.Time // when an attempt last started or ended, or nothing was due
	ended    time.Time // when an attempt last ended, or none was in flight
	gaps     queue.Gaps
	trace    trace
	unproven map[string]bool // upstreams that the last process has seen fail, and that have accepted nothing since
	broken   map[string]bool // faults of this package that were logged already
	did      []Decision      // of the step in hand
}

// rules are the numbers of the design. They are fields so that tests can break
// them and see that somebody notices.
type rules struct {
	window     time.Duration // over which PagerDuty counts
	reserve    int           // one slot of so many is reserved for critical events
	oldest     int           // one slot of so many is the oldest chain's, and one place the longest-waiting lane's
	probeEvery time.Duration // how often a critical event may try a rate-limited lane
	fromSend   bool          // a slot is held from the start of the attempt on
	ranks      int           // how many severities the queues of lanes tell apart
	hostShare  int           // a host may have so many times as many attempts in flight as there are free places
	chains     int           // that have to fail in a row for the breaker to open
	rejected   time.Duration // how long a lane waits at first whose key was rejected
	reserved   int           // one place of so many is reserved for critical events, and half of these for trusted lanes, of which half for listed ones
	naive      bool          // every lane counts as listed
}

// PagerDuty counts "looking back from the current time"
// (https://developer.pagerduty.com/docs/rate-limits), over a minute.
//
// With a hostShare of 3 one host takes three quarters of the places, two that hang
// take three sevenths each, and some are left for a third, however many hosts there
// are (Choudhury and Hahne, "Dynamic queue length thresholds", 1998).
var designed = rules{
	window: time.Minute, reserve: 10, oldest: 10, probeEvery: 10 * time.Second,
	ranks: queue.Ranks, hostShare: 3, chains: 2, rejected: time.Minute, reserved: 8,
}

// New returns a core without lanes.
func New(o Options) *Core {
	if o.Capacity <= 0 {
		o.Capacity = defaultCapacity
	}
	c := &Core{
		o: o, rules: designed, random: rand.New(rand.NewPCG(o.Seed, 0x5eed)),
		lanes: map[int64]*lane{}, stirring: list.New(), hosts: map[string]*host{}, unproven: map[string]bool{}, broken: map[string]bool{},
		pools: map[string]*pool{}, moves: map[int64]*pool{},
	}
	c.share()
	return c
}

// share divides the places.
func (c *Core) share() {
	c.places[reserved] = 0
	if c.rules.reserved > 0 && c.o.Capacity > 1 {
		c.places[reserved] = max(1, c.o.Capacity/c.rules.reserved)
	}
	c.places[common] = c.o.Capacity - c.places[reserved]
	half := c.places[reserved] / 2
	c.places[trusted], c.places[listed] = half/2, half-half/2
	c.places[reserved] -= half
}

// Input is something that happened.
type Input interface{ isInput() }

// Began: the process begins. It is the first input, if anything has to be said.
type Began struct {
	Failing []string   // upstreams that had accepted nothing since their last failure when the last process ended
	Gaps    queue.Gaps // the parts of the time before now that nobody has measured
}

// Opened: a lane has something queued, or the configuration names it. The core need
// not know any other.
type Opened struct {
	Lane    queue.Lane
	Host    string             // that it sends to
	Limit   int                // the most events per 60 s
	Start   int                // what is used of that until the account has shown to take more; 0 for all of it
	Listed  bool               // the configuration names its key: it stays open
	Pool    string             // to which its key belongs; "" for none
	Way     Way                // what the configuration says of what is queued
	Recent  []queue.Acceptance // in the 60 s before this process began
	Began   time.Time          // when it began; zero if there was nothing of this lane before that
	Unclean bool               // the last process has crashed: events may have been accepted whose answers were not kept
	Waited  int                // critical events that were queued then: of so many chains one may have been in flight
}

// Forgotten: the store has deleted the lane, in which nothing is queued.
type Forgotten struct{ Lane int64 }

// Configured: the configuration of a lane has changed, or was read anew.
type Configured struct {
	Lane   int64
	Host   string
	Limit  int // as in [Opened]
	Start  int
	Listed bool
	Pool   string
	Way    Way
}

// Way says how the configuration has a lane deal with what is queued in it.
type Way struct {
	// Stopped: it was accepted for another upstream than the configuration names, so it waits.
	Stopped bool
	// Retiring: another key of the pool takes the place of the lane's. New chains go there,
	// and what belongs to an incident that is open by the lane's key leaves by that.
	Retiring bool
}

// Aged: how old an event may be has changed ([Options.MaxAge]).
type Aged struct{ MaxAge time.Duration }

// Arrived: an event has become ready, or may have been ready before the lane was opened.
type Arrived struct {
	Lane int64
	Rank queue.Rank
}

// Claimed answers a [Claim]. Other inputs may come before it.
type Claimed struct {
	Token  uint64
	Taken  []Taken // one for each ask, in its place
	Failed bool    // the store could not say anything
}

// Taken answers one ask of a [Claim].
type Taken struct {
	queue.Taken
	Failed bool // the store could not say, for this lane
}

// Answered: an [Attempt] has ended.
type Answered struct {
	Lane int64
	ID   int64
	Err  *eventsv2.Error // nil: accepted
	// Second is how the second copy ended, nil if there was none: see [Hedge].
	Second *Copy
	// Other is a lane of the event's pool whose key is not known to be rejected; 0
	// if there is none.
	Other int64
}

// Settled: the end of an attempt is on the disk, or was given up. Only with
// [Options.Told].
type Settled struct{ Lane int64 }

// Moved answers a [Move]. Other inputs may come before it, those that announce in the
// other lane what has moved as well.
type Moved struct {
	From, To int64
	Rank     queue.Rank
	Chains   int   // that have moved
	Next     int64 // as [queue.Moved] has it
	Failed   bool  // the store could not do it; nothing has moved
}

// Stale: the store says that the claim of a settlement is not held any more.
type Stale struct{ Lane, ID int64 }

// Hold: an operator has paused the lane, or resumed it.
type Hold struct {
	Lane int64
	Held bool
	By   queue.By
}

// Try: an operator has the lane tried now, whatever a 429 or a rejected key has it wait for.
type Try struct{ Lane int64 }

// TryEvent: an operator has an event tried now, which may be in flight.
type TryEvent struct{ ID int64 }

// Storage: the store cannot be written, so nothing is claimed, as its end could
// not be kept; or it can again.
type Storage struct{ Failing bool }

// Suspended: the machine was suspended, and timers stood still.
type Suspended struct{}

// Tick: the time of [Core.Next] has come.
type Tick struct{}

// Stop: nothing is claimed any more.
type Stop struct{}

func (Began) isInput()      {}
func (Opened) isInput()     {}
func (Forgotten) isInput()  {}
func (Configured) isInput() {}
func (Aged) isInput()       {}
func (Arrived) isInput()    {}
func (Claimed) isInput()    {}
func (Answered) isInput()   {}
func (Settled) isInput()    {}
func (Moved) isInput()      {}
func (Stale) isInput()      {}
func (Hold) isInput()       {}
func (Try) isInput()        {}
func (TryEvent) isInput()   {}
func (Storage) isInput()    {}
func (Suspended) isInput()  {}
func (Tick) isInput()       {}
func (Stop) isInput()       {}

// Decision is something to be done.
type Decision interface{ isDecision() }

// Claim events, of several lanes at once. The answer is [Claimed]; there is no
// other claim before that.
type Claim struct {
	Token uint64
	Asks  []queue.Ask
}

// Attempt to send an event; the answer is [Answered].
type Attempt struct {
	Event    queue.Event
	MayHedge bool // a [Hedge] of it may follow
}

// Settle an attempt, durably.
type Settle struct {
	Lane int64
	queue.Settlement
}

// Release events that were claimed and are not wanted.
type Release struct{ Events []queue.Event }

// Move new chains of a lane that cannot send them to one of its pool that can; the answer
// is [Moved].
type Move struct {
	From, To int64
	Pool     string
	Rank     queue.Rank
	After    int64 // as [queue.Move] has it
	N        int
	Retiring bool   // as [queue.Move] has it
	Why      string // in people's words
}

// Save what was learned of a lane, durably.
type Save struct{ Lane queue.Lane }

// Hasten: a host accepts again, or a key that was rejected does. What waits in its lanes
// to be sent again is made ready, the most severe first. It leaves at the pace that the
// core gives it.
type Hasten struct {
	Host string
	Lane int64 // this one alone; 0 for all of the host
}

// Close a lane: it has had nothing to do for a while, and the core forgets it. With
// the next event it has to be [Opened] again.
type Close struct{ Lane int64 }

// Tell people what has changed, once.
type Tell struct {
	Lane int64  // 0 if it is about a host
	Host string // "" if it is about a lane
	What Change
	Why  string // of a failure
	Till time.Time
}

// Broken: something happened that this package takes for impossible, which is a
// fault in it or around it. It goes on as well as it can. Each kind is reported
// once, with what was decided before.
type Broken struct {
	What  string
	Trace []string
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
	// Several lanes of a host are rate limited far below their own limits, so that all of
	// them are paced together; and no more.
	AccountLimited Change = "account rate limited"
	AccountFree    Change = "account not rate limited any more"
	// What is queued in a lane was accepted for an upstream that the configuration does not
	// name for its key; and it does again.
	WayLost  Change = "upstream is not configured"
	WayFound Change = "upstream is configured again"
)

func (Claim) isDecision()   {}
func (Attempt) isDecision() {}
func (Settle) isDecision()  {}
func (Release) isDecision() {}
func (Move) isDecision()    {}
func (Save) isDecision()    {}
func (Hasten) isDecision()  {}
func (Close) isDecision()   {}
func (Tell) isDecision()    {}
func (Broken) isDecision()  {}

// Step takes what happened at that time and returns what is to be done, in order.
// The time never goes back from one call to the next.
func (c *Core) Step(now time.Time, in Input) []Decision {
	c.did = nil
	if !c.due(now) {
		c.quiet = now
	}
	if c.taken == [shares]int{} {
		c.ended = now
	}
	switch in := in.(type) {
	case Began:
		for _, name := range in.Failing {
			c.unproven[name] = true
		}
		c.gaps = in.Gaps
	case Opened:
		c.open(now, in)
	case Forgotten:
		c.forget(now, in.Lane)
	case Configured:
		c.configure(now, in)
	case Aged:
		c.o.MaxAge = in.MaxAge
	case Arrived:
		if l := c.lanes[in.Lane]; l != nil {
			if in.Rank == queue.Critical {
				l.paged = latest(l.paged, now)
			}
			l.hint(in.Rank)
			c.look(now, l)
		}
	case Claimed:
		c.claimed(now, in)
	case Answered:
		c.answered(now, in)
	case Settled:
		c.settled(now, in)
	case Moved:
		c.moved(now, in)
	case Stale:
		c.fault(now, "a settlement whose claim is not held", in.Lane, in.ID)
	case Hold:
		c.hold(now, in)
	case Try:
		if l := c.lanes[in.Lane]; l != nil {
			c.try(now, l)
			c.look(now, l)
		}
		c.tryAgain(now, func(one *hedge) bool { return one.lane.stored.ID == in.Lane })
	case TryEvent:
		c.tryAgain(now, func(one *hedge) bool { return one.id == in.ID })
	case Storage:
		c.failing = in.Failing
	case Suspended: // what is due leaves now; that nothing has for hours is nobody's fault
		c.quiet, c.ended = now, now
	case Tick:
		c.tick(now)
	case Stop:
		c.stopping = true
	default:
		c.fault(now, fmt.Sprintf("an unknown input %T", in), 0, 0)
	}
	c.relieve(now)
	c.dispatch(now)
	return c.did
}

func (c *Core) decide(now time.Time, d Decision) {
	c.trace.add(now, d)
	c.did = append(c.did, d)
}

// Next returns when a [Tick] is wanted, and false if only another input can
// change anything. The time may be over: a tick does a bounded amount of work.
func (c *Core) Next() (time.Time, bool) { return c.alarms.next() }
