package insight

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// How many lanes status, console and metrics show: so many in trouble, and so many of
// the others. The rest is counted, and listed page by page.
const (
	maxTrouble = 200
	maxBusiest = 200
)

// Standing is all that is known of a lane.
type Standing struct {
	Lane   queue.Lane
	Named  Named // empty until [Insight.name]: to look up the name of every lane costs more than all the rest
	Count  queue.Count
	Status lane.Status
	Page   outlook.Page // how late a critical event would be
	Open   int          // of a lane that retires, the incidents that are open by its key, at most maxOpen
	Unsure bool         // more of them may be open: what the store remembered of some was lost
}

// maxOpen is up to how many open incidents of a lane are counted.
const maxOpen = 1000

// Snapshot is how the lanes stood at one moment: those that have something to do, or had
// last. Its readers share it and do not change it.
type Snapshot struct {
	At      time.Time
	Totals  Totals     // over all lanes
	Trouble []Standing // the lanes in trouble, the most severe trouble first, at most maxTrouble
	Busiest []Standing // of the other lanes, at most maxBusiest

	all  []Standing    // every lane that was looked at, by ID
	byID map[int64]int // place in all
	rest []*Standing   // those of all that are neither in Trouble nor in Busiest

	refuses        error           // why no event is accepted; nil if events are
	upstreams      []lane.Upstream // that lanes send to
	oldestCritical time.Time       // acceptance of the oldest critical event that is queued; zero for none
}

// Totals are counts over all lanes.
type Totals struct {
	Lanes       int         `json:"lanes"`
	InTrouble   int         `json:"in_trouble"` // lanes
	Paused      int         `json:"paused"`     // lanes that an operator has paused
	Queued      Severities  `json:"queued"`
	InFlight    int         `json:"in_flight"`
	DeadLetters DeadLetters `json:"dead_letters"`
}

// DeadLetters are events that wait for an operator's decision.
type DeadLetters struct {
	Rejected int `json:"rejected"`
	Expired  int `json:"expired"`
}

// Snapshot returns how the lanes stand, at most a second ago.
func (i *Insight) Snapshot(ctx context.Context) (*Snapshot, error) {
	return i.snapshot.get(ctx, func(ctx context.Context) (Snapshot, error) { return i.look(ctx, maxBusiest) })
}

// Changed makes the next reader look anew: an operator wants to see what he did.
// What the scheduler says of its lanes stays for its second all the same, as it is
// stopped while it says it.
func (i *Insight) Changed() {
	i.snapshot.forget()
	i.everything.forget()
	i.groups.forget()
}

// look asks for the lanes that have something to do, and for so many of the others.
func (i *Insight) look(ctx context.Context, others int) (Snapshot, error) {
	s := Snapshot{At: i.o.Now(), refuses: i.o.Accepting()}
	statuses, err := i.statuses.get(ctx, func(context.Context) ([]lane.Status, error) { return i.o.Statuses(), nil })
	if err != nil {
		return s, fmt.Errorf("ask the scheduler: %w", err)
	}
	open := make([]int64, 0, len(*statuses))
	for _, status := range *statuses {
		open = append(open, status.Lane)
	}
	overview, err := i.o.Store.Overview(ctx, open, others)
	if err != nil {
		return s, fmt.Errorf("count what is queued: %w", err)
	}
	s.Totals.Lanes = overview.Total
	s.all, s.byID = make([]Standing, len(overview.Lanes)), make(map[int64]int, len(overview.Lanes))
	for at, l := range overview.Lanes {
		s.all[at] = Standing{Lane: l.Lane, Count: l.Count}
		s.byID[l.Lane.ID] = at
	}
	for _, status := range *statuses {
		if at, ok := s.byID[status.Lane]; ok {
			s.all[at].Status = status
		}
	}
	s.upstreams = i.o.Upstreams()
	s.sum(i.o.Prospect)
	s.choose(i.name)
	return s, ctx.Err()
}

