package main

import (
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const queueExamples = `  shoutrrr queue list --state dead
  shoutrrr queue show 1
  shoutrrr queue requeue 1 --why 'the details are valid now'
  shoutrrr queue shape`

func newQueue(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "queue",
		Short:   "Look into a relay's queue, and put it right",
		Long:    "Look into the queue of a relay (shoutrrrd), and put right what went wrong: look at\nevents, have them sent again, give them up, pause a lane. shoutrrr status tells how the\nrelay itself stands.",
		Example: queueExamples,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q is no command of the queue%s; see %s --help", args[0], meant(cmd, args[0]), cmd.CommandPath())
			}
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // writeHelp has no error to return
			return told(exitUsage)
		},
		// As for the root: a command that is misspelt should not be blamed for its flags.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	cmd.AddCommand(
		newQueueList(sys), newQueueLanes(sys), newQueueShow(sys), newQueueRequeue(sys), newQueueDrop(sys), newQueueReplay(sys), newQueueMove(sys),
		newQueuePause(sys), newQueueResume(sys), newQueueTry(sys), newQueueShape(sys),
	)
	return cmd
}

const queueListExamples = `  shoutrrr queue list
  shoutrrr queue list --state dead --severity '>=error'
  shoutrrr queue list lane:db-oncall state:refused,expired 'sev>=error' '"disk full"'
  shoutrrr queue list --state queued --all --json > queue.json`

const queueListLong = `List the events of a relay, newest first. Words narrow the list down; what is no
word with a meaning is text that is looked for in the event and in the reason that was
given for its end:

  lane:NAME        of this lane, by its name or fingerprint
  state:STATE      ready, blocked, in_flight, waiting, delivered, refused, expired,
                   dropped; queued for all that still wait, dead for refused and
                   expired; several with commas between them
  sev:error        of this severity; sev>=error: of this or a more severe one
  dedup:KEY        of this dedup key
  "disk full"      text with blanks or a colon stands in quotation marks

Ready is what leaves next, blocked what has to let an earlier event of its dedup key go
first, waiting what failed for now and is tried again.`

// selection is what a list is narrowed down to.
type selection struct {
	states, severities []string
	lane, dedupKey     string
	words              []string
}

func (s *selection) add(cmd *cobra.Command, sys *system, from *relayFlags) {
	flags := cmd.Flags()
	flags.StringArrayVar(&s.states, "state", nil, "`state` of the events, such as dead or queued (repeatable)")
	flags.StringVar(&s.lane, "lane", "", "`name` or fingerprint of their lane")
	flags.StringArrayVar(&s.severities, "severity", nil, "their `severity`; '>=error' is error or more severe")
	flags.StringVar(&s.dedupKey, "dedup-key", "", "their dedup `key`")
	mustComplete(cmd, "state", oneOf(eventStates...))
	mustComplete(cmd, "severity", oneOf(append(severities, ">=error", ">=warning")...))
	mustComplete(cmd, "lane", completeLane(sys, from))
	mustComplete(cmd, "dedup-key", nothing)
}

// query writes the selection as parameters of the API.
func (s *selection) query() string {
	return parameters("state", strings.Join(s.states, ",")) + parameters("severity", s.severities...) +
		parameters("lane", laneNamed(s.lane)) + parameters("dedup_key", s.dedupKey) + parameters("q", strings.Join(s.words, " "))
}

// parameters writes values for a query; an empty one is none.
func parameters(name string, values ...string) (query string) {
	for _, value := range values {
		if value != "" {
			query += "&" + name + "=" + url.QueryEscape(value)
		}
	}
	return query
}

func newQueueList(sys *system) *cobra.Command {
	l := &listing{list: "events", order: "newest", table: eventTable}
	var which selection
	cmd := &cobra.Command{
		Use:     "list [WORD...]",
		Short:   "List events",
		Long:    queueListLong,
		Example: queueListExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			which.words = args
			return l.run(cmd.Context(), sys, which.query())
		},
	}
	cmd.ValidArgsFunction = completeWords(sys, &l.from)
	l.add(cmd)
	which.add(cmd, sys, &l.from)
	return cmd
}

func eventTable(p *page, now time.Time) *table {
	t := &table{heads: []string{"ID", "AGE", "STATE", "SEVERITY", "LANE", "EVENT"}, right: 0b000011}
	for i := range p.Events {
		t.rows = append(t.rows, eventRow(&p.Events[i], now))
	}
	return t
}

func eventRow(e *relayEvent, now time.Time) row {
	r := row{cells: []string{e.ID, age(now.Sub(e.AcceptedAt)), e.stateWord(), e.Severity, e.Lane, e.what()}, mood: dim}
	var notes []string
	if e.Repeats > 0 {
		notes = append(notes, counted(e.Repeats, "repeat"))
	}
	if e.Folded.Pairs > 0 {
		notes = append(notes, "tells of "+counted(e.Folded.Pairs, "pair"))
	}
	if why := e.why(); why != "" && e.State != "delivered" {
		notes = append(notes, why)
	}
	if len(notes) > 0 {
		r.note = "(" + strings.Join(notes, "; ") + ")"
	}
	return r
}
