package pagerdutytest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func alert(key, action, dedupKey, summary string) event {
	return event{key: key, action: action, dedupKey: dedupKey, payload: payload{summary: summary, source: "h", severity: "error"}}
}

func TestIncidentLife(t *testing.T) {
	var s incidents
	steps := []struct {
		action, summary, outcome, status string
	}{
		{"acknowledge", "early", OutcomeDropped, ""},
		{"resolve", "early", OutcomeDropped, ""},
		{"trigger", "one", OutcomeOpened, StatusTriggered},
		{"trigger", "two", OutcomeAppended, StatusTriggered},
		{"acknowledge", "on it", OutcomeAcknowledged, StatusAcknowledged},
		{"trigger", "three", OutcomeAppended, StatusAcknowledged},
		{"acknowledge", "still on it", OutcomeAcknowledged, StatusAcknowledged},
		{"resolve", "done", OutcomeResolved, StatusResolved},
		{"acknowledge", "late", OutcomeDropped, StatusResolved},
		{"resolve", "again", OutcomeDropped, StatusResolved},
		{"trigger", "anew", OutcomeOpened, StatusTriggered},
	}
	for i, step := range steps {
		got := s.apply(alert(testKey, step.action, "d", step.summary), epoch.Add(time.Duration(i)*time.Second))
		if got != step.outcome {
			t.Errorf("step %d, %s: got %s, want %s", i, step.action, got, step.outcome)
		}
		if all := s.snapshot(); step.status != "" && all[len(all)-1].Status != step.status {
			t.Errorf("step %d, %s: got %s, want %s", i, step.action, all[len(all)-1].Status, step.status)
		}
	}
	all := s.snapshot()
	if len(all) != 2 {
		t.Fatalf("got %d incidents, want 2", len(all))
	}
	first := all[0]
	if first.Summary != "three" || first.Events != 6 || first.RoutingKey != Fingerprint(testKey) || first.ID != 1 {
		t.Errorf("got %q, %d events, key %s, no. %d", first.Summary, first.Events, first.RoutingKey, first.ID)
	}
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	if first.Opened != at(2) || first.Acknowledged != at(4) || first.Resolved != at(7) {
		t.Errorf("got opened %s, acknowledged %s, resolved %s", first.Opened, first.Acknowledged, first.Resolved)
	}
	var log []string
	for _, entry := range first.Log {
		log = append(log, fmt.Sprint(entry.Action, " ", entry.Summary, " ", entry.Notified))
	}
	want := []string{"trigger one true", "trigger two false", "acknowledge on it false", "trigger three false", "acknowledge still on it false", "resolve done false"}
	if !slices.Equal(log, want) {
		t.Errorf("got %q, want %q", log, want)
	}
}

func TestIncidentsAreToldApart(t *testing.T) {
	var s incidents
	for _, ev := range []event{
		alert(testKey, "trigger", "disk", ""), alert(testKey, "trigger", "Disk", ""), alert(otherKey, "trigger", "disk", ""),
		alert(testKey+"0", "trigger", "isk", ""), // no gluing of key and dedup key
	} {
		if got := s.apply(ev, epoch); got != OutcomeOpened {
			t.Errorf("%q: got %s", ev.dedupKey, got)
		}
	}
	if got := s.apply(alert(otherKey, "resolve", "Disk", ""), epoch); got != OutcomeDropped {
		t.Errorf("a resolve by another key: got %s", got)
	}
}

func TestSnapshotIsACopy(t *testing.T) {
	var s incidents
	s.apply(alert(testKey, "trigger", "d", "one"), epoch)
	before := s.snapshot()
	s.apply(alert(testKey, "resolve", "d", "two"), epoch)
	if before[0].Status != StatusTriggered || len(before[0].Log) != 1 {
		t.Errorf("a snapshot changed afterwards: %+v", before[0])
	}
}

// TestIncidentsModel holds the state machine against the plainest model: the
// whole history of each identity, read again for each event.
func TestIncidentsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s incidents
		history := make(map[identity][]string)
		opened := 0
		now := epoch
		t.Repeat(map[string]func(*rapid.T){
			"event": func(t *rapid.T) {
				id := identity{
					rapid.SampledFrom([]string{testKey, otherKey}).Draw(t, "key"),
					rapid.SampledFrom([]string{"a", "A", "b"}).Draw(t, "dedup key"),
				}
				action := rapid.SampledFrom([]string{"trigger", "acknowledge", "resolve"}).Draw(t, "action")
				now = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "seconds")) * time.Second)
				want := modelOutcome(history[id], action)
				if got := s.apply(alert(id.key, action, id.dedupKey, "s"), now); got != want {
					t.Fatalf("%s after %v: got %s, want %s", action, history[id], got, want)
				}
				history[id] = append(history[id], action)
				if want == OutcomeOpened {
					opened++
				}
			},
			"": func(t *rapid.T) { checkIncidents(t, &s, history, opened) },
		})
	})
}

// modelOutcome walks back to the last event that opened or closed the incident.
func modelOutcome(before []string, action string) string {
	open := false
	for _, past := range before {
		open = past == "trigger" || (open && past == "acknowledge")
	}
	switch {
	case action == "trigger" && !open:
		return OutcomeOpened
	case action == "trigger":
		return OutcomeAppended
	case !open:
		return OutcomeDropped
	case action == "acknowledge":
		return OutcomeAcknowledged
	}
	return OutcomeResolved
}

func checkIncidents(t *rapid.T, s *incidents, history map[identity][]string, opened int) {
	all := s.snapshot()
	if len(all) != opened {
		t.Fatalf("got %d incidents, want %d", len(all), opened)
	}
	open := make(map[string]int)
	for _, i := range all {
		if i.Status != StatusResolved {
			open[i.RoutingKey+i.DedupKey]++
		}
		notified := 0
		for n, entry := range i.Log {
			if entry.Notified {
				notified++
			}
			if n > 0 && entry.Time.Before(i.Log[n-1].Time) {
				t.Fatalf("the log goes back in time: %+v", i.Log)
			}
		}
		if notified != 1 || !i.Log[0].Notified || len(i.Log) != i.Events {
			t.Fatalf("got %d notifications and %d events for %d entries", notified, i.Events, len(i.Log))
		}
		if i.Resolved.IsZero() != (i.Status != StatusResolved) {
			t.Fatalf("%s, resolved at %s", i.Status, i.Resolved)
		}
	}
	for id, actions := range history {
		want := 0
		if modelOutcome(actions, "trigger") == OutcomeAppended {
			want = 1
		}
		if got := open[Fingerprint(id.key)+id.dedupKey]; got != want {
			t.Fatalf("%v after %v: got %d open incidents, want %d", id, actions, got, want)
		}
	}
}
