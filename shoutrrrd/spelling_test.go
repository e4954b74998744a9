package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// However its letters are written, a key has one lane, one limit and its place in the
// list. PagerDuty gets it as the configuration spells it, else as the event does.
func TestSpellingOfKeys(t *testing.T) {
	t.Parallel()
	upstream := newChoosy(t, func(http.ResponseWriter, string) bool { return false })
	dir := t.TempDir()
	config := writeFile(t, dir, "shoutrrrd.yaml", "keys: [{alias: oncall, key: "+testKey+", rate: 5}]\n")
	p := start(t, dir, "--upstream", upstream.URL, "--config", config)
	capital, otherCapital := strings.ToUpper(testKey), strings.ToUpper(otherKey)
	mixed := testKey[:11] + capital[11:]
	for i, key := range []string{capital, testKey, mixed, otherKey, otherCapital} {
		p.flood(t, 1, func(int) string {
			return strings.Replace(trigger(fmt.Sprint("event-", i), "critical", "spelled"), testKey, key, 1)
		})
	}
	p.drained(t, time.Minute)
	var status struct {
		Lanes []struct {
			Name  string
			Limit int
			Used  int
		}
	}
	p.getJSON(t, "/api/status", &status)
	if len(status.Lanes) != 2 {
		t.Errorf("two keys have the lanes %+v", status.Lanes)
	}
	for _, l := range status.Lanes {
		if l.Used != 2 && (l.Name != "oncall" || l.Used != 3 || l.Limit != 5) {
			t.Errorf("a lane counts %+v, want two events, or three of the listed key's limit", l)
		}
	}
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	if by := upstream.by; by[testKey] != 3 || by[capital]+by[mixed] != 0 || by[otherKey] != 1 || by[otherCapital] != 1 {
		t.Errorf("the listed key left %d times as it is listed and %d times otherwise; the other one %d and %d times",
			by[testKey], by[capital]+by[mixed], by[otherKey], by[otherCapital])
	}
}
