package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

const (
	dbKey    = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	otherKey = "Zz9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k"
)

func mustKey(t testing.TB, text string) eventsv2.Key {
	t.Helper()
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// scheduler is a relay that only says what it is told to say, and holds lanes in
// the store as the relay does.
type scheduler struct {
	store    *sqlite.Store
	mu       sync.Mutex
	statuses []lane.Status
}

func (s *scheduler) Reroute(...int64) {}

func (s *scheduler) Statuses() []lane.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses
}

func (s *scheduler) Hold(ctx context.Context, id int64, by queue.By) error {
	return s.store.Hold(ctx, id, by)
}

func (s *scheduler) Unhold(ctx context.Context, id int64, by queue.By) error {
	return s.store.Unhold(ctx, id, by)
}

func (s *scheduler) Try(ctx context.Context, id int64, by queue.By) error {
	_, err := s.store.TryLane(ctx, id, by)
	return err
}

func (s *scheduler) TryEvent(ctx context.Context, id int64, by queue.By) error {
	_, err := s.store.TryEvent(ctx, id, by)
	return err
}

// bench is a second door over a socket, with a queue behind it and all that was
// written.
type bench struct {
	saying    sync.Mutex // of said
	t         testing.TB
	url       string
	door      *Door
	store     *sqlite.Store
	scheduler *scheduler
	upstreams []lane.Upstream
	meter     *Meter
	log       bytes.Buffer
	logging   sync.Mutex
	mu        sync.Mutex
	now       time.Time
	said      []keyleak.Sink
}

func (b *bench) Write(p []byte) (int, error) {
	b.logging.Lock()
	defer b.logging.Unlock()
	return b.log.Write(p)
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// parts are what a door is made of.
type parts struct {
	Options
	told insight.Options
}

// newBench serves a door whose parts may be changed first.
func newBench(t testing.TB, change func(*parts)) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)}
	secrets := &redact.Set{}
	var err error
	b.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: b.clock, OnLane: func(key eventsv2.Key) { secrets.Add(key) }})
	if err != nil {
		t.Fatal(err)
	}
	b.scheduler = &scheduler{store: b.store}
	b.meter = NewMeter("1.2.3")
	p := parts{
		Options: Options{
			Store: b.store, Meter: b.meter, Now: b.clock, Version: "1.2.3",
			Log: slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})),
		},
		told: insight.Options{
			Store: b.store, Statuses: b.scheduler.Statuses, Status: func(int64) (lane.Status, bool) { return lane.Status{}, false },
			Prospect: func(queue.Lane) lane.Status { return lane.Status{Free: 100, Most: 8} }, Upstreams: func() []lane.Upstream { return b.upstreams },
			Accepting: b.store.Healthy, Now: b.clock, Started: b.now.Add(-time.Hour), Version: "1.2.3",
			Hide: secrets.Hide,
			Describe: func(key eventsv2.Key) insight.Named {
				if key.Reveal() == dbKey {
					return insight.Named{Name: "db", Pool: "dbs", Upstream: "https://events.pagerduty.com"}
				}
				return insight.Named{Name: key.Fingerprint(), Upstream: "https://events.pagerduty.com"}
			},
		},
	}
	p.told.Config = func() insight.Loaded { return insight.Loaded{At: p.told.Started} }
	if change != nil {
		change(&p)
	}
	o := p.Options
	o.Insight, o.Accepting = insight.New(p.told), p.told.Accepting
	o.Ops = &ops.Ops{
		Store: b.store, Holder: b.scheduler, Pools: func([]queue.Lane) [][]int64 { return nil }, Heirs: func([]queue.Lane) map[int64]int64 { return nil }, Name: func(id int64) string { return fmt.Sprint("lane ", id) },
		Alias: func(context.Context, string) (queue.Lane, error) { return queue.Lane{}, queue.ErrNotFound }, Log: o.Log, Changed: o.Insight.Changed,
	}
	loaded := p.told.Config()
	b.meter.Reloaded(loaded.At, loaded.Err)
	if b.door, err = New(o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := door.New(l, door.Options{Handler: b.door, Log: o.Log})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve() }()
	b.url = "http://" + l.Addr().String()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-ended, b.store.Close()); err != nil {
			t.Errorf("the end: %v", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said = append(b.said, keyleak.Text("the log", b.log.String()))
		keyleak.Check(t, dbKey, b.said...)
		keyleak.Check(t, otherKey, b.said...)
	})
	return b
}

