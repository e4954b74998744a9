package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// What is queued in a file of version 4 was accepted for the upstream that the configuration
// names when a relay opens it first. From then on it keeps that one, whatever is configured.
func TestUpstreamOfOlderVersions(t *testing.T) {
	for _, path := range []string{"v1/closed.db", "v2/incidents.db", "v3/killed.db", "v4/closed.db", "v4/killed.db"} {
		t.Run(path, func(t *testing.T) {
			now := "https://first.example.com"
			o := Options{Path: oldQueueOf(t, filepath.Dir(path), filepath.Base(path)), Configured: func(eventsv2.Key) queue.Configured { return queue.Configured{Upstream: now} }}
			for _, now = range []string{now, "https://second.example.com"} {
				s, err := Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				lanes, _ := s.Lanes(t.Context())
				waits := 0
				for _, l := range lanes {
					want := now
					if c, err := s.Counted(t.Context(), l.ID); err != nil || c.Count.Total() > 0 {
						want = "https://first.example.com"
						waits++
					}
					if l.Upstream != want {
						t.Errorf("with %s configured lane %d goes to %q, want %q", now, l.ID, l.Upstream, want)
					}
				}
				if waits == 0 {
					t.Error("nothing is queued: the test has tested nothing")
				}
				if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
					t.Errorf("an examination finds %+v, %v", report.Findings, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A damaged file of version 4 gives its lanes with what was learned of them.
func TestVersion4IsSalvaged(t *testing.T) {
	path := oldQueueOf(t, "v4", "closed.db")
	before, err := Open(t.Context(), Options{Path: oldQueueOf(t, "v4", "closed.db")})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := before.Lanes(t.Context())
	_ = before.Close()
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Path: path})
	got, _ := s.Lanes(t.Context())
	if report := s.Salvaged(); report == nil || report.Lanes != len(want) || report.Events == 0 {
		t.Errorf("the report says %+v, want %d lanes", report, len(want))
	}
	for i := range got {
		if i < len(want) && (got[i].ID != want[i].ID || !got[i].Key.Equal(want[i].Key) || got[i].Learned != want[i].Learned) {
			t.Errorf("lane %d was taken over as %+v, want %+v", got[i].ID, got[i], want[i])
		}
	}
}
