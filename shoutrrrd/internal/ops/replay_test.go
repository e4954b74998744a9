package ops_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// sent is a store of which only the delivered events count.
type sent struct {
	ops.Store
	list []queue.Sent
}

func (s sent) Sent(_ context.Context, _, _ time.Time, _ int64, n int) ([]queue.Sent, error) {
	return s.list[:min(n, len(s.list))], nil
}

func (s sent) Lanes(context.Context) ([]queue.Lane, error) { return nil, nil }

func (s sent) Requeue(_ context.Context, a queue.Again) (answers []queue.Requeued, err error) {
	for _, id := range a.IDs {
		answers = append(answers, queue.Requeued{ID: id})
	}
	return answers, nil
}

func noPools([]queue.Lane) [][]int64 { return nil }

func noHeirs([]queue.Lane) map[int64]int64 { return nil }

func TestPlan(t *testing.T) {
	for events, want := range map[string]string{
		"a trigger":                                      "1",
		"a trigger, a resolve":                           "2",
		"a trigger, a resolve, a resolve":                "3",
		"a trigger, a acknowledge":                       "1 2",
		"a trigger, a resolve, a trigger, a acknowledge": "3 4",
		"a trigger, b trigger, a resolve, b acknowledge": "2 3 4",
		"a trigger, a resolve, a acknowledge":            "2",
		"a resolve, a acknowledge, a trigger":            "2 3",
		"a acknowledge, a resolve, b trigger":            "2 3",
		"a resolve, b trigger":                           "1 2",
	} {
		var list []queue.Sent
		for i, text := range strings.Split(events, ", ") {
			dedup, action, _ := strings.Cut(text, " ")
			list = append(list, queue.Sent{ID: int64(i + 1), Lane: 1, Action: action, DedupKey: dedup})
		}
		plan, err := (&ops.Ops{Store: sent{list: list}, Pools: noPools, Heirs: noHeirs}).Plan(t.Context(), ops.Period{})
		var got []string
		for _, x := range plan.Events {
			got = append(got, fmt.Sprint(x.ID))
		}
		if text := strings.Join(got, " "); err != nil || text != want || plan.Over != len(list)-len(got) {
			t.Errorf("of %s the events %s are sent again, want %s: %v", events, text, want, err)
		}
	}
	many := make([]queue.Sent, ops.MaxEvents+1)
	if _, err := (&ops.Ops{Store: sent{list: many}}).Plan(t.Context(), ops.Period{}); err != ops.ErrTooMany {
		t.Errorf("of too many events: %v", err)
	}
}
