package lane_test

import (
	"errors"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// upstream is PagerDuty and the network before it, as unkind as they have been.
type upstream struct {
	w       *world
	mood    string
	struck  string // the host that the mood is about; "" for all
	truth   int
	taken   map[int64][]time.Time // per lane, of the last minute
	retryIn bool                  // 429s say when to come again
	keyless int64                 // the lane whose key is not valid, in that mood
}

func newUpstream(w *world) *upstream {
	return &upstream{w: w, truth: w.o.truth, taken: map[int64][]time.Time{}}
}

// trouble changes the mood for a while.
func (u *upstream) trouble() {
	if u.w.quiet {
		return
	}
	moods := []string{"away", "lossy", "sick", "throttled", "slow", "elsewhere", "walled", "keyless", ""}
	u.mood = moods[u.w.random.IntN(len(moods))]
	u.retryIn = u.w.random.IntN(2) == 0
	u.keyless = 1 + u.w.random.Int64N(int64(u.w.o.keys))
	u.struck = append([]string{""}, hosts...)[u.w.random.IntN(1+len(hosts))]
	longest := 20 * time.Minute
	if u.w.random.IntN(10) == 0 {
		longest = 3 * time.Hour
	}
	if u.w.o.truth > 0 {
		u.truth = []int{u.w.o.truth, u.w.o.truth, max(1, u.w.o.truth/2), 2 * u.w.o.truth}[u.w.random.IntN(4)]
	}
	u.w.at(u.w.now.Add(u.w.some(longest)), func() {
		if u.w.quiet {
			return
		}
		u.mood = ""
		u.w.at(u.w.now.Add(u.w.some(2*time.Hour)), u.trouble)
	})
}

func (u *upstream) heal() { u.mood, u.truth = "healed", u.w.o.truth }

var errAway = errors.New("connection refused")

// receive takes one request and returns its answer and how long that takes.
func (u *upstream) receive(e queue.Event, host string) (*eventsv2.Error, time.Duration) {
	after := u.w.some(200 * time.Millisecond)
	chance := u.w.random.IntN(100)
	mood := u.mood
	if u.struck != "" && u.struck != host && mood != "healed" {
		mood = ""
	}
	switch {
	case mood == "away":
		return &eventsv2.Error{Err: errAway}, after
	case mood == "elsewhere":
		return &eventsv2.Error{Status: 302}, after
	case mood == "walled" && chance < 80:
		return &eventsv2.Error{Status: []int{403, 400, 401, 413, 431, 200}[chance%6]}, after
	case mood == "throttled":
		return u.throttle(), after
	case mood == "sick" && chance < 60:
		return &eventsv2.Error{Status: 500 + chance%5}, after
	case strings.HasPrefix(e.DedupKey, "poison") && mood != "healed":
		u.w.check.reached["poison"]++
		return &eventsv2.Error{Status: 500 + chance%5}, after
	case strings.HasPrefix(e.DedupKey, "cursed") && mood != "healed": // something on the way dislikes its text
		u.w.check.reached["cursed"]++
		return []*eventsv2.Error{{Status: 302}, {Status: 404}, {Status: 410}, {Err: errAway, Sent: true}}[chance%4], after
	case strings.HasPrefix(e.DedupKey, "hanging") && mood != "healed":
		u.w.check.reached["hanging"]++
		return &eventsv2.Error{Err: errAway, Sent: true}, 30 * time.Second
	case mood == "keyless" && e.Lane == u.keyless:
		u.w.check.reached["rejected key"]++
		return &eventsv2.Error{Rejected: true, Status: 401, Message: "unauthorized"}, after
	case e.DedupKey == "bad":
		return &eventsv2.Error{Rejected: true, Status: 400, Message: "'payload.severity' is invalid"}, after
	case u.full(e.Lane):
		return u.throttle(), after
	case mood == "lossy" && chance < 20: // before it was taken
		return &eventsv2.Error{Err: errAway, Sent: true}, after
	}
	if mood == "slow" {
		after = u.w.some(25 * time.Second)
	}
	u.taken[e.Lane] = append(u.taken[e.Lane], u.w.now)
	lost := mood == "lossy" && chance < 40 // after it was taken
	u.w.check.accepted(e)
	if lost {
		u.w.check.reached["lost answer"]++
		return &eventsv2.Error{Err: errAway, Sent: true}, after
	}
	return nil, after
}

func (u *upstream) throttle() *eventsv2.Error {
	err := &eventsv2.Error{Status: 429}
	if u.retryIn {
		err.RetryAfter = time.Duration(1+u.w.random.IntN(120)) * time.Second
	}
	return err
}

// full reports whether the window of PagerDuty's own limit is.
func (u *upstream) full(lane int64) bool {
	times := u.taken[lane]
	for len(times) > 0 && u.w.now.Sub(times[0]) >= time.Minute {
		times = times[1:]
	}
	u.taken[lane] = times
	return u.truth > 0 && len(times) >= u.truth
}
