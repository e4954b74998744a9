package queuetest

import (
	"context"
	"errors"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Claim claims events of one lane.
func Claim(ctx context.Context, s interface {
	Claim(ctx context.Context, asks []queue.Ask) ([]queue.Taken, error)
}, lane int64, pick queue.Pick, n int,
) ([]queue.Event, error) {
	taken, err := s.Claim(ctx, []queue.Ask{{Lane: lane, Pick: pick, N: n}})
	if err != nil {
		return nil, err
	}
	return taken[0].Events, nil
}

// Settle settles, and joins the answers to one error.
func Settle(ctx context.Context, s interface {
	Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error)
}, settlements ...queue.Settlement,
) error {
	answers, err := s.Settle(ctx, settlements)
	return errors.Join(append(answers, err)...)
}
