package insight

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

// The neighbours of an event are those of its dedup key on its lane, five of each
// side, and not itself.
func TestNeighbours(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	clock := func() time.Time { return now }
	secrets := &redact.Set{}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: clock, OnLane: func(key eventsv2.Key) { secrets.Add(key) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	i := New(Options{
		Store: store, Statuses: func() []lane.Status { return nil }, Status: func(int64) (lane.Status, bool) { return lane.Status{}, false },
		Prospect: func(queue.Lane) lane.Status { return lane.Status{Free: 100, Most: 8} }, Upstreams: func() []lane.Upstream { return nil },
		Now:      clock,
		Hide:     secrets.Hide,
		Describe: func(key eventsv2.Key) Named { return Named{Name: key.Fingerprint()} },
	})
	put := func(key, dedup string, action eventsv2.Action) int64 {
		parsed, err := eventsv2.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		l, err := store.Lane(t.Context(), parsed)
		if err != nil {
			t.Fatal(err)
		}
		placed, err := store.Put(t.Context(), queue.New{Lane: l.ID, Action: action, DedupKey: dedup, Accepted: now, Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		return placed.ID
	}
	var chain []string
	for n := range 13 { // resolves, as triggers would be coalesced
		chain = append(chain, fmt.Sprint(put("eb243592faa24ba2a5511afdf565c889", "a", eventsv2.Resolve)))
		put("eb243592faa24ba2a5511afdf565c889", fmt.Sprint("other-", n), eventsv2.Trigger)
		put("0123456789abcdef0123456789abcdef", "a", eventsv2.Resolve)
	}
	for at, want := range map[int]string{
		0: "5 4 3 2 1", 6: "11 10 9 8 7 5 4 3 2 1", 12: "11 10 9 8 7",
	} {
		var id int64
		_, _ = fmt.Sscan(chain[at], &id)
		near, err := i.Neighbours(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range near {
			for place, one := range chain {
				if one == e.ID {
					got = append(got, fmt.Sprint(place))
				}
			}
		}
		if strings.Join(got, " ") != want || len(got) != len(near) {
			t.Errorf("around the event at %d: %v of %d, want %s", at, got, len(near), want)
		}
	}
}
