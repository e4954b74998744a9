package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
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

// An alert flaps ten times while nothing takes connections at the upstream, so that its first
// trigger is tried in vain, and another one is open at the end. When the upstream is back,
// it has one incident that was opened and resolved and one that is open, or a change event
// in place of the first, or all.
func TestFlappingWhileTheUpstreamIsDown(t *testing.T) {
	prove.Long(t)
	for way, want := range map[string]struct{ over, stays, notes int }{"one": {1, 1, 0}, "note": {0, 1, 1}, "all": {10, 4, 0}} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			reserved, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			at := reserved.Addr().String()
			_ = reserved.Close()
			p := start(t, t.TempDir(), "--upstream", "http://"+at, "--settle-while-waiting", way)
			p.flap(t, "flaps", 10)
			p.flap(t, "stays", 3)
			p.says(t, "stays", eventsv2.Trigger)
			began := time.Now()
			eventually(t, "the alerts are old news", 3*queue.FoldAfter, func() bool { return time.Since(began) > queue.FoldAfter })
			upstream, err := pagerdutytest.StartServer(pagerdutytest.New(pagerdutytest.Options{Limit: -1}), pagerdutytest.ServerOptions{Listen: at})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(upstream.Close)
			p.drained(t, 4*patience)
			incidents := map[string][]pagerdutytest.Incident{}
			for _, i := range upstream.Incidents() {
				incidents[i.DedupKey] = append(incidents[i.DedupKey], i)
			}
			over, stays := incidents["flaps"], incidents["stays"]
			if len(over) != want.over || len(stays) != want.stays || len(upstream.Changes()) != want.notes {
				t.Fatalf("PagerDuty has %d incidents that are over, %d of the other alert and %d change events, want %+v", len(over), len(stays), len(upstream.Changes()), want)
			}
			for _, i := range over {
				if i.Status != pagerdutytest.StatusResolved {
					t.Errorf("%+v is not over", i)
				}
			}
			if last := stays[len(stays)-1]; last.Status != pagerdutytest.StatusTriggered || strings.Contains(string(last.CustomDetails), "before this trigger opened and resolved 3 times while") != (way != "all") {
				t.Errorf("what is open at the end is %s: %s", last.Status, last.CustomDetails)
			}
			var told []byte
			switch way {
			case "one":
				told = over[0].CustomDetails
			case "note":
				told = upstream.Changes()[0].CustomDetails
			}
			if way != "all" && strings.Count(string(told), "opened 20") != 10 {
				t.Errorf("it tells of %s", told)
			}
			p.namesTheTeller(t, way != "all")
		})
	}
}

// flap has an alert opened and resolved so many times.
func (p *process) flap(t *testing.T, dedup string, pairs int) {
	t.Helper()
	for range pairs {
		p.says(t, dedup, eventsv2.Trigger)
		p.says(t, dedup, eventsv2.Resolve)
	}
}

func (p *process) says(t *testing.T, dedup string, action eventsv2.Action) {
	t.Helper()
	body := fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q,"payload":{"summary":"link down","source":"sw-1","severity":"critical"}}`, testKey, action, dedup)
	if status := p.post(t.Context(), http.DefaultClient, body); status != http.StatusAccepted {
		t.Fatalf("%s of %s: %d", action, dedup, status)
	}
}

// namesTheTeller looks that the first event's history says which event tells of it, if one
// has to, and after which attempts.
func (p *process) namesTheTeller(t *testing.T, folded bool) {
	t.Helper()
	var first struct {
		State   string
		ToldBy  string `json:"told_by"`
		History []struct{ What, Text string }
	}
	p.getJSON(t, "/api/events/1", &first)
	attempts, told := 0, ""
	for _, x := range first.History {
		switch x.What {
		case "attempt":
			attempts++
		case "folded":
			told = x.Text
		}
	}
	if is := first.State == "dropped" && told == "told by event "+first.ToldBy; attempts == 0 || is != folded {
		t.Errorf("the first event is %+v", first)
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
