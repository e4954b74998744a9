package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// busy is what a relay tells that has everything to tell.
const busy = `{"version":"v1.2.3","started_at":"2026-03-01T11:00:00.000Z","now":"2026-03-01T14:03:00.000Z",
 "accepting":true,"queued":100113,"dead":3,"time_to_page_s":20.2,"oldest_critical_s":12.5,
 "quarantined":["queue.db.corrupt-20260301"],"config":{"loaded_at":"2026-03-01T11:00:00.000Z","error":"line 3: unknown field"},
 "lanes":[
  {"name":"web","condition":"idle","text":"nothing waits","limit":300,"learned":300,"used":0,"waiting":{"critical":0,"error":0,"warning":0,"info":0},"queued":0,"refused":0,"expired":1,"empty_in_s":0,"time_to_page_s":0},
  {"name":"db-oncall","condition":"paused","text":"paused by a 429 until 14:03:20","limit":300,"learned":270,"used":212,"waiting":{"critical":1,"error":12,"warning":0,"info":100000},"queued":100013,"oldest_s":15005.1,"refused":2,"expired":0,"empty_in_s":22230.5,"time_to_page_s":20.2},
  {"name":"a-lane-with-a-very-long-name","condition":"held","text":"paused by ana: maintenance of the 日本 cluster until 16:00, ask her before you resume it","limit":60,"learned":60,"used":1,"waiting":{"critical":0,"error":0,"warning":100,"info":0},"queued":100,"oldest_s":59.9,"refused":0,"expired":0}
 ]}`

const busyFacts = `time to page  21s until a critical event leaves that is accepted now, but not in
              what is paused by an operator (1 lane)
accepting     yes
waiting       100113 events, a critical one for 12s
dead          3 events (2 refused, 1 expired): shoutrrr queue list --state dead
              shows them, shoutrrr queue requeue --filter state:dead --why TEXT
              sends them again
settings      those of 2026-03-01 11:00:00 are in force; the file has changed
              since and is wrong: line 3: unknown field
set aside     damaged files, kept for whoever can read what is in them:
              queue.db.corrupt-20260301
relay         shoutrrrd v1.2.3 at http://relay:8687, started 3h ago
`

const busyLanes = `
LANE                          USED  CRIT  ERR  WARN  INFO  OLDEST  EMPTY  NOW
a-lane-with-a-ver…         1 of 60     0    0   100     0     59s      ?
    paused by ana: maintenance of the 日本 cluster until 16:00, ask her before
    you resume it
db-oncall           212 of 270/300     1   12     0  100k      4h     6h
    paused by a 429 until 14:03:20
web                       0 of 300     0    0     0     0       -      -
    nothing waits
`

func statusOf(t *testing.T, text string) *relayStatus {
	t.Helper()
	s := new(relayStatus)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
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
		"\ndb-oncall                     212 of 270/300     1   12     0  100k      4h     6h  paused by a 429 until 14:03:20\n",
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
		{"an empty relay", `{"accepting":true,"time_to_page_s":0}`, "at once"},
		{"under a second", `{"accepting":true,"time_to_page_s":0.9}`, "at once"},
		{"rounded up", `{"accepting":true,"time_to_page_s":1.1}`, "2s until a critical event leaves that is accepted now"},
		{"minutes", `{"accepting":true,"time_to_page_s":600}`, "10m until a critical event leaves that is accepted now"},
		{"beyond all", `{"accepting":true,"time_to_page_s":1e300}`, "36500d until a critical event leaves that is accepted now"},
		{"nobody knows", `{"accepting":true}`, "unknown: every lane is paused by an operator"},
		{"nothing is accepted", `{"accepting":false,"reason":"the disk is full","time_to_page_s":0}`, "never: nothing is accepted"},
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
		{200, "<html>", "", exitUnreachable, "not the second door of a relay"},
		{200, `[]`, "", exitUnreachable, "not the second door of a relay"},
		{204, "", "", exitUnreachable, "not the second door of a relay"},
		{302, "", "", exitUnreachable, "(302 Found): name with --relay"},
		{404, "404 page not found", "", exitUnreachable, "not the second door of a relay"},
		{404, `{"status":"not found"}`, "", exitUnreachable, "not the second door of a relay"},
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
