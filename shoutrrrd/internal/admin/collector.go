package admin

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/prometheus/client_golang/prometheus"
)

// conditions of a lane, as values of a label.
var conditions = []lane.Condition{lane.Held, lane.UpstreamDown, lane.Paused, lane.Paced, lane.Flowing, lane.Idle}

// collector reads the queue and the scheduler when metrics are asked for.
type collector struct {
	door  *Door
	meter *Meter

	mu   sync.Mutex
	at   time.Time // of what is remembered
	last []sample
}

// remember is how long a scrape is answered from memory: several scrapers, or an
// impatient one, are not to become the queue's load.
const remember = time.Second

// sample is what the lanes of one label amount to.
type sample struct {
	label      string
	waiting    [queue.Ranks]int
	inFlight   int
	refused    int
	expired    int
	throttled  int
	limit      int
	learned    int
	used       int
	keyRefused bool
	conditions map[lane.Condition]bool
	oldest     time.Time
	late       float64 // seconds; infinite if nobody knows
	forecast   float64
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	descWaiting     = describe("waiting_events", "Events that have not been delivered yet.", "lane", "severity")
	descInFlight    = describe("in_flight_attempts", "Attempts that PagerDuty has not answered yet.", "lane")
	descDead        = describe("dead_letters", "Events that wait for an operator's decision.", "lane", "state")
	descOldest      = describe("oldest_waiting_age_seconds", "Age of the oldest event that waits, 0 if none does.", "lane")
	descThrottled   = describe("throttled_total", "Answers 429 since the start.", "lane")
	descLimit       = describe("limit_events", "Configured limit of events in 60 s.", "lane")
	descLearned     = describe("learned_limit_events", "Limit that is used, learned from answers 429.", "lane")
	descUsed        = describe("used_events", "Events of the last 60 s that count against the limit, with those in flight.", "lane")
	descCondition   = describe("lane_condition", "1 for the condition that the lane is in, else 0.", "lane", "condition")
	descKeyRefused  = describe("key_refused", "Whether PagerDuty refuses the integration key.", "lane")
	descTimeToPage  = describe("time_to_page_seconds", "How late a critical event that is accepted now would leave; +Inf if nobody knows.", "lane")
	descForecast    = describe("backlog_forecast_seconds", "Time until nothing waits any more if nothing is added; +Inf if nobody knows.", "lane")
	descHealthy     = describe("store_healthy", "Whether the queue can keep events durably.")
	descQuarantined = describe("quarantined_files", "Queue files that were set aside as damaged.")
)

// Describe lists what Collect gives.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descWaiting, descInFlight, descDead, descOldest, descThrottled, descLimit, descLearned, descUsed, descCondition, descKeyRefused,
		descTimeToPage, descForecast, descHealthy, descQuarantined,
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
	now := c.door.o.Now()
	for _, s := range c.samples(now) {
		for rank, n := range s.waiting {
			gauge(descWaiting, float64(n), s.label, queue.Rank(rank).String())
		}
		gauge(descInFlight, float64(s.inFlight), s.label)
		gauge(descDead, float64(s.refused), s.label, queue.Refused.String())
		gauge(descDead, float64(s.expired), s.label, queue.Expired.String())
		to <- prometheus.MustNewConstMetric(descThrottled, prometheus.CounterValue, float64(s.throttled), s.label)
		gauge(descLimit, float64(s.limit), s.label)
		gauge(descLearned, float64(s.learned), s.label)
		gauge(descUsed, float64(s.used), s.label)
		gauge(descKeyRefused, number01(s.keyRefused), s.label)
		gauge(descTimeToPage, s.late, s.label)
		gauge(descForecast, s.forecast, s.label)
		age := 0.0
		if !s.oldest.IsZero() {
			age = insight.Since(now, s.oldest)
		}
		gauge(descOldest, age, s.label)
		for _, condition := range conditions {
			gauge(descCondition, number01(s.conditions[condition]), s.label, string(condition))
		}
	}
}

func number01(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// samples reads the queue, at most once in a second.
func (c *collector) samples(now time.Time) []sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && now.Sub(c.at) < remember && !now.Before(c.at) {
		return c.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin/2)
	defer cancel()
	all, err := c.door.o.Insight.Standings(ctx)
	if err != nil {
		c.door.o.Log.Error("cannot read the queue for the metrics", "error", c.door.o.Insight.Scrub(ctx, err.Error()))
		return nil
	}
	c.last, c.at = merged(all, c.meter.label, now), now
	return c.last
}

// merged puts lanes of the same label together: those beyond the bound, and those
// whose keys differ in case only.
func merged(all []insight.Standing, label func(string) string, now time.Time) []sample {
	samples := make([]sample, 0, len(all))
	at := map[string]int{}
	for _, s := range all {
		name := label(s.Named.Name)
		i, ok := at[name]
		if !ok {
			i = len(samples)
			at[name] = i
			samples = append(samples, sample{label: name, conditions: map[lane.Condition]bool{}})
		}
		samples[i].add(s, now)
	}
	return samples
}

func (m *sample) add(s insight.Standing, now time.Time) {
	for rank, n := range s.Count.Waiting {
		m.waiting[rank] += n
	}
	m.inFlight += s.Status.InFlight
	m.refused += s.Count.Refused
	m.expired += s.Count.Expired
	m.throttled += s.Status.Throttled
	m.limit += s.Status.Limit
	m.learned += s.Status.Learned
	m.used += s.Status.Used
	m.keyRefused = m.keyRefused || s.Status.KeyRefused
	m.conditions[s.Status.Condition] = true
	if at := s.Count.Oldest; !at.IsZero() && (m.oldest.IsZero() || at.Before(m.oldest)) {
		m.oldest = at
	}
	late, known := s.TimeToPage()
	m.late = max(m.late, orInfinite(late, known))
	forecast, known := s.Forecast(now)
	m.forecast = max(m.forecast, orInfinite(forecast, known))
}

func orInfinite(d time.Duration, known bool) float64 {
	if !known {
		return math.Inf(1)
	}
	return insight.Seconds(d)
}
