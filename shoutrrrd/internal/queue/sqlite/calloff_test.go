package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// A start may be called off while it brings an older queue to the present version:
// that says nothing about the file, which stays as it was.
func TestMigrationIsCalledOff(t *testing.T) {
	path := oldQueue(t, "closed.db")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Open(ctx, Options{Path: path, Now: func() time.Time { cancel(); return time.Now() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the start ends with %v", err)
	}
	if aside := asides(path); len(aside) > 0 {
		t.Errorf("a sound file was set aside: %v", aside)
	}
	s := openTest(t, Options{Path: path})
	if got := allTold(t, s); !slices.Equal(got, oldEvents) {
		t.Errorf("got\n%q, want\n%q", got, oldEvents)
	}
}

// A start may be called off while it takes over a damaged queue: the next one takes
// over what is left of it.
func TestSalvageIsCalledOff(t *testing.T) {
	path := oldQueue(t, "closed.db")
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if s, err := Open(ctx, Options{Path: path, OnLane: func(eventsv2.Key) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("the start ends with %v", err)
		if err == nil {
			_ = s.Close()
		}
	}
	s := openTest(t, Options{Path: path})
	const undeliveredOrDead = 13 // of the 16, two were delivered and one dropped
	if taken := s.Salvaged(); taken == nil || taken.Events != undeliveredOrDead || taken.Unreadable != 0 {
		t.Errorf("taken over: %+v", taken)
	}
	if len(s.Quarantined()) != 1 {
		t.Errorf("set aside: %v", s.Quarantined())
	}
}

// The scheduler is not there yet while the store is opened, so nothing is announced
// to it: it looks for what is queued when it begins.
func TestSalvageAnnouncesNothing(t *testing.T) {
	path := oldQueue(t, "closed.db")
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := false
	openTest(t, Options{Path: path, OnReady: func(lane int64, _ queue.Rank) {
		if !opened {
			t.Errorf("something ready in lane %d was announced during the start", lane)
		}
	}})
	opened = true
}

// A damaged file of an older version is set aside as it is: it is not brought to the
// present version before.
func TestSuspectOfVersion1IsNotMigrated(t *testing.T) {
	path := oldQueue(t, "closed.db")
	was := content(path)
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Path: path})
	if len(s.Quarantined()) != 1 || !bytes.Equal(content(filepath.Join(filepath.Dir(path), s.Quarantined()[0])), was) {
		t.Errorf("the file that was set aside was changed: %v", s.Quarantined())
	}
}
