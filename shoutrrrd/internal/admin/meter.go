package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxStrangers bounds the lanes without an alias that have series of their own.
// On an open front door any client can make lanes; those beyond share the lane
// "other". Lanes with an alias are as many as the configuration says.
const maxStrangers = 200

// other is the lane of those that are beyond the bound.
const other = "other"

// Meter counts what the relay does, for /metrics. All its methods may be called by
// several goroutines at once, and cost well under a microsecond.
type Meter struct {
	registry *prometheus.Registry

	accepted  *prometheus.CounterVec
	repaired  *prometheus.CounterVec
	coalesced *prometheus.CounterVec
	turned    *prometheus.CounterVec
	delivered *prometheus.CounterVec
	attempts  *prometheus.CounterVec
	buried    *prometheus.CounterVec
	put       prometheus.Histogram
	late      *prometheus.HistogramVec
	reload    prometheus.Gauge
	reloaded  prometheus.Gauge

	mu        sync.RWMutex
	strangers map[string]bool
}

// Reasons for which the front door turns an event away.
var reasons = []string{"invalid", "key", "body", "full", "unavailable", "stopping"}

// NewMeter returns a meter that has counted nothing.
func NewMeter(version string) *Meter {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	m := &Meter{
		registry:  prometheus.NewRegistry(),
		accepted:  counter("accepted_total", "Events that got a 202.", "lane", "kind"),
		repaired:  counter("repaired_total", "Accepted events in which something had to be mended.", "lane"),
		coalesced: counter("coalesced_total", "Accepted triggers that went into one that was waiting already.", "lane"),
		turned:    counter("turned_away_total", "Requests at the front door that got no 202, by reason.", "reason"),
		delivered: counter("delivered_total", "Events that PagerDuty has accepted.", "lane"),
		attempts:  counter("attempts_total", "Attempts to deliver, by the class of their answer.", "lane", "code"),
		buried:    counter("dead_lettered_total", "Events that were refused or have expired.", "lane", "state"),
		put: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "put_duration_seconds", Help: "Time that the queue takes to keep an event, its fsync included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
		late: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "delivery_delay_seconds", Help: "Time from the acceptance of an event to its delivery.",
			Buckets: []float64{.005, .025, .1, .5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
		}, []string{"severity"}),
		reload:    gauge("config_last_reload_successful", "Whether the configuration could be read the last time."),
		reloaded:  gauge("config_last_reload_success_timestamp_seconds", "When the configuration was last read without an error."),
		strangers: map[string]bool{},
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "The version of the relay and of Go, as labels of the number 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.accepted, m.repaired, m.coalesced, m.turned, m.delivered, m.attempts, m.buried, m.put, m.late, m.reload, m.reloaded, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range reasons { // from the start, so that the first one is an increase
		m.turned.WithLabelValues(reason)
	}
	for rank := range queue.Rank(queue.Ranks) {
		m.late.WithLabelValues(rank.String())
	}
	return m
}

const namespace = "shoutrrrd"

// label is the name under which a lane is counted.
func (m *Meter) label(lane string) string {
	if !strings.HasPrefix(lane, "key-") {
		return lane
	}
	m.mu.RLock()
	known, full := m.strangers[lane], len(m.strangers) >= maxStrangers
	m.mu.RUnlock()
	if known {
		return lane
	}
	if full {
		return other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.strangers) >= maxStrangers && !m.strangers[lane] {
		return other
	}
	m.strangers[lane] = true
	return lane
}

// Accepted counts an event that got a 202. The lane is its alias or fingerprint;
// put is how long the queue took.
func (m *Meter) Accepted(lane string, kind queue.Kind, repaired, coalesced bool, put time.Duration) {
	label := m.label(lane)
	m.accepted.WithLabelValues(label, kind.String()).Inc()
	if repaired {
		m.repaired.WithLabelValues(label).Inc()
	}
	if coalesced {
		m.coalesced.WithLabelValues(label).Inc()
	}
	m.put.Observe(put.Seconds())
}

// TurnedAway counts a request that got no 202, by one of the intake's reasons.
func (m *Meter) TurnedAway(reason string) { m.turned.WithLabelValues(reason).Inc() }

// Settled counts how an event's stay in a worker's hands ended.
func (m *Meter) Settled(lane string, e queue.Event, x queue.Settlement) {
	label := m.label(lane)
	if x.Tried { // an expiry repeats the status of an attempt that was counted
		m.attempts.WithLabelValues(label, class(x)).Inc()
	}
	switch x.State {
	case queue.Delivered:
		m.delivered.WithLabelValues(label).Inc()
		m.late.WithLabelValues(e.Severity.String()).Observe(max(0, x.At.Sub(e.Accepted).Seconds()))
	case queue.Refused, queue.Expired:
		m.buried.WithLabelValues(label, x.State.String()).Inc()
	}
}

// class puts an answer among the classes. A status of success without a delivery is
// a proxy's, and no answer.
func class(x queue.Settlement) string {
	switch {
	case x.State == queue.Delivered:
		return "2xx"
	case x.Status == http.StatusTooManyRequests:
		return "429"
	case x.Status >= 300 && x.Status < 600:
		return fmt.Sprintf("%dxx", x.Status/100)
	}
	return "none"
}

// Reloaded tells how reading the configuration ended.
func (m *Meter) Reloaded(at time.Time, err error) {
	if err != nil {
		m.reload.Set(0)
		return
	}
	m.reload.Set(1)
	m.reloaded.Set(float64(at.UnixMilli()) / 1000)
}

// Connections adds the number of open connections of a door, "front" or "admin".
func (m *Meter) Connections(name string, open func() int) error {
	return m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "open_connections", Help: "Open connections of a door.", ConstLabels: prometheus.Labels{"door": name},
	}, func() float64 { return float64(open()) }))
}

// serve adds what is collected when it is asked for, and returns the handler.
func (m *Meter) serve(c prometheus.Collector, log *slog.Logger) (http.Handler, error) {
	if err := m.registry.Register(c); err != nil {
		return nil, err
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError, // half of the metrics are better than none
		MaxRequestsInFlight: 4,
		Timeout:             answerWithin,
	}), nil
}
