package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// relay is one whose store answers or not.
type relay struct {
	mu      sync.Mutex
	lanes   []Lane // with their ages
	hangs   bool   // the store does not answer
	trouble string
}

func (r *relay) set(change func(*relay)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *relay) Look(ctx context.Context) ([]Lane, error) {
	r.mu.Lock()
	hangs, lanes := r.hangs, slices.Clone(r.lanes)
	r.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return lanes, nil
}

func (r *relay) Memory() []Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	lanes := slices.Clone(r.lanes)
	for i := range lanes {
		lanes[i].Oldest = time.Time{}
	}
	return lanes
}

func (r *relay) Trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// heard keeps what a way was told, with the time since the beginning.
type heard struct {
	began time.Time
	fails int // the first attempts
	hangs bool

	mu    sync.Mutex
	tries int
	said  []string
}

func (h *heard) Send(ctx context.Context, m Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries++
	if h.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if h.tries <= h.fails {
		return errors.New("nobody answers")
	}
	h.said = append(h.said, fmt.Sprintf("%s %s after %s", m.Status, m.Upstream, time.Since(h.began).Round(10*time.Second)))
	return nil
}

func (h *heard) want(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.said, want) {
		t.Errorf("it was told %q, want %q", h.said, want)
	}
}

// running starts a notifier, and returns what ends it.
func running(t *testing.T, r *relay, book string, log io.Writer, ways ...Way) (end func()) {
	t.Helper()
	n := New(Options{
		Source: r, Relay: "relay-1", Book: book, Log: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now,
		Hide: func(text string) string { return text },
	})
	n.Configure(3*time.Minute, ways)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
	return func() { cancel(); <-ended }
}

// hour lets an hour pass, and waits for whatever happens at its end.
func hour() {
	<-time.After(time.Hour)
	synctest.Wait()
}

// A store that does not answer at all is no reason not to call, nor is a way that hangs or
// one that fails at first, and the log says once what fails.
func TestWhateverHangs(t *testing.T) {
	book := filepath.Join(t.TempDir(), "queue.db.notify")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		good, late, never := &heard{began: began}, &heard{began: began, fails: 5}, &heard{began: began, hangs: true}
		r := &relay{hangs: true, lanes: []Lane{{Name: "db", Upstream: "https://a", Waiting: 2, Oldest: began}}}
		var log strings.Builder
		end := running(t, r, book, &log,
			Way{Name: "never", Timeout: 30 * time.Second, To: never}, Way{Name: "good", Timeout: time.Second, To: good}, Way{Name: "late", Timeout: time.Second, To: late})
		hour()
		good.want(t, "firing https://a after 3m20s")
		late.want(t, "firing https://a after 3m50s") // after 1, 2, 4, 8 and 16 s
		r.set(func(r *relay) { r.lanes = nil })
		hour()
		good.want(t, "firing https://a after 3m20s", "resolved https://a after 1h3m0s")
		end()
		if n := strings.Count(log.String(), "way=never"); n != 1 {
			t.Errorf("the log says %d times that a way hangs:\n%s", n, &log)
		}
		if never.tries < 10 || never.tries > 40 {
			t.Errorf("the way that hangs was tried %d times in 2 hours", never.tries)
		}
	})
}

// After a restart in the middle of an outage only those are told that were not, and when
// it is over all of them. A file that cannot be read or written costs a second call and
// never the first one.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		told, away := &heard{began: began}, &heard{began: began, fails: 1 << 30}
		r := &relay{lanes: []Lane{{Name: "db", Upstream: "https://a", Waiting: 1, Oldest: began}}}
		ways := []Way{{Name: "told", Timeout: time.Second, To: told}, {Name: "away", Timeout: time.Second, To: away}}
		book := filepath.Join(dir, "queue.db.notify")
		end := running(t, r, book, io.Discard, ways...)
		hour()
		end()
		away.fails = 0
		end = running(t, r, book, io.Discard, ways...)
		hour()
		told.want(t, "firing https://a after 3m10s")
		away.want(t, "firing https://a after 1h0m0s")
		r.set(func(r *relay) { r.lanes = nil })
		hour()
		end()
		told.want(t, "firing https://a after 3m10s", "resolved https://a after 2h3m0s")
		away.want(t, "firing https://a after 1h0m0s", "resolved https://a after 2h3m0s")
		if _, err := os.Stat(book); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is still there: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		told := &heard{began: began}
		r := &relay{lanes: []Lane{{Name: "db", Upstream: "https://a", Waiting: 1, Oldest: began}}}
		for range 2 { // the folder is missing
			end := running(t, r, filepath.Join(dir, "none", "queue.db.notify"), io.Discard, Way{Name: "told", Timeout: time.Second, To: told})
			hour()
			end()
		}
		told.want(t, "firing https://a after 3m10s", "firing https://a after 1h0m10s")
	})
}

// The queue's own trouble is told to everybody, that of an upstream to those who watch it.
func TestWatches(t *testing.T) {
	book := filepath.Join(t.TempDir(), "queue.db.notify")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a, b := &heard{began: began}, &heard{began: began}
		r := &relay{trouble: "the disk is full", lanes: []Lane{{Name: "db", Upstream: "https://a", Waiting: 1, Oldest: began}}}
		only := func(upstream string) func(string) bool {
			return func(other string) bool { return other == upstream }
		}
		end := running(t, r, book, io.Discard, Way{Name: "a", Timeout: time.Second, Watches: only("https://a"), To: a}, Way{Name: "b", Timeout: time.Second, Watches: only("https://b"), To: b})
		hour()
		end()
		a.want(t, "firing  after 20s", "firing https://a after 3m10s")
		b.want(t, "firing  after 20s")
	})
}
