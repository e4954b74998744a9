// Package intake is the relay's front door: PagerDuty's Events API, where "202
// Accepted" means that the event is on the disk.
package intake

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Store is what the door needs of a queue.
type Store interface {
	Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error)
	Put(ctx context.Context, e queue.New) (queue.Placed, error)
}

// Route says what the configuration knows of an integration key.
type Route struct {
	Name   string         // alias or fingerprint
	Pool   string         // "" if it belongs to none
	Keys   []eventsv2.Key // of the pool
	Listed bool
}

// Options says how the door works.
type Options struct {
	Store Store
	// Route looks a key up.
	Route func(eventsv2.Key) Route
	// OnlyListed refuses keys that the configuration does not list.
	OnlyListed func() bool
	Log        *slog.Logger
	// Now gives the relay's steady time, for the queue. The timestamp of an event
	// that has none is the wall clock's.
	Now func() time.Time
	// Done is told of each event at the door, for metrics.
	Done func(Result)
}

// Result is what became of one request.
type Result struct {
	Route     Route
	Kind      queue.Kind
	Status    int
	Why       string // of a refusal: invalid, key, full, unavailable, body, stopping
	Repaired  bool
	Coalesced bool
	Took      time.Duration // by the store
}

const (
	// maxBody is what is read of a request: more than PagerDuty takes, so that what
	// is too large can be made to fit.
	maxBody = 2 << 20

	// retryAfter is what a client is told when nothing can be kept.
	retryAfter = 5 * time.Second
)

// Door answers PagerDuty's two paths. It is an http.Handler.
type Door struct {
	o        Options
	stopping atomic.Bool
	buffers  sync.Pool
}

var _ http.Handler = (*Door)(nil)

// New returns a door.
func New(o Options) *Door {
	if o.Done == nil {
		o.Done = func(Result) {}
	}
	if o.OnlyListed == nil {
		o.OnlyListed = func() bool { return false }
	}
	return &Door{o: o, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
}

// Stop makes the door answer 503 from now on.
func (d *Door) Stop() { d.stopping.Store(true) }

// ServeHTTP answers /v2/enqueue and /v2/change/enqueue.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result := Result{}
	switch r.URL.Path {
	case "/v2/enqueue":
	case "/v2/change/enqueue":
		result.Kind = queue.Change
	default:
		answer(w, http.StatusNotFound, `{"status":"not found","message":"Not Found"}`)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, `{"status":"error","message":"Method Not Allowed"}`)
		return
	}
	d.enqueue(w, r, &result)
	d.o.Done(result)
}

func (d *Door) enqueue(w http.ResponseWriter, r *http.Request, result *Result) {
	if d.stopping.Load() {
		unavailable(w, result, "stopping", "the relay is stopping")
		return
	}
	buffer := d.buffers.Get().(*bytes.Buffer)
	defer d.buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		d.unread(w, err, result)
		return
	}
	e, key, err := d.read(buffer.Bytes(), result)
	var invalid *eventsv2.Invalid
	if errors.As(err, &invalid) {
		result.Status, result.Why = http.StatusBadRequest, "invalid"
		answer(w, http.StatusBadRequest, string(invalid.AppendJSON(nil)))
		return
	}
	if !result.Route.Listed && d.o.OnlyListed() {
		result.Status, result.Why = http.StatusBadRequest, "key"
		answer(w, http.StatusBadRequest, `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}`)
		return
	}
	d.keep(w, r, &e, key, result)
}

// unread answers a request whose body did not come whole. What a broken body
// leaves in the connection is nobody's request, so that is closed.
func (d *Door) unread(w http.ResponseWriter, err error, result *Result) {
	w.Header().Set("Connection", "close")
	result.Status, result.Why = http.StatusBadRequest, "body"
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		answer(w, http.StatusBadRequest, `{"status":"invalid event","message":"Event object is invalid","errors":["the event is too large (maximum is 512000 bytes)"]}`)
		return
	}
	answer(w, http.StatusBadRequest, `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":["the request body could not be read"]}`)
}

