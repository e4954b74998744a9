package pagerduty

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
	"pgregory.net/rapid"
)

// server is the other end of an HTTP client without a network in between: it
// remembers every body and gives the prepared answers, then 202 for ever.
type server struct {
	answers []answer
	bodies  []string
	times   []time.Time
	hosts   []string
	look    func() // called for each request
	hang    int    // so many requests get no answer
}

type answer struct {
	status     int
	retryAfter string
	body       string
	err        error
}

func (s *server) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	s.bodies, s.times, s.hosts = append(s.bodies, string(body)), append(s.times, time.Now()), append(s.hosts, req.URL.Host)
	if s.look != nil {
		s.look()
	}
	if s.hang > 0 {
		s.hang--
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	a := answer{status: 202}
	if len(s.answers) > 0 {
		a, s.answers = s.answers[0], s.answers[1:]
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.body == "" && a.status == 202 {
		a.body = `{"status":"success","message":"Event processed"}`
	}
	header := http.Header{}
	if a.retryAfter != "" {
		header.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
}

// get returns a member of a body by its path.
func get(t testing.TB, body string, path ...string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	text, _ := value.(string)
	return text
}

func service(t testing.TB, rawURL string, to *server, opts Options) *Service {
	opts.HTTPClient = to
	return New(mustParse(t, rawURL), opts)
}

const testURL = "pagerduty:///" + testKey

var refusedDial = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// The same bytes go out on every attempt, at the times that the policy says.
func TestDeliverTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &server{answers: []answer{{status: 500}, {status: 429, retryAfter: "30"}, {err: refusedDial}, {status: 408}}}
		var attempts []types.Attempt
		s := service(t, testURL+"?source=db-1", to, Options{SenderOptions: types.SenderOptions{OnAttempt: func(a types.Attempt) { attempts = append(attempts, a) }}})
		start := time.Now()
		receipt, err := s.Deliver(t.Context(), "Disk full", nil)
		if err != nil || receipt.Attempts != 5 || receipt.Status != 202 || !receipt.Matched || receipt.Message != "Event processed" {
			t.Fatalf("%+v, %v", receipt, err)
		}
		for _, body := range to.bodies {
			if body != to.bodies[0] || get(t, body, "payload", "timestamp") != start.UTC().Format("2006-01-02T15:04:05.000Z") {
				t.Errorf("an attempt sent another body: %s", body)
			}
		}
		if receipt.DedupKey != get(t, to.bodies[0], "dedup_key") {
			t.Errorf("the receipt's dedup key %q was not sent", receipt.DedupKey)
		}
		if len(attempts) != 5 {
			t.Fatalf("%d attempts were told", len(attempts))
		}
		for i, a := range attempts {
			last := i == len(attempts)-1
			if a.Number != i+1 || a.Host != DefaultHost || a.Action != "trigger" || a.DedupKey != receipt.DedupKey || (a.Err == nil) != last || (a.Wait == 0) != last {
				t.Errorf("attempt %d was told as %+v", i+1, a)
			}
			if !last {
				if waited := to.times[i+1].Sub(to.times[i]); waited != a.Wait {
					t.Errorf("attempt %d announced a wait of %v, it was %v", i+1, a.Wait, waited)
				}
			}
		}
		if w := attempts[1].Wait; w < 30*time.Second {
			t.Errorf("Retry-After was undercut: %v", w)
		}
	})
}

const invalidEvent = `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.source' is missing or blank"]}`

