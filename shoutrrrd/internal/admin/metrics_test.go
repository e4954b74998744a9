package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// connected is a listener that has counted so much.
type connected struct{ open, idle, incomplete int }

// Connections is how many are open.
func (c connected) Connections() int { return c.open }

// Cut is how many made room.
func (c connected) Cut() (idle, incomplete int64) { return int64(c.idle), int64(c.incomplete) }

// exercise makes the meter have every metric with every label.
func (b *bench) exercise() {
	b.t.Helper()
	if err := errors.Join(
		b.meter.Listener("events", connected{3, 4, 5}), b.meter.Listener("admin", connected{1, 0, 0}), b.meter.BodyMemory(func() int64 { return 4096 }, 64<<20),
	); err != nil {
		b.t.Fatal(err)
	}
	b.put(dbKey, "a", queue.Critical, body("disk full"))
	b.put(dbKey, "b", queue.Info, body("disk full"))
	b.later(10 * time.Second)
	b.scheduler.statuses = []lane.Status{{
		Lane: 1, Condition: lane.Throttled, Until: b.clock().Add(30 * time.Second), Limit: 300, Learned: 270, Used: 212, InFlight: 2, Throttled: 3, PausedUntil: b.clock().Add(2 * time.Second), Free: 100, Most: 8,
	}}
	b.upstreams = []lane.Upstream{{Name: "https://events.pagerduty.com", Record: lane.Record{Failures: 1, Accepted: time.Unix(1772500000, 0)}}}
	b.meter.Accepted("db", queue.Alert, true, true, 3*time.Millisecond)
	b.meter.Folded("db", 3)
	b.meter.Accepted("db", queue.Change, false, false, 3*time.Millisecond)
	b.meter.TurnedAway("full")
	b.meter.FailedSignIn(door.ExpiredToken)
	b.meter.Notified("mail", "firing", false)
	b.meter.Damaged()
	accepted := b.clock()
	kinds := map[int]lane.Failure{429: lane.LimitMet, 503: lane.ServerError, 200: lane.NotPagerDuty, 0: lane.TimedOut, 400: lane.EventDenied, 301: lane.NotPagerDuty}
	tried := func(state queue.State, status int) {
		b.meter.Settled("db", queue.Event{Severity: queue.Critical, Accepted: accepted}, queue.Settlement{State: state, Status: status, Tried: true, Failure: string(kinds[status]), At: accepted.Add(2 * time.Second)})
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
		`shoutrrrd_accepted_total{kind="alert",lane="db"}`:                                            "1",
		`shoutrrrd_accepted_total{kind="change",lane="db"}`:                                           "1",
		`shoutrrrd_repaired_total{lane="db"}`:                                                         "1",
		`shoutrrrd_coalesced_total{lane="db"}`:                                                        "1",
		`shoutrrrd_folded_total{lane="db"}`:                                                           "3",
		`shoutrrrd_turned_away_total{reason="full"}`:                                                  "1",
		`shoutrrrd_turned_away_total{reason="stopping"}`:                                              "0",
		`shoutrrrd_delivered_total{lane="db"}`:                                                        "1",
		`shoutrrrd_attempts_total{code="2xx",lane="db"}`:                                              "1",
		`shoutrrrd_attempts_total{code="3xx",lane="db"}`:                                              "1",
		`shoutrrrd_attempts_total{code="429",lane="db"}`:                                              "1",
		`shoutrrrd_attempts_total{code="4xx",lane="db"}`:                                              "1",
		`shoutrrrd_attempts_total{code="5xx",lane="db"}`:                                              "1",
		`shoutrrrd_attempts_total{code="none",lane="db"}`:                                             "2",
		`shoutrrrd_dead_lettered_total{lane="db",reason="rejected",state="refused"}`:                  "1",
		`shoutrrrd_failed_attempts_total{kind="server_error",lane="db"}`:                              "1",
		`shoutrrrd_failed_attempts_total{kind="timed_out",lane="db"}`:                                 "1",
		`shoutrrrd_failed_attempts_total{kind="rate_limited",lane="db"}`:                              "1",
		`shoutrrrd_last_delivery_timestamp_seconds{lane="db"}`:                                        fmt.Sprint(float64(b.clock().Add(2*time.Second).UnixMilli()) / 1000),
		`shoutrrrd_pages{state="leaving"}`:                                                            "1",
		`shoutrrrd_pages{state="not_leaving"}`:                                                        "0",
		`shoutrrrd_stuck_critical_events`:                                                             "0",
		`shoutrrrd_upstream_failing{upstream="https://events.pagerduty.com"}`:                         "1",
		`shoutrrrd_upstream_last_delivery_timestamp_seconds{upstream="https://events.pagerduty.com"}`: "1.7725e+09",
		`shoutrrrd_dead_lettered_total{lane="db",reason="too_old",state="expired"}`:                   "1",
		`shoutrrrd_put_duration_seconds_count`:                                                        "2",
		`shoutrrrd_delivery_delay_seconds_sum{severity="critical"}`:                                   "2",
		`shoutrrrd_delivery_delay_seconds_count{severity="warning"}`:                                  "0",
		`shoutrrrd_queued_events{lane="db",severity="critical"}`:                                      "1",
		`shoutrrrd_queued_events{lane="db",severity="error"}`:                                         "0",
		`shoutrrrd_queued_events{lane="db",severity="info"}`:                                          "1",
		`shoutrrrd_in_flight_attempts{lane="db"}`:                                                     "2",
		`shoutrrrd_dead_letters{lane="db",state="refused"}`:                                           "0",
		`shoutrrrd_oldest_queued_age_seconds{lane="db",severity="critical"}`:                          "10",
		`shoutrrrd_oldest_queued_age_seconds{lane="db",severity="error"}`:                             "0",
		`shoutrrrd_limit_events{lane="db"}`:                                                           "300",
		`shoutrrrd_learned_limit_events{lane="db"}`:                                                   "270",
		`shoutrrrd_used_events{lane="db"}`:                                                            "212",
		`shoutrrrd_lane_condition{condition="rate_limited",lane="db"}`:                                "1",
		`shoutrrrd_lane_condition{condition="failing",lane="db"}`:                                     "0",
		`shoutrrrd_lane_condition{condition="upstream_unreachable",lane="db"}`:                        "0",
		`shoutrrrd_key_refused{lane="db"}`:                                                            "0",
		`shoutrrrd_time_to_page_seconds{lane="db"}`:                                                   "2",
		`shoutrrrd_backlog_forecast_seconds{lane="db"}`:                                               "30",
		`shoutrrrd_lanes`:                                                       "1",
		`shoutrrrd_lanes_in_trouble`:                                            "1",
		`shoutrrrd_store_healthy`:                                               "1",
		`shoutrrrd_quarantined_files`:                                           "0",
		`shoutrrrd_config_last_reload_successful`:                               "1",
		`shoutrrrd_config_last_reload_success_timestamp_seconds`:                fmt.Sprint(float64(b.clock().Add(-time.Hour-10*time.Second).UnixMilli()) / 1000),
		`shoutrrrd_open_connections{listener="events"}`:                         "3",
		`shoutrrrd_open_connections{listener="admin"}`:                          "1",
		`shoutrrrd_cut_connections_total{listener="events",state="idle"}`:       "4",
		`shoutrrrd_cut_connections_total{listener="events",state="incomplete"}`: "5",
		`shoutrrrd_body_memory_bytes`:                                           "4096",
		`shoutrrrd_body_memory_limit_bytes`:                                     "6.7108864e+07",
		`shoutrrrd_damage_total`:                                                "1",
		`shoutrrrd_failed_sign_ins_total{by="expired"}`:                         "1",
		`shoutrrrd_failed_sign_ins_total{by="token"}`:                           "0",
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

func (s *counting) Overview(ctx context.Context, named []int64, others int) (queue.Overview, error) {
	s.counts++
	return s.Store.Overview(ctx, named, others)
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
	if got := value(t, b.get("/metrics").body, `shoutrrrd_queued_events{lane="db",severity="critical"}`); got != "2" || store.counts != 2 {
		t.Errorf("a second later %s wait, counted %d times", got, store.counts)
	}
}

// Lanes cannot make series without end: those in trouble and the busiest have gauges of
// their own, the first ones counters. The rest is added up.
func TestSeriesAreBounded(t *testing.T) {
	b := newBench(t, nil)
	const lanes = 500
	for i := range lanes {
		key := mustKey(t, fmt.Sprintf("%032d", i))
		b.meter.Accepted(key.Fingerprint(), queue.Alert, true, true, time.Millisecond)
		b.put(key.Reveal(), "a", queue.Info, body("x"))
		if i >= lanes-10 { // the latest ones are the busiest
			b.put(key.Reveal(), "b", queue.Info, body("x"))
		}
		if i == 7 {
			b.scheduler.statuses = append(b.scheduler.statuses, lane.Status{Lane: int64(i + 1), Condition: lane.Delivering, KeyRefused: true})
		}
	}
	for i := range maxNamed + 7 {
		b.meter.Accepted(fmt.Sprint("alias-", i), queue.Alert, false, false, time.Millisecond)
	}
	text := b.get("/metrics").body
	for series, want := range map[string]int{
		`shoutrrrd_accepted_total{kind="alert",lane="other"}`:   lanes - maxStrangers + 7,
		`shoutrrrd_accepted_total{kind="alert",lane="alias-0"}`: 1,
		`shoutrrrd_queued_events{lane="other",severity="info"}`: lanes - 200 - 1,
		`shoutrrrd_lanes`:            lanes,
		`shoutrrrd_lanes_in_trouble`: 1,
		fmt.Sprintf(`shoutrrrd_key_refused{lane=%q}`, mustKey(t, fmt.Sprintf("%032d", 7)).Fingerprint()):                         1,
		fmt.Sprintf(`shoutrrrd_queued_events{lane=%q,severity="info"}`, mustKey(t, fmt.Sprintf("%032d", lanes-1)).Fingerprint()): 2,
	} {
		if got := value(t, text, series); got != fmt.Sprint(want) {
			t.Errorf("%s is %s, want %d", series, got, want)
		}
	}
	gauges := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^shoutrrrd_queued_events.*lane="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		gauges[m[1]] = true
	}
	if len(gauges) != 202 {
		t.Errorf("%d lanes have gauges, want 200, the one in trouble and the others together", len(gauges))
	}
}

// Idle lanes without series of their own are one that is idle: a page would leave it at once.
func TestSeriesOfIdleLanes(t *testing.T) {
	b := newBench(t, nil)
	const lanes = 203
	for i := range lanes {
		if _, err := b.store.Lane(t.Context(), mustKey(t, laneKey(i))); err != nil {
			t.Fatal(err)
		}
	}
	text := b.get("/metrics").body
	for series, want := range map[string]string{
		`shoutrrrd_lanes`:            "203",
		`shoutrrrd_lanes_in_trouble`: "0",
		`shoutrrrd_queued_events{lane="other",severity="critical"}`: "0",
		`shoutrrrd_lane_condition{condition="idle",lane="other"}`:   "1",
		`shoutrrrd_lane_condition{condition="paused",lane="other"}`: "0",
		`shoutrrrd_time_to_page_seconds{lane="other"}`:              "0",
		`shoutrrrd_backlog_forecast_seconds{lane="other"}`:          "0",
	} {
		if got := value(t, text, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
}

// A dead letter whose lane had to make room for another one is in no lane's count. It is
// in the metric all the same: alerts look there.
func TestDeadLetterOfForgottenLane(t *testing.T) {
	b := newBench(t, func(p *parts) {
		now := p.Now()
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "queue.db"), MaxLanes: 1, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		l, err := s.Lane(t.Context(), mustKey(t, laneKey(1)))
		if err != nil {
			t.Fatal(err)
		}
		e := queue.New{Lane: l.ID, Action: eventsv2.Trigger, DedupKey: "a", Severity: queue.Error, Body: []byte("{}"), Accepted: now}
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		taken, err := queuetest.Claim(t.Context(), s, l.ID, queue.MostUrgent, 1)
		if err != nil || len(taken) != 1 {
			t.Fatal(err, len(taken))
		}
		if err := queuetest.Settle(t.Context(), s, queue.Settlement{ID: taken[0].ID, Claim: taken[0].Claim, State: queue.Refused, At: now, Status: 400, Tried: true}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		if _, err := s.Lane(t.Context(), mustKey(t, laneKey(2))); err != nil {
			t.Fatal(err)
		}
		p.Store, p.told.Store = s, s
	})
	if got := value(t, b.get("/metrics").body, `shoutrrrd_dead_letters{lane="other",state="refused"}`); got != "1" {
		t.Errorf("%s dead letters, want 1", got)
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
	_, err := New(Options{Store: b.store, Meter: b.meter, Now: b.clock, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("two doors share a meter without an error")
	}
}

func BenchmarkMeter(b *testing.B) {
	m := NewMeter("1")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Accepted("key-0123abcd0123abcd", queue.Alert, true, false, time.Millisecond)
		}
	})
}
