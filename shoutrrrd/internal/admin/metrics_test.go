package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// exercise makes the meter have every metric with every label.
func (b *bench) exercise() {
	b.t.Helper()
	if err := errors.Join(b.meter.Connections("front", func() int { return 3 }), b.meter.Connections("admin", func() int { return 1 })); err != nil {
		b.t.Fatal(err)
	}
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	b.put(dbKey, "b", queue.Info, body("disk full"))
	b.later(10 * time.Second)
	b.scheduler.statuses = []lane.Status{{
		Lane: 1, Condition: lane.Paused, Until: b.clock().Add(30 * time.Second), Limit: 300, Learned: 270, Used: 212, InFlight: 2, Throttled: 3, TimeToPage: 2 * time.Second,
	}}
	b.meter.Accepted("db", queue.Alert, true, true, 3*time.Millisecond)
	b.meter.Accepted("db", queue.Change, false, false, 3*time.Millisecond)
	b.meter.TurnedAway("full")
	accepted := b.clock()
	tried := func(state queue.State, status int) {
		b.meter.Settled("db", queue.Event{Severity: queue.Critical, Accepted: accepted}, queue.Settlement{State: state, Status: status, Tried: true, At: accepted.Add(2 * time.Second)})
	}
	tried(queue.Delivered, 202)
	tried(queue.Ready, 429)
	tried(queue.Waiting, 503)
	tried(queue.Waiting, 200) // a proxy's page
	tried(queue.Ready, 0)
	tried(queue.Refused, 400)
	tried(queue.Refused, 301)
	b.meter.Settled("db", queue.Event{Severity: queue.Info}, queue.Settlement{State: queue.Expired, Status: 503})
	b.meter.Settled("db", queue.Event{Severity: queue.Info}, queue.Settlement{State: queue.Ready}) // cut before it was sent
}

// value finds a sample of the text that Prometheus gets.
func value(t *testing.T, text, series string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Errorf("%s is missing", series)
	return ""
}

