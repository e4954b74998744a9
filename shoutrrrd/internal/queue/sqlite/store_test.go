package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

const testKey = "0123456789abcdef0123456789abcdef"

func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "state", "queue.db")
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func laneOf(t testing.TB, s *Store) int64 {
	t.Helper()
	key, err := eventsv2.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	lane, err := s.Lane(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return lane.ID
}

func event(lane int64, action eventsv2.Action, dedup string, severity queue.Rank) queue.New {
	return queue.New{
		Lane: lane, Action: action, DedupKey: dedup, Severity: severity, Accepted: time.Now(),
		Body: fmt.Appendf(nil, `{"event_action":%q,"dedup_key":%q}`, action, dedup),
	}
}

func TestSmoke(t *testing.T) {
	s := openTest(t, Options{})
	lane := laneOf(t, s)
	ctx := t.Context()
	for i, e := range []queue.New{
		event(lane, eventsv2.Trigger, "a", queue.Info),
		event(lane, eventsv2.Trigger, "a", queue.Warning),
		event(lane, eventsv2.Trigger, "b", queue.Error),
		event(lane, eventsv2.Resolve, "a", queue.Info),
		event(lane, eventsv2.Trigger, "a", queue.Critical),
	} {
		placed, err := s.Put(ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		if placed.Coalesced != (i == 1) {
			t.Errorf("event %d: %+v", i, placed)
		}
	}
	claimed, err := queuetest.Claim(ctx, s, lane, queue.MostUrgent, 5)
	if err != nil || len(claimed) != 2 || claimed[0].DedupKey != "a" || claimed[0].Repeats != 1 || claimed[0].Priority != queue.Critical {
		t.Fatalf("%v %+v", err, claimed)
	}
	again, err := queuetest.Claim(ctx, s, lane, queue.MostUrgent, 5)
	if err != nil || len(again) != 0 {
		t.Fatalf("%v %+v", err, again)
	}
	x := queue.Settlement{ID: claimed[0].ID, Claim: claimed[0].Claim, State: queue.Delivered, At: time.Now(), Status: 202, Attempts: 1, Tried: true}
	if err := queuetest.Settle(ctx, s, x); err != nil {
		t.Fatal(err)
	}
	if err := queuetest.Settle(ctx, s, x); !errors.Is(err, queue.ErrStale) {
		t.Errorf("settled twice: %v", err)
	}
	page, err := s.Events(ctx, queue.Filter{})
	if err != nil || len(page.Events) != 4 {
		t.Fatalf("%v %+v", err, page)
	}
	counts, err := s.Totals(ctx)
	if err != nil || counts[0].Delivered != 1 || counts[0].Waiting != [4]int{1, 1, 0, 1} {
		t.Errorf("%v %+v", err, counts)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := openTest(b, Options{Path: filepath.Join(b.TempDir(), "q.db")})
			lane := laneOf(b, s)
			b.SetParallelism(clients / 2)
			if clients == 1 {
				for i := range b.N {
					e := event(lane, eventsv2.Trigger, fmt.Sprintf("d%d", i*7919), queue.Info)
					e.Body = append(e.Body, make([]byte, 600)...)
					if _, err := s.Put(b.Context(), e); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				i := time.Now().UnixNano()
				for p.Next() {
					i++
					e := event(lane, eventsv2.Trigger, fmt.Sprintf("d%d", i*7919), queue.Info)
					e.Body = append(e.Body, make([]byte, 600)...)
					if _, err := s.Put(b.Context(), e); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// A search finds what is there and nothing else, whatever is in the text.
func TestSearch(t *testing.T) {
	s := openTest(t, Options{})
	lane := laneOf(t, s)
	texts := []string{`100 % of disk_1 is full`, `Grüße aus KÖLN`, `a\b`, "plain"}
	for i, text := range texts {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Rank(i%4))
		e.Body = []byte(text)
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"100 %": "0", "DISK_1": "0", "diskx1": "", "%": "0", "_": "0", "grüsse": "", "GRÜSSE": "", "grüße": "1", "köln": "1", `a\b`: "2", `\`: "2", "a": "3 2 1", "": "3 2 1 0",
	} {
		page, err := s.Events(t.Context(), queue.Filter{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, e := range page.Events {
			found = append(found, e.DedupKey)
		}
		if got := strings.Join(found, " "); got != want || page.Read != len(texts) || page.Next != 0 {
			t.Errorf("%q finds %q, want %q; %d rows were read, next %d", text, got, want, page.Read, page.Next)
		}
	}
}

// Pages follow each other without a gap or a repeat, also where a search stops for
// having read enough.
func TestPages(t *testing.T) {
	prove.NoRace(t)
	s := openTest(t, Options{})
	lane := laneOf(t, s)
	const rows = maxRead + 50
	err := s.submit(t.Context(), func(w *writer) error {
		for i := range rows {
			e := event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Info)
			if i < 30 {
				e.Severity = queue.Critical
			}
			if _, err := w.put(&e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	critical := queue.Critical
	f := queue.Filter{AtLeast: &critical, Limit: 20}
	var got []int64
	for pages := 1; ; pages++ {
		page, err := s.Events(t.Context(), f)
		if err != nil || pages > 5 {
			t.Fatal(pages, err)
		}
		for _, e := range page.Events {
			got = append(got, e.ID)
		}
		if f.Before = page.Next; f.Before == 0 {
			break
		}
	}
	for i, id := range got {
		if id != int64(30-i) {
			t.Fatalf("the pages have %v", got)
		}
	}
	if len(got) != 30 {
		t.Errorf("the pages have %d events, want 30", len(got))
	}
}

// An empty file beside a write-ahead log is no new queue like any other: somebody has emptied it.
func TestEmptiedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), event(laneOf(t, s), eventsv2.Trigger, "a", queue.Info))
	log, no := os.ReadFile(path + "-wal")
	if err := errors.Join(err, no, s.Close(), os.Truncate(path, 0), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} { // the second start has a queue as any other
		var met []Incident
		s, err := Open(t.Context(), Options{Path: path, Report: func(i Incident) { met = append(met, i) }})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		if len(met) != want || want > 0 && !strings.Contains(met[0].What, "empty") {
			t.Errorf("it reports %+v", met)
		}
	}
}
