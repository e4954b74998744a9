package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// write answers with JSON in which no integration key is left: clients put keys
// into summaries, and servers into reasons.
func (d *Door) write(ctx context.Context, w http.ResponseWriter, value any) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(value); err != nil {
		d.o.Log.Error("cannot encode an answer", "error", err)
		problem(w, http.StatusServiceUnavailable, "the answer could not be made; the log says why")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(d.o.Insight.Scrub(ctx, body.String()))) // nobody to tell if the client has left
}

// fail answers that something is wrong with the request.
func (d *Door) fail(w http.ResponseWriter, status int, message string) {
	problem(w, status, d.o.Insight.Scrub(context.Background(), message))
}

func problem(w http.ResponseWriter, status int, message string) {
	body, _ := json.Marshal(map[string]string{"error": message}) // a map of texts has no way to fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// ambiguous answers with the lanes that may be meant.
func (d *Door) ambiguous(ctx context.Context, w http.ResponseWriter, err *insight.AmbiguousError) {
	body, _ := json.Marshal(struct { // texts have no way to fail
		Error      string             `json:"error"`
		Candidates []insight.LaneName `json:"candidates"`
	}{err.Error(), err.Candidates})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_, _ = w.Write([]byte(d.o.Insight.Scrub(ctx, string(body)) + "\n"))
}

// failed answers for an error of the queue. What is nobody's mistake is logged
// whole here and told in one sentence there; the path as a pattern, as clients put
// anything into it.
func (d *Door) failed(w http.ResponseWriter, r *http.Request, err error) {
	var ambiguous *insight.AmbiguousError
	switch {
	case errors.As(err, &ambiguous):
		d.ambiguous(r.Context(), w, ambiguous)
		return
	case errors.Is(err, insight.ErrNoLane), errors.Is(err, errNoLaneTo):
		d.fail(w, http.StatusNotFound, err.Error())
		return
	case errors.Is(err, queue.ErrNotFound):
		d.fail(w, http.StatusNotFound, "there is no such event")
		return
	case errors.Is(err, insight.ErrBusy):
		w.Header().Set("Retry-After", strconv.Itoa(5))
		d.fail(w, http.StatusServiceUnavailable, err.Error())
		return
	case r.Context().Err() != nil, errors.Is(err, context.DeadlineExceeded): // what several ask for has a deadline of its own
		d.o.Log.Warn("an answer took too long", "path", r.Pattern, "error", d.o.Insight.Scrub(context.Background(), err.Error()))
		w.Header().Set("Retry-After", strconv.Itoa(5))
		problem(w, http.StatusServiceUnavailable, "the queue did not answer in time: disk or machine are busy; try again")
		return
	}
	d.o.Log.Error("the queue has failed", "path", r.Pattern, "error", d.o.Insight.Scrub(context.Background(), err.Error()))
	w.Header().Set("Retry-After", strconv.Itoa(5))
	problem(w, http.StatusServiceUnavailable, "the queue has failed; the log says why")
}
