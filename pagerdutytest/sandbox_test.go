package pagerdutytest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostile is a text that wants to be more than text.
const hostile = `</td><script>alert("x")</script>'"><img src=x onerror=alert(1)>&lt;` + "\u202eevil"

// hostileEvents fills every field with hostile text, and puts the key where no
// key belongs.
func hostileEvents() []string {
	q := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	h, key := q(hostile), q("k "+strings.ToUpper(testKey)+" k")
	return []string{
		fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%s,"client":%s,"client_url":"https://c.example/","payload":{"summary":%s,"source":%s,"severity":"error","component":%s,"group":%s,"class":%s,"custom_details":{%s:%s,"key":%s}},"links":[{"href":%s,"text":%s}],"images":[{"src":"https://i.example/i","alt":%s}]}`,
			testKey, h, h, h, h, h, h, h, h, h, key, h, h, h),
		fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{"summary":%s,"source":%s,"severity":"error"}}`, testKey, strings.Repeat("x", 10)+testKey, key, key),
		fmt.Sprintf(`{"routing_key":"%s","event_action":%s}`, strings.ReplaceAll(testKey, "a", `\u0061`), key),
		fmt.Sprintf(`{"routing_key":%q,"payload":{"summary":%s,"source":%s},%s:1}`, testKey, key, h, key),
		fmt.Sprintf(`not json routing_key=%s&%s`, otherKey, hostile),
		`{"routing_key":"e+23rschqsESqk9Q6_-g","event_action":"trigger","dedup_key":"of e+23rschqsESqk9Q6_-g"}`,
	}
}

// leaks lists the spellings of the keys of hostileEvents that a text shows.
func leaks(s string) []string {
	var found []string
	for _, secret := range []string{testKey, strings.ReplaceAll(testKey, "a", `\u0061`), strings.ReplaceAll(testKey, "a", `\\u0061`), testKey[:24], otherKey, "e+23rschqsESqk9Q6_-g", "hunter2"} {
		if strings.Contains(strings.ToLower(s), strings.ToLower(secret)) {
			found = append(found, secret)
		}
	}
	return found
}

// hostileServer has seen all of that, in paths and headers too.
func hostileServer(t *testing.T) *Server {
	t.Helper()
	s := NewServer(t)
	client := plainClient(t)
	for _, body := range hostileEvents() {
		post(t, client, s.URL()+pathAlert, body)
	}
	post(t, client, s.URL()+pathChange, fmt.Sprintf(`{"routing_key":%q,"payload":{"summary":%q,"source":"<b>"}}`, testKey, hostile+testKey))
	do(t, client, "PUT", s.URL()+"/%3Cscript%3E/"+testKey, `{}`, "X-Routing-Key", testKey, "Authorization", "Token "+testKey, "Cookie", "s=hunter2", "User-Agent", "<i>"+testKey)
	return s
}

func TestSandboxJSONShowsNoKey(t *testing.T) {
	s := hostileServer(t)
	for _, path := range []string{"/sandbox/incidents", "/sandbox/journal", "/sandbox/changes", "/sandbox/faults"} {
		got := do(t, plainClient(t), "GET", s.URL()+path, "")
		if got.status != 200 || got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %v", path, got.status, got.header)
		}
		if found := leaks(got.body); found != nil {
			t.Errorf("%s shows %q:\n%s", path, found, got.body)
		}
		if strings.Contains(got.body, "<") {
			t.Errorf("%s: a bare < in JSON", path)
		}
		if path != "/sandbox/faults" && !strings.Contains(got.body, Fingerprint(testKey)) {
			t.Errorf("%s does not show the fingerprint", path)
		}
	}
	if found := leaks(s.journalText()); found != nil {
		t.Errorf("the log shows %q:\n%s", found, s.journalText())
	}
	for _, x := range s.Journal() {
		if found := leaks(fmt.Sprintf("%v %+v %s", x, x, x)); found != nil {
			t.Errorf("an entry that is printed shows %q", found)
		}
	}
}

