// Package queue is the vocabulary of the relay's durable queue: what an event in
// it is, which states it goes through, and what can be asked of a store. The
// stores themselves are packages of their own (sqlite); queuetest holds the
// model that all of them have to agree with.
//
// Events with the same dedup key on the same lane form a chain. Only its first
// event, the head, can leave; the others are blocked behind it. An event stays in
// the store until it has ended, and after that until it is purged or an operator
// decides.
package queue

import (
	"errors"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Rank orders severities: the smaller, the more urgent.
type Rank uint8

// The ranks of PagerDuty's four severities.
const (
	Critical Rank = iota
	Error
	Warning
	Info
)

// Ranks is the number of ranks.
const Ranks = 4

// RankOf returns the rank of a severity, Error for one that PagerDuty does not
// know: an acknowledge or resolve may come without any.
func RankOf(s eventsv2.Severity) Rank {
	for r := range Rank(Ranks) {
		if r.Severity() == s {
			return r
		}
	}
	return Error
}

// Severity returns the severity that has the rank.
func (r Rank) Severity() eventsv2.Severity {
	switch r {
	case Critical:
		return eventsv2.SeverityCritical
	case Warning:
		return eventsv2.SeverityWarning
	case Info:
		return eventsv2.SeverityInfo
	}
	return eventsv2.SeverityError
}

// String returns the name of the severity.
func (r Rank) String() string { return string(r.Severity()) }

// State is where an event stands. Its numbers are stored.
type State uint8

// The states. docs/states.md has every arrow between them.
const (
	Ready     State = 0 // head of its chain, may leave now
	Blocked   State = 1 // behind the head of its chain
	Waiting   State = 2 // head of its chain, may leave when it is due
	Delivered State = 4 // PagerDuty has accepted it
	Refused   State = 5 // PagerDuty will never accept it; an operator decides
	Expired   State = 6 // too old to be of use; an operator decides
	Dropped   State = 7 // given up by an operator
)

// Ended reports whether nothing more happens to the event by itself.
func (s State) Ended() bool { return s >= Delivered }

// Dead reports whether the event waits for an operator's decision.
func (s State) Dead() bool { return s == Refused || s == Expired }

var stateNames = map[State]string{
	Ready: "ready", Blocked: "blocked", Waiting: "waiting",
	Delivered: "delivered", Refused: "refused", Expired: "expired", Dropped: "dropped",
}

// String returns the state's name.
func (s State) String() string {
	if name, ok := stateNames[s]; ok {
		return name
	}
	return "unknown"
}

// ParseState returns the state of that name.
func ParseState(name string) (State, bool) {
	for s, n := range stateNames {
		if n == name {
			return s, true
		}
	}
	return 0, false
}

// Kind tells alert events from change events, which go to another path and have
// no dedup key.
type Kind uint8

// The kinds. Their numbers are stored.
const (
	Alert  Kind = 0
	Change Kind = 1
)

// String returns "alert" or "change".
func (k Kind) String() string {
	if k == Change {
		return "change"
	}
	return "alert"
}

// New is an event that was accepted and is to be kept.
type New struct {
	Lane     int64           // it goes there if its incident is not known: that of its routing key, or in a pool the one that was chosen
	Origin   int64           // the lane of its routing key; 0 for Lane
	Pool     []int64         // all lanes of the pool that the routing key belongs to; none without a pool
	Key      eventsv2.Key    // as the event spells it; zero: as its lane does
	Kind     Kind            //
	Action   eventsv2.Action // "" for a change event
	DedupKey string          // "" for a change event
	Severity Rank            //
	Accepted time.Time       //
	Repairs  []string        // what was changed to make PagerDuty accept it, a line each
	Summary  string          // for lists: its first 1,024 characters
	Source   string          // for lists: its first 1,024 characters
	Body     []byte          // as PagerDuty gets it, but without routing_key; not changed after Put
}

// Placed says where a new event stands.
type Placed struct {
	ID        int64 // of the event, or of the one that it was coalesced into
	Lane      int64 // of the chain: a pool keeps a dedup key on the lane where it began
	Coalesced bool
}

// Event is one that the store keeps.
type Event struct {
	ID       int64
	Lane     int64
	Key      eventsv2.Key // as the event spells it; zero: as its lane does
	Kind     Kind
	Action   eventsv2.Action
	DedupKey string
	State    State
	InFlight bool      // somebody has claimed it
	Severity Rank      // the highest of those coalesced
	Priority Rank      // of its chain, while it is the head: the highest severity that waits in it
	Accepted time.Time // the first time
	Fresh    time.Time // the last time: accepted, coalesced or requeued; its age counts from here
	Due      time.Time // of a waiting event
	Attempts int       // made since Fresh that count
	Repeats  int       // triggers that were coalesced into it, itself not counted
	Folded   Folded    // what it tells of pairs that were not sent
	Repairs  []string
	Summary  string // for lists: its first 1,024 characters
	Source   string // for lists: its first 1,024 characters
	Ended    time.Time
	Status   int    // of the last attempt, 0 for no answer
	Reason   string // of the last failure, without any key
	Body     []byte // without routing_key; nil in a list
	Claim    uint64 // the token of the claim, for [Settlement]
}

// Pick says which of a lane's ready events are meant.
type Pick uint8

// The picks.
const (
	MostUrgent   Pick = iota // by priority, then arrival
	OnlyCritical             // chains in which a critical event waits, by arrival
	Oldest                   // by arrival
	LeastTried               // as OnlyCritical, but of the latest [LeastTriedOf] that with the fewest attempts first
)

// LeastTriedOf is among how many events [LeastTried] chooses, so that its cost does not
// grow with the number that is ready.
const LeastTriedOf = 100

// Ask is a claim on one lane: up to N of its ready events that nobody holds.
type Ask struct {
	Lane int64
	Pick Pick
	N    int
	Way  WhileWaiting // what becomes of chains that have waited
}

// Taken answers an [Ask].
type Taken struct {
	Events []Event
	// More says that the lane has more ready events of this pick, or may have. The
	// number of Events does not say it: a damaged row is skipped.
	More bool
	// Upstream is that of the lane.
	Upstream string
	// Merged is what was folded meanwhile, of these events and of others that are not
	// handed out yet.
	Merged []Merged
}

// Acceptance is an event that PagerDuty has, or may have, accepted.
type Acceptance struct {
	At       time.Time
	Critical bool // it may have left by the share that is reserved for critical events
}

// Settlement is how an attempt ended. A store applies it only to the claim that
// it names, so that nobody can end an event that somebody else holds.
type Settlement struct {
	ID    int64
	Claim uint64
	State State     // Delivered, Refused, Expired; Waiting until Due; Ready for at once
	At    time.Time // when the attempt ended
	Due   time.Time
	// Lane is, with Ready, where the event's whole chain moves to; 0: it stays. If PagerDuty
	// has its incident, or may have, or that lane has a chain of the same dedup key, the
	// event waits until Due instead, and the attempt counts.
	Lane     int64
	Moved    string // with Lane: from where, to where and why, for the event's history
	Attempts int    // what counts from now on
	Status   int    // of the answer, 0 if there was none
	Reason   string // of the failure, without any key
	Tried    bool   // an attempt was made, to be told in the event's history
	Hedged   Hedged // whether it was made twice, to be told there as well
	// MaybeAccepted says that PagerDuty may have accepted the event, as nothing in its
	// answer, or no answer, says that it has not. Its chain stays with its key from then
	// on. Of a delivered event that is clear.
	MaybeAccepted bool
	Failure       string // the kind of the failure, for metrics; not stored
	Upstream      string // that the attempt went to
	Failing       bool   // it has accepted nothing since its last failure, so nobody knows when a page would leave
	Counts        int    // its requests that PagerDuty may count for a minute from At on, see Recent of a store: 0, 1, or 2 if it was made twice
}

// Lost is how many of its requests may count that no delivery in the store stands for.
func (x *Settlement) Lost() int {
	if x.State == Delivered {
		return max(0, x.Counts-1)
	}
	return x.Counts
}

// Hedged says whether an attempt was made twice, as its first copy had no answer within
// 3 s, and which copy was accepted.
type Hedged uint8

// What became of the copies.
const (
	NotHedged Hedged = iota
	FirstAccepted
	SecondAccepted
	NeitherAccepted
)

// String returns "first", "second" or "neither", and nothing for an attempt that was made
// once.
func (h Hedged) String() string { return [...]string{"", "first", "second", "neither"}[h] }

// History returns what the history of an event says of the attempt: why it failed, and
// whether it was made twice.
func (x *Settlement) History() string {
	told := map[Hedged]string{
		FirstAccepted:   "sent twice, as there was no answer within 3 s: the first copy was accepted",
		SecondAccepted:  "sent twice, as there was no answer within 3 s: the second copy was accepted",
		NeitherAccepted: "sent twice, as there was no answer within 3 s",
	}[x.Hedged]
	if x.Reason == "" || told == "" {
		return x.Reason + told
	}
	return x.Reason + "; " + told
}

// Move asks for new chains of a pool to leave by another of its lanes. A chain is new
// if it begins with a trigger, and if nothing of its incident was accepted by PagerDuty,
// or may have been: else there would be two incidents, and the resolve would close one.
type Move struct {
	From, To int64
	Rank     Rank  // the priority of the chains
	After    int64 // heads up to this number were looked at already
	N        int   // at most so many chains
	Retiring bool  // the key of From gets nothing new any more: change events move as well
	At       time.Time
	Why      string // for the history of their heads
}

// Moved answers a [Move].
type Moved struct {
	Heads []int64 // of the chains that have moved
	Next  int64   // the last head that was looked at; 0: there are no more behind it
}

// MoveLook is how many heads of chains one [Move] looks at: most of a lane's chains may
// be those of open incidents, which stay.
const MoveLook = 256

// Lane is the queue of one integration key.
type Lane struct {
	ID          int64
	Key         eventsv2.Key
	Held        bool      // paused by an operator
	HeldBy      By        //
	Learned     int       // limit learned from answers; 0 if none was
	Ceiling     int       // accepted per window when the last 429 came; 0 for none
	PausedUntil time.Time // by a 429
	Pauses      int       // in a row, for the next one's length
	KeyRefused  time.Time // when PagerDuty refused the key; zero if it did not
	Proven      bool      // PagerDuty has accepted an event of it
	// Upstream is what the events that are queued in it were accepted for: they are sent
	// nowhere else. A lane in which nothing is queued follows the configuration. "" is unknown.
	Upstream string
	// Own says that the configuration has named Upstream for the lane's key alone: if it names
	// the key no more, the lane does not follow what holds for all others.
	Own bool
	// Since is the number of the last event that was accepted for an earlier upstream; 0 if
	// there was none.
	Since int64
	// Alias is the one under which the configuration has last named the key, if it stands in a
	// file of its own: another key in that file takes its place.
	Alias string
}

// Configured is what the configuration says of an integration key.
type Configured struct {
	Upstream string // that its events go to; "" if that is not known
	Own      bool   // which is named for this key alone
	Listed   bool   // the key is named; else Upstream is what holds for all others
	Alias    string // see [Lane]; "" leaves it as it is
}

// Follow has the lane be what the configuration says, as far as it may: what is queued in it
// keeps its upstream. last is the highest number of an event that was given out. It reports
// whether anything has changed.
func (l *Lane) Follow(c Configured, queued int, last int64) bool {
	before := *l
	if c.Alias != "" {
		l.Alias = c.Alias
	}
	if c.Upstream != "" && (l.Upstream == "" || queued == 0 && (c.Listed || !l.Own)) {
		l.direct(c.Upstream, c.Own, last)
	}
	return *l != before
}

// Takes reports whether what is queued in another lane may move into this one, whose
// upstream becomes the same if nothing is queued in it.
func (l *Lane) Takes(from Lane, queued int, last int64) bool {
	if from.Upstream != "" && (queued == 0 || l.Upstream == "") {
		l.direct(from.Upstream, from.Own, last)
	}
	return from.Upstream == "" || l.Upstream == from.Upstream
}

func (l *Lane) direct(upstream string, own bool, last int64) {
	if l.Upstream != "" && l.Upstream != upstream {
		l.Since = last
	}
	l.Upstream, l.Own = upstream, own
}

// By is who did something and why.
type By struct {
	Who string    `json:"who"`
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at"`
}

// Entry is one line of an event's history.
type Entry struct {
	At     time.Time
	What   string // accepted, repaired, coalesced, folded, attempt, moved, delivered, refused, expired, requeued, dropped
	Status int    // of an attempt
	Text   string // what was repaired, the server's reason, how many were coalesced, the operator's reason
	Who    string // of an operator's action
}

// Filter selects events for people. The zero value selects all, the newest first.
type Filter struct {
	States   []State // any of these; none for all
	InFlight bool    // only those that somebody has claimed
	Lane     int64   // 0 for all
	DedupKey string  // exactly this; "" for all
	AtLeast  *Rank   // this severity or a graver one; nil for all
	Text     string  // stands in the body or in the reason, in any case of letters
	Before   int64   // only events with a smaller ID: the cursor; 0 for the newest
	Limit    int     // of events; 0 for 50
}

// Page is what a filter found. A search reads a bounded number of rows: if it
// stopped before the end, Next is where to go on, also if nothing was found yet.
type Page struct {
	Events []Event
	Next   int64 // the cursor of the next page, 0 at the end
	Read   int   // rows that were looked at
}

// Group is the dead events of a lane that ended for the same reason.
type Group struct {
	Lane     int64
	State    State // Refused or Expired
	Status   int
	Reason   string
	Count    int
	Critical int
	Oldest   time.Time // acceptance
	Latest   int64     // the highest ID among them
}

// Count is what waits in a lane and what has ended there.
type Count struct {
	Lane    int64
	Waiting [Ranks]int // undelivered events by severity, blocked ones included
	// Oldest is the acceptance of the oldest head of a chain; zero if there is none. Of ready
	// heads that with the smallest number counts: one into which an older event was requeued
	// has the time of that, and its own number.
	Oldest time.Time
	// OldestCritical is the same among the chains in which a critical event waits.
	// Zero if there is none, or if the store does not tell.
	OldestCritical time.Time
	// OldestOf is the same by the priority of the chain, the most severe that waits in it.
	OldestOf  [Ranks]time.Time
	Refused   int // that wait for a decision
	Expired   int // that wait for a decision
	Delivered int // still kept
}

// Total is the number of undelivered events.
func (c Count) Total() (n int) {
	for _, w := range c.Waiting {
		n += w
	}
	return n
}

// Counted is a lane and its count.
type Counted struct {
	Lane  Lane
	Count Count
}

// Overview is how the lanes of a store stand.
type Overview struct {
	Total int       // lanes that there are
	Lanes []Counted // those that were asked for, by ID
}

// AgeBuckets are the upper ends of the columns of [Shape]; a last column holds
// what is older.
var AgeBuckets = []time.Duration{
	10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// Shape is a lane's undelivered events by severity and age.
type Shape struct {
	Lane   int64
	Counts [Ranks][]int // each of len(AgeBuckets)+1
}

// Usage is what a store takes of its disk.
type Usage struct {
	File    int64         // bytes of the queue's file
	WAL     int64         // bytes of its write-ahead log
	Free    int64         // bytes of the file system that are free
	Limit   int64         // bytes that file and write-ahead log may have together
	Hanging time.Duration // how long the transaction in hand has waited for the disk
	Dead    int           // dead letters that are kept, those of forgotten lanes included
	Evicted int           // dead letters that were deleted since the start, as there were too many
	GivenUp int           // events that were given up since the start: PagerDuty rejects their key, and its lane made room
	Full    error         // why only critical events are kept; nil while there is room for all
}

// Failures of a store, for errors.Is.
var (
	// ErrFull: the bound on queued events is reached; nothing was kept.
	ErrFull = errors.New("the queue is full")
	// ErrDiskFull is an ErrFull: the queue takes as much of its disk as it may.
	ErrDiskFull = fmt.Errorf("%w: its disk has no more room for it", ErrFull)
	// ErrRefusedFile: the file is not for this program to use as it is: another one or a
	// later version has written it, or a part of it is missing. Its text is that of the
	// error which it goes with.
	ErrRefusedFile = errors.New("")
	// ErrUnavailable: the store cannot keep anything now, because of its disk;
	// nothing was kept. Later it may.
	ErrUnavailable = errors.New("the queue cannot be written")
	// ErrBroken: the store does not know any more what is on its disk. It accepts
	// nothing until the process starts anew.
	ErrBroken = errors.New("the queue cannot be trusted any more")
	// ErrInternal: the request failed because of a contradiction in the queue's data,
	// or of a mistake of the program; nothing of it was kept. Others go on.
	ErrInternal = errors.New("internal error of the queue")
	// ErrStale: the claim is not held any more.
	ErrStale = errors.New("the claim is not held any more")
	// ErrNotFound: there is no such event or lane.
	ErrNotFound = errors.New("not found")
	// ErrState: the event is not in a state that allows this.
	ErrState = errors.New("not possible in this state")
	// ErrUnsendable is an ErrState that no operator can change: the key of the event is
	// not known any more, or its content is damaged.
	ErrUnsendable = fmt.Errorf("%w: it cannot be sent again", ErrState)
	// ErrLocked: another process has opened the store.
	ErrLocked = errors.New("another relay uses this queue")
)

// NewShape returns the empty shape of a lane.
func NewShape(lane int64) Shape {
	s := Shape{Lane: lane}
	for rank := range s.Counts {
		s.Counts[rank] = make([]int, len(AgeBuckets)+1)
	}
	return s
}

// Total is the number of the lane's undelivered events.
func (s *Shape) Total() (total int) {
	for _, counts := range s.Counts {
		for _, n := range counts {
			total += n
		}
	}
	return total
}

// Add counts an event of that age.
func (s *Shape) Add(severity Rank, age time.Duration) {
	column := 0
	for column < len(AgeBuckets) && age >= AgeBuckets[column] {
		column++
	}
	s.Counts[severity][column]++
}
