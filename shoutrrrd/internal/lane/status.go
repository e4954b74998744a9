package lane

import (
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Condition is what a lane does right now, in one word.
type Condition string

// The conditions, from the one that an operator set to the ordinary ones.
const (
	Held         Condition = "held"          // paused by an operator
	UpstreamDown Condition = "upstream_down" // the host cannot be reached; probes go out
	Paused       Condition = "paused"        // by a 429
	Paced        Condition = "paced"         // the window is full; events leave as it moves
	Flowing      Condition = "flowing"       // something waits or is in flight, nothing holds it up
	Idle         Condition = "idle"          // nothing waits
)

// Status is what the scheduler knows of a lane, for people and metrics.
type Status struct {
	Lane       int64
	Condition  Condition
	Until      time.Time     // when the pause, the full window or the time to the next probe ends; zero if nothing holds it up
	Limit      int           // configured: events per 60 s
	Learned    int           // what is really used: at most Limit
	Used       int           // slots of the window that are taken: accepted in the last 60 s, and in flight
	InFlight   int           //
	Throttled  int           // 429s since the start
	Attempts   int           // since the start
	Delivered  int           // since the start
	Refused    int           // since the start
	KeyRefused bool          // PagerDuty refused the key the last time that it was used
	TimeToPage time.Duration // how late a critical event that is accepted now would leave
}

// Forecast returns how long waiting events take to leave when nothing is added
// and nothing fails: the first ones use the free slots of the window, the rest
// leaves at the lane's rate. ok is false if the lane is held, so that nobody knows.
func (s Status) Forecast(counts queue.Count, now time.Time) (d time.Duration, ok bool) {
	if s.Condition == Held {
		return 0, false
	}
	if s.Until.After(now) {
		d = s.Until.Sub(now)
	}
	free := max(0, s.Learned-s.Used)
	if rest := counts.Total() - free - 1; rest > 0 { // one leaves when the wait is over
		d += time.Duration(rest) * time.Minute / time.Duration(max(1, s.Learned))
	}
	return d, true
}
