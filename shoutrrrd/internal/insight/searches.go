package insight

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A search for a text looks into up to 64 MiB of bodies: 0.2 s of one core. So many run
// at once, over all clients and of one client; the others wait.
const (
	maxSearches    = 4
	searchShare    = 2
	searchPatience = 5 * time.Second
)

// ErrBusy: a search has found no place within searchPatience.
var ErrBusy = errors.New("too many searches for a text are running; try again in a few seconds, or narrow the search down by lane, state or dedup key without a text")

// searches are those that are running. The zero value has none.
type searches struct {
	mu     sync.Mutex
	total  int
	client map[string]int
	ended  chan struct{} // closed when a search ends while others wait; nil while none waits
}

// begin takes a place, or waits for one. The search calls end when it has its page.
func (s *searches) begin(ctx context.Context, client string) (end func(), err error) {
	patience := time.NewTimer(searchPatience)
	defer patience.Stop()
	for {
		ended, ok := s.take(client)
		if ok {
			return func() { s.release(client) }, nil
		}
		select {
		case <-ended:
		case <-patience.C:
			return nil, ErrBusy
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *searches) take(client string) (ended <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total < maxSearches && s.client[client] < searchShare {
		if s.client == nil {
			s.client = map[string]int{}
		}
		s.total++
		s.client[client]++
		return nil, true
	}
	if s.ended == nil {
		s.ended = make(chan struct{})
	}
	return s.ended, false
}

func (s *searches) release(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.client[client]--; s.client[client] == 0 {
		delete(s.client, client)
	}
	if s.ended != nil {
		close(s.ended)
		s.ended = nil
	}
}
