// Package admin is the relay's admin listener: what people and their monitoring see
// of the queue, and what operators do with it. docs/admin-api.md is its contract.
package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Store is what the door itself needs of a queue.
type Store interface {
	// Healthy returns why critical events cannot be kept, nil if they can.
	Healthy() error
	// Quarantined lists files that were set aside as damaged.
	Quarantined() []string
	// Usage is what the queue takes of its disk.
	Usage() queue.Usage
}

// Options says how the door works. Those without a default are required.
type Options struct {
	Insight *insight.Insight
	Store   Store
	Ops     *ops.Ops
	// Auth knows the tokens. While it knows none, only this machine gets in.
	Auth *door.Authenticator
	// Sessions are the browsers that have signed in. Defaults to none.
	Sessions *door.Sessions
	// Pages are for browsers: everything that is no path of the API's. Defaults to a
	// list of what there is.
	Pages http.Handler
	// OpenPages are those that need no token: to sign in, and the looks. Defaults to
	// none.
	OpenPages http.Handler
	// Hosts returns names beside those of the loopback by which browsers and
	// clients may call the door. Defaults to none.
	Hosts func() []string
	// Accepting returns why the relay accepts no critical event, nil if it does.
	Accepting func() error
	// Meter has the counters of /metrics. Defaults to one of its own.
	Meter   *Meter
	Log     *slog.Logger
	Now     func() time.Time
	Version string
}

// Door answers the admin API, metrics and health checks. It is an http.Handler.
type Door struct {
	o       Options
	handler http.Handler
}

var _ http.Handler = (*Door)(nil)

// New returns a door, or an error if the meter serves another one already.
func New(o Options) (*Door, error) {
	if o.Hosts == nil {
		o.Hosts = func() []string { return nil }
	}
	if o.Auth == nil {
		o.Auth = door.NewAuthenticator()
	}
	if o.Sessions == nil {
		o.Sessions = door.NewSessions(o.Auth, o.Now)
	}
	if o.Meter == nil {
		o.Meter = NewMeter(o.Version)
	}
	d := &Door{o: o}
	metrics, err := o.Meter.serve(&collector{door: d}, o.Log)
	if err != nil {
		return nil, fmt.Errorf("make the metrics: %w", err)
	}
	d.handler = d.routes(metrics)
	return d, nil
}

// ServeHTTP answers a request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// answerWithin bounds the work on one request: whoever asked has given up by then.
const answerWithin = 20 * time.Second

// routes puts every path behind what it needs. Health checks are open, as what
// calls them can seldom be given a token. /metrics needs a known host like the rest: a
// page whose name was made to point here would read the names of keys and how many
// pages there are. It is scraped by address, or by a name of the settings.
func (d *Door) routes(metrics http.Handler) http.Handler {
	guarded := http.NewServeMux()
	guarded.Handle("/api/status", only{http.MethodGet: d.status})
	guarded.Handle("/api/lanes", only{http.MethodGet: d.lanes})
	guarded.Handle("/api/lanes/{lane}", only{http.MethodGet: d.lane})
	guarded.Handle("/api/lanes/{lane}/pause", only{http.MethodPost: d.hold(ops.Pause)})
	guarded.Handle("/api/lanes/{lane}/resume", only{http.MethodPost: d.hold(ops.Resume)})
	guarded.Handle("/api/lanes/{lane}/move", only{http.MethodPost: d.move})
	guarded.Handle("/api/lanes/{lane}/try", only{http.MethodPost: d.hold(ops.TryLane)})
	guarded.Handle("/api/events", only{http.MethodGet: d.events})
	guarded.Handle("/api/events/requeue", only{http.MethodPost: d.many(ops.Requeue)})
	guarded.Handle("/api/events/drop", only{http.MethodPost: d.many(ops.Drop)})
	guarded.Handle("/api/events/replay", only{http.MethodPost: d.replay})
	guarded.Handle("/api/events/{id}", only{http.MethodGet: d.event})
	guarded.Handle("/api/events/{id}/requeue", only{http.MethodPost: d.one(ops.Requeue)})
	guarded.Handle("/api/events/{id}/drop", only{http.MethodPost: d.one(ops.Drop)})
	guarded.Handle("/api/events/{id}/try", only{http.MethodPost: d.one(ops.Try)})
	guarded.Handle("/api/dead", only{http.MethodGet: d.dead})
	guarded.Handle("/api/shape", only{http.MethodGet: d.shape})
	nothing := func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, http.StatusNotFound, "there is nothing here; GET / lists what there is")
	}
	guarded.HandleFunc("/api/", nothing)
	guarded.Handle("/", d.forBrowsers(nothing))

	all := http.NewServeMux()
	all.Handle("/healthz", only{http.MethodGet: d.healthz})
	all.Handle("/readyz", only{http.MethodGet: d.readyz})
	all.Handle("/metrics", d.known(d.authenticated(only{http.MethodGet: metrics.ServeHTTP})))
	if d.o.OpenPages != nil {
		for _, path := range []string{"/static/", "/favicon.ico", "/signin", "/signout"} {
			all.Handle(path, d.known(d.sameOrigin(d.o.OpenPages)))
		}
	}
	all.Handle("/", d.known(d.sameOrigin(d.authenticated(guarded))))
	return d.bounded(headers(all))
}

