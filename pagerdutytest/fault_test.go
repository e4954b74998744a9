package pagerdutytest

import (
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseFault(t *testing.T) {
	tests := []struct {
		in   string
		want Fault
	}{
		{"429", Fault{Name: "429", Status: 429, Count: 1}},
		{"429:retry-after=2:count=3", Fault{Name: "429", Status: 429, RetryAfter: "2", Count: 3}},
		{"429:retry-after=Wed, 21 Oct 2015 07:28:00 GMT:count=2", Fault{Name: "429", Status: 429, RetryAfter: "Wed, 21 Oct 2015 07:28:00 GMT", Count: 2}},
		{"429-retry-after", Fault{Name: "429-retry-after", Status: 429, RetryAfter: "1", Count: 1}},
		{"500:probability=0.05:count=-1", Fault{Name: "500", Status: 500, Probability: 0.05, Count: -1}},
		{"status:status=418", Fault{Name: "418", Status: 418, Count: 1}},
		{"503:after", Fault{Name: "503", Status: 503, After: true, Count: 1}},
		{"503:after=false", Fault{Name: "503", Status: 503, Count: 1}},
		{"400:body={\"error\":[\"a:b=c\"]}", Fault{Name: "400", Status: 400, Body: `{"error":["a:b=c"]}`, Count: 1}},
		{"500:body=", Fault{Name: "500", Status: 500, NoBody: true, Count: 1}},
		{"301:header=Location: http://elsewhere.example:80/", Fault{Name: "301", Status: 301, Header: http.Header{"Location": {"http://elsewhere.example:80/"}}, Count: 1}},
		{"latency", Fault{Name: "latency", Delay: time.Second, Count: 1}},
		{" latency:delay=300ms:action=resolve ", Fault{Name: "latency", Delay: 300 * time.Millisecond, Action: "resolve", Count: 1}},
		{"reset-before:path=/v2/enqueue", Fault{Name: "reset-before", Path: "/v2/enqueue", Count: 1}},
		{"reset-after", Fault{Name: "reset-after", After: true, Count: 1}},
		{"hang", Fault{Name: "hang", Count: 1}},
		{"half-body", Fault{Name: "half-body", Count: 1}},
		{"goaway", Fault{Name: "goaway", Count: 1}},
	}
	for _, tt := range tests {
		got, err := ParseFault(tt.in)
		if err != nil {
			t.Errorf("ParseFault(%q): %v", tt.in, err)
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseFault(%q): got %+v, want %+v", tt.in, got, tt.want)
		}
		again := Fault{}
		if b, err := json.Marshal(got); err != nil {
			t.Error(err)
		} else if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: got %+v, %v, want %+v", b, again, err, got)
		}
	}
}

func TestParseFaultSaysWhatIsWrong(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "unknown fault"},
		{"slow", "want latency, 429-retry-after"},
		{"99", "not between 200 and 599"},
		{"100", "not between 200 and 599"},
		{"600", "not between 200 and 599"},
		{"-5", "not between 200 and 599"},
		{"status", "not between 200 and 599"},
		{"hang:status=42", "not between 200 and 599"},
		{"429:", `unknown option ""`},
		{"429:retry-afer=2", `unknown option "retry-afer"`},
		{"429:count=x", `count: "x"`},
		{"429:count=2:cuont=1", `"2:cuont=1"`},
		{"500:probability=1.5", "not between 0 and 1"},
		{"500:probability=NaN", "not between 0 and 1"},
		{"500:probability=-0.1", "not between 0 and 1"},
		{"latency:delay=5", "delay"},
		{"latency:delay=-5s", "negative delay"},
		{"500:header=x", "want Name: value"},
	}
	for _, tt := range tests {
		if _, err := ParseFault(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseFault(%q): got %v, want an error with %q", tt.in, err, tt.want)
		}
	}
}

func TestReadFaults(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
		err      string
	}{
		{"one object", `{"name":"hang"}`, []string{"hang"}, ""},
		{"array", `[{"name":"500","count":2},{"name":"goaway"}]`, []string{"500", "goaway"}, ""},
		{"text", "429:count=2\n\n  reset-after\r\n", []string{"429", "reset-after"}, ""},
		{"empty array", `[]`, nil, ""},
		{"empty", "  ", nil, "no fault given"},
		{"unknown member", `{"name":"hang","cuont":2}`, nil, "cuont"},
		{"unknown name", `[{"name":"hang"},{"name":"x"}]`, nil, "fault 1: unknown fault"},
		{"delay of wrong form", `{"name":"latency","delay":"soon"}`, nil, "delay"},
		{"two values", `{"name":"hang"} {"name":"hang"}`, nil, "after top-level value"},
		{"not JSON", `[`, nil, "faults"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults, err := readFaults([]byte(tt.in))
			if (err != nil) != (tt.err != "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("got %v, want an error with %q", err, tt.err)
			}
			var got []string
			for _, f := range faults {
				got = append(got, f.Name)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInjectPanicsOnNonsense(t *testing.T) {
	defer func() {
		if got := recover(); got == nil || !strings.Contains(got.(string), "unknown fault") {
			t.Errorf("got %v", got)
		}
	}()
	New(Options{}).Inject(Fault{Name: "nonsense"})
}

func TestFaultQueueOrderAndLimits(t *testing.T) {
	e := New(Options{})
	e.Inject(
		Fault{Name: "500", Action: "resolve"},
		Fault{Name: "503", Path: pathChange, Count: 2},
		Fault{Name: "429", Count: 2},
		Fault{Name: "502", Count: -1},
	)
	var got []string
	for _, r := range []struct{ path, action string }{
		{pathAlert, "trigger"},
		{pathChange, ""},
		{pathAlert, "resolve"},
		{pathAlert, "resolve"},
		{pathChange, ""},
		{pathChange, ""},
		{pathAlert, "trigger"},
	} {
		f, _ := e.faults.next(r.path, r.action)
		got = append(got, f.Name)
	}
	want := []string{"429", "503", "500", "429", "503", "502", "502"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if left := e.Faults(); len(left) != 1 || left[0].Name != "502" {
		t.Errorf("got %+v left, want 502 alone", left)
	}
	e.ClearFaults()
	if f, hit := e.faults.next(pathAlert, "trigger"); hit || len(e.Faults()) > 0 {
		t.Errorf("got %+v after they were cleared", f)
	}
}

func TestFaultProbabilityComesFromTheSeed(t *testing.T) {
	draw := func(seed uint64) []bool {
		q := newFaultQueue(seed)
		q.waiting = []Fault{{Name: "500", Status: 500, Count: -1, Probability: 0.25}}
		hits := make([]bool, 4000)
		for i := range hits {
			_, hits[i] = q.next(pathAlert, "trigger")
		}
		return hits
	}
	one, again, other := draw(1), draw(1), draw(2)
	if !slices.Equal(one, again) {
		t.Error("one seed gave two sequences")
	}
	if slices.Equal(one, other) {
		t.Error("two seeds gave one sequence")
	}
	hits := 0
	for _, hit := range one {
		if hit {
			hits++
		}
	}
	// Within five standard deviations of the expected 1,000.
	if deviation := math.Abs(float64(hits) - 1000); deviation > 5*math.Sqrt(4000*0.25*0.75) {
		t.Errorf("got %d hits of 4000 at probability 0.25", hits)
	}
}