func TestMetrics(t *testing.T) {
	b := newBench(t, nil)
	b.exercise()
	text := b.get("/metrics").body
	for series, want := range map[string]string{
		`shoutrrrd_accepted_total{kind="alert",lane="db"}`:              "1",
		`shoutrrrd_accepted_total{kind="change",lane="db"}`:             "1",
		`shoutrrrd_repaired_total{lane="db"}`:                           "1",
		`shoutrrrd_coalesced_total{lane="db"}`:                          "1",
		`shoutrrrd_turned_away_total{reason="full"}`:                    "1",
		`shoutrrrd_turned_away_total{reason="stopping"}`:                "0",
		`shoutrrrd_delivered_total{lane="db"}`:                          "1",
		`shoutrrrd_attempts_total{code="2xx",lane="db"}`:                "1",
		`shoutrrrd_attempts_total{code="3xx",lane="db"}`:                "1",
		`shoutrrrd_attempts_total{code="429",lane="db"}`:                "1",
		`shoutrrrd_attempts_total{code="4xx",lane="db"}`:                "1",
		`shoutrrrd_attempts_total{code="5xx",lane="db"}`:                "1",
		`shoutrrrd_attempts_total{code="none",lane="db"}`:               "2",
		`shoutrrrd_dead_lettered_total{lane="db",state="refused"}`:      "2",
		`shoutrrrd_dead_lettered_total{lane="db",state="expired"}`:      "1",
		`shoutrrrd_put_duration_seconds_count`:                          "2",
		`shoutrrrd_delivery_delay_seconds_sum{severity="critical"}`:     "2",
		`shoutrrrd_delivery_delay_seconds_count{severity="warning"}`:    "0",
		`shoutrrrd_waiting_events{lane="db",severity="critical"}`:       "1",
		`shoutrrrd_waiting_events{lane="db",severity="error"}`:          "0",
		`shoutrrrd_waiting_events{lane="db",severity="info"}`:           "1",
		`shoutrrrd_in_flight_attempts{lane="db"}`:                       "2",
		`shoutrrrd_dead_letters{lane="db",state="refused"}`:             "0",
		`shoutrrrd_oldest_waiting_age_seconds{lane="db"}`:               "10",
		`shoutrrrd_throttled_total{lane="db"}`:                          "3",
		`shoutrrrd_limit_events{lane="db"}`:                             "300",
		`shoutrrrd_learned_limit_events{lane="db"}`:                     "270",
		`shoutrrrd_used_events{lane="db"}`:                              "212",
		`shoutrrrd_lane_condition{condition="paused",lane="db"}`:        "1",
		`shoutrrrd_lane_condition{condition="held",lane="db"}`:          "0",
		`shoutrrrd_lane_condition{condition="upstream_down",lane="db"}`: "0",
		`shoutrrrd_key_refused{lane="db"}`:                              "0",
		`shoutrrrd_time_to_page_seconds{lane="db"}`:                     "2",
		`shoutrrrd_backlog_forecast_seconds{lane="db"}`:                 "30",
		`shoutrrrd_store_healthy`:                                       "1",
		`shoutrrrd_quarantined_files`:                                   "0",
		`shoutrrrd_config_last_reload_successful`:                       "1",
		`shoutrrrd_config_last_reload_success_timestamp_seconds`:        fmt.Sprint(float64(b.clock().Add(-time.Hour-10*time.Second).UnixMilli()) / 1000),
		`shoutrrrd_open_connections{door="front"}`:                      "3",
		`shoutrrrd_open_connections{door="admin"}`:                      "1",
	} {
		if got := value(t, text, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	if !regexp.MustCompile(`(?m)^shoutrrrd_build_info\{goversion="go[^"]+",version="1\.2\.3"\} 1$`).MatchString(text) {
		t.Error("the build is not told")
	}
	if !strings.Contains(text, "\ngo_goroutines ") || !strings.Contains(text, "\nprocess_") {
		t.Error("nothing is told of Go and of the process")
	}
}

func TestMetricsLint(t *testing.T) {
	b := newBench(t, nil)
	b.exercise()
	problems, err := promlint.New(strings.NewReader(b.get("/metrics").body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// documented reads the table of the page: name, type, labels.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(shoutrrrd_[a-z_]+)` \\| ([a-z]+) \\| ([a-z, ]*)\\| .+\\|$").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, m[1]+" "+m[2]+" "+strings.TrimSpace(m[3]))
	}
	return rows
}

// The page that users read has exactly what the door gives: names, types, labels.
func TestMetricsAreDocumented(t *testing.T) {
	b := newBench(t, nil)
	b.exercise()
	families, err := b.meter.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "shoutrrrd_") {
			continue
		}
		var labels []string
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
		}
		slices.Sort(labels)
		given = append(given, strings.TrimSpace(f.GetName()+" "+strings.ToLower(f.GetType().String())+" "+strings.Join(slices.Compact(labels), ", ")))
	}
	rows := documented(t)
	for i := range rows {
		rows[i] = strings.TrimSpace(rows[i])
	}
	slices.Sort(rows)
	if diff := cmp.Diff(rows, given); diff != "" {
		t.Errorf("docs/metrics.md is not what is there (-page +door):\n%s", diff)
	}
}

// counting counts how often the queue is asked.
type counting struct {
	insight.Store
	counts int
}

func (s *counting) Counts(ctx context.Context) ([]queue.Count, error) {
	s.counts++
	return s.Store.Counts(ctx)
}

// However often metrics are asked for, the queue is counted once in a second.
func TestScrapesAreCheap(t *testing.T) {
	var store *counting
	b := newBench(t, func(o *parts) { store = &counting{Store: o.told.Store}; o.told.Store = store })
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	for range 5 {
		b.get("/metrics")
	}
	if store.counts != 1 {
		t.Errorf("5 scrapes in a second have counted %d times, want once", store.counts)
	}
	b.put(dbKey, "b", queue.Critical, body("disk full"))
	b.later(time.Second)
	if got := value(t, b.get("/metrics").body, `shoutrrrd_waiting_events{lane="db",severity="critical"}`); got != "2" || store.counts != 2 {
		t.Errorf("a second later %s wait, counted %d times", got, store.counts)
	}
}

