package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/trend"
)

// laneRow is a lane with its last hour.
type laneRow struct {
	insight.Lane
	Hour  trend.Hour
	Total trend.Minute
	Storm bool
}

// row looks at a lane. A storm is when more came in the last five minutes than
// leaves in that time, and more waits than leaves in a minute.
func (c *Console) row(l insight.Lane) laneRow {
	row := laneRow{Lane: l, Hour: c.o.Trend.Hour(l.Name, c.o.Now())}
	row.Total = row.Hour.Total()
	recent := 0
	for _, m := range row.Hour[trend.Minutes-stormMinutes:] {
		recent += m.Accepted
	}
	row.Storm = l.Queued > max(1, l.Learned) && recent > stormMinutes*max(1, l.Learned)
	return row
}

const stormMinutes = 5

// Colour is the class of a lane's state.
func (l laneRow) Colour() string {
	switch l.Condition {
	case lane.Stopped, lane.Unreachable, lane.Failing, lane.KeyRejected:
		return "bad"
	case lane.Paused, lane.Throttled, lane.AtLimit:
		return "odd"
	case lane.Delivering:
		return "good"
	}
	if l.KeyRefused {
		return "bad"
	}
	return "soft"
}

// How much of all lanes a page shows: more is read by no one, and each browser gets it
// again whenever something changes.
const (
	overviewTrouble = 50 // lanes in trouble
	overviewBusiest = 50 // other lanes
	overviewStorms  = 5
	lanesPage       = 50
)

type overviewBody struct {
	Lanes       []laneRow
	More        int // lanes that are not in Lanes
	MoreTrouble int // of them in trouble
	Storms      []laneRow
	MoreStorms  int
	Front       string // URL of the events listener
	Host        string // its host and port
	Plain       bool   // it has no TLS
}

func (c *Console) overview(_ context.Context, r request, v *view) error {
	host := c.front(r.host)
	body := overviewBody{Front: "https://" + host, Host: host, Plain: !c.o.FrontTLS}
	if body.Plain {
		body.Front = "http://" + host
	}
	trouble, others := 0, 0
	for _, l := range v.Status.Lanes { // those in trouble come first
		row := c.row(l)
		if row.Storm {
			body.Storms = append(body.Storms, row)
		}
		switch {
		case l.InTrouble && trouble < overviewTrouble:
			trouble++
		case !l.InTrouble && others < overviewBusiest:
			others++
		default:
			continue
		}
		body.Lanes = append(body.Lanes, row)
	}
	body.More, body.MoreTrouble = v.Status.Totals.Lanes-len(body.Lanes), v.Status.Totals.InTrouble-trouble
	if n := len(body.Storms); n > overviewStorms {
		body.Storms, body.MoreStorms = body.Storms[:overviewStorms], n-overviewStorms
	}
	v.Page, v.Title, v.Command, v.Body = "overview", "overview", "shoutrrr status --watch", body
	return nil
}

type lanesBody struct {
	Filter string
	Lanes  []laneRow
	Wrong  string // why the filter cannot be read
	Next   string // URL of the next page; "" at the end
	First  string // URL of the first page; "" if this is it
	Quick  []quick
}

// laneQuicks are filters of lanes that are asked for often.
var laneQuicks = []quick{{"all", ""}, {"in trouble", "state:trouble"}, {"queued", "state:queued"}, {"dead letters", "state:dead"}}

// lanes is a page of all lanes, in the order in which they were first used.
func (c *Console) lanes(ctx context.Context, r request, v *view) error {
	query, _ := url.ParseQuery(r.query) // what cannot be read is no filter
	filter := strings.TrimSpace(strings.Join(query["q"], " "))
	body := lanesBody{Filter: filter, Quick: laneQuicks}
	asked := url.Values{"q": {filter}, "limit": {strconv.Itoa(lanesPage)}}
	if cursor := query.Get("cursor"); cursor != "" {
		asked.Set("cursor", cursor)
		body.First = lanesURL(filter)
	}
	selection, err := insight.ParseLaneSelection(asked)
	if err != nil {
		body.Wrong = strings.TrimPrefix(err.Error(), "q: ")
	} else {
		list, err := c.o.Insight.Lanes(ctx, selection)
		if err != nil {
			return err
		}
		for _, l := range list.Lanes {
			body.Lanes = append(body.Lanes, c.row(l))
		}
		if list.Next != "" {
			body.Next = "/lanes?" + url.Values{"q": {filter}, "cursor": {list.Next}}.Encode()
		}
	}
	v.Page, v.Title, v.Body = "lanes", "lanes", body
	v.Command = strings.TrimSpace("shoutrrr queue lanes " + shellWords(filter))
	return nil
}