// read makes the queue's event of a body.
func (d *Door) read(body []byte, result *Result) (queue.New, eventsv2.Key, error) {
	repair := eventsv2.RepairOptions{Now: time.Now(), NewDedupKey: newDedupKey}
	e := queue.New{Kind: result.Kind, Accepted: d.o.Now(), Severity: queue.Info}
	var key eventsv2.Key
	var err error
	if result.Kind == queue.Change {
		var change eventsv2.Change
		if change, e.Repairs, err = eventsv2.RepairChange(body, repair); err != nil {
			return e, key, err
		}
		key, change.RoutingKey = change.RoutingKey, eventsv2.Key{}
		e.Body = change.AppendJSON(make([]byte, 0, len(body)+128))
	} else {
		var event eventsv2.Event
		if event, e.Repairs, err = eventsv2.Repair(body, repair); err != nil {
			return e, key, err
		}
		key, event.RoutingKey = event.RoutingKey, eventsv2.Key{}
		e.Action, e.DedupKey, e.Severity = event.Action, event.DedupKey, queue.RankOf(event.Payload.Severity)
		e.Body = event.AppendJSON(make([]byte, 0, len(body)+128))
	}
	result.Route, result.Repaired = d.o.Route(key), len(e.Repairs) > 0
	return e, key, nil
}

// keep puts the event into the queue and only then says 202.
func (d *Door) keep(w http.ResponseWriter, r *http.Request, e *queue.New, key eventsv2.Key, result *Result) {
	// The client may leave; the event is kept all the same, as it may have come.
	ctx := context.WithoutCancel(r.Context())
	started := time.Now()
	lane, err := d.lane(ctx, e, key, result.Route)
	if err == nil {
		e.Lane, e.Pool = lane, result.Route.Pool
		var placed queue.Placed
		placed, err = d.o.Store.Put(ctx, *e)
		result.Coalesced = placed.Coalesced
	}
	result.Took = time.Since(started)
	switch {
	case errors.Is(err, queue.ErrFull):
		d.o.Log.Warn("an event was turned away", "lane", result.Route.Name, "why", err)
		unavailable(w, result, "full", "the relay's queue is full")
	case err != nil:
		d.o.Log.Error("an event was turned away", "lane", result.Route.Name, "why", err)
		unavailable(w, result, "unavailable", "the relay cannot keep events now: "+reason(err))
	case e.Kind == queue.Change:
		result.Status = http.StatusAccepted
		answer(w, http.StatusAccepted, `{"status":"success","message":"Change event processed"}`)
	default:
		result.Status = http.StatusAccepted
		d.o.Log.Debug("accepted", "lane", result.Route.Name, "action", e.Action, "dedup_key", e.DedupKey, "coalesced", result.Coalesced, "repairs", e.Repairs)
		body := append(make([]byte, 0, 128), `{"status":"success","message":"Event processed","dedup_key":`...)
		body = append(eventsv2.AppendString(body, e.DedupKey), '}')
		write(w, http.StatusAccepted, body)
	}
}

// reason tells the kind of the trouble; the whole of it stands in the log.
func reason(err error) string {
	for _, kind := range []error{queue.ErrBroken, queue.ErrUnavailable} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "internal error"
}

// lane returns the lane that the event goes to; in a pool the one that a hash of
// the dedup key prefers.
func (d *Door) lane(ctx context.Context, e *queue.New, key eventsv2.Key, route Route) (int64, error) {
	if route.Pool == "" || e.Kind == queue.Change {
		lane, err := d.o.Store.Lane(ctx, key)
		return lane.ID, err
	}
	usable := make([]eventsv2.Key, 0, len(route.Keys))
	lanes := map[string]int64{}
	for _, candidate := range route.Keys {
		lane, err := d.o.Store.Lane(ctx, candidate)
		if err != nil {
			return 0, err
		}
		lanes[candidate.Reveal()] = lane.ID
		if lane.KeyRefused.IsZero() {
			usable = append(usable, candidate)
		}
	}
	if len(usable) == 0 {
		usable = route.Keys // one of them may be accepted again
	}
	return lanes[usable[eventsv2.Rendezvous(usable, e.DedupKey)].Reveal()], nil
}

func newDedupKey() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	return hex.EncodeToString(random[:])
}

func unavailable(w http.ResponseWriter, result *Result, why, text string) {
	result.Status, result.Why = http.StatusServiceUnavailable, why
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	body := append([]byte(`{"status":"unavailable","message":`), eventsv2.AppendString(nil, text)...)
	write(w, http.StatusServiceUnavailable, append(body, '}'))
}

func answer(w http.ResponseWriter, status int, body string) { write(w, status, []byte(body)) }

var jsonType = []string{"application/json"}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left has its event kept
}