func TestDeliverGivesUp(t *testing.T) {
	for _, tc := range []struct {
		name     string
		answers  []answer
		opts     types.SenderOptions
		attempts int
		within   time.Duration
		is       error
	}{
		{"refused", []answer{{status: 400, body: invalidEvent}}, types.SenderOptions{}, 1, 0, nil},
		{"invalid key", []answer{{status: 400, body: "Invalid routing key"}}, types.SenderOptions{}, 1, 0, eventsv2.ErrInvalidKey},
		{"unauthorized", []answer{{status: 401, body: invalidEvent}}, types.SenderOptions{}, 1, 0, eventsv2.ErrUnauthorized},
		{"a proxy's word", []answer{{status: 400, body: "<html>"}}, types.SenderOptions{RetryFor: -1}, 1, 0, nil},
		{"one attempt", []answer{{status: 500}}, types.SenderOptions{RetryFor: -1}, 1, 0, nil},
		{"long Retry-After", []answer{{status: 429, retryAfter: "600"}}, types.SenderOptions{}, 1, 0, eventsv2.ErrRateLimited},
		{"five minutes", nil, types.SenderOptions{}, 8, 5 * time.Minute, nil},
		{"timeout stands above", nil, types.SenderOptions{Timeout: 3 * time.Second, RetryFor: time.Hour}, 2, 3 * time.Second, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &server{answers: tc.answers}
				if to.answers == nil {
					for range 1000 {
						to.answers = append(to.answers, answer{status: 503})
					}
				}
				start := time.Now()
				_, err := service(t, testURL, to, Options{SenderOptions: tc.opts}).Deliver(t.Context(), "m", nil)
				var failed *DeliveryError
				if !errors.As(err, &failed) || failed.Attempts < tc.attempts || failed.Attempts != len(to.bodies) || failed.MaybeAccepted {
					t.Fatalf("got %v after %d requests", err, len(to.bodies))
				}
				if tc.within == 0 && failed.Attempts != tc.attempts {
					t.Errorf("%d attempts, want %d", failed.Attempts, tc.attempts)
				}
				if took := time.Since(start); took > tc.within {
					t.Errorf("took %v, at most %v allowed", took, tc.within)
				}
				if tc.is != nil && !errors.Is(err, tc.is) {
					t.Errorf("%v is not %v", err, tc.is)
				}
				if !strings.Contains(err.Error(), failed.DedupKey) {
					t.Errorf("the error does not tell the dedup key: %v", err)
				}
			})
		})
	}
}

// An attempt that hangs does not use up a short Timeout: another one fits in.
func TestAHangingAttemptLeavesTimeForAnother(t *testing.T) {
	for _, tc := range []struct {
		opts    types.SenderOptions
		context time.Duration
		want    int // attempts, of which all hang but the last
	}{
		{types.SenderOptions{Timeout: 10 * time.Second}, 0, 2},
		{types.SenderOptions{Timeout: 4 * time.Second}, 0, 2},
		{types.SenderOptions{RetryFor: 30 * time.Second}, 0, 2},
		{types.SenderOptions{}, 10 * time.Second, 2},
		{types.SenderOptions{}, 0, 3},
		{types.SenderOptions{Timeout: 2 * time.Second}, 0, 1},
		{types.SenderOptions{RetryFor: -1}, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			to := &server{hang: tc.want - 1}
			ctx, cancel := context.WithCancel(t.Context())
			if tc.context > 0 {
				ctx, cancel = context.WithTimeout(ctx, tc.context)
			}
			defer cancel()
			receipt, err := service(t, testURL, to, Options{SenderOptions: tc.opts}).Deliver(ctx, "m", nil)
			if err != nil || receipt.Attempts != tc.want {
				t.Errorf("%+v, context %v: %d attempts, %v", tc.opts, tc.context, len(to.bodies), err)
			}
		})
	}
}

