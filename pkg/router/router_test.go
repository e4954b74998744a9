package router

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/types"
)

const (
	testKey  = "0123456789abcdef0123456789abcdef"
	otherKey = "fedcba9876543210fedcba9876543210"
	testURL  = "pagerduty:///" + testKey
)

// client answers by host, and remembers the bodies by host.
type client struct {
	mu     sync.Mutex
	status map[string]int           // 202 unless given
	gate   map[string]chan struct{} // answers only once this is closed
	bodies map[string][]string
	agents map[string][]string
}

func (c *client) Do(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	body, _ := io.ReadAll(req.Body)
	c.mu.Lock()
	if c.bodies == nil {
		c.bodies, c.agents = map[string][]string{}, map[string][]string{}
	}
	c.agents[host] = append(c.agents[host], req.Header.Get("User-Agent"))
	c.bodies[host] = append(c.bodies[host], string(body))
	status, gate := c.status[host], c.gate[host]
	c.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if status == 0 {
		status = 202
	}
	answer := `{"status":"invalid event","message":"Event object is invalid","errors":["no"]}` // with 400: of PagerDuty's form
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: req}, nil
}

func (c *client) options() types.SenderOptions {
	return types.SenderOptions{HTTPClient: c, RetryFor: -1}
}

// Several URLs: all are attempted, and each result stands where its URL stands,
// though the failing one answers first.
func TestResultsInURLOrder(t *testing.T) {
	c := &client{status: map[string]int{"fast": 400}, gate: map[string]chan struct{}{"slow": make(chan struct{})}}
	opts := c.options()
	opts.OnAttempt = func(a types.Attempt) {
		if a.Host == "fast" {
			close(c.gate["slow"])
		}
	}
	r, err := NewWithOptions(nil, opts, "pagerduty://slow/"+testKey, "pagerduty://fast/"+testKey, "pagerduty://third/"+otherKey)
	if err != nil {
		t.Fatal(err)
	}
	results := r.Deliver(t.Context(), "m", nil)
	var target *types.TargetError
	if len(results) != 3 || results[0].Err != nil || results[2].Err != nil || !errors.As(results[1].Err, &target) || target.Index != 1 {
		t.Fatalf("got %+v", results)
	}
	if results[0].URL != "pagerduty://slow/key-"+results[0].URL[len("pagerduty://slow/key-"):] || strings.Contains(results[0].URL, testKey) {
		t.Errorf("the URL is named %q", results[0].URL)
	}
	if results[0].Receipt.DedupKey == "" || results[0].Receipt.DedupKey != results[2].Receipt.DedupKey {
		t.Errorf("dedup keys %q and %q", results[0].Receipt.DedupKey, results[2].Receipt.DedupKey)
	}
}

func TestSendAsyncGivesOneResultPerURLAndCloses(t *testing.T) {
	c := &client{status: map[string]int{"b": 500}}
	r, err := NewWithOptions(nil, c.options(), "pagerduty://a/"+testKey, "pagerduty://b/"+testKey)
	if err != nil {
		t.Fatal(err)
	}
	var got []error
	for err := range r.SendAsync("m", nil) {
		got = append(got, err)
	}
	if len(got) != 2 || got[0] != nil || got[1] == nil {
		t.Errorf("got %v", got)
	}
}

// Programs set the Timeout of a sender that they have got. It counts from then on.
func TestTimeoutSetLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &client{gate: map[string]chan struct{}{"hangs": make(chan struct{})}}
		r, err := NewWithOptions(nil, types.SenderOptions{HTTPClient: c, RetryFor: time.Hour, Timeout: time.Minute}, "pagerduty://hangs/"+testKey)
		if err != nil {
			t.Fatal(err)
		}
		for _, timeout := range []time.Duration{time.Minute, 3 * time.Second, 0} {
			r.Timeout = timeout
			want := timeout
			if want == 0 {
				want = time.Hour
			}
			start := time.Now()
			if errs := r.Send("m", nil); errs[0] == nil {
				t.Fatal("accepted")
			}
			if took := time.Since(start); took > want || took < want/2 {
				t.Errorf("Timeout %v: took %v", timeout, took)
			}
		}
	})
}

