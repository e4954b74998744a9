package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const queueLanesExamples = `  shoutrrr queue lanes state:trouble
  shoutrrr queue lanes db
  shoutrrr queue lanes pool:db-keys --all --json > lanes.json`

const queueLanesLong = `List the lanes of a relay, in the order in which they were first used. A lane is the
queue of one integration key. Words narrow the list down; what is no word with a meaning
is a part of the lane's name, fingerprint or pool:

  state:STATE      trouble for lanes that do not deliver or have dead letters; queued, dead
                   or key_rejected; or a condition: paused, upstream_not_configured,
                   upstream_unreachable, rate_limited, failing, at_limit, delivering,
                   idle
  pool:NAME        of this pool
  lane:NAME        of this name or fingerprint

The columns are those of shoutrrr status, which shows the lanes in trouble first.`

func newQueueLanes(sys *system) *cobra.Command {
	l := &listing{list: "lanes", order: "first", table: func(p *page, _ time.Time) *table { return laneTable(p.Lanes) }}
	cmd := &cobra.Command{
		Use:     "lanes [WORD...]",
		Short:   "List lanes",
		Long:    queueLanesLong,
		Example: queueLanesExamples,
		RunE: func(cmd *cobra.Command, words []string) error {
			return l.run(cmd.Context(), sys, parameters("q", strings.Join(words, " ")))
		},
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		if strings.HasPrefix(typed, "state:") {
			return prefixed("state:", laneStates), cobra.ShellCompDirectiveNoFileComp
		}
		return append([]string{"state:", "pool:", "lane:"}, laneNames(sys, &l.from, typed)...), cobra.ShellCompDirectiveNoFileComp
	}
	l.add(cmd)
	return cmd
}
