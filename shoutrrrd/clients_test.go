package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

const clientAlerts = 500

// relayBefore starts a relay before an emulator that holds to 300 a minute, as the
// relay does.
func relayBefore(t *testing.T) (*process, *pagerdutytest.Server) {
	t.Helper()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: 300})
	return start(t, t.TempDir(), "--upstream", upstream.URL(), "--rate", "300"), upstream
}

// allResolved waits until every alert has been triggered and resolved upstream: a
// thousand events at 300 a minute.
func allResolved(t *testing.T, p *process, upstream *pagerdutytest.Server) {
	t.Helper()
	p.drained(t, 6*time.Minute)
	resolved := 0
	for _, incident := range upstream.Incidents() {
		if incident.Status == pagerdutytest.StatusResolved {
			resolved++
		}
	}
	if resolved != clientAlerts {
		t.Errorf("%d incidents were resolved, want %d", resolved, clientAlerts)
	}
	for _, entry := range upstream.Journal() {
		if entry.Outcome == pagerdutytest.OutcomeThrottled {
			t.Errorf("the limit was passed: %s", entry)
		}
	}
}

// PagerDuty's own Go client, with nothing but another endpoint.
func TestGoPagerduty(t *testing.T) {
	t.Parallel()
	prove.Long(t)
	p, upstream := relayBefore(t)
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(p.front))
	for _, action := range []string{"trigger", "resolve"} {
		for i := range clientAlerts {
			resp, err := client.ManageEventWithContext(t.Context(), &pagerduty.V2Event{
				RoutingKey: testKey, Action: action, DedupKey: fmt.Sprintf("alert-%d", i),
				Payload: &pagerduty.V2Payload{Summary: "Disk full", Source: "db-1", Severity: "error"},
			})
			if err != nil {
				t.Fatalf("%s %d: %v", action, i, err)
			}
			if want := fmt.Sprintf("alert-%d", i); resp.DedupKey != want {
				t.Fatalf("the client understood the dedup key %q, want %q", resp.DedupKey, want)
			}
		}
	}
	allResolved(t, p, upstream)
}

// Debian's Alertmanager, with nothing but another url.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	prove.Long(t)
	const program = "prometheus-alertmanager" // Debian's package has that name, too
	prove.Need(t, program)
	p, upstream := relayBefore(t)
	address := startAlertmanager(t, program, p.front+"/v2/enqueue")
	alerts := func(ends time.Time) {
		t.Helper()
		list := make([]map[string]any, clientAlerts)
		for i := range list {
			list[i] = map[string]any{
				"labels":      map[string]string{"alertname": "DiskFull", "instance": fmt.Sprintf("db-%d", i), "severity": "error"},
				"annotations": map[string]string{"summary": "Disk full"},
				"startsAt":    time.Now().Add(-time.Minute).Format(time.RFC3339), "endsAt": ends.Format(time.RFC3339),
			}
		}
		body, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post("http://"+address+"/api/v2/alerts", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("Alertmanager says %s", resp.Status)
		}
	}
	alerts(time.Now().Add(time.Hour))
	eventually(t, "Alertmanager has sent every trigger", time.Minute, func() bool { return p.accepted(t) >= clientAlerts })
	alerts(time.Now().Add(-time.Second))
	eventually(t, "Alertmanager has sent every resolve", time.Minute, func() bool { return p.accepted(t) >= 2*clientAlerts })
	allResolved(t, p, upstream)
	if failed := alertmanagerFailures(t, address); failed != "" {
		t.Errorf("Alertmanager counts failures: %s", failed)
	}
}

// readmeReceiver is what the README shows of Alertmanager's settings, for this relay.
func readmeReceiver(t *testing.T, url string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, found := strings.Cut(string(text), "\npagerduty_configs:\n")
	shown, _, closed := strings.Cut(shown, "\n```")
	if !found || !closed {
		t.Fatal("the README shows no settings of Alertmanager")
	}
	shown = regexp.MustCompile(`(routing_key:) \S+`).ReplaceAllString(shown, "$1 "+testKey)
	shown = regexp.MustCompile(`(url:) \S+`).ReplaceAllString(shown, "$1 "+url)
	return "    " + strings.ReplaceAll(shown, "\n", "\n    ")
}

// The settings that the README shows bring the severity and the source of an alert to
// PagerDuty. Without them every page is an "error" from "Alertmanager".
func TestAlertmanagerAsTheReadmeShowsIt(t *testing.T) {
	t.Parallel()
	const program = "prometheus-alertmanager"
	prove.Need(t, program)
	p, upstream := relayBefore(t)
	address := startAlertmanager(t, program, p.front+"/v2/enqueue")
	alerts := `[{"labels":{"alertname":"DiskFull","instance":"db-1:9100","severity":"critical"}},
		{"labels":{"alertname":"SlowQueries","job":"billing","severity":"warning"}},{"labels":{"alertname":"Odd"}}]`
	resp, err := http.Post("http://"+address+"/api/v2/alerts", "application/json", strings.NewReader(alerts))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager says %s", resp.Status)
	}
	want := []string{"critical db-1:9100", "error Alertmanager", "warning billing"}
	var got []string
	eventually(t, "three incidents are open", time.Minute, func() bool {
		got = nil
		for _, incident := range upstream.Incidents() {
			got = append(got, incident.Severity+" "+incident.Source)
		}
		slices.Sort(got)
		return len(got) == len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// startAlertmanager starts it with one receiver and returns its address.
func startAlertmanager(t *testing.T, program, url string) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`
route:
  receiver: oncall
  group_by: [alertname, instance]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 12h
receivers:
  - name: oncall
    pagerduty_configs:
%s
`, readmeReceiver(t, url))
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // Alertmanager does not tell which port it got
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Alertmanager says:\n%.3000s", out)
		}
	})
	eventually(t, "Alertmanager is ready", 30*time.Second, func() bool {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return address
}

// accepted is how many events have got a 202.
func (p *process) accepted(t testing.TB) (n int) {
	t.Helper()
	for line := range strings.Lines(p.get(t, "/metrics")) {
		if strings.HasPrefix(line, "shoutrrrd_accepted_total{") {
			fields := strings.Fields(line)
			count, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				t.Fatal(err)
			}
			n += int(count)
		}
	}
	return n
}

// alertmanagerFailures returns Alertmanager's own count of failed notifications,
// if there is any.
func alertmanagerFailures(t *testing.T, address string) (failed string) {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "alertmanager_notification_requests_failed_total{") && strings.Contains(line, `"pagerduty"`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			failed += line
		}
	}
	return failed
}
