package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

func TestExitCode(t *testing.T) {
	delivery := func(err error) error {
		return &types.TargetError{URL: "pagerduty", Err: &pagerduty.DeliveryError{Err: err}}
	}
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing wrong", nil, 0},
		{"usage", usagef("no"), 64},
		{"blank message", fmt.Errorf("x: %w", pagerduty.ErrBlankMessage), 64},
		{"bad URL", &types.TargetError{Err: &pagerduty.ConfigError{}}, 78},
		{"unknown service", router.ErrUnknownService, 78},
		{"ambiguous", &pagerduty.AmbiguousIncidentError{}, 65},
		{"400", delivery(&eventsv2.Error{Rejected: true, Status: 400, Message: "Event object is invalid"}), 65},
		{"400 for the key", delivery(&eventsv2.Error{Rejected: true, Status: 400, Message: "Invalid routing key"}), 77},
		{"400 of a proxy", delivery(&eventsv2.Error{Status: 400, Message: "The plain HTTP request was sent to HTTPS port"}), 69},
		{"413 of a proxy", delivery(&eventsv2.Error{Status: 413}), 69},
		{"401", delivery(&eventsv2.Error{Rejected: true, Status: 401}), 77},
		{"403", delivery(&eventsv2.Error{Rejected: true, Status: 403}), 77},
		{"403 of a firewall", delivery(&eventsv2.Error{Status: 403}), 69},
		{"200 of a proxy", delivery(&eventsv2.Error{Status: 200}), 69},
		{"404", delivery(&eventsv2.Error{Status: 404}), 69},
		{"302", delivery(&eventsv2.Error{Status: 302}), 69},
		{"407", delivery(&eventsv2.Error{Status: 407}), 69},
		{"408", delivery(&eventsv2.Error{Status: 408}), 75},
		{"429", delivery(&eventsv2.Error{Status: 429}), 75},
		{"503", delivery(&eventsv2.Error{Status: 503}), 75},
		{"network", delivery(&eventsv2.Error{Err: errors.New("connection refused")}), 75},
		{"time is up", delivery(&eventsv2.Error{Err: context.DeadlineExceeded}), 75},
		{"interrupted", delivery(&eventsv2.Error{Err: context.Canceled}), 130},
		{"interrupted after a 503", delivery(errors.Join(context.Canceled, &eventsv2.Error{Status: http.StatusServiceUnavailable})), 130},
		{"told already", told(65), 65},
		{"this machine", errors.New("no space left on device"), 74},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Every status that the code knows is documented, once, and has its place among
// the failures.
func TestExitMeanings(t *testing.T) {
	known := []int{exitAccepted, exitUsage, exitRefused, exitUnreachable, exitMachine, exitTemporary, exitKey, exitConfig, exitInterrupted}
	if len(exitMeanings) != len(known) || len(gravity) != len(known)-1 {
		t.Fatalf("%d meanings and %d failures for %d statuses", len(exitMeanings), len(gravity), len(known))
	}
	for i, m := range exitMeanings {
		if m.status != known[i] || m.meaning == "" {
			t.Errorf("meaning %d is of status %d, want %d", i, m.status, known[i])
		}
		if m.status != exitAccepted && gravest([]int{exitAccepted, m.status}) != m.status {
			t.Errorf("status %d is lost among several", m.status)
		}
	}
}

func TestGravest(t *testing.T) {
	for _, tt := range []struct {
		statuses []int
		want     int
	}{
		{nil, 0},
		{[]int{0, 0}, 0},
		{[]int{75, 69, 65, 77, 78, 0}, 78},
		{[]int{75, 69, 65, 77}, 77},
		{[]int{75, 69, 65}, 65},
		{[]int{75, 69}, 69},
		{[]int{78, 130}, 130},
	} {
		if got := gravest(tt.statuses); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.statuses, got, tt.want)
		}
	}
}
