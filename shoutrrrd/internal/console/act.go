package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// notices are what a page says after an action. The address names one, so that
// nobody can put words of his own on a page.
var notices = map[string]string{
	"requeue": "Requeued: it leaves when its turn comes.",
	"drop":    "Dropped.",
	"pause":   "Paused: nothing leaves on this lane until somebody resumes it.",
	"resume":  "Resumed.",
	"try":     "It is tried now.",
	"some":    "Done for the first 20,000; do it again for the rest.",
	"stale":   "Some of them had changed meanwhile, or a later event of their dedup key says otherwise, and were left as they are.",
}

// maxForm bounds what is read of a form.
const maxForm = 16 << 10

// by reads who acts and why. A wrong form has been answered if ok is false.
func (c *Console) by(w http.ResponseWriter, r *http.Request) (by queue.By, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.problem(w, r, http.StatusBadRequest, "The form could not be read.")
		return by, false
	}
	why, err := c.o.Insight.Reason(r.Context(), r.PostForm.Get("why"))
	if err == nil && why == "" {
		err = errors.New("say why: it is kept in the history, for whoever looks next")
	}
	if err != nil {
		c.problem(w, r, http.StatusBadRequest, "The reason is missing or too long: "+err.Error()+".")
		return by, false
	}
	return queue.By{Who: viewerOf(r).Name, Why: why, At: c.o.Now()}, true
}

// done shows the page that an action began on.
func done(w http.ResponseWriter, r *http.Request, path, what string) {
	http.Redirect(w, r, path+"?"+url.Values{"done": {what}}.Encode(), http.StatusSeeOther)
}

// act does something to events, and reports whether that was done to some of them. A page
// has answered otherwise.
func (c *Console) act(w http.ResponseWriter, r *http.Request, what ops.Verb, ids []int64, by queue.By) (out ops.Outcome, ok bool) {
	out, err := c.o.Ops.Events(r.Context(), ops.Deed{What: what, IDs: ids, By: by, Force: r.PostForm.Get("force") != ""})
	if rejected := (*ops.RejectedKeyError)(nil); errors.As(err, &rejected) {
		c.problem(w, r, http.StatusConflict, "PagerDuty rejects the integration key of the lane. Go back, load the page anew and confirm that you mean it.")
		return out, false
	}
	if err != nil {
		c.failed(w, r, err)
		return out, false
	}
	return out, true
}

func (c *Console) actOnEvent(w http.ResponseWriter, r *http.Request) {
	what := ops.Verb(r.PathValue("what"))
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if what != ops.Requeue && what != ops.Drop && what != ops.Try || err != nil {
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	by, ok := c.by(w, r)
	if !ok {
		return
	}
	out, ok := c.act(w, r, what, []int64{id}, by)
	if !ok {
		return
	}
	if len(out.Left) == 0 {
		done(w, r, fmt.Sprintf("/events/%d", id), string(what))
		return
	}
	switch err := out.Left[0].Err; {
	case errors.Is(err, queue.ErrUnsendable), errors.Is(err, queue.ErrOutdated):
		c.problem(w, r, http.StatusConflict, err.Error()+".")
	case errors.Is(err, queue.ErrState):
		c.problem(w, r, http.StatusConflict, "The event has changed meanwhile, so that this is not possible any more. Look at it again.")
	default:
		c.failed(w, r, err)
	}
}

func (c *Console) actOnGroup(w http.ResponseWriter, r *http.Request) {
	what := ops.Verb(r.PathValue("what"))
	if what != ops.Requeue && what != ops.Drop { // of dead letters none waits
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	by, ok := c.by(w, r)
	if !ok {
		return
	}
	group, err := c.groupOf(r)
	if err != nil {
		c.failed(w, r, err)
		return
	}
	if group == nil {
		c.problem(w, r, http.StatusNotFound, "There is no such group any more: all of its events have been decided about.")
		return
	}
	ids, err := c.o.Store.Members(r.Context(), group.Of, ops.MaxEvents)
	if err != nil {
		c.failed(w, r, err)
		return
	}
	out, ok := c.act(w, r, what, ids, by)
	switch {
	case !ok:
	case len(out.Left) > 0:
		done(w, r, "/dead", "stale")
	case len(ids) == ops.MaxEvents && group.Count > ops.MaxEvents:
		done(w, r, "/dead", "some")
	default:
		done(w, r, "/dead", string(what))
	}
}

// groupOf returns the group of a form as it was when the form was shown: what died
// since then is not in it.
func (c *Console) groupOf(r *http.Request) (*insight.Group, error) {
	groups, err := c.o.Insight.Dead(r.Context())
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g.ID != r.PathValue("group") {
			continue
		}
		if upTo, err := strconv.ParseInt(r.PostForm.Get("upto"), 10, 64); err == nil && upTo > 0 {
			g.Of.Latest = min(g.Of.Latest, upTo)
		}
		return &g, nil
	}
	return nil, nil
}

func (c *Console) actOnLane(w http.ResponseWriter, r *http.Request) {
	what := ops.LaneVerb(r.PathValue("what"))
	if what != ops.Pause && what != ops.Resume && what != ops.TryLane {
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	by, ok := c.by(w, r)
	if !ok {
		return
	}
	found, err := c.o.Insight.FindLanes(r.Context(), r.PathValue("lane"))
	var lanes []int64
	for _, l := range found {
		lanes = append(lanes, l.ID)
	}
	if err == nil {
		err = c.o.Ops.Lanes(r.Context(), what, lanes, by)
	}
	if err != nil {
		c.failed(w, r, err)
		return
	}
	done(w, r, "/lanes/"+url.PathEscape(r.PathValue("lane")), string(what))
}
