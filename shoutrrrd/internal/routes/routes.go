// Package routes answers from the settings what the relay and its events listener ask
// about a lane or a key: where its events go, how fast, and by which other key of its
// pool. The daemon and the simulation of the whole relay both use it.
package routes

import (
	"context"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// Routes follows the settings: each answer is that of the present ones.
type Routes struct {
	Settings func() *settings.Settings
	Lane     func(context.Context, eventsv2.Key) (queue.Lane, error) // the store's
	Client   func(upstream string) relay.Poster
}

// OfLane says where a lane sends to and how fast.
func (r Routes) OfLane(l queue.Lane) relay.Route {
	found := r.Settings().Lookup(l.Key)
	return relay.Route{Name: found.Name, Host: found.Upstream, Post: r.Client(found.Upstream), Limit: found.Rate, Start: found.Start, Listed: found.Listed, Pool: found.Pool, Key: found.Key}
}

// Other chooses another lane of the pool of an event's lane, by the same hash as the
// events listener. It returns 0 if there is none whose key is valid.
func (r Routes) Other(ctx context.Context, pool string, e queue.Event) int64 {
	var keys []eventsv2.Key
	var lanes []int64
	for _, key := range r.Settings().PoolKeys(pool) {
		l, err := r.Lane(ctx, key)
		if err == nil && l.ID != e.Lane && l.KeyRefused.IsZero() {
			keys, lanes = append(keys, key), append(lanes, l.ID)
		}
	}
	if len(keys) == 0 {
		return 0
	}
	return lanes[eventsv2.Rendezvous(keys, e.DedupKey)]
}

// OfKey says what the events listener has to know of a key.
func (r Routes) OfKey(key eventsv2.Key) intake.Route {
	s := r.Settings()
	found := s.Lookup(key)
	route := intake.Route{Name: found.Name, Pool: found.Pool, Listed: found.Listed}
	if found.Pool != "" {
		route.Keys = s.PoolKeys(found.Pool)
	}
	return route
}

// Pools says which of some lanes are one pool.
func (r Routes) Pools(lanes []queue.Lane) (pools [][]int64) {
	s, at := r.Settings(), map[string]int{}
	for _, l := range lanes {
		name := s.Lookup(l.Key).Pool
		if name == "" {
			continue
		}
		i, known := at[name]
		if !known {
			i = len(pools)
			at[name], pools = i, append(pools, nil)
		}
		pools[i] = append(pools[i], l.ID)
	}
	return pools
}
