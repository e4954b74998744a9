package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
)

func TestLanes(t *testing.T) {
	b := newBench(t, nil)
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	b.later(10 * time.Second)
	b.put(dbKey, "b", queue.Info, body("disk fuller"))
	b.later(2500 * time.Millisecond)
	b.scheduler.statuses = []lane.Status{{
		Lane: 1, Condition: lane.Throttled, Until: b.clock().Add(30 * time.Second), Limit: 300, Learned: 270, Used: 212, InFlight: 1,
		Throttled: 3, Attempts: 1234, Free: 100, Most: 8,
	}}
	fingerprint := mustKey(t, dbKey).Fingerprint()
	want := `{"id":"1","name":"db","fingerprint":"` + fingerprint + `","pool":"dbs","upstream":"https://events.pagerduty.com",
		"condition":"rate_limited","text":"rate limited until 14:04:02 UTC","until":"2026-03-04T14:04:02.500Z",
		"limit":300,"learned":270,"used":212,"in_flight":1,"throttled":3,"attempts":1234,
		"waiting":{"critical":1,"error":0,"warning":0,"info":1},"queued":2,"oldest_at":"2026-03-04T14:03:20.000Z","oldest_s":12.5,
		"delivered":0,"refused":0,"expired":0,"key_refused":false,"in_trouble":true,"empty_in_s":30,"time_to_page_s":1,"oldest_critical_s":12.5}`
	sameJSON(t, b.get("/api/lanes/db").body, want)
	sameJSON(t, b.get("/api/lanes/"+fingerprint).body, want)
	sameJSON(t, b.get("/api/lanes").body, `{"lanes":[`+want+`],"totals":{"lanes":1,"in_trouble":1,"paused":0,
		"queued":{"critical":1,"error":0,"warning":0,"info":1},"in_flight":1,"dead_letters":{"rejected":0,"expired":0}}}`)
	if g := b.get("/api/lanes/nobody"); g.status != http.StatusNotFound {
		t.Errorf("a lane that is none: %d %s", g.status, g.body)
	}
}

func TestStatus(t *testing.T) {
	failure := error(nil)
	b := newBench(t, func(o *parts) {
		o.told.Accepting = func() error { return failure }
		o.told.Config = func() insight.Loaded {
			return insight.Loaded{At: o.told.Started, Err: errors.New("shoutrrrd.yaml:3:1: there is no setting rat; did you mean rate?")}
		}
	})
	b.put(dbKey, "a", queue.Info, body("disk full"))
	b.put(otherKey, "b", queue.Info, body("disk full"))
	b.scheduler.statuses = []lane.Status{
		{Lane: 1, Condition: lane.Delivering, Limit: 300, Learned: 300, PausedUntil: b.clock().Add(2 * time.Second), Free: 100, Most: 8},
		{Lane: 2, Condition: lane.Paused, Free: 1},
	}
	b.settle(2, queue.Settlement{State: queue.Refused, Status: 400, Reason: "no"})
	var status struct {
		Version   string
		Accepting bool
		Reason    string
		Queued    int
		Dead      int
		StartedAt string `json:"started_at"`
		Now       string
		TTP       *float64 `json:"time_to_page_s"`
		Oldest    *float64 `json:"oldest_critical_s"`
		Config    map[string]string
		Lanes     []struct {
			Name string
			TTP  *float64 `json:"time_to_page_s"`
		}
	}
	b.read(b.get("/api/status"), &status)
	want := `1.2.3 true "" 1 1 2026-03-04T13:03:20.000Z 2026-03-04T14:03:20.000Z`
	if got := fmt.Sprintf("%s %v %q %d %d %s %s", status.Version, status.Accepting, status.Reason, status.Queued, status.Dead, status.StartedAt, status.Now); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if status.TTP == nil || *status.TTP != 2 {
		t.Errorf("time to page %v, want that of the slowest lane that is not paused", status.TTP)
	}
	if !strings.Contains(status.Config["error"], "did you mean rate?") || len(status.Lanes) != 2 {
		t.Errorf("config %v, %d lanes", status.Config, len(status.Lanes))
	}

	if status.Oldest != nil {
		t.Errorf("no critical event waits, and yet the oldest is %v s old", *status.Oldest)
	}
	b.put(dbKey, "c", queue.Critical, body("disk full"))
	b.later(90 * time.Second)
	b.put(dbKey, "d", queue.Critical, body("disk full"))
	b.read(b.get("/api/status"), &status)
	if status.Oldest == nil || *status.Oldest != 90 {
		t.Errorf("the oldest critical event is %v s old, want 90", status.Oldest)
	}

	failure = queue.ErrUnavailable
	b.later(2 * time.Second)
	status.TTP, status.Lanes = nil, nil
	b.read(b.get("/api/status"), &status)
	if status.Accepting || status.Reason != queue.ErrUnavailable.Error() || status.TTP != nil {
		t.Errorf("while the queue fails: accepting %v, %q, time to page %v", status.Accepting, status.Reason, status.TTP)
	}
	for _, l := range status.Lanes {
		if l.TTP != nil {
			t.Errorf("while the queue fails: the time to page of %s is %v", l.Name, *l.TTP)
		}
	}
	text := b.get("/metrics").body
	for _, name := range []string{"db", mustKey(t, otherKey).Fingerprint()} {
		if got := value(t, text, fmt.Sprintf(`shoutrrrd_time_to_page_seconds{lane=%q}`, name)); got != "+Inf" {
			t.Errorf("while the queue fails: the metric of %s is %s", name, got)
		}
	}
}

