package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// The keys of these tests, by the place where they stand.
const (
	laneKey  = "920223f1560d76d5d8be6be42b77b1c6" // of another lane than the one in question
	spareKey = "f7b6af6bb2443542f3b7e1a554c835d4" // in the settings, and never used
	pathKey  = "c0ffee5aba7e4d1c9a8b7c6d5e4f3a2b" // in the name of a folder, a flag, a variable
)

// startLogging starts the daemon with its log in one of the forms and waits until it accepts events.
func startLogging(t *testing.T, dir, form string, args ...string) *process {
	t.Helper()
	args = append([]string{"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "debug"}, args...)
	p := &process{cmd: exec.Command(filepath.Join(binaries, "shoutrrrd"), args...), log: &watchedLog{lines: make(chan string, 10_000)}, ended: make(chan error, 1)}
	p.cmd.Dir, p.cmd.Env = dir, []string{"HOME=" + dir}
	ownGroup(p.cmd)
	var output io.Reader
	if form == "terminal" {
		master, slave := terminal(t)
		t.Cleanup(func() { _ = master.Close() })
		p.cmd.Stderr, output = slave, master
		defer slave.Close()
	} else {
		p.cmd.Args = append(p.cmd.Args, "--log-format", form)
		pipe, err := p.cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		output = pipe
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	go func() {
		p.log.follow(output) // until the last one that writes has gone
		p.ended <- p.cmd.Wait()
	}()
	address := regexp.MustCompile(`(admin|at)"?[=:]"?(http://[0-9.:]+)`)
	for line := range p.log.lines {
		if line = ours.ReplaceAllString(line, ""); !strings.Contains(line, "accepting events") {
			continue
		}
		for _, m := range address.FindAllStringSubmatch(line, -1) {
			if m[1] == "at" {
				p.front = m[2]
			} else {
				p.admin = m[2]
			}
		}
		return p
	}
	t.Fatalf("the daemon has ended:\n%s", p.log)
	return nil
}

// ask makes any request of the relay and returns all of the answer.
func (p *process) ask(t *testing.T, method, url, body string) keyleak.Sink {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Shoutrrr-Actor", "ana "+laneKey)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all bytes.Buffer
	fmt.Fprintln(&all, resp.Status)
	_ = resp.Header.Write(&all)
	if _, err := io.Copy(&all, resp.Body); err != nil {
		t.Fatal(err)
	}
	return keyleak.Sink{Name: method + " " + strings.NewReplacer(p.front, "", p.admin, "", laneKey, "KEY", spareKey, "KEY", pathKey, "KEY").Replace(url), Data: all.Bytes()}
}

// hostileKeys are dedup keys that speak to a terminal, and what can be read of them: nothing
// where there are control characters, as their hash is the key then.
var hostileKeys = map[string]string{
	"\x1b]52;c;Y3VybCBldmlsLmV4YW1wbGV8c2g=\x1b\\": "",
	"db-1\x1b[2K\x1b[1Gall is well":                "",
	`the characters \x1b]52;c;eA==\x07`:            "]52;c;eA==",
	"\ufffdpager on fire":                          "pager on fire",
	"\u009b2Jeight bits":                           "",
}

// chatty is an upstream that repeats keys and speaks to terminals.
func chatty(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case bytes.Contains(body, []byte("refuse me")):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"status":"invalid event","message":"Event object is invalid","errors":["not %s but %s \u001b[2K\u202e"]}`, strings.ToUpper(laneKey), spareKey)
		case bytes.Contains(body, []byte("later")):
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "<html><title>no route to %s \x1b[2K</title></html>", laneKey)
		default:
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"status":"success","message":"Event processed","dedup_key":"x"}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// No key and no escape sequence is in anything that the relay shows, whoever put it there: senders in the fields of an event, PagerDuty in its
// answers, operators in their reasons, the one who installed it in the name of a folder.
func TestNothingShowsKeysOfOthers(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"json", "text", "terminal"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			config := writeFile(t, dir, "relay.yaml", "keys:\n  - {alias: oncall, key: "+testKey+"}\n  - {alias: spare, key: "+spareKey+"}\n")
			queue := filepath.Join(dir, pathKey, "queue.db")
			if err := os.Mkdir(filepath.Dir(queue), 0o700); err != nil {
				t.Fatal(err)
			}
			p := startLogging(t, dir, form, "--upstream", chatty(t).URL, "--config", config, "--queue", queue)
			sinks := p.provoke(t)
			if err := os.WriteFile(config, []byte("keys: "+spareKey+"\n"+laneKey+": \"\\e[2K\"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the wrong settings are reported", 20*time.Second, func() bool { return strings.Contains(p.get(t, "/api/status"), `"error"`) })
			sinks = append(sinks, p.show(t)...)
			if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil { // Go prints all stacks, as for a panic
				t.Fatal(err)
			}
			<-p.ended
			p.ended <- nil
			log := p.log.String()
			sinks = append(sinks, keyleak.Text("the log", log))
			for _, key := range []string{testKey, laneKey, spareKey, pathKey} {
				keyleak.Check(t, key, sinks...)
			}
			beforeStacks, _, _ := strings.Cut(log, "SIGQUIT")
			wantQuiet(t, beforeStacks)
		})
	}
}

// provoke has keys of others stand in whatever the relay may repeat, and waits until all of it has ended.
func (p *process) provoke(t *testing.T) (sinks []keyleak.Sink) {
	t.Helper()
	event := func(key, dedup, summary string) string {
		return fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%s,"payload":{"summary":%q,"source":%q,"severity":"CRIT %s","custom_details":{%q:%q}}}`,
			key, jsonText(dedup), summary, "host "+laneKey, spareKey, laneKey, strings.ToUpper(spareKey))
	}
	front := p.front + "/v2/enqueue"
	sinks = append(sinks, p.ask(t, "POST", front, event(laneKey, "the lane appears", "x")))
	for dedup := range hostileKeys {
		sinks = append(sinks, p.ask(t, "POST", front, event(testKey, dedup, "the key is "+laneKey)))
	}
	for _, body := range []string{
		event(testKey, "a", "refuse me"), event(testKey, "b", "later"),
		`{"routing_key":"` + laneKey + `x"}`, `{"` + laneKey, `{"routing_key":"` + testKey + `","event_action":"` + laneKey + `"}`,
	} {
		sinks = append(sinks, p.ask(t, "POST", front, body))
	}
	for _, dedup := range []string{laneKey, laneKey + "\x1b[2K"} { // a client gets the dedup key back that it has sent
		p.ask(t, "POST", front, event(testKey, dedup, "refuse me"))
	}
	for _, url := range []string{
		p.front + "/" + laneKey, p.front + "/v2/enqueue?key=" + spareKey, p.admin + "/api/lanes/" + laneKey, p.admin + "/api/events?lane=" + laneKey, p.admin + "/lanes/" + spareKey,
		p.admin + "/api/events?q=" + laneKey, p.admin + "/events?q=lane:" + laneKey, p.admin + "/api/events?" + laneKey + "=1", p.admin + "/" + pathKey, p.admin + "/api/events/" + pathKey,
	} {
		sinks = append(sinks, p.ask(t, "GET", url, ""))
	}
	eventually(t, "three events are refused and one was tried", 30*time.Second, func() bool {
		status := p.get(t, "/api/status")
		return strings.Contains(status, `"dead":3,`) && strings.Contains(p.get(t, "/api/events?state=waiting"), "500") // "later" is tried again for hours
	})
	why := fmt.Sprintf(`{"why":"as %s said \u001b[2K"}`, spareKey)
	sinks = append(sinks, p.ask(t, "POST", p.admin+"/api/lanes/oncall/pause", why), p.ask(t, "POST", p.admin+"/api/lanes/"+laneKey+"/pause", why), p.ask(t, "POST", p.admin+"/api/lanes/oncall/resume", why))
	for id := 1; id <= 10; id++ {
		sinks = append(sinks, p.ask(t, "POST", fmt.Sprintf("%s/api/events/%d/drop", p.admin, id), why))
	}
	return sinks
}

