package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
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
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/trend"
)

const dbKey = "eb243592faa24ba2a5511afdf565c889"

// site is a console on a real queue, with a clock that is set.
type site struct {
	t        *testing.T
	now      time.Time
	store    *sqlite.Store
	trend    *trend.Trend
	statuses []lane.Status
	auth     *door.Authenticator
	console  *Console
	who      *door.Identity // nil for a relay without tokens
	log      bytes.Buffer
	said     []keyleak.Sink
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOn(t, func(store *sqlite.Store) insight.Store { return store })
}

// newSiteOn lets the pages see another queue than there is.
func newSiteOn(t *testing.T, seen func(*sqlite.Store) insight.Store) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC), trend: trend.New(), auth: door.NewAuthenticator()}
	clock := func() time.Time { return s.now }
	secrets := &redact.Set{}
	var err error
	if s.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), Now: clock, OnLane: func(key eventsv2.Key) { secrets.Add(key) }}); err != nil {
		t.Fatal(err)
	}
	told := insight.New(insight.Options{
		Store: seen(s.store), Statuses: func() []lane.Status { return s.statuses }, Status: func(int64) (lane.Status, bool) { return lane.Status{}, false },
		Prospect: func(queue.Lane) lane.Status { return lane.Status{Free: 100, Most: 8} }, Upstreams: func() []lane.Upstream { return nil },
		Accepting: s.store.Healthy, Now: clock, Started: s.now, Version: "1.2.3",
		Hide:   secrets.Hide,
		Config: func() insight.Loaded { return insight.Loaded{At: s.now} },
		Describe: func(eventsv2.Key) insight.Named {
			return insight.Named{Name: "db", Upstream: "https://events.pagerduty.com"}
		},
	})
	log := slog.New(slog.NewJSONHandler(&s.log, nil))
	s.console = New(Options{
		Insight: told, Trend: s.trend, Store: s.store, Sessions: door.NewSessions(s.auth, clock),
		Front: &net.TCPAddr{IP: net.IPv4zero, Port: 8686}, Log: log, Now: clock, Date: func(at time.Time) time.Time { return at },
		Ops: &ops.Ops{
			Store: s.store, Holder: holder{s.store}, Pools: func([]queue.Lane) [][]int64 { return nil }, Heirs: func([]queue.Lane) map[int64]int64 { return nil }, Name: func(id int64) string { return fmt.Sprint("lane ", id) },
			Alias: func(context.Context, string) (queue.Lane, error) { return queue.Lane{}, queue.ErrNotFound }, Log: log, Changed: told.Changed,
		},
	})
	t.Cleanup(func() {
		s.console.Stop()
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
		keyleak.Check(t, dbKey, append(s.said, keyleak.Text("the log", s.log.String()))...)
	})
	return s
}

type holder struct{ *sqlite.Store }

func (h holder) Reroute(...int64) {}

func (h holder) Try(ctx context.Context, id int64, by queue.By) error {
	_, err := h.TryLane(ctx, id, by)
	return err
}

func (h holder) TryEvent(ctx context.Context, id int64, by queue.By) error {
	_, err := h.Store.TryEvent(ctx, id, by)
	return err
}