func TestEvent(t *testing.T) {
	b := newBench(t, nil)
	id := b.put(dbKey, "web-1/disk", queue.Critical, body("disk full"))
	b.later(time.Second)
	b.settle(1, queue.Settlement{State: queue.Waiting, Due: b.clock().Add(time.Minute), Attempts: 1, Status: 503, Reason: "Service Unavailable"})
	want := `{"id":"1","lane":"db","lane_id":"1","fingerprint":"` + mustKey(t, dbKey).Fingerprint() + `","pool":"dbs","kind":"alert","action":"trigger","dedup_key":"web-1/disk","state":"waiting","in_flight":false,
		"severity":"critical","priority":"critical","summary":"disk full","source":"web-1","accepted_at":"2026-03-04T14:03:20.000Z","fresh_at":"2026-03-04T14:03:20.000Z",
		"due_at":"2026-03-04T14:04:21.000Z","attempts":1,"repeats":0,"repairs":["severity \"CRIT\" became critical"],"status":503,"reason":"Service Unavailable"`
	sameJSON(t, b.get("/api/events").body, `{"events":[`+want+`}],"read":1}`)
	sameJSON(t, b.get(fmt.Sprintf("/api/events/%d", id)).body, want+`,"body":`+body("disk full")+`,"history":[
		{"at":"2026-03-04T14:03:20.000Z","what":"accepted"},
		{"at":"2026-03-04T14:03:20.000Z","what":"repaired","text":"severity \"CRIT\" became critical"},
		{"at":"2026-03-04T14:03:21.000Z","what":"attempt","status":503,"text":"Service Unavailable"}]}`)
}

// ids lists the dedup keys of a page.
func (b *bench) found(path string) (dedups []string, next string) {
	b.t.Helper()
	var page struct {
		Events []struct {
			DedupKey string `json:"dedup_key"`
		}
		Next string
	}
	b.read(b.get(path), &page)
	for _, e := range page.Events {
		dedups = append(dedups, e.DedupKey)
	}
	return dedups, page.Next
}

