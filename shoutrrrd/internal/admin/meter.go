package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxStrangers and maxNamed bound the lanes that have counters of their own, without
// and with an alias, in the order in which they were first used. An events listener
// that takes any key lets any client make lanes, and a configuration may have 10,000.
// The lanes beyond share the lane "other". A counter cannot change its label later:
// the series would jump.
const (
	maxStrangers = 200
	maxNamed     = 1000
)

// other is the lane of those that are beyond the bound.
const other = "other"

// Meter counts what the relay does, for /metrics. All its methods may be called by
// several goroutines at once, and cost well under a microsecond.
type Meter struct {
	registry *prometheus.Registry

	accepted  *prometheus.CounterVec
	repaired  *prometheus.CounterVec
	coalesced *prometheus.CounterVec
	folded    *prometheus.CounterVec
	turned    *prometheus.CounterVec
	damage    prometheus.Counter
	delivered *prometheus.CounterVec
	attempts  *prometheus.CounterVec
	hedges    *prometheus.CounterVec
	failed    *prometheus.CounterVec
	last      *prometheus.GaugeVec
	buried    *prometheus.CounterVec
	failures  *prometheus.CounterVec
	notified  *prometheus.CounterVec
	put       prometheus.Histogram
	late      *prometheus.HistogramVec
	reload    prometheus.Gauge
	reloaded  prometheus.Gauge

	mu        sync.RWMutex
	strangers map[string]bool // lanes without an alias that have counters of their own
	named     map[string]bool // lanes with an alias that have counters of their own
}

// Reasons for which the events listener turns an event away.
var reasons = []string{"invalid", "key", "body", "full", "unavailable", "busy", "stopping"}

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
		folded:    counter("folded_total", "Events that were not sent, as another one tells of them: they opened and resolved an alert while nothing could be sent.", "lane"),
		turned:    counter("turned_away_total", "Requests at the events listener that got no 202, by reason.", "reason"),
		delivered: counter("delivered_total", "Events that PagerDuty has accepted.", "lane"),
		attempts:  counter("attempts_total", "Attempts to deliver, by the class of their answer.", "lane", "code"),
		hedges:    counter("hedges_total", "Critical events that were sent twice, as the first copy had no answer for 3 s, by the copy that was accepted.", "won"),
		failed:    counter("failed_attempts_total", "Attempts that PagerDuty did not accept, by kind of failure.", "lane", "kind"),
		buried:    counter("dead_lettered_total", "Events that were refused or have expired, by class of the reason.", "lane", "state", "reason"),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "last_delivery_timestamp_seconds", Help: "When PagerDuty last accepted an event of the lane, since the start of the relay.",
		}, []string{"lane"}),
		damage:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "damage_total", Help: "Contradictions in the queue that were found and dealt with."}),
		failures: counter("failed_sign_ins_total", "Tokens that were refused, by how they were given.", "by"),
		notified: counter("notifications_total", "Attempts to call for help, by the way of notify, what it was told (firing, resolved) and how that went (sent, failed).", "way", "status", "result"),
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
		strangers: map[string]bool{}, named: map[string]bool{},
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "The version of the relay and of Go, as labels of the number 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.damage, m.accepted, m.repaired, m.coalesced, m.folded, m.turned, m.delivered, m.attempts, m.hedges, m.failed, m.last, m.buried, m.failures, m.notified, m.put, m.late, m.reload, m.reloaded, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range reasons { // from the start, so that the first one is an increase
		m.turned.WithLabelValues(reason)
	}
	for _, won := range []queue.Hedged{queue.FirstAccepted, queue.SecondAccepted, queue.NeitherAccepted} {
		m.hedges.WithLabelValues(won.String())
	}
	for _, how := range door.AllFailures {
		m.failures.WithLabelValues(string(how))
	}
	for rank := range queue.Rank(queue.Ranks) {
		m.late.WithLabelValues(rank.String())
	}
	return m
}

const namespace = "shoutrrrd"

