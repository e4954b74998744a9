package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
)

// flapped writes a queue in which an alert was opened and resolved ten times, two hours ago.
func flapped(t *testing.T, dir string) {
	t.Helper()
	now := time.Now().Add(-2 * time.Hour)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "queue.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	key, err := eventsv2.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Lane(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for _, action := range []eventsv2.Action{eventsv2.Trigger, eventsv2.Resolve} {
			now = now.Add(time.Minute)
			e := queue.New{Lane: l.ID, Action: action, DedupKey: "flaps", Severity: queue.Error, Accepted: now, Summary: "link down", Source: "sw-1"}
			e.Body = fmt.Appendf(nil, `{"event_action":%q,"dedup_key":"flaps","payload":{"summary":"link down","source":"sw-1","severity":"error","custom_details":{"port":7}}}`, action)
			if _, err := s.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A relay that was stopped while an alert flapped tells of it as the setting says, once, and
// shows it to people.
func TestFlappingIsToldOnce(t *testing.T) {
	for way, want := range map[string][]string{
		"one":  {"trigger", "resolve"},
		"note": {"resolve", "change"},
		"all":  strings.Fields(strings.Repeat("trigger resolve ", 10)),
	} {
		t.Run(way, func(t *testing.T) {
			upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
			dir := t.TempDir()
			flapped(t, dir)
			p := start(t, dir, "--upstream", upstream.URL(), "--settle-while-waiting", way)
			p.drained(t, patience)
			var got []string
			for _, x := range upstream.Journal() {
				action := x.Action
				if strings.HasSuffix(x.Path, "/change/enqueue") {
					action = "change"
				}
				got = append(got, action)
				if x.Outcome == pagerdutytest.OutcomeRefused || x.Outcome == pagerdutytest.OutcomeDropped && way != "note" {
					t.Errorf("%s: %s", x, x.Answer)
				}
				told := strings.Contains(string(x.Body), `"relay_folded":"opened and resolved 10 times while nothing of it could be sent: opened 20`) && strings.Contains(string(x.Body), `"port":7`)
				if is := way != "all" && action != "resolve"; told != is {
					t.Errorf("the %s tells: %v, want %v: %s", action, told, is, x.Body)
				}
			}
			if way == "note" {
				slices.Sort(got) // they are two chains
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("PagerDuty has got %q, want %q", got, want)
			}
			var first struct {
				State, Reason string
				ToldBy        string `json:"told_by"`
			}
			p.getJSON(t, "/api/events/1", &first)
			if way == "all" {
				if first.State != "delivered" {
					t.Errorf("the first event is %+v", first)
				}
				return
			}
			folded := p.metric(t, `shoutrrrd_folded_total{lane="`+fingerprintOf(t)+`"}`)
			var teller struct {
				Folded struct {
					Pairs int
					Times []any
				}
			}
			p.getJSON(t, "/api/events/"+first.ToldBy, &teller)
			if first.State != "dropped" || first.Reason != "told by event "+first.ToldBy || teller.Folded.Pairs != 10 || len(teller.Folded.Times) != 10 || folded < 18 {
				t.Errorf("the first event is %+v, what tells of it %+v, %v events are counted", first, teller, folded)
			}
			keyleak.Check(t, testKey, keyleak.Text("the log", p.log.String()))
		})
	}
}

func fingerprintOf(t *testing.T) string {
	t.Helper()
	key, err := eventsv2.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return key.Fingerprint()
}
