package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
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
	"stale":   "Some of them had changed meanwhile and were left as they are.",
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

// verb returns what is done to an event, or nil.
func (c *Console) verb(what string) func(context.Context, int64, queue.By) error {
	switch what {
	case "requeue":
		return c.o.Store.Requeue
	case "drop":
		return c.o.Store.Drop
	case "try":
		return c.o.Holder.TryEvent
	}
	return nil
}

func (c *Console) actOnEvent(w http.ResponseWriter, r *http.Request) {
	what := r.PathValue("what")
	do := c.verb(what)
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if do == nil || err != nil {
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	by, ok := c.by(w, r)
	if !ok {
		return
	}
	err = do(r.Context(), id, by)
	if errors.Is(err, queue.ErrUnsendable) {
		c.problem(w, r, http.StatusConflict, err.Error()+".")
		return
	}
	if errors.Is(err, queue.ErrState) {
		c.problem(w, r, http.StatusConflict, "The event has changed meanwhile, so that this is not possible any more. Look at it again.")
		return
	}
	if err != nil {
		c.failed(w, r, err)
		return
	}
	c.o.Insight.Changed()
	c.o.Log.Info("an event was "+past[what], "event", id, "by", by.Who, "why", by.Why)
	done(w, r, fmt.Sprintf("/events/%d", id), what)
}

var past = map[string]string{"requeue": "requeued", "drop": "dropped", "try": "tried"}

const (
	maxGroup = 20_000 // events of one action: some seconds of work
	abreast  = 32     // actions that share a commit
)

func (c *Console) actOnGroup(w http.ResponseWriter, r *http.Request) {
	what := r.PathValue("what")
	do := c.verb(what)
	if do == nil || what == "try" { // of dead letters none waits
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
	ids, err := c.o.Store.Members(r.Context(), group.Of, maxGroup)
	if err != nil {
		c.failed(w, r, err)
		return
	}
	stale, err := each(r.Context(), ids, func(ctx context.Context, id int64) error { return do(ctx, id, by) })
	c.o.Insight.Changed()
	c.o.Log.Info("events were "+past[what], "events", len(ids)-stale, "reason", group.Reason, "by", by.Who, "why", by.Why)
	switch {
	case err != nil:
		c.failed(w, r, err)
	case stale > 0:
		done(w, r, "/dead", "stale")
	case len(ids) == maxGroup && group.Count > maxGroup:
		done(w, r, "/dead", "some")
	default:
		done(w, r, "/dead", what)
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

// each does something to many events, several abreast so that they share commits.
// Those that have changed meanwhile are counted; any other error ends it.
func each(ctx context.Context, ids []int64, do func(context.Context, int64) error) (stale int, err error) {
	var changed atomic.Int64
	var failure atomic.Pointer[error]
	next := make(chan int64)
	var workers sync.WaitGroup
	for range abreast {
		workers.Go(func() {
			for id := range next {
				err := do(ctx, id)
				switch {
				case errors.Is(err, queue.ErrState), errors.Is(err, queue.ErrNotFound):
					changed.Add(1)
				case err != nil:
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for _, id := range ids {
		if failure.Load() != nil {
			break
		}
		next <- id
	}
	close(next)
	workers.Wait()
	if first := failure.Load(); first != nil {
		err = *first
	}
	return int(changed.Load()), err
}

func (c *Console) actOnLane(w http.ResponseWriter, r *http.Request) {
	what := r.PathValue("what")
	do := map[string]func(context.Context, int64, queue.By) error{"pause": c.o.Holder.Hold, "resume": c.o.Holder.Unhold, "try": c.o.Holder.Try}[what]
	if do == nil {
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	by, ok := c.by(w, r)
	if !ok {
		return
	}
	found, err := c.o.Insight.FindLanes(r.Context(), r.PathValue("lane"))
	for _, l := range found {
		if err == nil {
			err = do(r.Context(), l.ID, by)
		}
	}
	c.o.Insight.Changed()
	if err != nil {
		c.failed(w, r, err)
		return
	}
	done(w, r, "/lanes/"+url.PathEscape(r.PathValue("lane")), what)
}
