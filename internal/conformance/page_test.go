package conformance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

const servicePage = repository + "/docs/services/incident/pagerduty/index.md"

// pageKey is the integration key of the page's examples.
const pageKey = "eb243592faa24ba2a5511afdf565c889"

// pageEvents is what each `shoutrrr send` line of the page means, by its message. The routing key, the path and the host are checked for all.
var pageEvents = map[string]string{
	"Database connection lost": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"Database connection lost","source":"default","severity":"error"}}`,
	"Production database is unresponsive": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"Production database is unresponsive","source":"prod-db-01","severity":"critical"}}`,
	"Engineer has acknowledged the incident and is investigating": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"acknowledge","dedup_key":"@ANY@",
		"payload":{"summary":"Engineer has acknowledged the incident and is investigating","source":"default","severity":"error"}}`,
	"Database connection restored, incident resolved": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"resolve","dedup_key":"@ANY@",
		"payload":{"summary":"Database connection restored, incident resolved","source":"default","severity":"error"}}`,
	"API response time degraded": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"API response time degraded","source":"monitoring","severity":"warning",
			"custom_details":"@RAW@:{\"component\":\"api\",\"version\":\"1.2.3\",\"response_time\":\"5.2s\"}"}}`,
	"CI/CD pipeline failed": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"client":"jenkins","client_url":"https://ci.example.com/job/123",
		"payload":{"summary":"CI/CD pipeline failed","source":"ci-pipeline","severity":"error"},
		"links":[{"href":"https://github.com/org/repo/actions/runs/123","text":"GitHub Actions Run"}]}`,
	"Server is down": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"Server is down","source":"default","severity":"error"}}`,
	"Production outage detected": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"Production outage detected","source":"default","severity":"critical"}}`,
	"Application crashed": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"Application crashed","source":"web-app","severity":"critical"}}`,
	"DevOps team is investigating": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"acknowledge","dedup_key":"@ANY@",
		"payload":{"summary":"DevOps team is investigating","source":"default","severity":"error"}}`,
	"Application restarted successfully": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"resolve","dedup_key":"@ANY@",
		"payload":{"summary":"Application restarted successfully","source":"default","severity":"error"}}`,
	"Database connectivity issue": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"Database connectivity issue","source":"default","severity":"error",
			"custom_details":"@RAW@:{\"component\":\"database\",\"error\":\"connection_failed\"}"}}`,
	"High CPU usage detected": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"payload":{"summary":"High CPU usage detected","source":"default","severity":"error"},
		"links":[{"href":"https://monitoring.example.com","text":"Monitoring Dashboard"}]}`,
	"Load balancer health check failing": `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
		"client":"prometheus","client_url":"https://prometheus.example.com/alerts",
		"payload":{"summary":"Load balancer health check failing","source":"load-balancer","severity":"warning"}}`,
}

// codeBlocks gives the fenced blocks of the page in one language, without the indentation that an admonition gives them.
func codeBlocks(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile(servicePage)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	var block []string
	indent, inside := "", false
	for line := range strings.Lines(string(page)) {
		trimmed := strings.TrimSpace(line)
		switch {
		case inside && trimmed == "```":
			blocks = append(blocks, strings.Join(block, ""))
			inside, block = false, nil
		case inside:
			block = append(block, strings.TrimPrefix(line, indent))
		case trimmed == "```"+language:
			inside, indent = true, line[:strings.Index(line, "`")]
		}
	}
	if inside {
		t.Fatalf("a block of %s has no end", language)
	}
	return blocks
}

var messageArgument = regexp.MustCompile(` -m '([^']*)'$`)

// pageLines gives the `shoutrrr send` lines of the page by their messages, in the page's order.
func pageLines(t *testing.T) (messages []string, lines map[string]string) {
	t.Helper()
	lines = map[string]string{}
	for _, block := range codeBlocks(t, "bash") {
		line := strings.TrimSuffix(block, "\n")
		if !strings.HasPrefix(line, "shoutrrr send ") {
			continue
		}
		m := messageArgument.FindStringSubmatch(line)
		if m == nil || strings.Contains(line, "\n") {
			t.Fatalf("the page's line is not read: %s", line)
		}
		if _, twice := lines[m[1]]; twice {
			t.Fatalf("the page has the message %q twice", m[1])
		}
		messages, lines[m[1]] = append(messages, m[1]), line
	}
	return messages, lines
}

func TestPageLines(t *testing.T) {
	messages, lines := pageLines(t)
	for message := range pageEvents {
		if !slices.Contains(messages, message) {
			t.Errorf("the page has no line with the message %q any more", message)
		}
	}
	for _, message := range messages {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			want, ok := pageEvents[message]
			if !ok {
				t.Fatal("no event is written down for this line of the page")
			}
			box, state := newSandbox(t), t.TempDir()
			r := box.bash(t, state, lines[message])
			wantEvent(t, r, want)
			wantNoLeak(t, []string{"pagerduty:///" + pageKey}, append(keyleak.Folder(t, state), keyleak.Text("the output", r.output))...)
		})
	}
}

