package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// standing is all that is known of a lane.
type standing struct {
	lane   queue.Lane
	named  Named
	count  queue.Count
	status lane.Status
}

// standings tells how every lane stands.
func (d *Door) standings(ctx context.Context) ([]standing, error) {
	lanes, err := d.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	counts, err := d.o.Store.Counts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count what waits: %w", err)
	}
	countOf := make(map[int64]queue.Count, len(counts))
	for _, c := range counts {
		countOf[c.Lane] = c
	}
	statusOf := map[int64]lane.Status{}
	for _, s := range d.o.Scheduler.Statuses() {
		statusOf[s.Lane] = s
	}
	all := make([]standing, 0, len(lanes))
	for _, l := range lanes {
		s := standing{lane: l, named: d.o.Describe(l.Key), count: countOf[l.ID], status: statusOf[l.ID]}
		s.settle()
		all = append(all, s)
	}
	return all, nil
}

// settle makes the condition what the store says where the scheduler has not heard
// of it yet: it meets a lane with its first event, and learns of a pause a moment
// after the operator got his answer.
func (s *standing) settle() {
	switch {
	case s.lane.Held:
		s.status.Condition, s.status.Until = lane.Held, time.Time{}
	case s.status.Condition != "" && s.status.Condition != lane.Held:
	case s.count.Total() > 0:
		s.status.Condition = lane.Flowing
	default:
		s.status.Condition = lane.Idle
	}
}

// names tells how lanes are called.
func (d *Door) names(ctx context.Context) (map[int64]queue.Lane, error) {
	lanes, err := d.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	byID := make(map[int64]queue.Lane, len(lanes))
	for _, l := range lanes {
		byID[l.ID] = l
	}
	return byID, nil
}

// lanesNamed returns the lanes of that name or fingerprint: several if a client
// writes a key in two cases of letters, which PagerDuty takes for two keys.
func (d *Door) lanesNamed(ctx context.Context, name string) ([]queue.Lane, error) {
	lanes, err := d.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	var found []queue.Lane
	for _, l := range lanes {
		if d.o.Describe(l.Key).Name == name || l.Key.Fingerprint() == name {
			found = append(found, l)
		}
	}
	return found, nil
}

// laneView is a lane in the API.
type laneView struct {
	Name        string         `json:"name"`
	Fingerprint string         `json:"fingerprint"`
	Pool        string         `json:"pool,omitempty"`
	Upstream    string         `json:"upstream"`
	Condition   lane.Condition `json:"condition"`
	Text        string         `json:"text"`
	Until       stamp          `json:"until,omitzero"`
	Limit       int            `json:"limit"`
	Learned     int            `json:"learned"`
	Used        int            `json:"used"`
	InFlight    int            `json:"in_flight"`
	Throttled   int            `json:"throttled"`
	Attempts    int            `json:"attempts"`
	Waiting     severities     `json:"waiting"`
	Queued      int            `json:"queued"`
	OldestAt    stamp          `json:"oldest_at,omitzero"`
	Oldest      *float64       `json:"oldest_s,omitempty"`
	Delivered   int            `json:"delivered"`
	Refused     int            `json:"refused"`
	Expired     int            `json:"expired"`
	KeyRefused  bool           `json:"key_refused"`
	EmptyIn     *float64       `json:"empty_in_s,omitempty"`
	TimeToPage  *float64       `json:"time_to_page_s,omitempty"`
	HeldBy      *byView        `json:"held_by,omitempty"`
}

