package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// library sends in this process, by routers that share one ledger.
type library struct {
	client *http.Client
	ledger pagerduty.Ledger
	logs   lockedBuffer
}

func newLibrary(t *testing.T, box *sandbox) sender {
	return &library{client: box.client(t), ledger: pagerduty.NewMemoryLedger()}
}

func (l *library) forget(*testing.T) { l.ledger = pagerduty.NewMemoryLedger() }

func (l *library) kept(*testing.T) []keyleak.Sink {
	return []keyleak.Sink{keyleak.Text("the log", l.logs.String())}
}

func (l *library) send(t *testing.T, s *sending) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := &result{start: time.Now()}
	results, err := l.deliver(ctx, s)
	r.end = time.Now()
	var output bytes.Buffer
	exits := []int{exitCode(err)}
	if err != nil {
		fmt.Fprintf(&output, "%v\n%+v\n", err, err)
	}
	for _, result := range results {
		fmt.Fprintf(&output, "%+v\n", result) // the receipt, the warnings and the error, as a program would print them
		if result.Err != nil {
			fmt.Fprintln(&output, result.Err)
		}
		exits = append(exits, exitCode(result.Err))
	}
	r.exit, r.output = gravest(exits), output.String()
	return r
}

// deliver adds each URL and sends to those that are good. The error is of the others.
func (l *library) deliver(ctx context.Context, s *sending) ([]router.Result, error) {
	handler := slog.NewTextHandler(&l.logs, &slog.HandlerOptions{Level: slog.LevelDebug})
	options := types.SenderOptions{
		HTTPClient: l.client,
		Logger:     slog.New(handler),
		OnAttempt:  func(a types.Attempt) { fmt.Fprintf(&l.logs, "%+v\n", a) },
	}
	r, err := router.NewWithOptions(log.New(&l.logs, "", 0), options)
	if err != nil {
		return nil, err
	}
	r.UseLedger(l.ledger)
	added := 0
	for _, u := range s.urls {
		if e := r.AddService(u); e != nil {
			err = errors.Join(err, e)
			continue
		}
		added++
	}
	if added == 0 {
		return nil, err
	}
	params := types.Params{}
	for name, value := range s.params {
		params[name] = value
	}
	if s.title != nil {
		params.SetTitle(*s.title)
	}
	return r.Deliver(ctx, s.message, &params), err
}

// exitCode is what the command's manual says of an error: the test's own reading of it, so that the library's errors are seen to tell the
// cases apart.
func exitCode(err error) int {
	var config *pagerduty.ConfigError
	var ambiguous *pagerduty.AmbiguousIncidentError
	var refused *eventsv2.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, pagerduty.ErrBlankMessage):
		return 64
	case errors.As(err, &config), errors.Is(err, router.ErrUnknownService):
		return 78
	case errors.As(err, &ambiguous):
		return 65
	case errors.Is(err, eventsv2.ErrInvalidKey), errors.Is(err, eventsv2.ErrUnauthorized), errors.Is(err, eventsv2.ErrForbidden):
		return 77
	case errors.As(err, &refused) && refused.Temporary():
		return 75
	case refused != nil && refused.Status != 0:
		return 65
	}
	return 69
}

// gravest picks the exit code that the command would choose.
func gravest(exits []int) int {
	worst := 0
	for _, code := range []int{75, 69, 65, 64, 77, 78} { // from the least to the most
		for _, exit := range exits {
			if exit == code {
				worst = code
			}
		}
	}
	return worst
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
