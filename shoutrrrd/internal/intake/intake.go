// Package intake is the relay's events listener: PagerDuty's Events API, where "202
// Accepted" means that the event is on the disk.
package intake

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/charset"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
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
	Takers []eventsv2.Key // of these, those that new incidents may leave by
	Listed bool
	// Retiring: another key of the pool takes the place of this one.
	Retiring bool
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
	// TryRejected reports whether a new incident of a pool should go by a lane although
	// PagerDuty has rejected its key. Defaults to no.
	TryRejected func(lane int64) bool
	// CanSend reports whether a lane of a pool could send a new incident now. Defaults to
	// yes.
	CanSend func(lane queue.Lane, severity queue.Rank) bool
	// Done is called with the result of each request, for metrics.
	Done func(Result)
	// Budget bounds the memory of requests in hand. Defaults to one of
	// [DefaultBudget] bytes.
	Budget *Budget
}

// Result is what became of one request.
type Result struct {
	Route     Route
	Kind      queue.Kind
	Status    int
	Why       string // of a refusal: invalid, key, full, unavailable, body, busy, stopping
	Repaired  bool
	Coalesced bool
	Took      time.Duration // by the store
}

const (
	// maxBody is what is read of a request: more than PagerDuty takes, so that what
	// is too large can be made to fit.
	maxBody = 2 << 20

	// repairTime is for reading and repairing one body. The largest takes half a
	// second of a processor: a machine that needs longer is overloaded, and the client
	// should come again.
	repairTime = 10 * time.Second

	// maxDrain is what is read of a request that is too large, for its sender to
	// hear the answer and not a reset connection.
	maxDrain = 16 << 20

	// smallBody is up to what size a repair takes less than a millisecond.
	smallBody = 64 << 10

	// retryAfter is what a client is told when nothing can be kept.
	retryAfter = "5"
)

// Door answers PagerDuty's two paths. It is an http.Handler.
type Door struct {
	o        Options
	stopping atomic.Bool
	trouble  trouble
}

var _ http.Handler = (*Door)(nil)

// New returns a door.
func New(o Options) *Door {
	if o.Done == nil {
		o.Done = func(Result) {}
	}
	if o.TryRejected == nil {
		o.TryRejected = func(int64) bool { return false }
	}
	if o.CanSend == nil {
		o.CanSend = func(queue.Lane, queue.Rank) bool { return true }
	}
	if o.OnlyListed == nil {
		o.OnlyListed = func() bool { return false }
	}
	if o.Budget == nil {
		o.Budget = NewBudget(DefaultBudget)
	}
	return &Door{o: o}
}

// Stop makes the door answer 503 from now on.
func (d *Door) Stop() { d.stopping.Store(true) }

// ServeHTTP answers /v2/enqueue and /v2/change/enqueue. As PagerDuty does, it
// takes the body for JSON whatever its Content-Type says.
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

// Busy answers a request that the listener turns away because too many are in hand.
func (d *Door) Busy(w http.ResponseWriter, _ *http.Request) {
	result := Result{}
	busy(w, &result)
	d.o.Done(result)
}

func busy(w http.ResponseWriter, result *Result) {
	w.Header().Set("Connection", "close") // behind a body that was not read
	unavailable(w, result, "busy", "the relay has too many requests in hand")
}

