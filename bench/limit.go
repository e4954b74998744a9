package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

const (
	stormInfos = 5000
	pageEvery  = 7 * time.Second
	pagesFor   = 75 * time.Second
)

// limitSection has the relay send to an emulator that takes what PagerDuty documents, 120
// events in any 60 s, and answers 429 without Retry-After. All settings of both are the
// defaults.
func limitSection(s setting) error {
	return measureRelay(s, fmt.Sprintf("The documented limit (%d infos, then a critical event each %v for %v)", stormInfos, pageEvery, pagesFor), (*relayBench).documentedLimit)
}

func (b *relayBench) documentedLimit(t table) error {
	emulator := pagerdutytest.New(pagerdutytest.Options{})
	server, err := pagerdutytest.StartServer(emulator, pagerdutytest.ServerOptions{})
	if err != nil {
		return err
	}
	defer server.Close()
	relay, err := b.startRelayTo(strings.TrimPrefix(server.URL(), "http://"), filepath.Join(b.dir, "limit.db"), 0)
	if err != nil {
		return err
	}
	defer relay.stop()
	client := &http.Client{Timeout: 10 * time.Second}
	post := func(dedup, severity string) error { return postEvent(client, relay.addr, dedup, severity) }
	const clients = 50 // that share commits
	var storm sync.WaitGroup
	failures := make(chan error, clients)
	for from := range clients {
		storm.Go(func() {
			for i := from; i < stormInfos; i += clients {
				if err := post(fmt.Sprint("info-", i), "info"); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	storm.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	posted := map[string]time.Time{}
	for end := time.Now().Add(pagesFor); time.Now().Before(end); time.Sleep(pageEvery) {
		dedup := fmt.Sprint("page-", len(posted))
		posted[dedup] = time.Now()
		if err := post(dedup, "critical"); err != nil {
			return err
		}
	}
	var late []float64
	accepted, throttled := 0, 0
	for _, entry := range emulator.Journal() {
		switch at, page := posted[entry.DedupKey]; {
		case entry.Outcome == pagerdutytest.OutcomeThrottled:
			throttled++
		case page:
			late = append(late, entry.Time.Sub(at).Seconds())
			fallthrough
		default:
			accepted++
		}
	}
	if len(late) != len(posted) {
		return fmt.Errorf("%d of %d critical events have been accepted", len(late), len(posted))
	}
	t.row("a critical event until PagerDuty has accepted it, the latest / 2 s", []float64{quantile(late, 1) / 2}, atMost(1),
		fmt.Sprintf("%d events, median %.0f ms, latest %.0f ms", len(late), median(late)*1000, quantile(late, 1)*1000))
	t.row("answers 429 / a twentieth of the accepted events", []float64{float64(throttled) * 20 / float64(accepted)}, atMost(1), fmt.Sprintf("%d of %d", throttled, accepted))
	return nil
}

// postEvent hands a trigger to a relay.
func postEvent(client *http.Client, addr, dedup, severity string) error {
	body := fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{"summary":"a storm","source":"bench","severity":%q}}`, integrationKey, dedup, severity)
	resp, err := client.Post("http://"+addr+"/v2/enqueue", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusAccepted {
		return errors.New(resp.Status)
	}
	return nil
}