func TestRouteErrors(t *testing.T) {
	c := &client{status: map[string]int{"h": 400}}
	r, err := NewWithOptions(nil, c.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, rawURL := range []string{"pagerduty://h/bad", "pagerduty://h/" + testKey} {
		var target *types.TargetError
		if err := r.Route(rawURL, "m"); !errors.As(err, &target) || target.URL != "pagerduty" {
			t.Errorf("%s: %v", rawURL, err)
		}
	}
	if err := r.Route("pagerduty://good/"+testKey, "m"); err != nil {
		t.Error(err)
	}
}

// Zero values and nil are part of the promise: programs use them. A router without
// URLs gives a result for each of its URLs, which are none: programs index the
// results with their URLs.
func TestZeroValues(t *testing.T) {
	var none *ServiceRouter
	if errs := none.Send("m", nil); len(errs) != 1 || !errors.Is(errs[0], ErrNoSenders) {
		t.Errorf("Send: %v", errs)
	}
	if errs := none.SendItems(nil, nil); len(errs) != 1 || !errors.Is(errs[0], ErrNoSenders) {
		t.Errorf("SendItems: %v", errs)
	}
	if err := <-none.SendAsync("m", nil); !errors.Is(err, ErrNoSenders) {
		t.Errorf("SendAsync: %v", err)
	}
	made, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*ServiceRouter{{}, made} {
		if errs := r.Send("m", nil); errs == nil || len(errs) != 0 {
			t.Errorf("Send: %v", errs)
		}
		if errs := r.SendItems(nil, nil); errs == nil || len(errs) != 0 {
			t.Errorf("SendItems: %v", errs)
		}
		if results := r.Deliver(t.Context(), "m", nil); results == nil || len(results) != 0 {
			t.Errorf("Deliver: %v", results)
		}
		if err, open := <-r.SendAsync("m", nil); open {
			t.Errorf("SendAsync: %v", err)
		}
		r.Enqueue("m")
		r.Flush(nil)
	}
	var zero ServiceRouter
	if err := zero.AddService(testURL); err != nil {
		t.Errorf("AddService: %v", err)
	}
	if _, err := zero.Locate(testURL); err != nil {
		t.Errorf("Locate: %v", err)
	}
}

// A nil pointer of a logger is what programs have whose logging is switched off.
func TestNilLogger(t *testing.T) {
	c := &client{status: map[string]int{"h": 503}}
	var off *log.Logger
	r, err := NewWithOptions(off, c.options(), "pagerduty://h/"+testKey)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if errs := r.Send("m", nil); errs[0] == nil {
			t.Error("accepted")
		}
		r.Enqueue("m")
		r.Flush(nil)
		r.SetLogger(off)
	}
}

// The same URL twice, in whatever spelling, is one event, told at both places.
func TestTheSameURLTwiceIsOneSend(t *testing.T) {
	c := &client{status: map[string]int{"bad": 400}}
	r, err := NewWithOptions(nil, c.options(), "pagerduty://h/"+testKey, "pagerduty://bad/"+testKey,
		" PagerDuty://h:443/"+testKey+"/ ", "pagerduty://bad/"+testKey+"?severity=error", "pagerduty://h/"+testKey+"?source=x")
	if err != nil {
		t.Fatal(err)
	}
	results := r.Deliver(t.Context(), "m", nil)
	if len(results) != 5 || len(c.bodies["h"]) != 2 || len(c.bodies["bad"]) != 1 {
		t.Fatalf("%d results, %d and %d events", len(results), len(c.bodies["h"]), len(c.bodies["bad"]))
	}
	if results[2].Err != nil || results[2].Receipt.DedupKey != results[0].Receipt.DedupKey {
		t.Errorf("got %+v", results[2])
	}
	for _, i := range []int{1, 3} {
		var target *types.TargetError
		if !errors.As(results[i].Err, &target) || target.Index != i {
			t.Errorf("URL %d: %v", i, results[i].Err)
		}
	}
}

