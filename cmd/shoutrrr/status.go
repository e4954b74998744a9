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
	answer, err := r.get(ctx, "/api/status", nil, &s)
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
	var b strings.Builder
	late, lateColour := timeToPage(s)
	b.WriteString(fact(p, "time to page", late, lateColour))
	if s.Accepting {
		b.WriteString(fact(p, "accepting", "yes", green))
	} else {
		b.WriteString(fact(p, "accepting", "NO: "+s.Reason, red))
	}
	b.WriteString(fact(p, "waiting", waitingText(s), ""))
	if s.Dead > 0 {
		b.WriteString(fact(p, "dead", deadText(s), yellow))
	}
	if s.Config.Error != "" {
		b.WriteString(fact(p, "settings", fmt.Sprintf("those of %s are in force; the file has changed since and is wrong: %s", s.Config.LoadedAt.UTC().Format(time.DateTime), s.Config.Error), yellow))
	}
	if len(s.Quarantined) > 0 {
		b.WriteString(fact(p, "set aside", "damaged files, kept for whoever can read what is in them: "+strings.Join(s.Quarantined, ", "), yellow))
	}
	b.WriteString(fact(p, "relay", fmt.Sprintf("shoutrrrd %s at %s, started %s ago", s.Version, address, age(s.Now.Sub(s.StartedAt))), ""))
	if len(s.Lanes) == 0 {
		return b.String() + "\nThere are no lanes yet: one appears with the first event of an integration key.\n"
	}
	return b.String() + "\n" + laneTable(s.Lanes).text(p)
}

const factIndent = "              "

// fact is a line of what the relay tells of itself.
func fact(p paper, name, text, colour string) string {
	width := 0
	if p.width > 0 {
		width = max(20, p.width-len(factIndent))
	}
	lines := strings.Split(folded(singleLine(text), width, ""), "\n")
	for i := range lines {
		lines[i] = p.coloured(lines[i], colour)
	}
	return padded(name, len(factIndent), false) + strings.Join(lines, "\n"+factIndent) + "\n"
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

func waitingText(s *relayStatus) string {
	if s.Queued == 0 {
		return "nothing"
	}
	text := counted(s.Queued, "event")
	if s.OldestCritical != nil {
		text += ", a critical one for " + ageOf(s.OldestCritical)
	}
	return text
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
	lanes = slices.Clone(lanes)
	slices.SortStableFunc(lanes, func(a, b relayLane) int {
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), cmp.Compare(a.Name, b.Name))
	})
	t := &table{
		heads: []string{"LANE", "USED", "CRIT", "ERR", "WARN", "INFO", "OLDEST", "EMPTY", "CONDITION"},
		right: []bool{false, true, true, true, true, true, true, true, false},
	}
	for _, l := range lanes {
		cells := []cell{{text: l.Name}, {text: l.window()}}
		for _, severity := range severities {
			n := cell{text: short(l.Waiting[severity])}
			if l.Waiting[severity] > 0 {
				n.colour = severityColour(severity)
			}
			cells = append(cells, n)
		}
		cells = append(cells, cell{text: ageOf(l.Oldest)}, cell{text: l.emptyIn()})
		t.rows = append(t.rows, row{cells: cells, note: cell{l.Text, l.colour()}})
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
	text := fmt.Sprintf("%s of %s", short(l.Used), short(l.Learned))
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