// The three lines of Incident Lifecycle Management, each a process of its own, end with the incident resolved.
func TestPageLifeCycle(t *testing.T) {
	box, state := newSandbox(t), t.TempDir()
	_, lines := pageLines(t)
	for i, message := range []string{"Application crashed", "DevOps team is investigating", "Application restarted successfully"} {
		r := box.bash(t, state, lines[message])
		wantEvent(t, r, pageEvents[message])
		want := []string{"triggered", "acknowledged", "resolved"}[i]
		wantOneIncident(t, box, want)
	}
	wantNoLeak(t, []string{"pagerduty:///" + pageKey}, keyleak.Folder(t, state)...)
}

func wantOneIncident(t *testing.T, box *sandbox, status string) {
	t.Helper()
	incidents := box.Incidents()
	if len(incidents) != 1 || incidents[0].Status != status {
		t.Fatalf("got incidents %+v, want one, %s", incidents, status)
	}
}

// bash runs a line as a shell would.
func (b *sandbox) bash(t *testing.T, state, line string, args ...string) *result {
	t.Helper()
	binary(t)
	return b.run(t, state, "bash", append([]string{"-c", line}, args...)...)
}

// run runs a program in the sandbox and gives what came of it, its requests included.
func (b *sandbox) run(t *testing.T, state, program string, args ...string) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = b.env(state), b.home
	before := len(b.Journal())
	r := runProgram(t, cmd)
	r.requests = b.since(before)
	return r
}

// wantEvent checks that exactly this event reached PagerDuty's host.
func wantEvent(t *testing.T, r *result, body string) {
	t.Helper()
	want := object{{"path", "/v2/enqueue"}, {"target", "events.pagerduty.com:443"}, {"body", mustParseTree(t, body)}}
	o := outcome{want: []any{want}}
	if err := o.judge(r, names{}); err != nil {
		t.Fatalf("%v\nexit %d, output:\n%s", err, r.exit, r.output)
	}
	wantSchema(t, r.requests)
}

// pageScript saves the page's script as a file, its literal integration-key read as the variable above it.
func pageScript(t *testing.T) string {
	t.Helper()
	i := slices.IndexFunc(codeBlocks(t, "bash"), func(block string) bool { return strings.HasPrefix(block, "#!/bin/bash\n") })
	if i < 0 {
		t.Fatal("the page has no script")
	}
	script := codeBlocks(t, "bash")[i]
	const literal = "pagerduty:///integration-key?"
	if strings.Count(script, literal) != 1 {
		t.Fatalf("the script does not have %s once", literal)
	}
	file := filepath.Join(t.TempDir(), "alert.sh")
	if err := os.WriteFile(file, []byte(strings.Replace(script, literal, "pagerduty:///$INTEGRATION_KEY?", 1)), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPageScript(t *testing.T) {
	script := pageScript(t)
	tests := []struct {
		name string
		args []string
		want string // "" for nothing sent
	}{
		{"all arguments", []string{"critical", "db-1", "Disk full on db-1"}, `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
			"payload":{"summary":"Disk full on db-1","source":"db-1","severity":"critical"}}`},
		{"the script's defaults", []string{"", "", "Disk full"}, `{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","dedup_key":"@ANY@",
			"payload":{"summary":"Disk full","source":"unknown","severity":"error"}}`},
		{"no message", []string{"critical", "db-1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			binary(t)
			r := box.run(t, t.TempDir(), script, tt.args...)
			if tt.want != "" {
				wantEvent(t, r, tt.want)
				return
			}
			if r.exit != 1 || !strings.Contains(r.output, "Usage:") || len(r.requests) != 0 {
				t.Errorf("got exit %d, %d requests and output %q, want the script's usage alone", r.exit, len(r.requests), r.output)
			}
		})
	}
}

// Further pieces of the page that are no commands, so that none is overlooked.
func TestPageBlocksAreAllRead(t *testing.T) {
	messages, _ := pageLines(t)
	rest := 0
	for _, block := range codeBlocks(t, "bash") {
		switch {
		case strings.HasPrefix(block, "shoutrrr send "), strings.HasPrefix(block, "#!"):
		case strings.HasPrefix(block, "details="): // Correct and Incorrect of "JSON Parameter Encoding": see details-without-quotes in the cases
			rest++
		default:
			t.Errorf("no test reads this block: %s", block)
		}
	}
	if len(messages) != 14 || rest != 2 {
		t.Errorf("got %d lines and %d other blocks, want 14 and 2: the page has changed, so look at what is tested", len(messages), rest)
	}
}
