package pagerdutytest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// overEach runs a test over HTTP/1.1, HTTP/1.1 in TLS, and HTTP/2.
func overEach(t *testing.T, o Options, test func(t *testing.T, s *Server, client *http.Client)) {
	t.Helper()
	protocols := []struct {
		name  string
		serve func(TB, ...Options) *Server
		h2    bool
		proto string
	}{
		{"HTTP1", NewServer, false, "HTTP/1.1"},
		{"HTTP1 TLS", NewTLSServer, false, "HTTP/1.1"},
		{"HTTP2", NewTLSServer, true, "HTTP/2.0"},
	}
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			s := p.serve(t, o)
			client := clientOf(t, &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: s.CertPool()},
				ForceAttemptHTTP2: p.h2,
			})
			test(t, s, client)
			for _, x := range s.Journal() {
				if x.Proto != p.proto {
					t.Errorf("request %d: got %s, want %s", x.Number, x.Proto, p.proto)
				}
			}
		})
	}
}

func TestEventLife(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		for _, step := range []struct {
			action string
			want   func(*Want) Incident
		}{{"trigger", (*Want).Triggered}, {"acknowledge", (*Want).Acknowledged}, {"resolve", (*Want).Resolved}} {
			got := post(t, client, s.URL()+pathAlert, minimal(step.action, "db1/disk"))
			want := `{"status":"success","message":"Event processed","dedup_key":"db1/disk"}`
			if got.status != http.StatusAccepted || got.body != want || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: got %d %s", step.action, got.status, got.body)
			}
			if i := step.want(s.WantIncident(t, "db1/disk")); i.Summary != "disk full" || i.Severity != "critical" || i.Source != "db1" {
				t.Errorf("%s: got %+v", step.action, i)
			}
		}
		if got := s.Connections(); got != 1 {
			t.Errorf("got %d connections, want 1 for all", got)
		}
		for i, x := range s.Journal() {
			if x.Number != i+1 || x.Conn != 1 || x.Target != s.Addr() || x.Method != "POST" || x.Path != pathAlert || x.Key != Fingerprint(testKey) ||
				x.Status != 202 || string(x.Body) != minimal(x.Action, "db1/disk") || x.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got entry %+v", x)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	s := NewServer(t, Options{Keys: []string{testKey}})
	client := plainClient(t)
	const invalid = `{"status":"invalid event","message":"Event object is invalid","errors":[`
	large := strings.Replace(minimal("trigger", "d"), "disk full", strings.Repeat("x", maxBody), 1)
	tests := []struct {
		name, method, path, contentType, body string
		status                                int
		want                                  string
	}{
		{"nothing in it", "POST", pathAlert, "application/json", `{}`, 400, invalid + `"'routing_key' cannot be blank","'event_action' is missing or blank"]}`},
		{"no JSON", "POST", pathAlert, "application/json", `{`, 400, `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":["JSON parse error"]}`},
		{"empty", "POST", pathAlert, "application/json", ``, 400, `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":["JSON parse error"]}`},
		{"change: no JSON", "POST", pathChange, "application/json", `[]`, 400, `{"error":["JSON parse error"]}`},
		{"change: invalid", "POST", pathChange, "application/json", `{}`, 400, `{"error":["routing_key can't be blank","payload can't be blank"]}`},
		{"too large", "POST", pathAlert, "application/json", large, 400, invalid + `"Event is too large (maximum is 512000 bytes)"]}`},
		{"key that does not exist", "POST", pathAlert, "application/json", strings.Replace(minimal("trigger", "d"), testKey, otherKey, 1), 400, `Invalid routing key`},
		{"GET", "GET", pathAlert, "", ``, 405, `{"status":"error","message":"Method Not Allowed"}`},
		{"PUT", "PUT", pathAlert, "application/json", minimal("trigger", "d"), 405, `{"status":"error","message":"Method Not Allowed"}`},
		{"form", "POST", pathAlert, "application/x-www-form-urlencoded", minimal("trigger", "d"), 415, `{"status":"error","message":"Content-Type must be application/json"}`},
		{"no type", "POST", pathAlert, "", minimal("trigger", "d"), 415, `{"status":"error","message":"Content-Type must be application/json"}`},
		{"type with charset", "POST", pathAlert, "application/json; charset=UTF-8", minimal("trigger", "d"), 202, `{"status":"success","message":"Event processed","dedup_key":"d"}`},
		{"type with another charset", "POST", pathAlert, "application/json; charset=latin1", minimal("trigger", "d"), 415, `{"status":"error","message":"Content-Type must be application/json"}`},
		{"elsewhere", "POST", "/v1/enqueue", "application/json", minimal("trigger", "d"), 404, `{"status":"not found","message":"Not Found"}`},
		{"post to the page", "POST", "/", "application/json", minimal("trigger", "d"), 404, `{"status":"not found","message":"Not Found"}`},
		{"change", "POST", pathChange, "application/json", change(`{"summary":"deployed"}`, ""), 202, `{"status":"success","message":"Change event processed"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := do(t, client, tt.method, s.URL()+tt.path, tt.body, "Content-Type", tt.contentType)
			if got.status != tt.status || got.body != tt.want {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, tt.status, tt.want)
			}
			if allow := got.header.Get("Allow"); (tt.status == 405) != (allow == "POST") {
				t.Errorf("got Allow %q with %d", allow, tt.status)
			}
			journal := s.Journal()
			last := journal[len(journal)-1]
			if last.Status != tt.status || string(last.Answer) != tt.want || last.Method != tt.method || last.Path != tt.path {
				t.Errorf("got entry %s", last)
			}
			if (tt.status >= 400) != (last.Outcome == OutcomeRefused) {
				t.Errorf("got outcome %q with %d", last.Outcome, tt.status)
			}
			if want := min(len(tt.body), maxBody+1); len(last.Body) != want {
				t.Errorf("got %d bytes of the body, want %d", len(last.Body), want)
			}
		})
	}
	if got, changes := len(s.Incidents()), len(s.Changes()); got != 1 || changes != 1 {
		t.Errorf("got %d incidents and %d changes of what was not refused, want 1 and 1", got, changes)
	}
	if got := s.Changes()[0]; got.Summary != "deployed" || got.RoutingKey != Fingerprint(testKey) {
		t.Errorf("got %+v", got)
	}
}

func TestBodyOfExactlyTheLimit(t *testing.T) {
	s := NewServer(t)
	body := withPayload(`{"summary":"s","source":"h","severity":"info","custom_details":{"a":""}}`)
	for _, tt := range []struct{ size, want int }{{maxBody, 202}, {maxBody + 1, 400}} {
		filled := strings.Replace(body, `""`, `"`+strings.Repeat("x", tt.size-len(body))+`"`, 1)
		if got := post(t, plainClient(t), s.URL()+pathAlert, filled); len(filled) != tt.size || got.status != tt.want {
			t.Errorf("%d bytes: got %d, want %d", len(filled), got.status, tt.want)
		}
	}
}

// TestBodyFarOverTheLimit: its sender hears the answer, and the connection lives.
func TestBodyFarOverTheLimit(t *testing.T) {
	s := NewServer(t)
	client := plainClient(t)
	for range 2 {
		if got := post(t, client, s.URL()+pathAlert, strings.Repeat("x", 8<<20)); got.status != 400 || !strings.Contains(got.body, "too large") {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	if got := s.Connections(); got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}

func TestLenientServer(t *testing.T) {
	s := NewServer(t, Options{Lenient: true})
	got := do(t, plainClient(t), "POST", s.URL()+pathAlert, with(`"details":{"lost":true}`), "Content-Type", "text/plain")
	if got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestDedupKeyIsMade(t *testing.T) {
	s := NewServer(t)
	seen := make(map[string]bool)
	for _, key := range []string{"", "  "} {
		got := post(t, plainClient(t), s.URL()+pathAlert, minimal("trigger", key))
		var answer struct {
			DedupKey string `json:"dedup_key"`
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.DedupKey) != 36 || seen[answer.DedupKey] {
			t.Errorf("got %q, want a new UUID", answer.DedupKey)
		}
		seen[answer.DedupKey] = true
		s.WantIncident(t, answer.DedupKey).Triggered()
	}
}

func TestDedupKeyComesBackAsItWas(t *testing.T) {
	s := NewServer(t)
	got := post(t, plainClient(t), s.URL()+pathAlert, minimal("trigger", "a<b>&'c' é"))
	if want := `"dedup_key":"a<b>&'c' é"`; !strings.Contains(got.body, want) {
		t.Errorf("got %s, want %s", got.body, want)
	}
}

func TestDroppedIsRemembered(t *testing.T) {
	s := NewServer(t)
	got := post(t, plainClient(t), s.URL()+pathAlert, minimal("resolve", "never opened"))
	if x := s.Journal()[0]; got.status != 202 || x.Outcome != OutcomeDropped || len(s.Incidents()) != 0 {
		t.Errorf("got %d, outcome %q and %d incidents", got.status, x.Outcome, len(s.Incidents()))
	}
}

func TestRateLimitIsSharedByTheEndpoints(t *testing.T) {
	var mu sync.Mutex
	now := epoch
	s := NewServer(t, Options{Limit: 2, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	client := plainClient(t)
	send := func(path, body string, want int) {
		t.Helper()
		if got := post(t, client, s.URL()+path, body); got.status != want {
			t.Errorf("got %d %s, want %d", got.status, got.body, want)
		}
	}
	send(pathAlert, minimal("trigger", "a"), 202)
	send(pathAlert, `{}`, 400) // does not count
	send(pathChange, change(`{"summary":"s"}`, ""), 202)
	got := post(t, client, s.URL()+pathAlert, minimal("trigger", "b"))
	want := `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later."}`
	if got.status != 429 || got.body != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
	send(pathAlert, strings.Replace(minimal("trigger", "a"), testKey, otherKey, 1), 202)
	if journal := s.Journal(); len(s.Incidents()) != 2 || journal[3].Outcome != OutcomeThrottled {
		t.Errorf("got %d incidents, outcome %s", len(s.Incidents()), journal[3].Outcome)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	send(pathAlert, minimal("trigger", "b"), 202)
	s.Reset()
	if len(s.Journal())+len(s.Incidents())+len(s.Changes()) != 0 {
		t.Error("Reset left something")
	}
	send(pathAlert, minimal("trigger", "b"), 202)
	send(pathAlert, minimal("trigger", "b"), 202)
}

func TestDefaultLimit(t *testing.T) {
	e := New(Options{Now: func() time.Time { return epoch }})
	for i := range DocumentedLimit + 1 {
		_, outcome := e.accept(verdict{event: alert(testKey, "trigger", "d", "s")})
		if (outcome == OutcomeThrottled) != (i == DocumentedLimit) {
			t.Fatalf("event %d: got %s", i+1, outcome)
		}
	}
}

func TestJournalIsBounded(t *testing.T) {
	s := NewServer(t, Options{MaxEntries: 2})
	for _, key := range []string{"a", "b", "c"} {
		post(t, plainClient(t), s.URL()+pathAlert, minimal("trigger", key))
	}
	if got := s.Journal(); len(got) != 2 || got[0].DedupKey != "b" || got[1].Number != 3 {
		t.Errorf("got %v", got)
	}
}

func TestFaultStatus(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		tests := []struct {
			fault       Fault
			status      int
			body, ctype string
			retryAfter  string
			incidents   int
		}{
			{Fault{Name: "429"}, 429, `{"status":"throttle exceeded","message":"` + throttleMessage + `"}`, "application/json", "", 0},
			{Fault{Name: "429-retry-after"}, 429, `{"status":"throttle exceeded","message":"` + throttleMessage + `"}`, "application/json", "1", 0},
			{Fault{Name: "503", RetryAfter: "Wed, 21 Oct 2015 07:28:00 GMT"}, 503, `{"status":"error","message":"Service Unavailable"}`, "application/json", "Wed, 21 Oct 2015 07:28:00 GMT", 0},
			{Fault{Name: "500", Body: "<html>oops</html>"}, 500, "<html>oops</html>", "text/html; charset=utf-8", "", 0},
			{Fault{Name: "502", Body: "bad gateway"}, 502, "bad gateway", "text/plain; charset=utf-8", "", 0},
			{Fault{Name: "400", Body: `{"error":["x"]}`}, 400, `{"error":["x"]}`, "application/json", "", 0},
			{Fault{Name: "429", NoBody: true}, 429, "", "", "", 0},
			{Fault{Name: "204"}, 204, "", "", "", 0},
			{Fault{Name: "301", Header: http.Header{"Location": {"https://elsewhere.example/"}}}, 301, `{"status":"error","message":"Moved Permanently"}`, "application/json", "", 0},
			{Fault{Name: "500", After: true}, 500, `{"status":"error","message":"Internal Server Error"}`, "application/json", "", 1},
		}
		for _, tt := range tests {
			s.Reset()
			s.Inject(tt.fault)
			got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d"))
			if got.status != tt.status || got.body != tt.body || got.header.Get("Content-Type") != tt.ctype || got.header.Get("Retry-After") != tt.retryAfter {
				t.Errorf("%s: got %d %q %v", tt.fault.Name, got.status, got.body, got.header)
			}
			if want := tt.fault.Header.Get("Location"); got.header.Get("Location") != want {
				t.Errorf("%s: got header %v", tt.fault.Name, got.header)
			}
			if x := s.Journal()[0]; x.Fault != tt.fault.Name || x.Status != tt.status || string(x.Answer) != tt.body || len(s.Incidents()) != tt.incidents {
				t.Errorf("%s: got %d incidents, entry %s", tt.fault.Name, len(s.Incidents()), x)
			}
			if got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d")); got.status != 202 {
				t.Errorf("after %s: got %d", tt.fault.Name, got.status)
			}
		}
	})
}

