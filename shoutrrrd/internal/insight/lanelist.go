package insight

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
)

const (
	defaultLanes = 200
	maxLanes     = 500
)

// LaneSelection is which lanes are asked for.
type LaneSelection struct {
	words  []word // all of them have to be true of a lane
	limit  int
	cursor int64 // ID of the last lane of the page before; 0 for the first page
}

// What a lane's state may be asked for beside its condition.
var laneStates = []string{"trouble", "queued", "dead", "key_rejected"}

var laneConditions = slices.DeleteFunc(slices.Clone(lane.Conditions), func(c lane.Condition) bool { return c == lane.KeyRejected })

// ParseLaneSelection reads the parameters of a list of lanes.
func ParseLaneSelection(query url.Values) (LaneSelection, error) {
	for name := range query {
		switch name {
		case "q", "limit", "cursor":
		default:
			return LaneSelection{}, fmt.Errorf("unknown parameter %q; a list of lanes takes q, limit and cursor", cut(name))
		}
	}
	limit, err := number(query, "limit", defaultLanes, maxLanes)
	if err != nil {
		return LaneSelection{}, err
	}
	s := LaneSelection{limit: int(limit)}
	if s.cursor, err = number(query, "cursor", 0, 1<<62); err != nil {
		return s, err
	}
	rest := strings.TrimSpace(strings.Join(query["q"], " "))
	for rest != "" {
		var w word
		if w, rest, err = nextWord(rest); err != nil {
			return s, fmt.Errorf("q: %w", err)
		}
		if err := checkLaneWord(w); err != nil {
			return s, fmt.Errorf("q: %q: %w", cut(w.name+w.operator+w.value), err)
		}
		w.value = strings.ToLower(w.value)
		s.words = append(s.words, w)
	}
	return s, nil
}

func checkLaneWord(w word) error {
	switch w.name {
	case "":
		return nil
	case "state", "pool", "lane":
	default:
		return fmt.Errorf("unknown word %s; a list of lanes knows state:, pool:, lane: and parts of a lane's name", cut(w.name))
	}
	if w.operator != ":" && w.operator != "=" {
		return fmt.Errorf("%s takes a colon: %s:VALUE", w.name, w.name)
	}
	if w.value == "" {
		return fmt.Errorf("the value is missing")
	}
	state := strings.ToLower(w.value)
	if w.name != "state" || slices.Contains(laneStates, state) || slices.Contains(laneConditions, lane.Condition(state)) {
		return nil
	}
	known := slices.Clone(laneStates)
	for _, condition := range laneConditions {
		known = append(known, string(condition))
	}
	return fmt.Errorf("unknown state; a lane's states are %s", strings.Join(known, ", "))
}

// LaneList is a page of lanes, in the order in which they were first used.
type LaneList struct {
	Lanes  []Lane `json:"lanes"`
	Next   string `json:"next,omitempty"` // the cursor of the next page; "" at the end
	Totals Totals `json:"totals"`         // over all lanes, whatever is selected
}

// Lanes lists what was selected.
func (i *Insight) Lanes(ctx context.Context, s LaneSelection) (LaneList, error) {
	list := LaneList{Lanes: []Lane{}}
	snapshot, err := i.everything.get(ctx, func(ctx context.Context) (Snapshot, error) { return i.look(ctx, math.MaxInt) })
	if err != nil {
		return list, err
	}
	list.Totals = snapshot.Totals
	now := i.o.Now()
	all := snapshot.all
	from, _ := slices.BinarySearchFunc(all, s.cursor+1, func(one Standing, id int64) int { return int(one.Lane.ID - id) })
	var last int64 // of the page
	for at, one := range all[from:] {
		if at%1000 == 0 && ctx.Err() != nil {
			return list, ctx.Err()
		}
		if !one.isLike(s.words) { // what needs no name first: to look up a name costs the most
			continue
		}
		i.name(&one)
		if !one.isNamedLike(s.words) {
			continue
		}
		if len(list.Lanes) == s.limit {
			list.Next = strconv.FormatInt(last, 10)
			break
		}
		list.Lanes = append(list.Lanes, i.standing(&one, now))
		last = one.Lane.ID
	}
	return list, nil
}

// isLike looks at the words about the lane's state.
func (s *Standing) isLike(words []word) bool {
	for _, w := range words {
		if w.name != "state" {
			continue
		}
		ok := string(s.Status.Condition) == w.value
		switch w.value {
		case "trouble":
			ok = s.InTrouble()
		case "queued":
			ok = s.Count.Total() > 0
		case "dead":
			ok = s.Count.Refused+s.Count.Expired > 0
		case "key_rejected":
			ok = s.Status.KeyRefused
		}
		if !ok {
			return false
		}
	}
	return true
}

// isNamedLike looks at the other words: text is a part of the lane's name,
// fingerprint or pool.
func (s *Standing) isNamedLike(words []word) bool {
	var name, fingerprint, pool string
	if len(words) > 0 {
		name, fingerprint, pool = strings.ToLower(s.Named.Name), s.Lane.Key.Fingerprint(), strings.ToLower(s.Named.Pool)
	}
	for _, w := range words {
		ok := true
		switch w.name {
		case "":
			ok = strings.Contains(name, w.value) || strings.Contains(fingerprint, w.value) || strings.Contains(pool, w.value)
		case "lane":
			ok = name == w.value || fingerprint == w.value
		case "pool":
			ok = pool == w.value
		}
		if !ok {
			return false
		}
	}
	return true
}
