package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newQueueShow(sys *system) *cobra.Command {
	var from relayFlags
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show an event, its history and its body",
		Long:    "Show all that a relay knows of an event: what it is, what happened to it since it was\naccepted, and what is sent to PagerDuty, without the integration key. Times are UTC.",
		Example: "  shoutrrr queue show 1\n  shoutrrr queue show 1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("one number of an event is expected; shoutrrr queue list shows them")
			}
			id, err := eventID(args[0])
			if err != nil {
				return err
			}
			r, err := from.open(sys)
			if err != nil {
				return err
			}
			var e relayEvent
			answer, err := r.get(cmd.Context(), "/api/events/"+id, nil, &e)
			if err != nil {
				return aboutEvent(id, err)
			}
			text := oneLine(answer)
			if !from.json {
				text = eventText(&e, r.now, sys.paperFor(sys.stdout))
			}
			_, err = io.WriteString(sys.stdout, text)
			return err
		},
	}
	cmd.ValidArgsFunction = completeID(sys, &from, "")
	from.add(cmd)
	return cmd
}

// eventID checks a number, so that nothing else gets into a path.
func eventID(given string) (string, error) {
	if given == "" || len(given) > 19 || strings.Trim(given, "0123456789") != "" {
		return "", usagef("%q is no number of an event; shoutrrr queue list shows them", withoutKeys(given))
	}
	return given, nil
}

// aboutEvent says which event an error is about, if it is about one.
func aboutEvent(id string, err error) error {
	if exitCode(err) != exitRefused || strings.Contains(err.Error(), "event "+id) {
		return err
	}
	return failf(exitRefused, "event %s: %w; shoutrrr queue list shows what there is", id, err)
}

func eventText(e *relayEvent, now time.Time, p paper) string {
	var b strings.Builder
	say := func(name, text, colour string) {
		if text != "" {
			b.WriteString(fact(p, name, text, colour))
		}
	}
	say("event", e.ID+", "+strings.TrimSpace(e.Action+" "+e.Kind), "")
	say("state", stateText(e, now), stateColour(e))
	say("reason", e.why(), "")
	say("severity", severityText(e), severityColour(e.Severity))
	say("summary", e.Summary, "")
	say("source", e.Source, "")
	say("dedup key", e.DedupKey, "")
	say("lane", laneText(e), "")
	say("accepted", e.AcceptedAt.UTC().Format(time.DateTime)+", "+age(now.Sub(e.AcceptedAt))+" ago", "")
	if e.Attempts > 0 {
		say("attempts", fmt.Sprint(e.Attempts), "")
	}
	if e.Repeats > 0 {
		say("repeats", fmt.Sprintf("%d, all in this one event", e.Repeats), "")
	}
	for _, repair := range e.Repairs {
		say("repaired", repair, "")
	}
	b.WriteString("\n" + historyText(e, p))
	b.WriteString("\nBody, without the integration key:\n")
	for line := range strings.Lines(indented(e.Body)) {
		b.WriteString("  " + strings.TrimRight(line, "\n") + "\n")
	}
	if e.dead() {
		fmt.Fprintf(&b, "\nTo send it again: shoutrrr queue requeue %s --why TEXT\nTo give it up:    shoutrrr queue drop %s --why TEXT\n", singleLine(e.ID), singleLine(e.ID))
	}
	return b.String()
}

func stateText(e *relayEvent, now time.Time) string {
	switch {
	case e.InFlight:
		return "in flight: it is being sent"
	case e.State == "ready":
		return "ready: it leaves when its lane lets it"
	case e.State == "blocked":
		return "blocked: an earlier event of its dedup key has to leave first"
	case e.State == "waiting" && e.DueAt.After(now):
		return "waiting: the next attempt is in " + age(e.DueAt.Sub(now).Round(time.Second))
	case e.EndedAt.IsZero():
		return e.State
	}
	return fmt.Sprintf("%s at %s, %s ago", e.State, e.EndedAt.UTC().Format(time.DateTime), age(now.Sub(e.EndedAt)))
}

func severityText(e *relayEvent) string {
	if e.Priority == "" || e.Priority == e.Severity {
		return e.Severity
	}
	return e.Severity + ", but it leaves as " + e.Priority + ": something graver waits behind it"
}

func laneText(e *relayEvent) string {
	text := e.Lane
	if e.Fingerprint != e.Lane {
		text += " (" + e.Fingerprint + ")"
	}
	if e.Pool != "" {
		text += ", of the pool " + e.Pool
	}
	return text
}

// historyText is one line for each thing that happened.
func historyText(e *relayEvent, p paper) string {
	t := &table{heads: []string{"TIME (UTC)", "WHAT", ""}, right: make([]bool, 3)}
	for _, h := range e.History {
		var parts []string
		if h.Status != 0 {
			parts = append(parts, fmt.Sprint(h.Status))
		}
		if h.Who != "" {
			parts = append(parts, "by "+h.Who)
		}
		text := strings.Join(parts, " ")
		if h.Text != "" && text != "" {
			text += ": "
		}
		t.rows = append(t.rows, row{
			cells: []cell{{text: h.At.UTC().Format("2006-01-02 15:04:05.000")}, {text: h.What}},
			note:  cell{text: text + h.Text},
		})
	}
	return t.text(p)
}
