package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
)

// watchers is how many consoles are open: half on the overview, half on the events.
const watchers = 50

// consoles compares what is accepted per second while consoles are open with the
// rate without any.
func (b *relayBench) consoles(t table) error {
	relay, err := b.startRelay(filepath.Join(b.dir, "consoles.db"), 300)
	if err != nil {
		return err
	}
	defer relay.stop()
	if _, err := b.load(relay.addr, 64, b.s.loadFor, -1); err != nil { // so that the pages have something to show
		return err
	}
	var with, without []float64
	for range b.s.loads {
		n, err := b.load(relay.addr, 64, b.s.loadFor, -1)
		if err != nil {
			return err
		}
		without = append(without, float64(n)/b.s.loadFor.Seconds())
		stop, err := watch(relay.admin)
		if err != nil {
			return err
		}
		n, err = b.load(relay.addr, 64, b.s.loadFor, -1)
		stop()
		if err != nil {
			return err
		}
		with = append(with, float64(n)/b.s.loadFor.Seconds())
	}
	t.row(fmt.Sprintf("ingest with %d open consoles / with none: events per second", watchers), ratiosOf(with, without), atLeast(0.95), scale([][]float64{with, without}))
	return nil
}

// watch opens the live streams of consoles, waits until each has its page, and
// returns what closes them.
func watch(admin string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}
	var all sync.WaitGroup
	first := make(chan error, watchers)
	for i := range watchers {
		page := []string{"%2F", "%2Fevents"}[i%2]
		all.Go(func() { follow(ctx, client, "http://"+admin+"/live?page="+page, func(err error) { first <- err }) })
	}
	for range watchers {
		err = errors.Join(err, <-first)
	}
	return func() { cancel(); all.Wait() }, err
}

// follow reads a stream until the context ends. It tells once whether the first page
// has come.
func follow(ctx context.Context, client *http.Client, url string, tell func(error)) {
	tell = onlyFirst(tell)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		tell(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		tell(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	piece := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(piece)
		if strings.Contains(string(piece[:n]), "data: ") {
			tell(nil)
		}
		if err != nil {
			tell(err)
			return
		}
	}
}

func onlyFirst(tell func(error)) func(error) {
	var once sync.Once
	return func(err error) { once.Do(func() { tell(err) }) }
}

// firstPages asks for the page that takes the longest: a text that is not there has
// to be looked for in all rows that a search may read. It returns tenths of a second.
func firstPages(admin string) (ratios, error) {
	var took ratios
	for range 15 {
		seconds, err := look(admin, "/events?q=%22nothing+of+the+kind%22")
		if err != nil {
			return nil, err
		}
		took = append(took, seconds*10)
	}
	return took, nil
}