func (d *Door) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

const indexPage = `shoutrrrd %s, the admin listener

GET  /api/status                  the relay at a glance
GET  /api/lanes                   lanes: condition, limits, backlog; q, limit, cursor
GET  /api/lanes/{lane}            one lane, by its id, name or fingerprint
POST /api/lanes/{lane}/pause      stop sending {"why":"..."}
POST /api/lanes/{lane}/resume     send again
POST /api/lanes/{lane}/move       what is in it leaves by another lane {"to":"...","preview":true,"why":"..."}
POST /api/lanes/{lane}/try        end the wait for a 429 or a rejected key
GET  /api/events                  events: state, lane, severity, dedup_key, q, limit, cursor
GET  /api/events/{id}             one event with its body and history
POST /api/events/requeue          send many again {"ids":["1","2"],"why":"..."}
POST /api/events/drop             give many up {"ids":["1","2"],"why":"..."}
POST /api/events/replay           send delivered ones of a time again {"since":"...","until":"...","lane":"...","preview":true,"why":"..."}
POST /api/events/{id}/requeue     send a refused, expired or dropped event again
POST /api/events/{id}/drop        give an event up
POST /api/events/{id}/try         make a retrying event due at once
GET  /api/dead                    refused and expired events, grouped by lane and reason
GET  /api/shape                   what is queued, by lane, severity and age
GET  /                            the console, for browsers
GET  /metrics                     for Prometheus
GET  /healthz, /readyz            does the process run; would a critical event be accepted
`

// forBrowsers shows the pages, and the list of what there is to whoever asks for no
// HTML: curl, for instance.
func (d *Door) forBrowsers(nothing http.HandlerFunc) http.Handler {
	pages := d.o.Pages
	if pages == nil {
		pages = nothing
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && (d.o.Pages == nil || !wantsHTML(r)) {
			only{http.MethodGet: d.index}.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func (d *Door) index(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, fmt.Sprintf(indexPage, d.o.Version))
}

func (d *Door) healthz(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") }

// readyz tells whether a critical event would be accepted and nothing else: while
// PagerDuty is away the relay is needed most, and a queue that is full of less severe
// events has places that are reserved for pages.
func (d *Door) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := d.o.Accepting(); err != nil {
		text(w, http.StatusServiceUnavailable, d.o.Insight.Scrub(context.Background(), err.Error())+"\n")
		return
	}
	text(w, http.StatusOK, "ok\n")
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // nobody to tell if the client has left
}
