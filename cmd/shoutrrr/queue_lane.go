package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/spf13/cobra"
)

func newQueuePause(sys *system) *cobra.Command {
	return newLaneDeed(sys, "pause", &cobra.Command{
		Use:     "pause LANE --why TEXT",
		Short:   "Stop sending the events of a lane",
		Long:    "Have the relay keep the events of a lane and send none, until somebody resumes it: also\nnone that is critical. It accepts events for it all the while.",
		Example: "  shoutrrr queue pause db-oncall --why 'maintenance until 16:00'",
	})
}

func newQueueResume(sys *system) *cobra.Command {
	return newLaneDeed(sys, "resume", &cobra.Command{
		Use:     "resume LANE",
		Short:   "Send the events of a paused lane again",
		Long:    "Have the relay send the events of a lane that somebody has paused. It also ends what the\nlane waits for because of a 429 or a rejected key, as shoutrrr queue try does.",
		Example: "  shoutrrr queue resume db-oncall\n  shoutrrr queue resume db-oncall --why 'maintenance is over'",
	})
}

func newLaneDeed(sys *system, verb string, cmd *cobra.Command) *cobra.Command {
	var from relayFlags
	why := ""
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) != 1 || args[0] == "":
			return usagef("the name of one lane is expected; shoutrrr status shows them")
		case why == "" && verb == "pause":
			return usagef("--why is missing: say in a few words why, it is shown while the lane is paused")
		}
		r, err := from.open(sys)
		if err != nil {
			return err
		}
		return changeLane(cmd.Context(), sys, r, laneChange{laneNamed(args[0]), verb, why}, from.json)
	}
	from.add(cmd)
	cmd.Flags().StringVar(&why, "why", "", "`text` that is kept")
	mustComplete(cmd, "why", nothing)
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nothing(c, args, typed)
		}
		return completeLane(sys, &from)(c, args, typed)
	}
	return cmd
}

type laneChange struct{ lane, verb, why string }

func changeLane(ctx context.Context, sys *system, r *relay, c laneChange, asJSON bool) error {
	var l relayLane
	answer, err := r.do(ctx, "/api/lanes/"+url.PathEscape(c.lane)+"/"+c.verb, c.why, &l)
	if exitCode(err) == exitRefused {
		return failf(exitRefused, "there is no lane %s; shoutrrr status shows them, a lane appears with its first event", redact.Line(c.lane))
	}
	if err != nil {
		return err
	}
	text := oneLine(answer)
	if !asJSON {
		text = laneChanged(&l)
	}
	_, err = io.WriteString(sys.stdout, text)
	return err
}

// laneChanged tells how a lane stands after somebody has paused or resumed it.
func laneChanged(l *relayLane) string {
	name := singleLine(l.Name)
	text := fmt.Sprintf("%s: %s; %s queued", name, singleLine(l.Text), counted(l.Queued, "event"))
	switch {
	case l.Condition == conditionPaused:
		text += "\nto go on: shoutrrr queue resume " + shellQuoted(name)
	case l.Queued > 0 && l.EmptyIn != nil:
		text += ", empty in " + l.emptyIn()
	}
	return text + "\n"
}
