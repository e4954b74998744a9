package pagerdutytest_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// ExampleNewServer triggers an incident the way any program would, and looks at
// it. The first attempt meets PagerDuty's rate limit.
func ExampleNewServer() {
	t := exampleT() // in a test: t *testing.T
	defer t.end()

	pd := pagerdutytest.NewServer(t)
	pd.Inject(pagerdutytest.Fault{Name: "429", RetryAfter: "2"})

	const event = `{
		"routing_key": "0123456789abcdef0123456789abcdef",
		"event_action": "trigger",
		"dedup_key": "db1/disk",
		"payload": {"summary": "Disk full", "source": "db1", "severity": "critical"}
	}`
	for range 2 {
		resp, err := http.Post(pd.URL()+"/v2/enqueue", "application/json", strings.NewReader(event))
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Printf("%d, Retry-After %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}

	incident := pd.WantIncident(t, "db1/disk").Triggered()
	fmt.Println(incident.Status, incident.Severity, incident.Summary, incident.RoutingKey)
	for _, request := range pd.Journal() {
		fmt.Printf("%s %d %q\n", request.Path, request.Status, request.Outcome)
	}

	// Output:
	// 429, Retry-After "2"
	// 202, Retry-After ""
	// triggered critical Disk full key-3eb1bd439947eb76
	// /v2/enqueue 429 ""
	// /v2/enqueue 202 "opened"
}

func ExampleParseFault() {
	fault, err := pagerdutytest.ParseFault("429:retry-after=2:count=3")
	fmt.Println(fault.Status, fault.RetryAfter, fault.Count, err)
	_, err = pagerdutytest.ParseFault("slow")
	fmt.Println(err)
	// Output:
	// 429 2 3 <nil>
	// unknown fault "slow": want latency, 429-retry-after, status, reset-before, reset-after, hang, half-body, goaway or an HTTP status such as 503
}

// example stands in for testing.T, which an example has not.
type example struct{ cleanups []func() }

func exampleT() *example { return &example{} }

func (x *example) end() {
	for _, f := range x.cleanups {
		f()
	}
}
func (x *example) Helper()                           {}
func (x *example) Cleanup(f func())                  { x.cleanups = append(x.cleanups, f) }
func (x *example) Failed() bool                      { return false }
func (x *example) Logf(format string, args ...any)   { fmt.Printf(format, args...) }
func (x *example) Errorf(format string, args ...any) { fmt.Printf(format, args...) }
func (x *example) Fatalf(format string, args ...any) { fmt.Printf(format, args...) }