// TestSandboxJSONFields holds the names that scripts rely on.
func TestSandboxJSONFields(t *testing.T) {
	now := epoch
	s := NewServer(t, Options{Now: func() time.Time { return now }})
	client := plainClient(t)
	s.Inject(Fault{Name: FaultLatency, Delay: time.Nanosecond})
	post(t, client, s.URL()+pathAlert, `{"routing_key":"`+testKey+`","event_action":"trigger","dedup_key":"d","client":"c","client_url":"https://c.example/","payload":{"summary":"s","source":"h","severity":"error","timestamp":"2026-03-01","component":"co","group":"gr","class":"cl","custom_details":{"n":1.50}},"links":[{"href":"x","text":"t"}],"images":[{"src":"https://i.example/i","href":"y","alt":"a"}]}`)
	post(t, client, s.URL()+pathAlert, minimal("acknowledge", "d"))
	post(t, client, s.URL()+pathAlert, `{"routing_key":"`+testKey+`","event_action":"resolve","dedup_key":"d"}`)
	post(t, client, s.URL()+pathChange, change(`{"summary":"s","source":"h","timestamp":"2026-03-01","custom_details":{}}`, `,"links":[{"href":"x"}]`))
	key := Fingerprint(testKey)
	at := "2026-03-01T10:00:00Z"
	wantIncident := `[{"id":1,"routing_key":"` + key + `","dedup_key":"d","status":"resolved","summary":"s","severity":"error","source":"h","timestamp":"2026-03-01",
		"component":"co","group":"gr","class":"cl","client":"c","client_url":"https://c.example/","custom_details":{"n":1.50},"links":[{"href":"x","text":"t"}],
		"images":[{"src":"https://i.example/i","href":"y","alt":"a"}],"opened_at":"` + at + `","acknowledged_at":"` + at + `","resolved_at":"` + at + `","events":3,"log":[
		{"at":"` + at + `","action":"trigger","summary":"s","severity":"error","notified":true},
		{"at":"` + at + `","action":"acknowledge","summary":"disk full","severity":"critical","notified":false},
		{"at":"` + at + `","action":"resolve","notified":false}]}]`
	wantChange := `[{"routing_key":"` + key + `","summary":"s","source":"h","timestamp":"2026-03-01","custom_details":{},"links":[{"href":"x"}],"at":"` + at + `"}]`
	for path, want := range map[string]string{"/sandbox/incidents": wantIncident, "/sandbox/changes": wantChange} {
		if got := do(t, client, "GET", s.URL()+path, ""); compact(t, got.body) != compact(t, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", path, compact(t, got.body), compact(t, want))
		}
	}
	var entries []map[string]any
	if err := json.Unmarshal([]byte(do(t, client, "GET", s.URL()+"/sandbox/journal", "").body), &entries); err != nil || len(entries) != 4 {
		t.Fatalf("got %d entries, %v", len(entries), err)
	}
	names := []string{"number", "at", "method", "path", "target", "proto", "remote", "connection", "header", "body", "routing_key", "event_action", "dedup_key", "fault", "outcome", "status", "answer"}
	for _, name := range names {
		if _, ok := entries[0][name]; !ok || len(entries[0]) != len(names) {
			t.Errorf("got the members %v, want %v", entries[0], names)
		}
	}
	if e := entries[0]; e["fault"] != "latency" || e["outcome"] != OutcomeOpened || e["status"] != 202.0 || e["connection"] != 1.0 || e["event_action"] != "trigger" {
		t.Errorf("got %v", e)
	}
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSandboxIsEmptyAtFirst(t *testing.T) {
	s := NewServer(t)
	for _, path := range []string{"/sandbox/incidents", "/sandbox/journal", "/sandbox/changes", "/sandbox/faults"} {
		if got := do(t, plainClient(t), "GET", s.URL()+path, ""); got.body != "[]\n" {
			t.Errorf("%s: got %q, want []", path, got.body)
		}
	}
	if got := len(s.Journal()); got != 0 {
		t.Errorf("the second door made %d entries", got)
	}
}

func TestSandboxFaultsAndReset(t *testing.T) {
	s := NewServer(t)
	client := plainClient(t)
	got := do(t, client, "POST", s.URL()+"/sandbox/faults", "429:retry-after=2:count=2\n503")
	want := `[{"name":"429","count":2,"status":429,"retry_after":"2"},{"name":"503","count":1,"status":503}]`
	if got.status != 200 || compact(t, got.body) != compact(t, want) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	got = do(t, client, "POST", s.URL()+"/sandbox/faults", `{"name":"latency","delay":"1ms"}`)
	if want := strings.TrimSuffix(want, "]") + `,{"name":"latency","count":1,"delay":"1ms"}]`; compact(t, got.body) != compact(t, want) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for _, want := range []int{429, 429, 503, 202} {
		if got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d")); got.status != want {
			t.Errorf("got %d, want %d", got.status, want)
		}
	}
	if got := do(t, client, "POST", s.URL()+"/sandbox/faults", `[{"name":"500"},{"name":"nonsense"}]`); got.status != 400 || !strings.Contains(got.body, "unknown fault") || len(s.Faults()) != 0 {
		t.Errorf("got %d %s, %d faults", got.status, got.body, len(s.Faults()))
	}
	if got := do(t, client, "POST", s.URL()+"/sandbox/faults", strings.Repeat(" ", maxSandboxBody+1)); got.status != 400 {
		t.Errorf("got %d for a body without an end", got.status)
	}
	if got := do(t, client, "POST", s.URL()+"/sandbox/reset", ""); got.status != 204 || len(s.Incidents())+len(s.Journal()) != 0 {
		t.Errorf("got %d, %d incidents", got.status, len(s.Incidents()))
	}
}

