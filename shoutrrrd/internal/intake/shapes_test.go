package intake

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// answerTo gives a body to the listener without a network.
func answerTo(ctx context.Context, d *Door, path string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body)))
	return w
}

func newDoor(store Store, onlyListed bool) *Door {
	return New(Options{
		Store: store, Now: time.Now, Log: slog.New(slog.DiscardHandler), OnlyListed: func() bool { return onlyListed },
		Route: func(key eventsv2.Key) Route { return Route{Name: key.Fingerprint()} },
	})
}

// The list of keys is looked at before the repair. What is refused with a reason of
// its own is refused with the same one all the same.
func TestUnlistedKeysGetTheAnswersOfOthers(t *testing.T) {
	for _, path := range []string{"/v2/enqueue", "/v2/change/enqueue"} {
		for _, s := range bodies.Shapes() {
			body := s.Body(4 << 10)
			store := &memory{}
			open := answerTo(t.Context(), newDoor(store, false), path, body)
			listed := answerTo(t.Context(), newDoor(store, true), path, body)
			want := open.Body.String()
			if open.Code == http.StatusAccepted {
				want = "Invalid routing key"
			}
			if listed.Code != http.StatusBadRequest || listed.Body.String() != want {
				t.Errorf("%s, %s: got %d %s, want 400 %s", path, s.Name, listed.Code, listed.Body, want)
			}
		}
	}
}

// Clients without a listed key cannot make the relay repair their events.
func TestUnlistedKeysCostNoRepair(t *testing.T) {
	d := newDoor(&memory{}, true)
	var many bytes.Buffer
	many.WriteString(`{"routing_key":"` + testKey + `","event_action":"trigger"`)
	for many.Len() < 1<<20 {
		many.WriteString(`,"unknown":{"a":[1,"\u0062",{"a":1,"a":2}]},"links":["x"]`)
	}
	many.WriteString("}")
	reader := bytes.NewReader(many.Bytes())
	r := httptest.NewRequest(http.MethodPost, "/v2/enqueue", nil)
	allocations := testing.AllocsPerRun(5, func() {
		reader.Reset(many.Bytes())
		r.Body = io.NopCloser(reader)
		d.ServeHTTP(httptest.NewRecorder(), r)
	})
	if allocations > 100 { // a repair of this makes more than 200,000
		t.Errorf("%.0f allocations for an event whose key is not listed", allocations)
	}
}

// A client that has gone does not wait for the repair of its large body any more.
// A small event is kept: its client may have closed only its half of the connection.
func TestWorkEndsWithTheClient(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	overloaded, end := context.WithCancelCause(t.Context())
	end(errOverloaded)
	large := trigger("a", "critical", `,"links":[`+strings.TrimSuffix(strings.Repeat("1,", 100_000), ",")+"]")
	for _, tt := range []struct {
		name         string
		ctx          context.Context
		body         string
		status, puts int
	}{
		{"a client that waits", t.Context(), large, 202, 1},
		{"a client that has gone", gone, large, 400, 0},
		{"a machine that is too slow", overloaded, large, 503, 0},
		{"a small event of a client that has gone", gone, trigger("a", "critical", ""), 202, 1},
	} {
		for _, onlyListed := range []bool{false, true} {
			store := &memory{}
			var result Result
			d := newDoor(store, onlyListed)
			d.o.Route = func(key eventsv2.Key) Route { return Route{Name: key.Fingerprint(), Listed: true} }
			d.o.Done = func(r Result) { result = r }
			w := answerTo(tt.ctx, d, "/v2/enqueue", []byte(tt.body))
			if w.Code != tt.status || result.Status != tt.status || len(store.puts) != tt.puts {
				t.Errorf("%s: got %d %s, %d events kept, told %+v", tt.name, w.Code, w.Body, len(store.puts), result)
			}
			if tt.status == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: the client does not know when to come again", tt.name)
			}
		}
	}
}

// Any body of 2 MiB gets an answer, and the store is asked once at most.
func TestLargestBodies(t *testing.T) {
	prove.NoRace(t)
	all := bodies.Shapes()
	step := len(all) / prove.Share(t, 4, 24, 24)
	for i, s := range all {
		if i%step != 0 { // the repair's own tests take the others
			continue
		}
		store := &memory{}
		w := answerTo(t.Context(), newDoor(store, false), "/v2/enqueue", s.Body(maxBody))
		switch {
		case w.Code == http.StatusAccepted && len(store.puts) == 1 && len(store.puts[0].Body) <= eventsv2.MaxEventBytes:
		case w.Code == http.StatusBadRequest && len(store.puts) == 0:
		default:
			t.Errorf("%s: got %d, %d events kept", s.Name, w.Code, len(store.puts))
		}
	}
}