// show asks for everything that the relay shows.
func (p *process) show(t *testing.T) (sinks []keyleak.Sink) {
	t.Helper()
	paths := []string{"/api/status", "/api/lanes", "/api/lanes/1", "/api/lanes/oncall", "/api/events?limit=500", "/api/dead", "/api/shape", "/metrics", "/healthz", "/readyz", "/", "/events", "/dead", "/lanes/1", "/lanes/2"}
	for id := 1; id <= 10; id++ {
		paths = append(paths, fmt.Sprintf("/api/events/%d", id), fmt.Sprintf("/events/%d", id))
	}
	for _, path := range paths {
		sinks = append(sinks, p.ask(t, "GET", p.admin+path, ""))
	}
	return sinks
}

// jsonText is a JSON string with each character that is not plain as an escape.
func jsonText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// wantQuiet fails if the log acts on a terminal, but for its own colours, or does not show what could be read.
func wantQuiet(t *testing.T, log string) {
	t.Helper()
	log = ours.ReplaceAllString(log, "")
	for line := range strings.Lines(log) {
		if at := strings.IndexFunc(strings.TrimRight(line, "\r\n"), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' || r == '\u202e' }); at >= 0 {
			t.Errorf("a character that acts at %d of %q", at, line)
		}
	}
	for _, rest := range hostileKeys {
		if !strings.Contains(log, rest) {
			t.Errorf("%q is not to be read in the log", rest)
		}
	}
}