func TestSandboxRoutes(t *testing.T) {
	s := NewServer(t)
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"GET", "/favicon.ico", 404},
		{"GET", "/sandbox/", 404},
		{"GET", "/sandbox/reset", 405},
		{"DELETE", "/sandbox/journal", 405},
		{"POST", "/sandbox/incidents", 405},
		{"POST", "/sandbox/nothing", 404},
		{"HEAD", "/sandbox/journal", 200},
	} {
		if got := do(t, plainClient(t), tt.method, s.URL()+tt.path, ""); got.status != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, got.status, tt.want)
		}
	}
}

func TestSandboxWritesAreForThisMachine(t *testing.T) {
	s := NewServer(t, Options{Hosts: []string{"sandbox.test"}})
	_, port, _ := net.SplitHostPort(s.Addr())
	tests := []struct {
		name   string
		header []string
		want   int
	}{
		{"as it is", nil, 204},
		{"localhost", []string{"Host", "LOCALHOST:" + port}, 204},
		{"localhost with a dot", []string{"Host", "localhost."}, 204},
		{"IPv6 loopback", []string{"Host", "[::1]:" + port}, 204},
		{"named in the options", []string{"Host", "sandbox.test:9480"}, 204},
		{"same origin", []string{"Origin", s.URL()}, 204},
		{"a name that was bent to us", []string{"Host", "evil.example:" + port}, 403},
		{"with the page of that name", []string{"Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin"}, 403},
		{"a name that only begins right", []string{"Host", "localhost.evil.example"}, 403},
		{"an address that is not ours", []string{"Host", "192.0.2.1:" + port}, 403},
		{"cross-site by the browser's word", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"cross-origin by the origin", []string{"Origin", "https://evil.example"}, 403},
		{"no origin to tell", []string{"Origin", "null"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/sandbox/reset", "/sandbox/faults"} {
				want := tt.want
				if path == "/sandbox/faults" && want == 204 {
					want = 200
				}
				if got := do(t, plainClient(t), "POST", s.URL()+path, "500", tt.header...); got.status != want {
					t.Errorf("%s: got %d %s, want %d", path, got.status, got.body, want)
				}
			}
		})
	}
}

// TestSandboxOwnAddress: the address that the request came to counts as its own.
func TestSandboxOwnAddress(t *testing.T) {
	e := New(Options{})
	for _, tt := range []struct {
		host string
		want int
	}{{"192.0.2.7:9480", 204}, {"192.0.2.8:9480", 403}} {
		r := httptest.NewRequest("POST", "/sandbox/reset", nil)
		r.Host = tt.host
		local := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 9480}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r.WithContext(contextWith(r, local)))
		if w.Code != tt.want {
			t.Errorf("%s: got %d, want %d", tt.host, w.Code, tt.want)
		}
	}
}

