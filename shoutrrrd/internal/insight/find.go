package insight

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// AmbiguousError: several lanes have the name that was given. None of them was chosen.
type AmbiguousError struct {
	Name       string
	Candidates []LaneName
}

// LaneName tells a lane from all others.
type LaneName struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
}

// Error lists the candidates, so that one of them can be chosen.
func (e *AmbiguousError) Error() string {
	list := make([]string, 0, len(e.Candidates))
	for _, c := range e.Candidates {
		list = append(list, c.ID+" ("+c.Fingerprint+")")
	}
	return fmt.Sprintf("%d lanes have the name %q; give the number of one instead: %s", len(e.Candidates), e.Name, strings.Join(list, ", "))
}

// FindLanes returns the lane that people mean: by its number if digits alone were given, else by its alias or its
// fingerprint. It returns ErrNoLane if there is none and an [AmbiguousError] if keys that differ have the name: what is
// paused for one key must never hold another. There are several lanes if clients write one key in two cases of letters.
func (i *Insight) FindLanes(ctx context.Context, name string) ([]queue.Lane, error) {
	if isNumber(name) { // no alias is a number (package settings)
		return i.findByNumber(ctx, name)
	}
	lanes, err := i.o.Store.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	var found []queue.Lane
	several := false
	for _, l := range lanes {
		if i.o.Describe(l.Key).Name == name || l.Key.Fingerprint() == name {
			found = append(found, l)
			several = several || !l.Key.Equal(found[0].Key)
		}
	}
	switch {
	case len(found) == 0:
		return nil, ErrNoLane
	case !several:
		return found, nil
	}
	ambiguous := &AmbiguousError{Name: cut(name)}
	for _, l := range found {
		ambiguous.Candidates = append(ambiguous.Candidates, LaneName{laneID(l.ID), i.o.Describe(l.Key).Name, l.Key.Fingerprint()})
	}
	return nil, ambiguous
}

func (i *Insight) findByNumber(ctx context.Context, number string) ([]queue.Lane, error) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, ErrNoLane
	}
	l, err := i.o.Store.Counted(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, ErrNoLane
	}
	if err != nil {
		return nil, fmt.Errorf("find lane %d: %w", id, err)
	}
	return []queue.Lane{l.Lane}, nil
}

// laneOf returns a lane: an event names its own by ID. One that was forgotten has no key.
func (i *Insight) laneOf(ctx context.Context, id int64) (queue.Lane, error) {
	l, err := i.o.Store.Counted(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return queue.Lane{ID: id}, nil
	}
	if err != nil {
		return l.Lane, fmt.Errorf("find lane %d: %w", id, err)
	}
	return l.Lane, nil
}

// LaneName is what people call a lane.
func (i *Insight) LaneName(ctx context.Context, id int64) (string, error) {
	l, err := i.laneOf(ctx, id)
	return i.o.Describe(l.Key).Name, err
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// laneID is the number of a lane as people see it.
func laneID(id int64) string { return strconv.FormatInt(id, 10) }

// Lane tells of the first lane that [Insight.FindLanes] finds. A pause or the end of one
// shows at once.
func (i *Insight) Lane(ctx context.Context, name string) (Lane, error) {
	found, err := i.FindLanes(ctx, name)
	if err != nil {
		return Lane{}, err
	}
	return i.stands(ctx, found[0].ID)
}

// LaneHistory tells what operators did to the first lane that [Insight.FindLanes] finds, the latest first.
func (i *Insight) LaneHistory(ctx context.Context, name string) ([]Entry, error) {
	found, err := i.FindLanes(ctx, name)
	if err != nil {
		return nil, err
	}
	entries, err := i.o.Store.LaneHistory(ctx, found[0].ID)
	if err != nil {
		return nil, fmt.Errorf("read the lane's history: %w", err)
	}
	return i.told(entries), nil
}