func (d *Door) enqueue(w http.ResponseWriter, r *http.Request, result *Result) {
	if d.stopping.Load() {
		unavailable(w, result, "stopping", "the relay is stopping")
		return
	}
	in, err := d.o.Budget.receive(w, r)
	defer in.release()
	switch {
	case errors.Is(err, share.ErrBusy):
		busy(w, result)
		return
	case errors.Is(err, errTooLarge):
		in.release()
		tooLarge(w, r, result)
		return
	case err != nil:
		unread(w, err, result)
		return
	}
	e, key, err := d.read(r.Context(), in.body, r.Header.Get("Content-Type"), result)
	in.keep(cap(e.Body))
	buffer := in.answer()
	var invalid *eventsv2.Invalid
	switch {
	case err == nil:
		d.keep(w, r, buffer, &e, key, result)
	case errors.As(err, &invalid):
		result.Status, result.Why = http.StatusBadRequest, "invalid"
		write(w, http.StatusBadRequest, invalid.AppendJSON(buffer.AvailableBuffer()))
	case errors.Is(err, errUnlisted):
		result.Status, result.Why = http.StatusBadRequest, "key"
		w.Header()["Content-Type"] = textType
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "Invalid routing key") // PagerDuty's answer to a key that it does not know
	case errors.Is(err, errOverloaded):
		unavailable(w, result, "unavailable", "the relay cannot keep events now: "+errOverloaded.Error())
	default: // the client has gone, which ends the work for it
		unread(w, err, result)
	}
}

var (
	errUnlisted   = errors.New("the configuration does not list the integration key")
	errOverloaded = errors.New("to read the event took too long")
)

// unread answers a request whose body did not come whole. What a broken body
// leaves in the connection is nobody's request, so that is closed. Whoever was too
// slow may try again; a 400 would be final to him.
func unread(w http.ResponseWriter, err error, result *Result) {
	w.Header().Set("Connection", "close")
	result.Status, result.Why = http.StatusBadRequest, "body"
	if errors.Is(err, os.ErrDeadlineExceeded) {
		result.Status = http.StatusRequestTimeout
		answer(w, result.Status, `{"status":"error","message":"the request body did not come in time"}`)
		return
	}
	const reason = "the request body could not be read"
	if result.Kind == queue.Change {
		answer(w, result.Status, `{"error":["`+reason+`"]}`)
		return
	}
	answer(w, result.Status, `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":["`+reason+`"]}`)
}

// tooLarge answers a request that is beyond all repair.
func tooLarge(w http.ResponseWriter, r *http.Request, result *Result) {
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // whether it ends or not, the answer is the same
	w.Header().Set("Connection", "close")
	result.Status, result.Why = http.StatusBadRequest, "invalid"
	const reason = "Event is too large (maximum is 512000 bytes)"
	if result.Kind == queue.Change {
		answer(w, result.Status, `{"error":["`+reason+`"]}`)
		return
	}
	answer(w, result.Status, `{"status":"invalid event","message":"Event object is invalid","errors":["`+reason+`"]}`)
}

// read makes the queue's event of a body. The allow-list comes first: an event whose
// key is not listed costs no repair.
func (d *Door) read(ctx context.Context, body []byte, contentType string, result *Result) (queue.New, eventsv2.Key, error) {
	body, encoding := decode(body, contentType)
	if len(body) > smallBody { // a smaller one needs no watch, which would cost as much as its repair
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, repairTime, errOverloaded)
		defer cancel()
	}
	if d.o.OnlyListed() {
		readKey := eventsv2.ReadKey
		if result.Kind == queue.Change {
			readKey = eventsv2.ReadChangeKey
		}
		key, err := readKey(ctx, body)
		if err != nil {
			return queue.New{}, key, err
		}
		if result.Route = d.o.Route(key); !result.Route.Listed {
			return queue.New{}, key, errUnlisted
		}
	}
	repair := eventsv2.RepairOptions{Now: time.Now(), NewDedupKey: newDedupKey, Encoding: encoding}
	e := queue.New{Kind: result.Kind, Accepted: d.o.Now(), Severity: queue.Info}
	var key eventsv2.Key
	var err error
	if result.Kind == queue.Change {
		var change eventsv2.Change
		if change, e.Repairs, err = eventsv2.RepairChange(ctx, body, repair); err != nil {
			return e, key, err
		}
		e.Summary, e.Source = forLists(change.Summary), forLists(change.Source)
		key, change.RoutingKey = change.RoutingKey, eventsv2.Key{}
		e.Body = change.AppendJSON(make([]byte, 0, len(body)+128))
	} else {
		var event eventsv2.Event
		if event, e.Repairs, err = eventsv2.Repair(ctx, body, repair); err != nil {
			return e, key, err
		}
		e.Summary, e.Source = forLists(event.Payload.Summary), forLists(event.Payload.Source)
		key, event.RoutingKey = event.RoutingKey, eventsv2.Key{}
		e.Action, e.DedupKey, e.Severity = event.Action, event.DedupKey, queue.RankOf(event.Payload.Severity)
		e.Body = event.AppendJSON(make([]byte, 0, len(body)+128))
	}
	result.Route, result.Repaired = d.o.Route(key), len(e.Repairs) > 0
	return e, key, nil
}

