package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// busy is what a relay tells that has everything to tell.
const busy = `{"version":"v1.2.3","started_at":"2026-03-01T11:00:00.000Z","now":"2026-03-01T14:03:00.000Z",
 "accepting":true,"queued":100113,"dead":3,"time_to_page_s":20.2,"oldest_critical_s":12.5,
 "headline":{"state":"late","sentence":"A page accepted now would arrive within 21 s, but not those of 2 paused lanes","critical":1,"stuck":0,"failing":[
  {"upstream":"https://events.eu.pagerduty.com","lanes":40,"since":"2026-02-28T23:00:00.000Z","failures":35,"cause":"PagerDuty cannot be reached","last_error":"connection refused","next":"2026-03-01T14:03:20.000Z"}]},
 "quarantined":["queue.db.corrupt-20260301"],"config":{"loaded_at":"2026-03-01T11:00:00.000Z","error":"line 3: unknown field"},
 "totals":{"lanes":700,"in_trouble":303,"paused":2,"dead_letters":{"rejected":2,"expired":1}},"not_shown":{"lanes":695,"in_trouble":300},
 "lanes":[
  {"name":"db-oncall","condition":"rate_limited","text":"rate limited until 14:03:20 UTC","limit":300,"learned":270,"used":212,"waiting":{"critical":1,"error":12,"warning":0,"info":100000},"in_trouble":true,"queued":100013,"oldest_s":15005.1,"refused":2,"expired":0,"empty_in_s":22230.5,"time_to_page_s":20.2},
  {"name":"a-lane-with-a-very-long-name","condition":"paused","text":"paused by ana: maintenance of the 日本 cluster until 16:00, ask her before you resume it","limit":60,"learned":60,"used":1,"waiting":{"critical":0,"error":0,"warning":100,"info":0},"in_trouble":true,"queued":100,"oldest_s":59.9,"refused":0,"expired":0},
  {"name":"web","condition":"idle","text":"nothing is queued","limit":300,"learned":300,"used":0,"waiting":{"critical":0,"error":0,"warning":0,"info":0},"in_trouble":true,"queued":0,"refused":0,"expired":1,"empty_in_s":0,"time_to_page_s":0},
  {"name":"zoo","condition":"idle","text":"nothing is queued","limit":300,"learned":300,"used":0,"waiting":{"critical":0},"queued":0,"refused":0,"expired":0,"empty_in_s":0,"time_to_page_s":0},
  {"name":"flow","condition":"delivering","text":"delivering","limit":300,"learned":300,"used":2,"waiting":{"critical":0,"info":1},"queued":1,"oldest_s":0.5,"refused":0,"expired":0,"empty_in_s":0,"time_to_page_s":0}
 ]}`

const busyFacts = `pages         A page accepted now would arrive within 21 s, but not those of 2
              paused lanes
failing       PagerDuty cannot be reached (https://events.eu.pagerduty.com, 40
              lanes) since 2026-02-28 23:00:00 UTC, 35 attempts; the last error:
              connection refused; the next attempt is at 14:03:20 UTC
time to page  21s at most until a critical event arrives that is accepted now
accepting     yes
queued        100113 events, a critical one for 12s
dead          3 events (2 rejected, 1 expired): shoutrrr queue list --state dead
              shows them, shoutrrr queue requeue --filter state:dead --why TEXT
              sends them again
settings      those of 2026-03-01 11:00:00 are in force; the file has changed
              since and is wrong: line 3: unknown field
set aside     damaged files, kept for whoever can read what is in them:
              queue.db.corrupt-20260301
relay         shoutrrrd v1.2.3 at http://relay:8687, started 3h ago
`

