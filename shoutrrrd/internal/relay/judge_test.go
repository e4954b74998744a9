package relay_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// judge knows what was accepted, what PagerDuty has of it, and what must never happen.
// Everything in it is behind the world's lock, but for the questions that it asks the
// store.
type judge struct {
	w           *world
	numbers     []event       // what was sent, by number
	idOf        map[int]int64 // of the event that has the number, or that it was coalesced into
	noteOf      map[int]int64 // of the change event that was made of the trigger with the number
	records     map[int64]*record
	chains      map[chainID]*chain
	lanes       map[int64]*laneSeen
	hosts       map[string]*hostSeen
	ways        map[int]map[string]bool // hosts that the configuration has ever named for a key
	limits      map[int]*limitSeen      // by key
	onsets      map[int][]onset         // of the moods that a key meets
	lowered     map[int][]onset         // of PagerDuty's taking less by a key
	incidents   incidents
	places      int
	waits       map[int64]*record // critical triggers whose last attempt has failed
	undelivered map[int64]*record // critical triggers that PagerDuty has not taken
	queued      map[int64]*record // all that has not ended
	flying      map[int64]*record // those of which an attempt is in flight
	tried       time.Time         // the last time that an operator had something tried
	woke        time.Time         // the last time that the machine was awake again
	reloaded    time.Time         // when the settings were read last
	reached     map[string]int
	forecasts   forecasts

	pages    []*record // critical events that are queued, while an account is limited
	infos    int       // attempts of infos
	overtook int       // those that began while a critical event had waited for a second, in any lane
}

// placeStep leaves places between two events, for those that an operator has sent once more.
const placeStep = 1 << 20

// chainID is an alert of a service, whatever keys it goes by.
type chainID struct{ service, dedup string }

// record is what became of an accepted event.
type record struct {
	id       int64
	chain    chainID
	action   eventsv2.Action
	severity queue.Rank // of what it began with
	lane     int64
	place    int       // in the order in which events were accepted or requeued
	latest   int       // its number, the last one if others were coalesced into it
	kept     time.Time // or coalesced, or requeued
	requeued time.Time // by an operator; zero if it was not
	since    moment    // that, on the machine
	had      int       // the life in which its upstream last had it and said nothing of it
	alone    bool      // no other event of its chain was undelivered
	tries    int       // attempts, since it was requeued
	counted  int       // those of them that the store counts: not what a 429 or a rejected key has met
	ended    bool
	over     time.Time       // the right date of that
	state    queue.State     // if it has ended
	takes    map[int]int     // numbers that PagerDuty has taken, with the place at that time
	failed   *eventsv2.Error // the last answer
	answered time.Time       // and its time
	passed   int             // less severe events of its lane that were accepted since then
	flying   bool
	left     time.Time  // when the attempt in hand began, or the last one
	leftAs   queue.Rank // the priority of its chain when it left last
	maybe    bool       // PagerDuty may have it: an answer was lost, or a process
	host     string     // and where it went
	told     *forecast  // of a critical one, when it was accepted; nil for none
	through  time.Time  // the answer that has accepted it
	moved    bool
	movedAt  time.Time
	by       int    // the key by which PagerDuty has taken it last
	way      string // the upstream that the configuration named when it was accepted; "" once an operator has moved it

	attempted bool  // ever, or sent again by an operator
	got       bool  // PagerDuty has got it, or may have; or an operator had it sent again
	teller    int64 // the event that tells of this one, which was not sent; 0 for none
	tells     bool  // it has to tell of others
	hasTold   bool  // PagerDuty has taken it with what it tells
}

type chain struct {
	records []*record
	last    map[int]int // by key: the place of what PagerDuty has taken last
	flying  map[int]int // by key: attempts of the present process
	pending int         // undelivered
	spoiled bool        // a row of it went bad
}

// laneSeen is what can be seen of a lane from outside.
type laneSeen struct {
	key            int
	ends           []time.Time // of attempts, in the last 61 s: a slot is held for a minute from the end, as nobody knows when PagerDuty counted it
	criticals      []time.Time // those of critical ones
	arrivals       []time.Time // of critical events, in the last 61 s
	flying         int
	flyingCritical int
	limited        time.Time // the last 429
	firstLimited   time.Time // the last one that came after a quarter of an hour without any, or to a new process
	rejected       time.Time // the last rejection of the key
	trouble        time.Time // the last attempt that failed
	accepted       time.Time // the last one that was accepted
	resumed        time.Time // by an operator
	paused         time.Time // the last time
	held           time.Time // since then it is paused; zero if it is not
	way            string    // the upstream that what is queued in it was accepted for; "" if the judge cannot tell
}

