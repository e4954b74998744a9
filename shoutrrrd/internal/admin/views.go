package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
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

func (d *Door) status(w http.ResponseWriter, r *http.Request) { show(d, w, r, d.o.Insight.Status) }

func (d *Door) shape(w http.ResponseWriter, r *http.Request) { show(d, w, r, d.o.Insight.Shape) }

func (d *Door) lanes(w http.ResponseWriter, r *http.Request) {
	type list struct {
		Lanes []insight.Lane `json:"lanes"`
	}
	show(d, w, r, func(ctx context.Context) (list, error) {
		lanes, err := d.o.Insight.Lanes(ctx)
		return list{lanes}, err
	})
}

func (d *Door) lane(w http.ResponseWriter, r *http.Request) {
	show(d, w, r, func(ctx context.Context) (insight.Lane, error) { return d.o.Insight.Lane(ctx, r.PathValue("lane")) })
}

func (d *Door) events(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		d.fail(w, http.StatusBadRequest, "the parameters cannot be read; percent-encode them")
		return
	}
	selection, err := insight.ParseSelection(query)
	if err != nil {
		d.fail(w, http.StatusBadRequest, err.Error())
		return
	}
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
		d.showEvent(w, r, id)
	}
}

func (d *Door) showEvent(w http.ResponseWriter, r *http.Request, id int64) {
	show(d, w, r, func(ctx context.Context) (insight.FullEvent, error) { return d.o.Insight.Event(ctx, id) })
}

func (d *Door) eventID(w http.ResponseWriter, r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		d.fail(w, http.StatusBadRequest, "the number of an event is expected; GET /api/events shows them")
		return 0, false
	}
	return id, true
}