// Of several URLs the error says which one it is, for the eye and for the program,
// whatever is wrong with it.
func TestErrorsOfSeveralURLs(t *testing.T) {
	c := &client{status: map[string]int{"h": 400}}
	good := "pagerduty://g/" + testKey
	for _, tc := range []struct{ bad, want string }{
		{"slack://token@channel", "unknown service"},
		{"", "unknown service"},
		{"pagerduty:///short", "invalid integration key"},
	} {
		_, err := NewWithOptions(nil, c.options(), good, tc.bad, good)
		var target *types.TargetError
		if !errors.As(err, &target) || target.Index != 1 || !strings.Contains(err.Error(), "URL 2 of 3") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v", tc.bad, err)
		}
		_, err = NewWithOptions(nil, c.options(), tc.bad)
		if !errors.As(err, &target) || target.Index != 0 || strings.Contains(err.Error(), "URL 1") {
			t.Errorf("%q alone: %v", tc.bad, err)
		}
		if target.Err != nil && strings.Contains(tc.want, "unknown") && !errors.Is(err, ErrUnknownService) {
			t.Errorf("%q: %v is no ErrUnknownService", tc.bad, err)
		}
	}
	r, err := NewWithOptions(nil, c.options(), good, "pagerduty://h/"+testKey, "pagerduty://h/"+otherKey)
	if err != nil {
		t.Fatal(err)
	}
	errs := r.Send("m", nil)
	for i, place := range map[int]string{1: "URL 2 of 3", 2: "URL 3 of 3"} {
		if errs[i] == nil || !strings.Contains(errs[i].Error(), place) || !strings.Contains(errs[i].Error(), "(key key-") {
			t.Errorf("URL %d: %v", i, errs[i])
		}
	}
}

// A program may say later where incidents are remembered, and who it is.
func TestLedgerAndUserAgentSetLater(t *testing.T) {
	c := &client{}
	r, err := NewWithOptions(nil, c.options(), "pagerduty://h/"+testKey)
	if err != nil {
		t.Fatal(err)
	}
	if errs := r.Send("one", nil); errs[0] != nil {
		t.Fatal(errs)
	}
	ledger := pagerduty.NewMemoryLedger()
	r.UseLedger(ledger)
	r.UseUserAgent("backup/2")
	if errs := r.Send("two", nil); errs[0] != nil {
		t.Fatal(errs)
	}
	open, err := ledger.Open(time.Now())
	if err != nil || len(open) != 1 || open[0].Summary != "two" {
		t.Errorf("the ledger knows %v, %v", open, err)
	}
	if got := c.agents["h"]; !slices.Equal(got, []string{"shoutrrr", "backup/2"}) {
		t.Errorf("user agents %v", got)
	}
}

// Whoever writes 5 for five seconds asks for five nanoseconds. That is said, and no page is lost to it.
func TestBareNumbers(t *testing.T) {
	const url = "pagerduty://h/" + testKey
	for _, tt := range []struct {
		opts types.SenderOptions
		want string // "" for none
	}{
		{types.SenderOptions{Timeout: 5}, `Timeout "5ns": write 5*time.Second`},
		{types.SenderOptions{RetryFor: 300}, `RetryFor "300ns": write 300*time.Second`},
		{types.SenderOptions{Timeout: 10000}, `Timeout "10µs": write 10000*time.Millisecond`},
		{types.SenderOptions{Timeout: time.Millisecond, RetryFor: time.Millisecond}, ""},
		{types.SenderOptions{RetryFor: -1, Timeout: -1}, ""},
	} {
		_, err := NewWithOptions(nil, tt.opts, url)
		wrong := new(pagerduty.ConfigError)
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &wrong) || err.Error() != tt.want) {
			t.Errorf("%+v: %v, want %s", tt.opts, err, tt.want)
		}
	}
	c := &client{}
	r, err := NewWithOptions(nil, types.SenderOptions{HTTPClient: c}, url)
	if err != nil {
		t.Fatal(err)
	}
	r.Timeout = 30 // later
	if errs := r.Send("m", nil); errs[0] == nil || !strings.Contains(errs[0].Error(), "write 30*time.Second") {
		t.Errorf("of the field it says %v", errs)
	}
}