func TestEventsFilter(t *testing.T) {
	b := newBench(t, nil)
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	b.put(dbKey, "b", queue.Error, body("disk slow"))
	b.put(otherKey, "c", queue.Info, body("cable loose"))
	b.put(dbKey, "d", queue.Warning, body("fan loud"))
	b.put(dbKey, "b", queue.Error, body("second of b")) // coalesced
	b.settle(2, queue.Settlement{State: queue.Refused, Status: 400, Reason: "Invalid routing key"})
	claimed := b.claim(1)
	for _, tt := range []struct{ query, want string }{
		{"", "d c b a"},
		{"state=queued", "d b a"},
		{"state=ready", "d b a"},
		{"state=dead", "c"},
		{"state=refused,expired", "c"},
		{"state=refused&state=expired", "c"},
		{"state=in_flight", claimed.DedupKey},
		{"state=delivered", ""},
		{"lane=db", "d b a"},
		{"lane=" + mustKey(t, otherKey).Fingerprint(), "c"},
		{"severity=critical", "a"},
		{"severity=error", "b"},
		{"severity=%3E%3Derror", "b a"},
		{"dedup_key=b", "b"},
		{"q=loud", "d"},
		{"q=LOUD", "d"},
		{"q=invalid+routing", "c"},
		{"q=lane:db+sev%3E%3Derror", "b a"},
		{"q=lane:db&severity=%3E%3Derror&state=queued", "b a"},
		{`q=%22fan+loud%22`, "d"},
		{`q=%22loud+fan%22`, ""},
		{"q=state:refused+cable", "c"},
		{"state=&lane=&q=", "d c b a"},
	} {
		got, _ := b.found("/api/events?" + tt.query)
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestEventsPages(t *testing.T) {
	b := newBench(t, nil)
	var want []string
	for i := range 7 {
		dedup := fmt.Sprint("e", i)
		b.put(dbKey, dedup, queue.Rank(i%queue.Ranks), body(dedup))
		want = append([]string{dedup}, want...)
	}
	var got []string
	cursor := ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		if pages > 7 {
			t.Fatal("the pages have no end")
		}
		var page []string
		page, cursor = b.found("/api/events?limit=3&cursor=" + cursor)
		got = append(got, page...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all pages (-want +got):\n%s", diff)
	}
}

// Whatever is wrong with a request, the answer names it and says what is possible.
func TestWrongRequests(t *testing.T) {
	b := newBench(t, nil)
	id := b.put(dbKey, "a", queue.Critical, body("disk full"))
	long := strings.Repeat("x", 600)
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/events?state=redy", "", 400, `there is no state "redy"`},
		{"GET", "/api/events?severity=high", "", 400, `there is no severity "high"`},
		{"GET", "/api/events?severity=%3Eerror", "", 400, "severity"},
		{"GET", "/api/events?limit=501", "", 400, "from 1 to 500"},
		{"GET", "/api/events?limit=0", "", 400, "from 1 to 500"},
		{"GET", "/api/events?limit=x", "", 400, "from 1 to 500"},
		{"GET", "/api/events?cursor=-1", "", 400, "cursor"},
		{"GET", "/api/events?lane=nobody", "", 400, `lane "nobody"`},
		{"GET", "/api/events?lnae=db", "", 400, `there is no parameter "lnae"`},
		{"GET", "/api/lanes?state=db", "", 400, `unknown parameter "state"`},
		{"GET", "/api/lanes?limit=501", "", 400, "from 1 to 500"},
		{"GET", "/api/lanes?cursor=x", "", 400, "cursor"},
		{"GET", "/api/lanes?q=state:bad", "", 400, "a lane's states are trouble, queued"},
		{"GET", "/api/lanes?q=sev:info", "", 400, "unknown word sev"},
		{"GET", "/api/lanes?q=pool%3E=a", "", 400, "takes a colon"},
		{"GET", "/api/events?q=foo:bar", "", 400, "foo is no word of the filter"},
		{"GET", "/api/events?q=%22open", "", 400, "quotation mark"},
		{"GET", "/api/events?q=%zz", "", 400, "percent-encode"},
		{"GET", "/api/events?state=in_flight,ready", "", 400, "stands alone"},
		{"GET", "/api/events?dedup_key=a&q=dedup:b", "", 400, "twice"},
		{"GET", "/api/events/0", "", 400, "number of an event"},
		{"GET", "/api/events/x", "", 400, "number of an event"},
		{"GET", "/api/events/99", "", 404, "no such event"},
		{"GET", "/api/other", "", 404, "GET / lists"},
		{"POST", "/api/events", "", 405, "GET"},
		{"GET", fmt.Sprintf("/api/events/%d/drop", id), "", 405, "POST"},
		{"DELETE", fmt.Sprintf("/api/events/%d", id), "", 405, "GET"},
		{"POST", "/metrics", "", 405, "GET"},
		{"POST", "/api/events/99/drop", "", 404, "no such event"},
		{"POST", "/api/events/99/requeue", "", 404, "no such event"},
		{"POST", fmt.Sprintf("/api/events/%d/requeue", id), "", 409, "event 1 is ready; only a refused, expired or dropped one"},
		{"POST", fmt.Sprintf("/api/events/%d/drop", id), `{"wy":"x"}`, 400, `{"why":"..."} is expected`},
		{"POST", fmt.Sprintf("/api/events/%d/drop", id), `{"why":1}`, 400, `{"why":"..."} is expected`},
		{"POST", fmt.Sprintf("/api/events/%d/drop", id), `{"why":"a"} x`, 400, `{"why":"..."} is expected`},
		{"POST", fmt.Sprintf("/api/events/%d/drop", id), `{"why":"` + long + `"}`, 400, "at most 500 characters"},
		{"POST", fmt.Sprintf("/api/events/%d/drop", id), strings.Repeat(" ", 20<<10), 400, "too long"},
		{"POST", "/api/lanes/nobody/pause", "", 404, "no such lane"},
		{"POST", "/api/lanes/nobody/move", `{"to":"1"}`, 404, "there is no such lane;"},
		{"POST", "/api/lanes/1/move", `{"to":"nobody"}`, 404, "there is no such lane to move to;"},
	} {
		g := b.do(call{method: tt.method, path: tt.path, body: tt.body})
		var problem struct{ Error string }
		g2 := g
		g2.status = 200
		b.read(g2, &problem)
		if g.status != tt.status || !strings.Contains(problem.Error, tt.says) {
			t.Errorf("%s %s: %d %q, want %d and %q", tt.method, tt.path, g.status, problem.Error, tt.status, tt.says)
		}
		if g.status == 405 && !strings.Contains(g.header.Get("Allow"), tt.says) {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, g.header.Get("Allow"))
		}
	}
	if got, _ := b.found("/api/events?state=ready"); len(got) != 1 {
		t.Error("a wrong request has changed something")
	}
}

