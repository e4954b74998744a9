package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names of the faults that are not an HTTP status.
const (
	FaultLatency     = "latency"         // the answer takes Delay
	FaultRetryAfter  = "429-retry-after" // 429 with a Retry-After
	FaultStatus      = "status"          // the answer is Status; "500" is short for it
	FaultResetBefore = "reset-before"    // the connection is reset, the event is not accepted
	FaultResetAfter  = "reset-after"     // the event is accepted, then the connection is reset: a lost answer
	FaultHang        = "hang"            // no answer until the client leaves or the server is closed
	FaultHalfBody    = "half-body"       // half of the promised answer, then the connection ends
	FaultGoaway      = "goaway"          // a good answer, then the server ends the connection (HTTP/2: GOAWAY)
)

// defaultDelay is what latency means when nobody says how much.
const defaultDelay = time.Second

// Fault is something that goes wrong with the requests to which it applies.
type Fault struct {
	// Name is a Fault constant or an HTTP status such as "429" or "503".
	Name string `json:"name"`
	// Count is the number of requests that it spoils; negative: for ever.
	// Defaults to 1.
	Count int `json:"count,omitempty"`
	// Probability, in (0, 1], is the chance that a request is spoilt, drawn from
	// the emulator's seed. Defaults to certainty.
	Probability float64 `json:"probability,omitempty"`
	// Path and Action, if set, limit it to requests for that path or with that
	// event_action.
	Path   string `json:"path,omitempty"`
	Action string `json:"action,omitempty"`
	// Delay passes before the answer, or before whatever happens in its place.
	Delay time.Duration `json:"-"`
	// After has the event accepted first, and only then answered with Status, or
	// late, or never.
	After bool `json:"after,omitempty"`
	// Status is the HTTP status of the answer. With half-body and goaway it
	// stands in for the true answer.
	Status int `json:"status,omitempty"`
	// RetryAfter is the value of the Retry-After header: seconds ("30"), an HTTP
	// date, or "date+30s" for the HTTP date that much after the answer. It is
	// sent as it is, so that nonsense can be rehearsed.
	RetryAfter string `json:"retry_after,omitempty"`
	// Body is the body of the answer with Status. Defaults to what PagerDuty
	// says with that status, unless NoBody is set.
	Body   string `json:"body,omitempty"`
	NoBody bool   `json:"no_body,omitempty"`
	// Header is added to the answer.
	Header http.Header `json:"header,omitempty"`
}

// Validate says why a fault cannot be injected.
func (f Fault) Validate() error {
	_, err := f.complete()
	return err
}

// complete fills in what the name implies.
func (f Fault) complete() (Fault, error) {
	switch f.Name {
	case FaultResetBefore, FaultHang, FaultHalfBody, FaultGoaway:
	case FaultResetAfter:
		f.After = true
	case FaultLatency:
		if f.Delay == 0 {
			f.Delay = defaultDelay
		}
	case FaultRetryAfter:
		f.Status = http.StatusTooManyRequests
		if f.RetryAfter == "" {
			f.RetryAfter = "1"
		}
	case FaultStatus:
		f.Name = strconv.Itoa(f.Status)
	default:
		status, err := strconv.Atoi(f.Name)
		if err != nil {
			return f, fmt.Errorf("unknown fault %q: want %s or an HTTP status such as 503", f.Name, strings.Join(faultNames(), ", "))
		}
		f.Status = status
	}
	if isStatus := f.Name[0] >= '0' && f.Name[0] <= '9'; (isStatus || f.Status != 0) && (f.Status < 200 || f.Status > 599) {
		return f, fmt.Errorf("fault %s: status %d is not between 200 and 599", f.Name, f.Status)
	}
	if f.Probability < 0 || f.Probability > 1 || f.Probability != f.Probability {
		return f, fmt.Errorf("fault %s: probability %v is not between 0 and 1", f.Name, f.Probability)
	}
	if f.Delay < 0 {
		return f, fmt.Errorf("fault %s: negative delay %s", f.Name, f.Delay)
	}
	if f.Count == 0 {
		f.Count = 1
	}
	return f, nil
}

