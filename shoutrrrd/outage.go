package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"sync"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/notify"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// outages is what the notifier asks how the relay stands. It has a look of its own at
// store and scheduler, so that a fault in what people see is no reason not to call.
type outages struct {
	d *program

	mu      sync.Mutex
	reasons map[int64]string // of the last failed attempt of a critical event, by lane
}

// maxReasons bounds the lanes of which the last failure is known. Beyond it all are
// forgotten: the next attempts tell again.
const maxReasons = 10_000

// newNotifier makes what calls for help.
func (d *program) newNotifier() *notify.Notifier {
	d.outages = &outages{d: d, reasons: map[int64]string{}}
	n := notify.New(notify.Options{
		Source: d.outages, Relay: machine(), Book: d.settings.Load().Queue + ".notify", Log: d.log, Now: d.clock.Now, Date: d.clock.Date, Hide: d.shown,
		Tried: func(way string, stage notify.Stage, err error) { d.meter.Notified(way, string(stage), err == nil) },
	})
	configure(n, d.settings.Load())
	return n
}

// machine is the name by which a message names this relay.
func machine() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return name
}

// shown makes a text of others one line without keys.
func (d *program) shown(text string) string { return redact.Line(d.secrets.Hide(text)) }

func configure(n *notify.Notifier, s *settings.Settings) {
	n.Configure(s.Notify.After, waysOf(s, os.Getenv))
}

// notifyAnew takes over what a reload has changed. Ways that stay as they are are not
// disturbed.
func (d *program) notifyAnew(before, after *settings.Settings) {
	if !reflect.DeepEqual(before.Notify, after.Notify) {
		configure(d.notifier, after)
	}
}

// waysOf makes the ways that the settings give.
func waysOf(s *settings.Settings, getenv func(string) string) []notify.Way {
	var ways []notify.Way
	agent := "shoutrrrd/" + version()
	for _, w := range s.Notify.Ways {
		way := notify.Way{Name: w.Name, Timeout: w.Timeout, Watches: w.Tells}
		switch w.Kind() {
		case "command":
			var environ []string
			for _, name := range notify.Inherited {
				if value := getenv(name); value != "" {
					environ = append(environ, name+"="+value)
				}
			}
			way.To = notify.Command{Argv: w.Command, Environ: environ}
		case "webhook":
			header := http.Header{}
			for _, h := range w.Headers {
				header.Add(h.Name, h.Value.Reveal())
			}
			way.To = notify.Webhook{URL: w.URL.Reveal(), Header: header, UserAgent: agent}
		case "smtp":
			way.To = notify.Mail{
				Host: w.Host, Port: w.Port, TLS: notify.TLS(w.TLS), From: w.From, To: w.To,
				User: w.User, Password: w.Password.Reveal(), Timeout: w.Timeout, Agent: agent,
			}
		default:
			way.To = notify.PagerDuty{Client: &eventsv2.Client{BaseURL: w.Upstream, UserAgent: agent, Timeout: w.Timeout}, Key: w.Key}
		}
		ways = append(ways, way)
	}
	return ways
}

// noteOutcome hears how attempts of critical events end.
func (o *outages) noteOutcome(e *queue.Event, x *queue.Settlement) {
	if e.Severity != queue.Critical || e.Kind != queue.Alert {
		return
	}
	o.mu.Lock()
	switch {
	case x.State == queue.Delivered:
		delete(o.reasons, e.Lane)
	case x.Tried && x.Reason != "":
		if len(o.reasons) >= maxReasons {
			clear(o.reasons)
		}
		o.reasons[e.Lane] = x.Reason
	}
	o.mu.Unlock()
	if !x.State.Dead() || e.Action != eventsv2.Trigger {
		return
	}
	found := o.lookup(e.Lane)
	gone := notify.Dead{Upstream: found.Upstream, At: x.At, Lane: found.Name, Why: o.d.shown(x.Reason)}
	if x.State == queue.Expired {
		gone.Expired = 1
	} else {
		gone.Rejected = 1
	}
	o.d.notifier.GivenUp(gone)
}

// lookup is what the settings say of a lane; from memory.
func (o *outages) lookup(id int64) settings.Lookup {
	l, err := o.d.store.LaneByID(context.Background(), id)
	if err != nil { // forgotten since
		return settings.Lookup{Name: fmt.Sprint("lane ", id), Upstream: o.d.settings.Load().Upstream}
	}
	return o.d.settings.Load().Lookup(l.Key)
}

// Look implements notify.Source.
func (o *outages) Look(ctx context.Context) ([]notify.Lane, error) {
	overview, err := o.d.store.Overview(ctx, nil, 0)
	if err != nil {
		return nil, err
	}
	var lanes []notify.Lane
	for _, l := range overview.Lanes {
		if l.Count.Waiting[queue.Critical] > 0 {
			status, _ := o.d.relay.Status(l.Lane.ID)
			lanes = append(lanes, o.lane(l.Lane, l.Count, o.why(l.Lane, l.Count, status)))
		}
	}
	return lanes, nil
}

// Memory implements notify.Source.
func (o *outages) Memory() []notify.Lane {
	counts, _ := o.d.store.Totals(context.Background()) // from memory: it has no error
	var lanes []notify.Lane
	for _, count := range counts {
		if count.Waiting[queue.Critical] == 0 {
			continue
		}
		if l, err := o.d.store.LaneByID(context.Background(), count.Lane); err == nil {
			lanes = append(lanes, o.lane(l, count, o.why(l, count, lane.Status{})))
		}
	}
	return lanes
}

// Trouble implements notify.Source.
func (o *outages) Trouble() string {
	if err := o.d.store.Healthy(); err != nil {
		return o.d.shown(err.Error())
	}
	return ""
}

func (o *outages) lane(l queue.Lane, count queue.Count, why string) notify.Lane {
	found := o.d.settings.Load().Lookup(l.Key)
	return notify.Lane{
		Name: found.Name, Upstream: cmp.Or(l.Upstream, found.Upstream), Waiting: count.Waiting[queue.Critical], Oldest: count.OldestCritical,
		Paused: l.Held, Why: why,
	}
}

// why says what keeps the critical events of a lane, in a few words: those that the status
// has, and the last error of one of them.
func (o *outages) why(l queue.Lane, count queue.Count, status lane.Status) string {
	now, found := o.d.clock.Now(), o.d.settings.Load().Lookup(l.Key)
	switch { // the scheduler may not have heard of it yet, or not be asked
	case l.Held:
		status.Condition = lane.Paused
	case l.Upstream != "" && l.Upstream != found.Upstream:
		status.Condition = lane.Stopped
	case !l.KeyRefused.IsZero():
		status.Condition = lane.KeyRejected
	case status.Condition == "" && now.Before(l.PausedUntil):
		status.Condition, status.Until = lane.Throttled, l.PausedUntil
	}
	o.mu.Lock()
	reason := o.reasons[l.ID]
	o.mu.Unlock()
	words := outlook.Why(status, count, outlook.Name{Lane: found.Name, Upstream: cmp.Or(l.Upstream, found.Upstream), By: l.HeldBy.Who, Date: o.d.clock.Date}, now)
	switch {
	case words == "":
		return o.d.shown(reason)
	case reason == "" || status.Condition == lane.Paused || status.Condition == lane.Stopped:
		return o.d.shown(words)
	}
	return o.d.shown(words + "; the last error: " + reason)
}
