package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/routes"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// storeOptions says how the queue is kept. What a reload changes is asked for anew.
func (d *program) storeOptions() sqlite.Options {
	s := d.settings.Load()
	return sqlite.Options{
		Path: s.Queue, MaxQueued: s.MaxQueued, MaxDead: s.MaxDead, MaxDeadBytes: s.MaxDeadBytes, MaxLanes: s.MaxLanes, Clock: d.clock,
		MaxDisk:    func() int64 { return d.settings.Load().MaxDisk },
		Listed:     func(key eventsv2.Key) bool { return isListed(d.settings.Load(), key) },
		Configured: d.routes.Configured,
		Keys: func() (keys []eventsv2.Key) {
			for _, k := range d.settings.Load().Keys {
				keys = append(append(keys, k.Key), k.Formerly...)
			}
			return keys
		},
		OnLane:   func(key eventsv2.Key) { d.secrets.Add(key) },
		OnForget: d.forgotten,
		OnReady: func(lane int64, rank queue.Rank) {
			if r := d.hears.Load(); r != nil { // before that it looks itself for what is queued
				r.Ready(lane, rank)
			}
		},
		Report: d.reportIncident,
	}
}

// isListed reports whether the lane of a key is to be kept. That of a key which stood in the
// file of another one goes when nothing needs it any more.
func isListed(s *settings.Settings, key eventsv2.Key) bool {
	found := s.Lookup(key)
	return found.Listed && !found.Inherited
}

// laneOf is the lane of a key, which the store makes if there is none.
func (d *program) laneOf(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	return d.store.Lane(ctx, key)
}

// laneName is how people call a lane.
func (d *program) laneName(id int64) string {
	l, err := d.store.LaneByID(context.Background(), id) // from memory
	if err != nil {
		return fmt.Sprint(id)
	}
	return d.describe(l.Key).Name
}

// inheriting returns settings with the keys that stood in the files of listed keys before.
func (d *program) inheriting(s *settings.Settings) *settings.Settings {
	lanes, _ := d.store.Lanes(context.Background()) // from memory
	return routes.Inherit(s, lanes)
}

// take has settings hold for the store. The lanes of all keys of a pool are there from then
// on: what waits for one of them can move to the others.
func (d *program) take(s *settings.Settings) {
	d.settings.Store(s)
	d.store.Relist() // before the relay asks the store where the lanes go
	lanes, err := d.routes.MakePools(context.Background())
	if err != nil {
		d.log.Warn("cannot make the lane of a key of a pool; it is made with the next event", "error", err)
	}
	for _, l := range lanes {
		if r := d.hears.Load(); r != nil {
			r.Ready(l.ID, queue.Info) // so that the relay opens it
		}
	}
}

// trusted reports whether a lane's events are announced before those of strangers.
func (d *program) trusted(id int64) bool {
	l, err := d.store.LaneByID(context.Background(), id) // from memory
	return err == nil && (l.Proven || d.settings.Load().Lookup(l.Key).Listed)
}

// forgotten hears which lanes the store has deleted.
func (d *program) forgotten(lanes []queue.Lane) {
	ids := make([]int64, len(lanes))
	for i, l := range lanes {
		d.secrets.Remove(l.Key)
		ids[i] = l.ID
	}
	d.relay.Forgotten(ids)
}

// reportIncident logs what the store has found in its data and dealt with.
func (d *program) reportIncident(i sqlite.Incident) {
	if !i.Sound {
		d.meter.Damaged()
	}
	attrs := []any{"why", i.Why}
	if i.Lane != 0 {
		name := fmt.Sprint("lane ", i.Lane)
		if d.store != nil {
			if l, err := d.store.LaneByID(context.Background(), i.Lane); err == nil {
				name = d.describe(l.Key).Name
			}
		}
		attrs = append(attrs, "lane", name)
	}
	if i.Event != 0 {
		attrs = append(attrs, "event", i.Event)
	}
	d.log.Log(context.Background(), slog.LevelError, i.What, attrs...)
}

// reportSalvage logs which files were set aside as damaged, and what was taken over
// of the last one.
func (d *program) reportSalvage() {
	taken := d.store.Salvaged()
	for _, file := range d.store.Quarantined() {
		if taken == nil || taken.File != file {
			d.log.Error("a damaged queue was set aside", "file", file)
			continue
		}
		d.log.Error("a damaged queue was set aside; what can be read of it was taken over", "file", file,
			"events_taken", taken.Events, "lanes_taken", taken.Lanes, "events_left_damaged", taken.Damaged, "events_left_without_key", taken.NoKey, "numbers_unreadable", taken.Unreadable)
		if taken.IncidentsLost {
			d.log.Error(sqlite.LostIncidents, "file", file)
		}
	}
}

func (d *program) closeStore() {
	if err := d.store.Close(); err != nil {
		d.log.Error("cannot close the queue", "error", err)
	}
}

// endAfter is how long the disk may keep the queue waiting before the process ends,
// for its supervisor to start it anew: a disk that comes back does so within seconds,
// and clients are turned away meanwhile.
const endAfter = 30 * time.Second

// watchDisk looks at the age of the transaction in hand. A disk that hangs gives no
// error by itself.
func (d *program) watchDisk(ctx context.Context, failures chan<- error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	hanging := false
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		age := d.store.Hanging()
		if age < sqlite.SlowAfter { // else it would wait for the disk as well
			d.store.LookAfterFile()
		}
		switch {
		case age >= endAfter:
			failures <- fmt.Errorf("the disk of the queue has not answered for %s; the relay ends, for its supervisor to start it anew", age.Round(time.Second))
			return
		case age >= sqlite.SlowAfter && !hanging:
			hanging = true
			d.log.Error("the disk of the queue does not answer; events are turned away with 503", "for", age.Round(time.Second).String(), "ends_after", endAfter.String())
		case age < sqlite.SlowAfter && hanging:
			hanging = false
			d.log.Info("the disk of the queue answers again")
		}
	}
}

func listenerFailed(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the %s listener has failed: %w", name, err)
}
