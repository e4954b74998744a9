package admin

import (
	"context"
	"math"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/prometheus/client_golang/prometheus"
)

// collector reads the queue and the scheduler when metrics are asked for.
type collector struct {
	door *Door
}

// sample is what the lanes of one label amount to.
type sample struct {
	label      string
	waiting    [queue.Ranks]int
	inFlight   int
	refused    int
	expired    int
	limit      int
	learned    int
	used       int
	keyRefused bool
	conditions map[lane.Condition]bool
	oldest     [queue.Ranks]time.Time // acceptance
	late       float64                // seconds; infinite if unknown
	forecast   float64
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	descQueued      = describe("queued_events", "Events that have not been delivered yet.", "lane", "severity")
	descInFlight    = describe("in_flight_attempts", "Attempts that PagerDuty has not answered yet.", "lane")
	descDead        = describe("dead_letters", "Events that wait for an operator's decision.", "lane", "state")
	descOldest      = describe("oldest_queued_age_seconds", "Age of the oldest queued event, by the highest severity that waits for its dedup key; 0 if there is none.", "lane", "severity")
	descLimit       = describe("limit_events", "Configured limit of events in 60 s.", "lane")
	descLearned     = describe("learned_limit_events", "Limit that is used, learned from answers 429.", "lane")
	descUsed        = describe("used_events", "Events of the last 60 s that count against the limit, with those in flight.", "lane")
	descCondition   = describe("lane_condition", "1 for the condition that the lane is in, else 0.", "lane", "condition")
	descKeyRefused  = describe("key_refused", "Whether PagerDuty refuses the integration key.", "lane")
	descTimeToPage  = describe("time_to_page_seconds", "How late PagerDuty would accept a critical event that is accepted now, in 99 of 100 cases; +Inf if unknown.", "lane")
	descState       = describe("pages", "1 for how pages leave, else 0: leaving, late or not_leaving.", "state")
	descStuck       = describe("stuck_critical_events", "Queued critical events of lanes that do not send them.")
	descUpstream    = describe("upstream_failing", "Whether an upstream has accepted nothing since its last failure.", "upstream")
	descAcceptedAt  = describe("upstream_last_delivery_timestamp_seconds", "When an upstream last accepted an event, since the start of the relay.", "upstream")
	descForecast    = describe("backlog_forecast_seconds", "Time until nothing is queued any more if nothing is added; +Inf if unknown.", "lane")
	descLanes       = describe("lanes", "Lanes.")
	descTrouble     = describe("lanes_in_trouble", "Lanes that do not flow, or have dead letters.")
	descHealthy     = describe("store_healthy", "Whether the queue can keep critical events durably.")
	descFull        = describe("queue_full", "Whether the queue turns events that are not critical away, as it is full.")
	descQuarantined = describe("quarantined_files", "Queue files that were set aside as damaged.")
	descFile        = describe("queue_file_bytes", "Size of the queue's file.")
	descWAL         = describe("queue_wal_bytes", "Size of the queue's write-ahead log.")
	descDiskLimit   = describe("queue_limit_bytes", "Size that the queue's file and write-ahead log may have together.")
	descDiskFree    = describe("disk_free_bytes", "Free bytes of the file system that holds the queue.")
	descHanging     = describe("disk_hanging_seconds", "How long the disk of the queue has not answered; events are turned away from 5 s on.")
	descEvicted     = describe("dead_letters_evicted_total", "Dead letters that were deleted because there were too many.")
	descGivenUp     = describe("events_given_up_total", "Events of unknown keys that PagerDuty rejects and whose lane made room for another key.")
)

// Describe lists what Collect gives.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descQueued, descInFlight, descDead, descOldest, descLimit, descLearned, descUsed, descCondition, descKeyRefused,
		descTimeToPage, descState, descStuck, descUpstream, descAcceptedAt, descForecast, descLanes, descTrouble, descHealthy, descFull, descQuarantined,
		descFile, descWAL, descDiskLimit, descDiskFree, descHanging, descEvicted, descGivenUp,
	} {
		to <- d
	}
}