const busyLanes = `
LANE                            USED  CRIT  ERR  WARN  INFO  OLDEST  EMPTY  NOW
db-oncall             212 of 270/300     1   12     0  100k      4h     6h
    rate limited until 14:03:20 UTC
a-lane-with-a-very-…         1 of 60     0    0   100     0     59s      ?
    paused by ana: maintenance of the 日本 cluster until 16:00, ask her before
    you resume it
web                         0 of 300     0    0     0     0       -      -
    nothing is queued
flow                        2 of 300     0    0     0     1      0s     0s
    delivering
zoo                         0 of 300     0    0     0     0       -      -
    nothing is queued

695 more lanes, 300 of them in trouble: shoutrrr queue lanes state:trouble lists
those; shoutrrr queue lanes --all lists all 700.
`

func statusOf(t *testing.T, text string) *relayStatus {
	t.Helper()
	s := new(relayStatus)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Dead letters of lanes that are forgotten are in no lane's count, and nothing can send
// them again: their keys are not known any more.
func TestDeadLettersOfForgottenLanes(t *testing.T) {
	for _, tt := range []struct{ dead, rejected, want string }{
		{"5", "2", "5 events (2 rejected, 1 expired, 2 of forgotten lanes, whose keys are not known any more): "},
		{"3", "0", "3 events (0 rejected, 1 expired, 2 of forgotten lanes, whose keys are not known any more): "},
		{"3", "2", "3 events (2 rejected, 1 expired): "},
	} {
		s := statusOf(t, `{"dead":`+tt.dead+`,"totals":{"dead_letters":{"rejected":`+tt.rejected+`,"expired":1}}}`)
		if text := deadText(s); !strings.HasPrefix(text, tt.want) {
			t.Errorf("got %q, want %q", text, tt.want)
		}
	}
}

func TestStatusText(t *testing.T) {
	got := statusText(statusOf(t, busy), "http://relay:8687", paper{width: 80})
	if diff := cmp.Diff(busyFacts+busyLanes, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for line := range strings.Lines(got) {
		if n := textWidth(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	wide := statusText(statusOf(t, busy), "http://relay:8687", paper{})
	for _, want := range []string{
		"\na-lane-with-a-very-long-name         1 of 60     0    0   100     0     59s      ?  paused by ana: maintenance of the 日本 cluster until 16:00, ask her before you resume it\n",
		"\ndb-oncall                     212 of 270/300     1   12     0  100k      4h     6h  rate limited until 14:03:20 UTC\n",
	} {
		if !strings.Contains(wide, want) {
			t.Errorf("where no terminal is, it should have %q:\n%s", want, wide)
		}
	}
}

func TestTimeToPage(t *testing.T) {
	for _, tt := range []struct {
		name, status, want string
	}{
		{"an empty relay", `{"time_to_page_s":0}`, "at once"},
		{"under a second", `{"time_to_page_s":0.9}`, "at once"},
		{"rounded up", `{"time_to_page_s":1.1}`, "2s at most until a critical event arrives that is accepted now"},
		{"minutes", `{"time_to_page_s":600}`, "10m at most until a critical event arrives that is accepted now"},
		{"minutes, rounded up", `{"time_to_page_s":227}`, "4m at most until a critical event arrives that is accepted now"},
		{"beyond all", `{"time_to_page_s":1e300}`, "36500d at most until a critical event arrives that is accepted now"},
		{"it is unknown", `{"headline":{"why":"PagerDuty answers 500"}}`, "unknown: PagerDuty answers 500"},
		{"and nothing says why", `{}`, "unknown"},
	} {
		if got, _ := timeToPage(statusOf(t, tt.status)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	text := statusText(statusOf(t, `{"accepting":false,"reason":"the disk is full: free some"}`), "x", paper{})
	if !strings.Contains(text, "\naccepting     NO: the disk is full: free some\n") {
		t.Errorf("why nothing is accepted should stand in:\n%s", text)
	}
}

// Colours come on a terminal alone, and no text of the relay can bring its own.
func TestHostileStatus(t *testing.T) {
	s := statusOf(t, busy)
	evil := "\x1b[2J\r\n\u009b31m\u202eevil\x07"
	s.Version, s.Reason, s.Accepting, s.Config.Error, s.Quarantined[0] = evil, evil, false, evil, evil
	s.Headline.Sentence, s.Headline.Why, s.Headline.Failing[0].Cause, s.Headline.Failing[0].Error = evil, evil, evil, evil
	for i := range s.Lanes {
		s.Lanes[i].Name, s.Lanes[i].Text, s.Lanes[i].Condition = evil, evil, evil
	}
	text := statusText(s, "x", paper{width: 80})
	if strings.ContainsAny(text, "\x1b\r\a\u009b\u202e") {
		t.Errorf("%q", text)
	}
	coloured := statusText(s, "x", paper{width: 80, colours: true})
	for _, code := range []string{red, green, yellow, dim, bold, "0"} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+code+"m", "")
	}
	if coloured != text {
		t.Errorf("without the colours it should be the same:\n%q\n%q", coloured, text)
	}
}

// The picture of a watch has at most the lines and columns of its screen, whatever
// is on it.
func TestPictureFits(t *testing.T) {
	s := statusOf(t, busy)
	base, err := url.Parse("http://relay:8687")
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{relay: &relay{base: base}, interval: 2 * time.Second}
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(30, 200).Draw(t, "width"), rapid.IntRange(5, 60).Draw(t, "height")
		shown, trouble := s, rapid.SampledFrom([]string{"", "unreachable since 14:03:20 UTC: no relay answers at http://relay:8687"}).Draw(t, "trouble")
		if rapid.Bool().Draw(t, "nothing yet") {
			shown = nil
		}
		p := paper{width, rapid.Bool().Draw(t, "colours")}
		lines := w.picture(s.Now, trouble, shown, p, height)
		if len(lines) >= height {
			t.Fatalf("%d lines on a screen of %d", len(lines), height)
		}
		for _, line := range lines {
			if textWidth(line) > width || strings.Contains(line, "\n") {
				t.Fatalf("%d columns on a screen of %d: %q", textWidth(line), width, line)
			}
		}
		if trouble != "" && !strings.Contains(lines[1], "unreachable") {
			t.Fatalf("it does not tell of the trouble: %q", lines)
		}
	})
}

// Whatever the relay or something else at its address answers, it is told with what
// to do next, and with the exit status that scripts rely on.
func TestRefusals(t *testing.T) {
	const said = `{"error":"said the relay"}`
	for _, tt := range []struct {
		status int
		body   string
		token  string
		exit   int
		want   string
	}{
		{400, said, "", exitUsage, "said the relay"},
		{401, said, "", exitKey, "wants a token"},
		{401, said, "x", exitKey, "does not know the token"},
		{403, said, "", exitKey, "does not allow it: said the relay"},
		{404, said, "", exitRefused, "said the relay"},
		{405, said, "", exitRefused, "said the relay"},
		{409, said, "", exitRefused, "said the relay"},
		{429, said, "", exitTemporary, "cannot answer now: said the relay"},
		{500, said, "", exitTemporary, "cannot answer now: said the relay"},
		{503, said, "", exitTemporary, "cannot answer now: said the relay"},
		{503, "<html>", "", exitTemporary, "503 Service Unavailable: try again"},
		{502, "", "", exitTemporary, "try again"},
		{200, "<html>", "", exitUnreachable, "not the admin listener of a relay"},
		{200, `[]`, "", exitUnreachable, "not the admin listener of a relay"},
		{204, "", "", exitUnreachable, "not the admin listener of a relay"},
		{302, "", "", exitUnreachable, "(302 Found): name with --relay"},
		{404, "404 page not found", "", exitUnreachable, "not the admin listener of a relay"},
		{404, `{"status":"not found"}`, "", exitUnreachable, "not the admin listener of a relay"},
	} {
		base, _ := url.Parse("http://relay")
		r := &relay{base: base, token: tt.token, transport: answers{tt.status, tt.body}}
		_, err := r.get(t.Context(), "/api/status", new(relayStatus))
		if exitCode(err) != tt.exit || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d %s: exit status %d, %v; want %d, %q", tt.status, tt.body, exitCode(err), err, tt.exit, tt.want)
		}
	}
}

// answers gives every request the same answer.
type answers struct {
	status int
	body   string
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// A connection that breaks may have carried the request: it is no advice to repeat
// what pages somebody.
func TestLostAnswer(t *testing.T) {
	base, _ := url.Parse("http://relay")
	r := &relay{base: base, transport: breaks{}}
	_, err := r.do(t.Context(), "/api/events/1/requeue", "why", new(relayEvent))
	if exitCode(err) != exitUnreachable || !strings.Contains(err.Error(), "may have done what it was asked for") {
		t.Errorf("got %v", err)
	}
	if _, err = r.get(t.Context(), "/api/status", new(relayStatus)); strings.Contains(err.Error(), "may have done") {
		t.Errorf("to look does nothing: %v", err)
	}
}

type breaks struct{}

func (breaks) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection reset by peer")
}

// A check ends before the program that has started it gives it up, and says then what is
// wrong; a person has more patience.
func TestCheckOfASilentRelay(t *testing.T) {
	for _, tt := range []struct {
		v    checking
		took time.Duration
		want string
	}{
		{checking{check: true}, 8 * time.Second, "CRITICAL - no relay answers at http://relay (no answer within 8s)"},
		{checking{exitCode: true}, 25 * time.Second, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			base, _ := url.Parse("http://relay")
			var out strings.Builder
			sys := &system{stdout: &out}
			start := time.Now()
			err := tt.v.reported(sys, showStatus(t.Context(), sys, &relay{base: base, transport: silent{}}, false, &tt.v))
			if took := time.Since(start); took != tt.took || exitCode(err) != checkCritical || !strings.HasPrefix(out.String(), tt.want) {
				t.Errorf("after %s: exit status %d, %q, %v", took, exitCode(err), out.String(), err)
			}
		})
	}
}

