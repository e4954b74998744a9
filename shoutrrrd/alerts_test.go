package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// scrapeEvery is how often Prometheus asks, and looks at its rules: its own defaults
	// are a minute for both, and most people have 15 seconds.
	scrapeEvery = 15 * time.Second

	// scrapes is how often the relay of an outage is asked. All alerts of outages fire
	// within three minutes and a half.
	scrapes = 15
)

// rehearsal is an outage: what happens to a relay, and what Prometheus makes of it.
type rehearsal struct {
	name   string
	fault  string   // of the upstream, for all requests; "" for none
	keys   []string // that the upstream knows; none: all
	away   bool     // nobody listens at the upstream
	events func(t *testing.T, p *process)
	after  func(t *testing.T, p *process) // once the events are there
	args   []string                       // of the relay
	alerts []string                       // that fire in the end; no other may
}

// criticals sends five critical events of incidents of their own.
func criticals(t *testing.T, p *process) {
	p.flood(t, 5, func(i int) string { return trigger(fmt.Sprintf("page-%d", i), "critical", "database down") })
}

var rehearsals = []rehearsal{
	{name: "the upstream answers 500", fault: "500", events: criticals, alerts: []string{"ShoutrrrdPagesNotLeaving", "ShoutrrrdUpstreamFailing"}},
	{name: "nobody listens at the upstream", away: true, events: criticals, alerts: []string{"ShoutrrrdPagesNotLeaving", "ShoutrrrdUpstreamFailing"}},
	{name: "the upstream answers 429 for 15 minutes", fault: "429:retry-after=900", events: criticals, alerts: []string{"ShoutrrrdPagesNotLeaving"}},
	{name: "PagerDuty rejects the key", keys: []string{"ffffffffffffffffffffffffffffffff"}, events: criticals, alerts: []string{"ShoutrrrdKeyRejected", "ShoutrrrdPagesNotLeaving"}},
	{
		name: "an operator has paused the lane", after: criticals,
		events: func(t *testing.T, p *process) {
			p.flood(t, 1, func(int) string { return trigger("first", "info", "makes the lane") })
			p.command(t, "queue", "pause", "web", "--why", "planned")
		},
	},
	{
		name: "the queue is full of less severe events", args: []string{"--max-queued", "200"}, alerts: []string{"ShoutrrrdQueueFull"},
		events: func(t *testing.T, p *process) {
			p.flood(t, 1, func(int) string { return trigger("first", "info", "makes the lane") })
			p.command(t, "queue", "pause", "web", "--why", "planned")
			for i := range 300 {
				p.post(t.Context(), http.DefaultClient, trigger(fmt.Sprint("info-", i), "info", "a cable was cut"))
			}
		},
	},
	{name: "the relay is killed", events: criticals, after: func(_ *testing.T, p *process) { p.kill() }, alerts: []string{"ShoutrrrdDown"}},
	{
		name: "a storm, and all is well",
		events: func(t *testing.T, p *process) {
			p.flood(t, 5000, func(i int) string { return trigger(fmt.Sprintf("storm-%d", i), "info", "a cable was cut") })
		},
		after: func(t *testing.T, p *process) {
			every := time.NewTicker(7 * time.Second)
			t.Cleanup(every.Stop)
			go func() {
				for n := 0; t.Context().Err() == nil; n++ {
					p.post(t.Context(), http.DefaultClient, trigger(fmt.Sprintf("page-%d", n), "critical", "database down"))
					select {
					case <-every.C:
					case <-t.Context().Done():
					}
				}
			}()
		},
	},
}

// Prometheus fires the right alert in each outage, and none when all is well: the relays
// run side by side, their metrics are what they are, and promtool is the judge of the
// rules.
func TestAlertsFire(t *testing.T) {
	prove.Long(t)
	t.Parallel()
	if _, err := exec.LookPath("promtool"); err != nil {
		prove.Missing(t, "promtool (Debian's package prometheus)")
	}
	relays := make([]*process, len(rehearsals))
	for i, o := range rehearsals {
		relays[i] = o.start(t)
		o.events(t, relays[i])
		if o.after != nil {
			o.after(t, relays[i])
		}
	}
	series := scrape(relays)
	for i, o := range rehearsals {
		t.Run(o.name, func(t *testing.T) {
			fired(t, series[i], o.alerts)
			for _, alert := range o.alerts {
				relays[i].runbook(t, alert)
			}
		})
	}
}

