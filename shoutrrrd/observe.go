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
		Store: d.store, Statuses: d.relay.Statuses, Describe: d.describe, Accepting: d.accepting,
		Keys: func() (keys []eventsv2.Key) {
			for _, k := range d.settings.Load().Keys {
				keys = append(keys, k.Key)
			}
			return keys
		},
		Config: func() insight.Loaded { return *d.loaded.Load() },
		Now:    d.clock.Now, Started: d.clock.wall, Version: version(),
	})
}

// atTheDoor counts what the front door did.
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
	d.meter.Settled(lane, e, x)
	switch {
	case x.State == queue.Delivered:
		d.trend.Delivered(lane, x.At)
	case x.Tried && x.Status == http.StatusTooManyRequests:
		d.trend.Throttled(lane, x.At)
	}
}

// learnEvery is how often the learned limits are noted: a few times a minute.
const learnEvery = 15 * time.Second

// watchLimits notes which limits the lanes have learned.
func (d *program) watchLimits(ctx context.Context) {
	again := time.NewTicker(learnEvery)
	defer again.Stop()
	for {
		lanes, _ := d.store.Lanes(ctx) // it answers from memory
		names := map[int64]string{}
		for _, l := range lanes {
			names[l.ID] = d.describe(l.Key).Name
		}
		for _, s := range d.relay.Statuses() {
			d.trend.Learned(names[s.Lane], s.Learned, d.clock.Now())
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
	return insight.Named{Name: found.Name, Pool: found.Pool, Upstream: found.Upstream}
}