func TestFaultRetryAfterAsDateFromNow(t *testing.T) {
	s := NewServer(t, Options{Now: func() time.Time { return epoch }})
	s.Inject(Fault{Name: "429", RetryAfter: "date+30s"}, Fault{Name: "429", RetryAfter: "date+soon"})
	for _, want := range []string{"Sun, 01 Mar 2026 10:00:30 GMT", "date+soon"} {
		if got := post(t, plainClient(t), s.URL()+pathAlert, minimal("trigger", "d")); got.header.Get("Retry-After") != want {
			t.Errorf("got Retry-After %q, want %q", got.header.Get("Retry-After"), want)
		}
	}
}

func TestFaultReset(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		for _, tt := range []struct {
			fault     string
			incidents int
			outcome   string
		}{{FaultResetBefore, 0, ""}, {FaultResetAfter, 1, OutcomeOpened}} {
			s.Reset()
			s.Inject(Fault{Name: tt.fault})
			got, err := try(client, s.URL()+pathAlert, minimal("trigger", "d"))
			if err == nil {
				t.Fatalf("%s: got %d %s, want no answer", tt.fault, got.status, got.body)
			}
			// Over HTTP/2 the stream is reset and the connection lives.
			if s.Journal()[0].Proto == "HTTP/1.1" && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: got %v, want a TCP reset", tt.fault, err)
			}
			if x := s.Journal()[0]; len(s.Incidents()) != tt.incidents || x.Outcome != tt.outcome || x.Status != 0 || x.Fault != tt.fault || x.Answer != nil {
				t.Errorf("%s: got %d incidents, entry %s", tt.fault, len(s.Incidents()), x)
			}
			if got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d")); got.status != 202 || len(s.Incidents()) != 1 {
				t.Errorf("after %s: got %d and %d incidents", tt.fault, got.status, len(s.Incidents()))
			}
		}
		wantConns := 1
		if s.Journal()[0].Proto == "HTTP/1.1" {
			wantConns = 3
		}
		if got := s.Connections(); got != wantConns {
			t.Errorf("got %d connections, want %d", got, wantConns)
		}
	})
}

