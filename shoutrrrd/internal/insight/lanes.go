package insight

import (
	"context"
	"fmt"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Standing is all that is known of a lane.
type Standing struct {
	Lane   queue.Lane
	Named  Named
	Count  queue.Count
	Status lane.Status
}

// Standings tells how every lane stands.
func (i *Insight) Standings(ctx context.Context) ([]Standing, error) {
	lanes, err := i.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	counts, err := i.o.Store.Counts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count what waits: %w", err)
	}
	countOf := make(map[int64]queue.Count, len(counts))
	for _, c := range counts {
		countOf[c.Lane] = c
	}
	statusOf := map[int64]lane.Status{}
	for _, s := range i.o.Statuses() {
		statusOf[s.Lane] = s
	}
	all := make([]Standing, 0, len(lanes))
	for _, l := range lanes {
		s := Standing{Lane: l, Named: i.o.Describe(l.Key), Count: countOf[l.ID], Status: statusOf[l.ID]}
		s.settle()
		all = append(all, s)
	}
	return all, nil
}

// settle makes the condition what the store says where the scheduler has not heard
// of it yet: it meets a lane with its first event, and learns of a pause a moment
// after the operator got his answer.
func (s *Standing) settle() {
	switch {
	case s.Lane.Held:
		s.Status.Condition, s.Status.Until = lane.Held, time.Time{}
	case s.Status.Condition != "" && s.Status.Condition != lane.Held && s.Status.Condition != lane.Idle:
	case s.Count.Total() > 0: // also what failed and waits for its next attempt
		s.Status.Condition = lane.Flowing
	default:
		s.Status.Condition = lane.Idle
	}
}

// names tells how lanes are called.
func (i *Insight) names(ctx context.Context) (map[int64]queue.Lane, error) {
	lanes, err := i.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	byID := make(map[int64]queue.Lane, len(lanes))
	for _, l := range lanes {
		byID[l.ID] = l
	}
	return byID, nil
}

// LanesNamed returns the lanes of that name or fingerprint: several if a client
// writes a key in two cases of letters, which PagerDuty takes for two keys.
func (i *Insight) LanesNamed(ctx context.Context, name string) ([]queue.Lane, error) {
	lanes, err := i.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	var found []queue.Lane
	for _, l := range lanes {
		if i.o.Describe(l.Key).Name == name || l.Key.Fingerprint() == name {
			found = append(found, l)
		}
	}
	return found, nil
}

// Lane is a lane as people see it.
type Lane struct {
	Name        string         `json:"name"`
	Fingerprint string         `json:"fingerprint"`
	Pool        string         `json:"pool,omitempty"`
	Upstream    string         `json:"upstream"`
	Condition   lane.Condition `json:"condition"`
	Text        string         `json:"text"`
	Until       Stamp          `json:"until,omitzero"`
	Limit       int            `json:"limit"`
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
	EmptyIn     *float64       `json:"empty_in_s,omitempty"`
	TimeToPage  *float64       `json:"time_to_page_s,omitempty"`
	HeldBy      *By            `json:"held_by,omitempty"`
}