// severities are numbers by severity.
type severities struct {
	Critical int `json:"critical"`
	Error    int `json:"error"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
}

type byView struct {
	Who string `json:"who"`
	Why string `json:"why,omitempty"`
	At  stamp  `json:"at"`
}

func (s standing) view(now time.Time) laneView {
	w := s.count.Waiting
	v := laneView{
		Name: s.named.Name, Fingerprint: s.lane.Key.Fingerprint(), Pool: s.named.Pool, Upstream: s.named.Upstream,
		Condition: s.status.Condition, Text: s.text(), Until: stamp{s.status.Until},
		Limit: s.status.Limit, Learned: s.status.Learned, Used: s.status.Used,
		InFlight: s.status.InFlight, Throttled: s.status.Throttled, Attempts: s.status.Attempts,
		Waiting:   severities{w[queue.Critical], w[queue.Error], w[queue.Warning], w[queue.Info]},
		Queued:    s.count.Total(),
		OldestAt:  stamp{s.count.Oldest},
		Delivered: s.count.Delivered, Refused: s.count.Refused, Expired: s.count.Expired,
		KeyRefused: s.status.KeyRefused,
	}
	if !s.count.Oldest.IsZero() {
		v.Oldest = new(since(now, s.count.Oldest))
	}
	if empty, ok := s.forecast(now); ok {
		v.EmptyIn = new(seconds(empty))
	}
	if late, ok := s.timeToPage(); ok {
		v.TimeToPage = new(seconds(late))
	}
	if s.lane.Held {
		v.HeldBy = &byView{Who: s.lane.HeldBy.Who, Why: s.lane.HeldBy.Why, At: stamp{s.lane.HeldBy.At}}
	}
	return v
}

// forecast is when nothing waits any more, if that can be told.
func (s standing) forecast(now time.Time) (time.Duration, bool) {
	if s.count.Total() == 0 {
		return 0, true
	}
	if s.status.Learned == 0 { // the scheduler has not met the lane yet
		return 0, false
	}
	return s.status.Forecast(s.count, now)
}

// timeToPage is how late a critical event would leave that is accepted now; an
// operator's pause has no end that anybody knows.
func (s standing) timeToPage() (time.Duration, bool) {
	return s.status.TimeToPage, s.status.Condition != lane.Held && s.status.TimeToPage >= 0
}

// text says what the lane does, for people.
func (s standing) text() string {
	at := s.status.Until.UTC().Format(time.TimeOnly)
	words := ""
	switch s.status.Condition {
	case lane.Held:
		words = "paused by an operator"
		if by := s.lane.HeldBy; by.Who != "" {
			words = "paused by " + by.Who
			if by.Why != "" {
				words += ": " + by.Why
			}
		}
	case lane.UpstreamDown:
		words = s.named.Upstream + " cannot be reached; the next try is at " + at
	case lane.Paused:
		words = "paused by a 429 until " + at
	case lane.Paced:
		words = fmt.Sprintf("%d of %d events have left in the last 60 s; the next one leaves at %s", s.status.Used, s.status.Learned, at)
	case lane.Flowing:
		words = "delivering"
	default:
		words = "nothing waits"
	}
	if s.status.KeyRefused {
		words += "; PagerDuty refuses the key"
	}
	return words
}

func (d *Door) lanes(w http.ResponseWriter, r *http.Request) {
	all, err := d.standings(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	d.write(r.Context(), w, struct {
		Lanes []laneView `json:"lanes"`
	}{views(all, d.o.Now())})
}

func views(all []standing, now time.Time) []laneView {
	list := make([]laneView, 0, len(all))
	for _, s := range all {
		list = append(list, s.view(now))
	}
	return list
}

func (d *Door) lane(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("lane")
	all, err := d.standings(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	for _, s := range all {
		if s.named.Name == name || s.lane.Key.Fingerprint() == name {
			d.write(r.Context(), w, s.view(d.o.Now()))
			return
		}
	}
	d.fail(w, http.StatusNotFound, noLane)
}

const noLane = "there is no such lane; GET /api/lanes lists them, a lane appears with its first event"

// statusView is the relay at a glance.
type statusView struct {
	Version        string     `json:"version"`
	StartedAt      stamp      `json:"started_at"`
	Now            stamp      `json:"now"`
	Accepting      bool       `json:"accepting"`
	Reason         string     `json:"reason,omitempty"`
	Queued         int        `json:"queued"`
	Dead           int        `json:"dead"`
	TimeToPage     *float64   `json:"time_to_page_s,omitempty"`
	OldestCritical *float64   `json:"oldest_critical_s,omitempty"`
	Quarantined    []string   `json:"quarantined"`
	Config         configView `json:"config"`
	Lanes          []laneView `json:"lanes"`
}

type configView struct {
	LoadedAt stamp  `json:"loaded_at"`
	Error    string `json:"error,omitempty"`
}

func (d *Door) status(w http.ResponseWriter, r *http.Request) {
	all, err := d.standings(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	now := d.o.Now()
	config := d.o.Config()
	v := statusView{
		Version: d.o.Version, StartedAt: stamp{d.o.Started}, Now: stamp{now}, Accepting: true,
		Quarantined: append([]string{}, d.o.Store.Quarantined()...),
		Config:      configView{LoadedAt: stamp{config.At}}, Lanes: views(all, now),
	}
	if config.Err != nil {
		v.Config.Error = config.Err.Error()
	}
	worst, known := worstTimeToPage(all)
	if err := d.o.Accepting(); err != nil {
		v.Accepting, v.Reason, known = false, err.Error(), false
	}
	if known {
		v.TimeToPage = new(seconds(worst))
	}
	var oldest time.Time
	for _, s := range all {
		v.Queued += s.count.Total()
		v.Dead += s.count.Refused + s.count.Expired
		if at := s.count.OldestCritical; !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	if !oldest.IsZero() {
		v.OldestCritical = new(since(now, oldest))
	}
	d.write(r.Context(), w, v)
}

// worstTimeToPage is that of the slowest lane that nobody has paused; a paused one
// says so itself. Without lanes it is nothing.
func worstTimeToPage(all []standing) (worst time.Duration, known bool) {
	known = len(all) == 0
	for _, s := range all {
		if late, ok := s.timeToPage(); ok {
			worst, known = max(worst, late), true
		}
	}
	return worst, known
}

// shapeView is what waits in a lane by severity and age.
type shapeView struct {
	Name        string           `json:"name"`
	Fingerprint string           `json:"fingerprint"`
	Counts      map[string][]int `json:"counts"`
}

func (d *Door) shape(w http.ResponseWriter, r *http.Request) {
	lanes, err := d.names(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	shapes, err := d.o.Store.Shapes(r.Context(), d.o.Now())
	if err != nil {
		d.failed(w, r, fmt.Errorf("measure the queue: %w", err))
		return
	}
	answer := struct {
		Ages  []int       `json:"ages_s"`
		Lanes []shapeView `json:"lanes"`
	}{Lanes: []shapeView{}}
	for _, age := range queue.AgeBuckets {
		answer.Ages = append(answer.Ages, int(age.Seconds()))
	}
	for _, s := range shapes {
		key := lanes[s.Lane].Key
		v := shapeView{Name: d.o.Describe(key).Name, Fingerprint: key.Fingerprint(), Counts: map[string][]int{}}
		for rank := range queue.Rank(queue.Ranks) {
			v.Counts[rank.String()] = s.Counts[rank]
		}
		answer.Lanes = append(answer.Lanes, v)
	}
	d.write(r.Context(), w, answer)
}