// put keeps an event of the lane db.
func (s *site) put(dedup string, severity queue.Rank, summary string) queue.Placed {
	s.t.Helper()
	key, err := eventsv2.ParseKey(dbKey)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := s.store.Lane(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	placed, err := s.store.Put(s.t.Context(), queue.New{
		Lane: l.ID, Action: eventsv2.Trigger, DedupKey: dedup, Severity: severity, Accepted: s.now, Summary: summary, Source: "db-1",
		Body: fmt.Appendf(nil, `{"payload":{"summary":%q,"source":"db-1"}}`, summary),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return placed
}

// end settles the most urgent event.
func (s *site) end(state queue.State, reason string) {
	s.t.Helper()
	events, err := queuetest.Claim(s.t.Context(), s.store, 1, queue.Oldest, 1)
	if err != nil || len(events) != 1 {
		s.t.Fatal(events, err)
	}
	err = queuetest.Settle(s.t.Context(), s.store, queue.Settlement{ID: events[0].ID, Claim: events[0].Claim, State: state, At: s.now, Status: 400, Reason: reason, Tried: true, Attempts: 1})
	if err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request and gives the answer's status and body.
func (s *site) ask(method, target string, form url.Values) (int, string) {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.who != nil {
		r = r.WithContext(door.WithIdentity(r.Context(), *s.who))
	}
	w := httptest.NewRecorder()
	s.console.ServeHTTP(w, r)
	body := w.Body.String()
	if to := w.Header().Get("Location"); to != "" {
		body = to
	}
	s.said = append(s.said, keyleak.Text(target, body))
	return w.Code, body
}

func (s *site) get(target string) string {
	s.t.Helper()
	status, body := s.ask(http.MethodGet, target, nil)
	if status != http.StatusOK {
		s.t.Errorf("%s: %d %s", target, status, body)
	}
	return body
}

func (s *site) history(id int64) string {
	s.t.Helper()
	_, entries, err := s.store.Event(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.What, " ", e.Who, " ", e.Text)))
	}
	return strings.Join(lines, "\n")
}

// The title and the icon say what a tab in the background has to say.
func TestTitleAndAlarm(t *testing.T) {
	s := newSite(t)
	s.put("a", queue.Critical, "disk full")
	s.statuses = []lane.Status{{Lane: 1, Condition: lane.AtLimit, Limit: 300, Learned: 300, Free: 100, Most: 8, Upstream: lane.Upstream{Record: lane.Record{Accepted: s.now}}}}
	for _, step := range []struct {
		later time.Duration
		alarm bool
		title string
	}{
		{0, false, "Pages leave at once"},
		{10 * time.Second, false, "A page accepted now would arrive within 1 s"},
		{time.Second, true, "A page accepted now would arrive within 1 s"},
		{time.Minute, true, "1 critical page waits, the oldest for 71 s; a page accepted now would arrive within 1 s"},
	} {
		s.now = s.now.Add(step.later)
		page := s.get("/")
		if !strings.Contains(page, "<title>"+step.title+" · overview · shoutrrrd</title>") {
			t.Errorf("the title: %.300s", page)
		}
		if got := strings.Contains(page, `href="/static/icon-alarm.svg"`); got != step.alarm {
			t.Errorf("after %v more the icon is red: %v", step.later, got)
		}
	}
}

// Each condition of a lane in the words of whoever is on call.
func TestConditions(t *testing.T) {
	until := time.Date(2026, 3, 4, 14, 3, 32, 0, time.UTC)
	const rejects = "PagerDuty rejects the key of db"
	for _, tt := range []struct {
		status lane.Status
		want   string
	}{
		{lane.Status{Condition: lane.Delivering}, ">delivering<"},
		{lane.Status{Condition: lane.Unreachable, Until: until}, "upstream unreachable, next attempt in <time datetime=\"2026-03-04T14:03:32.000Z\" title=\"2026-03-04 14:03:32.000 UTC\" data-until>12 s</time>"},
		{lane.Status{Condition: lane.Throttled, Until: until}, "rate limited until <time datetime=\"2026-03-04T14:03:32.000Z\" title=\"2026-03-04 14:03:32.000 UTC\" data-at>14:03:32 UTC</time>"},
		{lane.Status{Condition: lane.AtLimit, Until: until}, "at its limit, next one in"},
		{lane.Status{Condition: lane.KeyRejected, KeyRefused: true, Until: until}, "key rejected: " + rejects + ", next attempt in <time datetime=\"2026-03-04T14:03:32.000Z\""},
		{lane.Status{Condition: lane.KeyRejected, KeyRefused: true}, ">key rejected: " + rejects + "</span>"},
		{lane.Status{Condition: lane.KeyRejected, KeyRefused: true, Sister: &lane.Status{Lane: 2}}, ">key rejected: " + rejects + "; new incidents leave by another key of the pool, what belongs to those that this key has opened waits</span>"},
		{lane.Status{Condition: lane.Unreachable}, ">upstream unreachable</span>"},
		{lane.Status{Condition: lane.Throttled}, ">rate limited</span>"},
		{lane.Status{Condition: lane.Delivering, KeyRefused: true}, "PagerDuty rejects the key"},
	} {
		s := newSite(t)
		s.put("a", queue.Info, "disk full")
		tt.status.Lane, tt.status.Limit, tt.status.Learned, tt.status.Used = 1, 300, 270, 212
		s.statuses = []lane.Status{tt.status}
		page := s.get("/")
		for _, want := range []string{tt.want, "212 of 270", "learned; 300 configured"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: %q is missing in\n%s", tt.status.Condition, want, page)
			}
		}
		if strings.Contains(page, "0001-01-01") {
			t.Errorf("%s: the page has a time that nobody knows", tt.status.Condition)
		}
	}
}

