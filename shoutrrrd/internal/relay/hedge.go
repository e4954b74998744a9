package relay

import (
	"context"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// attemptTwice sends one event, once more beside that when again is closed, and reports to
// the core how both have ended. When one is accepted the other is cancelled; one that
// fails leaves the other its time, which may be accepted still. Nothing is reported before
// both have ended and what was cancelled is closed: the next event of the chain leaves
// after that, and is not to meet a copy that is on its way.
func (r *Relay) attemptTwice(work context.Context, e queue.Event, to opened, again <-chan struct{}) {
	key := to.key(&e)
	first, second := to.route.Post.Twice(key, wire(key, &e))
	both, cancel := context.WithCancel(work)
	defer cancel()
	begin := func(attempt func(context.Context) (eventsv2.Receipt, error)) <-chan *eventsv2.Error {
		ended := make(chan *eventsv2.Error, 1)
		go func() {
			_, err := attempt(both)
			if err == nil {
				cancel()
			}
			ended <- failure(err)
		}()
		return ended
	}
	one := begin(first)
	select {
	case err := <-one:
		r.ended(work, &e, lane.Answered{Err: err})
		return
	case <-again:
	}
	select {
	case err := <-one: // meanwhile
		r.ended(work, &e, lane.Answered{Err: err})
	default:
		two := begin(second)
		r.ended(work, &e, lane.Answered{Err: <-one, Second: &lane.Copy{Err: <-two}})
	}
}