type hostSeen struct {
	troubled time.Time       // the last time that a mood was over
	trouble  time.Time       // the last attempt that failed
	accepted time.Time       // the last one that was accepted
	onsets   []onset         // of its moods
	down     bool            // as the relay says
	account  bool            // as the relay says, all lanes of it are paced together
	changed  time.Time       // and since when
	fails    map[string]bool // chains that failed since anything else was answered: in a pool, by each of its keys
	before   map[string]bool // and those before that answer
	cleared  time.Time       // when it came

	starts       []time.Time // of attempts, in the last minute
	ends         []ending    // of the last 20 attempts
	failing      time.Time   // since when more than half of them have failed; zero if they do not
	paced        time.Time   // when they last did
	mostInSecond int         // attempts that began within one, while most of them failed
	mostInMinute int

	answered time.Time // when the latest request began that it has accepted
}

// ending is how an attempt ended.
type ending struct {
	at    time.Time
	fails bool
}

type limitSeen struct {
	now, before int
	changed     time.Time
	upstream    string    // that the configuration names
	directed    time.Time // since when
	own         bool      // which it names for this key alone
}

func newJudge(w *world) *judge {
	return &judge{
		w: w, numbers: make([]event, 1), idOf: map[int]int64{}, noteOf: map[int]int64{}, records: map[int64]*record{}, chains: map[chainID]*chain{}, lanes: map[int64]*laneSeen{}, hosts: map[string]*hostSeen{},
		ways: map[int]map[string]bool{}, limits: map[int]*limitSeen{}, onsets: map[int][]onset{}, lowered: map[int][]onset{}, incidents: incidents{}, waits: map[int64]*record{}, undelivered: map[int64]*record{}, queued: map[int64]*record{}, flying: map[int64]*record{}, reached: map[string]int{},
	}
}

func (j *judge) host(name string) *hostSeen {
	if j.hosts[name] == nil {
		j.hosts[name] = &hostSeen{fails: map[string]bool{}}
	}
	return j.hosts[name]
}

func (j *judge) chain(of chainID) *chain {
	if j.chains[of] == nil {
		j.chains[of] = &chain{last: map[int]int{}, flying: map[int]int{}}
	}
	return j.chains[of]
}

// priority is that of the most severe event of the chain that is undelivered in a lane:
// whoever leaves first takes the reserved share for it. An acknowledge or resolve pages
// nobody, and is never critical.
func (c *chain) priority(lane int64) queue.Rank {
	most := queue.Info
	for _, r := range c.records {
		if r.ended || r.lane != lane {
			continue
		}
		weight := r.severity
		if r.action == eventsv2.Acknowledge || r.action == eventsv2.Resolve {
			weight = max(weight, queue.Error)
		}
		most = min(most, weight)
	}
	return most
}

func (j *judge) lane(id int64) *laneSeen {
	if j.lanes[id] == nil {
		j.lanes[id] = &laneSeen{key: -1}
	}
	return j.lanes[id]
}

// numbered gives an event its number.
func (j *judge) numbered(e event) int {
	e.n = len(j.numbers)
	j.numbers = append(j.numbers, e)
	return e.n
}

// heard sees the answer to a sender.
func (j *judge) heard(e event, status int) {
	j.reached[fmt.Sprint("answer ", status)]++
	if _, kept := j.idOf[e.n]; status == http.StatusAccepted && !kept {
		j.w.fail("event %d was answered with 202 and is not kept", e.n)
	}
}

func (j *judge) laneIs(l queue.Lane) {
	seen := j.lane(l.ID)
	for i := 0; seen.key < 0 && i < len(j.w.keys); i++ {
		if j.w.keys[i].Equal(l.Key) {
			seen.key = i
		}
	}
}

// configured sees what the settings say of a key.
func (j *judge) configured(key int, found settings.Lookup) {
	if found.Listed {
		if j.ways[key] == nil {
			j.ways[key] = map[string]bool{}
		}
		j.ways[key][found.Upstream] = true
	}
	l := j.limits[key]
	if l == nil {
		l = &limitSeen{now: found.Rate}
		j.limits[key] = l
	}
	if l.own && !found.Listed { // whether its lane had come to that upstream nobody has seen
		found.Upstream, found.Own = "", true
	}
	if l.upstream != found.Upstream {
		l.own = found.Own
		l.upstream, l.directed = found.Upstream, time.Now()
	}
	if l.now != found.Rate {
		l.before, l.now, l.changed = j.allowed(key), found.Rate, time.Now()
	}
}

// allowed is the greatest limit of the last minute.
func (j *judge) allowed(key int) int {
	l := j.limits[key]
	if l == nil {
		return cmp.Or(j.w.o.limit, 300) // to which auto may grow
	}
	if !l.changed.IsZero() && time.Since(l.changed) <= time.Minute+time.Second {
		return max(l.now, l.before)
	}
	return l.now
}

// started sees a new process.
func (j *judge) started() {
	j.reached["life"]++
	for _, c := range j.chains {
		clear(c.flying)
	}
	for _, l := range j.lanes {
		l.flying, l.flyingCritical = 0, 0
	}
	for _, h := range j.hosts {
		h.down, h.account, h.changed = false, false, time.Now()
		clear(h.fails)
		forgets(h.onsets)
		h.failing, h.ends = time.Time{}, nil // it begins slowly where nothing was accepted since the last failure; more it does not know
	}
	for key := range j.w.keys {
		forgets(j.onsets[key])
		forgets(j.lowered[key])
	}
	clear(j.flying)
	for _, r := range j.records {
		r.got = r.got || r.flying
		r.flying = false
		r.maybe = r.maybe || !r.ended // what was in flight a new process does not know
	}
}