func (b *bench) history(id int64) (lines []string) {
	b.t.Helper()
	var full struct {
		History []struct{ What, Text, Who string }
	}
	b.read(b.get(fmt.Sprintf("/api/events/%d", id)), &full)
	for _, h := range full.History {
		lines = append(lines, strings.TrimSpace(h.What+" "+h.Who+" "+h.Text))
	}
	return lines
}

// Nothing can send an event whose lane is forgotten, and the answer says why.
func TestRequeueOfForgottenLane(t *testing.T) {
	b := newBench(t, nil)
	path := fmt.Sprintf("/api/events/%d", b.put(dbKey, "a", queue.Critical, body("disk full")))
	b.later(time.Hour)
	b.post(path+"/drop", "")
	if _, err := b.store.Purge(t.Context(), b.clock().Add(-time.Minute), b.clock().Add(-time.Minute), 100); err != nil {
		t.Fatal(err)
	}
	if g := b.post(path+"/requeue", ""); g.status != http.StatusConflict || !strings.Contains(g.body, "cannot be sent again: its lane has been forgotten") {
		t.Errorf("requeued: %d %s", g.status, g.body)
	}
}

// Many events are sent again in one call, in the order in which they were accepted,
// whatever the order of their numbers in it. Those that it cannot be done to are named.
func TestManyEvents(t *testing.T) {
	b := newBench(t, nil)
	var ids []string
	for i := range 5 {
		id := b.put(dbKey, fmt.Sprint("chain ", i%2), queue.Error, body("disk full"))
		if i < 4 { // no trigger goes into another one that is a dead letter
			b.settle(1, queue.Settlement{State: queue.Refused, Status: 400, Reason: "no"})
		}
		ids = append([]string{fmt.Sprintf("%q", fmt.Sprint(id))}, ids...)
	}
	var answer struct {
		Done, Coalesced int
		LeftCount       int `json:"left_count"`
		Left            []struct{ ID, Why string }
	}
	post := func(verb, more string) {
		t.Helper()
		b.read(b.post("/api/events/"+verb, `{"ids":[`+strings.Join(ids, ",")+more+`],"why":"many"}`), &answer)
	}
	post("requeue", `,"99"`)
	if answer.Done != 4 || answer.Coalesced != 3 || answer.LeftCount != 2 || answer.Left[0].ID != "5" || answer.Left[1].ID != "99" {
		t.Errorf("requeued: %+v", answer)
	}
	if n := strings.Count(b.log.String(), "events were requeued"); n != 1 {
		t.Errorf("%d lines of the log tell of it", n)
	}
	post("drop", "")
	if answer.Done != 2 || answer.LeftCount != 3 {
		t.Errorf("dropped: %+v", answer)
	}
	for _, wrong := range []string{`{}`, `{"ids":[]}`, `{"ids":["0"]}`, `{"ids":[1]}`, `{"ids":["a"]}`} {
		if g := b.post("/api/events/requeue", wrong); g.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, g.status, g.body)
		}
	}
}

