package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	// confirmAfter is how long something has to be wrong before it is called for: events
	// that an operator has requeued, and those that were queued while the relay was
	// stopped, are old at once and leave within seconds.
	confirmAfter = 10 * time.Second

	// storeWithin is when a queue that takes no events is called for, whatever `after`
	// says: a relay whose disk hangs ends itself after 30 s, and its next start may hang
	// before it can call.
	storeWithin = 15 * time.Second
)

// Facts are what the judgement is made of: how things stood at one moment.
type Facts struct {
	At    time.Time
	Lanes []Lane // in which critical events wait
	Dead  []Dead // critical events that were given up since the last facts
	// Trouble is why the queue takes no events, and TroubleSince since when. Zero if it
	// takes them.
	Trouble      string
	TroubleSince time.Time
}

// Lane is a lane in which critical events wait.
type Lane struct {
	Name     string
	Upstream string
	Waiting  int       // critical events
	Oldest   time.Time // acceptance of the oldest one; zero if none of them has to page
	Paused   bool      // by an operator, who knows what waits
	Why      string    // they wait, fit to be shown; "" if nothing is known
}

// Dead counts the critical triggers of an upstream that were rejected or have expired.
type Dead struct {
	Upstream string
	Rejected int
	Expired  int
	At       time.Time // of the first of them
	Lane     string    // of the last of them
	Why      string    // of the last of them, fit to be shown
}

// Stage is what a way has been told of an outage.
type Stage string

// The stages.
const (
	Firing   Stage = "firing"
	Resolved Stage = "resolved"
)

// Outage is one outage of an upstream: from the first critical event that waited for too
// long, or was given up, until for as long as the bound none did and none was. It is what
// the file beside the queue keeps.
type Outage struct {
	Upstream string           `json:"upstream"` // "" for the relay's own queue, which takes no events
	Began    time.Time        `json:"began"`    // when the oldest event was accepted, or the first one given up
	Seen     time.Time        `json:"seen"`     // first
	Called   time.Time        `json:"called"`   // since when it is called for; zero: it is not sure yet
	Quiet    time.Time        `json:"quiet"`    // since when nothing is wrong; zero while something is
	Ended    time.Time        `json:"ended"`    // zero while it lasts
	Rejected int              `json:"rejected"` // in all of it
	Expired  int              `json:"expired"`  // in all of it
	Why      string           `json:"why"`      // the latest reason
	Told     map[string]Stage `json:"told"`     // by the name of the way
	lanes    []Lane           // as they are now, the oldest event first
	at       time.Time        // when that was looked at
}

// stage is what every way should know of the outage; "" for nothing yet.
func (o *Outage) stage() Stage {
	switch {
	case !o.Ended.IsZero():
		return Resolved
	case !o.Called.IsZero():
		return Firing
	}
	return ""
}

// Judge says which outages there are, by those that there were and the facts. It changes
// neither. Outages that have ended stay as they are.
func Judge(before []Outage, f Facts, after time.Duration) []Outage {
	var now []Outage
	open := map[string]bool{}
	for _, o := range before {
		if o.Ended.IsZero() {
			open[o.Upstream] = true
			o.Told = maps.Clone(o.Told)
			if !o.goOn(f, after) {
				continue
			}
		}
		now = append(now, o)
	}
	for _, upstream := range upstreamsOf(f) {
		if open[upstream] {
			continue
		}
		began := f.since(upstream, after, false)
		if began.IsZero() {
			continue
		}
		o := Outage{Upstream: upstream, Began: began, Seen: f.At, Told: map[string]Stage{}}
		o.goOn(f, after)
		now = append(now, o)
	}
	return now
}

// upstreamsOf are those of which the facts say something, "" among them.
func upstreamsOf(f Facts) []string {
	all := []string{""}
	for _, l := range f.Lanes {
		all = append(all, l.Upstream)
	}
	for _, d := range f.Dead {
		all = append(all, d.Upstream)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// since is when what is wrong with an upstream began; zero if nothing is. What waits in
// lanes that an operator has paused counts only if that is asked for.
func (f Facts) since(upstream string, after time.Duration, paused bool) (began time.Time) {
	if upstream == "" {
		if !f.TroubleSince.IsZero() && f.At.Sub(f.TroubleSince) >= min(after, storeWithin) {
			return f.TroubleSince
		}
		return time.Time{}
	}
	note := func(at time.Time) {
		if began.IsZero() || at.Before(began) {
			began = at
		}
	}
	for _, l := range f.Lanes {
		if l.Upstream == upstream && (paused || !l.Paused) && l.late(f.At, after) {
			note(l.Oldest)
		}
	}
	for _, d := range f.Dead {
		if d.Upstream == upstream {
			note(d.At)
		}
	}
	return began
}

func (l Lane) late(now time.Time, after time.Duration) bool {
	return !l.Oldest.IsZero() && now.Sub(l.Oldest) > after
}

// goOn brings an outage that has not ended up to date. It reports false for one that
// never was one: what had waited for too long has left before it was sure. A lane that an
// operator pauses begins no outage; but to pause one does not end the outage in which it is.
func (o *Outage) goOn(f Facts, after time.Duration) bool {
	wrong := !f.since(o.Upstream, after, !o.Called.IsZero()).IsZero()
	given := o.takeOver(f, wrong)
	switch {
	case o.Called.IsZero() && (given || wrong && o.Upstream == "" || wrong && f.At.Sub(o.Seen) >= min(after, confirmAfter)):
		o.Called = f.At
	case o.Called.IsZero():
		return wrong
	}
	switch {
	case wrong:
		o.Quiet = time.Time{}
	case o.Quiet.IsZero():
		o.Quiet = f.At
	case f.At.Sub(o.Quiet) >= after:
		o.Ended = f.At
	}
	return true
}

// takeOver notes the facts about an outage, and whether an event was given up.
func (o *Outage) takeOver(f Facts, wrong bool) (given bool) {
	o.at, o.lanes = f.At, nil
	if o.Upstream == "" {
		if wrong {
			o.Why = f.Trouble
		}
		return false
	}
	for _, l := range f.Lanes {
		if l.Upstream == o.Upstream && !l.Oldest.IsZero() {
			o.lanes = append(o.lanes, l)
		}
	}
	slices.SortFunc(o.lanes, func(a, b Lane) int { return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(a.Name, b.Name)) })
	if len(o.lanes) > 0 && o.lanes[0].Why != "" {
		o.Why = o.lanes[0].Why
	}
	for _, d := range f.Dead {
		if d.Upstream == o.Upstream {
			o.Rejected += d.Rejected
			o.Expired += d.Expired
			given = true
			if o.Why == "" || len(o.lanes) == 0 {
				o.Why = d.Why
			}
		}
	}
	return given
}
