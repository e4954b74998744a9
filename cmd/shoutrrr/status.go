package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const statusExamples = `  shoutrrr status
  shoutrrr status --relay http://127.0.0.1:8687 --json
  shoutrrr status --watch
  shoutrrr status --exit-code > /dev/null || echo 'pages wait, or do not leave'
  shoutrrr status --check --late-after 30s || echo 'exit status 1 or 2'`

const statusLong = `Show how a relay (shoutrrrd) stands: how late a page would be, whether it accepts
events, and what its lanes do and have queued. A lane is the queue of one integration
key. Shown are the lanes in trouble, at most 200, and the 200 busiest of the others;
shoutrrr queue lanes lists all.

USED counts the attempts of the last 60 s that PagerDuty has accepted, may have accepted
(5xx, lost answers) or has rejected, with those in flight, of how many the lane sends in
that time; behind a slash stands the configured limit, if PagerDuty has taught the lane a
lower one. OLDEST is the age of the oldest queued event, EMPTY when nothing will be
queued any more if nothing is added. Times are UTC.

With --exit-code the exit status says whether pages leave, and with --check one line
says the same in the form of a Nagios plugin:

  0  OK        pages leave
  1  WARNING   a critical event has been queued for longer than --late-after, or would
               be; or events were rejected or have expired; or it is unknown when pages
               of a lane would leave in which none is queued
  2  CRITICAL  pages do not leave, or the relay does not answer (--check waits for 8 s)
  3  UNKNOWN   with --check: wrong usage, such as an unknown token`

func newStatus(sys *system) *cobra.Command {
	var from relayFlags
	watching, interval := false, 2*time.Second
	v := checking{lateAfter: time.Minute}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how a relay stands, lane by lane",
		Long:    statusLong,
		Example: statusExamples,
		Args:    func(cmd *cobra.Command, args []string) error { return v.reported(sys, noArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case interval < shortestInterval:
				return v.reported(sys, usagef("--interval %s is too short: give %s or more", interval, shortestInterval))
			case watching && (v.check || v.exitCode):
				return v.reported(sys, usagef("--watch goes on until Ctrl-C: --check and --exit-code look once"))
			case v.check && from.json:
				return v.reported(sys, usagef("--check prints a line of its own: leave --json out"))
			case v.lateAfter < time.Second || v.lateAfter > longestLateAfter:
				return v.reported(sys, usagef("--late-after %s is out of range: give 1s to %s", v.lateAfter, longestLateAfter))
			}
			r, err := from.open(sys)
			switch {
			case err != nil:
				return v.reported(sys, err)
			case watching:
				return newWatch(sys, r, interval, from.json).run(cmd.Context())
			}
			return v.reported(sys, showStatus(cmd.Context(), sys, r, from.json, &v))
		},
	}
	cmd.ValidArgsFunction = nothing
	from.add(cmd)
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "show it again and again, until Ctrl-C")
	cmd.Flags().DurationVar(&interval, "interval", interval, "`time` between two looks, with --watch")
	mustComplete(cmd, "interval", oneOf("1s", "2s", "10s"))
	v.add(sys, cmd)
	return cmd
}

func showStatus(ctx context.Context, sys *system, r *relay, asJSON bool, v *checking) error {
	if v.check {
		r.patience = checkPatience
	}
	var s relayStatus
	answer, err := r.get(ctx, v.path(), &s)
	if err != nil {
		return err
	}
	text := oneLine(answer)
	switch {
	case v.check:
		text = v.line(&s)
	case !asJSON:
		text = statusText(&s, r.String(), sys.paperFor(sys.stdout))
	}
	if _, err = io.WriteString(sys.stdout, text); err != nil {
		return err
	}
	return v.of(&s)
}