// Delivered events of a time are sent again: of a chain that ended in a resolve that
// alone, of others what came after the last one, in order.
func TestReplay(t *testing.T) {
	b := newBench(t, nil)
	deliver := func(dedup, action string) {
		b.put(dbKey, dedup, queue.Error, fmt.Sprintf(`{"event_action":%q,"payload":{"summary":"s"}}`, action))
		b.later(time.Minute)
		b.settle(1, queue.Settlement{State: queue.Delivered, Status: 202})
	}
	deliver("before", "trigger")
	since := b.clock()
	deliver("over", "trigger")
	deliver("open", "trigger")
	until := b.clock().Add(time.Second)
	deliver("over", "resolve") // later: its trigger would open an incident that nothing closes
	given := fmt.Sprintf(`{"since":%q,"until":%q,"why":"dropped","preview":%%t}`, since.Add(time.Second).Format(time.RFC3339), until.Format(time.RFC3339))
	sameJSON(t, b.post("/api/events/replay", fmt.Sprintf(given, true)).body, `{"events":1,"over":1,"by_severity":{"error":1},"by_lane":{"db":1}}`)
	sameJSON(t, b.post("/api/events/replay", fmt.Sprintf(given, false)).body, `{"done":1,"coalesced":0,"left_count":0,"left":[]}`)
	if history := strings.Join(b.history(3), "|"); !strings.Contains(history, "replayed local dropped") {
		t.Errorf("the history is %s", history)
	}
	for _, wrong := range []string{`{}`, `{"since":"yesterday"}`, `{"since":"2026-03-01T00:00:00Z","until":"2026-03-01T00:00:00Z"}`} {
		if g := b.post("/api/events/replay", wrong); g.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, g.status, g.body)
		}
	}
}

// What would go to a lane whose key PagerDuty rejects goes only if that is said.
func TestRequeueToARejectedKey(t *testing.T) {
	b := newBench(t, nil)
	id := b.put(dbKey, "a", queue.Critical, body("disk full"))
	b.settle(1, queue.Settlement{State: queue.Refused, Status: 400, Reason: "no"})
	l, err := b.store.LaneByID(t.Context(), 1)
	l.KeyRefused = b.clock()
	if err := errors.Join(err, b.store.SaveLane(t.Context(), l)); err != nil {
		t.Fatal(err)
	}
	for path, given := range map[string]string{fmt.Sprintf("/api/events/%d/requeue", id): "", "/api/events/requeue": fmt.Sprintf(`"ids":["%d"],`, id)} {
		if g := b.post(path, "{"+given+`"why":"again"}`); g.status != http.StatusConflict || !strings.Contains(g.body, "PagerDuty rejects the integration key") {
			t.Errorf("%s: %d %s", path, g.status, g.body)
		}
	}
	if g := b.post(fmt.Sprintf("/api/events/%d/requeue", id), `{"why":"again","force":true}`); g.status != http.StatusOK {
		t.Errorf("with force: %d %s", g.status, g.body)
	}
}

