package main

import "github.com/spf13/cobra"

// deed is what an operator does to an event.
type deed struct {
	verb, done string // requeue, requeued
	states     []string
}

var (
	requeuing = deed{"requeue", "requeued", []string{"refused", "expired", "dropped"}}
	dropping  = deed{"drop", "dropped", []string{"ready", "blocked", "waiting", "refused", "expired"}}
)

const requeueLong = `Have the relay send events again that it has given up: refused, expired or dropped
ones. They leave by the key of their incident, in the order in which the relay accepted
them: one goes before what came later of its dedup key and still waits, and a trigger
beside another one goes into that. What a later event has taken back is left as it is: a
trigger whose resolve was delivered would open an incident that nothing closes. Who and
why are kept in the event's history.

If PagerDuty rejects the key of the lane, they would come back: that is asked first on a
terminal; elsewhere --yes does it.

With --filter all are meant that a list of these words shows (shoutrrr queue list
--help); without a state in it, those that are dead. What it would be is told first,
and asked on a terminal; elsewhere --yes does it.`

const dropLong = `Give events up: they are not sent, and kept as dropped until the relay's retention
time is over. What is in flight or has been delivered cannot be dropped. Who and why
are kept in the event's history; requeue takes it back.

With --filter all are meant that a list of these words shows (shoutrrr queue list
--help); without a state in it, those that are dead. What it would be is told first,
and asked on a terminal; elsewhere --yes does it.`

func newQueueRequeue(sys *system) *cobra.Command {
	return newDeed(sys, requeuing, &cobra.Command{
		Use:     "requeue ID... --why TEXT",
		Short:   "Have events sent again that were given up",
		Long:    requeueLong,
		Example: "  shoutrrr queue requeue 1 --why 'the details are valid now'\n  shoutrrr queue requeue --filter 'state:refused lane:db-oncall' --why 'the key is fixed' --yes",
	})
}

func newQueueDrop(sys *system) *cobra.Command {
	return newDeed(sys, dropping, &cobra.Command{
		Use:     "drop ID... --why TEXT",
		Short:   "Give events up",
		Long:    dropLong,
		Example: "  shoutrrr queue drop 1 --why 'of last week'\n  shoutrrr queue drop --filter 'state:expired sev:info' --why 'nobody needs them' --yes",
	})
}

func newDeed(sys *system, what deed, cmd *cobra.Command) *cobra.Command {
	var from relayFlags
	b := &bulk{what: what, sys: sys}
	why, filter := "", ""
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if why == "" {
			return usagef("--why is missing: say in a few words why, it is kept with the event")
		}
		if (len(args) == 0) == (filter == "") {
			return usagef("give numbers of events, or --filter; shoutrrr queue list shows them")
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
		b.relay, b.why, b.json = r, why, from.json
		if filter != "" {
			return b.all(cmd.Context(), filter)
		}
		if len(args) > 1 {
			return b.runMany(cmd.Context(), args)
		}
		return b.run(cmd.Context(), args)
	}
	from.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&why, "why", "", "`text` that is kept in the history; required")
	flags.StringVar(&filter, "filter", "", "`words` that say which events, as in shoutrrr queue list")
	flags.BoolVarP(&b.yes, "yes", "y", false, "do it without asking")
	mustComplete(cmd, "why", nothing)
	mustComplete(cmd, "filter", nothing)
	cmd.ValidArgsFunction = completeID(sys, &from, "&state=dead")
	return cmd
}
