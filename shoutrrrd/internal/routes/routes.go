// Package routes answers from the settings what the relay and its events listener ask
// about a lane or a key: where its events go, how fast, and by which other key of its
// pool. The daemon and the simulation of the whole relay both use it.
package routes

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
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
	to := cmp.Or(l.Upstream, found.Upstream)
	return relay.Route{
		Name: found.Name, Host: to, Post: r.Client(to), Limit: found.Rate, Start: found.Start, Listed: found.Listed, Pool: found.Pool, Key: found.Key,
		Way:          lane.Way{Stopped: to != found.Upstream, Retiring: found.Retiring && len(r.Settings().Takers(found.Pool)) > 0},
		WhileWaiting: queue.ParseWhileWaiting(found.WhileWaiting),
	}
}

// Other chooses another lane of the pool of an event's lane, by the same hash as the
// events listener. It returns 0 if there is none whose key is valid.
func (r Routes) Other(ctx context.Context, pool string, e queue.Event) int64 {
	var keys []eventsv2.Key
	var lanes []int64
	for _, key := range r.Settings().Takers(pool) {
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
		route.Keys, route.Takers = s.PoolKeys(found.Pool), s.Takers(found.Pool)
		route.Retiring = found.Retiring
	}
	return route
}

// Configured is what a store has to know of a key.
func (r Routes) Configured(key eventsv2.Key) queue.Configured {
	found := r.Settings().Lookup(key)
	return queue.Configured{Upstream: found.Upstream, Own: found.Own, Listed: found.Listed, Alias: found.Alias}
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

// Heirs says which lane takes the place of each of some lanes whose keys retire.
func (r Routes) Heirs(lanes []queue.Lane) map[int64]int64 {
	s, heirs := r.Settings(), map[int64]int64{}
	for _, l := range lanes {
		found := s.Lookup(l.Key)
		if !found.Retiring {
			continue
		}
		for _, key := range s.Takers(found.Pool) {
			if at := slices.IndexFunc(lanes, func(other queue.Lane) bool { return other.Key.Equal(key) }); at >= 0 {
				heirs[l.ID] = lanes[at].ID
				break
			}
		}
	}
	return heirs
}

// Inherit returns settings with the keys that stood in the files of listed keys before: the
// lanes of the queue remember them.
func Inherit(s *settings.Settings, lanes []queue.Lane) *settings.Settings {
	before := map[string][]eventsv2.Key{}
	for _, l := range lanes {
		if l.Alias != "" {
			before[l.Alias] = append(before[l.Alias], l.Key)
		}
	}
	return s.Inherit(before)
}

// MakePools has the store make the lanes of all keys of pools that new incidents may leave by,
// as nothing may have come by their own keys yet: what waits for another key of the pool moves
// there. It returns them.
func (r Routes) MakePools(ctx context.Context) (lanes []queue.Lane, err error) {
	s := r.Settings()
	for _, k := range s.Keys {
		found := s.Lookup(k.Key)
		if found.Pool == "" || found.Retiring {
			continue
		}
		l, err := r.Lane(ctx, k.Key)
		if err != nil {
			return lanes, fmt.Errorf("the lane of %s, by which what waits for another key of its pool can leave: %w", found.Name, err)
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}

// OfAlias is the lane of a key that the configuration names, which the store makes if there
// is none; queue.ErrNotFound if it names none so.
func (r Routes) OfAlias(ctx context.Context, alias string) (queue.Lane, error) {
	for _, k := range r.Settings().Keys {
		if k.Alias == alias {
			return r.Lane(ctx, k.Key)
		}
	}
	return queue.Lane{}, queue.ErrNotFound
}
