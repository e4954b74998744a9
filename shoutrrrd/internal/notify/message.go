package notify

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxShown are the lanes that a message names: a mail with thousands is read by nobody.
const maxShown = 10

// Message is what a way is told. As JSON it is what a webhook gets and what a command
// reads.
type Message struct {
	Status   string    `json:"status"` // firing, resolved or test
	Subject  string    `json:"subject"`
	Text     string    `json:"text"`
	Relay    string    `json:"relay"`    // name of the machine
	Upstream string    `json:"upstream"` // "" if it is the relay's own queue
	Outage   string    `json:"outage"`   // the same in all messages of one outage
	Began    time.Time `json:"began_at,omitzero"`
	Ended    time.Time `json:"ended_at,omitzero"`
	Waiting  int       `json:"waiting"`            // critical events
	Oldest   time.Time `json:"oldest_at,omitzero"` // acceptance of the oldest one
	Rejected int       `json:"rejected"`           // critical events, during the outage
	Expired  int       `json:"expired"`            // critical events, during the outage
	Why      string    `json:"why"`
	Lanes    []InLane  `json:"lanes"` // those with the oldest events, at most 10
	NotShown int       `json:"lanes_not_shown"`
}

// InLane is what waits in one lane.
type InLane struct {
	Name    string    `json:"name"`
	Waiting int       `json:"waiting"`
	Oldest  time.Time `json:"oldest_at"`
	Why     string    `json:"why"`
}

// message says how an outage stands.
func (o *Outage) message(relay string, date func(time.Time) time.Time) Message {
	id := o.id(relay)
	o = o.dated(date)
	m := Message{
		Status: string(o.stage()), Relay: relay, Upstream: o.Upstream, Outage: id,
		Began: o.Began.UTC(), Rejected: o.Rejected, Expired: o.Expired, Why: o.Why, Lanes: []InLane{},
	}
	if !o.Ended.IsZero() {
		m.Ended = o.Quiet.UTC()
	}
	for i, l := range o.lanes {
		m.Waiting += l.Waiting
		if i == 0 {
			m.Oldest = l.Oldest.UTC()
		}
		if i < maxShown {
			m.Lanes = append(m.Lanes, InLane{l.Name, l.Waiting, l.Oldest.UTC(), l.Why})
		}
	}
	m.NotShown = max(0, len(o.lanes)-maxShown)
	m.Subject = fmt.Sprintf("shoutrrrd on %s: %s", relay, o.headline(&m))
	m.Text = o.text(&m)
	return m
}

// dated is the outage with dates in the place of the relay's times. The name of the outage
// stays that of the times: the wall clock may be set while it lasts.
func (o *Outage) dated(date func(time.Time) time.Time) *Outage {
	d := *o
	d.Began, d.Quiet, d.at, d.lanes = date(o.Began), date(o.Quiet), date(o.at), slices.Clone(o.lanes)
	for i := range d.lanes {
		d.lanes[i].Oldest = date(d.lanes[i].Oldest)
	}
	return &d
}

// id names the outage for whoever gets its messages. It is made of what a restart finds
// again: the upstream, and when the oldest event was accepted.
func (o *Outage) id(relay string) string {
	where := "queue"
	if o.Upstream != "" {
		where = cut(hostOf(o.Upstream), 100) // a dedup key has at most 255 characters
	}
	return fmt.Sprintf("shoutrrrd/%s/%s/%d", relay, where, o.Began.Unix())
}

func hostOf(upstream string) string {
	if u, err := url.Parse(upstream); err == nil && u.Host != "" {
		return u.Host
	}
	return upstream
}

// headline is the message in one line.
func (o *Outage) headline(m *Message) string {
	var parts []string
	switch {
	case m.Status == string(Resolved) && o.Upstream == "":
		return "resolved: its queue takes events again"
	case m.Status == string(Resolved):
		line := "resolved: no critical event for " + hostOf(o.Upstream) + " is late any more"
		if n := o.Rejected + o.Expired; n > 0 {
			line += "; " + counted(n, "was", "were") + " given up, see the dead letters"
		}
		return line
	case o.Upstream == "":
		parts = append(parts, "its queue turns events away")
	case m.Waiting > 0:
		parts = append(parts, fmt.Sprintf("%s not delivered to %s, the oldest has waited %s", counted(m.Waiting, "critical event is", "critical events are"), hostOf(o.Upstream), span(o.at.Sub(m.Oldest))))
	}
	if n := o.Rejected + o.Expired; n > 0 {
		what := counted(n, "critical event was", "critical events were") + " rejected or expired"
		if len(parts) == 0 {
			what = fmt.Sprintf("%s for %s rejected or expired", counted(n, "critical event", "critical events"), hostOf(o.Upstream))
		}
		parts = append(parts, what)
	}
	if len(parts) == 0 { // they have just left, and the outage is not over
		parts = append(parts, "critical events for "+hostOf(o.Upstream)+" were late")
	}
	line := strings.Join(parts, "; ")
	if o.Why != "" {
		line += ": " + cut(o.Why, 200)
	}
	return line
}

// text is the whole of the message for people.
func (o *Outage) text(m *Message) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", m.Subject)
	line("")
	if m.Upstream != "" {
		line("Upstream: %s", m.Upstream)
	}
	line("Began:    %s", stamp(m.Began))
	if !m.Ended.IsZero() {
		line("Ended:    %s", stamp(m.Ended))
	}
	if m.Waiting > 0 {
		line("Waiting:  %s, the oldest since %s", counted(m.Waiting, "critical event", "critical events"), stamp(m.Oldest))
	}
	if m.Rejected+m.Expired > 0 {
		line("Given up: %d rejected, %d expired; they are dead letters until somebody decides", m.Rejected, m.Expired)
	}
	if m.Why != "" {
		line("Reason:   %s", m.Why)
	}
	if len(m.Lanes) > 0 {
		line("Lanes:")
	}
	for _, l := range m.Lanes {
		line("  %s: %d, the oldest since %s%s", l.Name, l.Waiting, stamp(l.Oldest), after(": ", l.Why))
	}
	if m.NotShown > 0 {
		line("  and %s", counted(m.NotShown, "more lane", "more lanes"))
	}
	line("")
	line("On %s run:", m.Relay)
	line("  shoutrrr status")
	if m.Rejected+m.Expired > 0 {
		line("  shoutrrr queue list --state dead")
	}
	return b.String()
}

// testMessage is what `shoutrrrd notify test` sends.
func testMessage(relay string, now time.Time) Message {
	subject := fmt.Sprintf("shoutrrrd on %s: test of notify, nothing is wrong", relay)
	return Message{
		Status: "test", Subject: subject, Relay: relay, Outage: fmt.Sprintf("shoutrrrd/%s/test/%d", relay, now.Unix()), Began: now.UTC(), Lanes: []InLane{},
		Text: subject + "\n\nSomebody has run: shoutrrrd notify test\nWhen critical events are late or rejected the message comes by this way.\n",
	}
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// span is a time as people say it.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func after(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
