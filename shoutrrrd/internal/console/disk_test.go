package console

import (
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

// measured is a queue on another disk.
type measured struct {
	*sqlite.Store
	usage queue.Usage
}

func (m *measured) Usage() queue.Usage { return m.usage }

// The overview says what the queue takes of its disk, and what of that somebody has to
// know at once.
func TestDisk(t *testing.T) {
	m := &measured{usage: queue.Usage{File: 3e6, WAL: 1e6, Free: 7e9, Limit: 20e9}}
	s := newSiteOn(t, func(store *sqlite.Store) insight.Store { m.Store = store; return m })
	s.put("a", queue.Info, "an event, for the overview of lanes")
	const hangs, evicted = "The disk of the queue does not answer.", "3 dead letters were deleted since the start"
	if page := s.get("/"); !strings.Contains(page, "The queue takes 4.0 MB of its disk and may take 20 GB; 7.0 GB are free.") || strings.Contains(page, hangs) || strings.Contains(page, "deleted since the start") {
		t.Errorf("while all is well: %s", page)
	}
	m.usage.Hanging, m.usage.Evicted = 6*time.Second, 3
	s.now = s.now.Add(2 * time.Second)
	if page := s.get("/"); !strings.Contains(page, hangs) || !strings.Contains(page, evicted) {
		t.Errorf("while it hangs: %s", page)
	}
}