// kept sees the store take an event, in the order of its commits.
func (j *judge) kept(e *queue.New, placed queue.Placed) {
	var body struct {
		Payload struct {
			CustomDetails struct{ N int } `json:"custom_details"`
		}
	}
	if err := json.Unmarshal(e.Body, &body); err != nil || body.Payload.CustomDetails.N == 0 {
		j.w.fail("what is kept cannot be read: %v", err)
		return
	}
	n := body.Payload.CustomDetails.N
	j.idOf[n] = placed.ID
	sent := j.numbers[n]
	if placed.Coalesced {
		j.reached["coalesced"]++
		r := j.records[placed.ID]
		if r == nil || r.ended || r.action != eventsv2.Trigger || sent.action != eventsv2.Trigger {
			j.w.fail("event %d was coalesced into %d, which cannot take it", n, placed.ID)
			return
		}
		r.latest, r.kept, r.since = n, time.Now(), j.w.machine.moment()
		r.severity = min(r.severity, sent.severity)
		return
	}
	j.places += placeStep
	r := &record{
		id: placed.ID, chain: chainID{j.w.serviceOf(sent.key), sent.dedup}, action: sent.action, severity: sent.severity, lane: placed.Lane,
		place: j.places, latest: n, kept: time.Now(), since: j.w.machine.moment(), takes: map[int]int{},
	}
	if sent.action == "" {
		r.chain.dedup = fmt.Sprint("change ", placed.ID)
	}
	r.way = j.wayOf(r.lane)
	c := j.chain(r.chain)
	r.alone = c.pending == 0
	c.pending++
	c.records = append(c.records, r)
	j.records[r.id], j.queued[r.id] = r, r
	if r.action == eventsv2.Trigger && r.severity == queue.Critical {
		j.undelivered[r.id] = r
		if j.pages = slices.DeleteFunc(j.pages, func(r *record) bool { return r.ended }); j.w.up.account > 0 {
			j.pages = append(j.pages, r)
		}
		l := j.lane(r.lane)
		l.arrivals = append(recent(l.arrivals), time.Now())
		if r.alone {
			time.AfterFunc(time.Second+time.Millisecond, func() { j.late(r, r.kept) })
			time.AfterFunc(mostInPool+time.Millisecond, func() { j.idleSister(r, mostInPool) })
		}
	}
}

// wayOf is the upstream that the configuration means for an event that comes to a lane: where
// something is queued, that of what is queued. What is in flight may have ended just now, and
// what is damaged may be set aside.
func (j *judge) wayOf(id int64) string {
	l := j.lane(id)
	limit := j.limits[l.key]
	pending, waits := false, false
	for _, r := range j.queued {
		if r.lane == id {
			pending, waits = true, waits || !r.flying && !j.chain(r.chain).spoiled && time.Since(r.answered) > time.Second
		}
	}
	switch {
	case waits:
	case pending || limit == nil || limit.directed.Equal(time.Now()):
		l.way = ""
	default:
		l.way = limit.upstream
	}
	return l.way
}

func recent(times []time.Time) []time.Time {
	for len(times) > 0 && time.Since(times[0]) > 61*time.Second {
		times = times[1:]
	}
	return times
}

// departed sees an attempt begin.
func (j *judge) departed(r *request) {
	x := j.of(r)
	if x == nil {
		j.w.fail("event %d leaves and was not kept", r.n)
		return
	}
	c, l := j.chain(x.chain), j.lane(x.lane)
	if r.copies != nil {
		r.copies.flying++
	}
	if r.second {
		j.again(x, r)
		return
	}
	if c.flying[r.key]++; c.flying[r.key] > 1 {
		j.w.fail("two events of %v are in flight at once, the second is %d", x.chain, x.id)
	}
	x.left = time.Now()
	j.lonely(x)
	x.attempted = true
	if x.ended {
		j.w.fail("event %d leaves although it has ended as %s", x.id, x.state)
	}
	if way := x.way; way != "" && way != r.host {
		j.w.fail("event %d of key %d goes to %s, it was accepted for %s: %s", x.id, r.key, r.host, way, j.story(j.chain(x.chain)))
	}
	if age := j.w.machine.date().Sub(x.since.date); x.since.boot == j.w.machine.boot() && age > j.maxAge(x)+time.Second {
		j.w.fail("event %d leaves %s after it was accepted, its age may be %s", x.id, age, j.maxAge(x))
	}
	if ways := j.ways[r.key]; x.way != "" && ways != nil && !ways[r.host] {
		j.w.fail("event %d of key %d goes to %s, which the configuration has never named for that key", x.id, r.key, r.host)
	}
	if !l.held.IsZero() && time.Since(l.held) > 2*time.Second {
		j.w.fail("event %d left a lane that has been paused for %s", x.id, time.Since(l.held))
	}
	if x.failed != nil && x.failed.Status != 429 && time.Since(x.answered) > 3*time.Minute {
		j.reached["a late attempt"]++
	}
	j.bounded(r)
	j.overtakes(x)
	x.tries++
	x.flying, x.left, x.host = true, time.Now(), r.host
	j.flying[x.id] = x
	l.flying++
	if x.leftAs = c.priority(x.lane); x.leftAs == queue.Critical {
		l.flyingCritical++
	}
}

