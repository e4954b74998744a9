package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const statusExamples = `  shoutrrr status
  shoutrrr status --relay http://127.0.0.1:8687 --json
  shoutrrr status --watch`

const statusLong = `Show how a relay (shoutrrrd) stands: how late a page would be, whether it accepts
events, and what each of its lanes does and has waiting. A lane is an integration key.

USED counts events accepted in the last 60 s, of how many the lane sends in that time;
behind a slash stands the configured limit, if PagerDuty has taught the lane a lower
one. OLDEST is the age of the event that has waited longest, EMPTY when nothing will
wait any more if nothing is added. Times are UTC.`

func newStatus(sys *system) *cobra.Command {
	var from relayFlags
	watching, interval := false, 2*time.Second
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how a relay stands, lane by lane",
		Long:    statusLong,
		Example: statusExamples,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < shortestInterval {
				return usagef("--interval %s is too short: give %s or more", interval, shortestInterval)
			}
			r, err := from.open(sys)
			switch {
			case err != nil:
				return err
			case watching:
				return newWatch(sys, r, interval, from.json).run(cmd.Context())
			}
			return showStatus(cmd.Context(), sys, r, from.json)
		},
	}
	cmd.ValidArgsFunction = nothing
	from.add(cmd)
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "show it again and again, until Ctrl-C")
	cmd.Flags().DurationVar(&interval, "interval", interval, "`time` between two looks, with --watch")
	mustComplete(cmd, "interval", oneOf("1s", "2s", "10s"))
	return cmd
}

func showStatus(ctx context.Context, sys *system, r *relay, asJSON bool) error {
	var s relayStatus
	answer, err := r.get(ctx, "/api/status", &s)
	if err != nil {
		return err
	}
	text := oneLine(answer)
	if !asJSON {
		text = statusText(&s, r.String(), sys.paperFor(sys.stdout))
	}
	_, err = io.WriteString(sys.stdout, text)
	return err
}

// statusText tells first what matters when somebody has been woken up.
func statusText(s *relayStatus, address string, p paper) string {
	late, colour := timeToPage(s)
	text := fact(p, "time to page", late, colour)
	if s.Accepting {
		text += fact(p, "accepting", "yes", green)
	} else {
		text += fact(p, "accepting", "NO: "+s.Reason, red)
	}
	waiting, colour := waitingText(s)
	text += fact(p, "waiting", waiting, colour)
	if s.Dead > 0 {
		text += fact(p, "dead", deadText(s), yellow)
	}
	if s.Config.Error != "" {
		text += fact(p, "settings", "those of "+s.Config.LoadedAt.UTC().Format(time.DateTime)+" are in force; the file has changed since and is wrong: "+s.Config.Error, yellow)
	}
	if len(s.Quarantined) > 0 {
		text += fact(p, "set aside", "damaged files, kept for whoever can read what is in them: "+strings.Join(s.Quarantined, ", "), yellow)
	}
	text += fact(p, "relay", "shoutrrrd "+s.Version+" at "+address+", started "+age(s.Now.Sub(s.StartedAt))+" ago", "")
	if len(s.Lanes) == 0 {
		return text + "\nThere are no lanes yet: one appears with the first event of an integration key.\n"
	}
	return text + "\n" + laneTable(s.Lanes).text(p)
}

const factIndent = "              "

// fact is a line of what the relay tells of itself.
func fact(p paper, name, text, colour string) string {
	width := 0
	if p.width > 0 {
		width = max(20, p.width-len(factIndent))
	}
	line := padded(name, len(factIndent), false)
	for part := range strings.SplitSeq(folded(singleLine(text), width, ""), "\n") {
		line += p.coloured(part, colour) + "\n" + factIndent
	}
	return strings.TrimRight(line, " ")
}

// timeToPage says how late a critical event would be.
func timeToPage(s *relayStatus) (text, colour string) {
	switch {
	case !s.Accepting:
		return "never: nothing is accepted", red
	case s.TimeToPage == nil:
		return "unknown: every lane is paused by an operator", yellow
	case *s.TimeToPage < 1:
		text, colour = "at once", green
	default:
		text, colour = age(duration(math.Ceil(*s.TimeToPage)))+" until a critical event leaves that is accepted now", yellow
	}
	held := 0
	for _, l := range s.Lanes {
		if l.Condition == conditionHeld {
			held++
		}
	}
	if held > 0 {
		text += fmt.Sprintf(", but not in what is paused by an operator (%s)", counted(held, "lane"))
		colour = yellow
	}
	return text, colour
}

func waitingText(s *relayStatus) (text, colour string) {
	if s.Queued == 0 {
		return "nothing", ""
	}
	text = counted(s.Queued, "event")
	if s.OldestCritical != nil {
		return text + ", a critical one for " + ageOf(s.OldestCritical), red
	}
	return text, ""
}

// deadText tells of events that were given up, and what to do about them.
func deadText(s *relayStatus) string {
	refused, expired := 0, 0
	for _, l := range s.Lanes {
		refused, expired = refused+l.Refused, expired+l.Expired
	}
	return fmt.Sprintf("%s (%d refused, %d expired): shoutrrr queue list --state dead shows them, shoutrrr queue requeue --filter state:dead --why TEXT sends them again",
		counted(s.Dead, "event"), refused, expired)
}

func laneTable(lanes []relayLane) *table {
	sorted := make([]*relayLane, len(lanes))
	for i := range lanes {
		sorted[i] = &lanes[i]
	}
	slices.SortFunc(sorted, func(a, b *relayLane) int {
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), cmp.Compare(a.Name, b.Name))
	})
	t := &table{
		heads: []string{"LANE", "USED", "CRIT", "ERR", "WARN", "INFO", "OLDEST", "EMPTY", "NOW"},
		right: 0b011111110,
	}
	for _, l := range sorted {
		cells := []string{l.Name, l.window()}
		for _, severity := range severities {
			cells = append(cells, short(l.Waiting[severity]))
		}
		t.rows = append(t.rows, row{cells: append(cells, ageOf(l.Oldest), l.emptyIn()), note: l.Text, mood: l.colour()})
	}
	return t
}

// urgency orders lanes: those in trouble, those with something waiting, the others.
func (l *relayLane) urgency() int {
	switch {
	case l.KeyRefused, l.Condition == conditionHeld, l.Condition == conditionDown:
		return 0
	case l.Queued > 0:
		return 1
	}
	return 2
}

func (l *relayLane) colour() string {
	switch {
	case l.KeyRefused, l.Condition == conditionDown:
		return red
	case l.Condition == conditionIdle:
		return dim
	case l.Condition == "flowing":
		return green
	}
	return yellow
}

// window is how much of the last 60 s is used.
func (l *relayLane) window() string {
	text := short(l.Used) + " of " + short(l.Learned)
	if l.Learned != l.Limit {
		text += "/" + short(l.Limit)
	}
	return text
}

func (l *relayLane) emptyIn() string {
	if l.Queued == 0 {
		return "-"
	}
	if l.EmptyIn == nil {
		return "?"
	}
	return age(duration(math.Ceil(*l.EmptyIn)))
}
