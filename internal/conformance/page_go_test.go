package conformance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// goExample is one Go program of the page and what it means.
type goExample struct {
	name    string
	holds   string            // what tells it from the page's other programs
	caller  string            // a second file, for a program without func main
	replace map[string]string // what the harness changes, each exactly once
	events  []string          // in their order
	ends    string            // status of the incident at the end
}

var goExamples = []goExample{
	{
		name: "basic", holds: `shoutrrr.Send(url, "Database connection failed")`,
		events: []string{`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
			"payload":{"summary":"Database connection failed","source":"default","severity":"error"}}`},
		ends: "triggered",
	},
	{
		name: "parameters", holds: `shoutrrr.Send(url, "Production database is down", params)`,
		events: []string{`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
			"client":"monitoring-system","client_url":"https://monitoring.example.com/alerts/123",
			"payload":{"summary":"Production database is down","source":"production-db-01","severity":"critical",
				"custom_details":"@RAW@:{\"database\":\"postgres\",\"error\":\"connection timeout\"}"}}`},
		ends: "triggered",
	},
	{
		name: "workflow", holds: "func handleIncident()",
		caller: "package main\n\nfunc main() { handleIncident() }\n",
		replace: map[string]string{
			"time.Sleep(5 * time.Minute)":  "time.Sleep(5 * time.Millisecond)",
			"time.Sleep(15 * time.Minute)": "time.Sleep(15 * time.Millisecond)",
		},
		events: []string{
			`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@DEDUP1@",
				"payload":{"summary":"Web server unresponsive","source":"web-server-01","severity":"critical"}}`,
			`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"acknowledge","dedup_key":"@DEDUP1@",
				"payload":{"summary":"Engineer investigating server issue","source":"default","severity":"error"}}`,
			`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"resolve","dedup_key":"@DEDUP1@",
				"payload":{"summary":"Web server restarted successfully","source":"default","severity":"error"}}`,
		},
		ends: "resolved",
	},
	{
		name: "contexts", holds: "func sendRichIncident()",
		caller: "package main\n\nfunc main() { sendRichIncident() }\n",
		events: []string{`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
			"client":"GitHub Actions","client_url":"https://github.com/org/repo/actions/runs/456",
			"payload":{"summary":"CI/CD pipeline failed in production deployment","source":"ci-pipeline","severity":"error",
				"custom_details":"@RAW@:{\"pipeline\":\"deploy-prod\",\"stage\":\"test\",\"commit\":\"abc123def\",\"branch\":\"main\"}"},
			"links":[{"href":"https://github.com/org/repo/commit/abc123def","text":"View Commit"},{"href":"https://ci.example.com/pipelines/123","text":"Pipeline Details"}],
			"images":[{"src":"https://ci.example.com/screenshots/failure.png","alt":"Test Failure Screenshot"}]}`},
		ends: "triggered",
	},
	{
		name: "monitoring", holds: "func sendMonitoringAlert(data AlertData) error",
		caller: `package main

import (
	"fmt"
	"os"
)

func main() {
	err := sendMonitoringAlert(AlertData{
		Title: "Replication lag", Description: "db-2 is 40 s behind", Severity: "warning", Source: "db-2",
		Details: map[string]interface{}{"lag_s": 40.5, "tags": []string{"a&b"}}, DashboardURL: "https://monitoring.example.com/d/7",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`,
		replace: map[string]string{"\n    \"log\"\n": "\n    _ \"log\"\n"}, // unused: a slip of the page
		events: []string{`{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
			"client":"Custom Monitoring","client_url":"https://monitoring.example.com/d/7",
			"payload":{"summary":"Replication lag: db-2 is 40 s behind","source":"db-2","severity":"warning",
				"custom_details":{"lag_s":40.5,"tags":["a&b"]}}}`},
		ends: "triggered",
	},
}

func TestPageGoPrograms(t *testing.T) {
	programs := codeBlocks(t, "go")
	if len(programs) != len(goExamples) {
		t.Errorf("the page has %d Go programs, want %d: each needs a line in the table", len(programs), len(goExamples))
	}
	for _, example := range goExamples {
		t.Run(example.name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			program := example.build(t, example.find(t, programs))
			r := box.run(t, t.TempDir(), program)
			if r.exit != 0 || strings.Contains(r.output, "Failed") {
				t.Errorf("exit %d, output:\n%s", r.exit, r.output)
			}
			if len(r.requests) != len(example.events) {
				t.Fatalf("got %d requests, want %d", len(r.requests), len(example.events))
			}
			n := names{}
			for i, event := range example.events {
				want := object{{"path", "/v2/enqueue"}, {"target", "events.pagerduty.com:443"}, {"body", mustParseTree(t, event)}}
				if err := judgeRequest(want, &r.requests[i], r, n); err != nil {
					t.Errorf("request %d: %v", i+1, err)
				}
			}
			wantSchema(t, r.requests)
			wantOneIncident(t, box, example.ends)
			wantNoLeak(t, []string{"pagerduty:///" + pageKey}, keyleak.Text("the output", r.output))
		})
	}
}

// find gives the page's program with the harness's changes.
func (e *goExample) find(t *testing.T, programs []string) string {
	t.Helper()
	var found []string
	for _, program := range programs {
		if strings.Contains(program, e.holds) {
			found = append(found, program)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d programs of the page hold %s, want one", len(found), e.holds)
	}
	program := found[0]
	for old, changed := range e.replace {
		if strings.Count(program, old) != 1 {
			t.Fatalf("the page's program does not hold %q once", old)
		}
		program = strings.Replace(program, old, changed, 1)
	}
	return program
}

// build compiles the program as its user would, in a module of its own that takes the library from this repository, with no network.
func (e *goExample) build(t *testing.T, program string) string {
	t.Helper()
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{
		"go.mod": "module example\n\ngo 1.26\n\nrequire github.com/containrrr/shoutrrr v0.0.0\n\nreplace github.com/containrrr/shoutrrr => " + strconv.Quote(root) + "\n",
		"go.sum": string(sums), "main.go": program,
	}
	if e.caller != "" {
		files["caller.go"] = e.caller
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // the race detector's run shares two cores
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", "program", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "PWD="+dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		t.Fatalf("the page's program does not compile: %v\n%s", err, output.String())
	}
	return filepath.Join(dir, "program")
}