// decode returns the body in UTF-8, and the name of the encoding that it was in, "" for UTF-8.
func decode(body []byte, contentType string) ([]byte, string) {
	declared := ""
	if strings.Contains(contentType, "=") { // most have no parameter
		_, parameters, _ := mime.ParseMediaType(contentType) // what it can read of a broken one is nothing
		declared = parameters["charset"]
	}
	if declared == "" && utf8.Valid(body) && !bytes.Contains(body[:min(len(body), 2)], []byte{0}) {
		return body, ""
	}
	return charset.Decode(body, declared)
}

// keep puts the event into the queue and only then says 202. What was read of the
// request is not needed any more, its buffer takes the answer.
func (d *Door) keep(w http.ResponseWriter, r *http.Request, buffer *bytes.Buffer, e *queue.New, key eventsv2.Key, result *Result) {
	// The client may leave; the event is kept all the same, as it may have come.
	ctx := context.WithoutCancel(r.Context())
	started := time.Now()
	placed, err := d.place(ctx, e, key, result.Route)
	result.Took, result.Coalesced = time.Since(started), placed.Coalesced
	if err != nil {
		d.turnAway(w, err, result)
		return
	}
	d.trouble.over(d.o.Log, d.o.Now())
	if d.o.Log.Enabled(ctx, slog.LevelDebug) {
		d.o.Log.Debug("accepted", "event", placed.ID, "lane", result.Route.Name, "kind", e.Kind.String(), "action", e.Action,
			"severity", e.Severity.String(), "coalesced", placed.Coalesced, "repairs", len(e.Repairs))
	}
	result.Status = http.StatusAccepted
	if e.Kind == queue.Change {
		answer(w, http.StatusAccepted, `{"status":"success","message":"Change event processed"}`)
		return
	}
	buffer.Reset()
	body := append(buffer.AvailableBuffer(), `{"status":"success","message":"Event processed","dedup_key":`...)
	write(w, http.StatusAccepted, append(eventsv2.AppendString(body, e.DedupKey), '}'))
}

// place puts the event into its lane. An empty lane of an unknown key may be
// forgotten between the two steps: then there is a new one.
func (d *Door) place(ctx context.Context, e *queue.New, key eventsv2.Key, route Route) (placed queue.Placed, err error) {
	const tries = 3
	e.Key = key
	for range tries {
		if err = d.choose(ctx, e, key, route); err != nil {
			return placed, err
		}
		if placed, err = d.o.Store.Put(ctx, *e); !errors.Is(err, queue.ErrNotFound) {
			return placed, err
		}
	}
	return placed, fmt.Errorf("%w: %w", queue.ErrFull, err)
}

// turnAway answers that the event was not kept and why. The whole of the trouble
// stands in the log.
func (d *Door) turnAway(w http.ResponseWriter, err error, result *Result) {
	d.trouble.tell(d.o.Log, d.o.Now(), result.Route.Name, err)
	switch {
	case errors.Is(err, queue.ErrDiskFull):
		unavailable(w, result, "full", "the relay cannot keep events now: the disk of its queue is full")
	case errors.Is(err, queue.ErrFull):
		unavailable(w, result, "full", "the relay's queue is full")
	case errors.Is(err, queue.ErrBroken):
		unavailable(w, result, "unavailable", "the relay cannot keep events: "+queue.ErrBroken.Error())
	case errors.Is(err, queue.ErrUnavailable):
		unavailable(w, result, "unavailable", "the relay cannot keep events now: "+queue.ErrUnavailable.Error())
	default:
		unavailable(w, result, "unavailable", "the relay cannot keep events now: internal error")
	}
}

