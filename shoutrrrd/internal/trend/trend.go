// Package trend remembers the last hour of each lane, minute by minute: how many
// events were accepted, delivered and met a 429, and which limit was
// learned. It is for people who look at a chart; a restart begins a new one.
package trend

import (
	"sync"
	"time"
)

// Minutes is how far back it goes.
const Minutes = 60

// Minute is what happened in one.
type Minute struct {
	Accepted  int
	Delivered int
	Throttled int // 429s
	Learned   int // limit at its end; 0 if nobody has looked
}

// Hour is the last one, the minute in hand at its end.
type Hour [Minutes]Minute

// Total adds the minutes up. Its limit is the latest one.
func (h *Hour) Total() (total Minute) {
	for _, m := range h {
		total.Accepted += m.Accepted
		total.Delivered += m.Delivered
		total.Throttled += m.Throttled
		total.Learned = m.Learned
	}
	return total
}

// maxLanes bounds what clients with keys of their own can make it remember: 2 MB.
const maxLanes = 1000

// Trend is the last hour of all lanes, by name. Several goroutines may use it.
type Trend struct {
	mu    sync.Mutex
	lanes map[string]*ring
	swept int64 // number of the minute in which the lanes without a last hour were last forgotten
}

// ring holds a minute at its number modulo Minutes.
type ring struct {
	minutes Hour
	latest  int64 // number of the latest minute since 1970
	used    int64 // number of the latest minute in which an event was counted
}

// New returns a trend without a past.
func New() *Trend { return &Trend{lanes: map[string]*ring{}} }

// Accepted counts an event that was accepted.
func (t *Trend) Accepted(lane string, now time.Time) {
	t.note(lane, now, func(m *Minute) { m.Accepted++ })
}

// Delivered counts an event that PagerDuty has accepted.
func (t *Trend) Delivered(lane string, now time.Time) {
	t.note(lane, now, func(m *Minute) { m.Delivered++ })
}

// Throttled counts a 429.
func (t *Trend) Throttled(lane string, now time.Time) {
	t.note(lane, now, func(m *Minute) { m.Throttled++ })
}

// Learned notes a lane's limit. A lane that has nothing else to remember is not
// remembered for that.
func (t *Trend) Learned(lane string, limit int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.lanes[lane]; r != nil {
		r.advance(number(now))
		r.minutes[r.latest%Minutes].Learned = limit
	}
}

func (t *Trend) note(lane string, now time.Time, change func(*Minute)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.lanes[lane]
	if r == nil {
		if len(t.lanes) >= maxLanes && !t.sweep(number(now)) {
			return
		}
		r = &ring{latest: number(now)}
		t.lanes[lane] = r
	}
	r.advance(number(now))
	r.used = r.latest
	change(&r.minutes[r.latest%Minutes])
}

// sweep forgets the lanes in which nothing has happened for an hour, at most once in a
// minute, and reports whether there is room.
func (t *Trend) sweep(minute int64) bool {
	if t.swept == minute {
		return false
	}
	t.swept = minute
	for lane, r := range t.lanes {
		if minute-r.used > Minutes {
			delete(t.lanes, lane)
		}
	}
	return len(t.lanes) < maxLanes
}

// Hour returns the last hour of a lane.
func (t *Trend) Hour(lane string, now time.Time) (hour Hour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.lanes[lane]
	if r == nil {
		return hour
	}
	r.advance(number(now))
	for i := range hour {
		hour[i] = r.minutes[(r.latest+1+int64(i))%Minutes]
	}
	return hour
}

func number(now time.Time) int64 { return now.Unix() / 60 }

// advance empties the minutes that have begun. A limit stays until another one is
// learned; a clock that went back changes nothing.
func (r *ring) advance(to int64) {
	if to-r.latest > Minutes {
		learned := r.minutes[r.latest%Minutes].Learned
		r.minutes, r.latest = Hour{}, to
		for i := range r.minutes {
			r.minutes[i].Learned = learned
		}
		return
	}
	for r.latest < to {
		learned := r.minutes[r.latest%Minutes].Learned
		r.latest++
		r.minutes[r.latest%Minutes] = Minute{Learned: learned}
	}
}