// Who sends without a receipt hears of a warning by the loggers.
func TestWarningsAreLogged(t *testing.T) {
	var lines, records bytes.Buffer
	s := service(t, testURL, &server{}, Options{SenderOptions: types.SenderOptions{Logger: slog.New(slog.NewTextHandler(&records, nil))}})
	s.SetLogger(log.New(&lines, "", 0))
	if err := s.Send("m", &types.Params{"contexts": "link:https://a"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(lines.String(), "old") || !strings.Contains(records.String(), "level=WARN") || !strings.Contains(records.String(), "old") {
		t.Errorf("logged %q and %q", lines.String(), records.String())
	}
	receipt, err := s.Deliver(t.Context(), "m", &types.Params{"contexts": "link:https://a"})
	if err != nil || len(receipt.Warnings) != 1 {
		t.Errorf("%+v, %v", receipt, err)
	}
}

// Two alerts under one title or one first line are two incidents, a repetition is
// none, and two machines with one message are two unless they name a source.
func TestWhatIsTheSameIssue(t *testing.T) {
	key := func(machine, message string, params *types.Params) string {
		t.Helper()
		p, err := New(mustParse(t, testURL), Options{Machine: machine}).Prepare(message, params, ledgerStart)
		if err != nil {
			t.Fatal(err)
		}
		return p.Event.DedupKey
	}
	title := &types.Params{"title": "DDNS Updater"}
	source := &types.Params{"source": "db"}
	for name, pair := range map[string]struct {
		a, b string
		same bool
	}{
		"a repetition":          {key("a", "m", nil), key("a", "m", nil), true},
		"one title":             {key("a", "m", title), key("a", "n", title), false},
		"one first line":        {key("a", "m\n1", nil), key("a", "m\n2", nil), false},
		"two machines":          {key("a", "m", nil), key("b", "m", nil), false},
		"two machines, source":  {key("a", "m", source), key("b", "m", source), true},
		"details":               {key("a", "m", &types.Params{"details": "a=1"}), key("a", "m", nil), true},
		"the name of the host":  {key("", "m", nil), key(machineName(), "m", nil), true},
		"another than the host": {key("", "m", nil), key(machineName()+"x", "m", nil), false},
	} {
		if (pair.a == pair.b) != pair.same {
			t.Errorf("%s: %s and %s", name, pair.a, pair.b)
		}
	}
}

// A caller who cancels gets the event's fate at once, and the reason.
func TestDeliverIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &server{answers: []answer{{status: 429}}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		start := time.Now()
		_, err := service(t, testURL, to, Options{}).Deliver(ctx, "m", nil)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, eventsv2.ErrRateLimited) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestDeliverEndsWithTheContextsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &server{}
		for range 100 {
			to.answers = append(to.answers, answer{status: 502})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		_, err := service(t, testURL, to, Options{}).Deliver(ctx, "m", nil)
		var failed *DeliveryError
		if !errors.As(err, &failed) || !failed.MaybeAccepted || time.Since(start) > 20*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// The life cycle of the service page, which names no dedup key anywhere.
func TestLifeCycleWithoutDedupKey(t *testing.T) {
	eachLedger(t, func(t *testing.T, l Ledger) {
		to := &server{}
		s := service(t, testURL, to, Options{Ledger: l})
		trigger := types.Params{"severity": "critical", "source": "web-server-01"}
		opened, err := s.Deliver(t.Context(), "Web server unresponsive", &trigger)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct{ action, message string }{{"acknowledge", "Engineer investigating"}, {"resolve", "Restarted"}} {
			receipt, err := s.Deliver(t.Context(), step.message, &types.Params{"action": step.action})
			if err != nil || receipt.DedupKey != opened.DedupKey || !receipt.Matched || len(receipt.Warnings) > 0 {
				t.Fatalf("%s: %+v, %v", step.action, receipt, err)
			}
			if note := get(t, to.bodies[len(to.bodies)-1], "payload", "summary"); note != step.message {
				t.Errorf("%s: the note is %q", step.action, note)
			}
		}
		again, err := s.Deliver(t.Context(), "Restarted", &types.Params{"action": "resolve"})
		if err != nil || again.Matched || len(again.Warnings) != 1 || !strings.Contains(again.Warnings[0], "no open incident") {
			t.Errorf("a second resolve: %+v, %v", again, err)
		}
	})
}

func TestSeveralOpenIncidents(t *testing.T) {
	eachLedger(t, func(t *testing.T, l Ledger) {
		to := &server{}
		s := service(t, testURL, to, Options{Ledger: l})
		for _, source := range []string{"db-1", "db-2"} {
			if _, err := s.Deliver(t.Context(), "Disk full", &types.Params{"source": source}); err != nil {
				t.Fatal(err)
			}
		}
		sent := len(to.bodies)
		_, err := s.Deliver(t.Context(), "Cleaned", &types.Params{"action": "resolve"})
		var ambiguous *AmbiguousIncidentError
		if !errors.As(err, &ambiguous) || len(ambiguous.Candidates) != 2 || len(to.bodies) != sent {
			t.Fatalf("got %v, and %d requests", err, len(to.bodies)-sent)
		}
		for _, body := range to.bodies {
			if !strings.Contains(err.Error(), get(t, body, "dedup_key")) {
				t.Errorf("the error does not list %s: %v", get(t, body, "dedup_key"), err)
			}
		}
		receipt, err := s.Deliver(t.Context(), "Cleaned", &types.Params{"action": "resolve", "source": "db-2"})
		if err != nil || receipt.DedupKey != get(t, to.bodies[1], "dedup_key") {
			t.Errorf("with a source: %+v, %v", receipt, err)
		}
	})
}

// A trigger whose answer was lost may be open: the ledger has to know it. One
// that was refused is not.
func TestLedgerKnowsWhatMayBeOpen(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer answer
		open   bool
	}{
		{"accepted", answer{status: 202}, true},
		{"answer lost", answer{err: &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}}, true},
		{"never connected", answer{err: refusedDial}, false},
		{"refused", answer{status: 400, body: invalidEvent}, false},
		{"rate limited", answer{status: 429}, false},
	} {
		l := NewMemoryLedger()
		s := service(t, testURL, &server{answers: []answer{tc.answer}}, Options{Ledger: l, SenderOptions: types.SenderOptions{RetryFor: -1}})
		_, err := s.Deliver(t.Context(), "m", nil)
		open, _ := l.Open(time.Now())
		if len(open) == 1 != tc.open {
			t.Errorf("%s (%v): the ledger knows %v", tc.name, err, open)
		}
	}
}

// If the process dies while a trigger is on its way, the next one has to know it.
func TestLedgerKnowsATriggerBeforeItLeaves(t *testing.T) {
	eachLedger(t, func(t *testing.T, l Ledger) {
		known := 0
		to := &server{answers: []answer{{status: 202}, {status: 400, body: invalidEvent}, {status: 400, body: invalidEvent}}}
		to.look = func() {
			open, _ := l.Open(time.Now())
			known = len(open)
		}
		s := service(t, testURL, to, Options{Ledger: l})
		for i, step := range []struct {
			message       string
			during, after int
		}{
			{"a", 1, 1}, // accepted
			{"a", 1, 1}, // refused, but the first one is still open
			{"b", 2, 1}, // refused
		} {
			_, _ = s.Deliver(t.Context(), step.message, nil)
			open, err := l.Open(time.Now())
			if err != nil || known != step.during || len(open) != step.after {
				t.Errorf("step %d: %d known during the request, %d after it, %v", i, known, len(open), err)
			}
		}
	})
}

// What the responder should read is the last thing to go.
func TestTheMessageOutlastsTheDetails(t *testing.T) {
	var details strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&details, "member%d=value&", i)
	}
	s := New(mustParse(t, testURL), Options{})
	p, err := s.Prepare("DB down\nCall Bob, do NOT restart", &types.Params{"details": strings.TrimSuffix(details.String(), "&")}, ledgerStart)
	if err != nil || len(p.Body) > eventsv2.MaxEventBytes || len(p.Warnings) == 0 {
		t.Fatalf("%d bytes, %q, %v", len(p.Body), p.Warnings, err)
	}
	if note := get(t, string(p.Body), "payload", "custom_details", "message"); !strings.Contains(note, "do NOT restart") {
		t.Errorf("the message is %q", note)
	}
}