// put keeps an event.
func (b *bench) put(key, dedup string, severity queue.Rank, body string) int64 {
	b.t.Helper()
	ctx := context.Background()
	l, err := b.store.Lane(ctx, mustKey(b.t, key))
	if err != nil {
		b.t.Fatal(err)
	}
	var listed struct {
		Action  string `json:"event_action"`
		Payload struct{ Summary, Source string }
	}
	_ = json.Unmarshal([]byte(body), &listed) // a body that is none has neither
	placed, err := b.store.Put(ctx, queue.New{
		Lane: l.ID, Action: eventsv2.Action(cmp.Or(listed.Action, "trigger")), DedupKey: dedup, Severity: severity, Accepted: b.clock(), Body: []byte(body),
		Repairs: []string{`severity "CRIT" became critical`}, Summary: listed.Payload.Summary, Source: listed.Payload.Source,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return placed.ID
}

// settle claims the next event of a lane and ends the attempt.
func (b *bench) settle(laneID int64, x queue.Settlement) queue.Event {
	b.t.Helper()
	e := b.claim(laneID)
	x.ID, x.Claim, x.At, x.Tried = e.ID, e.Claim, b.clock(), true
	if err := queuetest.Settle(context.Background(), b.store, x); err != nil {
		b.t.Fatal(err)
	}
	return e
}

func (b *bench) claim(laneID int64) queue.Event {
	b.t.Helper()
	events, err := queuetest.Claim(context.Background(), b.store, laneID, queue.Oldest, 1)
	if err != nil || len(events) != 1 {
		b.t.Fatalf("claimed %d events, %v", len(events), err)
	}
	return events[0]
}

// call is a request; got its answer.
type call struct {
	method, path, body string
	header             map[string]string
	host               string
}

type got struct {
	status int
	header http.Header
	body   string
}

func (b *bench) do(c call) got {
	b.t.Helper()
	req, err := http.NewRequest(c.method, b.url+c.path, strings.NewReader(c.body))
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	if c.host != "" {
		req.Host = c.host
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var header bytes.Buffer
	if err := resp.Header.Write(&header); err != nil {
		b.t.Fatal(err)
	}
	b.saying.Lock()
	defer b.saying.Unlock()
	b.said = append(b.said, keyleak.Text(c.path, string(body)), keyleak.Text("the header of "+c.path, header.String()))
	return got{resp.StatusCode, resp.Header, string(body)}
}

func (b *bench) get(path string) got { b.t.Helper(); return b.do(call{method: "GET", path: path}) }

func (b *bench) post(path, body string) got {
	b.t.Helper()
	return b.do(call{method: "POST", path: path, body: body})
}

// read decodes an answer that has to be a 200.
func (b *bench) read(g got, into any) {
	b.t.Helper()
	if g.status != http.StatusOK || g.header.Get("Content-Type") != "application/json" {
		b.t.Fatalf("got %d %s", g.status, g.body)
	}
	if err := json.Unmarshal([]byte(g.body), into); err != nil {
		b.t.Fatalf("%v: %s", err, g.body)
	}
}

func body(summary string) string {
	return fmt.Sprintf(`{"event_action":"trigger","payload":{"summary":%q,"source":"web-1","severity":"critical"}}`, summary)
}

// sameJSON compares an answer with the JSON that the contract shows, whatever the
// order of members.
func sameJSON(t *testing.T, answer, want string) {
	t.Helper()
	var a, w bytes.Buffer
	for _, x := range []struct {
		text string
		into *bytes.Buffer
	}{{answer, &a}, {want, &w}} {
		var value any
		if err := json.Unmarshal([]byte(x.text), &value); err != nil {
			t.Fatalf("%v: %s", err, x.text)
		}
		encoder := json.NewEncoder(x.into)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	if a.String() != w.String() {
		t.Errorf("got\n%s\nwant\n%s", a.String(), w.String())
	}
}
