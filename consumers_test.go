package shoutrrr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// These tests are how programs use the library that were written for upstream's: a
// pattern each, in the tests' own words.

const consumerKey = "0123456789abcdef0123456789abcdef"

func incidents(server *pagerdutytest.Server) (summaries []string) {
	for _, incident := range server.Incidents() {
		summaries = append(summaries, incident.Summary)
	}
	return summaries
}

// A dynamic-DNS updater whose addresses are optional: it names its services first, and
// logs the error of each by the position of its address.
func TestConsumerOptionalAddresses(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	for _, addresses := range [][]string{nil, {}, {server.ServiceURL(consumerKey)}, {server.ServiceURL(consumerKey), server.ServiceURL(consumerKey) + "&source=x"}} {
		var names []string
		for _, address := range addresses {
			naming, err := shoutrrr.CreateSender(address)
			if err != nil {
				t.Fatal(err)
			}
			name, _, err := naming.ExtractServiceName(address)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		sender, err := shoutrrr.CreateSender(addresses...)
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range sender.Send("new address", nil) {
			if err != nil || names[i] != "pagerduty" {
				t.Errorf("%d addresses: %s: %v", len(addresses), names[i], err)
			}
		}
	}
}

// Watchers of containers hook into the log of their own program, with no URL by
// default, and take the lengths of URLs and errors for the same.
func TestConsumerLogHook(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	for _, urls := range [][]string{{}, {server.ServiceURL(consumerKey)}} {
		sender, err := shoutrrr.NewSender(log.New(io.Discard, "", 0), urls...)
		if err != nil {
			t.Fatal(err)
		}
		params := &types.Params{}
		params.SetTitle("Updates on nas")
		for _, line := range []string{"cannot pull web: timeout", "cannot pull db: no space left"} {
			errs := sender.Send(line, params)
			if len(errs) != len(urls) {
				t.Fatalf("%d errors of %d URLs", len(errs), len(urls))
			}
			for i, err := range errs {
				if err != nil {
					t.Errorf("%s: %v", urls[i], err)
				}
			}
		}
	}
	if got := incidents(server); len(got) != 2 {
		t.Errorf("two lines under one title became %q", got)
	}
}

// Six programs have a constant title, or a constant first line, above what differs. The
// second alert pages as well, and a repetition of the first does not.
func TestConsumerConstantTitleOrFirstLine(t *testing.T) {
	for name, send := range map[string]func(url, detail string) error{
		"title": func(url, detail string) error {
			sender, err := shoutrrr.CreateSender(url)
			if err != nil {
				return err
			}
			return sender.Send(detail, &types.Params{"title": "failure"})[0]
		},
		"template": func(url, detail string) error {
			return shoutrrr.Send(url, "Backup Error\nTask: \"prune\" at 04:00\nError: "+detail)
		},
		"first line": func(url, detail string) error { return shoutrrr.Send(url, "Login on 'vm':\r\n"+detail) },
		"long":       func(url, detail string) error { return shoutrrr.Send(url, strings.Repeat("x", 1500)+detail) },
		"items": func(url, detail string) error {
			sender, err := shoutrrr.CreateSender(url)
			if err != nil {
				return err
			}
			return sender.SendItems([]types.MessageItem{{Text: "Check failed"}, {Text: detail}}, nil)[0]
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := pagerdutytest.NewServer(t)
			for _, detail := range []string{"repository a", "repository b", "repository a"} {
				if err := send(server.ServiceURL(consumerKey), detail); err != nil {
					t.Fatal(err)
				}
			}
			if got := incidents(server); len(got) != 2 {
				t.Errorf("%d incidents: %.80q", len(got), got)
			}
		})
	}
}

// Whoever wants one incident for all of them gives a dedup key.
func TestConsumerGroupsByDedupKey(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	for _, detail := range []string{"3 vaults are sealed", "4 vaults are sealed"} {
		err := shoutrrr.Send(server.ServiceURL(consumerKey), detail, &types.Params{types.TitleKey: "vaults", "dedup_key": "vaults-sealed"})
		if err != nil {
			t.Fatal(err)
		}
	}
	server.WantIncident(t, "vaults-sealed").Triggered()
	if got := incidents(server); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// Two programs set a Timeout of ten seconds on the sender that they have got. One
// attempt that hangs does not lose the page.
func TestConsumerTenSecondsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &hangsOnce{}
		sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: client}, "pagerduty:///"+consumerKey)
		if err != nil {
			t.Fatal(err)
		}
		sender.Timeout = 10 * time.Second
		start := time.Now()
		if errs := sender.Send("m", nil); errs[0] != nil || client.requests != 2 || time.Since(start) >= 10*time.Second {
			t.Errorf("%v, %d requests, after %v", errs[0], client.requests, time.Since(start))
		}
	})
}

type hangsOnce struct{ requests int }

func (c *hangsOnce) Do(req *http.Request) (*http.Response, error) {
	if c.requests++; c.requests == 1 {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusAccepted, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}

// A program with a proxy of its own hands over its client, which is nil without one.
func TestConsumerClientThatMayBeNil(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	for _, client := range []*http.Client{nil, {Timeout: time.Minute}} {
		sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: client}, server.ServiceURL(consumerKey))
		if err != nil {
			t.Fatal(err)
		}
		if errs := sender.Send("m", nil); errs[0] != nil {
			t.Error(errs[0])
		}
	}
}

