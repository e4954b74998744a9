package lane

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Of two copies of one event the outcome that counts, and whether the other copy counts
// in the window as well, for each pair.
func TestPairsOfOutcomes(t *testing.T) {
	outcomes := []struct {
		name  string
		err   *eventsv2.Error
		taken bool // it may be
	}{ // those before count rather
		{"accepted", nil, true},
		{"invalid", &eventsv2.Error{Rejected: true, Status: 400, Message: "'payload.summary' is missing"}, true},
		{"429", &eventsv2.Error{Status: 429}, false},
		{"502", &eventsv2.Error{Status: 502, Sent: true}, true},
		{"redirect", &eventsv2.Error{Status: 302}, false},
		{"time-out", &eventsv2.Error{Err: context.DeadlineExceeded, Sent: true}, true},
		{"nobody listens", &eventsv2.Error{Err: errors.New("connection refused")}, false},
		{"cancelled", &eventsv2.Error{Err: context.Canceled, Sent: true}, true},
	}
	for i, a := range outcomes {
		if got := mayBeTaken(a.err); got != a.taken {
			t.Errorf("%s may be taken: %v", a.name, got)
		}
		for j, b := range outcomes {
			t.Run(fmt.Sprint(a.name, " and ", b.name), func(t *testing.T) {
				if got, want := better(a.err, b.err), i < j; got != want {
					t.Errorf("the former counts rather: %v", got)
				}
			})
		}
	}
	if !mayBeTaken(&eventsv2.Error{Status: 200}) || mayBeTaken(&eventsv2.Error{Err: context.Canceled}) {
		t.Error("a page that says all is well is not the same as nothing, and what has not left was not taken")
	}
}
