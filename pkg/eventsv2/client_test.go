package eventsv2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var _ Doer = (*http.Client)(nil)

func TestPostRequest(t *testing.T) {
	protocols(t, func(t *testing.T, withTLS bool, proto string) {
		type seen struct {
			method, path, proto, contentType, agent, body string
			length                                        int64
		}
		got := make(chan seen, 1)
		s := newServer(t, withTLS, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- seen{
				r.Method, r.URL.RequestURI(), r.Proto, r.Header.Get("Content-Type"),
				r.UserAgent(), string(body), r.ContentLength,
			}
			if _, ok := r.Header["Idempotency-Key"]; ok {
				t.Error("the request has an Idempotency-Key")
			}
			w.WriteHeader(http.StatusAccepted)
		})
		c := newClient(t, s)
		c.BaseURL += "/" // a trailing slash is the commonest slip
		c.UserAgent = "tester/1"
		key := mustKey(t, testKey)
		if _, err := c.Post(context.Background(), key, []byte(`{"a":1}`)); err != nil {
			t.Fatal(err)
		}
		want := seen{"POST", "/v2/enqueue", proto, "application/json", "tester/1", `{"a":1}`, 7}
		if got := <-got; got != want {
			t.Errorf("Post: got %+v, want %+v", got, want)
		}
		if _, err := c.PostChange(context.Background(), key, []byte(`{"b":22}`)); err != nil {
			t.Fatal(err)
		}
		want.path, want.body, want.length = "/v2/change/enqueue", `{"b":22}`, 8
		if got := <-got; got != want {
			t.Errorf("PostChange: got %+v, want %+v", got, want)
		}
	})
}