// Severities are numbers by severity.
type Severities struct {
	Critical int `json:"critical"`
	Error    int `json:"error"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
}

// By is who paused a lane, why and when.
type By struct {
	Who string `json:"who"`
	Why string `json:"why,omitempty"`
	At  Stamp  `json:"at"`
}

func (s Standing) view(now time.Time) Lane {
	w := s.Count.Waiting
	v := Lane{
		Name: s.Named.Name, Fingerprint: s.Lane.Key.Fingerprint(), Pool: s.Named.Pool, Upstream: s.Named.Upstream,
		Condition: s.Status.Condition, Text: s.text(), Until: Stamp{s.Status.Until},
		Limit: s.Status.Limit, Learned: s.Status.Learned, Used: s.Status.Used,
		InFlight: s.Status.InFlight, Throttled: s.Status.Throttled, Attempts: s.Status.Attempts,
		Waiting:   Severities{w[queue.Critical], w[queue.Error], w[queue.Warning], w[queue.Info]},
		Queued:    s.Count.Total(),
		OldestAt:  Stamp{s.Count.Oldest},
		Delivered: s.Count.Delivered, Refused: s.Count.Refused, Expired: s.Count.Expired,
		KeyRefused: s.Status.KeyRefused,
	}
	if !s.Count.Oldest.IsZero() {
		v.Oldest = new(Since(now, s.Count.Oldest))
	}
	if empty, ok := s.Forecast(now); ok {
		v.EmptyIn = new(Seconds(empty))
	}
	if late, ok := s.TimeToPage(); ok {
		v.TimeToPage = new(Seconds(late))
	}
	if s.Lane.Held {
		v.HeldBy = &By{Who: s.Lane.HeldBy.Who, Why: s.Lane.HeldBy.Why, At: Stamp{s.Lane.HeldBy.At}}
	}
	return v
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

// TimeToPage is how late a critical event would leave that is accepted now; an
// operator's pause has no end that anybody knows.
func (s Standing) TimeToPage() (time.Duration, bool) {
	return s.Status.TimeToPage, s.Status.Condition != lane.Held && s.Status.TimeToPage >= 0
}

// text says what the lane does, for people.
func (s Standing) text() string {
	at := s.Status.Until.UTC().Format(time.TimeOnly)
	words := ""
	switch s.Status.Condition {
	case lane.Held:
		words = "paused by an operator"
		if by := s.Lane.HeldBy; by.Who != "" {
			words = "paused by " + by.Who
			if by.Why != "" {
				words += ": " + by.Why
			}
		}
	case lane.UpstreamDown:
		words = s.Named.Upstream + " cannot be reached; the next try is at " + at
	case lane.Paused:
		words = "paused by a 429 until " + at
	case lane.Paced:
		words = fmt.Sprintf("%d of %d events have left in the last 60 s; the next one leaves at %s", s.Status.Used, s.Status.Learned, at)
	case lane.Flowing:
		words = "delivering"
	default:
		words = "nothing waits"
	}
	if s.Status.KeyRefused {
		words += "; PagerDuty refuses the key"
	}
	return words
}

// Lanes tells of every lane, in the order in which they were first used.
func (i *Insight) Lanes(ctx context.Context) ([]Lane, error) {
	all, err := i.Standings(ctx)
	return views(all, i.o.Now()), err
}

func views(all []Standing, now time.Time) []Lane {
	list := make([]Lane, 0, len(all))
	for _, s := range all {
		list = append(list, s.view(now))
	}
	return list
}

// Lane tells of the lane with that name or fingerprint, or ErrNoLane.
func (i *Insight) Lane(ctx context.Context, name string) (Lane, error) {
	all, err := i.Standings(ctx)
	if err != nil {
		return Lane{}, err
	}
	for _, s := range all {
		if s.Named.Name == name || s.Lane.Key.Fingerprint() == name {
			return s.view(i.o.Now()), nil
		}
	}
	return Lane{}, ErrNoLane
}

// LaneHistory tells what operators did to a lane, the latest first.
func (i *Insight) LaneHistory(ctx context.Context, name string) ([]Entry, error) {
	found, err := i.LanesNamed(ctx, name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	entries, err := i.o.Store.LaneHistory(ctx, found[0].ID)
	if err != nil {
		return nil, fmt.Errorf("read the lane's history: %w", err)
	}
	return told(entries), nil
}

// Status is the relay at a glance.
type Status struct {
	Version        string   `json:"version"`
	StartedAt      Stamp    `json:"started_at"`
	Now            Stamp    `json:"now"`
	Accepting      bool     `json:"accepting"`
	Reason         string   `json:"reason,omitempty"`
	Queued         int      `json:"queued"`
	Dead           int      `json:"dead"`
	TimeToPage     *float64 `json:"time_to_page_s,omitempty"`
	OldestCritical *float64 `json:"oldest_critical_s,omitempty"`
	Quarantined    []string `json:"quarantined"`
	Config         Config   `json:"config"`
	Lanes          []Lane   `json:"lanes"`
}

// Config is how the configuration was read.
type Config struct {
	LoadedAt Stamp  `json:"loaded_at"`
	Error    string `json:"error,omitempty"`
}

// Status tells how the relay stands.
func (i *Insight) Status(ctx context.Context) (Status, error) {
	all, err := i.Standings(ctx)
	if err != nil {
		return Status{}, err
	}
	now := i.o.Now()
	config := i.o.Config()
	v := Status{
		Version: i.o.Version, StartedAt: Stamp{i.o.Started}, Now: Stamp{now}, Accepting: true,
		Quarantined: append([]string{}, i.o.Store.Quarantined()...),
		Config:      Config{LoadedAt: Stamp{config.At}}, Lanes: views(all, now),
	}
	if config.Err != nil {
		v.Config.Error = config.Err.Error()
	}
	worst, known := worstTimeToPage(all)
	if err := i.o.Accepting(); err != nil {
		v.Accepting, v.Reason, known = false, err.Error(), false
	}
	if known {
		v.TimeToPage = new(Seconds(worst))
	}
	var oldest time.Time
	for _, s := range all {
		v.Queued += s.Count.Total()
		v.Dead += s.Count.Refused + s.Count.Expired
		if at := s.Count.OldestCritical; !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	if !oldest.IsZero() {
		v.OldestCritical = new(Since(now, oldest))
	}
	return v, nil
}

// worstTimeToPage is that of the slowest lane that nobody has paused; a paused one
// says so itself. Without lanes it is nothing.
func worstTimeToPage(all []Standing) (worst time.Duration, known bool) {
	known = len(all) == 0
	for _, s := range all {
		if late, ok := s.TimeToPage(); ok {
			worst, known = max(worst, late), true
		}
	}
	return worst, known
}

// LaneShape is what waits in a lane by severity and age.
type LaneShape struct {
	Name        string           `json:"name"`
	Fingerprint string           `json:"fingerprint"`
	Counts      map[string][]int `json:"counts"`
}

// Shape is what waits, by lane, severity and age.
type Shape struct {
	Ages  []int       `json:"ages_s"` // the upper ends of the columns; a last one holds what is older
	Lanes []LaneShape `json:"lanes"`
}

// Shape measures what waits. It reads all of it.
func (i *Insight) Shape(ctx context.Context) (Shape, error) {
	shape := Shape{Lanes: []LaneShape{}}
	lanes, err := i.names(ctx)
	if err != nil {
		return shape, err
	}
	shapes, err := i.o.Store.Shapes(ctx, i.o.Now())
	if err != nil {
		return shape, fmt.Errorf("measure the queue: %w", err)
	}
	for _, age := range queue.AgeBuckets {
		shape.Ages = append(shape.Ages, int(age.Seconds()))
	}
	for _, s := range shapes {
		key := lanes[s.Lane].Key
		v := LaneShape{Name: i.o.Describe(key).Name, Fingerprint: key.Fingerprint(), Counts: map[string][]int{}}
		for rank := range queue.Rank(queue.Ranks) {
			v.Counts[rank.String()] = s.Counts[rank]
		}
		shape.Lanes = append(shape.Lanes, v)
	}
	return shape, nil
}
