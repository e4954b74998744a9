package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// life shows that an incident's events arrive in their order, through a 429 and a
// lost answer.
func (d *demo) life(ctx context.Context) error {
	for _, text := range []string{"503", "reset-after"} {
		fault, err := pagerdutytest.ParseFault(text)
		if err != nil {
			return err
		}
		d.server.Inject(fault)
	}
	d.say("   The upstream is about to fail once (503), and to lose one answer.")
	for _, e := range []event{
		{lifeKey, "trigger", "db-1", "critical", "Database db-1 is down"},
		{lifeKey, "acknowledge", "db-1", "critical", "Ana looks into it"},
		{lifeKey, "resolve", "db-1", "critical", "Database db-1 is up"},
	} {
		if err := d.post(ctx, http.DefaultClient, e); err != nil {
			return err
		}
		d.say("   202  %-11s %s", e.action, e.summary)
	}
	err := d.await(ctx, 30*time.Second, "the incident is resolved", func() bool {
		incident, ok := d.incident("db-1")
		return ok && incident.Status == pagerdutytest.StatusResolved
	})
	if err != nil {
		return err
	}
	incident, _ := d.incident("db-1")
	for _, entry := range incident.Log {
		d.say("   PagerDuty has  %-11s %s", entry.Action, entry.Summary)
	}
	d.sum("One incident, triggered, acknowledged and resolved in order, although the upstream failed twice.")
	return nil
}

func (d *demo) incident(dedup string) (pagerdutytest.Incident, bool) {
	list := d.server.Incidents()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].DedupKey == dedup {
			return list[i], true
		}
	}
	return pagerdutytest.Incident{}, false
}

// flood posts n events over 32 connections.
func (d *demo) flood(ctx context.Context, n int, what string, make func(i int) event) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var all sync.WaitGroup
	started := time.Now()
	for range 32 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := d.post(ctx, client, make(int(i))); err != nil {
					cancel(err)
					return
				}
				if count := done.Add(1); count%2500 == 0 {
					d.progress(false, "%s: %d of %d accepted, each on the disk", what, count, n)
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	took := time.Since(started)
	d.progress(true, "%s: %d accepted in %s, %.0f a second, each on the disk before its 202", what, n, took.Round(100*time.Millisecond), float64(n)/took.Seconds())
	return nil
}

// storm shows that the page that matters does not wait behind those that do not.
func (d *demo) storm(ctx context.Context) error {
	err := d.flood(ctx, d.events, "infos", func(i int) event {
		return event{stormKey, "trigger", fmt.Sprintf("info-%d", i), "info", "Nobody needs to get up for this"}
	})
	if err != nil {
		return err
	}
	posted := time.Now()
	if err := d.post(ctx, http.DefaultClient, event{stormKey, "trigger", "fire", "critical", "The datacentre is on fire"}); err != nil {
		return err
	}
	err = d.await(ctx, 10*time.Second, "the critical event has left", func() bool { _, ok := d.incident("fire"); return ok })
	if err != nil {
		return err
	}
	incident, _ := d.incident("fire")
	took := incident.Opened.Sub(posted).Round(100 * time.Microsecond)
	infos, throttled := 0, 0
	for _, entry := range d.server.Journal() {
		switch {
		case entry.Outcome == pagerdutytest.OutcomeThrottled:
			throttled++
		case entry.DedupKey != "" && entry.DedupKey != "fire" && entry.DedupKey != "db-1":
			infos++
		}
	}
	met := "Nothing met the rate limit."
	switch {
	case throttled == 1: // the storm has taken longer than a minute
		met = "One info met the rate limit: once an hour the relay tries whether the account takes more."
	case throttled > 1:
		return fmt.Errorf("%d events met the rate limit, want at most the one that tries whether the account takes more", throttled)
	}
	d.say("   PagerDuty has the critical one %s after it was posted. Of the infos %d have left: a tenth of", took, infos)
	d.say("   the 120 a minute is kept for what is critical. %s", met)
	d.sum("A critical event passed %d waiting infos and was at PagerDuty after %s; answers 429: %d.", d.events-infos, took, throttled)
	return nil
}

// repeats shows that an alert that fires again and again is one event.
func (d *demo) repeats(ctx context.Context) error {
	const count = 10_000
	if err := d.post(ctx, http.DefaultClient, event{repeatKey, "trigger", "warm-up", "info", "The lane's first event"}); err != nil {
		return err
	}
	lane := d.relay.admin + "/api/lanes/" + pagerdutytest.Fingerprint(repeatKey)
	if err := d.call(ctx, http.DefaultClient, lane+"/pause", map[string]string{"why": "demonstration"}); err != nil {
		return err
	}
	d.say("   An operator pauses the lane, and an alert fires 10,000 times.")
	err := d.flood(ctx, count, "repeats", func(i int) event {
		return event{repeatKey, "trigger", "flapping", "warning", fmt.Sprintf("Link flaps (%d)", i)}
	})
	if err != nil {
		return err
	}
	if err := d.call(ctx, http.DefaultClient, lane+"/resume", map[string]string{"why": "demonstration"}); err != nil {
		return err
	}
	err = d.await(ctx, 10*time.Second, "the repeats have left", func() bool { _, ok := d.incident("flapping"); return ok })
	if err != nil {
		return err
	}
	incident, _ := d.incident("flapping")
	var details struct {
		Repeats string `json:"relay_repeats"`
	}
	if err := json.Unmarshal(incident.CustomDetails, &details); err != nil {
		return fmt.Errorf("the event does not tell what it stands for: %w", err)
	}
	d.say("   Resumed. PagerDuty has %d event, which says: %s.", incident.Events, details.Repeats)
	d.sum("%d repeats of one alert left as %d event that tells the count.", count, incident.Events)
	return nil
}

// crash kills the relay while events come in, starts it anew, and counts.
func (d *demo) crash(ctx context.Context) error {
	const count = 200
	var accepted []string
	killed := make(chan struct{})
	for i := range count {
		if i == count/2 {
			go func() { d.relay.kill(); close(killed) }()
		}
		dedup := fmt.Sprintf("crash-%d", i)
		if err := d.post(ctx, http.DefaultClient, event{crashKey, "trigger", dedup, "error", "Around the crash"}); err != nil {
			break // the relay is gone: this one was not promised to anybody
		}
		accepted = append(accepted, dedup)
	}
	select {
	case <-killed:
	case <-ctx.Done():
		return ctx.Err()
	}
	d.say("   kill -9 after %d events got their 202. A new relay starts on the same queue.", len(accepted))
	started := time.Now()
	if err := d.start(ctx); err != nil {
		return err
	}
	d.say("   It is ready after %s, with all that was waiting.", time.Since(started).Round(time.Millisecond))
	arrived := 0
	err := d.await(ctx, 70*time.Second, "all of them have arrived", func() bool {
		arrived = 0
		for _, dedup := range accepted {
			if _, ok := d.incident(dedup); ok {
				arrived++
			}
		}
		d.progress(false, "%d of %d have arrived", arrived, len(accepted))
		return arrived == len(accepted)
	})
	if err != nil {
		return err
	}
	d.progress(true, "%d of %d have arrived", arrived, len(accepted))
	d.sum("A relay was killed in the middle: %d events had a 202, %d arrived.", len(accepted), arrived)
	return nil
}
