package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
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
			answer, err := r.get(cmd.Context(), "/api/events/"+id, &e)
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

// longestID is how many digits the highest number has that a relay gives.
const longestID = 19

// eventID checks a number, so that nothing else gets into a path.
func eventID(given string) (string, error) {
	if len(given) > longestID && strings.Trim(given, "0123456789") == "" { // not quoted: it would be taken for a key, and hidden
		return "", usagef("a number of an event has at most %d digits, this one has %d; shoutrrr queue list shows them", longestID, len(given))
	}
	if given == "" || len(given) > longestID || strings.Trim(given, "0123456789") != "" {
		return "", usagef("%q is no number of an event; shoutrrr queue list shows them", given)
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
	facts := [][2]string{
		{"event", e.ID + ", " + e.Action + " " + e.Kind},
		{"state", stateText(e, now)},
		{"reason", e.why()},
		{"severity", severityText(e)},
		{"summary", e.Summary},
		{"source", e.Source},
		{"dedup key", e.DedupKey},
		{"lane", laneText(e)},
		{"accepted", e.AcceptedAt.UTC().Format(time.DateTime) + ", " + age(now.Sub(e.AcceptedAt)) + " ago"},
		{"attempts", strconv.Itoa(e.Attempts)},
	}
	if e.Repeats > 0 {
		facts = append(facts, [2]string{"repeats", strconv.Itoa(e.Repeats) + ", all in this one event"})
	}
	if e.Folded.Pairs > 0 {
		facts = append(facts, [2]string{"tells of", counted(e.Folded.Pairs, "pair") + " of trigger and resolve that could not be sent"})
	}
	for _, repair := range e.Repairs {
		facts = append(facts, [2]string{"repaired", repair})
	}
	text := ""
	for _, f := range facts {
		if f[1] != "" {
			word, _, _ := strings.Cut(f[1], " ")
			text += fact(p, f[0], f[1], wordColours[word])
		}
	}
	text += "\nHistory (UTC):\n"
	for i := range e.History {
		text += e.History[i].text(p)
	}
	text += "\nBody, without the integration key:\n  " + strings.ReplaceAll(indented(e.Body), "\n", "\n  ") + "\n"
	if e.dead() {
		id := singleLine(e.ID)
		text += "\nTo send it again: shoutrrr queue requeue " + id + " --why TEXT\nTo give it up:    shoutrrr queue drop " + id + " --why TEXT\n"
	}
	return text
}

// text is the line of one thing that happened.
func (h *relayEntry) text(p paper) string {
	text := withStatus(h.Status, h.Text)
	if h.Who != "" {
		text = strings.TrimSuffix("by "+h.Who+": "+text, ": ")
	}
	line := gap + h.At.UTC().Format("2006-01-02 15:04:05.000") + gap + singleLine(h.What)
	return noted(p, padded(line, len("  2006-01-02 15:04:05.000  delivered"), false), text, "") + "\n"
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

// severityText is the severity of an event, and with which priority it leaves if that is
// another one. An event that has ended leaves no more.
func severityText(e *relayEvent) string {
	if e.Priority == "" || e.Priority == e.Severity || !e.EndedAt.IsZero() {
		return e.Severity
	}
	why := "something more severe waits behind it"
	if slices.Index(severities, e.Priority) > slices.Index(severities, e.Severity) {
		why = "an acknowledge or resolve pages nobody"
	}
	return e.Severity + ", but it leaves as " + e.Priority + ": " + why
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