// faultNames lists the names that a user may write.
func faultNames() []string {
	return []string{FaultLatency, FaultRetryAfter, FaultStatus, FaultResetBefore, FaultResetAfter, FaultHang, FaultHalfBody, FaultGoaway}
}

// accepts reports whether the event reaches the incidents in spite of the fault.
func (f Fault) accepts() bool {
	switch {
	case f.After:
		return true
	case f.Status != 0:
		return false
	}
	return f.Name != FaultResetBefore && f.Name != FaultHang
}

// applies reports whether the fault is meant for such a request.
func (f Fault) applies(path, action string) bool {
	return (f.Path == "" || f.Path == path) && (f.Action == "" || f.Action == action)
}

// faultOptions are the names of ParseFault, in the order in which String writes
// them.
var faultOptions = []string{"status", "retry-after", "delay", "after", "count", "probability", "path", "action", "header", "body"}

// ParseFault reads the text form of a fault: its name and its options, each after
// a colon, such as "429:retry-after=2:count=3", "500:probability=0.05",
// "latency:delay=300ms", "503:after" or "hang:path=/v2/enqueue". A header is
// written header=Name: value, an empty body as body=.
func ParseFault(s string) (Fault, error) {
	name, rest, found := strings.Cut(strings.TrimSpace(s), ":")
	f := Fault{Name: strings.TrimSpace(name)}
	for _, option := range splitOptions(rest, found) {
		if err := f.set(option); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", s, err)
		}
	}
	f, err := f.complete()
	if err != nil {
		return Fault{}, err
	}
	return f, nil
}

// splitOptions splits at the colons that stand before an option's name: a date
// or a body has colons of its own.
func splitOptions(s string, found bool) []string {
	var options []string
	if !found {
		return options
	}
	for part := range strings.SplitSeq(s, ":") {
		name, _, _ := strings.Cut(part, "=")
		if len(options) > 0 && !slices.Contains(faultOptions, name) {
			options[len(options)-1] += ":" + part
			continue
		}
		options = append(options, part)
	}
	return options
}

func (f *Fault) set(option string) error {
	name, val, _ := strings.Cut(option, "=")
	var err error
	switch name {
	case "status":
		f.Status, err = strconv.Atoi(val)
	case "retry-after":
		f.RetryAfter = val
	case "delay":
		f.Delay, err = time.ParseDuration(val)
	case "after":
		f.After, err = strconv.ParseBool(orTrue(val))
	case "count":
		f.Count, err = strconv.Atoi(val)
	case "probability":
		f.Probability, err = strconv.ParseFloat(val, 64)
	case "path":
		f.Path = val
	case "action":
		f.Action = val
	case "header":
		key, content, colon := strings.Cut(val, ":")
		if !colon {
			return fmt.Errorf("header %q: want Name: value", val)
		}
		if f.Header == nil {
			f.Header = make(http.Header)
		}
		f.Header.Add(strings.TrimSpace(key), strings.TrimSpace(content))
	case "body":
		f.Body, f.NoBody = val, val == ""
	default:
		return fmt.Errorf("unknown option %q: want one of %s", name, strings.Join(faultOptions, ", "))
	}
	if err != nil {
		return fmt.Errorf("%s: %q cannot be read: %w", name, val, err)
	}
	return nil
}

func orTrue(s string) string {
	if s == "" {
		return "true"
	}
	return s
}

// plainFault is a Fault without its methods.
type plainFault Fault

// faultJSON is the JSON form of a fault. A delay is written "300ms".
type faultJSON struct {
	*plainFault
	Delay string `json:"delay,omitempty"`
}

// MarshalJSON writes the fault as POST /sandbox/faults reads it.
func (f Fault) MarshalJSON() ([]byte, error) {
	out := faultJSON{plainFault: (*plainFault)(&f)}
	if f.Delay != 0 {
		out.Delay = f.Delay.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a fault and refuses members that it does not know.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var read Fault
	in := faultJSON{plainFault: (*plainFault)(&read)}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if in.Delay != "" {
		var err error
		if read.Delay, err = time.ParseDuration(in.Delay); err != nil {
			return fmt.Errorf("delay: %w", err)
		}
	}
	*f = read
	return nil
}
