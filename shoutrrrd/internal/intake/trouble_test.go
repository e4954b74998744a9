package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// failing is a store that fails.
type failing struct {
	Store
	laneErr, putErr error
	puts            int
}

func (s *failing) Lane(ctx context.Context, key eventsv2.Key) (queue.Lane, error) {
	if s.laneErr != nil {
		return queue.Lane{}, s.laneErr
	}
	return s.Store.Lane(ctx, key)
}

func (s *failing) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	s.puts++
	if s.putErr != nil {
		return queue.Placed{}, s.putErr
	}
	return s.Store.Put(ctx, e)
}

// Whatever ails the queue, the answer is a 503 that says so and when to come again.
func TestTurnsAway(t *testing.T) {
	disk := fmt.Errorf("%w: write /var/lib/queue.db-wal: no space left on device", queue.ErrUnavailable)
	tests := []struct {
		name            string
		laneErr, putErr error
		why, message    string
	}{
		{"full", nil, fmt.Errorf("%w: 2000000 events", queue.ErrFull), "full", "the relay's queue is full"},
		{"full disk", nil, fmt.Errorf("%w: 900 MB", queue.ErrDiskFull), "full", "the relay cannot keep events now: the disk of its queue is full"},
		{"no space", nil, disk, "unavailable", "the relay cannot keep events now: the queue cannot be written"},
		{"no space for a lane", disk, nil, "unavailable", "the relay cannot keep events now: the queue cannot be written"},
		{"broken", nil, fmt.Errorf("%w: fsync: input/output error", queue.ErrBroken), "unavailable", "the relay cannot keep events: the queue cannot be trusted any more"},
		{"something else", nil, errors.New("constraint failed: secret detail"), "unavailable", "the relay cannot keep events now: internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := &failing{Store: openStore(t, 0), laneErr: tt.laneErr, putErr: tt.putErr}
			began := time.Now()
			var passed atomic.Int64
			f := newFront(t, Options{Store: store, Now: func() time.Time { return began.Add(time.Duration(passed.Load())) }})
			answer := f.post(t, trigger("a", "error", ""))
			want := `{"status":"unavailable","message":"` + tt.message + `"}`
			if answer.status != http.StatusServiceUnavailable || answer.body != want || answer.header.Get("Retry-After") != "5" {
				t.Errorf("got %d %s, Retry-After %q, want 503 %s", answer.status, answer.body, answer.header.Get("Retry-After"), want)
			}
			if result := f.last(t); result.Why != tt.why || result.Status != http.StatusServiceUnavailable {
				t.Errorf("told %+v", result)
			}
			store.laneErr, store.putErr = nil, nil
			passed.Store(int64(tellEvery))
			if answer := f.post(t, trigger("a", "error", "")); answer.status != http.StatusAccepted {
				t.Errorf("afterwards: %d %s", answer.status, answer.body)
			}
			if log := f.log.String(); strings.Count(log, "events are turned away") != 1 || strings.Count(log, "events are kept again") != 1 {
				t.Errorf("the log tells:\n%s", log)
			}
		})
	}
}

// The real queue, full.
func TestFullQueue(t *testing.T) {
	f := newFront(t, Options{Store: openStore(t, 10)})
	for i := range 10 {
		if answer := f.post(t, trigger(fmt.Sprint(i), "critical", "")); answer.status != http.StatusAccepted {
			t.Fatalf("event %d: %d %s", i, answer.status, answer.body)
		}
	}
	if answer := f.post(t, trigger("one more", "critical", "")); answer.status != http.StatusServiceUnavailable || f.last(t).Why != "full" {
		t.Errorf("one more: %d %s", answer.status, answer.body)
	}
}

// Of a thousand events that are turned away the log does not tell a thousand times.
func TestTroubleIsToldInSummary(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var trouble trouble
	for range 1000 {
		trouble.tell(logger, now, "db", queue.ErrFull)
		now = now.Add(30 * time.Millisecond) // 30 s in all
	}
	now = now.Add(tellEvery)
	trouble.over(logger, now)
	trouble.over(logger, now)
	text := log.String()
	if n := strings.Count(text, "events are turned away"); n != 3 {
		t.Errorf("told %d times, want 3 times in 30 s:\n%s", n, text)
	}
	if !strings.Contains(text, "events=334") || strings.Count(text, "turned_away=1000") != 1 {
		t.Errorf("the numbers are missing:\n%s", text)
	}
}