// The same incident goes by the same integration key, also when the set of keys
// has changed since it was opened.
func TestKeysStickToTheIncident(t *testing.T) {
	const third = "33333333333333333333333333333333"
	for i := range 20 {
		l := NewMemoryLedger()
		to := &server{}
		params := types.Params{"dedup_key": "web/" + string(rune('a'+i))}
		if _, err := service(t, testURL+","+otherKey, to, Options{Ledger: l}).Deliver(t.Context(), "m", &params); err != nil {
			t.Fatal(err)
		}
		grown := service(t, "pagerduty:///"+third+","+otherKey+","+testKey, to, Options{Ledger: l})
		for _, p := range []types.Params{params, {"action": "resolve"}} {
			if _, err := grown.Deliver(t.Context(), "m", &p); err != nil {
				t.Fatal(err)
			}
		}
		for _, body := range to.bodies {
			if got, want := get(t, body, "routing_key"), get(t, to.bodies[0], "routing_key"); got != want {
				t.Errorf("%s: the incident moved to another key", params["dedup_key"])
			}
		}
	}
}

type brokenLedger struct{}

func (brokenLedger) Open(time.Time) ([]Incident, error) { return nil, errors.New("disk on fire") }
func (brokenLedger) Add(Incident) (bool, error)         { return false, errors.New("disk on fire") }
func (brokenLedger) Put(Incident) error                 { return errors.New("disk on fire") }
func (brokenLedger) Remove(string, string) error        { return errors.New("disk on fire") }

