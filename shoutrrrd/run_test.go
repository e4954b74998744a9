package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// trigger is the body of an event.
func trigger(dedup, severity, summary string) string {
	return fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{"summary":%q,"source":"test","severity":%q}}`,
		testKey, dedup, summary, severity)
}

// flood posts bodies over 32 connections and wants a 202 for each.
func (p *process) flood(t testing.TB, n int, body func(i int) string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	defer client.CloseIdleConnections()
	var next, failed atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if p.post(t.Context(), client, body(int(i))) != http.StatusAccepted {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		t.Fatalf("%d of %d events got no 202:\n%.3000s", failed.Load(), n, p.log)
	}
}

// A critical event behind a hundred thousand infos (in make test some thousand) leaves
// within a second of its 202, and the infos keep to the limit.
func TestStorm(t *testing.T) {
	t.Parallel()
	const backlog = 100_000
	waiting, within := prove.Share(t, 3000, backlog, backlog), patience
	if waiting == backlog {
		within = time.Second // measured in make prove alone: a busy machine needs longer
	}
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: 300})
	p := start(t, t.TempDir(), "--upstream", upstream.URL(), "--rate", "300")
	p.flood(t, waiting, func(i int) string { return trigger(fmt.Sprintf("info-%d", i), "info", "an info") })
	eventually(t, "infos have used most of the minute's window", patience, func() bool { return len(upstream.Journal()) >= 200 })
	for i := range 5 {
		dedup := fmt.Sprintf("critical-%d", i)
		if status := p.post(t.Context(), http.DefaultClient, trigger(dedup, "critical", "Database down")); status != http.StatusAccepted {
			t.Fatalf("status %d", status)
		}
		upstream.WantIncident(t, dedup).Within(within).Triggered()
	}
	var status struct {
		TimeToPage float64 `json:"time_to_page_s"`
		Queued     int
	}
	p.getJSON(t, "/api/status", &status)
	infos := 0
	for _, entry := range upstream.Journal() {
		switch {
		case entry.Outcome == pagerdutytest.OutcomeThrottled:
			t.Errorf("the limit was passed: %s", entry)
		case strings.HasPrefix(entry.DedupKey, "info-"):
			infos++
		}
	}
	// The infos have all of a minute's window but the tenth that is kept.
	minutes := 1 + int(time.Since(upstream.Journal()[0].Time)/time.Minute)
	if infos > 270*minutes {
		t.Errorf("%d infos have left in %d minutes", infos, minutes)
	}
	if status.TimeToPage > 1 || status.Queued < waiting-270*minutes {
		t.Errorf("after %d minutes: %+v", minutes, status)
	}
}

// Ten thousand repeats of one trigger leave as one event, which tells how many
// they were.
func TestRepeats(t *testing.T) {
	t.Parallel()
	prove.Long(t) // the repeats leave when the minute's window is free again
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	p := start(t, t.TempDir(), "--upstream", upstream.URL(), "--rate", "100")
	p.flood(t, 95, func(i int) string { return trigger(fmt.Sprintf("error-%d", i), "error", "fills the window") })
	p.flood(t, 10_000, func(i int) string {
		severity := "info"
		if i == 5000 {
			severity = "critical" // leaves by the share that is kept
		}
		return trigger("again", severity, fmt.Sprintf("repeat %d", i))
	})
	upstream.WantIncident(t, "again").Within(10 * time.Second).Triggered()
	eventually(t, "the repeats have left", 90*time.Second, func() bool {
		var page struct {
			Events []struct{ Repeats int }
		}
		p.getJSON(t, "/api/events?dedup_key=again&state=queued", &page)
		return len(page.Events) == 0
	})
	sent, told := 0, 0
	for _, entry := range upstream.Journal() {
		if entry.DedupKey != "again" {
			continue
		}
		sent++
		if body := string(entry.Body); strings.Contains(body, "relay_repeats") {
			told++
		}
	}
	if sent > 3 || told == 0 {
		t.Errorf("10,000 repeats were sent as %d events, of which %d tell of it", sent, told)
	}
}

// The daemon ends within ten seconds although its upstream hangs, and what was in
// flight leaves after the next start.
func TestStopWhileUpstreamHangs(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	fault, err := pagerdutytest.ParseFault("hang:count=3")
	if err != nil {
		t.Fatal(err)
	}
	upstream.Inject(fault)
	dir := t.TempDir()
	p := start(t, dir, "--upstream", upstream.URL())
	p.flood(t, 3, func(i int) string { return trigger(fmt.Sprintf("hanging-%d", i), "critical", "hangs") })
	eventually(t, "three requests hang", 10*time.Second, func() bool { return len(upstream.Journal()) == 3 })
	begun := time.Now()
	if err := p.stop(t); err != nil {
		t.Errorf("it ended with %v:\n%s", err, p.log)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s to end", took)
	}
	start(t, dir, "--upstream", upstream.URL())
	for i := range 3 {
		upstream.WantIncident(t, fmt.Sprintf("hanging-%d", i)).Within(20 * time.Second).Triggered()
	}
}

// A second relay on the same queue ends with a clear error.
func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, "--upstream", "http://127.0.0.1:9")
	second := launch(t, dir, nil, "--upstream", "http://127.0.0.1:9")
	err := <-second.ended
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitTaken || !strings.Contains(second.log.String(), "another relay uses this queue") {
		t.Errorf("%v:\n%s", err, second.log)
	}
}

// SIGHUP reads the file anew; a wrong one changes nothing but a metric.
func TestReload(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	dir := t.TempDir()
	config := filepath.Join(dir, "shoutrrrd.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keyFile := filepath.Join(dir, "oncall.key")
	if err := os.WriteFile(keyFile, []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("keys:\n  - alias: oncall\n    key: file:" + keyFile + "\n    rate: 120\n")
	p := start(t, dir, "--config", config, "--upstream", upstream.URL())
	p.flood(t, 1, func(int) string { return trigger("a", "info", "an info") })
	limit := func() int {
		var lane struct{ Limit int }
		p.getJSON(t, "/api/lanes/oncall", &lane)
		return lane.Limit
	}
	eventually(t, "the lane has its limit", patience, func() bool { return limit() == 120 })
	write("keys:\n  - alias: oncall\n    key: file:" + keyFile + "\n    rate: 60\n")
	hangup := func() {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup()
	eventually(t, "the lane has its new limit", patience, func() bool { return limit() == 60 })
	// The row reads "delivered" before the line is logged, and the counter follows the line.
	delivered := func(n int) {
		t.Helper()
		eventually(t, "the delivery is counted", patience, func() bool {
			return strings.Contains(p.get(t, "/metrics"), fmt.Sprintf(`shoutrrrd_delivered_total{lane="oncall"} %d`, n))
		})
	}
	delivered(1)
	deliver := func(dedup, level string, rate, total int) {
		write(fmt.Sprintf("log_level: %s\nkeys:\n  - alias: oncall\n    key: file:%s\n    rate: %d\n", level, keyFile, rate))
		hangup()
		eventually(t, "the file is read", patience, func() bool { return limit() == rate })
		p.flood(t, 1, func(int) string { return trigger(dedup, "info", "an info") })
		delivered(total)
	}
	deliver("unheard", "error", 61, 2)
	deliver("heard", "info", 60, 3)
	eventually(t, "the log tells of a delivery", patience, func() bool { return strings.Contains(p.log.String(), `"heard"`) })
	if strings.Contains(p.log.String(), "unheard") {
		t.Errorf("the log's level was not changed:\n%s", p.log)
	}
	write("keys:\n  - alias: oncall\n    kee: " + testKey + "\n")
	hangup()
	eventually(t, "the metric tells of the wrong file", patience, func() bool {
		return strings.Contains(p.get(t, "/metrics"), "shoutrrrd_config_last_reload_successful 0")
	})
	if limit() != 60 {
		t.Errorf("a wrong file has changed the limit to %d", limit())
	}
	keyleak.Check(t, testKey, keyleak.Text("the log", p.log.String()), keyleak.Text("the status", p.get(t, "/api/status")))
}

func (p *process) get(t testing.TB, path string) string {
	t.Helper()
	resp, err := http.Get(p.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Nothing that people see of a page that failed in every way holds the key.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	for _, text := range []string{"429:retry-after=1", "500", "reset-after", "half-body", "400"} {
		fault, err := pagerdutytest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		upstream.Inject(fault)
	}
	dir := t.TempDir()
	p := start(t, dir, "--upstream", upstream.URL(), "--log-level", "debug")
	p.flood(t, 3, func(i int) string {
		return trigger(fmt.Sprintf("e-%d", i), "CRIT", "key "+testKey+" in a summary")
	})
	for _, bad := range []string{`{"routing_key":"` + testKey + `"}`, `{"routing_key":"` + testKey + `x"}`, `{"` + testKey, `["` + testKey + `"]`} {
		if status := p.post(t.Context(), http.DefaultClient, bad); status != http.StatusBadRequest {
			t.Errorf("status %d for a bad event", status)
		}
	}
	eventually(t, "every event has ended", 30*time.Second, func() bool {
		var status struct{ Queued int }
		p.getJSON(t, "/api/status", &status)
		return status.Queued == 0
	})
	sinks := []keyleak.Sink{keyleak.Text("the log", p.log.String())}
	for _, path := range []string{"/api/status", "/api/lanes", "/api/events", "/api/events/1", "/api/events/2", "/api/events/3", "/api/shape", "/metrics", "/api/events?q=summary"} {
		sinks = append(sinks, keyleak.Text(path, p.get(t, path)))
	}
	if err := p.stop(t); err != nil {
		t.Error(err)
	}
	keyleak.Check(t, testKey, sinks...)
}