func TestFaultHalfBody(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		s.Inject(Fault{Name: FaultHalfBody}, Fault{Name: FaultHalfBody, Status: 503})
		for _, tt := range []struct {
			status    int
			whole     string
			incidents int
		}{
			{202, `{"status":"success","message":"Event processed","dedup_key":"d"}`, 1},
			{503, `{"status":"error","message":"Service Unavailable"}`, 1},
		} {
			resp, err := client.Post(s.URL()+pathAlert, "application/json", strings.NewReader(minimal("trigger", "d")))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			half := tt.whole[:len(tt.whole)/2]
			if err == nil || string(body) != half || resp.StatusCode != tt.status || resp.ContentLength != int64(len(tt.whole)) {
				t.Errorf("got %d, %q of %d bytes, error %v, want an error after %q", resp.StatusCode, body, resp.ContentLength, err, half)
			}
			journal := s.Journal()
			if x := journal[len(journal)-1]; string(x.Answer) != half || len(s.Incidents()) != tt.incidents {
				t.Errorf("got %d incidents, entry %s", len(s.Incidents()), x)
			}
		}
	})
}

func TestFaultGoaway(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		s.Inject(Fault{Name: FaultGoaway})
		for i, wantConns := range []int{1, 2, 2} {
			if got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d")); got.status != 202 {
				t.Errorf("request %d: got %d", i+1, got.status)
			}
			if got := s.Connections(); got != wantConns {
				t.Errorf("after request %d: got %d connections, want %d", i+1, got, wantConns)
			}
		}
		if x := s.Journal(); x[0].Fault != FaultGoaway || x[0].Conn == x[1].Conn || x[1].Conn != x[2].Conn {
			t.Errorf("got %v", x)
		}
	})
}