// again sees the second copy of an event leave, while the first one has no answer.
func (j *judge) again(x *record, r *request) {
	j.reached["sent twice"]++
	j.bounded(r)
	c, l := j.chain(x.chain), j.lane(x.lane)
	critical := slices.ContainsFunc(c.records, func(other *record) bool { return !other.ended && other.severity == queue.Critical })
	switch waited := time.Since(x.left); {
	case r.action == "" || !critical:
		j.w.fail("event %d (%s, %s) leaves a second time, and is no critical alert", x.id, r.action, x.severity)
	case waited < 3*time.Second-time.Millisecond && !j.woke.After(x.left):
		j.w.fail("event %d leaves a second time %s after the first", x.id, waited)
	case !l.held.IsZero() && time.Since(l.held) > 2*time.Second:
		j.w.fail("event %d left a second time, by a lane that has been paused for %s", x.id, time.Since(l.held))
	}
	l.flying++
	if x.leftAs == queue.Critical {
		l.flyingCritical++
	}
}

// cancelled sees a copy of an event cancelled: as the other one was accepted, as the process
// ends, or as both have been silent for seconds, and the host has accepted what left later
// or an operator has it tried, or nothing else is in flight.
func (j *judge) cancelled(r *request, l *life) {
	if r.copies.accepted || l.ctx.Err() != nil {
		return
	}
	j.reached["given up twice"]++
	second := r.copies.second
	if silent := time.Since(second); second.IsZero() || silent < 3*time.Second-time.Millisecond && !j.woke.After(second) {
		j.w.fail("a copy of event %d was given up when the second one had been in flight for %s", r.n, silent)
	}
	h := j.host(r.host)
	alone := false // in flight to its host, by its first attempt, and for 10 s
	if x := j.records[j.idOf[r.n]]; x != nil {
		alone = x.counted == 0 && (time.Since(second) >= 7*time.Second-time.Millisecond || j.woke.After(second)) && !slices.ContainsFunc(slices.Collect(maps.Values(j.flying)), func(other *record) bool { return other != x && other.host == r.host })
	}
	if !alone && !h.answered.After(second) && !j.tried.After(second) {
		j.w.fail("a copy of event %d was given up, and %s has accepted nothing that left later", r.n, r.host)
	}
	h.trouble = time.Now() // the attempt has failed
	if x := j.of(r); x != nil {
		x.had = l.n // by two connections, and nothing came back
		j.lane(x.lane).trouble = h.trouble
	}
}

// bounded looks whether a host gets more than the limits of its lanes allow, and more than
// a few in a second while most attempts fail. Probes while it is down are not counted.
func (j *judge) bounded(r *request) {
	h, now := j.host(r.host), time.Now()
	if h.down || now.Sub(h.changed) <= 20*time.Millisecond { // the claim of a probe may have been out
		return
	}
	h.starts = append(h.starts, now)
	for now.Sub(h.starts[0]) >= time.Minute {
		h.starts = h.starts[1:]
	}
	limits := 0
	for key := range j.w.keys {
		limits += j.allowed(key)
	}
	h.mostInMinute = max(h.mostInMinute, len(h.starts))
	if len(h.starts) > limits {
		j.w.fail("%s has got %d requests within a minute, all its lanes may send %d", r.host, len(h.starts), limits)
	}
	if h.failing.IsZero() || now.Sub(h.ends[len(h.ends)-1].at) >= time.Minute { // so long ago that says nothing of the host
		return
	}
	n := 0
	for i := len(h.starts) - 1; i >= 0 && now.Sub(h.starts[i]) < time.Second; i-- {
		if h.starts[i].Sub(h.failing) > 20*time.Millisecond { // a claim may have been out
			n++
		}
	}
	if h.mostInSecond = max(h.mostInSecond, n); n > 20 {
		j.w.fail("%s has got %d requests within a second while more than half of them fail", r.host, n)
	}
}

// seen notes how an attempt ended at its host.
func (h *hostSeen) seen(fails bool) {
	h.ends = append(h.ends, ending{time.Now(), fails})
	h.ends = h.ends[max(0, len(h.ends)-20):]
	n, failed := 0, 0
	for _, e := range h.ends {
		if time.Since(e.at) <= 10*time.Second {
			n++
			if e.fails {
				failed++
			}
		}
	}
	switch {
	case n < 10 || 2*failed <= n:
		h.failing = time.Time{}
	case h.failing.IsZero():
		h.failing = time.Now()
	}
	if !h.failing.IsZero() {
		h.paced = time.Now()
	}
}