// Pages of a firewall before PagerDuty say nothing about event or key: what met
// them arrives once they are gone, and needs no operator.
func TestFirewall(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	for _, fault := range []string{"403", "401", "200"} {
		upstream.Inject(pagerdutytest.Fault{Name: fault, Body: "<html><title>Access denied</title></html>"})
	}
	p := start(t, t.TempDir(), "--upstream", upstream.URL())
	p.flood(t, 1, func(int) string { return trigger("db-1", "critical", "Database down") })
	upstream.WantIncident(t, "db-1").Within(30 * time.Second).Triggered()
	p.drained(t, 10*time.Second)
	if n := len(upstream.Journal()); n != 4 {
		t.Errorf("%d requests, want the three that met a page and one more", n)
	}
	var lanes struct {
		Lanes []struct {
			KeyRefused bool `json:"key_refused"`
			Refused    int
		}
	}
	if p.getJSON(t, "/api/lanes", &lanes); len(lanes.Lanes) != 1 || lanes.Lanes[0].KeyRefused || lanes.Lanes[0].Refused > 0 {
		t.Errorf("the key is not to blame: %+v", lanes)
	}
}

// A pool sends an incident by one key and keeps to it, also after a restart and
// when the pool grows; a key that PagerDuty refuses is left out, and what met it
// goes by another one.
func TestPool(t *testing.T) {
	t.Parallel()
	const good, wrong, late = testKey, "0123456789abcdef0123456789abcde0", "0123456789abcdef0123456789abcde1"
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1, Keys: []string{good, late}})
	dir := t.TempDir()
	config := filepath.Join(dir, "shoutrrrd.yaml")
	write := func(aliases ...string) {
		t.Helper()
		text := "keys:\n"
		for alias, key := range map[string]string{"good": good, "wrong": wrong, "late": late} {
			text += fmt.Sprintf("  - alias: %s\n    key: %s\n", alias, key)
		}
		text += "pools:\n  - name: db\n    keys: [" + strings.Join(aliases, ", ") + "]\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const incidents = 40
	write("good", "wrong")
	p := start(t, dir, "--config", config, "--upstream", upstream.URL())
	p.flood(t, incidents, func(i int) string { return trigger(fmt.Sprintf("db-%d", i), "error", "Disk full") })
	p.drained(t, 30*time.Second)
	var refused struct {
		KeyRefused bool `json:"key_refused"`
	}
	if p.getJSON(t, "/api/lanes/wrong", &refused); !refused.KeyRefused {
		t.Error("the refused key is not reported")
	}
	if err := p.stop(t); err != nil {
		t.Fatal(err)
	}
	write("late", "good", "wrong")
	p = start(t, dir, "--config", config, "--upstream", upstream.URL())
	p.flood(t, incidents, func(i int) string {
		return strings.Replace(trigger(fmt.Sprintf("db-%d", i), "error", "Disk is free again"), `"trigger"`, `"resolve"`, 1)
	})
	p.drained(t, 30*time.Second)
	resolved := 0
	for _, incident := range upstream.Incidents() {
		if incident.Status == pagerdutytest.StatusResolved {
			resolved++
		}
	}
	if resolved != incidents {
		t.Errorf("%d of %d incidents were resolved by the key that triggered them", resolved, incidents)
	}
}

func TestListenStatus(t *testing.T) {
	wrap := func(errno syscall.Errno) error {
		return &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", errno)}
	}
	for err, want := range map[error]int{
		wrap(syscall.EADDRINUSE): exitTaken, wrap(syscall.EADDRNOTAVAIL): exitTaken, wrap(syscall.EACCES): exitConfig,
	} {
		if got := listenStatus(err); got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}