// What operators do stands in the event's history: who, and why.
func TestDropAndRequeue(t *testing.T) {
	b := newBench(t, nil)
	id := b.put(dbKey, "a", queue.Critical, body("disk full"))
	path := fmt.Sprintf("/api/events/%d", id)
	var e struct{ State string }
	b.read(b.do(call{method: "POST", path: path + "/drop", body: `{"why":"a test\n of <b>mine</b>"}`, header: map[string]string{"X-Shoutrrr-Actor": "ana"}}), &e)
	if e.State != "dropped" {
		t.Errorf("after the drop it is %s", e.State)
	}
	b.read(b.post(path+"/requeue", ""), &e)
	if e.State != "ready" {
		t.Errorf("after the requeue it is %s", e.State)
	}
	history := strings.Join(b.history(id), "|")
	if !strings.Contains(history, "dropped ana a test of <b>mine</b>") || !strings.Contains(history, "requeued local") {
		t.Errorf("the history is %s", history)
	}
	claimed := b.claim(1)
	if g := b.post(path+"/drop", ""); g.status != http.StatusConflict || !strings.Contains(g.body, "is in flight") {
		t.Errorf("drop in flight: %d %s", g.status, g.body)
	}
	b.store.Release([]queue.Event{claimed})
	b.settle(1, queue.Settlement{State: queue.Delivered, Status: 202})
	for _, action := range []string{"/drop", "/requeue"} {
		if g := b.post(path+action, ""); g.status != http.StatusConflict || !strings.Contains(g.body, "is delivered") {
			t.Errorf("%s of a delivered one: %d %s", action, g.status, g.body)
		}
	}
}

func TestActorLabel(t *testing.T) {
	b := newBench(t, nil)
	for _, tt := range []struct {
		label  string
		status int
	}{
		{strings.Repeat("é", 64), 200},
		{strings.Repeat("a", 65), 400},
		{"a\tb", 400},
		{"\xff", 400},
	} {
		b.put(dbKey, "a", queue.Info, body("x"))
		g := b.do(call{method: "POST", path: "/api/lanes/db/pause", header: map[string]string{"X-Shoutrrr-Actor": tt.label}})
		if g.status != tt.status {
			t.Errorf("%q: %d %s, want %d", tt.label, g.status, g.body, tt.status)
		}
	}
}

// A pause shows in the very answer, although the scheduler has not heard of it.
func TestPauseAndResume(t *testing.T) {
	b := newBench(t, nil)
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	b.scheduler.statuses = []lane.Status{{Lane: 1, Condition: lane.Delivering, Limit: 300, Learned: 300}}
	var l struct {
		Condition, Text string
		HeldBy          map[string]string `json:"held_by"`
		TTP             *float64          `json:"time_to_page_s"`
		EmptyIn         *float64          `json:"empty_in_s"`
	}
	b.read(b.do(call{method: "POST", path: "/api/lanes/db/pause", body: `{"why":"maintenance"}`, header: map[string]string{"X-Shoutrrr-Actor": "ana"}}), &l)
	if l.Condition != "paused" || l.Text != "paused by ana: maintenance" || l.HeldBy["who"] != "ana" || l.HeldBy["at"] != "2026-03-04T14:03:20.000Z" || l.TTP != nil || l.EmptyIn != nil {
		t.Errorf("paused: %+v", l)
	}
	b.scheduler.statuses[0].Condition = lane.Paused
	l.HeldBy = nil
	b.read(b.post("/api/lanes/db/resume", ""), &l)
	if l.Condition != "delivering" || l.HeldBy != nil {
		t.Errorf("resumed: %+v", l)
	}
}

