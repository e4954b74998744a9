package insight

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// longestShared is how long one look at the queue serves all who ask: status, metrics,
// pages and live streams. What a look costs grows with the lanes or events, and fifty
// consoles are not to multiply that. A look at few of them serves for a shorter time, so
// that a script sees what it has just done: it may take a twentieth of one core at most.
const longestShared = time.Second

// sharedFor is how long a look at n things serves that takes so long for each of them.
func sharedFor(n int, each time.Duration) time.Duration {
	return min(time.Duration(n)*each*20, longestShared)
}

// lookWithin bounds one look. It does not end with the request that began it, as
// others wait for the same one.
const lookWithin = 10 * time.Second

// errStopped: the relay is stopping.
var errStopped = errors.New("the relay is stopping")

// looks are those that are under way. They outlive the requests that began them, and
// have to end before the queue is closed.
type looks struct {
	mu      sync.Mutex
	stopped bool
	cut     map[int]context.CancelFunc // of each look under way, by its number
	number  int                        // of the latest look
	running sync.WaitGroup
}

func (l *looks) begin() (ctx context.Context, end func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil, nil, errStopped
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	l.number++
	number := l.number
	if l.cut == nil {
		l.cut = map[int]context.CancelFunc{}
	}
	l.cut[number] = cancel
	l.running.Add(1)
	return ctx, func() {
		cancel()
		l.mu.Lock()
		delete(l.cut, number)
		l.mu.Unlock()
		l.running.Done()
	}, nil
}

// stop cuts the looks that are under way, and returns when they have ended.
func (l *looks) stop() {
	l.mu.Lock()
	l.stopped = true
	for _, cancel := range l.cut {
		cancel()
	}
	l.mu.Unlock()
	l.running.Wait()
}

// shared keeps what one look has found for all who ask soon after. Only one look is
// under way at a time. Readers do not change its value.
type shared[T any] struct {
	keep    func(*T) time.Duration // how long a value serves
	now     func() time.Time
	looks   *looks
	flights singleflight.Group

	mu    sync.Mutex
	value *T
	at    time.Time // when the look for value began
	epoch int       // how often the value was forgotten: a look that began before that is not kept
}

func (s *shared[T]) share(i *Insight, keep func(*T) time.Duration) {
	s.keep, s.now, s.looks = keep, i.o.Now, &i.looks
}

// get returns what is known, or looks.
func (s *shared[T]) get(ctx context.Context, look func(context.Context) (T, error)) (*T, error) {
	s.mu.Lock()
	began, epoch := s.now(), s.epoch
	known, age := s.value, began.Sub(s.at)
	s.mu.Unlock()
	if known != nil && age >= 0 && age < s.keep(known) {
		return known, nil
	}
	done := s.flights.DoChan("", func() (any, error) { return s.look(look, began, epoch) })
	select {
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*T), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *shared[T]) look(look func(context.Context) (T, error), began time.Time, epoch int) (*T, error) {
	ctx, end, err := s.looks.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	value, err := look(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == epoch {
		s.value, s.at = &value, began
	}
	return &value, nil
}

// forget makes the next reader look anew.
func (s *shared[T]) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = nil
	s.epoch++
	s.flights.Forget("")
}