// silent never answers.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// What a check prints and exits with, for each state that a relay may tell of.
func TestCheckLine(t *testing.T) {
	v := checking{check: true, lateAfter: 90 * time.Second}
	for _, tt := range []struct {
		status, want string
		exit         int
	}{
		{`{"headline":{"state":"leaving","sentence":"Pages leave at once"},"time_to_page_s":0.25}`, "OK - Pages leave at once | time_to_page=0.25s;90;;0 oldest_critical=0s;90;;0 stuck=0;;0;0 critical=0;;;0 queued=0;;;0 dead=0;0;;0\n", checkOK},
		{`{"headline":{"state":"late","sentence":"x","critical":3},"dead":2,"queued":7,"time_to_page_s":100,"oldest_critical_s":91.5}`, "WARNING - x | time_to_page=100s;90;;0 oldest_critical=91.5s;90;;0 stuck=0;;0;0 critical=3;;;0 queued=7;;;0 dead=2;0;;0\n", checkWarning},
		{`{"headline":{"state":"not_leaving","sentence":"a|b\nc\u001b","critical":3,"stuck":2},"oldest_critical_s":1140}`, "CRITICAL - a/b c\\u001b | time_to_page=U;90;;0 oldest_critical=1140s;90;;0 stuck=2;;0;0 critical=3;;;0 queued=0;;;0 dead=0;0;;0\n", checkCritical},
		{`{"headline":{"state":"of a later version","sentence":"x"}}`, "CRITICAL - x | time_to_page=U;90;;0 oldest_critical=0s;90;;0 stuck=0;;0;0 critical=0;;;0 queued=0;;;0 dead=0;0;;0\n", checkCritical},
	} {
		s := statusOf(t, tt.status)
		if got := v.line(s); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
		if got := exitCode(v.of(s)); got != tt.exit {
			t.Errorf("%s: exit status %d, want %d", tt.status, got, tt.exit)
		}
	}
}