// overtakes counts infos that leave while a critical event of any lane has waited for a
// second, and has not just been answered.
func (j *judge) overtakes(x *record) {
	if j.w.up.account == 0 || x.severity != queue.Info {
		return
	}
	j.infos++
	for _, other := range j.pages {
		if !other.ended && !other.flying && other.through.IsZero() && time.Since(other.kept) > time.Second && time.Since(other.answered) > time.Second {
			j.overtook++
			return
		}
	}
}

// taken sees PagerDuty take an event; its answer may be lost.
func (j *judge) taken(r *request, lost *eventsv2.Error) {
	x := j.of(r)
	if x == nil {
		return
	}
	c := j.chain(x.chain)
	if x.place < c.last[r.key] {
		j.w.fail("event %d (%s) of %v was accepted by PagerDuty behind one that came after it: %s", x.id, r.action, x.chain, j.story(c))
	}
	if x.takes[r.n] > 0 {
		j.reached["taken twice"]++
	}
	c.last[r.key] = x.place
	x.takes[r.n], x.by = x.place, r.key
	x.hasTold = x.hasTold || r.tells
	j.arrived(x)
	delete(j.undelivered, x.id)
	if r.action == eventsv2.Acknowledge || r.action == eventsv2.Resolve {
		j.throughItsKey(r, x)
	}
	if r.action != "" {
		j.incidents.take(r.key, r.dedup, r.action)
	}
	// After a crash a process does not know all that was in flight.
	if l := j.w.life; l != nil && (!l.blind || time.Since(l.began) > time.Minute+time.Second) {
		if n, most := len(j.w.up.recent(r.key)), j.allowed(r.key); n > most {
			j.w.fail("PagerDuty has accepted %d events of key %d within 60 s, %d are allowed", n, r.key, most)
		}
	}
}

// remembered is how long it is known which key has opened an incident. With suspends a month of
// the world is two.
const remembered = 30 * 24 * time.Hour

// throughItsKey looks that an acknowledge or resolve goes by the key that has opened its
// incident: PagerDuty drops it otherwise. One of an incident that is over, or of none, goes by
// any key, whatever opens the next one meanwhile, and so does one of an incident that was last
// triggered a month ago.
func (j *judge) throughItsKey(r *request, x *record) {
	var before *record // the trigger or resolve that PagerDuty has taken last of what came before it
	for _, other := range j.chain(x.chain).records {
		if other.action != eventsv2.Acknowledge && other.place < x.place && len(other.takes) > 0 && (before == nil || other.place > before.place) {
			before = other
		}
	}
	if before == nil || before.action == eventsv2.Resolve || before.by == r.key || j.incidents[incident{r.key, r.dedup}] != "" {
		return
	}
	if before.ended && j.w.machine.date().Sub(before.over) > remembered {
		return
	}
	for at := range j.incidents {
		if at.key == before.by && at.dedup == r.dedup {
			j.w.fail("event %d (%s) of %v was sent by key %d, its incident was opened by key %d: %s", x.id, r.action, x.chain, r.key, at.key, j.story(j.chain(x.chain)))
		}
	}
}

// answered sees the end of an attempt, before the relay does.
func (j *judge) answered(r *request, err *eventsv2.Error) {
	x := j.of(r)
	if x == nil {
		return
	}
	c, l, h := j.chain(x.chain), j.lane(x.lane), j.host(r.host)
	l.flying--
	l.ends = append(recent(l.ends), time.Now())
	if x.leftAs == queue.Critical {
		l.flyingCritical--
		l.criticals = append(recent(l.criticals), time.Now())
	}
	if err != nil && err.Status == 429 {
		if life := j.w.life; time.Since(l.limited) > limitKnown || life != nil && l.limited.Before(life.began) {
			l.firstLimited = time.Now()
		}
		l.limited = time.Now()
		show(j.lowered[r.key], r.began, err)
	}
	if show(j.onsets[r.key], r.began, err); err == nil || err.Status != 429 && !err.Rejected {
		show(h.onsets, r.began, err)
	}
	if err != nil && (err.Status >= 500 || err.Status == 408 || err.Status == 0 && err.Sent && !errors.Is(err.Err, context.Canceled)) {
		x.had = j.w.life.n
	}
	x.maybe = x.maybe || err != nil && err.Status != 429 && !err.Rejected
	x.got = x.got || err == nil || err.Sent || err.Status != 0 && err.Status != 429 && !err.Rejected
	if err == nil && r.began.After(h.answered) {
		h.answered = r.began
	}
	if r.copies != nil {
		if err = r.copies.ended(err); r.copies.flying > 0 {
			return // the event is in flight until both have ended
		}
	}
	h.seen(err != nil && err.Status != 429 && !err.Rejected)
	c.flying[r.key]--
	x.flying = false
	delete(j.flying, x.id)
	x.failed, x.answered = err, time.Now()
	if delete(j.waits, x.id); err != nil && (err.Status == 0 || err.Status >= 500) && x.severity == queue.Critical && x.action == eventsv2.Trigger {
		j.waits[x.id], x.passed = x, 0
	}
	if err != nil && err.Status != 429 && !errors.Is(err.Err, context.Canceled) {
		h.trouble, l.trouble = time.Now(), time.Now()
	}
	switch {
	case err == nil:
		h.accepted, l.accepted = time.Now(), time.Now()
		x.through = time.Now()
		h.wellAnswered()
		j.passedBy(x, r.host)
	case err.Status == 429:
		h.wellAnswered()
	case errors.Is(err.Err, context.Canceled):
	case err.Status >= 500 || err.Rejected:
		if err.KeyRejected() {
			l.rejected = time.Now()
		}
		h.wellAnswered()
	default:
		h.fails[fmt.Sprint(x.chain, " by key ", r.key)] = true
	}
}