// A ledger that does not work costs a warning, never a page.
func TestBrokenLedgerIsAWarning(t *testing.T) {
	for _, action := range []string{"trigger", "acknowledge", "resolve"} {
		to := &server{}
		receipt, err := service(t, testURL+","+otherKey+"?action="+action, to, Options{Ledger: brokenLedger{}}).Deliver(t.Context(), "m", nil)
		if err != nil || len(to.bodies) != 1 || len(receipt.Warnings) == 0 || !strings.Contains(strings.Join(receipt.Warnings, " "), "disk on fire") {
			t.Errorf("%s: %+v, %v", action, receipt, err)
		}
	}
}

// What is prepared is what PagerDuty takes, whatever the message and the params,
// and the encoded body is the event.
func TestPreparedEventsAreValid(t *testing.T) {
	s := New(mustParse(t, testURL+","+otherKey+`?details={"a":1}&contexts=[{"type":"link","href":"https://a"}]`), Options{})
	rapid.Check(t, func(t *rapid.T) {
		params := types.Params{}
		for _, name := range []string{"source", "component", "group", "class", "client", "title", "dedup_key"} {
			if rapid.Bool().Draw(t, name+" given") {
				params[name] = rapid.StringN(0, 50, -1).Draw(t, name)
			}
		}
		params["action"] = rapid.SampledFrom([]string{"trigger", "acknowledge", "resolve"}).Draw(t, "action")
		message := strings.Repeat(rapid.String().Draw(t, "message"), rapid.SampledFrom([]int{1, 1, 500, 50_000}).Draw(t, "times"))
		p, err := s.Prepare(message, &params, ledgerStart)
		if errors.Is(err, ErrBlankMessage) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Event.Validate(); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(p.Body) || len(p.Body) > eventsv2.MaxEventBytes || !bytes.Equal(p.Body, p.Event.AppendJSON(nil)) {
			t.Fatalf("%d bytes: %.300s", len(p.Body), p.Body)
		}
	})
}

