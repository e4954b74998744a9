package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/containrrr/shoutrrr/pkg/types"
)

// Deliver sends the message to all services at the same time, waits for all, and
// returns a result for each URL in the order of the URLs; none if there is no URL,
// and [ErrNoSenders] alone for a nil router. URLs that are the same share one event.
//
// It blocks until every service has accepted or given up: an answer takes a part of
// a second, and while one fails for a passing reason it is tried again, for the
// Timeout of the router, or what its options say, or 5 minutes. The context ends it
// before.
func (r *ServiceRouter) Deliver(ctx context.Context, message string, params *types.Params) []Result {
	if r == nil {
		return []Result{{Err: ErrNoSenders}}
	}
	results := make([]Result, len(r.services))
	if len(r.services) == 1 {
		results[0] = r.deliverTo(ctx, 0, message, params)
		return results
	}
	var all sync.WaitGroup
	for i := range r.services {
		if r.first[i] == i {
			all.Go(func() { results[i] = r.deliverTo(ctx, i, message, params) })
		}
	}
	all.Wait()
	for i, first := range r.first {
		if first != i {
			results[i] = results[first].at(i)
		}
	}
	return results
}

func (r *ServiceRouter) deliverTo(ctx context.Context, i int, message string, params *types.Params) Result {
	service := r.services[i]
	receipt, err := service.Deliver(ctx, message, params)
	if err != nil {
		err = &types.TargetError{URL: service.GetID(), Index: i, Of: len(r.services), Err: err}
	}
	return Result{URL: service.Redacted(), Receipt: receipt, Err: err}
}

// at is the result for another URL that is the same.
func (r Result) at(index int) Result {
	var target *types.TargetError
	if errors.As(r.Err, &target) {
		there := *target
		there.Index = index
		r.Err = &there
	}
	return r
}

// SendContext sends the message to all services and returns an error for each
// URL, nil where it was accepted, in the order of the URLs.
func (r *ServiceRouter) SendContext(ctx context.Context, message string, params *types.Params) []error {
	results := r.Deliver(ctx, message, params)
	errs := make([]error, len(results))
	for i := range results {
		errs[i] = results[i].Err
	}
	return errs
}

// Send is [ServiceRouter.SendContext] without a context. It blocks for up to 5
// minutes, unless the Timeout or the options say otherwise: a loop that must go on
// sets the Timeout, or uses [ServiceRouter.SendContext] or [ServiceRouter.SendAsync].
func (r *ServiceRouter) Send(message string, params *types.Params) []error {
	return r.SendContext(context.Background(), message, params)
}

// SendAsync is [ServiceRouter.SendAsyncContext] without a context: what it started
// ends when all services have accepted or given up.
func (r *ServiceRouter) SendAsync(message string, params *types.Params) chan error {
	return r.SendAsyncContext(context.Background(), message, params)
}

// SendAsyncContext sends in the background, until the context ends, and returns at
// once. The channel gives an error for each URL, nil where it was accepted, in the
// order of the URLs, and is closed after the last. It need not be read to its end.
func (r *ServiceRouter) SendAsyncContext(ctx context.Context, message string, params *types.Params) chan error {
	size := 1
	if r != nil {
		size = len(r.services)
	}
	errs := make(chan error, size)
	go func() {
		defer close(errs)
		for _, err := range r.SendContext(ctx, message, params) {
			errs <- err
		}
	}()
	return errs
}

// SendItems is [ServiceRouter.SendItemsContext] without a context. It blocks like
// [ServiceRouter.Send].
func (r *ServiceRouter) SendItems(items []types.MessageItem, params types.Params) []error {
	return r.SendItemsContext(context.Background(), items, params)
}

// SendItemsContext sends the items as one message, a line each. The most severe
// level of the items becomes the message's, unless the params have one; fields stand
// behind their item as name=value.
func (r *ServiceRouter) SendItemsContext(ctx context.Context, items []types.MessageItem, params types.Params) []error {
	var text strings.Builder
	gravest := types.Unknown
	for i, item := range items {
		if i > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(item.Text)
		for _, field := range item.Fields {
			text.WriteString("\n" + field.Key + "=" + field.Value)
		}
		gravest = max(gravest, item.Level)
	}
	with := make(types.Params, len(params)+1)
	for name, value := range params {
		with[name] = value
	}
	if _, given := with.Level(); !given && gravest != types.Unknown {
		with.SetLevel(gravest)
	}
	return r.SendContext(ctx, text.String(), &with)
}

// Enqueue keeps a message in memory for the next [ServiceRouter.Flush], and returns
// at once. With v it is a format of package fmt. What is kept when the program ends
// is lost.
func (r *ServiceRouter) Enqueue(message string, v ...any) {
	r.queue = append(r.queue, format(message, v))
}

// Flush is [ServiceRouter.FlushContext] without a context. It blocks like
// [ServiceRouter.Send].
func (r *ServiceRouter) Flush(params *types.Params) { r.FlushContext(context.Background(), params) }

// FlushContext sends the kept messages as one, a line each, until the context ends.
// It is meant to be deferred, so failures go to the logger.
func (r *ServiceRouter) FlushContext(ctx context.Context, params *types.Params) {
	if len(r.queue) == 0 {
		return
	}
	message := strings.Join(r.queue, "\n")
	r.queue = nil
	for _, err := range r.SendContext(ctx, message, params) {
		if logger := r.currentLogger(); err != nil && !types.IsNilLogger(logger) {
			logger.Printf("flush: %v", err)
		}
	}
}

func format(message string, v []any) string {
	if len(v) == 0 {
		return message
	}
	return fmt.Sprintf(message, v...)
}

func (r *ServiceRouter) currentLogger() types.StdLogger {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logger
}