// A program whose logging is switched off has a nil logger, and meets an outage.
func TestConsumerNilLoggerInAnOutage(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	fault, err := pagerdutytest.ParseFault("503:count=-1")
	if err != nil {
		t.Fatal(err)
	}
	server.Inject(fault)
	var off *log.Logger
	sender, err := shoutrrr.NewSenderWithOptions(off, types.SenderOptions{RetryFor: -1}, server.ServiceURL(consumerKey))
	if err != nil {
		t.Fatal(err)
	}
	if errs := sender.Send("m", nil); errs[0] == nil {
		t.Error("accepted")
	}
	shoutrrr.SetLogger(off)
	if err := sender.Route(server.ServiceURL(consumerKey), "m"); err == nil {
		t.Error("accepted")
	}
}

// A settings page checks a URL by a zero router and tells why it is wrong, without it.
func TestConsumerChecksURLs(t *testing.T) {
	check := func(raw string) error {
		_, err := (&router.ServiceRouter{}).Locate(raw)
		return err
	}
	if err := check("pagerduty:///" + consumerKey); err != nil {
		t.Error(err)
	}
	for _, raw := range []string{"pagerduty:///" + consumerKey + "0", "pagerduty:///" + consumerKey + "?x=y", "slack://" + consumerKey, consumerKey} {
		if err := check(raw); err == nil || strings.Contains(err.Error(), consumerKey) {
			t.Errorf("got %v", err)
		}
	}
	// Some name the service first and do not look at the error.
	name, parts, _ := (&router.ServiceRouter{}).ExtractServiceName("://" + consumerKey)
	if name != "" || parts.Host != "" {
		t.Errorf("got %q, %v", name, parts)
	}
}

// A monitor adds the title to the query of the user's URL by package net/url.
func TestConsumerRewritesTheURL(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	parsed, err := url.Parse(server.ServiceURL(consumerKey) + "&details=%7B%22a%22%3A%22b%26c%3Bd%22%7D")
	if err != nil {
		t.Fatal(err)
	}
	query := parsed.Query()
	query.Set("title", "CPU above 90% on web-1")
	parsed.RawQuery = query.Encode()
	if err := shoutrrr.Send(parsed.String(), "95 %"); err != nil {
		t.Fatal(err)
	}
	incident := server.Incidents()[0]
	if incident.Summary != "CPU above 90% on web-1" || !strings.Contains(string(incident.CustomDetails), `"b&c;d"`) {
		t.Errorf("got %q, %s", incident.Summary, incident.CustomDetails)
	}
}

// A handler of requests must not wait for an outage to end: it gives a context, or
// leaves the sending to the background. A job sends all that it has to say at its end.
func TestConsumersThatMustNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := &unavailable{}
		sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: down}, "pagerduty:///"+consumerKey)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
			defer cancel()
			if err := sender.SendContext(ctx, "new host", nil)[0]; errors.Is(err, router.ErrServiceTimeout) {
				w.WriteHeader(http.StatusGatewayTimeout)
			}
		})
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(t.Context()))
		if answer.Code != http.StatusGatewayTimeout || time.Since(start) > 2*time.Second {
			t.Errorf("%d after %v", answer.Code, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		start = time.Now()
		errs := sender.SendAsyncContext(ctx, "new host", nil)
		sender.Enqueue("%d of %d backups failed", 2, 7)
		if time.Since(start) != 0 {
			t.Errorf("they have waited for %v", time.Since(start))
		}
		synctest.Wait() // the first attempt has failed
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		down.over.Store(true)
		sender.Flush(nil)
		if down.accepted.Load() != 1 {
			t.Errorf("%d accepted", down.accepted.Load())
		}
	})
}

// unavailable answers 503 until it is over.
type unavailable struct {
	over     atomic.Bool
	accepted atomic.Int64
}

func (c *unavailable) Do(req *http.Request) (*http.Response, error) {
	status := http.StatusServiceUnavailable
	if c.over.Load() {
		status = http.StatusAccepted
		c.accepted.Add(1)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}

// A worker that looks after many things, one after the other, bounds each of them.
func TestConsumerWorkerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for range 3 {
			sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: &unavailable{}, Timeout: 10 * time.Second}, "pagerduty:///"+consumerKey)
			if err != nil {
				t.Fatal(err)
			}
			if errs := sender.Send("switch has expired", nil); !errors.Is(errs[0], router.ErrServiceTimeout) {
				t.Error(errs[0])
			}
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A check that overlaps itself sends the same text again while the first one still
// tries: it is one incident.
func TestConsumerOverlapsItself(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := shoutrrr.Send(server.ServiceURL(consumerKey), "container web is down"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := incidents(server); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// A program keeps the function that sends in a field, to replace it in its tests.
func TestConsumerKeepsSendInAField(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	var send func(string, string) error = func(url, message string) error { return shoutrrr.Send(url, message) }
	if err := send(server.ServiceURL(consumerKey), "m"); err != nil {
		t.Error(err)
	}
}

// One line of the log for each URL that has failed says which one it is.
func TestConsumerLogsSeveralURLs(t *testing.T) {
	server := pagerdutytest.NewServer(t)
	fault, err := pagerdutytest.ParseFault("400:count=-1")
	if err != nil {
		t.Fatal(err)
	}
	server.Inject(fault)
	urls := []string{server.ServiceURL(consumerKey), server.ServiceURL("fedcba9876543210fedcba9876543210")}
	sender, err := shoutrrr.CreateSender(urls...)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range sender.Send("m", nil) {
		if line := fmt.Sprint(err); !strings.Contains(line, fmt.Sprintf("URL %d of 2", i+1)) || strings.Contains(line, consumerKey) || strings.Contains(line, "\n") {
			t.Errorf("logged %q", line)
		}
	}
	if _, err := shoutrrr.CreateSender(urls[0], "slack://token@channel"); err == nil || !strings.Contains(err.Error(), "URL 2 of 2") || !errors.Is(err, shoutrrr.ErrUnknownService) {
		t.Errorf("got %v", err)
	}
}
