package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// What the relay tells, as docs/admin-api.md has it. What is not shown is left out.

type relayStatus struct {
	Version        string      `json:"version"`
	StartedAt      time.Time   `json:"started_at"`
	Now            time.Time   `json:"now"`
	Accepting      bool        `json:"accepting"`
	Reason         string      `json:"reason"`
	Queued         int         `json:"queued"`
	Dead           int         `json:"dead"`
	TimeToPage     *float64    `json:"time_to_page_s"`
	OldestCritical *float64    `json:"oldest_critical_s"`
	Quarantined    []string    `json:"quarantined"`
	Config         relayConfig `json:"config"`
	Lanes          []relayLane `json:"lanes"`
}

type relayConfig struct {
	LoadedAt time.Time `json:"loaded_at"`
	Error    string    `json:"error"`
}

type relayLane struct {
	Name        string         `json:"name"`
	Fingerprint string         `json:"fingerprint"`
	Condition   string         `json:"condition"`
	Text        string         `json:"text"`
	Limit       int            `json:"limit"`
	Learned     int            `json:"learned"`
	Used        int            `json:"used"`
	Waiting     map[string]int `json:"waiting"`
	Queued      int            `json:"queued"`
	Oldest      *float64       `json:"oldest_s"`
	Refused     int            `json:"refused"`
	Expired     int            `json:"expired"`
	KeyRefused  bool           `json:"key_refused"`
	EmptyIn     *float64       `json:"empty_in_s"`
	TimeToPage  *float64       `json:"time_to_page_s"`
}

// The conditions of a lane that want telling apart.
const (
	conditionHeld = "held"
	conditionDown = "upstream_down"
	conditionIdle = "idle"
)

// severities are in the order in which they are shown.
var severities = []string{"critical", "error", "warning", "info"}

type relayEvent struct {
	ID          string    `json:"id"`
	Lane        string    `json:"lane"`
	Fingerprint string    `json:"fingerprint"`
	Pool        string    `json:"pool"`
	Kind        string    `json:"kind"`
	Action      string    `json:"action"`
	DedupKey    string    `json:"dedup_key"`
	State       string    `json:"state"`
	InFlight    bool      `json:"in_flight"`
	Severity    string    `json:"severity"`
	Priority    string    `json:"priority"`
	Summary     string    `json:"summary"`
	Source      string    `json:"source"`
	AcceptedAt  time.Time `json:"accepted_at"`
	FreshAt     time.Time `json:"fresh_at"`
	DueAt       time.Time `json:"due_at"`
	EndedAt     time.Time `json:"ended_at"`
	Attempts    int       `json:"attempts"`
	Repeats     int       `json:"repeats"`
	Repairs     []string  `json:"repairs"`
	Status      int       `json:"status"`
	Reason      string    `json:"reason"`

	// Only of an event that is asked for by its number.
	Body    json.RawMessage `json:"body"`
	History []relayEntry    `json:"history"`
}

type relayEntry struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Status int       `json:"status"`
	Text   string    `json:"text"`
	Who    string    `json:"who"`
}

// stateWord is the state as people are told it.
func (e *relayEvent) stateWord() string {
	if e.InFlight {
		return "in flight"
	}
	return e.State
}

// dead reports whether the relay has given the event up.
func (e *relayEvent) dead() bool { return e.State == "refused" || e.State == "expired" }

// what says what the event is about.
func (e *relayEvent) what() string {
	switch {
	case e.Kind == "change":
		return "change: " + e.Summary
	case e.Action == "trigger":
		return e.Summary
	case e.Summary == "":
		return e.Action + " of " + e.DedupKey
	}
	return e.Action + ": " + e.Summary
}

// why says why the event is where it is, if the relay has a reason.
func (e *relayEvent) why() string {
	return withStatus(e.Status, e.Reason)
}

// withStatus puts the status of an answer before a text that does not name it.
func withStatus(status int, text string) string {
	if number := strconv.Itoa(status); status != 0 && !strings.Contains(text, number) {
		return strings.TrimSuffix(number+": "+text, ": ")
	}
	return text
}