func TestFaultHangEndsWithTheClient(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		s.Inject(Fault{Name: FaultHang}, Fault{Name: FaultHang, After: true})
		for incidents := range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+pathAlert, strings.NewReader(minimal("trigger", "d")))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			failed := make(chan error, 1)
			go func() {
				resp, err := client.Do(req)
				if err == nil {
					_ = resp.Body.Close()
				}
				failed <- err
			}()
			until(t, s.Emulator, func() bool { x := s.Journal(); return len(x) == incidents+1 && x[incidents].Fault == FaultHang })
			until(t, s.Emulator, func() bool { return len(s.Incidents()) == incidents })
			select {
			case err := <-failed:
				t.Fatalf("got %v while the server hangs", err)
			default:
			}
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d")); got.status != 202 {
			t.Errorf("after the hang: got %d", got.status)
		}
	})
}

func TestFaultHangEndsWithTheServer(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		s.Inject(Fault{Name: FaultHang})
		failed := make(chan error, 1)
		go func() {
			_, err := try(client, s.URL()+pathAlert, minimal("trigger", "d"))
			failed <- err
		}()
		until(t, s.Emulator, func() bool { x := s.Journal(); return len(x) == 1 && x[0].Fault == FaultHang })
		s.Close()
		if err := <-failed; err == nil {
			t.Error("got an answer from a server that hung until it was closed")
		}
	})
}