// Strangers are turned away for hours while the events of others are kept: that is one
// trouble, of which the log does not tell with each event.
func TestTroubleOfSome(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var trouble trouble
	for range 1000 {
		trouble.tell(logger, now, "stranger", queue.ErrFull)
		now = now.Add(30 * time.Millisecond) // 30 s in all
		trouble.over(logger, now)
	}
	trouble.over(logger, now.Add(tellEvery))
	text := log.String()
	if n := strings.Count(text, "\n"); n != 4 || strings.Count(text, "turned_away=1000") != 1 {
		t.Errorf("%d lines in 30 s, want 3 and one for the end:\n%.2000s", n, text)
	}
}

// blocking lets a Put wait.
type blocking struct {
	Store
	began, release chan struct{}
}

func (s *blocking) Put(ctx context.Context, e queue.New) (queue.Placed, error) {
	close(s.began)
	<-s.release
	if err := ctx.Err(); err != nil { // the client has left
		return queue.Placed{}, err
	}
	return s.Store.Put(ctx, e)
}

// 202 is said after the commit; and a client that leaves meanwhile has its event
// kept all the same.
func TestAnswersAfterTheCommit(t *testing.T) {
	store := &blocking{Store: openStore(t, 0), began: make(chan struct{}), release: make(chan struct{})}
	d := New(Options{
		Store: store, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Route: func(eventsv2.Key) Route { return Route{Name: "db"} },
	})
	ctx, leave := context.WithCancel(t.Context())
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v2/enqueue", strings.NewReader(trigger("a", "error", ""))))
	}()
	<-store.began
	if w.Flushed || w.Body.Len() > 0 {
		t.Fatalf("answered before the commit: %s", w.Body)
	}
	leave()
	close(store.release)
	<-done
	if w.Code != http.StatusAccepted {
		t.Errorf("got %d %s, want 202", w.Code, w.Body)
	}
}

func TestStops(t *testing.T) {
	store := &failing{Store: openStore(t, 0)}
	f := newFront(t, Options{Store: store})
	f.door.Stop()
	answer := f.post(t, trigger("a", "critical", ""))
	if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" || f.last(t).Why != "stopping" || store.puts > 0 {
		t.Errorf("got %d %s, %d puts", answer.status, answer.body, store.puts)
	}
}

func TestOnlyListed(t *testing.T) {
	listed := mustKey(t, strings.Repeat("ab", 16))
	f := newFront(t, Options{
		Store:      openStore(t, 0),
		OnlyListed: func() bool { return true },
		Route:      func(key eventsv2.Key) Route { return Route{Name: "db", Listed: key.Equal(listed)} },
	})
	answer := f.post(t, trigger("a", "critical", ""))
	if answer.status != http.StatusBadRequest || answer.body != "Invalid routing key" || f.last(t).Why != "key" {
		t.Errorf("a strange key: %d %s", answer.status, answer.body)
	}
	answer = f.post(t, strings.ReplaceAll(trigger("a", "critical", ""), testKey, listed.Reveal()))
	if answer.status != http.StatusAccepted {
		t.Errorf("a listed key: %d %s", answer.status, answer.body)
	}
}

// A body that does not come whole is never accepted. One that came too late may
// come again, which a 400 would forbid.
func TestBrokenBodies(t *testing.T) {
	store := &failing{Store: openStore(t, 0)}
	for _, tt := range []struct {
		err    error
		status int
	}{
		{io.ErrUnexpectedEOF, 400},
		{errors.New("malformed chunked encoding"), 400},
		{os.ErrDeadlineExceeded, 408},
	} {
		for _, path := range []string{"/v2/enqueue", "/v2/change/enqueue"} {
			var result Result
			d := New(Options{Store: store, Now: time.Now, Log: slog.New(slog.DiscardHandler), Done: func(r Result) { result = r }})
			body := io.MultiReader(strings.NewReader(trigger("a", "error", "")), iotest.ErrReader(tt.err))
			w := httptest.NewRecorder()
			d.ServeHTTP(w, httptest.NewRequest("POST", path, body))
			if w.Code != tt.status || w.Header().Get("Connection") != "close" || result.Why != "body" || result.Status != tt.status || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%v: got %d %s, told %+v", tt.err, w.Code, w.Body, result)
			}
		}
	}
	if store.puts > 0 {
		t.Errorf("%d events were kept", store.puts)
	}
}
