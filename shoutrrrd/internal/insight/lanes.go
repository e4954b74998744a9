package insight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Lane is a lane as people see it.
type Lane struct {
	ID          string         `json:"id"` // its number, which no other lane ever has
	Name        string         `json:"name"`
	Fingerprint string         `json:"fingerprint"`
	Pool        string         `json:"pool,omitempty"`
	Upstream    string         `json:"upstream"`
	Condition   lane.Condition `json:"condition"`
	Text        string         `json:"text"`
	Words       string         `json:"-"` // the condition, for pages that show times in a way of their own
	Until       Stamp          `json:"until,omitzero"`
	Limit       int            `json:"limit"`
	Start       int            `json:"start,omitempty"` // with rate: auto, what it begins with of that
	Learned     int            `json:"learned"`
	Used        int            `json:"used"`
	InFlight    int            `json:"in_flight"`
	Throttled   int            `json:"throttled"`
	Attempts    int            `json:"attempts"`
	Waiting     Severities     `json:"waiting"`
	Queued      int            `json:"queued"`
	OldestAt    Stamp          `json:"oldest_at,omitzero"`
	Oldest      *float64       `json:"oldest_s,omitempty"`
	Delivered   int            `json:"delivered"`
	Refused     int            `json:"refused"`
	Expired     int            `json:"expired"`
	KeyRefused  bool           `json:"key_refused"`
	InTrouble   bool           `json:"in_trouble"` // it does not flow, or has dead letters
	EmptyIn     *float64       `json:"empty_in_s,omitempty"`
	TimeToPage  *float64       `json:"time_to_page_s,omitempty"` // left out while it is unknown
	Unknown     outlook.Reason `json:"time_to_page_unknown,omitempty"`
	Cause       string         `json:"time_to_page_why,omitempty"`       // the same in words
	PageBy      string         `json:"time_to_page_by,omitempty"`        // the lane of its pool by which a new incident leaves instead
	Staying     *float64       `json:"time_to_page_staying_s,omitempty"` // beside PageBy: of what has to stay in the lane; left out while it is unknown
	OldestPage  *float64       `json:"oldest_critical_s,omitempty"`
	Failing     *Failing       `json:"failing,omitempty"`
	HeldBy      *By            `json:"held_by,omitempty"`
	Retiring    bool           `json:"retiring,omitempty"`     // another key takes the place of its own
	Open        *int           `json:"open,omitempty"`         // of a retiring lane, the incidents that are open by its key, or may be; at most 1,000
	Unsure      bool           `json:"open_unknown,omitempty"` // more incidents may be open than Open: what the store remembered of some was lost
	Removable   bool           `json:"safe_to_remove,omitempty"`
}

// Failing is what has failed since the last acceptance.
type Failing struct {
	Since    Stamp        `json:"since"`
	Failures int          `json:"failures"`
	Kind     lane.Failure `json:"kind"`
	Status   int          `json:"status,omitempty"` // of the last answer
	Error    string       `json:"last_error"`
}

func (i *Insight) failing(r lane.Record) *Failing {
	if r.Failures == 0 {
		return nil
	}
	return &Failing{Since: i.Stamp(r.Since), Failures: r.Failures, Kind: r.Kind, Status: r.Status, Error: r.Why}
}

