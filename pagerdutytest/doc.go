// Package pagerdutytest is an emulator of PagerDuty's Events API v2 for tests,
// demonstrations and rehearsals. It knows what PagerDuty publishes about events
// and nothing about who sends them.
//
// In a Go test, start one with [NewServer] and point the program at it:
//
//	pd := pagerdutytest.NewServer(t)
//	err := shoutrrr.Send(pd.ServiceURL(key), "Database connection lost")
//	incident := pd.WantIncident(t, dedupKey).Triggered()
//
// The emulator is stricter than PagerDuty: what PagerDuty ignores without a
// word, such as a misspelt member, is refused, so that a sender obeys the
// document and not the server ([Options].Lenient takes that back). It keeps the
// incidents as PagerDuty does, counts events against the rolling rate limit,
// remembers every request in a journal and forgets all at exit.
//
// Networks and servers fail in known ways. [Emulator.Inject] asks for them by
// name ([Fault]), in order and from a seed, so that a test that fails does so
// every time; [Emulator.ClearFaults] ends them.
//
// A program whose URLs cannot be changed reaches the emulator through
// [StartProxy], a CONNECT proxy that ends TLS for PagerDuty's hosts itself.
//
// A second door on the same address shows people and scripts what happened: a
// page at /, JSON at /sandbox/incidents, /sandbox/changes, /sandbox/journal and
// /sandbox/faults, and POST /sandbox/faults and /sandbox/reset. No integration key is shown
// there; a key stands as its fingerprint ([Fingerprint]).
package pagerdutytest