// settled sees the store keep how an attempt has ended.
func (j *judge) settled(s queue.Settlement) {
	x := j.records[s.ID]
	if x == nil {
		return
	}
	if x.counted = s.Attempts; s.Lane != 0 {
		j.relocate(x, s.Lane)
	}
	if !s.State.Ended() {
		return
	}
	j.reached["ended as "+s.State.String()]++
	if s.State == queue.Delivered && x.takes[x.latest] == 0 {
		j.w.fail("event %d was settled as delivered, and PagerDuty has not taken its number %d", x.id, x.latest)
	}
	if s.State == queue.Delivered && x.tells && !x.hasTold {
		j.w.fail("event %d was settled as delivered, and PagerDuty was not told of those that it stands for", x.id)
	}
	if s.State == queue.Expired {
		j.expired(x)
	}
	j.end(x, s.State)
}

// maxAge is how old an event may be.
func (j *judge) maxAge(x *record) time.Duration {
	if x.action != "" && x.action != eventsv2.Trigger {
		return j.w.o.maxAge + time.Hour
	}
	return j.w.o.maxAge
}

// expired sees an event given up as too old. What was measured of its age decides that, and
// within one boot that is exact, whatever the wall clock has shown. By dates alone, of which
// one may be wrong, it expires only when its upstream has had it in this process.
func (j *judge) expired(x *record) {
	age, measurable := j.w.machine.date().Sub(x.since.date), j.w.machine.measurable(x.since)
	switch had := j.w.life != nil && x.had == j.w.life.n; {
	case measurable >= j.maxAge(x)-time.Millisecond:
	case x.since.boot == j.w.machine.boot():
		j.w.fail("event %d has expired %s after it was accepted, its age may be %s", x.id, age, j.maxAge(x))
	case !had:
		j.w.fail("event %d has expired by a date, %s after it was accepted, of which %s can have been measured, and its upstream has not had it in this process", x.id, age, measurable)
	default:
		j.reached["expired by a date"]++
	}
}

// moved sees the store move a chain of which nothing may have been accepted.
func (j *judge) moved(head int64, m queue.Move) {
	x := j.records[head]
	if x == nil {
		return
	}
	j.reached["moved: "+m.Why[strings.LastIndex(m.Why, ":")+2:]]++
	c := j.chain(x.chain)
	if key := j.lane(m.From).key; (x.flying || len(x.takes) > 0 || j.incidents[incident{key, x.chain.dedup}] != "") {
		j.w.fail("event %d of %v has moved from lane %d to %d, and PagerDuty has its incident open, or may have: %s", head, x.chain, m.From, m.To, j.story(c))
	}
	j.relocate(x, m.To)
}

// transferred sees an event in a lane to which an operator has moved what is no open
// incident's.
func (j *judge) transferred(e *queue.Event, to int64) {
	id := e.ID
	x := j.records[id]
	if x == nil || x.lane == to && x.way == "" {
		return
	}
	if from := x.lane; from != to {
		j.reached["transferred"]++
		if key := j.lane(from).key; !e.State.Dead() && (x.flying || j.incidents[incident{key, x.chain.dedup}] != "") {
			j.w.fail("event %d of %v was moved by an operator from lane %d to %d, and PagerDuty has its incident open: %s", id, x.chain, from, to, j.story(j.chain(x.chain)))
		}
		x.lane, x.moved, x.movedAt = to, true, time.Now()
	}
	x.way = ""
	j.lane(to).way = ""
}

// relocate notes that a whole chain is in another lane now.
func (j *judge) relocate(x *record, to int64) {
	from, c := x.lane, j.chain(x.chain)
	there := slices.ContainsFunc(c.records, func(other *record) bool { return !other.ended && other.lane == to })
	if from == to || there && !c.spoiled { // of two chains of one dedup key each stays; of a damaged one the judge does not know what is left
		return
	}
	j.reached["moved"]++
	j.lane(to).way = x.way // it takes only what was accepted for the same upstream
	for _, other := range c.records {
		if !other.ended && other.lane == from {
			other.lane, other.moved, other.movedAt = to, true, time.Now()
		}
	}
}

func (j *judge) end(x *record, state queue.State) {
	if !x.ended {
		j.chain(x.chain).pending--
	}
	x.ended, x.state, x.over = true, state, j.w.machine.date()
	delete(j.undelivered, x.id)
	delete(j.queued, x.id)
	delete(j.waits, x.id)
}

