package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/google/go-cmp/cmp"
)

const testKey = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

func mustKey(t testing.TB, text string) eventsv2.Key {
	t.Helper()
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// openStore opens a queue of its own for the test.
func openStore(t testing.TB, most int) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), MaxQueued: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close the queue: %v", err)
		}
	})
	return store
}

// front is a front door over a socket, with all that it wrote.
type front struct {
	url     string
	door    *Door
	log     *syncBuffer
	mu      sync.Mutex
	results []Result
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newFront(t *testing.T, o Options) *front {
	t.Helper()
	f := &front{log: &syncBuffer{}}
	o.Log = slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Route == nil {
		o.Route = func(key eventsv2.Key) Route { return Route{Name: key.Fingerprint()} }
	}
	o.Done = func(r Result) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.results = append(f.results, r)
	}
	f.door = New(o)
	server := httptest.NewUnstartedServer(nil)
	s := door.New(server.Listener, door.Options{Handler: f.door, Log: o.Log})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	f.url = "http://" + s.Addr().String()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		keyleak.Check(t, testKey, keyleak.Text("the log", f.log.String()))
	})
	return f
}

func (f *front) last(t *testing.T) Result {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.results) == 0 {
		t.Fatal("nothing was told of the request")
	}
	return f.results[len(f.results)-1]
}

// got is an answer.
type got struct {
	status int
	header http.Header
	body   string
}

func (f *front) send(t *testing.T, method, path, contentType, body string) got {
	t.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var header bytes.Buffer
	if err := resp.Header.Write(&header); err != nil {
		t.Fatal(err)
	}
	keyleak.Check(t, testKey, keyleak.Text("the answer", string(text)), keyleak.Text("the header", header.String()))
	return got{resp.StatusCode, resp.Header, string(text)}
}

func (f *front) post(t *testing.T, body string) got {
	t.Helper()
	return f.send(t, http.MethodPost, "/v2/enqueue", "application/json", body)
}

// trigger makes a good event with further members.
func trigger(dedupKey, severity, more string) string {
	return fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{"summary":"disk full","source":"web-1","severity":%q}%s}`, testKey, dedupKey, severity, more)
}

const change = `{"routing_key":"` + testKey + `","payload":{"summary":"deployed","source":"ci"}}`

// What the door keeps is what PagerDuty will get, and the answer is PagerDuty's.
func TestKeeps(t *testing.T) {
	resolve := `{"routing_key":"` + testKey + `","event_action":"resolve","dedup_key":"r"}`
	tests := []struct {
		name, path, contentType, body string
		answer                        string
		want                          queue.Event
	}{
		{
			"a trigger", "/v2/enqueue", "application/json", trigger("a", "critical", ""), `{"status":"success","message":"Event processed","dedup_key":"a"}`,
			queue.Event{Action: eventsv2.Trigger, DedupKey: "a", Severity: queue.Critical},
		},
		{
			"no Content-Type", "/v2/enqueue", "", trigger("b", "info", ""), `{"status":"success","message":"Event processed","dedup_key":"b"}`,
			queue.Event{Action: eventsv2.Trigger, DedupKey: "b", Severity: queue.Info},
		},
		{
			"another Content-Type", "/v2/enqueue", "application/x-www-form-urlencoded", trigger("c", "warning", ""), `{"status":"success","message":"Event processed","dedup_key":"c"}`,
			queue.Event{Action: eventsv2.Trigger, DedupKey: "c", Severity: queue.Warning},
		},
		{
			"a resolve", "/v2/enqueue", "application/json", resolve, `{"status":"success","message":"Event processed","dedup_key":"r"}`,
			queue.Event{Action: eventsv2.Resolve, DedupKey: "r", Severity: queue.Error},
		},
		{
			"a dedup key with quotation marks", "/v2/enqueue", "application/json", trigger(`d"<>&`, "error", ""), `{"status":"success","message":"Event processed","dedup_key":"d\"<>&"}`,
			queue.Event{Action: eventsv2.Trigger, DedupKey: `d"<>&`, Severity: queue.Error},
		},
		{
			"a change event", "/v2/change/enqueue", "application/json", change, `{"status":"success","message":"Change event processed"}`,
			queue.Event{Kind: queue.Change, Severity: queue.Info},
		},
		{
			"a severity in capitals", "/v2/enqueue", "application/json", trigger("e", "CRITICAL", ""), `{"status":"success","message":"Event processed","dedup_key":"e"}`,
			queue.Event{Action: eventsv2.Trigger, DedupKey: "e", Severity: queue.Critical},
		},
	}
	store := openStore(t, 0)
	f := newFront(t, Options{Store: store})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := f.send(t, http.MethodPost, tt.path, tt.contentType, tt.body)
			if answer.status != http.StatusAccepted || answer.body != tt.answer || answer.header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d %s, want 202 %s", answer.status, answer.body, tt.answer)
			}
			page, err := store.Events(t.Context(), queue.Filter{Limit: 1})
			if err != nil || len(page.Events) != 1 {
				t.Fatalf("%d events, %v", len(page.Events), err)
			}
			kept, _, err := store.Event(t.Context(), page.Events[0].ID) // a list has no body
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if diff := cmp.Diff(want, queue.Event{Kind: kept.Kind, Action: kept.Action, DedupKey: kept.DedupKey, Severity: kept.Severity}); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			keyleak.Check(t, testKey, keyleak.Text("the kept body", string(kept.Body)))
			if strings.Contains(string(kept.Body), "routing_key") || !json.Valid(kept.Body) {
				t.Errorf("the kept body is %s", kept.Body)
			}
			result := f.last(t)
			if result.Status != http.StatusAccepted || result.Why != "" || result.Kind != tt.want.Kind || result.Repaired != (len(kept.Repairs) > 0) {
				t.Errorf("told %+v", result)
			}
		})
	}
}

