package router

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/containrrr/shoutrrr/pkg/types"
)

// Deliver sends the message to all services at the same time, waits for all, and
// returns a result for each URL in the order of the URLs; [ErrNoSenders] alone if
// there is none.
func (r *ServiceRouter) Deliver(ctx context.Context, message string, params *types.Params) []Result {
	if r == nil || len(r.services) == 0 {
		return []Result{{Err: ErrNoSenders}}
	}
	results := make([]Result, len(r.services))
	if len(r.services) == 1 {
		results[0] = r.deliverTo(ctx, 0, message, params)
		return results
	}
	var all sync.WaitGroup
	for i := range r.services {
		all.Go(func() { results[i] = r.deliverTo(ctx, i, message, params) })
	}
	all.Wait()
	return results
}

func (r *ServiceRouter) deliverTo(ctx context.Context, i int, message string, params *types.Params) Result {
	service := r.services[i]
	receipt, err := service.Deliver(ctx, message, params)
	if err != nil {
		err = &types.TargetError{URL: service.GetID(), Index: i, Err: err}
	}
	return Result{URL: service.Redacted(), Receipt: receipt, Err: err}
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

// Send is [ServiceRouter.SendContext] without a context.
func (r *ServiceRouter) Send(message string, params *types.Params) []error {
	return r.SendContext(context.Background(), message, params)
}

// SendAsync sends in the background and returns a channel that gives an error for
// each URL, nil where it was accepted, in the order of the URLs, and is closed
// after the last. It need not be read to its end.
func (r *ServiceRouter) SendAsync(message string, params *types.Params) chan error {
	size := 1
	if r != nil {
		size = max(len(r.services), 1)
	}
	errs := make(chan error, size)
	go func() {
		defer close(errs)
		for _, err := range r.Send(message, params) {
			errs <- err
		}
	}()
	return errs
}

// SendItems sends the items as one message, a line each. The gravest level of
// the items becomes the message's, unless the params have one; fields stand
// behind their item as name=value.
func (r *ServiceRouter) SendItems(items []types.MessageItem, params types.Params) []error {
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
	return r.Send(text.String(), &with)
}

// Enqueue keeps a message for the next [ServiceRouter.Flush]. With v it is a
// format of package fmt.
func (r *ServiceRouter) Enqueue(message string, v ...any) {
	r.queue = append(r.queue, format(message, v))
}

// Flush sends the kept messages as one, a line each. It is meant to be deferred,
// so failures go to the logger.
func (r *ServiceRouter) Flush(params *types.Params) {
	if len(r.queue) == 0 {
		return
	}
	message := strings.Join(r.queue, "\n")
	r.queue = nil
	for _, err := range r.Send(message, params) {
		if logger := r.currentLogger(); err != nil && logger != nil {
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