func TestZeroClientUsesTheSharedTransport(t *testing.T) {
	s := newServer(t, false, answerWith(202, "application/json", `{"dedup_key":"d"}`))
	c := &Client{BaseURL: s.URL}
	for range 3 {
		receipt, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
		if err != nil || receipt.DedupKey != "d" {
			t.Fatalf("got %+v, %v", receipt, err)
		}
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
	var zero Client
	zero.once.Do(zero.prepare)
	if got := zero.wire.enqueue.URL.String(); got != "https://events.pagerduty.com/v2/enqueue" {
		t.Errorf("the zero client posts to %s", got)
	}
}

func TestPlainHTTPReadsNoRoots(t *testing.T) {
	s := newServer(t, false, answerWith(202, "", ""))
	lazy := newLazyTransport(func() []string {
		t.Error("the CA bundle was looked for")
		return nil
	})
	if _, err := clientOver(t, lazy, s.URL).Post(context.Background(), mustKey(t, testKey), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
}

func TestReceipts(t *testing.T) {
	long := strings.Repeat("k", MaxDedupKey+1)
	tests := []struct {
		name   string
		status int
		body   string
		want   Receipt
	}{
		{"PagerDuty's", 202, `{"status":"success","message":"Event processed","dedup_key":"srv01/HTTP"}`, Receipt{202, "srv01/HTTP", "Event processed"}},
		{"spaced", 202, "{ \"dedup_key\" :\t\"a b\" ,\r\n\"message\": \"ok\" }\n", Receipt{202, "a b", "ok"}},
		{"change event", 202, `{"status":"success","message":"Change event processed"}`, Receipt{202, "", "Change event processed"}},
		{"200", 200, `{"dedup_key":"d"}`, Receipt{200, "d", ""}},
		{"201", 201, `{"dedup_key":"d"}`, Receipt{201, "d", ""}},
		{"204", 204, ``, Receipt{204, "", ""}},
		{"empty", 202, ``, Receipt{202, "", ""}},
		{"escapes", 202, `{"dedup_key":"a\"\u00e9\tb"}`, Receipt{202, "a\"é\tb", ""}},
		{"not ASCII", 202, `{"dedup_key":"größe"}`, Receipt{202, "größe", ""}},
		{"members of other types", 202, `{"n":1,"message":["x"],"dedup_key":"d"}`, Receipt{202, "d", ""}},
		{"no JSON", 202, `<html>fine</html>`, Receipt{202, "", ""}},
		{"half a body", 202, `{"status":"success","dedup_k`, Receipt{202, "", ""}},
		{"longer than a dedup key can be", 202, `{"dedup_key":"` + long + `"}`, Receipt{202, "", ""}},
		{"echo of the key", 202, `{"message":"for ` + testKey + `","dedup_key":"x-` + strings.ToLower(testKey) + `"}`, Receipt{
			202, "x-" + mustKey(t, testKey).Fingerprint(), "for " + mustKey(t, testKey).Fingerprint(),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, false, answerWith(tt.status, "application/json", tt.body))
			got, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// A web page does not come from PagerDuty. With 200 or 201 it must not count as
// acceptance: nobody would hear of the event.
func TestPages(t *testing.T) {
	const page = "\ufeff\n <!DOCTYPE html><title>Access denied</title>"
	tests := []struct {
		status      int
		media, body string
		intercepted bool
		says        string
	}{
		{200, "text/html", page, true, "answers 200 with a web page: Access denied"},
		{201, "text/html", page, true, "answers 201 with a web page: Access denied"},
		{403, "text/html", page, true, "answers 403 with a web page: Access denied"},
		{401, "text/html", page, true, "answers 401 with a web page: Access denied"},
		{400, "text/plain", page, true, "answers 400 with a web page: Access denied"},
		{503, "text/html", page, false, "cannot take the event now (503): Access denied"},
		{403, "application/json", `{"message":"forbidden"}`, true, "answers 403 with JSON that is not PagerDuty's: forbidden"},
		{403, "text/html", `{"message":"forbidden"}`, true, "answers 403 with JSON that is not PagerDuty's: forbidden"},
		{403, "text/html", "forbidden", true, "answers 403 with a web page: forbidden"},
		{403, "text/plain", "forbidden", true, "answers 403 with text that is not PagerDuty's: forbidden"},
		{403, "text/html", "", true, "answers 403 with nothing;"},
	}
	for _, tt := range tests {
		s := newServer(t, false, answerWith(tt.status, tt.media, tt.body))
		_, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
		var failed *Error
		if !errors.As(err, &failed) || failed.Status != tt.status || failed.Intercepted() != tt.intercepted || !failed.Temporary() {
			t.Errorf("%d %q: got %#v, want intercepted %v, temporary", tt.status, tt.body, err, tt.intercepted)
		}
		if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%d %q: it says %q, want %q", tt.status, tt.body, err, tt.says)
		}
	}
}

// TestAcceptedThoughTheAnswerIsCut: the status has been said, so the event must
// not be sent again.
func TestAcceptedThoughTheAnswerIsCut(t *testing.T) {
	s := newServer(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"status":"suc`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	got, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
	if want := (Receipt{Status: 202}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestConnectionIsReused(t *testing.T) {
	protocols(t, func(t *testing.T, withTLS bool, _ string) {
		for _, status := range []int{202, 302, 400, 429, 500} {
			t.Run(fmt.Sprint(status), func(t *testing.T) {
				var from sync.Map // the address of each connection that brought a request: other programs may knock at the port
				s := newServer(t, withTLS, func(w http.ResponseWriter, r *http.Request) {
					from.Store(r.RemoteAddr, true)
					_, _ = io.Copy(io.Discard, r.Body)
					answerWith(status, "application/json", strings.Repeat(" ", 20<<10)+`{"message":"m"}`)(w, r)
				})
				c := newClient(t, s)
				for range 50 {
					_, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
					if (err == nil) != (status == 202) {
						t.Fatalf("status %d: got %v", status, err)
					}
				}
				n := 0
				from.Range(func(_, _ any) bool { n++; return true })
				// On a busy machine net/http gives one up now and then: if it takes longer than 50 ms to hear that the request was written.
				if n > 5 {
					t.Errorf("50 posts came over %d connections, want 1", n)
				}
			})
		}
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, doer := range []string{"http.Client", "http.Client with a timeout", "shared transport"} {
			t.Run(fmt.Sprint(status, " ", doer), func(t *testing.T) {
				var visits atomic.Int64
				target := newServer(t, false, func(http.ResponseWriter, *http.Request) { visits.Add(1) })
				s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, target.URL+"/session?token=secret", status)
				})
				c := &Client{BaseURL: s.URL}
				hc := s.Client()
				switch doer {
				case "http.Client":
					c = newClient(t, s)
				case "http.Client with a timeout": // which keeps what http.Client does
					hc.Timeout = time.Minute
					c = newClient(t, s)
				}
				_, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
				var e *Error
				if !errors.As(err, &e) || e.Status != status || !e.Temporary() || !e.Intercepted() {
					t.Fatalf("got %v, want a temporary *Error with status %d", err, status)
				}
				if visits.Load() != 0 {
					t.Error("the redirect was followed")
				}
				if !strings.Contains(err.Error(), target.URL) || strings.Contains(err.Error(), "secret") {
					t.Errorf("the error should name %s and no more: %v", target.URL, err)
				}
				if hc.CheckRedirect != nil {
					t.Error("the caller's http.Client was changed")
				}
			})
		}
	}
}

func TestLongAnswersEnd(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		chunk := []byte(strings.Repeat("x y ", 1024))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	protocols(t, func(t *testing.T, withTLS bool, _ string) {
		for name, handler := range map[string]http.HandlerFunc{
			"1 MB":    answerWith(400, "text/plain", strings.Repeat("x y ", 1<<18)),
			"endless": endless,
		} {
			t.Run(name, func(t *testing.T) {
				s := newServer(t, withTLS, handler)
				_, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
				var e *Error
				if !errors.As(err, &e) || e.Status != 400 || len(e.Message) > maxMessageBytes || !strings.HasPrefix(e.Message, "x y x y") {
					t.Errorf("got %v", err)
				}
			})
		}
	})
}

func TestReadAnswerStopsAtItsLimit(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, maxAnswerBytes - 1, maxAnswerBytes, maxAnswerBytes + 1, 1 << 20} {
		for _, declared := range []int64{-1, 0, int64(size)} {
			body := &countingBody{left: size}
			got := readAnswer(&http.Response{StatusCode: 200, ContentLength: declared, Body: body})
			if want := min(size, maxAnswerBytes); len(got) != want {
				t.Errorf("size %d, declared %d: got %d bytes, want %d", size, declared, len(got), want)
			}
			if size <= maxAnswerBytes && !body.ended {
				t.Errorf("size %d, declared %d: not read to its end", size, declared)
			}
			if body.read > maxAnswerBytes+1 || !body.closed {
				t.Errorf("size %d: read %d bytes, closed %v", size, body.read, body.closed)
			}
		}
	}
}

type countingBody struct {
	left, read    int
	ended, closed bool
}

func (b *countingBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.ended = true
		return 0, io.EOF
	}
	n := min(len(p), b.left)
	b.left -= n
	b.read += n
	return n, nil
}

func (b *countingBody) Close() error { b.closed = true; return nil }

func TestHangIsBounded(t *testing.T) {
	protocols(t, func(t *testing.T, withTLS bool, _ string) {
		s := newServer(t, withTLS, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
		// On a busy machine even the handshake may take longer than the shortest of these.
		post := func(name string, with func(c *Client, limit time.Duration) error) {
			t.Helper()
			for limit := 50 * time.Millisecond; ; limit *= 4 {
				err := with(newClient(t, s), limit)
				var e *Error
				if errors.As(err, &e) && !e.Sent && limit < 10*time.Second {
					continue
				}
				if e == nil || !e.Temporary() || !e.Sent || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s of %s: got %#v", name, limit, err)
				}
				return
			}
		}
		post("own timeout", func(c *Client, limit time.Duration) error {
			c.Timeout = limit
			_, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
			if want := "within " + limit.String(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to say %q", err, want)
			}
			return err
		})
		post("caller's deadline", func(c *Client, limit time.Duration) error {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			_, err := c.Post(ctx, mustKey(t, testKey), []byte(`{}`))
			return err
		})
	})
}

func TestCancelIsFinal(t *testing.T) {
	protocols(t, func(t *testing.T, withTLS bool, _ string) {
		for name, cause := range map[string]error{"plain": nil, "with a cause": errors.New("shutting down")} {
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(context.Background())
				s := newServer(t, withTLS, func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					cancel(cause)
					<-r.Context().Done()
					panic(http.ErrAbortHandler)
				})
				_, err := newClient(t, s).Post(ctx, mustKey(t, testKey), []byte(`{}`))
				var e *Error
				if !errors.As(err, &e) || e.Temporary() || !e.Sent || !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
					t.Errorf("got %#v", err)
				}
			})
		}
	})
}

