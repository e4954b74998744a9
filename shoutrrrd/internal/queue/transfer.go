package queue

// Transfer asks for what an operator wants of a lane to leave by another one: its chains,
// each whole and in its order, its change events and its dead letters, which stay dead.
// What stays is listed in [Transferred]. From a lane to itself it is about the upstream:
// what is queued there leaves by the one that the configuration names now.
type Transfer struct {
	From, To  int64
	Elsewhere bool // also if that is another upstream than it was accepted for
	Preview   bool // nothing is done, and all is counted
	By        By
	Why       string // for the histories: from where to where
}

// Transferred says what became of a [Transfer], or would.
type Transferred struct {
	Chains, Changes int          // dedup keys and change events
	Queued          [Ranks]int   // undelivered events, by severity; of a chain beyond 500 they follow when it is their turn
	Dead            int          // dead letters
	Stay            map[Stay]int // chains and dead letters that stay, by the reason
	Before, After   string       // the upstreams of the two lanes
}

// Elsewhere reports whether it goes to another upstream than it was accepted for: that has to
// be meant.
func (t *Transferred) Elsewhere() bool {
	return t.Before != "" && t.After != "" && t.Before != t.After
}

// Stay is why a chain stays in its lane.
type Stay string

// The reasons.
const (
	StayOpen     Stay = "their incident is open by this key, or may be: an acknowledge or resolve by another key would be dropped"
	StayInFlight Stay = "one of their events is being sent"
	StayUnsure   Stay = "they may have been sent when the relay was killed"
	StayBehind   Stay = "the other lane has events of the same dedup key queued"
	StayEarlier  Stay = "they are dead letters that were accepted for an earlier upstream: it is asked about when they are requeued"
	StayDamaged  Stay = "they are damaged"
)
