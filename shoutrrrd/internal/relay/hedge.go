package relay

import (
	"context"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// copies are the two of one event.
type copies struct {
	again  chan struct{}   // closed when the second one is to leave
	both   context.Context // of their attempts
	cancel context.CancelFunc
}

func newCopies(work context.Context) copies {
	both, cancel := context.WithCancel(work)
	return copies{make(chan struct{}), both, cancel}
}

// attemptTwice sends one event, once more beside that when that is asked for, and reports to
// the core how both have ended. When one is accepted the other is cancelled; one that
// fails leaves the other its time, which may be accepted still. The core gives both up when
// the host accepts others. Nothing is reported before
// both have ended and what was cancelled is closed: the next event of the chain leaves
// after that, and is not to meet a copy that is on its way.
func (r *Relay) attemptTwice(work context.Context, e queue.Event, to opened, c copies) {
	key := to.key(&e)
	first, second := to.route.Post.Twice(key, wire(key, &e, r.o.Date))
	defer c.cancel()
	begin := func(attempt func(context.Context) (eventsv2.Receipt, error)) <-chan *eventsv2.Error {
		ended := make(chan *eventsv2.Error, 1)
		go func() {
			_, err := attempt(c.both)
			if err == nil {
				c.cancel()
			}
			ended <- failure(err)
		}()
		return ended
	}
	one := begin(first)
	select {
	case err := <-one:
		r.ended(work, &e, to.route.Pool, lane.Answered{Err: err})
		return
	case <-c.again:
	}
	select {
	case err := <-one: // meanwhile
		r.ended(work, &e, to.route.Pool, lane.Answered{Err: err})
	default:
		two := begin(second)
		r.ended(work, &e, to.route.Pool, lane.Answered{Err: <-one, Second: &lane.Copy{Err: <-two}})
	}
}
