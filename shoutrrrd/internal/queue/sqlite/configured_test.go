package sqlite

import (
	"fmt"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// An event does not cost more because the configuration names more keys: they are asked
// for when it is read, and not for each event. What it then says counts.
func TestConfiguredKeysAreAskedForOnce(t *testing.T) {
	keys, asked := []eventsv2.Key{}, 0
	s := openTest(t, Options{MaxQueued: 200, Keys: func() []eventsv2.Key { asked++; return keys }})
	lane := laneOf(t, s)
	fill := func(name string) (kept int) {
		for i := range 250 {
			if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, fmt.Sprint(name, i), queue.Info)); err == nil {
				kept++
			}
		}
		deliverAll(t, s)
		return kept
	}
	before := asked
	if kept := fill("alone "); kept != 198 || asked != before {
		t.Errorf("%d events are kept, want all 198 places; the keys were asked for %d times", kept, asked-before)
	}
	other, _ := eventsv2.ParseKey(otherKey)
	keys = []eventsv2.Key{other}
	s.Relist()
	if kept := fill("beside another "); kept != 100 {
		t.Errorf("%d events are kept beside a key that the configuration names now, want half of 200", kept)
	}
}
