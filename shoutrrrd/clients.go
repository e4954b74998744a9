package main

import (
	"sync"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
)

// clients are the HTTP clients, one for each upstream.
type clients struct {
	mu     sync.Mutex
	byBase map[string]*eventsv2.Client
}

func (c *clients) of(base string) relay.Poster {
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
