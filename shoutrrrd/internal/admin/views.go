package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
)

// show answers with what the insight tells.
func show[T any](d *Door, w http.ResponseWriter, r *http.Request, tell func(context.Context) (T, error)) {
	v, err := tell(r.Context())
	if err != nil {
		d.failed(w, r, err)
		return
	}
	d.write(r.Context(), w, v)
}

func (d *Door) status(w http.ResponseWriter, r *http.Request) {
	query, ok := d.query(w, r)
	if !ok {
		return
	}
	after := outlook.LateAfter
	for name, values := range query {
		seconds, err := strconv.ParseFloat(values[0], 64)
		if name != "late_after_s" || err != nil || !(seconds >= 1 && seconds <= 7*24*3600) {
			d.fail(w, http.StatusBadRequest, "a status takes late_after_s, the seconds after which a queued critical event is late, from 1 to a week")
			return
		}
		after = time.Duration(seconds * float64(time.Second))
	}
	show(d, w, r, func(ctx context.Context) (insight.Status, error) { return d.o.Insight.StatusLate(ctx, after) })
}

func (d *Door) shape(w http.ResponseWriter, r *http.Request) { show(d, w, r, d.o.Insight.Shape) }

func (d *Door) lanes(w http.ResponseWriter, r *http.Request) {
	query, ok := d.query(w, r)
	if !ok {
		return
	}
	selection, err := insight.ParseLaneSelection(query)
	if err != nil {
		d.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	show(d, w, r, func(ctx context.Context) (insight.LaneList, error) { return d.o.Insight.Lanes(ctx, selection) })
}

// query reads the parameters of a list. A wrong request has been answered if ok is
// false.
func (d *Door) query(w http.ResponseWriter, r *http.Request) (query url.Values, ok bool) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		d.fail(w, http.StatusBadRequest, "the parameters cannot be read; percent-encode them")
		return nil, false
	}
	return query, true
}

// clientOf is who searches: a token's name, or the address of who has none.
func clientOf(r *http.Request) string {
	if who, ok := door.IdentityOf(r.Context()); ok {
		return "token " + who.Name
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (d *Door) lane(w http.ResponseWriter, r *http.Request) {
	show(d, w, r, func(ctx context.Context) (insight.Lane, error) { return d.o.Insight.Lane(ctx, r.PathValue("lane")) })
}

func (d *Door) events(w http.ResponseWriter, r *http.Request) {
	query, ok := d.query(w, r)
	if !ok {
		return
	}
	selection, err := insight.ParseSelection(query)
	if err != nil {
		d.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	selection.Client = clientOf(r)
	list, err := d.o.Insight.Events(r.Context(), selection)
	if errors.Is(err, insight.ErrNoLane) {
		d.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	show(d, w, r, func(context.Context) (insight.List, error) { return list, err })
}

func (d *Door) dead(w http.ResponseWriter, r *http.Request) {
	type list struct {
		Groups []insight.Group `json:"groups"`
	}
	show(d, w, r, func(ctx context.Context) (list, error) {
		groups, err := d.o.Insight.Dead(ctx)
		return list{groups}, err
	})
}

func (d *Door) event(w http.ResponseWriter, r *http.Request) {
	if id, ok := d.eventID(w, r); ok {
		show(d, w, r, func(ctx context.Context) (insight.FullEvent, error) { return d.o.Insight.Event(ctx, id) })
	}
}

func (d *Door) eventID(w http.ResponseWriter, r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		d.fail(w, http.StatusBadRequest, "the number of an event is expected; GET /api/events shows them")
		return 0, false
	}
	return id, true
}