// choose finds the lane of the event's key, and the one that the event goes to if its
// incident is not known. In a pool that is the one which a hash of the dedup key prefers
// among those that PagerDuty has not refused; of a trigger, which may be of a new
// incident, among those that can send now, if there are any.
func (d *Door) choose(ctx context.Context, e *queue.New, key eventsv2.Key, route Route) error {
	own, err := d.o.Store.Lane(ctx, key)
	e.Lane, e.Origin, e.Pool = own.ID, own.ID, nil
	if err != nil || route.Pool == "" || e.Kind == queue.Change && !route.Retiring {
		return err
	}
	takers := route.Takers
	if takers == nil {
		takers = route.Keys
	}
	var pool []int64
	var all, usable, able choice
	for _, candidate := range route.Keys {
		lane, err := d.o.Store.Lane(ctx, candidate)
		if err != nil {
			return err
		}
		pool = append(pool, lane.ID)
		if !slices.ContainsFunc(takers, candidate.Equal) {
			continue
		}
		all.add(candidate, lane.ID)
		if lane.KeyRefused.IsZero() {
			usable.add(candidate, lane.ID)
			if e.Action == eventsv2.Trigger && d.o.CanSend(lane, e.Severity) {
				able.add(candidate, lane.ID)
			}
		}
	}
	if len(all.keys) == 0 {
		return nil
	}
	preferred := all.prefers(e.DedupKey)
	if e.Kind == queue.Change {
		e.Lane, e.Key = preferred, eventsv2.Key{}
		return nil
	}
	switch e.Pool = pool; {
	case route.Retiring && e.Action != eventsv2.Trigger: // of an incident that is not known: who has opened it has named the same key
	case len(usable.keys) == 0 || e.Action == eventsv2.Trigger && !slices.Contains(usable.lanes, preferred) && d.o.TryRejected(preferred):
		e.Lane = preferred // it may be accepted again
	case len(able.keys) > 0:
		e.Lane = able.prefers(e.DedupKey)
	default:
		e.Lane = usable.prefers(e.DedupKey)
	}
	return nil
}

// choice is what a pool offers.
type choice struct {
	keys  []eventsv2.Key
	lanes []int64
}

func (c *choice) add(key eventsv2.Key, lane int64) {
	c.keys, c.lanes = append(c.keys, key), append(c.lanes, lane)
}

// prefers returns the lane that the hash of a dedup key prefers.
func (c *choice) prefers(dedup string) int64 { return c.lanes[eventsv2.Rendezvous(c.keys, dedup)] }

// maxListed is how many characters of a summary or source a list shows: PagerDuty's
// bound on a summary. A source has no bound.
const maxListed = 1024

// forLists cuts a text for the columns that lists read.
func forLists(text string) string {
	n := 0
	for at := range text {
		if n == maxListed {
			text = text[:at]
			break
		}
		n++
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

func newDedupKey() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	return hex.EncodeToString(random[:])
}

func unavailable(w http.ResponseWriter, result *Result, why, text string) {
	result.Status, result.Why = http.StatusServiceUnavailable, why
	w.Header().Set("Retry-After", retryAfter)
	answer(w, http.StatusServiceUnavailable, `{"status":"unavailable","message":"`+text+`"}`)
}

func answer(w http.ResponseWriter, status int, body string) { write(w, status, []byte(body)) }

var (
	jsonType = []string{"application/json"}
	textType = []string{"text/plain; charset=utf-8"}
)

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left has its event kept
}
