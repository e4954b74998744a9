package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// memory is a healthy store that remembers what it was given.
type memory struct {
	keys []eventsv2.Key
	puts []queue.New
}

func (m *memory) Lane(_ context.Context, key eventsv2.Key) (queue.Lane, error) {
	m.keys = append(m.keys, key)
	return queue.Lane{ID: int64(len(m.keys)), Key: key}, nil
}

func (m *memory) Put(_ context.Context, e queue.New) (queue.Placed, error) {
	m.puts = append(m.puts, e)
	return queue.Placed{ID: int64(len(m.puts)), Lane: e.Lane}, nil
}

// Whatever bytes come: a 202 has exactly one Put behind it and anything else none,
// a healthy store never makes a 5xx, and what is kept can be sent.
func FuzzDoor(f *testing.F) {
	prove.NoRace(f)
	// The race detector takes half a minute for the corpus with the largest bodies.
	largest := prove.Share(f, eventsv2.MaxEventBytes/8, eventsv2.MaxEventBytes*5/4, eventsv2.MaxEventBytes*5/4)
	for _, seed := range []string{
		trigger("a", "critical", ""), trigger("", "CRIT", `,"links":[{"text":"x"}],"client_url":"::"`), change, "", "{", "[]", `{"routing_key":1}`,
		`{"routing_key":"` + testKey + `","event_action":"resolve"}`,
		`{"routing_key":"` + testKey + `","event_action":"trigger","payload":"` + testKey + `"}`,
		`{"routing_key":"` + testKey + `","event_action":"acknowledge","dedup_key":"` + testKey + `"}`,
		`{"routing_key":"` + testKey + `","event_action":"acknowledge","dedup_key":"` + testKey[24:] + `"}`,
	} {
		f.Add([]byte(seed), uint16(0), uint16(0), uint16(0), false)
		f.Add([]byte(seed), uint16(0), uint16(0), uint16(0), true)
	}
	for i, s := range bodies.Shapes() {
		if i%8 == 3 {
			body, from, to, times := s.Seed(largest / 5)
			f.Add(body, from, to, times, i%16 == 3)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, from, to, times uint16, isChange bool) {
		body = bodies.Grow(body, from, to, times, largest)
		store := &memory{}
		var log bytes.Buffer
		d := New(Options{
			Store: store, Now: time.Now, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Route: func(key eventsv2.Key) Route { return Route{Name: key.Fingerprint()} },
		})
		path := "/v2/enqueue"
		if isChange {
			path = "/v2/change/enqueue"
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest("POST", path, bytes.NewReader(body)))
		switch {
		case w.Code == http.StatusAccepted && len(store.puts) == 1:
			kept(t, store, isChange, w.Body.Bytes(), log.String())
		case w.Code == http.StatusBadRequest && len(store.puts) == 0:
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("the answer is no JSON: %s", w.Body)
			}
		default:
			t.Fatalf("status %d with %d puts", w.Code, len(store.puts))
		}
	})
}

// kept checks what was put, and that the key is nowhere but in its lane.
func kept(t *testing.T, store *memory, isChange bool, answer []byte, log string) {
	t.Helper()
	e, key := store.puts[0], store.keys[0]
	if len(e.Body) > eventsv2.MaxEventBytes || !json.Valid(e.Body) {
		t.Fatalf("%d bytes are kept, valid JSON: %v", len(e.Body), json.Valid(e.Body))
	}
	keyleak.Check(t, key.Reveal(), keyleak.Text("the log", log))
	// The answer repeats the dedup key, in which a client may have put what looks
	// like a piece of its key; the whole key it may not.
	if strings.Contains(strings.ToLower(string(answer)), strings.ToLower(key.Reveal())) {
		t.Fatal("the answer holds the integration key")
	}
	if isChange {
		return
	}
	var told struct {
		DedupKey string `json:"dedup_key"`
	}
	if err := json.Unmarshal(answer, &told); err != nil || told.DedupKey != e.DedupKey {
		t.Fatalf("the answer %s does not tell the dedup key %q: %v", answer, e.DedupKey, err)
	}
	event, err := eventsv2.ParseEvent(e.Body)
	if err != nil {
		t.Fatalf("what is kept cannot be read: %v", err)
	}
	event.RoutingKey = key
	if err := event.Validate(); err != nil {
		t.Fatalf("what is kept is not valid: %v", err)
	}
	if event.DedupKey != e.DedupKey || event.Action != e.Action {
		t.Fatalf("kept as %s %q, the body says %s %q", e.Action, e.DedupKey, event.Action, event.DedupKey)
	}
}

func BenchmarkDoor(b *testing.B) {
	store := &memory{}
	d := New(Options{Store: store, Now: time.Now, Log: slog.New(slog.DiscardHandler), Route: func(eventsv2.Key) Route { return Route{Name: "db"} }})
	body := []byte(trigger("web-1/disk", "error", `,"client":"monitor","client_url":"https://monitor.example/alerts/1","links":[{"href":"https://wiki.example/disk","text":"runbook"}]`))
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		store.keys, store.puts = store.keys[:0], store.puts[:0]
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest("POST", "/v2/enqueue", bytes.NewReader(body)))
		if w.Code != http.StatusAccepted {
			b.Fatal(w.Code)
		}
	}
}