// Time that is up has the name that it has upstream, and its own.
func TestErrServiceTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &client{status: map[string]int{"busy": 503, "no": 400}, gate: map[string]chan struct{}{"hangs": make(chan struct{})}}
		r, err := NewWithOptions(nil, types.SenderOptions{HTTPClient: c, Timeout: 10 * time.Second},
			"pagerduty://hangs/"+testKey, "pagerduty://busy/"+testKey, "pagerduty://no/"+testKey)
		if err != nil {
			t.Fatal(err)
		}
		errs := r.Send("m", nil)
		if !errors.Is(errs[0], ErrServiceTimeout) || !errors.Is(errs[0], context.DeadlineExceeded) {
			t.Errorf("hanging: %v", errs[0])
		}
		if !errors.Is(errs[1], ErrServiceTimeout) {
			t.Errorf("busy: %v", errs[1])
		}
		if errs[2] == nil || errors.Is(errs[2], ErrServiceTimeout) {
			t.Errorf("refused: %v", errs[2])
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if errs := r.SendContext(ctx, "m", nil); errs[1] == nil || errors.Is(errs[1], ErrServiceTimeout) {
			t.Errorf("canceled: %v", errs[1])
		}
	})
}

// Who must not wait gives a context: every way to send has a form that takes one.
func TestContextsEndEveryWayToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		c := &client{gate: map[string]chan struct{}{"h": make(chan struct{})}}
		r, err := NewWithOptions(log.New(&text, "", 0), types.SenderOptions{HTTPClient: c}, "pagerduty://h/"+testKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, send := range map[string]func(context.Context) error{
			"SendContext": func(ctx context.Context) error { return r.SendContext(ctx, "m", nil)[0] },
			"SendItemsContext": func(ctx context.Context) error {
				return r.SendItemsContext(ctx, []types.MessageItem{{Text: "m"}}, nil)[0]
			},
			"SendAsyncContext": func(ctx context.Context) error { return <-r.SendAsyncContext(ctx, "m", nil) },
			"RouteContext":     func(ctx context.Context) error { return r.RouteContext(ctx, "pagerduty://h/"+testKey, "m", nil) },
			"FlushContext": func(ctx context.Context) error {
				r.Enqueue("m")
				r.FlushContext(ctx, nil)
				if !strings.Contains(text.String(), "flush: ") {
					return nil
				}
				return context.DeadlineExceeded
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			start := time.Now()
			if err := send(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			cancel()
		}
	})
}

func TestUnknownServices(t *testing.T) {
	var r ServiceRouter
	for _, rawURL := range []string{"slack://token@channel", "", "no url", "http://example.com", testKey + ":x", "://"} {
		_, err := r.Locate(rawURL)
		if !errors.Is(err, ErrUnknownService) || !strings.Contains(err.Error(), "pagerduty") {
			t.Errorf("%q: %v does not name the schemes there are", rawURL, err)
		}
		if err != nil && strings.Contains(err.Error(), testKey) {
			t.Errorf("the key stands in %v", err)
		}
	}
	service, err := r.Locate("pagerduty:///bad")
	var config *pagerduty.ConfigError
	if service != nil || !errors.As(err, &config) {
		t.Errorf("a bad URL gives %v, %v", service, err)
	}
	if _, err := r.NewService("slack"); !errors.Is(err, ErrUnknownService) {
		t.Errorf("NewService: %v", err)
	}
	if s, err := r.NewService("PagerDuty"); err != nil || s.GetID() != "pagerduty" {
		t.Errorf("NewService: %v, %v", s, err)
	}
	if got := r.ListServices(); !slices.Equal(got, []string{"pagerduty"}) {
		t.Errorf("ListServices: %v", got)
	}
}

