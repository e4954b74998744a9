package main

import "github.com/spf13/cobra"

var trying = deed{verb: "try", done: "tried"}

const tryLong = `Have events tried at once that wait for their next attempt, or with --lane all of a
lane. Of an event that is behind another of its dedup key, that one is tried. A critical
one that was sent twice and has no answer is cut off and sent anew; anything else that
is being sent goes on until it has its answer, for 30 seconds at most. A lane is tried
whatever PagerDuty has asked for with a 429, and although it has rejected the key: one
event goes first, and if it is accepted the others follow. Who and why are kept in the
history.`

func newQueueTry(sys *system) *cobra.Command {
	var from relayFlags
	why, lane := "", ""
	cmd := &cobra.Command{
		Use:     "try ID... | --lane NAME",
		Short:   "Try events or a lane now",
		Long:    tryLong,
		Example: "  shoutrrr queue try --lane db-oncall --why 'PagerDuty says that it is over'",
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 0) == (lane == "") {
			return usagef("give numbers of events, or --lane; shoutrrr queue list and shoutrrr status show them")
		}
		for _, id := range args {
			if _, err := eventID(id); err != nil {
				return err
			}
		}
		r, err := from.open(sys)
		if err != nil {
			return err
		}
		if lane != "" {
			return changeLane(cmd.Context(), sys, r, laneChange{laneNamed(lane), trying.verb, why}, from.json)
		}
		b := &bulk{sys: sys, relay: r, what: trying, why: why, json: from.json}
		return b.run(cmd.Context(), args)
	}
	from.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&lane, "lane", "", "`name` or fingerprint of the lane to try")
	flags.StringVar(&why, "why", "", "`text` that is kept in the history")
	mustComplete(cmd, "lane", completeLane(sys, &from))
	mustComplete(cmd, "why", nothing)
	cmd.ValidArgsFunction = completeID(sys, &from, "&state=waiting,blocked")
	return cmd
}
