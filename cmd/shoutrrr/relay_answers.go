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
	Full           string      `json:"full"` // why only critical events are accepted
	Queued         int         `json:"queued"`
	Dead           int         `json:"dead"`
	Headline       relayHead   `json:"headline"`
	TimeToPage     *float64    `json:"time_to_page_s"`
	OldestCritical *float64    `json:"oldest_critical_s"`
	Help           []relayCall `json:"help"`
	Quarantined    []string    `json:"quarantined"`
	Config         relayConfig `json:"config"`
	Disk           relayDisk   `json:"disk"`
	Totals         relayTotals `json:"totals"`
	Lanes          []relayLane `json:"lanes"` // those in trouble, and the busiest
	NotShown       struct {
		Lanes     int `json:"lanes"`
		InTrouble int `json:"in_trouble"`
	} `json:"not_shown"`
}

// relayCall is that the relay has called for help.
type relayCall struct {
	Upstream string    `json:"upstream"`
	At       time.Time `json:"at"`
	By       []string  `json:"by"`
	Failing  []string  `json:"failing"`
}

// relayHead is whether pages leave, as the relay judges it.
type relayHead struct {
	State    string         `json:"state"`
	Sentence string         `json:"sentence"`
	Why      string         `json:"why"`
	Critical int            `json:"critical"`
	Stuck    int            `json:"stuck"`
	Waited   *float64       `json:"waited_s"`
	Failing  []relayTrouble `json:"failing"`
}

// The states of a headline.
const (
	stateLeaving    = "leaving"
	stateLate       = "late"
	stateNotLeaving = "not_leaving"
)

// relayTrouble is an upstream that has accepted nothing since attempts began to fail.
type relayTrouble struct {
	Upstream string    `json:"upstream"`
	Lanes    int       `json:"lanes"`
	Failed   int       `json:"failed_lanes"`
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Cause    string    `json:"cause"`
	Error    string    `json:"last_error"`
	Next     time.Time `json:"next"`
}

// relayDisk is what the queue takes of its disk, in bytes.
type relayDisk struct {
	File    int64   `json:"file_bytes"`
	WAL     int64   `json:"wal_bytes"`
	Free    int64   `json:"free_bytes"`
	Limit   int64   `json:"limit_bytes"`
	Hanging float64 `json:"hanging_s"`
	Evicted int     `json:"dead_letters_evicted"`
}

// relayTotals are counts over all lanes.
type relayTotals struct {
	Lanes       int `json:"lanes"`
	InTrouble   int `json:"in_trouble"`
	Paused      int `json:"paused"` // by an operator
	DeadLetters struct {
		Rejected int `json:"rejected"`
		Expired  int `json:"expired"`
	} `json:"dead_letters"`
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
	Start       int            `json:"start"` // with rate: auto, what it begins with of that; 0 for all
	Learned     int            `json:"learned"`
	Used        int            `json:"used"`
	Waiting     map[string]int `json:"waiting"`
	Queued      int            `json:"queued"`
	Oldest      *float64       `json:"oldest_s"`
	Refused     int            `json:"refused"`
	Expired     int            `json:"expired"`
	KeyRefused  bool           `json:"key_refused"`
	InTrouble   bool           `json:"in_trouble"`
	EmptyIn     *float64       `json:"empty_in_s"`
	TimeToPage  *float64       `json:"time_to_page_s"`
}

// The conditions of a lane that want telling apart.
const (
	conditionPaused      = "paused" // by an operator
	conditionStopped     = "upstream_not_configured"
	conditionUnreachable = "upstream_unreachable"
	conditionFailing     = "failing"
	conditionDelivering  = "delivering"
	conditionIdle        = "idle"
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
	Folded      struct {
		Pairs int `json:"pairs"` // of trigger and resolve that the event tells of
	} `json:"folded"`

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