func TestPage(t *testing.T) {
	s := hostileServer(t)
	got := do(t, plainClient(t), "GET", s.URL()+"/", "")
	if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %v", got.status, got.header)
	}
	if found := leaks(got.body); found != nil {
		t.Errorf("the page shows %q", found)
	}
	// Of all that came in, nothing is an element: what is there is ours.
	for _, tag := range tags(got.body) {
		if !slices.Contains([]string{
			"!doctype", "html", "head", "meta", "title", "style", "body", "header", "main", "h1", "h2", "p", "a", "div", "table", "thead", "tbody",
			"tr", "th", "td", "ol", "li", "code", "details", "summary", "pre",
		}, tag) {
			t.Errorf("the page has an element %q", tag)
		}
	}
	for _, want := range []string{
		`&lt;/td&gt;&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&#39;&#34;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;lt;` + "\ufffdevil",
		`<td class="triggered">triggered</td>`, Fingerprint(testKey), "2 open", `http-equiv="refresh"`, "202 Accepted, opened", "400 Bad Request, refused", "somebody is paged",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, bad := range []string{"onerror=alert(1)>", "\u202e", "javascript:", "%!"} {
		if strings.Contains(got.body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if held := do(t, plainClient(t), "GET", s.URL()+"/?hold", ""); strings.Contains(held.body, "http-equiv") {
		t.Error("the page does not hold still")
	}
}

// tags lists the elements of a page, as a browser would see them.
func tags(page string) []string {
	var found []string
	for part := range strings.SplitSeq(page, "<") {
		name := strings.ToLower(strings.TrimPrefix(part, "/"))
		if end := strings.IndexFunc(name, func(r rune) bool { return r != '!' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }); end > 0 {
			found = append(found, name[:end])
		}
	}
	return found
}

func TestPageTellsTheLife(t *testing.T) {
	s := NewServer(t)
	client := plainClient(t)
	if got := do(t, client, "GET", s.URL()+"/", ""); !strings.Contains(got.body, "None yet") {
		t.Errorf("got %s", got.body)
	}
	for _, action := range []string{"trigger", "trigger", "acknowledge", "resolve"} {
		post(t, client, s.URL()+pathAlert, minimal(action, "db1/disk"))
	}
	s.Inject(Fault{Name: FaultResetBefore})
	if _, err := try(client, s.URL()+pathAlert, minimal("trigger", "db1/disk")); err == nil {
		t.Error("got an answer")
	}
	post(t, client, s.URL()+pathAlert, minimal("trigger", "other"))
	post(t, client, s.URL()+pathAlert, minimal("resolve", "nothing"))
	page := do(t, client, "GET", s.URL()+"/", "").body
	for _, want := range []string{"trigger, somebody is paged: disk full", "acknowledge: disk full", "resolve: disk full", `<td class="resolved">resolved</td>`, `<td class="bad">no answer, fault reset-before</td>`, `<td class="odd">202 Accepted, dropped</td>`, "<title>1 open"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if open, closed := strings.Index(page, `class="triggered"`), strings.Index(page, `class="resolved"`); open > closed {
		t.Error("what is open does not stand first")
	}
}

// TestPagePolicy: a browser that obeys the policy runs nothing and loads nothing
// but the style that is ours.
func TestPagePolicy(t *testing.T) {
	s := NewServer(t)
	got := do(t, plainClient(t), "GET", s.URL()+"/", "")
	policy := got.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		t.Errorf("got the policy %s", policy)
	}
	_, style, _ := strings.Cut(got.body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	if want := "style-src " + hashSource(style); !strings.Contains(policy, want) {
		t.Errorf("the policy does not allow the page's style: %s", policy)
	}
	if strings.Contains(got.body, " style=") || strings.Contains(got.body, "<script") {
		t.Error("the page has what its policy forbids")
	}
	if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Referrer-Policy") != "no-referrer" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %v", got.header)
	}
}

func TestPageIsBounded(t *testing.T) {
	s := NewServer(t, Options{Limit: -1})
	client := plainClient(t)
	for i := range pageIncidents + 5 {
		post(t, client, s.URL()+pathAlert, minimal("trigger", fmt.Sprint("d", i)))
	}
	for range 30 {
		post(t, client, s.URL()+pathAlert, minimal("trigger", "d7"))
	}
	page := do(t, client, "GET", s.URL()+"/", "").body
	if got := strings.Count(page, `<td class="triggered">`); got != pageIncidents || !strings.Contains(page, "5 more at /sandbox/incidents") {
		t.Errorf("got %d incidents on the page", got)
	}
	if got := strings.Count(page, "<details>"); got != pageRequests {
		t.Errorf("got %d requests on the page, want %d", got, pageRequests)
	}
	if !strings.Contains(page, `<ol start="22">`) {
		t.Error("a long timeline is not cut to its last ten")
	}
}

var _ http.Handler = New(Options{}) // the emulator alone, for a server of one's own
