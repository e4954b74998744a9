package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// upstream is PagerDuty and the ways to it, as unkind as they have been. Everything in
// it is behind the world's lock.
type upstream struct {
	w     *world
	moods map[string]string      // by host
	keys  map[int]string         // moods that one key meets
	taken map[int][]time.Time    // of the last minute, by key
	truth int                    // what a key may send in any 60 s; 0 for no limit
	tries map[int]int            // attempts, by the number of the event
	again map[int]time.Duration  // what a 429 or 5xx asks to wait, by key; 0 for nothing
	rules []func(*request) reply // of a world with a script of its own; the first one that answers counts

	brown   map[string]int // how many of a hundred requests a host in the mood "brown" answers with 502
	account int            // what all keys together may send in any 60 s; 0 for no limit
	all     []time.Time    // what was taken of all keys in the last minute
	arrived map[string]int // requests, by host
	got     map[int]int    // how often it was taken, by the number of the event
}

// request is one attempt as it arrives.
type request struct {
	n      int
	key    int
	host   string
	action eventsv2.Action
	dedup  string
	try    int
	dice   *rand.Rand
	copies *copies // of a request that may be sent twice; else nil
	second bool    // it is the second copy
	tells  bool    // of others that were not sent
	began  time.Time
}

// copies are the two of one event. They are behind the world's lock.
type copies struct {
	flying   int
	accepted bool            // by an answer that has arrived
	second   time.Time       // when the second one left
	err      *eventsv2.Error // the best so far of those that do not accept
}

// ended notes the end of one of them, and returns how the event stands by both.
func (c *copies) ended(err *eventsv2.Error) *eventsv2.Error {
	c.flying--
	if c.accepted {
		return nil
	}
	if c.err == nil || c.err.Status == 0 && (err.Status != 0 || errors.Is(c.err.Err, context.Canceled)) {
		c.err = err
	}
	return c.err
}

// reply is an answer, and how long it takes.
type reply struct {
	answers bool
	err     *eventsv2.Error
	after   time.Duration
	taken   bool // PagerDuty has it, whatever the answer is
}

func newUpstream(w *world) *upstream {
	return &upstream{w: w, moods: map[string]string{}, keys: map[int]string{}, taken: map[int][]time.Time{}, truth: w.o.truth, tries: map[int]int{}, again: map[int]time.Duration{}, brown: map[string]int{}, arrived: map[string]int{}, got: map[int]int{}}
}

var (
	errRefused = errors.New("connection refused")
	errReset   = errors.New("connection reset by peer")
)

// timeLimit is that of an attempt of the program's client.
const timeLimit = 30 * time.Second

// poster is the client of one life for one host.
type poster struct {
	life *life
	host string
}

func (p poster) Post(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error) {
	return p.post(ctx, key, body)
}

func (p poster) PostChange(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error) {
	return p.post(ctx, key, body)
}

// Twice returns two attempts that arrive apart from each other: both may be taken.
func (p poster) Twice(key eventsv2.Key, body []byte) (first, second func(context.Context) (eventsv2.Receipt, error)) {
	both := &copies{}
	attempt := func(second bool) func(context.Context) (eventsv2.Receipt, error) {
		return func(ctx context.Context) (eventsv2.Receipt, error) {
			if second && p.life.w.o.plant == "hedges are forgotten" {
				select {
				case <-ctx.Done():
				case <-time.After(timeLimit):
				}
				return eventsv2.Receipt{}, &eventsv2.Error{Err: context.DeadlineExceeded}
			}
			r := p.life.w.read(key, body, p.host)
			r.copies, r.second = both, second
			if err := p.attempt(ctx, r); err != nil {
				return eventsv2.Receipt{}, err
			}
			return eventsv2.Receipt{}, nil
		}
	}
	return attempt(false), attempt(true)
}

func (p poster) post(ctx context.Context, key eventsv2.Key, body []byte) (eventsv2.Receipt, error) {
	err := p.attempt(ctx, p.life.w.read(key, body, p.host))
	if err == nil {
		return eventsv2.Receipt{}, nil
	}
	return eventsv2.Receipt{}, err
}