// TestForeignCancelIsTemporary: a Doer that cancels on its own account does not
// speak for the caller.
func TestForeignCancelIsTemporary(t *testing.T) {
	c := &Client{HTTP: roundTripFunc(func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("hedging: %w", context.Canceled)
	})}
	_, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || errors.Is(err, context.Canceled) {
		t.Errorf("got %#v", err)
	}
}

func TestSent(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	reset := newServer(t, false, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	broken := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	stub := func(err error) Doer {
		return roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	tests := []struct {
		name   string
		client *Client
		want   bool
	}{
		{"refused, shared transport", &Client{BaseURL: "http://" + closed.Addr().String()}, false},
		{"refused, http.Client", &Client{BaseURL: "http://" + closed.Addr().String(), HTTP: &http.Client{Transport: transport}}, false},
		{"no such host", &Client{BaseURL: "http://no-such-host.invalid"}, false},
		{"cut", newClient(t, reset), true},
		{"plain HTTP where TLS was meant", &Client{BaseURL: "https" + strings.TrimPrefix(reset.URL, "http")}, false},
		{"refused, any Doer", &Client{HTTP: stub(refused)}, false},
		{"cut, any Doer", &Client{HTTP: stub(broken)}, true},
		{"unknown, any Doer", &Client{HTTP: stub(errors.New("no idea"))}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.client.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
			var e *Error
			if !errors.As(err, &e) || e.Status != 0 || e.Err == nil {
				t.Fatalf("got %#v", err)
			}
			if e.Sent != tt.want {
				t.Errorf("Sent: got %v, want %v (%v)", e.Sent, tt.want, err)
			}
		})
	}
}

// TestSentByAnswer: a gateway that gave up does not know what became of the event.
func TestSentByAnswer(t *testing.T) {
	for status, want := range map[int]bool{400: false, 429: false, 500: false, 502: true, 503: false, 504: true} {
		s := newServer(t, false, answerWith(status, "", ""))
		_, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
		var e *Error
		if !errors.As(err, &e) || e.Sent != want {
			t.Errorf("%d: got %#v, want Sent %v", status, err, want)
		}
	}
}

// TestSwitchingProtocolsIsNoAcceptance, and does not wait for the end of a body that has
// none.
func TestSwitchingProtocolsIsNoAcceptance(t *testing.T) {
	base := rawServer(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
	_, err := (&Client{BaseURL: base}).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
	var e *Error
	if !errors.As(err, &e) || e.Status != 101 || !e.Intercepted() {
		t.Errorf("got %v", err)
	}
}

// TestClientTimeoutOfTheCaller: the text must not name a limit that was not ours.
func TestClientTimeoutOfTheCaller(t *testing.T) {
	s := newServer(t, false, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http watches for the client's leaving only after that
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	c := newClient(t, s)
	hc := *s.Client()
	hc.Timeout = 50 * time.Millisecond
	c.HTTP = &hc
	_, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || strings.Contains(err.Error(), "30s") || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}

func TestBaseURLWithPath(t *testing.T) {
	for base, want := range map[string]string{
		"http://h":            "http://h/v2/enqueue",
		"http://h/":           "http://h/v2/enqueue",
		"http://h:8080/a/b//": "http://h:8080/a/b/v2/enqueue",
		"http://h/a%2Fb":      "http://h/a%2Fb/v2/enqueue",
		"http://[::1]:80":     "http://[::1]:80/v2/enqueue",
	} {
		c := &Client{BaseURL: base}
		c.once.Do(c.prepare)
		if got := c.wire.enqueue.URL.String(); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
}

func TestBadBaseURL(t *testing.T) {
	for _, base := range []string{"ftp://host", "host:80", "https://", "://", "https://ho st", "https://host:port", "https://h/%zz" + testKey} {
		c := &Client{BaseURL: base}
		_, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
		var e *Error
		if !errors.As(err, &e) || e.Temporary() || !errors.Is(err, ErrUnreachable) || e.Sent {
			t.Errorf("%s: got %#v", base, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "bad base URL: ") {
			t.Errorf("%s: got %q", base, err)
		}
		checkNoKey(t, "error", err.Error())
	}
}

// TestForeignDoerMayChangeItsRequest, the next one is not affected.
// Stubs of tests leave out what net/http always gives.
func TestStubsWithoutABody(t *testing.T) {
	noBody := func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 202}, nil }
	nothing := func(*http.Request) (*http.Response, error) { return nil, nil }
	for name, doer := range map[string]func(roundTripFunc) Doer{
		"Doer":        func(f roundTripFunc) Doer { return f },
		"http.Client": func(f roundTripFunc) Doer { return &http.Client{Transport: f} },
	} {
		t.Run(name, func(t *testing.T) {
			key := mustKey(t, testKey)
			c := &Client{HTTP: doer(noBody)}
			if got, err := c.Post(context.Background(), key, []byte(`{}`)); err != nil || got.Status != 202 {
				t.Errorf("without a body: got %+v, %v, want status 202", got, err)
			}
			c = &Client{HTTP: doer(nothing)}
			if _, err := c.Post(context.Background(), key, []byte(`{}`)); !errors.Is(err, errNoAnswer) {
				t.Errorf("without an answer: got %v, want %v", err, errNoAnswer)
			}
		})
	}
}

func TestForeignDoerMayChangeItsRequest(t *testing.T) {
	c := &Client{BaseURL: "https://relay.example/pd", HTTP: roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if got := req.URL.String(); got != "https://relay.example/pd/v2/enqueue" {
			t.Errorf("got %s", got)
		}
		if n := len(req.Header); n != 2 || req.Header.Get("User-Agent") != "shoutrrr" || len(req.Header["Content-Type"]) != 1 {
			t.Errorf("got header %v", req.Header)
		}
		req.Header.Set("Authorization", "x")
		req.Header.Set("User-Agent", "y")
		req.Header.Add("Content-Type", "z")
		req.URL.Path = "/elsewhere"
		return stubAccept(req)
	})}
	for range 2 {
		if _, err := c.Post(context.Background(), mustKey(t, testKey), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
}
