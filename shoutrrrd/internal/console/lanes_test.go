package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Links and forms carry the number of a lane: its name may be that of another one too.
func TestLanesByNumber(t *testing.T) {
	s := newSite(t)
	s.put("a", queue.Error, "x")
	other, err := eventsv2.ParseKey(strings.Repeat("3", 32))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.store.Lane(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	number := strconv.FormatInt(second.ID, 10)
	if page := s.get("/"); !strings.Contains(page, `href="/lanes/1"`) || !strings.Contains(page, `href="/lanes/`+number+`"`) {
		t.Errorf("no link for each lane in\n%s", page)
	}
	if page := s.get("/lanes/" + number); !strings.Contains(page, `action="/lanes/`+number+`/pause"`) || !strings.Contains(page, other.Fingerprint()) {
		t.Errorf("no form to pause the lane in\n%s", page)
	}
	if page := s.get("/events/1"); !strings.Contains(page, `href="/lanes/1"`) {
		t.Errorf("no link to the event's lane in\n%s", page)
	}
	why := url.Values{"why": {"a test"}}
	if status, body := s.ask(http.MethodPost, "/lanes/db/pause", why); status != http.StatusConflict || !strings.Contains(body, "2 lanes have the name") {
		t.Errorf("a name that two lanes have: %d\n%s", status, body)
	}
	if status, to := s.ask(http.MethodPost, "/lanes/"+number+"/pause", why); status != http.StatusSeeOther || !strings.HasPrefix(to, "/lanes/"+number+"?") {
		t.Errorf("%d %s", status, to)
	}
	lanes, err := s.store.Lanes(t.Context())
	if err != nil || lanes[0].Held || !lanes[1].Held {
		t.Errorf("%+v, %v: want the second alone paused", lanes, err)
	}
}
