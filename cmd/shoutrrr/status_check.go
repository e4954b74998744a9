package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// longestLateAfter is the longest bound that a relay takes.
const longestLateAfter = 7 * 24 * time.Hour

// checkPatience is less than the 10 s after which NRPE gives a plugin up, and then reports
// that instead of what is wrong.
const checkPatience = 8 * time.Second

// The exit statuses of a check, as the guidelines for monitoring plugins have them
// (https://www.monitoring-plugins.org/doc/guidelines.html).
const (
	checkOK = iota
	checkWarning
	checkCritical
	checkUnknown
)

var checkWords = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// checking is how the exit status of shoutrrr status says whether pages leave. The relay
// is the judge.
type checking struct {
	exitCode, check bool
	lateAfter       time.Duration // how long a critical event may be queued
}

func (v *checking) add(sys *system, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&v.exitCode, "exit-code", false, "exit with 0 if pages leave, 1 if some wait too long or were rejected, 2 if they do not leave or the relay does not answer")
	flags.BoolVar(&v.check, "check", false, "print one line as a Nagios plugin does, with its exit statuses")
	flags.DurationVar(&v.lateAfter, "late-after", v.lateAfter, "`time` for which a critical event may be queued, for --exit-code and --check")
	mustComplete(cmd, "late-after", oneOf("30s", "1m", "5m"))
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		// The flags after a wrong one have not been read.
		v.check = v.check || slices.Contains(sys.args, "--check")
		return v.reported(sys, c.Root().FlagErrorFunc()(c, err))
	})
}

func (v *checking) path() string {
	return "/api/status?late_after_s=" + strconv.FormatFloat(v.lateAfter.Seconds(), 'f', -1, 64)
}

// status is the exit status for a state. One that this program does not know is taken for
// the worst.
func (v *checking) status(s *relayStatus) int {
	switch s.Headline.State {
	case stateLeaving:
		return checkOK
	case stateLate:
		return checkWarning
	}
	return checkCritical
}

// of is the exit status as an error that has told everything.
func (v *checking) of(s *relayStatus) error {
	if !v.exitCode && !v.check {
		return nil
	}
	return told(v.status(s))
}

// line is what a plugin prints: what is, a bar, and the figures.
func (v *checking) line(s *relayStatus) string {
	late, most := "U", strconv.Itoa(int(v.lateAfter.Seconds())) // U is for a figure that is unknown
	if s.TimeToPage != nil {
		late = strconv.FormatFloat(*s.TimeToPage, 'f', -1, 64) + "s"
	}
	waited := 0.0
	if s.OldestCritical != nil {
		waited = *s.OldestCritical
	}
	return fmt.Sprintf("%s | time_to_page=%s;%s;;0 oldest_critical=%ss;%s;;0 stuck=%d;;0;0 critical=%d;;;0 queued=%d;;;0 dead=%d;0;;0\n",
		pluginLine(v.status(s), s.Headline.Sentence), late, most, strconv.FormatFloat(waited, 'f', -1, 64), most, s.Headline.Stuck, s.Headline.Critical, s.Queued, s.Dead)
}

// pluginLine puts the word before a text in which no bar begins the figures.
func pluginLine(status int, text string) string {
	return checkWords[status] + " - " + strings.ReplaceAll(singleLine(text), "|", "/")
}

// reported turns a failure of the command into what a script expects that asks for the
// exit status of a check: no answer of the relay is as bad as pages that do not leave.
func (v *checking) reported(sys *system, err error) error {
	var own *statusError
	if err == nil || errors.As(err, &own) && own.err == nil || !v.exitCode && !v.check {
		return err
	}
	status := exitCode(err)
	switch {
	case status == exitUnreachable || status == exitTemporary:
		status = checkCritical
	case status == exitInterrupted || status == exitMachine || !v.check:
		return err
	default:
		status = checkUnknown
	}
	if !v.check {
		return failf(status, "%w", err)
	}
	if _, failed := io.WriteString(sys.stdout, pluginLine(status, err.Error())+"\n"); failed != nil {
		return failed
	}
	return told(status)
}
