package console

import (
	"context"
	"fmt"
	"html/template"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
)

// offer is an action as a page shows it: what it would do, and how a shell does it.
type offer struct {
	Label   string
	Action  string        // path of the form
	Text    template.HTML // no text of others: counts, and ages that the page counts on
	Command string
	UpTo    int64 // the latest event that is meant; 0 for no bound
	Confirm bool  // PagerDuty rejects the key of the lane: that it is meant has to be said
}

func requeueEvent(id string, rejected bool) *offer {
	return &offer{
		Label: "Requeue", Action: "/events/" + id + "/requeue", Confirm: rejected,
		Text:    "It takes its place among what waits for its dedup key and is sent again.",
		Command: "shoutrrr queue requeue " + id + " --why '…'",
	}
}

func dropEvent(id string) *offer {
	return &offer{
		Label: "Drop", Action: "/events/" + id + "/drop",
		Text:    "It is given up: nobody is paged by it. It can be requeued while it is kept.",
		Command: "shoutrrr queue drop " + id + " --why '…'",
	}
}

func tryEvent(id string) *offer {
	return &offer{
		Label: "Try now", Action: "/events/" + id + "/try",
		Text:    "Its next attempt is due at once, or that of the head of its chain.",
		Command: "shoutrrr queue try " + id + " --why '…'",
	}
}

// tryLane ends what a lane waits for because of an answer of PagerDuty's; nil if it does
// not wait for that.
func tryLane(l insight.Lane) *offer {
	if l.Condition != lane.Throttled && l.Condition != lane.KeyRejected {
		return nil
	}
	return &offer{
		Label: "Try now", Action: "/lanes/" + l.ID + "/try",
		Text:    "One event tries the lane at once, whatever PagerDuty has asked for. If it is accepted the others follow. What waits for its next attempt is due.",
		Command: "shoutrrr queue try --lane " + shell(l.Name) + " --why '…'",
	}
}

// preview says what a group is, before anything happens to it.
func preview(c *Console, g insight.Group) template.HTML {
	return template.HTML(fmt.Sprintf("%s, %d critical, oldest %s", one(g.Count, "event", "events"), g.Critical, c.age(g.OldestAt)))
}

func (c *Console) requeueGroup(g insight.Group) *offer {
	return &offer{
		Label: "Requeue all", Action: "/dead/" + g.ID + "/requeue", UpTo: g.Of.Latest, Confirm: c.o.Ops.Rejected(context.Background(), g.Of.Lane),
		Text:    template.HTML(fmt.Sprintf("%s; at this rate %s.", preview(c, g), span(g.Takes))),
		Command: "shoutrrr queue requeue --filter " + shell(groupFilter(g)) + " --why '…'",
	}
}

func (c *Console) dropGroup(g insight.Group) *offer {
	return &offer{
		Label: "Drop all", Action: "/dead/" + g.ID + "/drop", UpTo: g.Of.Latest,
		Text:    preview(c, g) + ". They are given up: nobody is paged by them.",
		Command: "shoutrrr queue drop --filter " + shell(groupFilter(g)) + " --why '…'",
	}
}

// holdLane pauses a lane, or resumes one that somebody has paused.
func holdLane(l insight.Lane) *offer {
	if l.HeldBy != nil {
		return &offer{
			Label: "Resume", Action: "/lanes/" + l.ID + "/resume",
			Text:    template.HTML(fmt.Sprintf("%s would leave again, the most severe first.", one(l.Queued, "event", "events"))),
			Command: "shoutrrr queue resume " + shell(l.Name) + " --why '…'",
		}
	}
	return &offer{
		Label: "Pause", Action: "/lanes/" + l.ID + "/pause",
		Text:    "Nothing leaves on this lane any more, not even what is critical. It goes on accepting.",
		Command: "shoutrrr queue pause " + shell(l.Name) + " --why '…'",
	}
}