func TestFaultLatency(t *testing.T) {
	overEach(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		for _, after := range []bool{false, true} {
			s.Reset()
			s.Inject(Fault{Name: FaultLatency, Delay: 30 * time.Millisecond, After: after})
			start := time.Now()
			got := post(t, client, s.URL()+pathAlert, minimal("trigger", "d"))
			if took := time.Since(start); got.status != 202 || took < 30*time.Millisecond || s.Journal()[0].Fault != FaultLatency {
				t.Errorf("got %d after %s", got.status, took)
			}
		}
	})
}

func TestLatencyOutlastsTheClient(t *testing.T) {
	for _, after := range []bool{false, true} {
		s := NewServer(t)
		s.Inject(Fault{Name: FaultLatency, Delay: time.Hour, After: after})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", s.URL()+pathAlert, strings.NewReader(minimal("trigger", "d")))
			req.Header.Set("Content-Type", "application/json")
			resp, err := plainClient(t).Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			failed <- err
		}()
		until(t, s.Emulator, func() bool {
			x := s.Journal()
			return len(x) == 1 && x[0].Fault != "" && (!after || len(s.Incidents()) == 1)
		})
		cancel()
		if err := <-failed; err == nil {
			t.Error("got an answer")
		}
		until(t, s.Emulator, func() bool { return s.Journal()[0].Status == 0 })
		if got := len(s.Incidents()); (got == 1) != after {
			t.Errorf("after %v: got %d incidents", after, got)
		}
	}
}

// TestSenderThatLeaves: a request whose body never comes whole is in the journal.
func TestSenderThatLeaves(t *testing.T) {
	s := NewServer(t)
	body, send := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+pathAlert, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 100
	failed := make(chan error, 1)
	go func() {
		resp, err := plainClient(t).Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	if _, err := io.WriteString(send, `{"routing`); err != nil {
		t.Fatal(err)
	}
	_ = send.CloseWithError(errors.New("the sender stumbled"))
	if err := <-failed; err == nil {
		t.Error("got an answer")
	}
	until(t, s.Emulator, func() bool { x := s.Journal(); return len(x) == 1 && string(x[0].Body) == `{"routing` })
	if x := s.Journal()[0]; x.Status != 0 || x.Outcome != "" {
		t.Errorf("got %s", x)
	}
}

// TestManyAtOnce: requests from everywhere, and each is there once.
func TestManyAtOnce(t *testing.T) {
	overEach(t, Options{Limit: -1}, func(t *testing.T, s *Server, client *http.Client) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					if got, err := try(client, s.URL()+pathAlert, minimal("trigger", "d")); err != nil || got.status != 202 {
						t.Errorf("got %d, %v", got.status, err)
					}
				}
			})
		}
		all.Wait()
		if got := s.WantIncident(t, "d").Triggered(); got.Events != 160 || len(s.Journal()) != 160 {
			t.Errorf("got %d events and %d entries, want 160", got.Events, len(s.Journal()))
		}
	})
}