// Severities are numbers by severity.
type Severities struct {
	Critical int `json:"critical"`
	Error    int `json:"error"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
}

func (v *Severities) add(w [queue.Ranks]int) {
	v.Critical += w[queue.Critical]
	v.Error += w[queue.Error]
	v.Warning += w[queue.Warning]
	v.Info += w[queue.Info]
}

// Total is the sum of all severities.
func (v Severities) Total() int { return v.Critical + v.Error + v.Warning + v.Info }

// By is who paused a lane, why and when.
type By struct {
	Who string `json:"who"`
	Why string `json:"why,omitempty"`
	At  Stamp  `json:"at"`
}

// Usual is what is used of the limit where no answer of PagerDuty's has taught otherwise.
func (l Lane) Usual() int { return cmp.Or(l.Start, l.Limit) }

func (i *Insight) standing(s *Standing, now time.Time) Lane {
	w := s.Count.Waiting
	v := Lane{
		ID: laneID(s.Lane.ID), Name: s.Named.Name, Fingerprint: s.Lane.Key.Fingerprint(), Pool: s.Named.Pool, Upstream: s.Named.Upstream,
		Condition: s.Status.Condition, Text: i.text(s, now), Words: outlook.Words(s.Status, i.nameOf(s), now), Until: i.Stamp(s.Status.Until),
		Limit: s.Status.Limit, Learned: s.Status.Learned, Used: s.Status.Used,
		InFlight: s.Status.InFlight, Throttled: s.Status.Throttled, Attempts: s.Status.Attempts,
		Waiting:   Severities{w[queue.Critical], w[queue.Error], w[queue.Warning], w[queue.Info]},
		Queued:    s.Count.Total(),
		OldestAt:  i.Stamp(s.Count.Oldest),
		Delivered: s.Count.Delivered, Refused: s.Count.Refused, Expired: s.Count.Expired,
		KeyRefused: s.Status.KeyRefused, InTrouble: s.InTrouble(),
	}
	if s.Status.Start < s.Status.Limit {
		v.Start = s.Status.Start
	}
	if !s.Count.Oldest.IsZero() {
		v.Oldest = new(Since(now, s.Count.Oldest))
	}
	if empty, ok := s.Forecast(now); ok {
		v.EmptyIn = new(Seconds(empty))
	}
	v.Cause = s.Page.Cause(i.nameOf(s))
	if v.Unknown = s.Page.Reason; s.Page.Known() {
		v.TimeToPage = new(Seconds(s.Page.Late))
	}
	if s.Page.By != 0 {
		v.PageBy = laneID(s.Page.By)
		if stays := s.Page.Staying(); stays.Known() {
			v.Staying = new(Seconds(stays.Late))
		}
	}
	if at := s.Count.OldestCritical; w[queue.Critical] > 0 && !at.IsZero() {
		v.OldestPage = new(Since(now, at))
	}
	if v.Retiring = s.Named.Retiring; v.Retiring {
		v.Open = new(s.Open)
		v.Unsure = s.Unsure
		v.Removable = s.removable()
	}
	v.Failing = i.failing(s.Status.Record)
	if s.Status.Condition == lane.Unreachable {
		v.Failing = i.failing(s.Status.Upstream.Record)
	}
	if s.Lane.Held {
		v.HeldBy = &By{Who: s.Lane.HeldBy.Who, Why: s.Lane.HeldBy.Why, At: i.Stamp(s.Lane.HeldBy.At)}
	}
	return v
}

func (i *Insight) nameOf(s *Standing) outlook.Name {
	return outlook.Name{Lane: s.Named.Name, Upstream: s.Named.Upstream, By: s.Lane.HeldBy.Who, Date: i.o.Date}
}

// Forecast is when nothing waits any more, if that can be told.
func (s Standing) Forecast(now time.Time) (time.Duration, bool) {
	if s.Count.Total() == 0 {
		return 0, true
	}
	if s.Status.Learned == 0 { // the scheduler has not met the lane yet
		return 0, false
	}
	return s.Status.Forecast(s.Count, now)
}

// text says what the lane does, for people.
func (i *Insight) text(s *Standing, now time.Time) string {
	clock := func(at time.Time) string { return outlook.Clock(i.o.Date(now), i.o.Date(at)) }
	words := outlook.Words(s.Status, i.nameOf(s), now)
	until := func(what string) string {
		if s.Status.Until.IsZero() { // it is not known
			return ""
		}
		return what + clock(s.Status.Until)
	}
	switch s.Status.Condition {
	case lane.Paused:
		if by := s.Lane.HeldBy; by.Who != "" && by.Why != "" {
			words += ": " + by.Why
		}
	case lane.Stopped:
		words += "; what is queued was accepted for it, and waits until the configuration names it again for the key, or shoutrrr queue move has it leave by the one that is named"
	case lane.Unreachable:
		words += until("; the next attempt is at ")
	case lane.KeyRejected:
		return words + s.tries(until("; the next attempt is at ")) + s.retires()
	case lane.Failing:
		r := s.Status.Record
		if words += "; "; !r.Since.IsZero() {
			words += "since " + clock(r.Since) + ", "
		}
		words += times(r.Failures) + ": " + r.Why
	case lane.AtLimit:
		if !s.Status.Together {
			words += fmt.Sprintf(": %d of %d events have left in the last 60 s", s.Status.Used, s.Status.Learned)
		}
		words += until("; the next one leaves at ")
	case lane.Delivering:
		words = "delivering"
	case lane.Idle:
		words = "nothing is queued"
	}
	if s.Status.KeyRefused {
		words += "; PagerDuty rejects the key"
	}
	return words + s.retires()
}

// tries says when a rejected key is tried again: then, if that is known.
func (s Standing) tries(then string) string {
	switch {
	case then != "", s.Status.Sister != nil:
		return then
	case s.Status.InFlight > 0:
		return "; an event tries it now"
	}
	return "; the next event tries it"
}

// removable reports whether it is known that nothing needs the key of a retiring lane any
// more.
func (s Standing) removable() bool { return s.Open == 0 && !s.Unsure && s.Count.Total() == 0 }

// retires says how far a lane is whose key another one takes the place of.
func (s Standing) retires() string {
	switch {
	case !s.Named.Retiring:
		return ""
	case s.Unsure:
		return fmt.Sprintf("; its key retires: %d known to be open, others unknown, as the relay has lost what it remembered of some; look at PagerDuty before you remove it", s.Open)
	case s.removable():
		return "; its key retires: nothing is open or queued, it is safe to remove"
	case s.Open >= maxOpen:
		return fmt.Sprintf("; its key retires: %d or more open, then safe to remove", maxOpen)
	}
	return fmt.Sprintf("; its key retires: %d open, then safe to remove", s.Open)
}

// times counts attempts.
func times(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

func (i *Insight) standings(all []Standing, now time.Time) []Lane {
	list := make([]Lane, 0, len(all))
	for at := range all {
		list = append(list, i.standing(&all[at], now))
	}
	return list
}

// stands tells how a lane stands.
func (i *Insight) stands(ctx context.Context, id int64) (Lane, error) {
	snapshot, err := i.Snapshot(ctx)
	if err != nil {
		return Lane{}, err
	}
	l, err := i.o.Store.Counted(ctx, id)
	if errors.Is(err, queue.ErrNotFound) { // forgotten since it was found
		return Lane{}, ErrNoLane
	}
	if err != nil {
		return Lane{}, fmt.Errorf("count what is queued: %w", err)
	}
	if _, known := snapshot.byID[id]; !known && l.Count.Total() > 0 { // its first event came within the last second
		i.snapshot.forget()
		if snapshot, err = i.Snapshot(ctx); err != nil {
			return Lane{}, err
		}
	}
	s := snapshot.of(l)
	i.name(&s)
	return i.standing(&s, i.o.Now()), nil
}

// Status is the relay at a glance.
type Status struct {
	Version        string   `json:"version"`
	StartedAt      Stamp    `json:"started_at"`
	Now            Stamp    `json:"now"`
	Accepting      bool     `json:"accepting"`        // critical events
	Reason         string   `json:"reason,omitempty"` // why not
	Full           string   `json:"full,omitempty"`   // why no others are accepted
	Queued         int      `json:"queued"`
	Dead           int      `json:"dead"`
	Headline       Headline `json:"headline"`
	TimeToPage     *float64 `json:"time_to_page_s,omitempty"` // left out while it is unknown
	OldestCritical *float64 `json:"oldest_critical_s,omitempty"`
	Help           []Call   `json:"help"` // called for, while an outage lasts
	Quarantined    []string `json:"quarantined"`
	Config         Config   `json:"config"`
	Disk           Disk     `json:"disk"`
	Totals         Totals   `json:"totals"`    // over all lanes
	Lanes          []Lane   `json:"lanes"`     // those in trouble first, then the busiest; at most 200 of each
	NotShown       NotShown `json:"not_shown"` // what is left out of Lanes
}

// Headline is whether pages leave, in one word, in one sentence, and what that is made of.
type Headline struct {
	State    outlook.State  `json:"state"` // leaving, late, not_leaving
	Sentence string         `json:"sentence"`
	Why      string         `json:"why,omitempty"`
	Unknown  outlook.Reason `json:"time_to_page_unknown,omitempty"`
	Critical int            `json:"critical"`
	Stuck    int            `json:"stuck"`
	Waited   *float64       `json:"waited_s,omitempty"`
	Lanes    int            `json:"lanes"`  // that would not send a page now
	Paused   int            `json:"paused"` // of these, by an operator
	Failing  []Trouble      `json:"failing"`
}

// Trouble is an upstream that has accepted nothing since attempts began to fail.
type Trouble struct {
	Upstream string `json:"upstream"`
	Lanes    int    `json:"lanes"`        // that send to it
	Failed   int    `json:"failed_lanes"` // of these, attempts of which have failed since it last accepted anything
	Since    Stamp  `json:"since,omitzero"`
	Failures int    `json:"failures"`
	Cause    string `json:"cause"`
	Error    string `json:"last_error,omitempty"`
	Next     Stamp  `json:"next,omitzero"`
}

func (i *Insight) viewOf(h outlook.Headline) Headline {
	v := Headline{
		State: h.State, Sentence: h.Sentence, Why: h.Why, Unknown: h.Page.Reason, Critical: h.Critical, Stuck: h.Stuck, Lanes: h.Lanes, Paused: h.Paused,
		Failing: make([]Trouble, 0, len(h.Failing)),
	}
	if h.Critical > 0 {
		v.Waited = new(Seconds(h.Waited))
	}
	for _, t := range h.Failing {
		v.Failing = append(v.Failing, Trouble{Upstream: t.Upstream, Lanes: t.Lanes, Failed: t.Failed, Since: i.Stamp(t.Since), Failures: t.Failures, Cause: t.Cause, Error: t.Last, Next: i.Stamp(t.Next)})
	}
	return v
}

// Disk is what the queue takes of its disk.
type Disk struct {
	File    int64   `json:"file_bytes"`
	WAL     int64   `json:"wal_bytes"`
	Free    int64   `json:"free_bytes"`  // of the file system
	Limit   int64   `json:"limit_bytes"` // of file and write-ahead log together
	Hanging float64 `json:"hanging_s"`   // how long the disk has not answered; clients get 503 from 5 s on
	Evicted int     `json:"dead_letters_evicted"`
	GivenUp int     `json:"events_given_up"` // of unknown keys that PagerDuty rejects and whose lane made room
}

// NotShown counts lanes that a bounded list leaves out.
type NotShown struct {
	Lanes     int `json:"lanes"`
	InTrouble int `json:"in_trouble"` // of them
}

// Config is how the configuration was read.
type Config struct {
	LoadedAt Stamp  `json:"loaded_at"`
	Error    string `json:"error,omitempty"`
}

// Status tells how the relay stands.
func (i *Insight) Status(ctx context.Context) (Status, error) {
	return i.StatusLate(ctx, outlook.LateAfter)
}

// StatusLate is Status with another bound on how long a critical event may be queued.
func (i *Insight) StatusLate(ctx context.Context, lateAfter time.Duration) (Status, error) {
	snapshot, err := i.Snapshot(ctx)
	if err != nil {
		return Status{}, err
	}
	now := i.o.Now()
	config, help := i.o.Config(), []Call{}
	if i.o.Calls != nil {
		help = append(help, i.o.Calls()...)
	}
	shown, totals := snapshot.Shown(), snapshot.Totals
	v := Status{
		Version: i.o.Version, StartedAt: i.Stamp(i.o.Started), Now: i.Stamp(now), Accepting: true,
		Queued: totals.Queued.Total(), Dead: totals.DeadLetters.Rejected + totals.DeadLetters.Expired,
		Help:        help,
		Quarantined: append([]string{}, i.o.Store.Quarantined()...),
		Config:      Config{LoadedAt: Stamp{config.At}}, Totals: totals, Lanes: i.standings(shown, now),
		NotShown: NotShown{Lanes: totals.Lanes - len(shown), InTrouble: totals.InTrouble - len(snapshot.Trouble)},
	}
	u := i.o.Store.Usage()
	v.Disk = Disk{File: u.File, WAL: u.WAL, Free: u.Free, Limit: u.Limit, Hanging: Seconds(u.Hanging), Evicted: u.Evicted, GivenUp: u.GivenUp}
	if u.Full != nil {
		v.Full = u.Full.Error()
	}
	v.Dead = max(v.Dead, u.Dead) // the lanes of some are forgotten
	if config.Err != nil {
		v.Config.Error = config.Err.Error()
	}
	if err := i.o.Accepting(); err != nil {
		v.Accepting, v.Reason = false, err.Error()
	}
	h := i.headline(snapshot, lateAfter)
	if v.Headline = i.viewOf(h); h.Page.Known() {
		v.TimeToPage = new(Seconds(h.Page.Late))
	}
	if !snapshot.oldestCritical.IsZero() {
		v.OldestCritical = new(Since(now, snapshot.oldestCritical))
	}
	return v, nil
}

// LaneShape is what waits in a lane by severity and age.
type LaneShape struct {
	Name        string           `json:"name"`
	Fingerprint string           `json:"fingerprint"`
	Counts      map[string][]int `json:"counts"`
}

// Shape is what waits, by lane, severity and age.
type Shape struct {
	Ages     []int       `json:"ages_s"`              // the upper ends of the columns; a last one holds what is older
	Lanes    []LaneShape `json:"lanes"`               // the 200 lanes with the most queued events
	NotShown int         `json:"not_shown,omitempty"` // the other lanes that have something queued
}

// Shape measures what is queued. It reads all of it, for all who ask at the same time
// once.
func (i *Insight) Shape(ctx context.Context) (Shape, error) {
	shapes, err := i.shapes.get(ctx, func(ctx context.Context) ([]queue.Shape, error) {
		return i.o.Store.Shapes(ctx, i.o.Now())
	})
	if err != nil {
		return Shape{}, fmt.Errorf("measure the queue: %w", err)
	}
	shape := Shape{Lanes: []LaneShape{}}
	for _, age := range queue.AgeBuckets {
		shape.Ages = append(shape.Ages, int(age.Seconds()))
	}
	for _, s := range largest(*shapes) {
		l, err := i.laneOf(ctx, s.Lane)
		if err != nil {
			return shape, err
		}
		v := LaneShape{Name: i.o.Describe(l.Key).Name, Fingerprint: l.Key.Fingerprint(), Counts: map[string][]int{}}
		for rank := range queue.Rank(queue.Ranks) {
			v.Counts[rank.String()] = s.Counts[rank]
		}
		shape.Lanes = append(shape.Lanes, v)
	}
	shape.NotShown = len(*shapes) - len(shape.Lanes)
	return shape, nil
}

// largest are the lanes with the most queued events, in their old order.
func largest(shapes []queue.Shape) []queue.Shape {
	if len(shapes) <= maxBusiest {
		return shapes
	}
	totals := make(map[int64]int, len(shapes))
	for i := range shapes {
		totals[shapes[i].Lane] = shapes[i].Total()
	}
	sorted := slices.Clone(shapes)
	slices.SortFunc(sorted, func(a, b queue.Shape) int {
		return cmp.Or(cmp.Compare(totals[b.Lane], totals[a.Lane]), cmp.Compare(a.Lane, b.Lane))
	})
	sorted = sorted[:maxBusiest]
	slices.SortFunc(sorted, func(a, b queue.Shape) int { return cmp.Compare(a.Lane, b.Lane) })
	return sorted
}