// statusText tells first what matters when somebody has been woken up.
func statusText(s *relayStatus, address string, p paper) string {
	text := fact(p, "pages", s.Headline.Sentence, s.Headline.colour())
	for _, t := range s.Headline.Failing {
		text += fact(p, "failing", t.text(s.Now), red)
	}
	for i := range s.Help {
		text += fact(p, "help", s.Help[i].text(s.Now), yellow)
	}
	late, colour := timeToPage(s)
	text += fact(p, "time to page", late, colour)
	switch {
	case !s.Accepting:
		text += fact(p, "accepting", "NO: "+s.Reason, red)
	case s.Full != "":
		text += fact(p, "accepting", "critical events only: "+s.Full, yellow)
	default:
		text += fact(p, "accepting", "yes", green)
	}
	queued, colour := queuedText(s)
	text += fact(p, "queued", queued, colour)
	if s.Dead > 0 {
		text += fact(p, "dead", deadText(s), yellow)
	}
	if s.Config.Error != "" {
		text += fact(p, "settings", "those of "+s.Config.LoadedAt.UTC().Format(time.DateTime)+" are in force; the file has changed since and is wrong: "+s.Config.Error, yellow)
	}
	if len(s.Quarantined) > 0 {
		text += fact(p, "set aside", "damaged files, kept for whoever can read what is in them: "+strings.Join(s.Quarantined, ", "), yellow)
	}
	if s.Disk.Limit > 0 {
		disk, colour := diskText(&s.Disk)
		text += fact(p, "disk", disk, colour)
	}
	text += fact(p, "relay", "shoutrrrd "+s.Version+" at "+address+", started "+age(s.Now.Sub(s.StartedAt))+" ago", "")
	if len(s.Lanes) == 0 {
		return text + "\nThere are no lanes yet: one appears with the first event of an integration key.\n"
	}
	text += "\n" + laneTable(statusLanes(s.Lanes)).text(p)
	if s.NotShown.Lanes > 0 {
		text += "\n" + folded(notShown(s), p.width, "") + "\n"
	}
	return text
}

// notShown says how many lanes the relay has left out, and how to list them.
func notShown(s *relayStatus) string {
	text := counted(s.NotShown.Lanes, "more lane")
	if s.NotShown.InTrouble > 0 {
		text += fmt.Sprintf(", %d of them in trouble: shoutrrr queue lanes state:trouble lists those", s.NotShown.InTrouble)
	}
	return text + "; shoutrrr queue lanes --all lists all " + strconv.Itoa(s.Totals.Lanes) + "."
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

// diskText says what the queue takes of its disk, and whether that answers.
func diskText(d *relayDisk) (text, colour string) {
	used := d.File + d.WAL
	text = fmt.Sprintf("the queue takes %s of %s, %s are free", megabytes(used), megabytes(d.Limit), megabytes(d.Free))
	if used*10 >= d.Limit*9 {
		colour = yellow
	}
	if d.Evicted > 0 {
		text += fmt.Sprintf("; %s deleted since the start, as there were too many", counted(d.Evicted, "dead letter"))
		colour = yellow
	}
	if d.Hanging >= 1 {
		text, colour = fmt.Sprintf("DOES NOT ANSWER for %s; ", age(duration(d.Hanging)))+text, red
	}
	return text, colour
}

func megabytes(n int64) string {
	if n >= 10e9 {
		return strconv.FormatInt(n/1e9, 10) + " GB"
	}
	return strconv.FormatInt(n/1e6, 10) + " MB"
}

func (h *relayHead) colour() string {
	switch h.State {
	case stateLeaving:
		return green
	case stateNotLeaving:
		return red
	}
	return yellow
}

// text tells of an upstream that accepts nothing.
func (t *relayTrouble) text(now time.Time) string {
	lanes := counted(t.Lanes, "lane")
	if t.Failed > 0 && t.Failed < t.Lanes {
		lanes = fmt.Sprintf("attempts of %d of %s have failed", t.Failed, lanes)
	}
	text := fmt.Sprintf("%s (%s, %s)", t.Cause, t.Upstream, lanes)
	if t.Failures > 0 {
		text += fmt.Sprintf(" since %s, %s; the last error: %s", clock(now, t.Since), counted(t.Failures, "attempt"), t.Error)
	}
	if !t.Next.IsZero() {
		text += "; the next attempt is at " + clock(now, t.Next)
	}
	return text
}

// text tells that the relay has called for help, and who knows.
func (c *relayCall) text(now time.Time) string {
	text := "called for at " + clock(now, c.At)
	if c.Upstream != "" {
		text += " (" + c.Upstream + ")"
	}
	if len(c.By) > 0 {
		text += ", by " + strings.Join(c.By, ", ")
	}
	if len(c.Failing) > 0 {
		text += "; not told yet: " + strings.Join(c.Failing, ", ")
	}
	return text
}

// clock is a time with its zone, and with its date if that is not the relay's today.
func clock(now, at time.Time) string {
	now, at = now.UTC(), at.UTC()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04:05 UTC")
	}
	return at.Format("2006-01-02 15:04:05 UTC")
}

