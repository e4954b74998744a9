package insight

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

// The keys share the first 32 bits of their fingerprints.
const (
	onCall   = "920223f1560d76d5d8be6be42b77b1c6"
	stranger = "f7b6af6bb2443542f3b7e1a554c835d4"
)

func TestFindLanes(t *testing.T) {
	clock := func() time.Time { return time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC) }
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	aliases := map[string]string{onCall: "db-oncall", strings.Repeat("1", 32): "twice", strings.Repeat("2", 32): "twice"}
	i := New(Options{Store: store, Now: clock, Describe: func(key eventsv2.Key) Named {
		if alias := aliases[strings.ToLower(key.Reveal())]; alias != "" {
			return Named{Name: alias}
		}
		return Named{Name: key.Fingerprint()}
	}})
	prints := map[string]string{}
	for _, text := range []string{onCall, stranger, strings.Repeat("1", 32), strings.Repeat("2", 32), strings.ToUpper(onCall)} {
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Lane(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		prints[text] = key.Fingerprint()
	}
	if prints[onCall][:12] != prints[stranger][:12] || prints[onCall] == prints[stranger] {
		t.Fatalf("the test needs keys whose fingerprints share their first digits alone: %q", prints)
	}
	for _, tt := range []struct {
		name string
		want []int64
		err  error
	}{
		{"db-oncall", []int64{1}, nil}, // one key in two cases of letters is one lane
		{prints[onCall], []int64{1}, nil},
		{prints[stranger], []int64{2}, nil},
		{"1", []int64{1}, nil},
		{"4", []int64{4}, nil},
		{"5", nil, ErrNoLane},
		{"0", nil, ErrNoLane},
		{strings.Repeat("9", 40), nil, ErrNoLane},
		{prints[stranger][:12], nil, ErrNoLane},
		{"", nil, ErrNoLane},
		{onCall, nil, ErrNoLane},
	} {
		found, err := i.FindLanes(t.Context(), tt.name)
		var ids []int64
		for _, l := range found {
			ids = append(ids, l.ID)
		}
		if !errors.Is(err, tt.err) || !slices.Equal(ids, tt.want) {
			t.Errorf("%q: lanes %d and %v, want %d and %v", tt.name, ids, err, tt.want, tt.err)
		}
	}
	_, err = i.FindLanes(t.Context(), "twice")
	var ambiguous *AmbiguousError
	if !errors.As(err, &ambiguous) || len(ambiguous.Candidates) != 2 || ambiguous.Candidates[0].ID != "3" || ambiguous.Candidates[1].ID != "4" {
		t.Fatalf("a name that two keys have: %v", err)
	}
	for _, part := range []string{`"twice"`, "3 (" + ambiguous.Candidates[0].Fingerprint, "4 (" + ambiguous.Candidates[1].Fingerprint} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	if _, err := i.Events(t.Context(), Selection{lane: "twice", filter: queue.Filter{Limit: 1}}); !errors.As(err, &ambiguous) {
		t.Errorf("events of a name that two keys have: %v", err)
	}
}