// label is the name under which a lane is counted.
func (m *Meter) label(lane string) string {
	counted, most := m.named, maxNamed
	if strings.HasPrefix(lane, "key-") {
		counted, most = m.strangers, maxStrangers
	}
	m.mu.RLock()
	known, full := counted[lane], len(counted) >= most
	m.mu.RUnlock()
	if known {
		return lane
	}
	if full {
		return other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(counted) >= most && !counted[lane] {
		return other
	}
	counted[lane] = true
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

// Folded counts events that were not sent, as another one tells of them.
func (m *Meter) Folded(lane string, events int) {
	m.folded.WithLabelValues(m.label(lane)).Add(float64(events))
}

// TurnedAway counts a request that got no 202, by one of the intake's reasons.
func (m *Meter) TurnedAway(reason string) { m.turned.WithLabelValues(reason).Inc() }

// Notified counts an attempt to call for help. The ways are those of the configuration, and
// those that it had since the start: as many as an operator writes.
func (m *Meter) Notified(way, status string, sent bool) {
	result := "failed"
	if sent {
		result = "sent"
	}
	m.notified.WithLabelValues(way, status, result).Inc()
}

// Settled counts how an event's stay in a worker's hands ended.
func (m *Meter) Settled(lane string, e queue.Event, x queue.Settlement) {
	label := m.label(lane)
	if x.Tried { // an expiry repeats the status of an attempt that was counted
		m.attempts.WithLabelValues(label, class(x)).Inc()
		if x.Failure != "" {
			m.failed.WithLabelValues(label, x.Failure).Inc()
		}
	}
	if x.Hedged != queue.NotHedged {
		m.hedges.WithLabelValues(x.Hedged.String()).Inc()
	}
	switch x.State {
	case queue.Delivered:
		m.delivered.WithLabelValues(label).Inc()
		m.last.WithLabelValues(label).Set(float64(x.At.UnixMilli()) / 1000)
		m.late.WithLabelValues(e.Severity.String()).Observe(max(0, x.At.Sub(e.Accepted).Seconds()))
	case queue.Refused, queue.Expired:
		m.buried.WithLabelValues(label, x.State.String(), reasonOf(x)).Inc()
	}
}

// reasonOf puts the reason of a dead letter into a class: those of the damage that is
// found in the queue and of keys that make room have counters of their own.
func reasonOf(x queue.Settlement) string {
	switch {
	case x.State == queue.Expired:
		return "too_old"
	case x.Failure != "":
		return x.Failure
	}
	return "other"
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

// Damaged counts a contradiction that was found in the queue.
func (m *Meter) Damaged() { m.damage.Inc() }

// FailedSignIn counts a token that was refused.
func (m *Meter) FailedSignIn(how door.Failure) { m.failures.WithLabelValues(string(how)).Inc() }

// Connected is a listener that counts its connections.
type Connected interface {
	Connections() int
	// Cut returns how many have made room for others: idle ones, and those whose
	// request was incomplete.
	Cut() (idle, incomplete int64)
}

// Listener adds the connections of a listener, "events" or "admin".
func (m *Meter) Listener(name string, server Connected) error {
	labels := prometheus.Labels{"listener": name}
	errs := []error{m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "open_connections", Help: "Open connections of a listener.", ConstLabels: labels,
	}, func() float64 { return float64(server.Connections()) }))}
	for state, cut := range map[string]func() int64{
		"idle":       func() int64 { idle, _ := server.Cut(); return idle },
		"incomplete": func() int64 { _, incomplete := server.Cut(); return incomplete },
	} {
		errs = append(errs, m.registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "cut_connections_total", Help: "Connections that made room for others, by what they were.",
			ConstLabels: prometheus.Labels{"listener": name, "state": state},
		}, func() float64 { return float64(cut()) })))
	}
	return errors.Join(errs...)
}

// BodyMemory adds the bytes that requests at the events listener hold, and their bound.
func (m *Meter) BodyMemory(used func() int64, most int64) error {
	gauge := func(name, help string, value func() float64) error {
		return m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
	}
	return errors.Join(
		gauge("body_memory_bytes", "Memory that requests at the events listener hold.", func() float64 { return float64(used()) }),
		gauge("body_memory_limit_bytes", "Memory that requests at the events listener may hold.", func() float64 { return float64(most) }),
	)
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
