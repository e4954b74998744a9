package relay_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// options are the whole of a simulation. The same ones give the same story: what
// senders, people, disks and upstreams do. The goroutines of the relay take their turns
// as the Go runtime has it, so a failure may need some runs to come back.
type options struct {
	seed      uint64
	length    time.Duration
	every     time.Duration // between two events, on the average
	store     string        // "file", "model", or "twin": both side by side
	limit     int           // events per 60 s and key, as configured; 0 for auto
	truth     int           // what PagerDuty really takes; 0 for no limit
	troubles  bool          // upstreams have moods
	bodies    bool          // the way to the upstreams dislikes some events
	lives     bool          // the process ends now and then, mostly without a warning
	operators bool          // people pause, reload, requeue and drop
	pools     bool          // the keys of a pool have troubles in turn, and people pause its lanes
	disk      bool          // the disk takes its time, fails and hangs
	damage    bool          // rows of the file go bad
	strangers int           // unknown keys that send one event each, all at once
	crowd     int           // more keys that the configuration lists, each of a service of its own
	severe    bool          // and these are critical
	maxLanes  int           // of unknown keys; 0 for the default
	capacity  int           // attempts at once; 0 for the default
	maxAge    time.Duration //
	waiting   string        // settle_while_waiting; "" for the default
	wrong     time.Duration // how far the date is off at first
	clocks    bool          // the wall clock is set now and then, also where the machine begins anew
	suspends  bool          // the machine is suspended now and then
	plant     string        // a fault, for the judge to find
}

func (o options) String() string {
	type bare options
	return fmt.Sprintf("%+v", bare(o))
}

const (
	retention = 24 * time.Hour
	grace     = 6 * time.Second
	common    = "https://events.pagerduty.com"
	europe    = "https://events.eu.pagerduty.com"
	rehearsal = "https://rehearsal.example.com"
)

// world has everything around the relay: senders, people, the disk, PagerDuty. The
// test's goroutine writes the story; the relay's goroutines run as they do in the
// program, on the clock of the synctest bubble.
type world struct {
	o       options
	dir     string // of the queue's file
	script  *rand.Rand
	begun   time.Time
	agenda  []appointment // by time; those of the same time in the order in which they were made
	quiet   bool          // no more troubles; changed with the lock held
	model   *queuetest.Model
	keys    []eventsv2.Key
	config  config
	removed []keyLine      // that people have taken out of the file, and will put back
	joined  map[int]string // services of keys that a story puts into another pool
	life    *life
	lives   int
	merged  atomic.Bool // an event was requeued into a later one
	machine *machine
	line    *clock.Line // the time of the process, or of the last one
	mark    string      // of the clock, as the last process has left it; of the model alone, as the file keeps its own
	going   sync.WaitGroup

	order sync.Mutex // of what the store takes in: held around a Put or Requeue and its note
	mu    sync.Mutex // of the judge and of all below
	judge *judge
	up    *upstream
	disk  disk

	failed atomic.Pointer[string] // what the judge said first
}

// config is what the settings file says.
type config struct {
	keys  []keyLine
	pools [][2]string // name, and the aliases with commas between them
	lives map[string]keyLife

	waiting string // settle_while_waiting; "" for the default
}

// keyLife is what the settings file says of the life of a key, by its alias.
type keyLife struct {
	formerly []int // keys whose place it takes
	retiring bool
	file     bool // it stands in a file of its own
}

// keyLine is a key in the settings file.
type keyLine struct {
	alias    string
	key      int
	rate     int    // 0 for auto
	upstream string // "" for the common one
}

// service says to which service of PagerDuty a key belongs. It does not change with the
// configuration.
var services = []string{"oncall", "db", "web", "web", "eu", "unlisted", "rehearsal", "db", "oncall", "web"}

func standard(limit int) config {
	return config{
		keys:  []keyLine{{"oncall", 0, limit, ""}, {"db", 1, limit, ""}, {"web-a", 2, limit, ""}, {"web-b", 3, limit, ""}, {"eu", 4, limit, europe}},
		pools: [][2]string{{"web", "web-a, web-b"}},
	}
}

func (w *world) serviceOf(key int) string {
	switch {
	case w.joined[key] != "":
		return w.joined[key]
	case key < len(services):
		return services[key]
	case key < w.listed():
		return fmt.Sprint("crowd ", key)
	}
	return fmt.Sprint("stranger ", key)
}

// listed is the number of keys that are not strangers'.
func (w *world) listed() int { return len(services) + w.o.crowd }

func newWorld(t testing.TB, o options) *world {
	w := &world{o: o, dir: memoryDir(t), script: rand.New(rand.NewPCG(o.seed, 1)), begun: time.Now(), machine: newMachine(o.wrong), config: standard(o.limit)}
	w.line = clock.NewLine(w.machine.read)
	w.config.waiting = o.waiting
	if o.store != "file" {
		w.model = queuetest.NewModel()
		w.model.Now, w.model.Date = w.now, func(at time.Time) time.Time { return w.line.Date(at) }
	}
	for i := range o.crowd {
		w.config.keys = append(w.config.keys, keyLine{fmt.Sprint("crowd-", i), len(services) + i, o.limit, ""})
	}
	for i := range w.listed() + o.strangers {
		key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, key)
	}
	w.judge = newJudge(w)
	w.up = newUpstream(w)
	return w
}

