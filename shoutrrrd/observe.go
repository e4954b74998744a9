package main

import (
	"context"
	"net/http"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// insight is what people may see of the relay.
func (d *program) insight() *insight.Insight {
	return insight.New(insight.Options{
		Store: d.store, Statuses: d.relay.Statuses, Status: d.relay.Status, Prospect: d.relay.Prospect, Upstreams: d.relay.Upstreams, Describe: d.describe, Accepting: d.accepting,
		Hide: d.secrets.Hide, Calls: d.calls,
		Config: func() insight.Loaded { return *d.loaded.Load() },
		Now:    d.clock.Now, Started: d.clock.Now(), Date: d.clock.Date, Version: version(),
	})
}

// calls are the outages for which help is called now.
func (d *program) calls() []insight.Call {
	var calls []insight.Call
	for _, c := range d.notifier.Calls() {
		calls = append(calls, insight.Call{
			Upstream: c.Upstream, At: insight.Stamp{Time: d.clock.Date(c.At)}, By: append([]string{}, c.By...), Failing: append([]string{}, c.Failing...),
		})
	}
	return calls
}

// atTheDoor counts what the events listener has answered.
func (d *program) atTheDoor(r intake.Result) {
	if r.Status == http.StatusAccepted {
		d.trend.Accepted(r.Route.Name, d.clock.Now())
		d.meter.Accepted(r.Route.Name, r.Kind, r.Repaired, r.Coalesced, r.Took)
		return
	}
	d.meter.TurnedAway(r.Why)
}

// settled counts how events end, and attempts.
func (d *program) settled(lane string, e queue.Event, x queue.Settlement) {
	dated, end := e, x
	dated.Accepted, end.At = d.clock.Date(e.Accepted), d.clock.Date(x.At)
	d.meter.Settled(lane, dated, end)
	d.outages.noteOutcome(&e, &x)
	switch {
	case x.State == queue.Delivered:
		d.trend.Delivered(lane, x.At)
	case x.Tried && x.Status == http.StatusTooManyRequests:
		d.trend.Throttled(lane, x.At)
	}
}

// learnEvery is how often the learned limits are noted: a few times a minute.
const learnEvery = 15 * time.Second

// watchLimits notes which limits the lanes have learned: those that the status shows.
func (d *program) watchLimits(ctx context.Context) {
	again := time.NewTicker(learnEvery)
	defer again.Stop()
	for {
		if snapshot, err := d.told.Snapshot(ctx); err == nil { // else the next one comes soon
			for _, s := range snapshot.Shown() {
				d.trend.Learned(s.Named.Name, s.Status.Learned, d.clock.Now())
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *program) describe(key eventsv2.Key) insight.Named {
	found := d.settings.Load().Lookup(key)
	return insight.Named{Name: found.Name, Pool: found.Pool, Upstream: found.Upstream, Limit: found.Rate, Start: found.Start, Retiring: found.Retiring}
}
