package pagerdutytest

import "time"

// wantWithin is how long a Want waits unless told otherwise: long against a
// loopback request on a busy machine, short against a test's patience.
const wantWithin = 5 * time.Second

// Want waits for an incident to reach a state. [Emulator.WantIncident] makes one; a
// zero Want is of no use.
type Want struct {
	t        TB
	emulator *Emulator
	dedupKey string
	within   time.Duration
}

// WantIncident waits for the latest incident with that dedup key, or for the
// latest of all if the key is empty. The state is named by the method that is
// called next.
func (e *Emulator) WantIncident(t TB, dedupKey string) *Want {
	return &Want{t: t, emulator: e, dedupKey: dedupKey, within: wantWithin}
}

// Within sets how long to wait. Defaults to 5 seconds.
func (w *Want) Within(d time.Duration) *Want {
	w.within = d
	return w
}

// Triggered returns the incident when it is triggered, or fails the test.
func (w *Want) Triggered() Incident {
	w.t.Helper()
	return w.wait(StatusTriggered)
}

// Acknowledged returns the incident when it is acknowledged, or fails the test.
func (w *Want) Acknowledged() Incident {
	w.t.Helper()
	return w.wait(StatusAcknowledged)
}

// Resolved returns the incident when it is resolved, or fails the test.
func (w *Want) Resolved() Incident {
	w.t.Helper()
	return w.wait(StatusResolved)
}

func (w *Want) wait(status string) Incident {
	w.t.Helper()
	timer := time.NewTimer(w.within)
	defer timer.Stop()
	for {
		updated := w.emulator.Updated()
		incident, found := w.latest()
		if found && incident.Status == status {
			return incident
		}
		select {
		case <-updated:
		case <-timer.C:
			is := "no such incident"
			if found {
				is = "it is " + incident.Status
			}
			w.t.Fatalf("incident %q: want %s within %s, %s\n%s", w.dedupKey, status, w.within, is, w.emulator.journalText())
			return Incident{}
		}
	}
}

func (w *Want) latest() (Incident, bool) {
	incidents := w.emulator.Incidents()
	for i := len(incidents) - 1; i >= 0; i-- {
		if w.dedupKey == "" || incidents[i].DedupKey == w.dedupKey {
			return incidents[i], true
		}
	}
	return Incident{}, false
}
