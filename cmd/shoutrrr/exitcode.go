package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
)

// The exit statuses, named as in sysexits.h where it has one that fits. Scripts
// rely on them: none changes its meaning.
const (
	exitAccepted    = 0
	exitUsage       = 64
	exitRefused     = 65
	exitUnreachable = 69
	exitMachine     = 74
	exitTemporary   = 75
	exitKey         = 77
	exitConfig      = 78
	exitInterrupted = 130
)

// exitMeanings documents the exit statuses in the help.
var exitMeanings = []struct {
	status  int
	meaning string
	again   string // whether sending the same once more can help
}{
	{exitAccepted, "accepted by PagerDuty", ""},
	{exitUsage, "wrong usage: an unknown flag, no URL, an empty message", "no"},
	{exitRefused, "refused: PagerDuty takes the event for invalid; or several incidents are open and none is named", "no"},
	{exitUnreachable, "PagerDuty is not reached: the certificate does not verify, or something else answers in its place, such as a proxy or a firewall", "maybe"},
	{exitMachine, "I/O error: output or a file that cannot be written", "yes"},
	{exitTemporary, "temporary: still failing when the time of --retry-for was up", "yes"},
	{exitKey, "the integration key is refused", "no"},
	{exitConfig, "a bad URL or parameter, or a file of URLs that cannot be read", "no"},
	{exitInterrupted, "interrupted before PagerDuty accepted", "yes"},
}

// canHelpAgain reports whether sending the same once more can help.
func canHelpAgain(status int) bool {
	for _, e := range exitMeanings {
		if e.status == status {
			return e.again == "yes"
		}
	}
	return false
}

// gravity orders what can happen to several URLs: the first of these that
// happened is the exit status.
var gravity = []int{
	exitInterrupted, exitConfig, exitUsage, exitKey, exitRefused, exitUnreachable, exitTemporary, exitMachine,
}

func gravest(statuses []int) int {
	for _, status := range gravity {
		if slices.Contains(statuses, status) {
			return status
		}
	}
	return exitAccepted
}

// statusError is an error with an exit status of its own. Without an inner error
// everything has been told already.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

func failf(status int, format string, args ...any) error {
	return &statusError{status, fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) error { return failf(exitUsage, format, args...) }

// told is the error of a command that has told everything but its exit status.
func told(status int) error {
	if status == exitAccepted {
		return nil
	}
	return &statusError{status: status}
}

// exitCode is the exit status that an error stands for.
func exitCode(err error) int {
	var (
		own       *statusError
		config    *pagerduty.ConfigError
		ambiguous *pagerduty.AmbiguousIncidentError
		attempt   *eventsv2.Error
	)
	switch {
	case err == nil:
		return exitAccepted
	case errors.As(err, &own):
		return own.status
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, pagerduty.ErrBlankMessage):
		return exitUsage
	case errors.As(err, &config), errors.Is(err, router.ErrUnknownService):
		return exitConfig
	case errors.As(err, &ambiguous):
		return exitRefused
	case errors.As(err, &attempt):
		return attemptStatus(attempt)
	}
	return exitMachine
}

func attemptStatus(failed *eventsv2.Error) int {
	switch {
	case failed.Intercepted(), errors.Is(failed, eventsv2.ErrUnreachable):
		return exitUnreachable
	case failed.Temporary():
		return exitTemporary
	case failed.KeyRejected():
		return exitKey
	}
	return exitRefused
}
