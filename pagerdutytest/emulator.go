package pagerdutytest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The two endpoints of the Events API v2.
const (
	pathAlert  = "/v2/enqueue"
	pathChange = "/v2/change/enqueue"
)

// Options says how an emulator behaves. The zero value is strict.
type Options struct {
	// Limit is the number of events that are accepted per key in any 60 s, alert
	// and change events together. Defaults to [DocumentedLimit]; negative: no limit.
	Limit int
	// Lenient lets pass what PagerDuty is known or likely to let pass: members
	// that it does not know, null for a member that may be left out, custom
	// details that are no object, a time without a zone, another Content-Type.
	Lenient bool
	// Keys, if set, are the integration keys that exist; any other of good form is
	// answered "Invalid routing key".
	Keys []string
	// Now gives the time; it is called from many goroutines. Defaults to time.Now.
	Now func() time.Time
	// Seed decides which requests are met by faults that have a probability.
	Seed uint64
	// Hosts are names, beside the loopback ones and the address itself, under
	// which the second door takes writes.
	Hosts []string
	// MaxEntries is the number of requests that the journal remembers; the oldest
	// go first. Defaults to 100,000.
	MaxEntries int
}

// defaultEntries bounds the journal of an emulator that nobody stops: about
// 100 MB of ordinary events.
const defaultEntries = 100_000

// Emulator is an Events API v2 as an http.Handler, with the second door. It is
// ready when made by [New] and may be used concurrently.
type Emulator struct {
	options Options
	conns   atomic.Int64

	mu        sync.Mutex
	updated   chan struct{}
	journal   []*Entry
	requests  int
	incidents incidents
	changes   []Change
	limiter   limiter
	faults    *faultQueue
	keys      keyRing
}

var _ http.Handler = (*Emulator)(nil)

// New makes an emulator that has seen nothing yet.
func New(o Options) *Emulator {
	if o.Limit == 0 {
		o.Limit = DocumentedLimit
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = defaultEntries
	}
	e := &Emulator{options: o, updated: make(chan struct{}), keys: make(keyRing)}
	for _, key := range o.Keys {
		e.keys.add(key)
	}
	e.Reset()
	return e
}

// Reset forgets all: journal, incidents, changes, rate limits and faults, and
// starts the seed again.
func (e *Emulator) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.journal, e.requests, e.changes = nil, 0, nil
	e.incidents, e.limiter = incidents{}, limiter{limit: e.options.Limit}
	e.faults = newFaultQueue(e.options.Seed)
	e.announce() // the keys stay: a request in hand may still show one
}

// Journal returns the requests but those to the second door, in order of arrival:
// all of them, or the latest [Options].MaxEntries.
func (e *Emulator) Journal() []Entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]Entry, len(e.journal))
	for i, x := range e.journal {
		list[i] = *x
	}
	return list
}

// Incidents returns the incidents in the order in which they were opened.
func (e *Emulator) Incidents() []Incident {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.incidents.snapshot()
}

// Changes returns the change events in order of arrival.
func (e *Emulator) Changes() []Change {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.changes)
}

// Inject adds faults. A request meets the first that applies to it, in the order
// in which they were injected. Inject panics if a fault is not valid.
func (e *Emulator) Inject(faults ...Fault) {
	complete := make([]Fault, len(faults))
	for i, f := range faults {
		var err error
		if complete[i], err = f.complete(); err != nil {
			panic("pagerdutytest: Inject: " + err.Error())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.waiting = append(e.faults.waiting, complete...)
}

// ClearFaults ends all faults that are waiting for a request. What else there is stays, and
// so does the place in the seed.
func (e *Emulator) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.waiting = nil
}

// Faults returns the faults that are still waiting for a request.
func (e *Emulator) Faults() []Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.faults.waiting)
}

// Updated returns a channel that is closed at the next change: a request arrived
// or was answered, or Reset was called. Take the channel first and look then.
func (e *Emulator) Updated() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.updated
}

// announce wakes all who wait on Updated. The caller holds mu.
func (e *Emulator) announce() {
	close(e.updated)
	e.updated = make(chan struct{})
}