func TestExtractServiceName(t *testing.T) {
	var r ServiceRouter
	name, u, err := r.ExtractServiceName("PagerDuty://h:1/" + testKey + `?details={"a":"#"}`)
	if err != nil || name != "pagerduty" || u.Host != "h:1" || u.Path != "/"+testKey || u.RawQuery != `details={"a":"#"}` {
		t.Errorf("got %q, %+v, %v", name, u, err)
	}
	// The parts make a service, as programs do it.
	service, err := r.NewService(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Initialize(u, nil); err != nil {
		t.Errorf("Initialize: %v", err)
	}
	for _, tc := range []struct{ rawURL, want string }{
		{"teams+https://x.example.com", "teams"},
		{"pagerduty:" + testKey, "pagerduty"},
		{"Generic+HTTPS://x", "generic"},
	} {
		if name, u, err := r.ExtractServiceName(tc.rawURL); name != tc.want || u == nil || err != nil {
			t.Errorf("%q: got %q, %v, %v", tc.rawURL, name, u, err)
		}
	}
	// Programs read the URL before the error, or not the error at all.
	for _, rawURL := range []string{testKey, "", "://x", "a d://x", "1a://x", testKey + "://x", "+x://y"} {
		name, u, err := r.ExtractServiceName(rawURL)
		if name != "" || u == nil || !errors.Is(err, ErrUnknownService) || strings.Contains(err.Error(), testKey) {
			t.Errorf("%q: got %q, %v, %v", rawURL, name, u, err)
		}
	}
}

func TestSendItems(t *testing.T) {
	c := &client{}
	r, err := NewWithOptions(nil, c.options(), "pagerduty://h/"+testKey)
	if err != nil {
		t.Fatal(err)
	}
	item := types.MessageItem{Text: "Backup failed", Level: types.Warning}
	errs := r.SendItems([]types.MessageItem{*item.WithField("host", "db-1"), {Text: "disk full", Level: types.Error}}, types.Params{"source": "s"})
	if errs[0] != nil {
		t.Fatal(errs)
	}
	for _, want := range []string{`"summary":"Backup failed"`, `Backup failed\nhost=db-1\ndisk full`, `"severity":"error"`, `"source":"s"`} {
		if !strings.Contains(c.bodies["h"][0], want) {
			t.Errorf("%s is not in %s", want, c.bodies["h"][0])
		}
	}
}

func TestEnqueueAndFlush(t *testing.T) {
	var text bytes.Buffer
	c := &client{status: map[string]int{"h": 400}}
	r, err := NewWithOptions(log.New(&text, "", 0), c.options(), "pagerduty://h/"+testKey)
	if err != nil {
		t.Fatal(err)
	}
	r.Enqueue("100% full")
	r.Enqueue("%d left", 3)
	r.Flush(nil)
	r.Flush(nil)
	if len(c.bodies["h"]) != 1 || !strings.Contains(c.bodies["h"][0], `100% full\n3 left`) {
		t.Errorf("sent %q", c.bodies["h"])
	}
	if !strings.Contains(text.String(), "flush: pagerduty:") {
		t.Errorf("a failed flush is not logged: %s", text.String())
	}
}

// One router has one ledger: an acknowledge finds what the same router triggered.
func TestOneLedger(t *testing.T) {
	c := &client{}
	r, err := NewWithOptions(nil, c.options(), "pagerduty://a/"+testKey, "pagerduty://b/"+otherKey)
	if err != nil {
		t.Fatal(err)
	}
	r.Send("m", nil)
	results := r.Deliver(context.Background(), "looking", &types.Params{"action": "acknowledge"})
	for _, result := range results {
		if result.Err != nil || !result.Receipt.Matched {
			t.Errorf("%+v", result)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := &client{}
	r, err := NewWithOptions(nil, c.options(), "pagerduty://a/"+testKey, "pagerduty://b/"+otherKey)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r.SetLogger(log.New(io.Discard, "", 0))
			for _, err := range r.Send("m", &types.Params{"dedup_key": string(rune('a' + i))}) {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(c.bodies["a"]) != 8 || len(c.bodies["b"]) != 8 {
		t.Errorf("%d and %d events", len(c.bodies["a"]), len(c.bodies["b"]))
	}
}
