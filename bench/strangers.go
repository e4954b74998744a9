package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// strangers compares the ingest of a key that the configuration lists while 16 clients
// post unknown keys, a new one with each event, with its ingest alone.
func (b *relayBench) strangers(t table) error {
	const clients = 16
	config := filepath.Join(b.dir, "strangers.yaml")
	text := fmt.Sprintf("keys:\n  - {alias: listed, key: %s}\n", integrationKey)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	relay, err := b.startRelayTo(b.upstream.addr, filepath.Join(b.dir, "strangers.db"), 300, "--config", config)
	if err != nil {
		return err
	}
	defer relay.stop()
	var beside, alone []float64
	var posted int64
	for range b.s.loads {
		n, err := b.load(relay.addr, 64, b.s.loadFor, -1)
		if err != nil {
			return err
		}
		alone = append(alone, float64(n))
		stop := make(chan struct{})
		strangers := postUnknownKeys(relay.addr, clients, stop)
		n, err = b.load(relay.addr, 64, b.s.loadFor, -1)
		close(stop)
		posted += strangers()
		if err != nil {
			return err
		}
		beside = append(beside, float64(n))
	}
	seconds := b.s.loadFor.Seconds()
	t.row("ingest of a listed key beside 16 clients with unknown keys / alone", ratiosOf(beside, alone), atLeast(0.5),
		fmt.Sprintf("%.0f / %.0f per second, %d unknown keys", median(beside)/seconds, median(alone)/seconds, posted))
	return nil
}

// postUnknownKeys posts until it is to stop; what it returns waits for its end and says
// how many events it has posted. A 503 is an answer as well: the lanes are bounded.
func postUnknownKeys(addr string, clients int, stop <-chan struct{}) (end func() int64) {
	var posted atomic.Int64
	var all sync.WaitGroup
	all.Go(func() {
		_ = connect(addr, clients, func(_ int, send poster) error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				var key [16]byte
				_, _ = rand.Read(key[:]) // it never fails
				_ = send(event(addr, hex.EncodeToString(key[:]), "a", "info"))
				posted.Add(1)
			}
		})
	})
	return func() int64 { all.Wait(); return posted.Load() }
}

const (
	pacedRate    = 1000 // events per second
	pacedClients = 16
	purgedKeys   = 100 // the events to purge are spread over so many, as one key's rate is bounded
)

// purge measures how long an event waits for its 202 at 1,000 a second, and the same
// while as many events are purged as a long queue has.
func (b *relayBench) purge(t table) error {
	path := filepath.Join(b.dir, "purge.db")
	relay, err := b.startRelay(path, 100_000)
	if err != nil {
		return err
	}
	quiet, err := b.paced(relay.addr, 30*time.Second)
	if err != nil {
		return err
	}
	if err := b.deliver(relay, b.s.rows); err != nil {
		return err
	}
	relay.stop()
	// The first purge comes a minute after the start: all that was delivered before is older than the retention then.
	if relay, err = b.startRelayTo(b.upstream.addr, path, 100_000, "--retention", "1m"); err != nil {
		return err
	}
	defer relay.stop()
	if err := purging(relay); err != nil {
		return err
	}
	busy, err := b.paced(relay.addr, 60*time.Second)
	if err != nil {
		return err
	}
	for _, q := range []float64{0.5, 0.99, 0.999} {
		a, c := quantile(busy, q), quantile(quiet, q)
		t.row(fmt.Sprintf("202 at 1,000/s, p%g, while %d events are purged / quiet", q*100, b.s.rows), ratios{a / c}, noGoal, fmt.Sprintf("%.1f / %.1f ms", a, c))
	}
	return nil
}

// purging waits until a relay has begun to purge: the event that ended first is gone.
func purging(relay *served) error {
	const longest = 5 * time.Minute // the purge begins after one
	client := &http.Client{Timeout: 10 * time.Second}
	for begun, tick := time.Now(), time.Tick(50*time.Millisecond); time.Since(begun) < longest; <-tick {
		resp, err := client.Get("http://" + relay.admin + "/api/events/1")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			return nil
		}
	}
	return fmt.Errorf("nothing was purged in %v", longest)
}

// deliver posts so many events and waits until the upstream has seen them.
func (b *relayBench) deliver(relay *served, count int) error {
	b.upstream.drain()
	posted := make(chan error, 1)
	go func() { posted <- postOver(relay.addr, purgedKeys, count) }()
	for seen := 0; seen < count; {
		select {
		case <-b.upstream.seen:
			seen++
		case err := <-posted:
			if err != nil {
				return err
			}
			posted = nil
		case <-time.After(time.Minute):
			return fmt.Errorf("of %d events some have not left after a minute without any", count)
		}
	}
	return nil
}

// paced posts pacedRate events a second and returns how long each waited for its 202,
// in milliseconds, from the time at which it was to be posted: a slow answer does not
// hide the waits of those behind it.
func (b *relayBench) paced(addr string, lasts time.Duration) ([]float64, error) {
	b.number++
	const each = pacedClients * time.Second / pacedRate
	waits := make([][]float64, pacedClients)
	start := time.Now()
	err := connect(addr, pacedClients, func(c int, send poster) error {
		for i := range int(lasts / each) {
			due := start.Add(time.Duration(i)*each + time.Duration(c)*each/pacedClients)
			time.Sleep(time.Until(due)) // the pace is a part of what is measured, there is nothing else to wait for
			if err := send(event(addr, laneKey(c), fmt.Sprintf("paced-%d-%d-%d", b.number, c, i), "info")); err != nil {
				return err
			}
			waits[c] = append(waits[c], time.Since(due).Seconds()*1000)
		}
		return nil
	})
	return slices.Concat(waits...), err
}
