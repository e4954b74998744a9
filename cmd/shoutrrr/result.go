package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
)

// resultSchema rises when a member of result changes its meaning.
const resultSchema = 1

const (
	statusAccepted = "accepted"
	statusFailed   = "failed"
	statusDryRun   = "dry-run"
)

// result is what became of the message at one URL. Its JSON form is documented in
// docs/cli.md; the order of the members is stable.
type result struct {
	Schema        int         `json:"schema"`
	URL           string      `json:"url"`
	Status        string      `json:"status"`
	ExitCode      int         `json:"exit_code"`
	Action        string      `json:"action,omitempty"`
	DedupKey      string      `json:"dedup_key,omitempty"`
	Key           string      `json:"key,omitempty"`
	HTTPStatus    int         `json:"http_status,omitempty"`
	Attempts      int         `json:"attempts"`
	Message       string      `json:"message,omitempty"`
	Matched       *bool       `json:"matched,omitempty"`
	MaybeAccepted bool        `json:"maybe_accepted"`
	Retryable     bool        `json:"retryable"`
	Warnings      []string    `json:"warnings,omitempty"`
	Error         string      `json:"error,omitempty"`
	Candidates    []candidate `json:"candidates,omitempty"`
	Request       *request    `json:"request,omitempty"`

	config *pagerduty.Config // nil if the URL is bad
}

// candidate is an open incident that may be meant.
type candidate struct {
	DedupKey  string    `json:"dedup_key"`
	Source    string    `json:"source"`
	Summary   string    `json:"summary"`
	Triggered time.Time `json:"triggered"`
}

// request is what would be sent, without the key.
type request struct {
	Method string          `json:"method"`
	URL    string          `json:"url"`
	Body   json.RawMessage `json:"body"`
}

func newResult(service *pagerduty.Service, status string) result {
	r := result{Schema: resultSchema, Status: status}
	if service != nil {
		r.URL, r.config = service.Redacted(), service.Config()
	}
	return r
}

func accepted(service *pagerduty.Service, receipt pagerduty.Receipt, lookedUp bool) result {
	r := newResult(service, statusAccepted)
	r.Action, r.DedupKey, r.Key = string(receipt.Action), receipt.DedupKey, receipt.Key
	r.HTTPStatus, r.Attempts, r.Message = receipt.Status, receipt.Attempts, receipt.Message
	r.Warnings = receipt.Warnings
	r.match(receipt.Action, receipt.Matched, lookedUp)
	return r
}

func rehearsed(service *pagerduty.Service, prepared pagerduty.Prepared, lookedUp bool) result {
	r := newResult(service, statusDryRun)
	ev := prepared.Event
	r.Action, r.DedupKey, r.Key = string(ev.Action), ev.DedupKey, ev.RoutingKey.Fingerprint()
	r.Warnings = prepared.Warnings
	r.match(ev.Action, prepared.Matched, lookedUp)
	r.Request = &request{
		Method: "POST",
		URL:    r.config.BaseURL() + "/v2/enqueue",
		Body:   json.RawMessage(r.config.Scrub(string(prepared.Body))),
	}
	return r
}

// match tells whether the incident was found, if it was looked for.
func (r *result) match(action eventsv2.Action, matched, lookedUp bool) {
	if lookedUp && action != eventsv2.Trigger {
		r.Matched = &matched
	}
}

// failed is the result of an error. The service is nil if the URL is bad.
func failed(service *pagerduty.Service, err error) result {
	r := newResult(service, statusFailed)
	r.Error, r.ExitCode = explain(err), exitCode(err)
	r.Retryable = canHelpAgain(r.ExitCode)
	var delivery *pagerduty.DeliveryError
	if errors.As(err, &delivery) {
		r.Action, r.DedupKey, r.Key = string(delivery.Action), delivery.DedupKey, delivery.Key
		r.Attempts, r.MaybeAccepted, r.Warnings = delivery.Attempts, delivery.MaybeAccepted, delivery.Warnings
	}
	var attempt *eventsv2.Error
	if errors.As(err, &attempt) {
		r.HTTPStatus = attempt.Status
		r.Retryable = r.Retryable || attempt.Intercepted()
	}
	var ambiguous *pagerduty.AmbiguousIncidentError
	if errors.As(err, &ambiguous) {
		r.Action = string(ambiguous.Action)
		for _, in := range ambiguous.Candidates {
			r.Candidates = append(r.Candidates, candidate{in.DedupKey, in.Source, in.Summary, in.Triggered.UTC()})
		}
	}
	return r
}