// name adds what the configuration knows of a lane, and what the scheduler does of one
// in which it has nothing to do. The configuration says the limit if that is nothing.
func (i *Insight) name(s *Standing) {
	s.Named = i.o.Describe(s.Lane.Key)
	s.Named.Upstream = cmp.Or(s.Lane.Upstream, s.Named.Upstream)
	if s.Named.Retiring {
		var err error
		s.Open, s.Unsure, err = i.o.Store.OpenBy(context.Background(), s.Lane.ID, maxOpen)
		s.Unsure = s.Unsure || err != nil
	}
	if s.Status.Lane == 0 {
		status, ok := i.o.Status(s.Lane.ID)
		if !ok {
			status = i.o.Prospect(s.Lane)
		}
		s.Status = status
		s.settle()
		s.judge(i.o.Now(), i.o.Accepting())
	}
	if limit := s.Named.Limit; s.Status.Limit == 0 && limit > 0 {
		s.Status.Limit, s.Status.Start, s.Status.Learned = limit, s.Named.Start, cmp.Or(s.Named.Start, limit)
		if s.Lane.Learned > 0 {
			s.Status.Learned = min(s.Lane.Learned, limit)
		}
	}
}

// sum settles each lane's condition, judges it and adds the lanes up. Those that were not
// looked at have nothing queued.
func (s *Snapshot) sum(prospect func(queue.Lane) lane.Status) {
	for at := range s.all {
		one := &s.all[at]
		if one.Status.Condition == "" && (one.Count.Total() > 0 || !one.Lane.KeyRefused.IsZero()) { // the scheduler does not have it open
			one.Status = prospect(one.Lane)
		}
		one.settle()
		one.judge(s.At, s.refuses)
		if one.Lane.Held {
			s.Totals.Paused++
		}
		if one.InTrouble() {
			s.Totals.InTrouble++
		}
		s.Totals.Queued.add(one.Count.Waiting)
		s.Totals.InFlight += one.Status.InFlight
		s.Totals.DeadLetters.Rejected += one.Count.Refused
		s.Totals.DeadLetters.Expired += one.Count.Expired
		if at := one.Count.OldestCritical; !at.IsZero() && (s.oldestCritical.IsZero() || at.Before(s.oldestCritical)) {
			s.oldestCritical = at
		}
	}
}

// choose picks the lanes that are shown, and names them. Of the others those are named
// whose backlog is told: its forecast needs their limit.
func (s *Snapshot) choose(name func(*Standing)) {
	var trouble, others []*Standing
	for at := range s.all {
		if one := &s.all[at]; one.InTrouble() {
			trouble = append(trouble, one)
		} else {
			others = append(others, one)
		}
	}
	slices.SortFunc(trouble, func(a, b *Standing) int {
		return cmp.Or(cmp.Compare(b.stuck(s.At), a.stuck(s.At)), cmp.Compare(b.severity(), a.severity()), cmp.Compare(b.Count.Waiting[queue.Critical], a.Count.Waiting[queue.Critical]), busier(a, b))
	})
	slices.SortFunc(others, busier)
	take := func(from []*Standing, most int) []Standing {
		most = min(len(from), most)
		taken := make([]Standing, 0, most)
		for _, one := range from[:most] {
			name(one)
			taken = append(taken, *one)
		}
		for _, one := range from[most:] {
			if one.Status.Limit == 0 && one.Count.Total() > 0 {
				name(one)
			}
			s.rest = append(s.rest, one)
		}
		return taken
	}
	s.Trouble, s.Busiest = take(trouble, maxTrouble), take(others, maxBusiest)
}

// busier puts the lane first that has more to do, or had in the last minute.
func busier(a, b *Standing) int {
	return cmp.Or(cmp.Compare(b.Count.Total(), a.Count.Total()), cmp.Compare(b.Status.InFlight, a.Status.InFlight),
		cmp.Compare(b.Status.Used, a.Status.Used), cmp.Compare(b.Count.Refused+b.Count.Expired, a.Count.Refused+a.Count.Expired),
		cmp.Compare(a.Lane.ID, b.Lane.ID))
}

// Shown are the lanes that status and metrics show by name, those in trouble first.
func (s *Snapshot) Shown() []Standing {
	return append(s.Trouble[:len(s.Trouble):len(s.Trouble)], s.Busiest...)
}

// of is how a lane stands; its own row may be newer than the snapshot.
func (s *Snapshot) of(l queue.Counted) Standing {
	standing := Standing{Count: l.Count}
	if at, ok := s.byID[l.Lane.ID]; ok {
		standing = s.all[at]
	}
	standing.Lane = l.Lane
	standing.settle()
	return standing
}

// Upstreams are what lanes send to.
func (s *Snapshot) Upstreams() []lane.Upstream { return s.upstreams }

// Rest are the lanes that are not shown and were looked at all the same.
func (s *Snapshot) Rest() []*Standing { return s.rest }

