package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
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
				return usagef("%q is no command of the queue%s; see %s --help", withoutKeys(args[0]), meant(cmd, args[0]), cmd.CommandPath())
			}
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // writeHelp has no error to return
			return told(exitUsage)
		},
		// As for the root: a command that is misspelt should not be blamed for its flags.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	cmd.AddCommand(
		newQueueList(sys), newQueueShow(sys), newQueueRequeue(sys), newQueueDrop(sys),
		newQueuePause(sys), newQueueResume(sys), newQueueShape(sys),
	)
	return cmd
}

const queueListExamples = `  shoutrrr queue list
  shoutrrr queue list --state dead --severity '>=error'
  shoutrrr queue list lane:db-oncall state:refused,expired 'sev>=error' '"disk full"'
  shoutrrr queue list --state queued --all --json > queue.json`

const queueListLong = `List the events of a relay, the youngest first. Words narrow the list down; what is no
word with a meaning is text that is looked for in the event and in the reason that was
given for its end:

  lane:NAME        of this lane, by its name or fingerprint
  state:STATE      ready, blocked, in_flight, waiting, delivered, refused, expired,
                   dropped; queued for all that still wait, dead for refused and
                   expired; several with commas between them
  sev:error        of this severity; sev>=error: of this or a graver one
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
	flags.StringArrayVar(&s.severities, "severity", nil, "their `severity`; '>=error' is error or graver")
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

// largestPage is what the relay gives at once.
const largestPage = 500

// page is a part of a list.
type page struct {
	Events []relayEvent `json:"events"`
	Next   string       `json:"next"`
	Read   int          `json:"read"`
}

// pages asks for a list page by page until so many events have come, 0 for all.
// A page may be empty and not be the last.
func (r *relay) pages(ctx context.Context, query string, limit int, take func(p *page, answer []byte) error) error {
	cursor := ""
	for got := 0; limit == 0 || got < limit; {
		size := largestPage
		if limit > 0 {
			size = min(size, limit-got)
		}
		p := new(page)
		answer, err := r.get(ctx, "/api/events?limit="+strconv.Itoa(size)+query+parameters("cursor", cursor), p)
		if err != nil {
			return err
		}
		got += len(p.Events)
		if err := take(p, answer); err != nil || p.Next == "" {
			return err
		}
		cursor = p.Next
	}
	return nil
}

func newQueueList(sys *system) *cobra.Command {
	var from relayFlags
	var which selection
	limit, all := 50, false
	cmd := &cobra.Command{
		Use:     "list [WORD...]",
		Short:   "List events",
		Long:    queueListLong,
		Example: queueListExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			which.words = args
			if limit < 1 {
				return usagef("--limit %d is too few: give 1 or more, or --all", limit)
			}
			if all {
				limit = 0
			}
			r, err := from.open(sys)
			if err != nil {
				return err
			}
			if from.json {
				return listJSON(cmd.Context(), sys.stdout, r, which.query(), limit)
			}
			return listText(cmd.Context(), sys, r, which.query(), limit)
		},
	}
	cmd.ValidArgsFunction = completeWords(sys, &from)
	from.add(cmd)
	which.add(cmd, sys, &from)
	cmd.Flags().IntVar(&limit, "limit", limit, "`number` of events to list at most")
	cmd.Flags().BoolVar(&all, "all", false, "list them all")
	mustComplete(cmd, "limit", nothing)
	return cmd
}

// listText writes a list as one table. The widths of its columns follow from the
// first page, as a queue of a million events is not kept in memory for that.
func listText(ctx context.Context, sys *system, r *relay, query string, limit int) error {
	paper, t := sys.paperFor(sys.stdout), eventTable()
	shown, more := 0, false
	err := r.pages(ctx, query, limit, func(p *page, _ []byte) error {
		more = p.Next != ""
		if len(p.Events) == 0 {
			return nil
		}
		t.rows = t.rows[:0]
		for i := range p.Events {
			t.rows = append(t.rows, eventRow(&p.Events[i], r.now))
		}
		shown += len(p.Events)
		_, err := io.WriteString(sys.stdout, t.text(paper))
		return err
	})
	switch {
	case err != nil:
		return err
	case shown == 0:
		tell(sys.stderr, "", "no event is like that")
	case more:
		tell(sys.stderr, "", fmt.Sprintf("these are the youngest %d; --limit or --all shows more", shown))
	}
	return nil
}

func eventTable() *table {
	return &table{heads: []string{"ID", "AGE", "STATE", "SEVERITY", "LANE", "EVENT"}, right: 0b000011}
}

func eventRow(e *relayEvent, now time.Time) row {
	r := row{cells: []string{e.ID, age(now.Sub(e.AcceptedAt)), e.stateWord(), e.Severity, e.Lane, e.what()}, mood: dim}
	var notes []string
	if e.Repeats > 0 {
		notes = append(notes, counted(e.Repeats, "repeat"))
	}
	if why := e.why(); why != "" && e.State != "delivered" {
		notes = append(notes, why)
	}
	if len(notes) > 0 {
		r.note = "(" + strings.Join(notes, "; ") + ")"
	}
	return r
}

// listJSON writes a list as the relay does, but whole: its pages in one object, each
// event as it came.
func listJSON(ctx context.Context, w io.Writer, r *relay, query string, limit int) error {
	read, next, lead := 0, "", `{"events":[`
	err := r.pages(ctx, query, limit, func(p *page, answer []byte) error {
		events, err := eventsOf(answer)
		if err != nil {
			return r.stranger("its answer cannot be read")
		}
		read, next = read+p.Read, p.Next
		for _, event := range events {
			if _, err := io.WriteString(w, lead+strings.TrimSuffix(oneLine(event), "\n")); err != nil {
				return err
			}
			lead = ","
		}
		return nil
	})
	if err != nil {
		if lead == "," {
			_, _ = io.WriteString(w, "\n") // what is told next begins a line of its own
		}
		return err
	}
	tail := "]"
	if lead != "," {
		tail = lead + tail
	}
	if next != "" {
		tail += `,"next":` + strings.TrimSpace(lineJSON(next))
	}
	_, err = fmt.Fprintf(w, "%s,\"read\":%d}\n", tail, read)
	return err
}

// eventsOf takes the events out of a page, each as it came.
func eventsOf(answer []byte) ([]json.RawMessage, error) {
	var p struct {
		Events []json.RawMessage `json:"events"`
	}
	err := json.Unmarshal(answer, &p)
	return p.Events, err
}
