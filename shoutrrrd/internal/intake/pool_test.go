package intake

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Events of a pool are spread by their dedup keys, and stay with the key that they
// began with; a key that PagerDuty refuses gets no new ones.
func TestPool(t *testing.T) {
	store := openStore(t, 0)
	keys := []eventsv2.Key{mustKey(t, testKey), mustKey(t, strings.Repeat("1a", 16)), mustKey(t, strings.Repeat("2b", 16))}
	tried := false
	f := newFront(t, Options{Store: store, TryRejected: func(int64) bool { return tried }, Route: func(eventsv2.Key) Route { return Route{Name: "db", Pool: "db", Keys: keys, Listed: true} }})
	send := func(dedup string) {
		t.Helper()
		if answer := f.post(t, trigger(dedup, "error", "")); answer.status != http.StatusAccepted {
			t.Fatalf("%d %s", answer.status, answer.body)
		}
	}
	home := func(dedup string) int { return indexOf(t, store, keys, dedup) }

	used := map[int]int{}
	for i := range 60 {
		dedup := fmt.Sprintf("web-%d", i)
		send(dedup)
		at := home(dedup)
		if at != eventsv2.Rendezvous(keys, dedup) {
			t.Errorf("%s is at key %d, its hash prefers %d", dedup, at, eventsv2.Rendezvous(keys, dedup))
		}
		used[at]++
	}
	if len(used) != 3 {
		t.Errorf("of 3 keys %d are used: %v", len(used), used)
	}

	refuse(t, store, keys[0])
	for i := range 60 {
		dedup := fmt.Sprintf("db-%d", i)
		send(dedup)
		if home(dedup) == 0 {
			t.Errorf("%s went to the key that is refused", dedup)
		}
	}
	send("web-1") // open already
	if home("web-1") != eventsv2.Rendezvous(keys, "web-1") {
		t.Error("an open incident has moved to another key")
	}

	tried = true // its turn to be tried
	for i := 0; ; i++ {
		dedup := fmt.Sprintf("again-%d", i)
		send(dedup)
		if at := home(dedup); eventsv2.Rendezvous(keys, dedup) == 0 {
			if at != 0 {
				t.Errorf("%s did not try the key that was refused, it is at %d", dedup, at)
			}
			break
		} else if at == 0 {
			t.Errorf("%s went to the key that is refused, though its hash prefers another one", dedup)
		}
	}
	tried = false

	refuse(t, store, keys[1])
	refuse(t, store, keys[2])
	send("last")
	if home("last") != eventsv2.Rendezvous(keys, "last") {
		t.Error("with all keys refused, the hash decides")
	}
}

func refuse(t *testing.T, store interface {
	Store
	keeper
}, key eventsv2.Key,
) {
	t.Helper()
	lane, err := store.Lane(t.Context(), key)
	if err == nil {
		lane.KeyRefused = time.Now()
		err = store.SaveLane(t.Context(), lane)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func indexOf(t *testing.T, store keeper, keys []eventsv2.Key, dedup string) int {
	t.Helper()
	page, err := store.Events(t.Context(), queue.Filter{DedupKey: dedup})
	if err != nil || len(page.Events) != 1 {
		t.Fatalf("%s: %d events, %v", dedup, len(page.Events), err)
	}
	lanes, err := store.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range lanes {
		if lane.ID == page.Events[0].Lane {
			return slices.IndexFunc(keys, func(k eventsv2.Key) bool { return k.Reveal() == lane.Key.Reveal() })
		}
	}
	return -1
}

// keeper is what these tests look at.
type keeper interface {
	Lanes(ctx context.Context) ([]queue.Lane, error)
	SaveLane(ctx context.Context, lane queue.Lane) error
	Events(ctx context.Context, f queue.Filter) (queue.Page, error)
}