func TestOversizeIsCutAndTold(t *testing.T) {
	to := &server{}
	receipt, err := service(t, testURL, to, Options{}).Deliver(t.Context(), "Core dump: "+strings.Repeat("x", 600_000), nil)
	if err != nil || len(to.bodies[0]) > eventsv2.MaxEventBytes || len(receipt.Warnings) != 1 || !strings.Contains(receipt.Warnings[0], "of 600011 characters") {
		t.Errorf("%+v, %v, %d bytes", receipt, err, len(to.bodies[0]))
	}
	_, err = service(t, testURL, to, Options{}).Deliver(t.Context(), "m", &types.Params{"client": strings.Repeat("x", 600_000)})
	var config *ConfigError
	if !errors.As(err, &config) || len(to.bodies) != 1 {
		t.Errorf("without details to cut: %v", err)
	}
}

// No key stands in what the library says, whatever happens, though the server
// and the caller put it everywhere.
func TestNothingLeaksTheKey(t *testing.T) {
	upper := strings.ToUpper(testKey)
	answers := []answer{
		{status: 202, body: `{"status":"success","message":"thanks for ` + testKey + `","dedup_key":"d"}`},
		{status: 400, body: `{"errors":["bad key ` + testKey + `"]}`},
		{status: 400, body: "Invalid routing key " + upper},
		{status: 429, body: `{"message":"` + testKey + `"}`},
		{status: 503, body: "<html><title>" + upper + "</title></html>"},
		{status: 307, body: testKey},
		{err: &url.Error{Op: "Post", URL: "https://x/" + testKey, Err: errors.New("broken " + testKey)}},
	}
	var sink bytes.Buffer
	for _, a := range answers {
		dir := filepath.Join(t.TempDir(), "state")
		opts := Options{Ledger: OpenFileLedger(dir), SenderOptions: types.SenderOptions{
			RetryFor:  -1,
			Logger:    slog.New(slog.NewJSONHandler(&sink, &slog.HandlerOptions{Level: slog.LevelDebug})),
			OnAttempt: func(a types.Attempt) { _ = json.NewEncoder(&sink).Encode(a); sink.WriteString(a.DedupKey) },
		}}
		s := service(t, testURL+"?source="+testKey, &server{answers: []answer{a}}, opts)
		s.SetLogger(log.New(&sink, "", 0))
		receipt, err := s.Deliver(t.Context(), "the key is "+upper, &types.Params{"dedup_key": "d"})
		_ = json.NewEncoder(&sink).Encode(receipt)
		if err != nil {
			sink.WriteString(err.Error())
			_ = json.NewEncoder(&sink).Encode(err)
		}
		open, _ := opts.Ledger.Open(time.Now())
		_ = json.NewEncoder(&sink).Encode(open)
	}
	if text := strings.ToLower(sink.String()); strings.Contains(text, testKey) {
		at := strings.Index(text, testKey)
		t.Errorf("the key stands in …%s", sink.String()[max(0, at-200):at+40])
	}
}

func TestInitialize(t *testing.T) {
	var s Service
	if err := s.Send("m", nil); !errors.Is(err, ErrNotInitialized) {
		t.Errorf("a service without a URL: %v", err)
	}
	u, err := url.Parse("pagerduty://host:99/" + testKey + `?details={"a":"b#c&d"}&source=x`)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Initialize(u, nil); err != nil {
		t.Fatal(err)
	}
	if details := string(s.Config().Details.AppendJSON(nil)); details != `{"a":"b#c&d"}` || s.Config().Source != "x" || s.GetID() != "pagerduty" {
		t.Errorf("got %s, %+v", details, s.Config())
	}
	// A second URL takes the place of the first one altogether.
	to := &server{}
	s.opts.HTTPClient = to
	for _, host := range []string{"one", "two"} {
		u, _ := url.Parse("pagerduty://" + host + "/" + testKey)
		if err := s.Initialize(u, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Send("m", nil); err != nil || to.hosts[len(to.hosts)-1] != host {
			t.Errorf("%s: sent to %v, %v", host, to.hosts, err)
		}
	}
	u, _ = url.Parse("pagerduty://user:pass@host/" + testKey)
	if err := s.Initialize(u, nil); err == nil || !strings.Contains(err.Error(), "user name") {
		t.Errorf("user info: %v", err)
	}
}