// Collect gives the metrics of this moment. If the queue cannot be read, those of
// the lanes are missing rather than wrong.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(descHealthy, number01(c.door.o.Store.Healthy() == nil))
	gauge(descQuarantined, float64(len(c.door.o.Store.Quarantined())))
	u := c.door.o.Store.Usage()
	gauge(descFull, number01(u.Full != nil))
	gauge(descFile, float64(u.File))
	gauge(descWAL, float64(u.WAL))
	gauge(descDiskLimit, float64(u.Limit))
	gauge(descDiskFree, float64(u.Free))
	gauge(descHanging, u.Hanging.Seconds())
	to <- prometheus.MustNewConstMetric(descEvicted, prometheus.CounterValue, float64(u.Evicted))
	to <- prometheus.MustNewConstMetric(descGivenUp, prometheus.CounterValue, float64(u.GivenUp))
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin/2)
	defer cancel()
	snapshot, err := c.door.o.Insight.Snapshot(ctx)
	if err != nil {
		c.door.o.Log.Error("cannot read the queue for the metrics", "error", c.door.o.Insight.Scrub(ctx, err.Error()))
		return
	}
	gauge(descLanes, float64(snapshot.Totals.Lanes))
	gauge(descTrouble, float64(snapshot.Totals.InTrouble))
	now := c.door.o.Now()
	c.pages(ctx, gauge, snapshot)
	forgotten := max(0, u.Dead-snapshot.Totals.DeadLetters.Rejected-snapshot.Totals.DeadLetters.Expired)
	for _, s := range samplesOf(snapshot, forgotten, now) {
		for rank, n := range s.waiting {
			gauge(descQueued, float64(n), s.label, queue.Rank(rank).String())
		}
		gauge(descInFlight, float64(s.inFlight), s.label)
		gauge(descDead, float64(s.refused), s.label, queue.Refused.String())
		gauge(descDead, float64(s.expired), s.label, queue.Expired.String())
		gauge(descLimit, float64(s.limit), s.label)
		gauge(descLearned, float64(s.learned), s.label)
		gauge(descUsed, float64(s.used), s.label)
		gauge(descKeyRefused, number01(s.keyRefused), s.label)
		gauge(descTimeToPage, s.late, s.label)
		gauge(descForecast, s.forecast, s.label)
		for rank, at := range s.oldest {
			age := 0.0
			if !at.IsZero() {
				age = insight.Since(now, at)
			}
			gauge(descOldest, age, s.label, queue.Rank(rank).String())
		}
		for _, condition := range lane.Conditions {
			gauge(descCondition, number01(s.conditions[condition]), s.label, string(condition))
		}
	}
}

// pages gives the judgement of whether pages leave. Upstreams are those of the
// configuration, a few.
func (c *collector) pages(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), snapshot *insight.Snapshot) {
	if h, err := c.door.o.Insight.Headline(ctx, outlook.LateAfter); err == nil {
		for _, state := range []outlook.State{outlook.Leaving, outlook.Late, outlook.NotLeaving} {
			gauge(descState, number01(h.State == state), string(state))
		}
		gauge(descStuck, float64(h.Stuck))
	}
	for _, u := range snapshot.Upstreams() {
		gauge(descUpstream, number01(u.Failing()), u.Name)
		if at := u.Record.Accepted; !at.IsZero() {
			gauge(descAcceptedAt, float64(c.door.o.Insight.Stamp(at).UnixMilli())/1000, u.Name)
		}
	}
}

func number01(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// samplesOf are the lanes in trouble and the busiest ones, each under its name, and
// all the others added up, with the dead letters of lanes that are forgotten. Keys that
// differ in case only have one name.
func samplesOf(snapshot *insight.Snapshot, forgotten int, now time.Time) []sample {
	var samples []sample
	at := map[string]int{} // place of a name in samples
	into := func(name string) *sample {
		i, ok := at[name]
		if !ok {
			i = len(samples)
			at[name] = i
			samples = append(samples, sample{label: name, conditions: map[lane.Condition]bool{}})
		}
		return &samples[i]
	}
	for _, s := range snapshot.Shown() {
		into(s.Named.Name).add(&s, now)
	}
	for _, s := range snapshot.Rest() {
		into(other).add(s, now)
	}
	if n, idle := snapshot.Idle(); n > 0 {
		into(other).add(&idle, now)
	}
	if forgotten > 0 { // most were given up because their key is rejected
		into(other).refused += forgotten
	}
	return samples
}

func (m *sample) add(s *insight.Standing, now time.Time) {
	for rank, n := range s.Count.Waiting {
		m.waiting[rank] += n
	}
	m.inFlight += s.Status.InFlight
	m.refused += s.Count.Refused
	m.expired += s.Count.Expired
	m.limit += s.Status.Limit
	m.learned += s.Status.Learned
	m.used += s.Status.Used
	m.keyRefused = m.keyRefused || s.Status.KeyRefused
	m.conditions[s.Status.Condition] = true
	for rank, at := range s.Count.OldestOf {
		if !at.IsZero() && (m.oldest[rank].IsZero() || at.Before(m.oldest[rank])) {
			m.oldest[rank] = at
		}
	}
	m.late = max(m.late, orInfinite(s.Page.Longest(s.Count.Waiting[queue.Critical]), s.Page.Known()))
	forecast, known := s.Forecast(now)
	m.forecast = max(m.forecast, orInfinite(forecast, known))
}

func orInfinite(d time.Duration, known bool) float64 {
	if !known {
		return math.Inf(1)
	}
	return insight.Seconds(d)
}