// Lists read summary and source from columns of their own, which hold at most 1,024
// characters of the repaired event.
func TestColumnsForLists(t *testing.T) {
	store := openStore(t, 0)
	f := newFront(t, Options{Store: store})
	long := strings.Repeat("é", 3000)
	for path, body := range map[string]string{
		"/v2/enqueue":        `{"routing_key":"` + testKey + `","event_action":"trigger","payload":{"summary":"Disk full","source":"` + long + `","severity":"info"}}`,
		"/v2/change/enqueue": `{"routing_key":"` + testKey + `","payload":{"summary":"Disk full","source":"` + long + `"}}`,
	} {
		if answer := f.send(t, http.MethodPost, path, "application/json", body); answer.status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", path, answer.status, answer.body)
		}
		page, err := store.Events(t.Context(), queue.Filter{Limit: 1})
		if err != nil || len(page.Events) != 1 {
			t.Fatalf("%d events, %v", len(page.Events), err)
		}
		if e := page.Events[0]; e.Summary != "Disk full" || e.Source != strings.Repeat("é", 1024) || e.Body != nil {
			t.Errorf("%s: listed with the summary %q, %d bytes of source and %d of body", path, e.Summary, len(e.Source), len(e.Body))
		}
	}
}

// What cannot be meant gets the very bytes that PagerDuty would answer.
func TestAnswersAsPagerDuty(t *testing.T) {
	upstream := httptest.NewServer(pagerdutytest.New(pagerdutytest.Options{}))
	defer upstream.Close()
	f := newFront(t, Options{Store: openStore(t, 0)})
	key := `"routing_key":"` + testKey + `"`
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/v2/enqueue", ""},
		{"POST", "/v2/enqueue", "{"},
		{"POST", "/v2/enqueue", "[]"},
		{"POST", "/v2/enqueue", "null"},
		{"POST", "/v2/enqueue", `{"routing_key":"","event_action":"trigger","payload":{"summary":"a","source":"b","severity":"info"}}`},
		{"POST", "/v2/enqueue", `{"event_action":"trigger","payload":{"summary":"a","source":"b","severity":"info"}}`},
		{"POST", "/v2/enqueue", `{"routing_key":"abc","event_action":"trigger","payload":{"summary":"a","source":"b","severity":"info"}}`},
		{"POST", "/v2/enqueue", `{` + key + `,"payload":{"summary":"a","source":"b","severity":"info"}}`},
		{"POST", "/v2/enqueue", `{` + key + `,"event_action":"","payload":{"summary":"a","source":"b","severity":"info"}}`},
		{"POST", "/v2/change/enqueue", "{"},
		{"POST", "/v2/change/enqueue", ""},
		{"POST", "/v2/other", "{}"},
		{"POST", "/", "{}"},
		{"GET", "/v2/enqueue", ""},
		{"PUT", "/v2/enqueue", "{}"},
		{"DELETE", "/v2/change/enqueue", ""},
	} {
		t.Run(tt.method+tt.path+tt.body, func(t *testing.T) {
			here := f.send(t, tt.method, tt.path, "application/json", tt.body)
			there := (&front{url: upstream.URL}).send(t, tt.method, tt.path, "application/json", tt.body)
			if here.status != there.status || here.body != there.body {
				t.Errorf("got  %d %s\nwant %d %s", here.status, here.body, there.status, there.body)
			}
			for _, name := range []string{"Content-Type", "Allow"} {
				if here.header.Get(name) != there.header.Get(name) {
					t.Errorf("%s: got %q, want %q", name, here.header.Get(name), there.header.Get(name))
				}
			}
		})
	}
}