// Strangers cannot make series without end; lanes with an alias keep their own.
func TestSeriesAreBounded(t *testing.T) {
	b := newBench(t, nil)
	for i := range 2 * maxStrangers {
		key := mustKey(t, fmt.Sprintf("%032d", i))
		b.meter.Accepted(key.Fingerprint(), queue.Alert, true, true, time.Millisecond)
		b.put(key.Reveal(), "a", queue.Info, body("x"))
	}
	b.meter.Accepted("db", queue.Alert, false, false, time.Millisecond)
	text := b.get("/metrics").body
	if got := value(t, text, `shoutrrrd_accepted_total{kind="alert",lane="other"}`); got != fmt.Sprint(maxStrangers) {
		t.Errorf("%s events of others, want %d", got, maxStrangers)
	}
	if got := value(t, text, `shoutrrrd_waiting_events{lane="other",severity="info"}`); got != fmt.Sprint(maxStrangers) {
		t.Errorf("%s events of others wait, want %d", got, maxStrangers)
	}
	if got := value(t, text, `shoutrrrd_accepted_total{kind="alert",lane="db"}`); got != "1" {
		t.Errorf("the lane with an alias has %s", got)
	}
	lanes := map[string]bool{}
	for _, m := range regexp.MustCompile(`lane="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		lanes[m[1]] = true
	}
	if len(lanes) != maxStrangers+2 {
		t.Errorf("%d lanes have series, want %d, db and other", len(lanes), maxStrangers)
	}
	if series := strings.Count(text, "\nshoutrrrd_"); series > 40*(maxStrangers+2)+100 {
		t.Errorf("%d series", series)
	}
}

// Two keys that differ in case only are one lane for people.
func TestLanesOfOneName(t *testing.T) {
	b := newBench(t, nil)
	b.put(otherKey, "a", queue.Error, body("x"))
	b.put(strings.ToLower(otherKey), "b", queue.Error, body("x"))
	name := mustKey(t, otherKey).Fingerprint()
	b.scheduler.statuses = []lane.Status{
		{Lane: 1, Condition: lane.Held, Limit: 300, Learned: 300, TimeToPage: lane.Never},
		{Lane: 2, Condition: lane.Flowing, Limit: 300, Learned: 200, KeyRefused: true},
	}
	if g := b.post("/api/lanes/"+name+"/pause", ""); g.status != 200 {
		t.Fatalf("%d %s", g.status, g.body)
	}
	text := b.get("/metrics").body
	for series, want := range map[string]string{
		"shoutrrrd_waiting_events{lane=%q,severity=\"error\"}":      "2",
		"shoutrrrd_learned_limit_events{lane=%q}":                   "500",
		"shoutrrrd_key_refused{lane=%q}":                            "1",
		"shoutrrrd_time_to_page_seconds{lane=%q}":                   "+Inf",
		"shoutrrrd_lane_condition{condition=\"held\",lane=%q}":      "1",
		"shoutrrrd_lane_condition{condition=\"flowing\",lane=%q}":   "0",
		"shoutrrrd_backlog_forecast_seconds{lane=%q}":               "+Inf",
		"shoutrrrd_oldest_waiting_age_seconds{lane=%q}":             "0",
		"shoutrrrd_dead_letters{lane=%q,state=\"expired\"}":         "0",
		"shoutrrrd_lane_condition{condition=\"paused\",lane=%[1]q}": "0",
	} {
		if got := value(t, text, fmt.Sprintf(series, name)); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	lanes, err := b.store.Lanes(context.Background())
	if err != nil || len(lanes) != 2 || !lanes[0].Held || !lanes[1].Held {
		t.Errorf("lanes %+v, %v: both have to be paused", lanes, err)
	}
}

func TestReloaded(t *testing.T) {
	m := NewMeter("1")
	get := func() (ok, at float64) {
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		ok, at = math.NaN(), math.NaN()
		for _, f := range families {
			switch f.GetName() {
			case "shoutrrrd_config_last_reload_successful":
				ok = f.GetMetric()[0].GetGauge().GetValue()
			case "shoutrrrd_config_last_reload_success_timestamp_seconds":
				at = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return ok, at
	}
	m.Reloaded(time.Unix(100, 0), nil)
	if ok, at := get(); ok != 1 || at != 100 {
		t.Errorf("after a success: %v at %v", ok, at)
	}
	m.Reloaded(time.Unix(200, 0), errors.New("wrong"))
	if ok, at := get(); ok != 0 || at != 100 {
		t.Errorf("after a failure: %v at %v, want the time of the success", ok, at)
	}
}

// One meter serves one door: a second would give every metric twice.
func TestMeterServesOneDoor(t *testing.T) {
	b := newBench(t, nil)
	_, err := New(Options{Store: b.store, Holder: b.scheduler, Meter: b.meter, Now: b.clock, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("two doors share a meter without an error")
	}
}

func BenchmarkMeter(b *testing.B) {
	m := NewMeter("1")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Accepted("key-0123abcd", queue.Alert, true, false, time.Millisecond)
		}
	})
}