// front is how the events listener is reached from where the page was asked for.
func (c *Console) front(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	_, port, err := net.SplitHostPort(c.o.Front.String())
	if err != nil {
		port = "8686"
	}
	return net.JoinHostPort(name, port)
}

type eventsBody struct {
	Filter string
	List   insight.List
	Wrong  string // why the filter cannot be read
	Next   string // URL of the next page
	Quick  []quick
	First  string // URL of the first page, unless this is it
}

// quick is a filter that is asked for often.
type quick struct{ Name, Filter string }

var quicks = []quick{
	{"all", ""},
	{"waiting", "state:queued"},
	{"critical", "state:queued sev:critical"},
	{"in flight", "state:in_flight"},
	{"delivered", "state:delivered"},
	{"refused", "state:refused"},
	{"expired", "state:expired"},
	{"dropped", "state:dropped"},
}

func (c *Console) events(ctx context.Context, r request, v *view) error {
	query, _ := url.ParseQuery(r.query) // what cannot be read is no filter
	filter := strings.TrimSpace(strings.Join(query["q"], " "))
	body := eventsBody{Filter: filter, Quick: quicks}
	asked := url.Values{"q": {filter}}
	if cursor := query.Get("cursor"); cursor != "" {
		asked.Set("cursor", cursor)
		body.First = eventsURL(filter)
		v.Refresh = false // an older page does not change under the reader
	}
	selection, err := insight.ParseSelection(asked)
	selection.Client = r.client
	if err != nil {
		body.Wrong = strings.TrimPrefix(err.Error(), "q: ")
	} else if body.List, err = c.o.Insight.Events(ctx, selection); errors.Is(err, insight.ErrNoLane) {
		body.Wrong = "there is no such lane"
	} else if err != nil {
		return err
	}
	if body.List.Next != "" {
		asked.Set("cursor", body.List.Next)
		body.Next = "/events?" + asked.Encode()
	}
	v.Page, v.Title, v.Body = "events", "events", body
	v.Command = strings.TrimSpace("shoutrrr queue list " + shellWords(filter))
	return nil
}

// shellWords gives a filter to a command as one argument.
func shellWords(filter string) string {
	if filter == "" {
		return ""
	}
	return shell(filter)
}

type eventBody struct {
	Event      insight.FullEvent
	Text       string // the body, for people
	Neighbours []insight.Event
	Requeue    *offer // nil if it cannot be
	Try        *offer // nil if neither it nor the head of its chain can wait for an attempt
	Drop       *offer
}

func (c *Console) event(ctx context.Context, r request, v *view) error {
	id, err := strconv.ParseInt(r.values["id"], 10, 64)
	if err != nil || id < 1 {
		return queue.ErrNotFound
	}
	e, err := c.o.Insight.Event(ctx, id)
	if err != nil {
		return err
	}
	near, err := c.o.Insight.Neighbours(ctx, id)
	if err != nil {
		return err
	}
	dead := e.State == queue.Refused.String() || e.State == queue.Expired.String()
	body := eventBody{Event: e, Text: indented(e.Body), Neighbours: near}
	if dead || e.State == queue.Dropped.String() {
		lane, _ := strconv.ParseInt(e.LaneID, 10, 64) // the relay's own number
		body.Requeue = requeueEvent(e.ID, c.o.Ops.Rejected(ctx, lane))
	}
	if e.State == queue.Waiting.String() || e.State == queue.Blocked.String() { // one that is blocked has its head tried
		body.Try = tryEvent(e.ID)
	}
	if !e.InFlight && (dead || e.EndedAt.IsZero()) {
		body.Drop = dropEvent(e.ID)
	}
	v.Page, v.Title, v.Body = "event", "event "+e.ID, body
	v.Command = "shoutrrr queue show " + e.ID
	return nil
}

