package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// holders keep connections open with a request that is never complete, and open each
// anew when it is cut.
type holders struct {
	stop context.CancelFunc
	all  sync.WaitGroup
}

// hold returns when each has been connected once. Those that are cut connect again if
// they insist.
func hold(t *testing.T, address, text string, n int, insist bool) *holders {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &holders{stop: cancel}
	var connected sync.WaitGroup
	for range n {
		connected.Add(1)
		h.all.Go(func() {
			once := sync.OnceFunc(connected.Done)
			defer once()
			for ctx.Err() == nil {
				c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
				if err != nil {
					continue
				}
				once()
				leave := context.AfterFunc(ctx, func() { _ = c.Close() })
				_, _ = io.WriteString(c, text) // it may be cut
				_, _ = io.Copy(io.Discard, c)  // until it is cut
				leave()
				_ = c.Close()
				if !insist {
					return
				}
			}
		})
	}
	connected.Wait()
	return h
}

func (h *holders) end() {
	h.stop()
	h.all.Wait()
}

// Many more sockets than places, each with half a request and opened anew when it is
// cut, keep no page out, and no health check. With 9,000 of them the relay has its usual
// number of places, and else as few as make the same ratio. The log of this test has
// the times.
func TestHalfOpenSockets(t *testing.T) {
	n := prove.Share(t, 600, 9000, 9000)
	places := n * 4096 / 9000
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p := start(t, t.TempDir(), "--upstream", upstream.URL(), "--max-connections", strconv.Itoa(places))
	for _, text := range []string{"POST /v2/enqueue HTTP/1.1\r\nHost: relay\r\nX: ", "POST /v2/enqueue HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{"} {
		h := hold(t, strings.TrimPrefix(p.front, "http://"), text, n, true)
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for i := range 3 {
			began := time.Now()
			if status, err := p.submit(t.Context(), client, trigger(fmt.Sprintf("page-%d-%d", len(text), i), "critical", "Database down")); status != http.StatusAccepted {
				t.Errorf("page %d got %d, %v:\n%s", i, status, err, p.log)
			}
			t.Logf("page %d: answered after %v", i, time.Since(began))
		}
		h.end()
	}
	h := hold(t, strings.TrimPrefix(p.admin, "http://"), "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", 1200, true)
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		began := time.Now()
		resp, err := (&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get(p.admin + path)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %v, %v", path, resp, err)
			continue
		}
		_ = resp.Body.Close()
		t.Logf("%s: answered after %v", path, time.Since(began))
	}
	h.end()
	p.drained(t, time.Minute)
	if open := p.metric(t, `shoutrrrd_cut_connections_total{listener="events",state="incomplete"}`); open == 0 {
		t.Error("no connection has made room")
	}
}

// metric reads a value of /metrics.
func (p *process) metric(t testing.TB, series string) float64 {
	t.Helper()
	resp, err := http.Get(p.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s:\n%s", series, text)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// memory is what the relay has of the machine's, in MiB.
func (p *process) memory(t *testing.T) float64 {
	t.Helper()
	return p.metric(t, "process_resident_memory_bytes") / (1 << 20)
}

// Bodies of 2 MiB that lack their last byte hold no more than the budget, with what the
// garbage collector leaves of that. Without a budget the first 200 of them held 1,100
// MiB.
func TestStalledBodiesAndMemory(t *testing.T) {
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p := start(t, t.TempDir(), "--upstream", upstream.URL())
	before := p.memory(t)
	text := "POST /v2/enqueue HTTP/1.1\r\nHost: relay\r\nContent-Length: 2097152\r\n\r\n{" + strings.Repeat(" ", 2097150)
	h := hold(t, strings.TrimPrefix(p.front, "http://"), text, 200, true)
	defer h.end()
	budget := p.metric(t, "shoutrrrd_body_memory_limit_bytes")
	eventually(t, "bodies fill a client's share", time.Minute, func() bool { return p.metric(t, "shoutrrrd_body_memory_bytes") > budget/8 })
	for i := range 20 {
		if status := p.post(t.Context(), http.DefaultClient, trigger(fmt.Sprintf("page-%d", i), "critical", "Database down")); status != http.StatusAccepted {
			t.Fatalf("page %d got %d", i, status)
		}
		if used := p.metric(t, "shoutrrrd_body_memory_bytes"); used > budget {
			t.Errorf("%v bytes of %v are taken", used, budget)
		}
	}
	if grown := p.memory(t) - before; grown > 5*budget/(1<<20) {
		t.Errorf("the relay has grown by %v MiB", grown)
	}
	t.Logf("the relay has grown from %.0f to %.0f MiB", before, p.memory(t))
}

// With few open files, silent connections leave enough of them for an event to be kept
// and to leave.
func TestFewOpenFiles(t *testing.T) {
	t.Parallel()
	prove.Need(t, "prlimit")
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p := launch(t, t.TempDir(), []string{"prlimit", "--nofile=64:64"}, "--upstream", upstream.URL())
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	if !strings.Contains(p.log.String(), "max_connections is lowered") {
		t.Errorf("the log does not say what was lowered:\n%s", p.log)
	}
	h := hold(t, strings.TrimPrefix(p.front, "http://"), "", 80, false)
	defer h.end()
	for i := range 3 {
		if status := p.post(t.Context(), http.DefaultClient, trigger(fmt.Sprintf("page-%d", i), "critical", "Database down")); status != http.StatusAccepted {
			t.Fatalf("page %d got %d", i, status)
		}
	}
	p.drained(t, time.Minute)
	if strings.Contains(p.log.String(), "too many open files") {
		t.Errorf("files have run out:\n%s", p.log)
	}
}

// Wrong tokens leave a line and a count, and are slowed; the right one is not.
func TestWrongTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "ana.token", "correct-horse-battery-staple\n")
	config := writeFile(t, dir, "shoutrrrd.yaml", "tokens: [{name: ana, role: operator, file: ana.token}]\n")
	p := start(t, dir, "--upstream", "http://127.0.0.1:9", "--config", config)
	ask := func(token string) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.admin+"/api/status", nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	var wrong sync.WaitGroup
	for range 20 {
		wrong.Go(func() {
			if status, err := ask("wrong"); status != http.StatusUnauthorized {
				t.Errorf("a wrong token got %d, %v", status, err)
			}
		})
	}
	if status, err := ask("correct-horse-battery-staple"); status != http.StatusOK {
		t.Errorf("the right token got %d, %v", status, err)
	}
	wrong.Wait()
	if n := strings.Count(p.log.String(), "sign-ins and tokens were refused"); n < 1 || n > 3 {
		t.Errorf("%d lines for 20 wrong tokens:\n%s", n, p.log)
	}
	if strings.Contains(p.log.String(), "wrong") {
		t.Errorf("a token is logged:\n%s", p.log)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer correct-horse-battery-staple")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || !strings.Contains(string(text), `shoutrrrd_failed_sign_ins_total{by="token"} 20`) {
		t.Errorf("%v:\n%s", err, text)
	}
}
