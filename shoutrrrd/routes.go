package main

import (
	"context"
	"sync"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
)

// route says where a lane sends to and how fast.
func (d *program) route(l queue.Lane) relay.Route {
	found := d.settings.Load().Lookup(l.Key)
	return relay.Route{Name: found.Name, Host: found.Upstream, Post: d.clients.of(found.Upstream), Limit: found.Rate}
}

// other chooses another lane of an event's pool, by the same hash as the front door.
func (d *program) other(ctx context.Context, e queue.Event) int64 {
	var keys []eventsv2.Key
	var lanes []int64
	for _, key := range d.settings.Load().PoolKeys(e.Pool) {
		l, err := d.store.Lane(ctx, key)
		if err == nil && l.ID != e.Lane && l.KeyRefused.IsZero() {
			keys, lanes = append(keys, key), append(lanes, l.ID)
		}
	}
	if len(keys) == 0 {
		return 0
	}
	return lanes[eventsv2.Rendezvous(keys, e.DedupKey)]
}

func (d *program) lookup(key eventsv2.Key) intake.Route {
	s := d.settings.Load()
	found := s.Lookup(key)
	route := intake.Route{Name: found.Name, Pool: found.Pool, Listed: found.Listed}
	if found.Pool != "" {
		route.Keys = s.PoolKeys(found.Pool)
	}
	return route
}

// clients are the HTTP clients, one for each upstream.
type clients struct {
	mu     sync.Mutex
	byBase map[string]*eventsv2.Client
}

func (c *clients) of(base string) *eventsv2.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byBase == nil {
		c.byBase = map[string]*eventsv2.Client{}
	}
	if c.byBase[base] == nil {
		c.byBase[base] = &eventsv2.Client{BaseURL: base, UserAgent: "shoutrrrd/" + version()}
	}
	return c.byBase[base]
}