type deadBody struct {
	Groups []insight.Group
	Total  int
}

func (c *Console) dead(ctx context.Context, _ request, v *view) error {
	groups, err := c.o.Insight.Dead(ctx)
	if err != nil {
		return err
	}
	body := deadBody{Groups: groups}
	for _, g := range groups {
		body.Total += g.Count
	}
	v.Page, v.Title, v.Body = "dead", "dead letters", body
	v.Command = "shoutrrr queue list state:dead"
	return nil
}

// groupFilter lists a group's events.
func groupFilter(g insight.Group) string {
	filter := "state:" + g.State + " lane:" + g.Lane
	if g.Reason != "" {
		filter += " " + quoted(g.Reason)
	}
	return filter
}

type laneBody struct {
	Lane   laneRow
	Recent insight.List
	Did    []insight.Entry // by operators, the latest first
	Switch *offer          // pause or resume
	Try    *offer          // nil if nothing of PagerDuty's holds it up
}

func (c *Console) lane(ctx context.Context, r request, v *view) error {
	l, err := c.o.Insight.Lane(ctx, r.values["lane"])
	if err != nil {
		return err
	}
	selection, err := insight.ParseSelection(url.Values{"lane": {l.ID}, "limit": {"10"}})
	if err != nil {
		return err
	}
	recent, err := c.o.Insight.Events(ctx, selection)
	if err != nil {
		return err
	}
	did, err := c.o.Insight.LaneHistory(ctx, l.ID)
	if err != nil {
		return err
	}
	v.Page, v.Title, v.Body = "lane", "lane "+l.Name, laneBody{c.row(l), recent, did, holdLane(l), tryLane(l)}
	v.Command = "shoutrrr queue list lane:" + shell(l.Name)
	return nil
}

// failed answers for a page that could not be made.
func (c *Console) failed(w http.ResponseWriter, r *http.Request, err error) {
	var ambiguous *insight.AmbiguousError
	switch {
	case errors.As(err, &ambiguous):
		c.problem(w, r, http.StatusConflict, fmt.Sprintf("Nothing was done: %s.", ambiguous))
	case errors.Is(err, queue.ErrNotFound):
		c.problem(w, r, http.StatusNotFound, "There is no such event. It may have been purged: delivered events are kept for the time that is set as retention.")
	case errors.Is(err, insight.ErrNoLane):
		c.problem(w, r, http.StatusNotFound, "There is no such lane. A lane appears with its first event.")
	case errors.Is(err, insight.ErrBusy):
		w.Header().Set("Retry-After", "5")
		c.problem(w, r, http.StatusServiceUnavailable, "The page was not made: "+err.Error()+".")
	case errors.Is(err, context.DeadlineExceeded):
		c.o.Log.Warn("an answer took too long", "path", r.Pattern, "error", c.o.Insight.Scrub(context.WithoutCancel(r.Context()), err.Error()))
		w.Header().Set("Retry-After", "5")
		c.problem(w, r, http.StatusServiceUnavailable, "The queue did not answer in time: disk or machine are busy. Try again in a moment.")
	default:
		c.o.Log.Error("the queue has failed", "path", r.Pattern, "error", c.o.Insight.Scrub(context.WithoutCancel(r.Context()), err.Error()))
		c.problem(w, r, http.StatusServiceUnavailable, "The queue did not answer. The log says why; try again in a moment.")
	}
}

func (c *Console) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	v := &view{Page: "problem", Title: http.StatusText(status), Here: r.URL.EscapedPath(), Viewer: viewerOf(r), Now: c.date(), Body: text}
	if told, err := c.o.Insight.Status(r.Context()); err == nil {
		v.Status = told
		v.Alarm = told.Headline.State == outlook.NotLeaving
	} else {
		v.Status.Accepting = true // unknown; the text says what is wrong
	}
	c.write(w, r, status, v)
}
