package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

func TestConformance(t *testing.T) {
	prove.Rapid(t, 15, 100, 5000)
	n := 0
	root := t.TempDir()
	queuetest.Conformance(t, func(now func() time.Time, ready func(int64, queue.Rank)) queuetest.Opened {
		n++
		dir := filepath.Join(root, time.Now().Format("150405.000000000"))
		listed, configured := true, func(eventsv2.Key) queue.Configured { return queue.Configured{} }
		o := Options{Path: filepath.Join(dir, "queue.db"), Now: now, OnReady: ready, Listed: func(eventsv2.Key) bool { return listed }, Configured: func(key eventsv2.Key) queue.Configured { return configured(key) }}
		open := func() *Store {
			s, err := Open(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		return queuetest.Opened{
			Store: s,
			Restart: func(clean bool) queuetest.Store {
				if clean {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				} else {
					s.crash(t)
				}
				s = open()
				if s.Clean() != clean {
					t.Fatalf("the last end was clean: %v, the store says %v", clean, s.Clean())
				}
				return s
			},
			Bound: func(lanes int) {
				s.o.MaxLanes, listed = lanes, false
				s.Relist()
			},
			Configure: func(says func(eventsv2.Key) queue.Configured) {
				configured = says
				s.Relist()
			},
			Close: func() {
				_ = s.Close()
				_ = os.RemoveAll(dir)
			},
		}
	})
}

// crash leaves the files as they are and lets go of them, as the end of a process
// does.
func (s *Store) crash(t *testing.T) {
	t.Helper()
	dir := filepath.Dir(s.o.Path)
	left := filepath.Join(dir, "left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	// The WAL first: between two requests the writer moves it into the file, and with the
	// file of before and the WAL of after what was written would be gone.
	names := []string{"queue.db-wal", "queue.db"}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(left, name), data, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, "queue.db-shm"))
	for _, name := range names {
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.Rename(filepath.Join(left, name), filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Remove(left); err != nil {
		t.Fatal(err)
	}
}
