package insight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Group is the dead events of a lane that ended for the same reason.
type Group struct {
	ID          string `json:"id"`
	Lane        string `json:"lane"`
	LaneID      string `json:"lane_id"`
	Fingerprint string `json:"fingerprint"`
	State       string `json:"state"`
	Status      int    `json:"status,omitempty"`
	Reason      string `json:"reason"`
	Count       int    `json:"count"`
	Critical    int    `json:"critical"`
	OldestAt    Stamp  `json:"oldest_at"`
	// Takes is how long they take to leave at the lane's rate, one after another.
	Takes float64 `json:"takes_s"`

	Of queue.Group `json:"-"`
}

// Dead groups the events that wait for an operator's decision by lane and reason,
// the largest groups first.
func (i *Insight) Dead(ctx context.Context) ([]Group, error) {
	groups, err := i.groups.get(ctx, i.o.Store.Groups)
	if err != nil {
		return nil, fmt.Errorf("group what is dead: %w", err)
	}
	snapshot, err := i.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]Group, 0, len(*groups))
	for _, g := range *groups {
		l, err := i.laneOf(ctx, g.Lane)
		if err != nil {
			return nil, err
		}
		standing := snapshot.of(queue.Counted{Lane: l})
		i.name(&standing)
		rate := max(1, standing.Status.Learned, standing.Status.Limit)
		views = append(views, Group{
			ID: groupID(g), Lane: standing.Named.Name, LaneID: laneID(g.Lane), Fingerprint: l.Key.Fingerprint(), State: g.State.String(), Status: g.Status, Reason: g.Reason,
			Count: g.Count, Critical: g.Critical, OldestAt: i.Stamp(g.Oldest), Takes: Seconds(time.Duration(g.Count) * time.Minute / time.Duration(rate)), Of: g,
		})
	}
	return views, nil
}

// groupID names a group in a URL, in which its reason would be too long.
func groupID(g queue.Group) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %s", g.Lane, g.State, g.Status, g.Reason))
	return hex.EncodeToString(sum[:8])
}

// neighbours is how many of each side are told.
const neighbours = 5

// Neighbours returns events of the same chain, the newest first: up to five that
// came after an event and five that came before it. Among very many events it
// finds the nearest in time only.
func (i *Insight) Neighbours(ctx context.Context, id int64) ([]Event, error) {
	e, err := i.o.Store.Listed(ctx, id)
	if err != nil || e.DedupKey == "" {
		return nil, err
	}
	of := queue.Filter{Lane: e.Lane, DedupKey: e.DedupKey, Limit: 100}
	newest, err := i.o.Store.Events(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("list the chain: %w", err)
	}
	of.Before, of.Limit = id, neighbours
	older, err := i.o.Store.Events(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("list the chain: %w", err)
	}
	var newer []queue.Event
	for _, one := range newest.Events {
		if one.ID > id {
			newer = append(newer, one)
		}
	}
	newer = newer[max(0, len(newer)-neighbours):]
	var views []Event
	for _, one := range append(newer, older.Events...) {
		view, err := i.view(ctx, &one)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

// MaxWhy is how many characters of a reason are kept.
const MaxWhy = 500

// Reason is an operator's reason as it is kept in a history: one line without any
// key.
func (i *Insight) Reason(ctx context.Context, why string) (string, error) {
	why = strings.Join(strings.FieldsFunc(why, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if utf8.RuneCountInString(why) > MaxWhy {
		return "", fmt.Errorf("at most %d characters are kept", MaxWhy)
	}
	return i.Scrub(ctx, strings.ToValidUTF8(why, "\ufffd")), nil
}