// A storm has a banner: more came than leaves, and more waits than leaves in a minute.
func TestStorm(t *testing.T) {
	s := newSite(t)
	s.statuses = []lane.Status{{Lane: 1, Condition: lane.AtLimit, Limit: 2, Learned: 2, Free: 100, Most: 8}}
	for i := range 11 {
		s.put(fmt.Sprint(i), queue.Info, "disk full")
		s.now = s.now.Add(time.Second) // a look at the queue serves for so long
		if strings.Contains(s.get("/"), "Storm on") {
			t.Fatal("a storm before anything has come at the door")
		}
	}
	for range 11 {
		s.trend.Accepted("db", s.now)
	}
	if page := s.get("/"); !strings.Contains(page, "Storm on db:") || !strings.Contains(page, "11 events are queued") || !strings.Contains(page, "would arrive at once") {
		t.Errorf("no storm: %s", page)
	}
	s.now = s.now.Add(5 * time.Minute)
	if strings.Contains(s.get("/"), "Storm on") {
		t.Error("a storm when nothing comes any more")
	}
}

// A group goes by one click as it was when it was shown; each event's history says
// who did it and why. What died since then stays.
func TestGroups(t *testing.T) {
	s := newSite(t)
	for i := range 3 {
		s.put(fmt.Sprint("a", i), queue.Rank(i), "disk full")
		s.end(queue.Refused, "'payload.severity' is invalid")
	}
	s.put("b", queue.Info, "disk full")
	s.end(queue.Refused, "another reason, with a key: "+dbKey)
	s.statuses = []lane.Status{{Lane: 1, Limit: 60, Learned: 60}}
	s.now = s.now.Add(4 * time.Hour)
	page := s.get("/dead")
	for _, want := range []string{
		"4 events in 2 groups", "3 events: &#39;payload.severity&#39; is invalid", "3 events, 1 critical, oldest <time", "4 h</time>; at this rate 3.0 s.",
		"shoutrrr queue requeue --filter &#39;state:refused lane:db &#34;", "1 critical</strong>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	groups, err := s.console.o.Insight.Dead(t.Context())
	if err != nil || len(groups) != 2 || groups[0].Count != 3 {
		t.Fatal(groups, err)
	}
	s.put("a3", queue.Critical, "disk full")
	s.end(queue.Refused, "'payload.severity' is invalid")
	form := url.Values{"why": {"it is mended\nnow " + dbKey}, "upto": {fmt.Sprint(groups[0].Of.Latest)}}
	s.who = &door.Identity{Name: "ana", Operator: true}
	if status, to := s.ask(http.MethodPost, "/dead/"+groups[0].ID+"/requeue", form); status != http.StatusSeeOther || to != "/dead?done=requeue" {
		t.Fatalf("%d %s", status, to)
	}
	for id := range int64(3) {
		if h := s.history(id + 1); !strings.Contains(h, "requeued ana it is mended now key-") {
			t.Errorf("the history of event %d:\n%s", id+1, h)
		}
	}
	if h := s.history(5); strings.Contains(h, "requeued") {
		t.Errorf("an event that died later was requeued too:\n%s", h)
	}
	if page := s.get("/dead"); !strings.Contains(page, "2 events in 2 groups") {
		t.Errorf("what is left: %s", page)
	}
}

// What waits because of an answer of PagerDuty's can be tried at once, and what an operator
// has paused is resumed.
func TestTryNowIsOffered(t *testing.T) {
	for condition, want := range map[lane.Condition]bool{lane.Throttled: true, lane.KeyRejected: true, lane.Paused: false, lane.Delivering: false} {
		s := newSite(t)
		s.put("a", queue.Info, "disk full")
		s.who = &door.Identity{Name: "ana", Operator: true}
		s.statuses = []lane.Status{{Lane: 1, Condition: condition}}
		if condition == lane.Paused {
			if err := s.store.Hold(t.Context(), 1, queue.By{Who: "ana", Why: "a test", At: s.now}); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Contains(s.get("/lanes/1"), `action="/lanes/1/try"`); got != want {
			t.Errorf("%s: offered %t, want %t", condition, got, want)
		}
	}
}

// Wrong forms change nothing and say why.
func TestWrongActions(t *testing.T) {
	s := newSite(t)
	s.put("a", queue.Info, "disk full")
	why := url.Values{"why": {"a test"}}
	for _, tt := range []struct {
		path   string
		form   url.Values
		status int
		says   string
	}{
		{"/events/1/drop", nil, http.StatusBadRequest, "say why"},
		{"/events/1/drop", url.Values{"why": {" \n\t "}}, http.StatusBadRequest, "say why"},
		{"/events/1/drop", url.Values{"why": {strings.Repeat("x", 501)}}, http.StatusBadRequest, "at most 500 characters"},
		{"/events/1/drop", url.Values{"why": {strings.Repeat("x", 20_000)}}, http.StatusBadRequest, "could not be read"},
		{"/events/1/requeue", why, http.StatusConflict, "has changed meanwhile"},
		{"/events/9/drop", why, http.StatusNotFound, "no such event"},
		{"/events/x/drop", why, http.StatusNotFound, "no such page"},
		{"/events/1/explode", why, http.StatusNotFound, "no such page"},
		{"/dead/0123456789abcdef/requeue", why, http.StatusNotFound, "no such group"},
		{"/dead/0123456789abcdef/explode", why, http.StatusNotFound, "no such page"},
		{"/lanes/nobody/pause", why, http.StatusNotFound, "no such lane"},
		{"/lanes/db/explode", why, http.StatusNotFound, "no such page"},
	} {
		status, body := s.ask(http.MethodPost, tt.path, tt.form)
		if status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %.30v: %d, want %d and %q in\n%s", tt.path, tt.form, status, tt.status, tt.says, body)
		}
	}
	if h := s.history(1); h != "accepted" {
		t.Errorf("something was done:\n%s", h)
	}
}

// A link that somebody sends cannot lead away from here after signing in, nor put
// words on a page.
func TestNext(t *testing.T) {
	for given, want := range map[string]string{
		"/events?q=a": "/events?q=a", "": "/", "events": "/", "//evil.example": "/", "https://evil.example/": "/",
		"/\\evil.example": "/", "javascript:alert(1)": "/", "/a\r\nb": "/", "/%zz": "/", "\t//evil.example": "/",
	} {
		if got := nextOf(given); got != want {
			t.Errorf("nextOf(%q) = %q, want %q", given, got, want)
		}
	}
	s := newSite(t)
	if page := s.get("/?done=You+have+won"); strings.Contains(page, "You have won") {
		t.Error("an address puts words on the page")
	}
}

// The way of an event and its neighbours, with no key in what people have written.
func TestEventPage(t *testing.T) {
	s := newSite(t)
	s.put("a", queue.Error, "the key is "+dbKey)
	s.end(queue.Waiting, "503 Service Unavailable")
	s.put("b", queue.Error, "another chain")
	page := s.get("/events/1")
	for _, want := range []string{"the key is key-", "<strong>accepted</strong>", "<strong>attempt</strong> <code>400</code>: 503 Service Unavailable", "shoutrrr queue show 1", `action="/events/1/drop"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	if strings.Contains(page, "Its chain") || strings.Contains(page, `action="/events/1/requeue"`) {
		t.Error("neighbours that are none, or an action that cannot be")
	}
	s.who = &door.Identity{Name: "ben"}
	if strings.Contains(s.get("/events/1"), "<form class=\"act") || strings.Contains(s.get("/events/1"), "/drop") {
		t.Error("a viewer sees actions")
	}
	for _, path := range []string{"/events/7", "/events/x", "/lanes/nobody", "/nothing", "/live?page=//evil", "/live?page=/nothing"} {
		if status, body := s.ask(http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// stream reads a live page until it has heard enough.
func (s *site) stream(page string, heard func(line string) bool) {
	s.t.Helper()
	server := httptest.NewServer(s.console)
	defer server.Close()
	resp, err := http.Get(server.URL + streamURL(page))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text := ""
	for piece := make([]byte, 64<<10); ; {
		n, err := resp.Body.Read(piece)
		text += string(piece[:n])
		if heard(text) {
			s.console.Stop()
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.t.Error(err)
			}
			s.t.Fatalf("the stream has ended: %s", text)
		}
	}
}

// A live page comes at once, and again when something has changed.
func TestStream(t *testing.T) {
	s := newSite(t)
	s.put("a", queue.Info, "the first")
	put := false
	s.stream("/events", func(text string) bool {
		if !put && strings.Contains(text, "the first") {
			put = true
			s.put("b", queue.Info, "the second")
		}
		return strings.Contains(text, "the second")
	})
	s.console.hub.mu.Lock()
	defer s.console.hub.mu.Unlock()
	for key := range s.console.hub.topics {
		if key != "" && len(s.console.hub.topics[key].readers) > 1 {
			t.Errorf("readers of %s have stayed", key)
		}
	}
}

func TestSpans(t *testing.T) {
	for seconds, want := range map[float64]string{
		-3: "0 s", 0: "0 s", 0.049: "0 s", 0.21: "0.2 s", 9.9: "9.9 s", 12: "12 s", 119.9: "119 s", 120: "2 min", 7199: "119 min",
		7200: "2 h", 12_000: "3 h 20 min", 172_800: "2 d", 187_200: "2 d 4 h",
	} {
		if got := span(seconds); got != want {
			t.Errorf("span(%v) = %q, want %q", seconds, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for text, want := range map[string]string{"": "''", "db": "db", "a b": "'a b'", "it's": `'it'\''s'`} {
		if got := shell(text); got != want {
			t.Errorf("shell(%q) = %s, want %s", text, got, want)
		}
	}
}

// Beside the pages that everybody looks at, only so many different ones are live. One
// beyond them says that it stands still; when another one ends, it gets its place.
func TestLivePagesAreBounded(t *testing.T) {
	s := newSite(t)
	s.put("a", queue.Info, "disk full")
	server := httptest.NewServer(s.console)
	defer server.Close()
	defer s.console.Stop() // the streams end before the server
	first := func(page string) (text string, end func()) {
		t.Helper()
		resp, err := http.Get(server.URL + streamURL(page))
		if err != nil {
			t.Fatal(err)
		}
		for piece := make([]byte, 64<<10); !strings.Contains(text, "data: "); {
			n, err := resp.Body.Read(piece)
			text += string(piece[:n])
			if err != nil && !strings.Contains(text, "data: ") {
				t.Fatalf("%s: %v after %q", page, err, text)
			}
		}
		return text, func() { _ = resp.Body.Close() }
	}
	var ends []func()
	for i := range maxLive {
		text, end := first(fmt.Sprintf("/events?q=disk+%d", i))
		defer end()
		if strings.Contains(text, "event: still") {
			t.Fatalf("page %d of %d is not live: %s", i, maxLive, text)
		}
		ends = append(ends, end)
	}
	for page, still := range map[string]bool{"/": false, "/events": false, "/dead": false, "/events?q=disk+0": false, "/events?q=one+more": true, "/lanes/db": true, "/events/1": true} {
		text, end := first(page)
		end()
		if strings.Contains(text, "event: still") != still {
			t.Errorf("%s: stands still should be %v: %.200s", page, still, text)
		}
	}
	ends[3]()
	for { // the server learns of it in a while
		text, end := first("/events?q=one+more")
		end()
		if !strings.Contains(text, "event: still") {
			break
		}
	}
}

// The overview and the pages of lanes show a bounded number of lanes, say how many
// there are, and lead from page to page.
func TestManyLanes(t *testing.T) {
	s := newSite(t)
	const lanes = 230
	for i := range lanes {
		key, err := eventsv2.ParseKey(fmt.Sprintf("%032d", i))
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.store.Lane(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if i < 60 {
			s.statuses = append(s.statuses, lane.Status{Lane: l.ID, Condition: lane.Delivering, KeyRefused: true})
		}
	}
	page := s.get("/")
	if rows := strings.Count(page, `<th scope="row">`); rows != overviewTrouble+overviewBusiest {
		t.Errorf("the overview has %d lanes", rows)
	}
	for _, want := range []string{"100 of 230 lanes", `<a href="/lanes">All lanes</a>`, `<a class="bad" href="/lanes?q=state%3Atrouble">10 more in trouble</a>`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	for filter, want := range map[string]int{"": lanes, "state:trouble": 60, "state:queued": 0, "nothing": 0} {
		rows, pages := 0, 0
		for target := lanesURL(filter); target != ""; pages++ {
			if pages > 6 {
				t.Fatal("the pages have no end")
			}
			page := s.get(target)
			rows += strings.Count(page, `<th scope="row">`)
			_, next, more := strings.Cut(page, `<a href="/lanes?cursor=`)
			target = ""
			if more {
				next, _, _ = strings.Cut(next, `"`)
				target = "/lanes?cursor=" + strings.ReplaceAll(next, "&amp;", "&")
			}
		}
		if rows != want {
			t.Errorf("%q: %d lanes on %d pages, want %d", filter, rows, pages, want)
		}
	}
	if page := s.get("/lanes?q=state%3Abad"); !strings.Contains(page, "This filter cannot be read") {
		t.Errorf("a wrong filter: %s", page)
	}
}
