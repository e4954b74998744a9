package main

import (
	"encoding/json"
	"fmt"
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
	History []struct {
		At     time.Time `json:"at"`
		What   string    `json:"what"`
		Status int       `json:"status"`
		Text   string    `json:"text"`
		Who    string    `json:"who"`
	} `json:"history"`
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
	switch {
	case e.Reason == "" && e.Status == 0:
		return ""
	case e.Status == 0:
		return e.Reason
	case e.Reason == "":
		return fmt.Sprint(e.Status)
	}
	return fmt.Sprintf("%d: %s", e.Status, e.Reason)
}

// severityColour is for the severities that somebody is woken up for.
func severityColour(severity string) string {
	switch severity {
	case "critical":
		return red
	case "error":
		return yellow
	}
	return ""
}