// related reports whether a store can know that an event, which is to go to a lane now, and
// another one belong together: by a lane, by the key that their senders named, or as the
// settings have their keys in one pool.
func (j *judge) related(x, other *record, to int64) bool {
	keys := [2]int{j.lane(x.lane).key, j.lane(other.lane).key}
	if other.lane == x.lane || other.lane == to || j.numbers[x.latest].key == j.numbers[other.latest].key || j.w.life == nil || min(keys[0], keys[1]) < 0 {
		return true
	}
	s := j.w.life.settings.Load()
	pool := s.Lookup(j.w.keys[keys[0]]).Pool
	return pool != "" && pool == s.Lookup(j.w.keys[keys[1]]).Pool
}

// requeued sees an operator send an event anew: it keeps the place that its sender gave
// it, or goes into another trigger of its chain.
func (j *judge) requeued(a queue.Requeued) {
	j.reached["requeue"]++
	x := j.records[a.ID]
	if x == nil {
		return
	}
	if a.Coalesced {
		j.reached["requeue coalesced"]++
		into := j.records[a.Into]
		if into == nil || into.ended || into.action != eventsv2.Trigger || x.action != eventsv2.Trigger {
			j.w.fail("event %d was requeued into %d, which cannot take it", a.ID, a.Into)
			return
		}
		if x.id > into.id { // the body of the later one leaves; numbers are given before the store has the events
			into.latest = x.latest
		}
		into.kept, into.severity = time.Now(), min(into.severity, x.severity)
		into.since = j.w.machine.moment()
		for n, id := range j.idOf {
			if id == a.ID {
				j.idOf[n] = a.Into
			}
		}
		into.tells, into.hasTold = into.tells || x.tells, into.hasTold && !x.tells
		x.state, x.teller = queue.Dropped, 0
		return
	}
	x.attempted, x.got, x.teller = true, true, 0
	c := j.chain(x.chain)
	for _, other := range c.records {
		if other.ended && j.w.machine.date().Sub(other.over) > retention || !j.related(x, other, a.Lane) {
			continue // it may be deleted, or nobody says that the two keys belong together
		}
		if other.id > x.id && string(other.action) == queue.OutdatedBy(string(x.action)) && (other.flying || other.ended && other.state == queue.Delivered) && x.action != "" {
			j.w.fail("event %d (%s) was sent once more although event %d (%s) of %v has been delivered, which came later", x.id, x.action, other.id, other.action, x.chain)
		}
	}
	x.place = j.placeAgain(c, x, a.Lane)
	if x.ended {
		c.pending++
	}
	x.way, j.queued[x.id] = "", x
	x.ended, x.kept, x.requeued, x.tries, x.counted, x.failed, x.lane = false, time.Now(), time.Now(), 1, 0, nil, a.Lane
	x.since, x.had = j.w.machine.moment(), 0
}

// placeAgain is the place of an event that is sent once more: before what came later and
// is queued still, else behind everything.
func (j *judge) placeAgain(c *chain, x *record, lane int64) int {
	next, before := math.MaxInt, 0
	for _, other := range c.records {
		if other != x && !other.ended && other.id > x.id && other.lane == lane {
			next = min(next, other.place)
		}
	}
	if next == math.MaxInt {
		j.places += placeStep
		return j.places
	}
	for _, other := range c.records {
		if other != x && other.place < next {
			before = max(before, other.place)
		}
	}
	return before + (next-before)/2
}

func (j *judge) dropped(id int64) {
	j.reached["drop"]++
	if x := j.records[id]; x != nil {
		j.end(x, queue.Dropped)
	}
}

// incident hears what the store has found in its data.
func (j *judge) incident(i sqlite.Incident) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	j.reached["incident of the store: "+i.What]++
	if !j.w.o.damage {
		j.w.fail("the store has found something in its data: %+v", i)
	}
}

// wellAnswered forgets the chains that have failed: their host is there.
func (h *hostSeen) wellAnswered() {
	if !h.cleared.Equal(time.Now()) {
		h.before = map[string]bool{}
	}
	h.cleared = time.Now()
	maps.Copy(h.before, h.fails)
	clear(h.fails)
}

// failed is how many chains may have failed in a row, as the relay has it: answers of the same
// moment come to it in any order.
func (h *hostSeen) failed() int {
	all := maps.Clone(h.fails)
	if h.cleared.Equal(time.Now()) {
		maps.Copy(all, h.before)
	}
	return len(all)
}

// logged hears the relay.
func (j *judge) logged(message, host, attrs string) {
	j.reached["log: "+message]++
	switch message {
	case "upstream down":
		h := j.host(host)
		h.down, h.changed = true, time.Now()
		if h.failed() < 2 {
			j.w.fail("the breaker of %s has opened although only the chains %v have failed since the last answer", host, h.fails)
		}
	case "upstream up":
		h := j.host(host)
		h.down, h.changed = false, time.Now()
	case "account rate limited":
		j.host(host).account = true
	case "account not rate limited any more":
		j.host(host).account = false
	case "internal error: the scheduler goes on; please report this":
		j.w.fail("the scheduler says of itself:%s", attrs)
	case "cannot keep how an event ended; the other events go on", "an event's end was not kept":
		if !j.w.o.damage {
			j.w.fail("%s:%s", message, attrs)
		}
	}
}

