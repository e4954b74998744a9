package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amcommon "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/notify"
	ampagerduty "github.com/prometheus/alertmanager/notify/pagerduty"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// groupInterval is Alertmanager's default: for so long one flush of a group tries, and then
// the next one begins, with its waits at their shortest.
const groupInterval = 5 * time.Minute

// alertmanagerWay is Alertmanager's own PagerDuty notifier below its own RetryStage. Each
// event is an alert that fires to the end, in a group of its own and with no group_wait,
// so that nothing but the notifier delays it. In place of its dispatcher flushes are begun
// here, as that has it (dispatch.go, aggrGroup.run).
func alertmanagerWay(_ string, s setting) (*way, func(), error) {
	w, server, err := newWay("Alertmanager", "#ef8a62", s)
	if err != nil {
		return nil, nil, err
	}
	target, err := url.Parse(server.URL() + "/v2/enqueue")
	if err != nil {
		return nil, nil, err
	}
	templates, err := template.FromGlobs(nil)
	if err != nil {
		return nil, nil, err
	}
	templates.ExternalURL = &url.URL{Scheme: "http", Host: "alertmanager.example.com"}
	quiet := slog.New(slog.DiscardHandler)
	metrics := notify.NewMetrics(prometheus.NewRegistry(), featurecontrol.NoopFlags{})
	stages := map[string]*notify.RetryStage{}
	for n := range augustKeys {
		config := ampagerduty.DefaultPagerdutyConfig
		http := commoncfg.DefaultHTTPClientConfig
		config.HTTPConfig, config.URL, config.RoutingKey = &http, &amcommon.URL{URL: target}, commoncfg.Secret(augustKey(n))
		config.Severity, config.Source, config.Details = `{{ .CommonLabels.severity }}`, config.Client, ampagerduty.DefaultPagerdutyDetails
		notifier, err := ampagerduty.New(&config, templates, quiet)
		if err != nil {
			return nil, nil, err
		}
		name := fmt.Sprint("service-", n+1)
		stages[augustKey(n)] = notify.NewRetryStage(notify.NewIntegration(notifier, &config, "pagerduty", 0, name), name, metrics, eventrecorder.NopRecorder())
	}
	w.dedup = func(e augustEvent) string { return notify.Key(groupOf(e)).Hash() }
	w.send = func(ctx context.Context, e augustEvent) error {
		labels := model.LabelSet{"alertname": model.LabelValue(e.dedup), "severity": model.LabelValue(e.severity)}
		firing := alert.New(model.Alert{Labels: labels, StartsAt: time.Now()}, time.Now(), false)
		for {
			next := time.Now().Add(groupInterval)
			flush, cancel := context.WithDeadline(ctx, next)
			flush = notify.WithNow(flush, time.Now())
			flush = notify.WithGroupKey(flush, groupOf(e))
			flush = notify.WithGroupLabels(flush, labels)
			flush = notify.WithReceiverName(flush, "pagerduty")
			_, _, err := stages[e.key].Exec(flush, quiet, firing)
			cancel()
			if err == nil || ctx.Err() != nil {
				return err
			}
			select {
			case <-time.After(time.Until(next)):
			case <-ctx.Done():
			}
		}
	}
	return w, func() { server.Close() }, nil
}

// groupOf is the key of a group by alertname.
func groupOf(e augustEvent) string { return fmt.Sprintf("{}:{alertname=%q}", e.dedup) }