// memoryDir is a folder in memory, where there is one: a month has a million fsyncs.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "relay-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// fail keeps what was found first, with what repeats it.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf("%s, after %s: ", w.o, time.Since(w.begun)) + fmt.Sprintf(format, args...)
	w.failed.CompareAndSwap(nil, &text)
}

func (w *world) verdict() string {
	if text := w.failed.Load(); text != nil {
		return *text
	}
	return ""
}

// now is what the process takes for the time.
func (w *world) now() time.Time { return w.line.Now() }

func (w *world) some(most time.Duration) time.Duration {
	return time.Duration(w.script.Int64N(int64(most)) + 1)
}

// dice are for what goroutines ask: they depend on the event and on how often it was
// sent, and not on who asks first.
func (w *world) dice(n, try int) *rand.Rand {
	return rand.New(rand.NewPCG(w.o.seed^uint64(n)<<20, uint64(try)))
}

func (w *world) at(when time.Time, what func()) {
	i, _ := slices.BinarySearchFunc(w.agenda, when, func(a appointment, when time.Time) int {
		if a.at.After(when) {
			return 1
		}
		return -1
	})
	w.agenda = slices.Insert(w.agenda, i, appointment{when, what})
}

func (w *world) in(wait time.Duration, what func()) { w.at(time.Now().Add(wait), what) }

// run takes the appointments until then, or until the judge has found something.
func (w *world) run(until time.Time) {
	for len(w.agenda) > 0 && !w.agenda[0].at.After(until) && w.verdict() == "" {
		next := w.agenda[0]
		w.agenda = w.agenda[1:]
		if wait := time.Until(next.at); wait > 0 {
			<-time.After(wait)
		}
		next.do()
	}
	if wait := time.Until(until); wait > 0 && w.verdict() == "" {
		<-time.After(wait)
	}
}

// text is the settings file, and the files of keys beside it.
func (c *config) text() (text string, files map[string]string) {
	files = map[string]string{}
	var b strings.Builder
	if c.waiting != "" {
		fmt.Fprintf(&b, "settle_while_waiting: %s\n", c.waiting)
	}
	fmt.Fprintf(&b, "upstream: %s\nkeys:\n", common)
	for _, k := range c.keys {
		life, key := c.lives[k.alias], fmt.Sprintf("%032d", k.key+1)
		if life.file {
			files[k.alias+".key"], key = key, "file:"+k.alias+".key"
		}
		fmt.Fprintf(&b, "  - {alias: %s, key: %q, rate: %s, retiring: %v", k.alias, key, rateText(k.rate), life.retiring)
		for i, old := range life.formerly {
			fmt.Fprintf(&b, "%s%q", []string{", formerly: [", ", "}[min(i, 1)], fmt.Sprintf("%032d", old+1))
		}
		if len(life.formerly) > 0 {
			b.WriteString("]")
		}
		if k.upstream != "" {
			fmt.Fprintf(&b, ", upstream: %q", k.upstream)
		}
		b.WriteString("}\n")
	}
	if len(c.pools) > 0 {
		b.WriteString("pools:\n")
	}
	for _, p := range c.pools {
		fmt.Fprintf(&b, "  - {name: %s, keys: [%s]}\n", p[0], p[1])
	}
	return b.String(), files
}

func rateText(rate int) string {
	if rate == 0 {
		return "auto"
	}
	return fmt.Sprint(rate)
}

// event is what a sender sends.
type event struct {
	n        int // its number: in the body, for the judge
	key      int
	action   eventsv2.Action // "" for a change event
	dedup    string
	severity queue.Rank
}

func (e *event) body(w *world) string {
	key := fmt.Sprintf("%032d", e.key+1)
	payload := fmt.Sprintf(`"payload":{"summary":"event %d of %s","source":"sim","severity":%q,"custom_details":{"n":%d}}`, e.n, e.dedup, e.severity, e.n)
	if e.action == "" {
		return fmt.Sprintf(`{"routing_key":%q,%s}`, key, payload)
	}
	return fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q,%s}`, key, e.action, e.dedup, payload)
}

// submit sends an event to the events listener, as one of many clients.
func (w *world) submit(e event) {
	l := w.life
	if l == nil {
		return
	}
	w.mu.Lock()
	e.n = w.judge.numbered(e)
	w.mu.Unlock()
	w.going.Go(func() {
		path := "/v2/enqueue"
		if e.action == "" {
			path = "/v2/change/enqueue"
		}
		recorder := httptest.NewRecorder()
		l.door.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, strings.NewReader(e.body(w))))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.judge.heard(e, recorder.Code)
	})
}

// appointment is something that happens in a world at a time.
type appointment struct {
	at time.Time
	do func()
}