func (w *world) read(key eventsv2.Key, body []byte, host string) *request {
	var e struct {
		Action  eventsv2.Action `json:"event_action"`
		Dedup   string          `json:"dedup_key"`
		Payload struct {
			CustomDetails struct {
				N      int
				Folded string `json:"relay_folded"`
			} `json:"custom_details"`
		}
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Payload.CustomDetails.N == 0 {
		w.fail("what leaves cannot be read: %v", err)
	}
	r := &request{n: e.Payload.CustomDetails.N, tells: e.Payload.CustomDetails.Folded != "", host: host, action: e.Action, dedup: e.Dedup, key: -1}
	r.tells = r.tells && w.o.plant != "what is folded is not told"
	for i, k := range w.keys {
		if k.Equal(key) {
			r.key = i
			break
		}
	}
	return r
}

// attempt is one exchange. A request that has left arrives, whatever becomes of the
// process that sent it, but for a copy that is cancelled because the other one was
// accepted: its connection is closed, and what PagerDuty does with one that it has read
// by then is not promised.
func (p poster) attempt(ctx context.Context, r *request) *eventsv2.Error {
	w := p.life.w
	<-time.After(time.Microsecond) // what was stored is noted meanwhile
	w.mu.Lock()
	w.up.tries[r.n]++
	r.try, r.began = w.up.tries[r.n], time.Now()
	if r.second {
		r.copies.second = r.began
	}
	r.dice = w.dice(r.n, r.try)
	w.judge.departed(r)
	w.mu.Unlock()
	answer := make(chan *eventsv2.Error, 1)
	time.AfterFunc(time.Duration(1+r.dice.Int64N(int64(100*time.Millisecond))), func() {
		w.mu.Lock()
		if r.copies != nil && r.copies.accepted {
			w.judge.reached["cancelled before it arrived"]++
			w.mu.Unlock()
			return
		}
		reply := w.up.receive(r)
		if reply.taken {
			w.up.got[r.n]++
			w.judge.taken(r, reply.err)
		}
		w.mu.Unlock()
		if reply.answers {
			time.AfterFunc(reply.after, func() { answer <- reply.err })
		}
	})
	limit := time.NewTimer(timeLimit)
	defer limit.Stop()
	var err *eventsv2.Error
	select {
	case err = <-answer:
	case <-limit.C:
		err = &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}
	case <-ctx.Done():
		err = &eventsv2.Error{Err: context.Canceled, Sent: true}
		if r.copies != nil { // its connection takes a while to close
			w.mu.Lock()
			w.judge.cancelled(r, p.life)
			w.mu.Unlock()
			<-time.After(time.Duration(1 + r.dice.Int64N(int64(50*time.Millisecond))))
		}
	case <-p.life.killed:
		err = &eventsv2.Error{Err: context.Canceled, Sent: true}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.copies != nil {
		r.copies.accepted = r.copies.accepted || err == nil
	}
	if !p.life.store.dead() {
		w.judge.answered(r, err)
	}
	return err
}

// receive takes one request.
func (u *upstream) receive(r *request) reply {
	after := time.Duration(1 + r.dice.Int64N(int64(100*time.Millisecond)))
	refuse := func(err *eventsv2.Error) reply { return reply{answers: true, err: err, after: after} }
	for _, rule := range u.rules {
		if answer := rule(r); answer.answers || answer.taken {
			if answer.taken {
				u.take(r.key)
			}
			return answer
		}
	}
	chance, mood := r.dice.IntN(100), u.moods[r.host]
	u.arrived[r.host]++
	switch {
	case mood == "brown" && chance < u.brown[r.host]:
		return refuse(&eventsv2.Error{Status: 502, RetryAfter: u.again[r.key]})
	case mood == "away":
		return refuse(&eventsv2.Error{Err: errRefused})
	case mood == "elsewhere":
		return refuse(&eventsv2.Error{Status: 302})
	case mood == "walled" && chance < 80:
		return refuse(&eventsv2.Error{Status: []int{403, 400, 401, 413, 431, 200}[chance%6]})
	case mood == "hanging" && chance < 80:
		return reply{}
	case mood == "sick" && chance < 60:
		return refuse(&eventsv2.Error{Status: 500 + chance%5, Sent: chance%5 == 2 || chance%5 == 4, RetryAfter: u.again[r.key]})
	}
	if u.w.o.bodies && !u.w.quiet {
		if answer, dislikes := u.body(r, chance, after); dislikes {
			return answer
		}
	}
	switch {
	case u.keys[r.key] == "rejected":
		u.w.judge.reached["rejected key"]++
		return refuse(&eventsv2.Error{Rejected: true, Status: 403, Message: "account is disabled"})
	case u.keys[r.key] == "failing":
		return refuse(&eventsv2.Error{Status: 500})
	case u.keys[r.key] == "throttled", u.full(r.key), u.account > 0 && len(u.recentOfAll()) >= u.account:
		u.w.judge.reached["429"]++
		return refuse(&eventsv2.Error{Status: 429, RetryAfter: u.again[r.key]})
	case strings.HasPrefix(r.dedup, "bad") && chance < 60: // until it is repaired
		return refuse(&eventsv2.Error{Rejected: true, Status: 400, Message: "'payload.severity' is invalid"})
	case mood == "lossy" && chance < 20: // before it was taken
		return refuse(&eventsv2.Error{Err: errReset, Sent: true})
	}
	if mood == "slow" {
		after = time.Duration(r.dice.Int64N(int64(25 * time.Second)))
	}
	u.take(r.key)
	if mood == "lossy" && chance < 40 { // after it was taken
		u.w.judge.reached["lost answer"]++
		return reply{answers: true, err: &eventsv2.Error{Err: errReset, Sent: true}, after: after, taken: true}
	}
	return reply{answers: true, after: after, taken: true}
}

// body is what something on the way has against single events.
func (u *upstream) body(r *request, chance int, after time.Duration) (reply, bool) {
	word, _, _ := strings.Cut(r.dedup, "-")
	if x := u.w.judge.of(r); x == nil || time.Since(x.kept) > 20*time.Minute {
		word = "" // it has been repaired, as each of them would be tried once a minute for ever
	}
	answer := reply{answers: true, after: after}
	switch word {
	case "poison":
		answer.err = &eventsv2.Error{Status: 500 + chance%5}
	case "cursed":
		answer.err = []*eventsv2.Error{{Status: 302}, {Status: 404}, {Status: 410}, {Err: errReset, Sent: true}}[chance%4]
	case "hanging":
		answer = reply{}
	default:
		return answer, false
	}
	u.w.judge.reached["disliked: "+word]++
	return answer, true
}

func (u *upstream) take(key int) {
	u.taken[key] = append(u.recent(key), time.Now())

	u.all = append(u.recentOfAll(), time.Now())
}

// recentOfAll is what PagerDuty has taken of all keys in the last minute.
func (u *upstream) recentOfAll() []time.Time {
	for len(u.all) > 0 && time.Since(u.all[0]) >= time.Minute {
		u.all = u.all[1:]
	}
	return u.all
}

// recent is what PagerDuty has taken of a key in the last minute.
func (u *upstream) recent(key int) []time.Time {
	times := u.taken[key]
	for len(times) > 0 && time.Since(times[0]) >= time.Minute {
		times = times[1:]
	}
	u.taken[key] = times
	return times
}

func (u *upstream) full(key int) bool { return u.truth > 0 && len(u.recent(key)) >= u.truth }

// incident names what PagerDuty keeps: one for each key and dedup key.
type incident struct {
	key   int
	dedup string
}

// incidents is PagerDuty's state machine: "open", "acknowledged", or not there. It drops
// an acknowledge or resolve of what is not open.
type incidents map[incident]string

func (i incidents) take(key int, dedup string, action eventsv2.Action) {
	at := incident{key, dedup}
	switch {
	case action == eventsv2.Trigger && i[at] == "":
		i[at] = "open"
	case action == eventsv2.Acknowledge && i[at] != "":
		i[at] = "acknowledged"
	case action == eventsv2.Resolve:
		delete(i, at)
	}
}
