package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

const (
	hangs    = 5
	hangsFor = 40 * time.Second // until a page counts as lost; one attempt lasts for 30 s
)

// hedgeSection has one request of a critical event hang: it is taken and never answered.
// All settings of relay and emulator are the defaults.
func hedgeSection(s setting) error {
	return measureRelay(s, fmt.Sprintf("One hanging request (%d times)", hangs), (*relayBench).oneHangs)
}

func (b *relayBench) oneHangs(t table) error {
	emulator := pagerdutytest.New(pagerdutytest.Options{})
	server, err := pagerdutytest.StartServer(emulator, pagerdutytest.ServerOptions{})
	if err != nil {
		return err
	}
	defer server.Close()
	relay, err := b.startRelayTo(strings.TrimPrefix(server.URL(), "http://"), filepath.Join(b.dir, "hedge.db"), 0)
	if err != nil {
		return err
	}
	defer relay.stop()
	client := &http.Client{Timeout: 10 * time.Second}
	deliver := func(dedup, severity string) (time.Duration, error) {
		posted := time.Now()
		if err := postEvent(client, relay.addr, dedup, severity); err != nil {
			return 0, err
		}
		at, err := acceptedBy(emulator, dedup, posted.Add(hangsFor))
		return at.Sub(posted), err
	}
	var late []float64
	for n := range hangs {
		if _, err := deliver(fmt.Sprint("info-", n), "info"); err != nil { // so that the page finds a connection
			return err
		}
		emulator.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultHang})
		took, err := deliver(fmt.Sprint("page-", n), "critical")
		if err != nil {
			return err
		}
		late = append(late, took.Seconds())
	}
	t.row("a critical event whose first request hangs, until PagerDuty has accepted it, the latest / 5 s", []float64{quantile(late, 1) / 5}, atMost(1),
		fmt.Sprintf("%d events, median %.0f ms, latest %.0f ms", len(late), median(late)*1000, quantile(late, 1)*1000))
	return nil
}

// acceptedBy waits for the acceptance of an event, and returns when that was.
func acceptedBy(emulator *pagerdutytest.Emulator, dedup string, deadline time.Time) (time.Time, error) {
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	for {
		updated := emulator.Updated()
		for _, entry := range emulator.Journal() {
			if entry.DedupKey == dedup && entry.Outcome == pagerdutytest.OutcomeOpened {
				return entry.Time, nil
			}
		}
		select {
		case <-updated:
		case <-timeout.C:
			return time.Time{}, fmt.Errorf("%s has not been accepted within %v", dedup, hangsFor)
		}
	}
}
