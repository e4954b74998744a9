// Package insight is what people may see of the relay: how its lanes stand, which
// events it keeps and what became of them. No integration key is in what it tells.
package insight

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Store is what has to be known of a queue.
type Store interface {
	// Lanes returns all lanes: only a search for a lane's name needs them.
	Lanes(ctx context.Context) ([]queue.Lane, error)
	// Overview returns the lanes that people should see, those that are named and up to so
	// many of the others.
	Overview(ctx context.Context, named []int64, others int) (queue.Overview, error)
	// Counted returns one lane and its count; queue.ErrNotFound if there is none.
	Counted(ctx context.Context, id int64) (queue.Counted, error)
	Shapes(ctx context.Context, now time.Time) ([]queue.Shape, error)
	Event(ctx context.Context, id int64) (queue.Event, []queue.Entry, error)
	// Listed returns an event without its body, as Events does.
	Listed(ctx context.Context, id int64) (queue.Event, error)
	Events(ctx context.Context, f queue.Filter) (queue.Page, error)
	LaneHistory(ctx context.Context, lane int64) ([]queue.Entry, error)
	Groups(ctx context.Context) ([]queue.Group, error)
	// Quarantined lists files that were set aside as damaged.
	Quarantined() []string
	// OpenBy counts the incidents that are open by the key of a lane, or may be, up to so many.
	// It reports unknown if others may be open that the store has lost.
	OpenBy(ctx context.Context, lane int64, most int) (n int, unknown bool, err error)
	// Usage is what the queue takes of its disk.
	Usage() queue.Usage
}

// Named is what the configuration knows of a lane.
type Named struct {
	Name     string // alias or fingerprint
	Pool     string // "" for none
	Upstream string
	Limit    int  // the most events per 60 s
	Start    int  // what is used of that until the account has shown to take more; 0 for all of it
	Retiring bool // another key takes the place of the lane's
}

// Loaded says how the configuration was read last.
type Loaded struct {
	At  time.Time // the date at which the one came that is in force
	Err error     // of a later one that was wrong; nil if there was none
}

// Call is that help was called for an outage that lasts.
type Call struct {
	Upstream string   `json:"upstream"` // "" for the relay's own queue
	At       Stamp    `json:"at"`       // a date
	By       []string `json:"by"`       // ways that were told
	Failing  []string `json:"failing"`  // ways that could not be told yet
}

// Options says where what is told comes from. All of it is required but for Calls.
type Options struct {
	Store Store
	// Statuses are how the lanes stand in which the scheduler has something to do, or had
	// in the last minute; Status is how one stands that it has open.
	Statuses func() []lane.Status
	Status   func(id int64) (lane.Status, bool)
	// Prospect is how one would stand that the scheduler does not have open, and Upstreams
	// how what the lanes send to stands.
	Prospect  func(queue.Lane) lane.Status
	Upstreams func() []lane.Upstream
	// Describe says what the configuration knows of the lane of a key.
	Describe func(eventsv2.Key) Named
	// Hide puts fingerprints in the place of the keys that are configured or have a
	// lane.
	Hide func(text string) string
	// Config returns how the configuration was read.
	Config func() Loaded
	// Calls are the outages for which the relay calls for help now; nil if it calls nobody.
	Calls func() []Call
	// Accepting returns why the relay accepts no critical event, nil if it does.
	Accepting func() error
	// Now gives the relay's time, Started is one, and all that store and scheduler say has it.
	Now     func() time.Time
	Started time.Time
	// Date makes a date of it, which is what people see. Defaults to the time itself.
	Date    func(time.Time) time.Time
	Version string
}

// Insight tells how the relay stands.
type Insight struct {
	o Options

	// What is the same for all who ask, and costs more the more lanes or events there are.
	snapshot   shared[Snapshot]
	everything shared[Snapshot]      // of all lanes, for those who page through them
	statuses   shared[[]lane.Status] // of the scheduler, which is stopped while it is asked
	shapes     shared[[]queue.Shape]
	groups     shared[[]queue.Group]

	looks    looks
	searches searches
}

// New returns the insight into a relay.
func New(o Options) *Insight {
	if o.Date == nil {
		o.Date = func(at time.Time) time.Time { return at }
	}
	i := &Insight{o: o}
	// The times are those of 10,000 lanes and 100,000 events on 2 cores.
	for _, s := range []*shared[Snapshot]{&i.snapshot, &i.everything} {
		s.share(i, func(s *Snapshot) time.Duration { return sharedFor(len(s.all), 5*time.Microsecond) })
	}
	// A little shorter, so that a snapshot that is taken a second later has later statuses.
	i.statuses.share(i, func(s *[]lane.Status) time.Duration { return sharedFor(len(*s), 5*time.Microsecond) * 9 / 10 })
	i.shapes.share(i, func(shapes *[]queue.Shape) time.Duration {
		events := 0
		for _, s := range *shapes {
			events += s.Total()
		}
		return sharedFor(events, time.Microsecond)
	})
	i.groups.share(i, func(groups *[]queue.Group) time.Duration {
		events := 0
		for _, g := range *groups {
			events += g.Count
		}
		return sharedFor(events, time.Microsecond)
	})
	return i
}

// Stop ends what is under way and reads the queue.
func (i *Insight) Stop() { i.looks.stop() }

// ErrNoLane: no lane has that name.
var ErrNoLane = errors.New("there is no such lane; GET /api/lanes lists them, a lane appears with its first event")

// Stamp is a time as people see it.
type Stamp struct{ time.Time }

// Stamp is the date of a time of the relay's.
func (i *Insight) Stamp(at time.Time) Stamp { return Stamp{i.o.Date(at)} }

// MarshalJSON writes RFC 3339, in UTC with milliseconds.
func (s Stamp) MarshalJSON() ([]byte, error) {
	return s.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// Seconds is a duration as people see it: with milliseconds.
func Seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// Since is how long ago something was, never less than nothing.
func Since(now, then time.Time) float64 { return Seconds(max(0, now.Sub(then))) }