func (o *rehearsal) start(t *testing.T) *process {
	dir := t.TempDir()
	options := pagerdutytest.Options{Keys: o.keys}
	url := "http://127.0.0.1:9" // the discard port: nobody listens there
	if !o.away {
		upstream := pagerdutytest.NewServer(t, options)
		if o.fault != "" {
			fault, err := pagerdutytest.ParseFault(o.fault)
			if err != nil {
				t.Fatal(err)
			}
			fault.Count = -1
			upstream.Inject(fault)
		}
		url = upstream.URL()
	}
	config := filepath.Join(dir, "shoutrrrd.yaml")
	if err := os.WriteFile(config, []byte("keys:\n  - alias: web\n    key: "+testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, dir, append([]string{"--config", config, "--upstream", url}, o.args...)...)
}

// scrape asks for the metrics as Prometheus does, and returns for each relay the values of
// its series, "_" where there is none.
func scrape(relays []*process) []map[string][]string {
	all := make([]map[string][]string, len(relays))
	for i := range all {
		all[i] = map[string][]string{}
	}
	ticker := time.NewTicker(scrapeEvery)
	defer ticker.Stop()
	for n := range scrapes {
		if n > 0 {
			<-ticker.C
		}
		for i, p := range relays {
			values := p.metrics()
			up := "1"
			if values == nil {
				values, up = map[string]string{}, "0"
			}
			values[`up{instance="relay",job="shoutrrrd"}`] = up
			for name, value := range values {
				missed := slices.Repeat([]string{"_"}, n-len(all[i][name]))
				all[i][name] = append(append(all[i][name], missed...), value)
			}
		}
	}
	for _, series := range all {
		for name, values := range series {
			if len(values) < scrapes { // it has ended, and is not for five minutes what it was
				series[name] = append(values, "stale")
			}
		}
	}
	return all
}

// metrics are the relay's by series, nil if it does not answer.
func (p *process) metrics() map[string]string {
	resp, err := http.Get(p.admin + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil
	}
	values := map[string]string{}
	for name, family := range families {
		for _, m := range family.Metric {
			var v float64
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				v = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				v = m.GetGauge().GetValue()
			default:
				continue
			}
			labels := []string{`instance="relay"`, `job="shoutrrrd"`}
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			values[name+"{"+strings.Join(labels, ",")+"}"] = strings.Replace(fmt.Sprint(v), "+Inf", "Inf", 1)
		}
	}
	return values
}

// fired has promtool look at the rules: these alerts fire at the end, and no other.
func fired(t *testing.T, series map[string][]string, alerts []string) {
	t.Helper()
	rules, err := filepath.Abs("../contrib/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: %s\ntests:\n  - interval: %s\n    input_series:\n", rules, scrapeEvery, scrapeEvery)
	for _, name := range slices.Sorted(maps.Keys(series)) {
		fmt.Fprintf(&b, "      - series: %q\n        values: %q\n", name, strings.Join(series[name], " "))
	}
	fmt.Fprintf(&b, "    promql_expr_test:\n      - expr: 'group by (alertname) (ALERTS{alertstate=\"firing\"})'\n        eval_time: %s\n        exp_samples:\n", (scrapes-1)*scrapeEvery)
	if len(alerts) == 0 {
		b.Truncate(b.Len() - len("        exp_samples:\n"))
	}
	for _, alert := range alerts {
		fmt.Fprintf(&b, "          - {labels: '{alertname=%q}', value: 1}\n", alert)
	}
	file := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
		for name, values := range series {
			if regexp.MustCompile(`condition|age_seconds|time_to_page|rejected|^up`).MatchString(name) {
				t.Log(name, values)
			}
		}
	}
}

// runbook runs the commands of an alert's page as somebody does who was called.
func (p *process) runbook(t *testing.T, alert string) {
	t.Helper()
	page := readPage(t, filepath.Join("runbooks", alert+".md"))
	for _, heading := range []string{"## Meaning", "## Impact", "## Diagnosis", "## Mitigation"} {
		if !strings.Contains(page, heading) {
			t.Errorf("the page of %s lacks %q", alert, heading)
		}
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "shoutrrr ") {
				t.Logf("%s\n%s", line, p.command(t, strings.Fields(line)[1:]...))
			}
		}
	}
}

var builtCommand = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "shoutrrr")
	build := exec.Command("go", "build", "-C", "..", "-buildvcs=false", "-o", path, "./cmd/shoutrrr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the command: %w\n%s", err, out)
	}
	return path, nil
})

// command runs shoutrrr against the relay. A status that is no misuse is an answer: that
// of a relay which does not answer says so.
func (p *process) command(t *testing.T, args ...string) string {
	t.Helper()
	path, err := builtCommand()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "SHOUTRRR_RELAY=" + p.admin}
	out, err := cmd.CombinedOutput()
	const misuse = 64
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == misuse || bytes.Contains(out, []byte("goroutine "))) {
		t.Errorf("shoutrrr %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// What the rules and the dashboard ask for is what docs/metrics.md lists, or what the
// rules record; each alert has its page, and each page its alert.
func TestRulesAndDashboard(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("..", "contrib", "prometheus", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	rules, dashboard, page := read("rules.yaml"), read("dashboard.json"), readPage(t, "metrics.md")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is no JSON")
	}
	for _, name := range regexp.MustCompile(`\bshoutrrrd_[a-z_]+`).FindAllString(rules+dashboard, -1) {
		if !strings.Contains(page, "| `"+strings.TrimSuffix(name, "_bucket")+"` |") {
			t.Errorf("%s is asked for, and docs/metrics.md does not list it", name)
		}
	}
	for _, name := range regexp.MustCompile(`\bshoutrrrd:[a-z0-9_:]+`).FindAllString(dashboard, -1) {
		if !strings.Contains(rules, "record: "+name) {
			t.Errorf("the dashboard asks for %s, which no rule records", name)
		}
	}
	var alerts []string
	for _, found := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		alerts = append(alerts, found[1]+".md")
		if !strings.Contains(rules, "/docs/runbooks/"+found[1]+".md") || !strings.Contains(page, "(runbooks/"+found[1]+".md)") {
			t.Errorf("%s does not name its page, or docs/metrics.md does not", found[1])
		}
	}
	var pages []string
	entries, err := os.ReadDir(filepath.Join("..", "docs", "runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pages = append(pages, e.Name())
	}
	slices.Sort(alerts)
	if diff := cmp.Diff(pages, alerts); diff != "" {
		t.Errorf("-pages +alerts:\n%s", diff)
	}
}
