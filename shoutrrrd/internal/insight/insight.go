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
	Lanes(ctx context.Context) ([]queue.Lane, error)
	Counts(ctx context.Context) ([]queue.Count, error)
	Shapes(ctx context.Context, now time.Time) ([]queue.Shape, error)
	Event(ctx context.Context, id int64) (queue.Event, []queue.Entry, error)
	Events(ctx context.Context, f queue.Filter) (queue.Page, error)
	LaneHistory(ctx context.Context, lane int64) ([]queue.Entry, error)
	Groups(ctx context.Context) ([]queue.Group, error)
	// Quarantined lists files that were set aside as damaged.
	Quarantined() []string
}

// Named is what the configuration knows of a lane.
type Named struct {
	Name     string // alias or fingerprint
	Pool     string // "" for none
	Upstream string
}

// Loaded says how the configuration was read last.
type Loaded struct {
	At  time.Time // of the one that is in force
	Err error     // of a later one that was wrong; nil if there was none
}

// Options says where what is told comes from. All of it is required.
type Options struct {
	Store    Store
	Statuses func() []lane.Status
	// Describe names the lane of a key.
	Describe func(eventsv2.Key) Named
	// Keys returns the configured keys, which are hidden wherever they turn up, as
	// those of the lanes are.
	Keys func() []eventsv2.Key
	// Config returns how the configuration was read.
	Config func() Loaded
	// Accepting returns why the relay accepts nothing.
	Accepting func() error
	Now       func() time.Time
	Started   time.Time
	Version   string
}

// Insight tells how the relay stands.
type Insight struct{ o Options }

// New returns the insight into a relay.
func New(o Options) *Insight { return &Insight{o} }

// ErrNoLane: no lane has that name.
var ErrNoLane = errors.New("there is no such lane; GET /api/lanes lists them, a lane appears with its first event")

// Stamp is a time as people see it.
type Stamp struct{ time.Time }

// MarshalJSON writes RFC 3339, in UTC with milliseconds.
func (s Stamp) MarshalJSON() ([]byte, error) {
	return s.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// Seconds is a duration as people see it: with milliseconds.
func Seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// Since is how long ago something was, never less than nothing.
func Since(now, then time.Time) float64 { return Seconds(max(0, now.Sub(then))) }