// expected is how many incidents a chain may have open: what was accepted, and has not
// become a dead letter, one after the other.
func (j *judge) expected(c *chain) (open int) {
	type step struct {
		place  int
		action eventsv2.Action
	}
	var steps []step
	for _, r := range c.records {
		if r.ended && r.state == queue.Delivered {
			steps = append(steps, step{r.place, r.action})
			continue
		}
		if teller := j.records[r.teller]; teller != nil && teller.action != "" && r.place < teller.place { // it was opened and resolved before
			steps = append(steps, step{r.place, r.action})
		}
		for _, place := range r.takes { // given up after PagerDuty had taken it and its answer was lost
			steps = append(steps, step{place, r.action})
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.place, b.place) })
	one := incidents{}
	for _, s := range steps {
		one.take(0, "", s.action)
	}
	return len(one)
}

// scattered reports whether the events of a chain went by several keys of a pool.
func (c *chain) scattered() bool { return len(c.last) > 1 }

// open counts the incidents of each chain that PagerDuty has open, over all keys of its
// service.
func (j *judge) open() map[chainID]int {
	open := map[chainID]int{}
	for at := range j.incidents {
		open[chainID{j.w.serviceOf(at.key), at.dedup}]++
	}
	return open
}

// verdicts looks at everything once all is quiet and the queue is empty.
func (j *judge) verdicts(dead map[int64]queue.State) {
	for _, r := range j.byPlace() {
		if state, is := dead[r.id]; is {
			j.end(r, state) // the store has set it aside
			continue
		}
		if !r.ended {
			j.w.fail("event %d of %v is lost: it was accepted, and is neither delivered nor a dead letter", r.id, r.chain)
		}
	}
	j.toldOf()
	open := j.open()
	for id, n := range open {
		if j.chains[id] == nil {
			j.w.fail("PagerDuty has %d incidents of %v open, which nobody has sent", n, id)
		}
	}
	for id, c := range j.chains {
		if c.scattered() {
			j.reached["chain by several keys"]++
		}
		if want := j.expected(c); open[id] != want {
			j.w.fail("PagerDuty has %d incidents of %v open, want %d: %s", open[id], id, want, j.story(c))
		}
	}
}

func (j *judge) byPlace() []*record {
	var all []*record
	for _, r := range j.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.place, b.place) })
	return all
}

// story tells of a chain.
func (j *judge) story(c *chain) string {
	records := slices.SortedFunc(slices.Values(c.records), func(a, b *record) int { return cmp.Compare(a.place, b.place) })
	var steps []string
	for _, r := range records[max(0, len(records)-18):] {
		state := "queued"
		if r.ended {
			state = r.state.String()
		}
		steps = append(steps, fmt.Sprintf("#%d %s %s lane %d kept %s taken %d times moved %v", r.id, cmp.Or(string(r.action), "change"), state, r.lane, r.kept.Sub(j.w.begun), len(r.takes), r.moved))
	}
	return strings.Join(steps, ", ")
}

// compare asks the store for lists, counts and groups. Beside the model that compares
// them; alone it is looked at what they say of each other.
func (j *judge) compare(s store) {
	ctx := context.Background()
	at := func(what string, err error) {
		if err != nil {
			j.w.fail("%s: %v", what, err)
		}
	}
	script := j.w.script
	filters := []queue.Filter{{Limit: 100_000}, {InFlight: true, Limit: 1000}, {States: []queue.State{queue.Refused, queue.Expired}, Limit: 1000}}
	for range 3 {
		f := queue.Filter{Lane: int64(script.IntN(4)), Limit: 1 + script.IntN(200)}
		if script.IntN(2) == 0 {
			f.DedupKey = fmt.Sprintf("issue-%d", script.IntN(20))
		}
		if rank := queue.Rank(script.IntN(4)); script.IntN(2) == 0 {
			f.AtLeast = &rank
		}
		if script.IntN(3) == 0 {
			f.Text = fmt.Sprintf("event %d", script.IntN(100))
		}
		if script.IntN(3) == 0 {
			f.States = []queue.State{queue.State(script.IntN(3)), queue.Delivered}
		}
		filters = append(filters, f)
	}
	for _, f := range filters {
		_, err := s.Events(ctx, f)
		at("a list", err)
	}
	for _, others := range []int{math.MaxInt, 0, 2} {
		_, err := s.Overview(ctx, []int64{2, 7}, others)
		at("an overview", err)
	}
	_, err := s.Totals(ctx)
	at("totals", err)
	groups, err := s.Groups(ctx)
	at("groups", err)
	for _, g := range groups {
		_, err := s.Members(ctx, g, 1000)
		at("members", err)
	}
	if text := difference(s); text != "" {
		j.w.fail("%s", text)
	}
}
