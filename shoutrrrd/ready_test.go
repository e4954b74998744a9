package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A relay is ready as long as it takes a critical event. While it takes no others it says
// so, with a 503 that names a time to those, and with a metric; status, readiness and
// metrics agree at each step.
func TestReadyWhileCriticalEventsAreAccepted(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--max-queued", "200", "--upstream", "http://127.0.0.1:9") // nobody listens there
	check := func(when string, ready, full bool) {
		t.Helper()
		var status struct {
			Accepting    bool
			Reason, Full string
		}
		p.getJSON(t, "/api/status", &status)
		answer, err := http.Get(p.admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		got := fmt.Sprint(answer.StatusCode == http.StatusOK, status.Accepting, p.metric(t, "shoutrrrd_store_healthy") == 1, status.Reason == "")
		if want := fmt.Sprint(ready, ready, ready, ready); got != want {
			t.Errorf("%s: readyz, status, metric and reason say %s, want %s", when, got, want)
		}
		got = fmt.Sprint(status.Full != "", p.metric(t, "shoutrrrd_queue_full") == 1, strings.Contains(p.console(t), "Only critical events are accepted"), strings.Contains(p.command(t, "status"), "critical events only"))
		if only := full && ready; got != fmt.Sprint(full, full, only, only) {
			t.Errorf("%s: status, metric, console and command say of a full queue %s", when, got)
		}
	}
	fill := func(severity string) {
		t.Helper()
		for i := range 300 {
			answer, said := p.answer(t, trigger(fmt.Sprint(severity, i), severity, "database down"))
			if answer.StatusCode == http.StatusServiceUnavailable {
				if answer.Header.Get("Retry-After") == "" || !strings.Contains(said, "queue is full") {
					t.Errorf("turned away by %v %s", answer.Header, said)
				}
				return
			}
		}
		t.Fatal("the queue has no bound")
	}
	check("at the start", true, false)
	if answer, _ := p.answer(t, trigger("page", "critical", "the lane's own place")); answer.StatusCode != http.StatusAccepted {
		t.Fatal(answer.Status)
	}
	fill("info")
	check("full of others", true, true)
	if answer, said := p.answer(t, trigger("second", "critical", "database down")); answer.StatusCode != http.StatusAccepted {
		t.Errorf("a ready relay answers a critical event with %s %s", answer.Status, said)
	}
	fill("critical")
	check("full of critical ones", false, true)
}

// console is the overview as a browser gets it.
func (p *process) console(t testing.TB) string {
	t.Helper()
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.admin+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Accept", "text/html")
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
