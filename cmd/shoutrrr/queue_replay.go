package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const replayLong = `Have the relay send events again that PagerDuty has accepted in some time: for when it
reports that it has dropped such events. They go with the same dedup keys and in the
order in which the relay accepted them, so what PagerDuty has not dropped updates its
incident. Of a chain whose last resolve no trigger followed only that is sent again; of
any other what came after its last resolve. Only what the relay still keeps can be sent
(its retention).

What it would be is told first, and asked on a terminal; elsewhere --yes does it.
Times are those of the acceptance by PagerDuty: 2026-03-01T14:00:00Z, or 2h for two hours
ago.`

var replaying = deed{verb: "replay", done: "replayed"}

// replayPlan is what a replay would send.
type replayPlan struct {
	Events     int            `json:"events"`
	Over       int            `json:"over"`
	BySeverity map[string]int `json:"by_severity"`
	ByLane     map[string]int `json:"by_lane"`
}

func (p *replayPlan) text() string {
	var of []string
	for _, severity := range severities {
		if n := p.BySeverity[severity]; n > 0 {
			of = append(of, fmt.Sprintf("%d %s", n, severity))
		}
	}
	text := "replay " + counted(p.Events, "event") + ": " + strings.Join(of, ", ")
	for _, lane := range slices.Sorted(maps.Keys(p.ByLane)) {
		text += fmt.Sprintf("; %d of lane %s", p.ByLane[lane], lane)
	}
	if p.Over > 0 {
		text += fmt.Sprintf("; %d others are over and stay as they are", p.Over)
	}
	return singleLine(text)
}

func newQueueReplay(sys *system) *cobra.Command {
	var from relayFlags
	b := &bulk{what: replaying, sys: sys}
	since, until, lane, why, dry := "", "", "", "", false
	cmd := &cobra.Command{
		Use:     "replay --since TIME [--until TIME] --why TEXT",
		Short:   "Have delivered events of some time sent again",
		Long:    replayLong,
		Example: "  shoutrrr queue replay --since 2026-03-01T14:00:00Z --until 2026-03-01T14:40:00Z --dry-run\n  shoutrrr queue replay --since 2h --lane db-oncall --why 'PagerDuty has dropped events'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if why == "" && !dry {
				return usagef("--why is missing: say in a few words why, it is kept with the events")
			}
			begin, err := moment("--since", since, time.Now())
			if err != nil {
				return err
			}
			end, err := moment("--until", until, time.Now())
			if err != nil {
				return err
			}
			r, err := from.open(sys)
			if err != nil {
				return err
			}
			b.relay, b.why, b.json = r, why, from.json
			what := map[string]any{"since": begin, "until": end}
			if lane != "" {
				what["lane"] = laneNamed(lane)
			}
			return b.replay(cmd.Context(), what, dry)
		},
	}
	from.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "first `time`, or how long ago; required")
	flags.StringVar(&until, "until", "0s", "last `time`, or how long ago")
	flags.StringVar(&lane, "lane", "", "`name` or fingerprint of the only lane that is meant")
	flags.StringVar(&why, "why", "", "`text` that is kept in the history; required")
	flags.BoolVar(&dry, "dry-run", false, "only say what it would be")
	flags.BoolVarP(&b.yes, "yes", "y", false, "do it without asking")
	for _, name := range []string{"since", "until", "why"} {
		mustComplete(cmd, name, nothing)
	}
	mustComplete(cmd, "lane", completeLane(sys, &from))
	cmd.ValidArgsFunction = nothing
	return cmd
}

// moment reads a time, or how long ago it was.
func moment(flag, given string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, given); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(given); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if given == "" {
		return time.Time{}, usagef("%s is missing: a time such as 2026-03-01T14:00:00Z, or 2h for two hours ago", flag)
	}
	return time.Time{}, usagef("%s %q is no time: 2026-03-01T14:00:00Z is one, or 2h for two hours ago", flag, given)
}

// replay says what it would be, and does it once somebody has agreed.
func (b *bulk) replay(ctx context.Context, what map[string]any, dry bool) error {
	plan := new(replayPlan)
	what["preview"] = true
	answer, err := b.relay.post(ctx, "/api/events/replay", what, plan)
	if err != nil {
		return err
	}
	if dry && b.json {
		_, err := io.WriteString(b.sys.stdout, oneLine(answer))
		return err
	}
	if plan.Events == 0 {
		notify(b.sys.stderr, "", "nothing to replay: no delivered events of that time are kept, or all of them are over")
		return nil
	}
	notify(b.sys.stderr, "", plan.text())
	if dry {
		return nil
	}
	if !b.yes {
		if err := b.ask(ctx); err != nil {
			return err
		}
	}
	delete(what, "preview")
	a := new(bulkAnswer)
	if answer, err = b.post(ctx, "/api/events/replay", what, a); err != nil {
		return err
	}
	return b.report(a, answer, plan.Events)
}