func TestDead(t *testing.T) {
	b := newBench(t, nil)
	sameJSON(t, b.get("/api/dead").body, `{"groups":[]}`)
	for i, severity := range []queue.Rank{queue.Critical, queue.Info} {
		b.put(dbKey, fmt.Sprint(i), severity, body("disk full"))
		b.settle(1, queue.Settlement{State: queue.Refused, Status: 400, Reason: "no, not with " + dbKey})
	}
	b.later(time.Second)
	b.scheduler.statuses = []lane.Status{{Lane: 1, Limit: 300, Learned: 60}}
	fingerprint := mustKey(t, dbKey).Fingerprint()
	g := b.get("/api/dead")
	var answer struct{ Groups []struct{ ID string } }
	b.read(g, &answer)
	if len(answer.Groups) != 1 {
		t.Fatal(g.body)
	}
	sameJSON(t, g.body, `{"groups":[{"id":"`+answer.Groups[0].ID+`","lane":"db","lane_id":"1","fingerprint":"`+fingerprint+`","state":"refused","status":400,
		"reason":"no, not with `+fingerprint+`","count":2,"critical":1,"oldest_at":"2026-03-04T14:03:20.000Z","takes_s":0.4}]}`)
}

func TestShape(t *testing.T) {
	b := newBench(t, nil)
	b.put(dbKey, "a", queue.Critical, body("old"))
	b.later(2 * time.Hour)
	b.put(dbKey, "b", queue.Info, body("new"))
	sameJSON(t, b.get("/api/shape").body, `{"ages_s":[10,60,600,3600,21600,86400],"lanes":[{"name":"db","fingerprint":"`+mustKey(t, dbKey).Fingerprint()+`",
		"counts":{"critical":[0,0,0,0,1,0,0],"error":[0,0,0,0,0,0,0],"warning":[0,0,0,0,0,0,0],"info":[1,0,0,0,0,0,0]}}]}`)
}

// Text of others stays text, and no key is shown wherever somebody has put it.
func TestHostileText(t *testing.T) {
	b := newBench(t, nil)
	escaped := ""
	for i := range len(otherKey) {
		escaped += fmt.Sprintf(`\u%04x`, otherKey[i])
	}
	id := b.put(dbKey, "</script>"+dbKey, queue.Error, `{"payload":{"summary":"<script>alert('`+strings.ToUpper(dbKey)+`')</script>","source":"x`+otherKey+`x","custom_details":{"`+
		escaped+`":"\"`+escaped+`\"","`+dbKey+`":1}}}`)
	b.put(otherKey, "b", queue.Error, body("so that the other key is known"))
	b.settle(1, queue.Settlement{State: queue.Refused, Status: 400, Reason: "the key " + dbKey + " is wrong"})
	for _, path := range []string{"/api/events", fmt.Sprintf("/api/events/%d", id), "/api/events?q=script", "/api/events?lane=" + dbKey, "/api/events?foo" + otherKey + "=1", "/api/lanes/" + otherKey} {
		g := b.get(path) // the end of the test looks for keys in all of it
		if strings.ContainsAny(g.body, "<>") {
			t.Errorf("%s has raw angle brackets: %s", path, g.body)
		}
	}
	var full struct {
		Summary string
		Body    struct {
			Payload struct {
				CustomDetails map[string]any `json:"custom_details"`
			}
		}
	}
	b.read(b.get(fmt.Sprintf("/api/events/%d", id)), &full)
	own, others := mustKey(t, dbKey).Fingerprint(), mustKey(t, otherKey).Fingerprint()
	if full.Summary != "<script>alert('"+own+"')</script>" {
		t.Errorf("the summary is %q", full.Summary)
	}
	want := map[string]any{others: `"` + others + `"`, own: 1.0}
	if diff := cmp.Diff(want, full.Body.Payload.CustomDetails); diff != "" {
		t.Errorf("the details (-want +got):\n%s", diff)
	}
	b.do(call{
		method: "POST", path: fmt.Sprintf("/api/events/%d/requeue", id), body: `{"why":"with the key ` + dbKey + `"}`,
		header: map[string]string{"X-Shoutrrr-Actor": "ana " + otherKey},
	})
	if history := strings.Join(b.history(id), "|"); !strings.Contains(history, "requeued ana "+others+" with the key "+own) {
		t.Errorf("the history is %s", history)
	}
}
