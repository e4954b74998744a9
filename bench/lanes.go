package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// laneEvents is how many events are spread over the lanes.
const laneEvents = 20_000

// lanes compares how fast events leave with how fast they come in, with few lanes and
// with many. The upstream answers at once, and no lane's limit is met. While they come
// in, the upstream refuses connections, so nothing leaves.
func (b *relayBench) lanes(t table) error {
	for _, lanes := range []int{1, 100, 1_000, 10_000} {
		var in, out []float64
		for round := range max(1, b.s.loads/5) {
			path := filepath.Join(b.dir, fmt.Sprintf("lanes-%d-%d.db", lanes, round))
			accepted, err := b.fillLanes(path, lanes)
			if err != nil {
				return err
			}
			delivered, err := b.emptyLanes(path)
			if err != nil {
				return err
			}
			in, out = append(in, accepted), append(out, delivered)
			if lanes == 10_000 && round == 0 {
				if err := b.startWithLanes(t, path); err != nil {
					return err
				}
			}
			_ = os.Remove(path)
		}
		t.row(fmt.Sprintf("delivery / ingest, %d lanes: events per second", lanes), ratiosOf(out, in), atLeast(0.3), scale([][]float64{out, in}))
	}
	return nil
}

// fillLanes queues the events and returns how many were accepted per second.
func (b *relayBench) fillLanes(path string, lanes int) (float64, error) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	nowhere := closed.Addr().String()
	_ = closed.Close() // its address refuses connections from here on
	relay, err := b.startRelayTo(nowhere, path, 100_000)
	if err != nil {
		return 0, err
	}
	defer relay.stop()
	started := time.Now()
	err = postOver(relay.addr, lanes, laneEvents)
	return laneEvents / time.Since(started).Seconds(), err
}

// postOver posts so many events over 64 connections, each in turn to another lane.
func postOver(addr string, lanes, events int) error {
	var next atomic.Int64
	return connect(addr, 64, func(_ int, send poster) error {
		for i := next.Add(1); i <= int64(events); i = next.Add(1) {
			if err := send(event(addr, laneKey(int(i)%lanes), fmt.Sprintf("event-%d", i), "info")); err != nil {
				return err
			}
		}
		return nil
	})
}

func laneKey(n int) string { return fmt.Sprintf("%032d", n+1) }

// emptyLanes starts the relay on what is queued and returns how much leaves per second.
func (b *relayBench) emptyLanes(path string) (float64, error) {
	b.upstream.drain()
	relay, err := b.startRelay(path, 100_000)
	if err != nil {
		return 0, err
	}
	defer relay.stop()
	first := <-b.upstream.seen
	last := first
	for range laneEvents - 1 {
		select {
		case last = <-b.upstream.seen:
		case <-time.After(time.Minute):
			return 0, fmt.Errorf("of %d events some have not left after a minute without any", laneEvents)
		}
	}
	return (laneEvents - 1) / last.Sub(first).Seconds(), nil
}

// startWithLanes measures a start with 10,000 lanes and what they have delivered in
// the last minute, up to a critical event's arrival upstream.
func (b *relayBench) startWithLanes(t table, path string) error {
	b.upstream.drain()
	started := time.Now()
	relay, err := b.startRelay(path, 100_000)
	if err != nil {
		return err
	}
	defer relay.stop()
	conn, err := net.Dial("tcp", relay.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := exchange(conn, bufio.NewReader(conn), event(relay.addr, laneKey(9_999), "first", "critical")); err != nil {
		return err
	}
	took := (<-b.upstream.seen).Sub(started)
	t.row("from a start with 10,000 lanes to the first critical event / 1 s", ratios{took.Seconds()}, atMost(1), took.Round(time.Millisecond).String())
	return nil
}