// A key that was pasted into the wrong place is not printed and not logged, whether the relay starts with it or not.
func TestMisplacedKeys(t *testing.T) {
	t.Parallel()
	type place struct {
		name    string
		args    []string
		environ []string
	}
	texts := keyleak.Misplaced(pathKey)
	for command, texts := range map[string][]string{"check": texts, "run": texts[:2]} { // the key alone, and a path
		var places []place
		for _, text := range texts {
			for _, f := range settings.Fields() {
				places = append(places, place{"--" + f.Flag(), []string{"--" + f.Flag() + "=" + text}, nil}, place{f.Variable(), nil, []string{f.Variable() + "=" + text}})
			}
			for _, variable := range []string{"SHOUTRRRD_CONFIG", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"} {
				places = append(places, place{variable, nil, []string{variable + "=" + text}})
			}
			places = append(places, place{"--config", []string{"--config=" + text}, nil}, place{"an argument", []string{text}, nil}, place{"an unknown flag", []string{"--" + text}, nil}, place{"short flags", []string{"-" + text}, nil})
		}
		for _, at := range places {
			dir := t.TempDir()
			args := append([]string{command}, at.args...)
			environ := append([]string{"HOME=" + dir, "SHOUTRRRD_LISTEN=127.0.0.1:0", "SHOUTRRRD_ADMIN=127.0.0.1:0"}, at.environ...)
			keyleak.Check(t, pathKey, keyleak.Text(command+" with a key in "+at.name, runBriefly(t, dir, environ, args)))
		}
	}
}

// runBriefly runs the daemon until it ends, or accepts events, and returns what it has written.
func runBriefly(t *testing.T, dir string, environ, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "shoutrrrd"), args...)
	cmd.Dir, cmd.Env = dir, environ
	out := &started{}
	cmd.Stdout, cmd.Stderr = out, out // one writer: os/exec does not write to it from two sides
	out.stop = func() { _ = cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Errorf("no end: %s", strings.ReplaceAll(strings.Join(args, " "), pathKey, "KEY"))
	}
	return out.written.String()
}

// started is what a daemon writes, and stops it once it accepts events.
type started struct {
	written bytes.Buffer // not embedded: its ReadFrom would go past Write
	stop    func()
}

func (s *started) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("accepting events")) {
		s.stop()
	}
	return s.written.Write(p)
}