// timeToPage says how late a critical event would arrive, as the relay has it.
func timeToPage(s *relayStatus) (text, colour string) {
	switch {
	case s.TimeToPage == nil && s.Headline.Why != "":
		return "unknown: " + s.Headline.Why, red
	case s.TimeToPage == nil:
		return "unknown", yellow
	case *s.TimeToPage < 1:
		return "at once", green
	}
	return bound(duration(*s.TimeToPage)) + " at most until a critical event arrives that is accepted now", yellow
}

func queuedText(s *relayStatus) (text, colour string) {
	if s.Queued == 0 {
		return "nothing", ""
	}
	text = counted(s.Queued, "event")
	if s.OldestCritical != nil {
		return text + ", a critical one for " + ageOf(s.OldestCritical), red
	}
	return text, ""
}

// deadText tells of dead letters, and what to do about them.
func deadText(s *relayStatus) string {
	dead, of := s.Totals.DeadLetters, ""
	if forgotten := s.Dead - dead.Rejected - dead.Expired; forgotten > 0 {
		of = fmt.Sprintf(", %d of forgotten lanes, whose keys are not known any more", forgotten)
	}
	return fmt.Sprintf("%s (%d rejected, %d expired%s): shoutrrr queue list --state dead shows them, shoutrrr queue requeue --filter state:dead --why TEXT sends them again",
		counted(s.Dead, "event"), dead.Rejected, dead.Expired, of)
}

// statusLanes keeps the relay's order of the lanes in trouble, the most severe first.
// The others are sorted by name, so that they stay where they are while one watches.
func statusLanes(lanes []relayLane) []relayLane {
	sorted := slices.Clone(lanes)
	slices.SortStableFunc(sorted, func(a, b relayLane) int {
		if a.InTrouble && b.InTrouble {
			return 0
		}
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

func laneTable(lanes []relayLane) *table {
	t := &table{
		heads: []string{"LANE", "USED", "CRIT", "ERR", "WARN", "INFO", "OLDEST", "EMPTY", "NOW"},
		right: 0b011111110,
	}
	for i := range lanes {
		l := &lanes[i]
		cells := []string{l.Name, l.window()}
		for _, severity := range severities {
			cells = append(cells, short(l.Waiting[severity]))
		}
		t.rows = append(t.rows, row{cells: append(cells, ageOf(l.Oldest), l.emptyIn()), note: l.Text, mood: l.colour()})
	}
	return t
}

// urgency orders lanes: those in trouble, those with something queued, the others.
func (l *relayLane) urgency() int {
	switch {
	case l.InTrouble:
		return 0
	case l.Queued > 0:
		return 1
	}
	return 2
}

func (l *relayLane) colour() string {
	switch {
	case l.KeyRefused, l.Condition == conditionStopped, l.Condition == conditionUnreachable, l.Condition == conditionFailing:
		return red
	case l.Condition == conditionIdle:
		return dim
	case l.Condition == conditionDelivering:
		return green
	}
	return yellow
}

// window is how much of the last 60 s is used.
func (l *relayLane) window() string {
	text := short(l.Used) + " of " + short(l.Learned)
	if usual := cmp.Or(l.Start, l.Limit); l.Learned < usual {
		text += "/" + short(usual)
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
