package queue

import (
	"fmt"
	"slices"
)

// Again asks for events that have ended to be sent once more. They go in the order of
// their numbers, the one in which they were accepted, also in their chains: an event goes
// before what came after it and still waits. Like a new one it goes by the key of its
// incident, and a trigger beside another one goes into that.
type Again struct {
	IDs       []int64
	Delivered bool // delivered events too; else rejected, expired and discarded ones alone
	Elsewhere bool // also to another upstream than the event was accepted for: somebody means it
	// Heirs are the lanes that take the place of others, whose keys get nothing new any more:
	// what belongs to no known incident goes there.
	Heirs   map[int64]int64
	Pools   [][]int64 // the lanes of each pool, as they are configured now
	By      By
	Preview bool // nothing is done: the answers say which of them would be left because they are outdated
}

// PoolOf returns the lanes of the pool that a lane belongs to, none if it belongs to none.
func (a *Again) PoolOf(lane int64) []int64 {
	for _, pool := range a.Pools {
		if slices.Contains(pool, lane) {
			return pool
		}
	}
	return nil
}

// Requeued says what became of one of them.
type Requeued struct {
	ID        int64 // the event
	Into      int64 // the event that it was coalesced into; 0 for none
	Lane      int64 // that it is queued in
	Coalesced bool
	Err       error // why it was left as it is: ErrNotFound, ErrState and what that includes, ErrFull
}

// ErrOutdated is an ErrState: what the sender has said later was delivered, or is being
// sent. A trigger behind its resolve would open an incident that nothing closes, and a
// resolve behind the next trigger would close one that is open.
var ErrOutdated = fmt.Errorf("%w: a later event of its dedup key was delivered, which says otherwise", ErrState)

// ErrElsewhere is an ErrState: the event was accepted for another upstream than the
// configuration names now, and nobody has said that it is meant for that as well.
var ErrElsewhere = fmt.Errorf("%w: it was accepted for another upstream than the configuration names for its key now", ErrState)

// OutdatedBy is the action of a later event that makes one with an action outdated.
func OutdatedBy(action string) string {
	if action == "resolve" {
		return "trigger"
	}
	return "resolve"
}

// Sent is a delivered event, as somebody needs to know it who has it sent again.
type Sent struct {
	ID, Lane int64
	Kind     Kind
	Action   string
	DedupKey string
	Severity Rank
}