// A trigger without a dedup key gets one of its own, as PagerDuty gives it.
func TestMakesDedupKeys(t *testing.T) {
	f := newFront(t, Options{Store: openStore(t, 0)})
	seen := map[string]bool{}
	for range 20 {
		var answer struct {
			DedupKey string `json:"dedup_key"`
		}
		a := f.post(t, trigger("", "info", ""))
		if err := json.Unmarshal([]byte(a.body), &answer); err != nil || len(answer.DedupKey) != 32 || seen[answer.DedupKey] {
			t.Fatalf("got %d %s, want a dedup key that nobody has had", a.status, a.body)
		}
		seen[answer.DedupKey] = true
	}
}

func TestSizes(t *testing.T) {
	f := newFront(t, Options{Store: openStore(t, 0)})
	details := func(n int) string {
		return `{"routing_key":"` + testKey + `","event_action":"trigger","dedup_key":"big","payload":{"summary":"a","source":"b","severity":"error","custom_details":{"log":"` +
			strings.Repeat("x", n) + `"}}}`
	}
	tests := []struct {
		name, path, body string
		status           int
		repaired         bool
	}{
		{"as much as PagerDuty takes", "/v2/enqueue", details(500_000), 202, false},
		{"more, which is cut", "/v2/enqueue", details(600_000), 202, true},
		{"just below the bound", "/v2/enqueue", details(2<<20 - 500), 202, true},
		{"beyond the bound", "/v2/enqueue", details(2 << 20), 400, false},
		{"far beyond the bound", "/v2/enqueue", details(10 << 20), 400, false},
		{"a change event beyond the bound", "/v2/change/enqueue", details(3 << 20), 400, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := f.send(t, "POST", tt.path, "application/json", tt.body)
			if answer.status != tt.status || f.last(t).Repaired != tt.repaired {
				t.Errorf("got %d %.200s, want %d", answer.status, answer.body, tt.status)
			}
			if tt.status == 400 && !strings.Contains(answer.body, "Event is too large (maximum is 512000 bytes)") {
				t.Errorf("got %s", answer.body)
			}
			if wrapped := strings.HasPrefix(answer.body, `{"error":[`); tt.status == 400 && wrapped != (tt.path == "/v2/change/enqueue") {
				t.Errorf("the shape of %s is the other one", answer.body)
			}
		})
	}
}