// Idle is how many lanes were not looked at, as they have nothing to do, and how they all
// stand: what they send to is not known, so the worst is taken.
func (s *Snapshot) Idle() (int, Standing) {
	idle := Standing{Status: lane.Status{Condition: lane.Idle}}
	for _, u := range s.upstreams {
		if u.Failing() {
			idle.Status.Upstream = u
		}
	}
	idle.judge(s.At, s.refuses)
	return s.Totals.Lanes - len(s.all), idle
}

// InTrouble reports whether somebody should look at the lane: it does not deliver, or
// has dead letters.
func (s Standing) InTrouble() bool { return s.severity() > 0 }

// severity is how bad the trouble of a lane is; 0 for none. First comes what lets no
// page through, until somebody acts; last what waits for a decision only.
func (s Standing) severity() int {
	switch {
	case s.Status.KeyRefused:
		return 7
	case s.Status.Condition == lane.Unreachable, s.Status.Condition == lane.Stopped:
		return 6
	case s.Status.Condition == lane.Failing:
		return 5
	case s.Status.Condition == lane.Throttled:
		return 4
	case s.Status.Condition == lane.Paused:
		return 3
	case s.Status.Condition == lane.AtLimit:
		return 2
	case s.Count.Refused > 0 || s.Count.Expired > 0:
		return 1
	}
	return 0
}

// judge says how late a critical event would be. That is unknown while none is accepted:
// the scheduler hears of a broken store only when it has something to do.
func (s *Standing) judge(now time.Time, refuses error) {
	s.Status.StoreFailing = s.Status.StoreFailing || refuses != nil
	s.Page = outlook.Of(s.Status, s.Count, now)
}

// headline judges the whole relay as it stood at the snapshot.
func (i *Insight) headline(s *Snapshot, lateAfter time.Duration) outlook.Headline {
	r := outlook.Relay{
		Now: s.At, LateAfter: lateAfter, Refuses: i.o.Accepting(), Upstreams: s.upstreams, Lanes: make([]outlook.Lane, len(s.all)),
		Dead: max(s.Totals.DeadLetters.Rejected+s.Totals.DeadLetters.Expired, i.o.Store.Usage().Dead),
		Name: func(at int) outlook.Name {
			one := s.all[at]
			named := i.o.Describe(one.Lane.Key)
			named.Upstream = cmp.Or(one.Lane.Upstream, named.Upstream)
			return outlook.Name{Lane: named.Name, Upstream: named.Upstream, By: one.Lane.HeldBy.Who}
		},
	}
	for at, one := range s.all {
		r.Lanes[at] = outlook.Lane{Page: one.Page, Condition: one.Status.Condition, Count: one.Count, Upstream: one.Status.Upstream.Name}
	}
	return outlook.Judge(r)
}

// Headline is one judgement of the whole relay: whether pages leave.
func (i *Insight) Headline(ctx context.Context, lateAfter time.Duration) (outlook.Headline, error) {
	snapshot, err := i.Snapshot(ctx)
	if err != nil {
		return outlook.Headline{}, err
	}
	return i.headline(snapshot, lateAfter), nil
}

// stuck is 1 for a lane in which a critical event waits that does not leave: such a lane
// comes before all others, whatever the trouble of those is called.
func (s Standing) stuck(now time.Time) int {
	if !s.Page.Staying().Known() && s.Count.Waiting[queue.Critical] > 0 && Since(now, s.Count.OldestCritical) >= outlook.Overdue.Seconds() {
		return 1
	}
	return 0
}

// settle makes the condition what the store says where the scheduler has not heard
// of it yet: it meets a lane with its first event, and learns of a pause a moment
// after the operator got his answer.
func (s *Standing) settle() {
	if s.Status.Condition == "" { // the scheduler does not have it open
		s.Status.KeyRefused = !s.Lane.KeyRefused.IsZero()
	}
	switch {
	case s.Lane.Held:
		s.Status.Condition, s.Status.Until = lane.Paused, time.Time{}
	case s.Status.Condition == lane.Stopped && s.Count.Total() == 0: // the next event follows the configuration
		s.Status.Condition = lane.Idle
	case s.Status.Condition != "" && s.Status.Condition != lane.Paused && s.Status.Condition != lane.Idle:
	case s.Count.Total() > 0: // also what failed and waits for its next attempt
		s.Status.Condition = lane.Delivering
	default:
		s.Status.Condition = lane.Idle
	}
}
