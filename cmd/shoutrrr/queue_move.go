package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/spf13/cobra"
)

const moveLong = `Have what is queued in a lane leave by another one, and its dead letters when they are
requeued: for a key that another one takes the place of. What goes together stays together
and in order. What belongs to an incident that the first lane's key has opened, or may
have, stays: PagerDuty drops an acknowledge or resolve that comes by another key. So does
what is being sent, and what has others of its dedup key in the other lane: say it again
later for these. Dead letters that were accepted for an earlier upstream stay as well:
requeue asks about these.

From a lane to itself it is about the upstream: what was accepted for another one than the
relay's configuration names now leaves by that.

What it would be is told first, and asked on a terminal; elsewhere --yes does it.`

// movePlan is what moves, or would.
type movePlan struct {
	From      string         `json:"from"`
	To        string         `json:"to"`
	Upstream  string         `json:"upstream"`
	Accepted  string         `json:"accepted_for"`
	Incidents int            `json:"incidents"`
	Changes   int            `json:"change_events"`
	Queued    map[string]int `json:"queued"`
	Dead      int            `json:"dead_letters"`
	Error     string         `json:"error"`
	Stay      []struct {
		Incidents int    `json:"incidents"`
		Why       string `json:"why"`
	} `json:"stay"`
}

func (p *movePlan) events() (n int) {
	for _, severity := range severities {
		n += p.Queued[severity]
	}
	return n
}

// text says what moves after a verb: "move", "moved".
func (p *movePlan) text(verb string) string {
	text := verb + " " + counted(p.events(), "queued event")
	if n := p.Queued["critical"]; n > 0 {
		text += fmt.Sprintf(" (%d critical)", n)
	}
	if p.Incidents > 0 {
		text += " of " + counted(p.Incidents, "incident")
	}
	text += " and " + counted(p.Dead, "dead letter") + " from " + p.From + " to " + p.To
	if p.Accepted != "" {
		text += ": to " + p.Upstream + ", and they were accepted for " + p.Accepted
	}
	return singleLine(text)
}

func (p *movePlan) stays() (lines []string) {
	for _, s := range p.Stay {
		lines = append(lines, singleLine(fmt.Sprintf("%s stay in %s: %s", counted(s.Incidents, "incident"), p.From, s.Why)))
	}
	return lines
}

func newQueueMove(sys *system) *cobra.Command {
	var from relayFlags
	b := &bulk{what: deed{verb: "move", done: "moved"}, sys: sys}
	why, dry := "", false
	cmd := &cobra.Command{
		Use:     "move LANE LANE --why TEXT",
		Short:   "Have what is in a lane leave by another one",
		Long:    moveLong,
		Example: "  shoutrrr queue move db-oncall db-oncall --dry-run\n  shoutrrr queue move db-oncall db-oncall --why 'the proxy has another address' --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) != 2 || args[0] == "" || args[1] == "":
				return usagef("the names of two lanes are expected, from and to; shoutrrr queue lanes shows them")
			case why == "" && !dry:
				return usagef("--why is missing: say in a few words why, it is kept with the events")
			}
			r, err := from.open(sys)
			if err != nil {
				return err
			}
			b.relay, b.why, b.json = r, why, from.json
			return b.move(cmd.Context(), laneNamed(args[0]), laneNamed(args[1]), dry)
		},
	}
	from.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&why, "why", "", "`text` that is kept in the history; required")
	flags.BoolVar(&dry, "dry-run", false, "only say what it would be")
	flags.BoolVarP(&b.yes, "yes", "y", false, "do it without asking")
	mustComplete(cmd, "why", nothing)
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 1 {
			return nothing(c, args, typed)
		}
		return completeLane(sys, &from)(c, nil, typed)
	}
	return cmd
}

// move says what it would be, and does it once somebody has agreed, also to another upstream.
func (b *bulk) move(ctx context.Context, from, to string, dry bool) error {
	path, what, plan := "/api/lanes/"+url.PathEscape(from)+"/move", map[string]any{"to": to, "preview": true}, new(movePlan)
	answer, err := b.relay.post(ctx, path, what, plan)
	switch {
	case exitCode(err) == exitRefused && strings.Contains(err.Error(), "no such lane"):
		missing := from
		if strings.Contains(err.Error(), "no such lane to move to") {
			missing = to
		}
		return failf(exitRefused, "there is no lane %s; shoutrrr queue lanes shows them", redact.Line(missing))
	case err != nil:
		return err
	}
	if dry && b.json {
		_, err := io.WriteString(b.sys.stdout, oneLine(answer))
		return err
	}
	for _, line := range plan.stays() {
		notify(b.sys.stderr, "", line)
	}
	if plan.events()+plan.Dead == 0 {
		notify(b.sys.stderr, "", singleLine("nothing to move from "+plan.From))
		return nil
	}
	notify(b.sys.stderr, "", plan.text("move"))
	if dry {
		return nil
	}
	if !b.yes {
		if err := b.ask(ctx); err != nil {
			return err
		}
	}
	b.force = plan.Accepted != "" // which was told
	delete(what, "preview")
	done := new(movePlan)
	if answer, err = b.post(ctx, path, what, done); err != nil {
		return err
	}
	if b.json {
		if _, err := io.WriteString(b.sys.stdout, oneLine(answer)); err != nil {
			return err
		}
	} else if _, err := io.WriteString(b.sys.stdout, strings.TrimSpace(done.text("moved"))+"\n"); err != nil {
		return err
	}
	if done.Error != "" {
		return failf(exitTemporary, "%s", done.Error)
	}
	return nil
}
