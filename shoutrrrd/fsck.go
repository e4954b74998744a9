package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/spf13/cobra"
)

const fsckExamples = `  shoutrrrd fsck
  shoutrrrd fsck --queue /var/lib/shoutrrr/queue.db
  shoutrrrd fsck --queue /var/lib/shoutrrr/queue.db --repair`

func newFsck(sys *system) *cobra.Command {
	var asJSON, repair bool
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the queue of a relay that is stopped, and repair it",
		Long: "Read the whole queue of a relay that is stopped, and report every place where rows, chains,\n" +
			"counts, indexes and checksums do not fit together. With --repair, events that cannot be\n" +
			"trusted become dead letters with their bodies, and counts and indexes are made anew.\n" +
			"A running relay does the same by itself when it meets a contradiction, and once a day.\n" +
			"The exit status is 0 if the queue is sound or was repaired, else 65.",
		Example: fsckExamples,
		Args:    noArgs,
	}
	from := addSettings(cmd, sys)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&repair, "repair", false, "repair what is found")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := from.load()
		if err != nil {
			return err
		}
		keys := func() (keys []eventsv2.Key) {
			for _, k := range s.Keys {
				keys = append(append(keys, k.Key), k.Formerly...)
			}
			return keys
		}
		report, err := sqlite.Check(cmd.Context(), sqlite.Options{Path: s.Queue, Clock: clock.NewLine(clock.System), Keys: keys}, repair)
		switch {
		case errors.Is(err, queue.ErrLocked):
			return failed(exitTaken, err)
		case errors.Is(err, fs.ErrNotExist):
			return failed(exitConfig, fmt.Errorf("%w; give another file with --queue", err))
		case errors.Is(err, queue.ErrRefusedFile):
			return failed(exitConfig, err)
		case err != nil:
			return failed(exitMachine, err)
		}
		if asJSON {
			if err := written(0, json.NewEncoder(sys.stdout).Encode(reportJSON(report))); err != nil {
				return err
			}
		} else if err := printReport(sys, report, repair); err != nil {
			return err
		}
		if !report.Sound() && !repair {
			return failed(exitData, errors.New("the queue has contradictions; shoutrrrd fsck --repair repairs it, and makes dead letters of the events concerned"))
		}
		return nil
	}
	return cmd
}

// findingJSON is a finding as --json prints it. Lane and event are 0 if it is not about
// one.
type findingJSON struct {
	Lane     int64  `json:"lane,omitempty"`
	Event    int64  `json:"event,omitempty"`
	What     string `json:"what"`
	Repaired bool   `json:"repaired"`
}

func reportJSON(r sqlite.Report) any {
	findings := make([]findingJSON, len(r.Findings))
	for i, f := range r.Findings {
		findings[i] = findingJSON{f.Lane, f.Event, redact.Shapes(f.What), f.Removed}
	}
	return struct {
		Lanes    int           `json:"lanes"`
		Events   int           `json:"events"`
		Chains   int           `json:"chains"`
		Damaged  int           `json:"damaged"` // events whose content is not what was written
		Findings []findingJSON `json:"findings"`
		More     int           `json:"more"` // findings that are not listed
	}{r.Lanes, r.Events, r.Chains, r.Spoiled, findings, r.More}
}

func printReport(sys *system, r sqlite.Report, repaired bool) error {
	for _, f := range r.Findings {
		where := ""
		if f.Lane != 0 {
			where = fmt.Sprintf("lane %d: ", f.Lane)
		}
		if f.Event != 0 {
			where += fmt.Sprintf("event %d: ", f.Event)
		}
		if err := written(fmt.Fprintf(sys.stdout, "%s%s\n", where, redact.Line(redact.Shapes(f.What)))); err != nil {
			return err
		}
	}
	if r.More > 0 {
		if err := written(fmt.Fprintf(sys.stdout, "and %d more\n", r.More)); err != nil {
			return err
		}
	}
	verdict := "the queue is sound"
	switch {
	case !r.Sound() && repaired:
		verdict = "the queue was repaired"
	case !r.Sound():
		verdict = "the queue is not sound"
	}
	return written(fmt.Fprintf(sys.stdout, "%d events, %d chains and %d lanes read, %d events with damaged content: %s\n", r.Events, r.Chains, r.Lanes, r.Spoiled, verdict))
}