// ServeHTTP answers the Events API and, unless the request came through a
// [Proxy], the second door.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if connectionOf(r.Context()).intercepted || !isSecondDoor(r) {
		e.serveEvent(w, r)
		return
	}
	e.serveSecondDoor(w, r)
}

// serveEvent takes one request for the Events API from arrival to answer.
func (e *Emulator) serveEvent(w http.ResponseWriter, r *http.Request) {
	entry := e.arrive(r)
	body, err := readBody(w, r)
	ex := exchange{e: e, entry: entry, request: r, verdict: e.read(r, body)}
	e.update(func() {
		entry.Body = body
		ex.verdict.describe(entry)
		e.keys.add(ex.verdict.event.key)
		if err == nil {
			ex.fault, ex.faulty = e.faults.next(r.URL.Path, ex.verdict.event.action)
			entry.Fault = ex.fault.Name
		}
	})
	if err != nil { // the sender left before its body was here
		panic(http.ErrAbortHandler)
	}
	ex.run(w)
}

// arrive writes the request into the journal.
func (e *Emulator) arrive(r *http.Request) *Entry {
	entry := &Entry{
		emulator: e, Time: e.options.Now(), Method: r.Method, Path: r.URL.Path, Target: targetOf(r), Proto: r.Proto,
		Header: r.Header, Remote: r.RemoteAddr, Conn: connectionOf(r.Context()).number,
	}
	e.update(func() {
		e.requests++
		entry.Number = e.requests
		e.journal = append(e.journal, entry)
		if len(e.journal) > e.options.MaxEntries {
			e.journal[0] = nil
			e.journal = e.journal[1:]
		}
	})
	return entry
}

// update changes the state and wakes those who wait for a change.
func (e *Emulator) update(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
	e.announce()
}

// maxDrain is what is read of a body that is too large, so that its sender hears
// the answer and not a reset connection.
const maxDrain = 16 << 20

// readBody reads one byte more than is allowed and throws the rest away.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxDrain)
	body, err := io.ReadAll(io.LimitReader(limited, maxBody+1))
	if err == nil {
		_, err = io.Copy(io.Discard, limited)
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		err = nil
	}
	return body, err
}

// verdict is what can be said of a request without the emulator's state.
type verdict struct {
	change  bool
	event   event
	refused *answer // nil: the event is right
}

// describe writes what was read into the journal.
func (v verdict) describe(entry *Entry) {
	if v.event.key != "" {
		entry.Key = Fingerprint(v.event.key)
	}
	entry.Action, entry.DedupKey, entry.secrets = v.event.action, v.event.dedupKey, v.event.secrets
}

// read judges a request by itself.
func (e *Emulator) read(r *http.Request, body []byte) verdict {
	v := verdict{change: r.URL.Path == pathChange}
	refuse := func(a answer) verdict {
		v.refused = &a
		return v
	}
	decode := decodeAlert
	if v.change {
		decode = decodeChange
	}
	var problems []problem
	var err error
	if len(body) <= maxBody {
		v.event, problems, err = decode(body, e.options.Lenient)
	}
	switch {
	case r.URL.Path != pathAlert && r.URL.Path != pathChange:
		return refuse(jsonAnswer(http.StatusNotFound, alertAnswer{Status: "not found", Message: "Not Found"}))
	case r.Method != http.MethodPost:
		a := jsonAnswer(http.StatusMethodNotAllowed, alertAnswer{Status: "error", Message: "Method Not Allowed"})
		a.header.Set("Allow", http.MethodPost)
		return refuse(a)
	case !e.options.Lenient && !isJSON(r.Header.Get("Content-Type")):
		return refuse(jsonAnswer(http.StatusUnsupportedMediaType, alertAnswer{Status: "error", Message: "Content-Type must be application/json"}))
	case len(body) > maxBody:
		return refuse(badEvent(v.change, "Event is too large (maximum is 512000 bytes)"))
	case err != nil:
		return refuse(unreadable(v.change))
	case len(problems) > 0:
		return refuse(refusal(v.change, problems))
	case len(e.options.Keys) > 0 && !slices.Contains(e.options.Keys, v.event.key):
		return refuse(textAnswer(http.StatusBadRequest, invalidRoutingKey))
	}
	return v
}

func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && media == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
