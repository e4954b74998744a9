package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// helpKey is the integration key of a way, at another upstream.
const helpKey = "fedcba98765432100f1e2d3c4b5a6978"

// called is what somebody got whom the relay has called for help.
type called struct{ status, subject, text string }

// hotline gets what one way brings.
type hotline chan called

func (h hotline) next(t *testing.T, status string) called {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c := <-h:
		if c.status != status {
			t.Fatalf("got %+v, want one that is %s", c, status)
		}
		return c
	case <-timer.C:
		t.Fatalf("nobody was told %q", status)
		return called{}
	}
}

// patient is an upstream that is sick until it is healed.
type patient struct {
	*httptest.Server
	emulator *pagerdutytest.Emulator
	healed   atomic.Bool
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{emulator: pagerdutytest.New(pagerdutytest.Options{Limit: -1})}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.healed.Load() {
			p.emulator.ServeHTTP(w, r)
			return
		}
		http.Error(w, "the database is away", http.StatusInternalServerError)
	}))
	t.Cleanup(p.Close)
	return p
}

// helped starts a relay before an upstream, with these ways to call for help.
func helped(t *testing.T, dir, upstream, after, ways string, environ ...string) *process {
	t.Helper()
	config := writeFile(t, dir, "shoutrrrd.yaml", "notify:\n  after: "+after+"\n  ways:\n"+ways)
	p := launchWith(t, dir, environ, "--config", config, "--upstream", upstream)
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("the daemon has ended:\n%s", p.log)
	}
	return p
}

// PagerDuty answers 500 to one key of three, and accepts what goes by the others. The relay
// names that lane, and says nothing of the others but that their pages leave at once.
func TestOneKeyFails(t *testing.T) {
	t.Parallel()
	const failing = "0123456789abcdef0123456789abcde1"
	keys := []string{testKey, failing, "0123456789abcdef0123456789abcde2"}
	emulator := pagerdutytest.New(pagerdutytest.Options{Limit: -1, Keys: keys})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), failing) {
			http.Error(w, "the shard is away", http.StatusInternalServerError)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		emulator.ServeHTTP(w, r)
	}))
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	config := writeFile(t, dir, "shoutrrrd.yaml", fmt.Sprintf("keys:\n  - {alias: good, key: %s}\n  - {alias: sick, key: %s}\n  - {alias: fine, key: %s}\n", keys[0], keys[1], keys[2]))
	p := start(t, dir, "--config", config, "--upstream", upstream.URL)
	send := func(key, dedup string) {
		t.Helper()
		if status := p.post(t.Context(), http.DefaultClient, strings.Replace(trigger(dedup, "critical", "Database down"), testKey, key, 1)); status != http.StatusAccepted {
			t.Fatalf("status %d:\n%s", status, p.log)
		}
	}
	status := func() (s struct {
		Headline struct {
			Sentence string
			Lanes    int
			Failing  []any
		}
		Lanes []struct {
			Name       string
			Attempts   int
			Condition  string
			TimeToPage *float64 `json:"time_to_page_s"`
		}
	},
	) {
		p.getJSON(t, "/api/status", &s)
		return s
	}
	attempts := func(lane string) (n int) {
		for _, l := range status().Lanes {
			if l.Name == lane {
				n = l.Attempts
			}
		}
		return n
	}
	send(failing, "sick-1")
	eventually(t, "the first attempt has failed", patience, func() bool { return attempts("sick") > 0 })
	send(keys[0], "good-1")
	eventually(t, "another key was accepted", patience, func() bool { return len(emulator.Incidents()) > 0 })
	before := attempts("sick")
	eventually(t, "two more attempts have failed", patience, func() bool { return attempts("sick") >= before+2 })
	s := status()
	if !strings.Contains(s.Headline.Sentence, "answers 500 to sick") || s.Headline.Lanes != 1 || len(s.Headline.Failing) > 0 {
		t.Errorf("the headline is %+v", s.Headline)
	}
	for _, l := range s.Lanes {
		if (l.Name == "sick") != (l.TimeToPage == nil) || (l.Name == "sick") != (l.Condition == "failing") {
			t.Errorf("lane %s is %s, time to page %v", l.Name, l.Condition, l.TimeToPage)
		}
	}
}

func (p *process) accept(t *testing.T, dedup, severity string) {
	t.Helper()
	if status := p.post(t.Context(), http.DefaultClient, trigger(dedup, severity, "Database down")); status != http.StatusAccepted {
		t.Fatalf("status %d:\n%s", status, p.log)
	}
}

// hook is a web server that takes what a webhook brings. It wants a secret header.
func hook(t *testing.T, h hotline, serve func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	server := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Status, Subject, Text string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.Header.Get("Authorization") != "Bearer hush-hush" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h <- called{m.Status, m.Subject, m.Text}
	}))
	t.Cleanup(server.Close)
	return server
}

// mailbox is a mail server that takes what is sent to it, after a login if it has TLS.
func mailbox(t *testing.T, h hotline, kind string, certificate tls.Certificate) (address string) {
	t.Helper()
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &letter{h: h, login: kind != "none"}, nil
	}))
	server.Domain = "localhost"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	switch kind {
	case "starttls":
		server.TLSConfig = config
	case "implicit":
		listener = tls.NewListener(listener, config)
	}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// letter is one that is being sent.
type letter struct {
	h           hotline
	login, isIn bool
	to          []string
}

func (l *letter) AuthMechanisms() []string { return []string{sasl.Plain} }

func (l *letter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "relay" || password != "hush-hush" {
			return errors.New("wrong password")
		}
		l.isIn = true
		return nil
	}), nil
}

func (l *letter) Mail(from string, _ *smtp.MailOptions) error {
	if l.login && !l.isIn {
		return smtp.ErrAuthRequired
	}
	if from != "relay@example.com" {
		return fmt.Errorf("from %q", from)
	}
	return nil
}

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.to = append(l.to, to)
	return nil
}

func (l *letter) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return err
	}
	status := "firing"
	switch {
	case strings.Contains(subject, ": resolved"):
		status = "resolved"
	case strings.Contains(subject, ": test of"):
		status = "test"
	}
	if strings.Join(l.to, " ") != "oncall@example.com second@example.com" {
		return fmt.Errorf("to %q", l.to)
	}
	l.h <- called{status, subject, strings.ReplaceAll(string(text), "\r\n", "\n")}
	return nil
}

func (l *letter) Reset()        { l.to = nil }
func (l *letter) Logout() error { return nil }

// ways of each kind: how the settings name one, and what is there to be reached.
func kindsOfHelp(t *testing.T, dir string) map[string]func(t *testing.T, h hotline) (way string) {
	t.Helper()
	authority, err := pagerdutytest.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Issue("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "ca.pem", string(authority.CertPEM()))
	writeFile(t, dir, "password", "hush-hush\n")
	writeFile(t, dir, "headers", "Authorization: Bearer hush-hush\n")
	writeFile(t, dir, "help.key", helpKey)
	byMail := func(kind string) func(*testing.T, hotline) string {
		return func(t *testing.T, h hotline) string {
			way := "    - {name: help, smtp: \"" + mailbox(t, h, kind, certificate) + "\", tls: " + kind + ", from: Relay <relay@example.com>, to: [oncall@example.com, second@example.com]"
			if kind != "none" {
				way += ", user: relay, password: \"file:" + filepath.Join(dir, "password") + `"`
			}
			return way + "}\n"
		}
	}
	return map[string]func(*testing.T, hotline) string{
		"command": func(t *testing.T, h hotline) string {
			pipe := filepath.Join(dir, "calls")
			writeFile(t, dir, "calls", "")
			program := filepath.Join(dir, "call")
			script := "#!/bin/sh\n[ -z \"$SHOUTRRRD_SECRET\" ] || exit 3\ncat >> \"$1\"\nprintf '\\n' >> \"$1\"\necho \"$OUTAGE_STATUS\" >> \"$1.status\"\n"
			if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			go followCalls(t, pipe, h)
			return fmt.Sprintf("    - {name: help, command: [%s, %s]}\n", program, pipe)
		},
		"webhook": func(t *testing.T, h hotline) string {
			return fmt.Sprintf("    - {name: help, webhook: \"%s/a-secret-path\", headers: \"file:%s\"}\n", hook(t, h, httptest.NewServer).URL, filepath.Join(dir, "headers"))
		},
		"webhook over TLS": func(t *testing.T, h hotline) string {
			server := hook(t, h, func(handler http.Handler) *httptest.Server {
				s := httptest.NewUnstartedServer(handler)
				s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
				s.StartTLS()
				return s
			})
			return fmt.Sprintf("    - {name: help, webhook: \"%s\", headers: \"file:%s\"}\n", server.URL, filepath.Join(dir, "headers"))
		},
		"smtp": byMail("none"), "smtp with STARTTLS": byMail("starttls"), "smtp over TLS": byMail("implicit"),
		"pagerduty": func(t *testing.T, h hotline) string {
			second := pagerdutytest.New(pagerdutytest.Options{Limit: -1})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				before := len(second.Journal())
				second.ServeHTTP(w, r)
				entry := second.Journal()[before]
				if entry.Outcome != pagerdutytest.OutcomeOpened && entry.Outcome != pagerdutytest.OutcomeResolved {
					t.Errorf("%s: %s", entry, entry.Body)
				}
				var e struct {
					RoutingKey string `json:"routing_key"`
					Action     string `json:"event_action"`
					Payload    struct {
						Summary, Severity string
						Details           struct{ Message string } `json:"custom_details"`
					}
				}
				if err := json.Unmarshal(entry.Body, &e); err != nil {
					t.Error(err)
				}
				status := map[string]string{"trigger": "firing", "resolve": "resolved"}[e.Action]
				h <- called{status, e.Payload.Summary, e.Payload.Details.Message}
			}))
			t.Cleanup(server.Close)
			return fmt.Sprintf("    - {name: help, pagerduty: \"%s\", key: \"file:%s\"}\n", server.URL, filepath.Join(dir, "help.key"))
		},
	}
}

// Each kind of way is called once for an outage in which many events wait, and once when
// it is over.
func TestCallsForHelp(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"command", "webhook", "webhook over TLS", "smtp", "smtp with STARTTLS", "smtp over TLS", "pagerduty"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := make(hotline, 100)
			way := kindsOfHelp(t, dir)[kind](t, h)
			upstream := newPatient(t)
			p := helped(t, dir, upstream.URL, "1s", way, "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"), "SHOUTRRRD_SECRET=1")
			p.accept(t, "info", "info")
			for i := range 3 {
				p.accept(t, fmt.Sprint("page-", i), "critical")
			}
			first := h.next(t, "firing")
			for _, want := range []string{"3 critical events are not delivered to 127.0.0.1", "failing: 127.0.0.1:", "answers 500; the last error:", "(500): the database is away", "shoutrrr status"} {
				if !strings.Contains(first.subject+first.text, want) {
					t.Errorf("it lacks %q: %+v", want, first)
				}
			}
			help := func() string {
				var s struct {
					Help []struct{ By, Failing []string }
				}
				p.getJSON(t, "/api/status", &s)
				return fmt.Sprint(s.Help)
			}
			eventually(t, "the status says that help was called", patience, func() bool { return help() == "[{[help] []}]" })
			if n := p.metric(t, `shoutrrrd_notifications_total{result="sent",status="firing",way="help"}`); n != 1 {
				t.Errorf("%v calls are counted", n)
			}
			p.accept(t, "page-3", "critical") // the outage goes on
			upstream.healed.Store(true)
			last := h.next(t, "resolved")
			if len(h) > 0 {
				t.Errorf("called once too often: %+v", <-h)
			}
			p.drained(t, patience)
			for i := range 4 {
				if dedup := fmt.Sprint("page-", i); len(upstream.emulator.Incidents()) < 5 {
					t.Errorf("%s has not arrived", dedup)
				}
			}
			eventually(t, "the status says that the outage is over", patience, func() bool { return help() == "[]" })
			eventually(t, "nothing of the outage is kept", patience, func() bool {
				_, err := os.Stat(filepath.Join(dir, "queue.db.notify"))
				return errors.Is(err, os.ErrNotExist)
			})
			said := keyleak.Text("messages", fmt.Sprint(first, last))
			keyleak.Check(t, testKey, said, keyleak.Text("log", p.log.String()))
			keyleak.Check(t, helpKey, said, keyleak.Text("log", p.log.String()))
			for _, secret := range []string{"hush-hush", "a-secret-path"} {
				if strings.Contains(p.log.String(), secret) {
					t.Errorf("the log has %q:\n%s", secret, p.log)
				}
			}
		})
	}
}

// A rejected page is called for at once, whatever `after` says.
func TestCallsForHelpWhenRejected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := make(hotline, 100)
	way := kindsOfHelp(t, dir)["webhook"](t, h)
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1})
	upstream.Inject(pagerdutytest.Fault{Name: "400", Count: 2})
	p := helped(t, dir, upstream.URL(), "1h", way)
	p.accept(t, "info", "info") // nobody is called for this one
	eventually(t, "it is rejected", patience, func() bool { return strings.Contains(p.log.String(), `"msg":"refused"`) })
	p.accept(t, "page", "critical")
	first := h.next(t, "firing")
	for _, want := range []string{"1 critical event for 127.0.0.1", "rejected or expired", "shoutrrr queue list --state dead"} {
		if !strings.Contains(first.subject+first.text, want) {
			t.Errorf("it lacks %q: %+v", want, first)
		}
	}
}

// A way that hangs delays no other, and the log says it once. After a restart in the
// middle of the outage, in order or not, the one that was told is not told again.
func TestCallsForHelpOnceOverRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := make(hotline, 100)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ways := "    - {name: hangs, timeout: 1s, smtp: \"" + silent.Addr().String() + "\", tls: none, from: relay@example.com, to: [oncall@example.com]}\n" +
		kindsOfHelp(t, dir)["webhook"](t, h)
	upstream := newPatient(t)
	p := helped(t, dir, upstream.URL, "1s", ways)
	p.accept(t, "page", "critical")
	h.next(t, "firing")
	eventually(t, "the other one fails", patience, func() bool { return strings.Contains(p.log.String(), `"way":"hangs"`) })
	kept := func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "queue.db.notify"))
		return err == nil && strings.Contains(string(data), `"help":"firing"`)
	}
	eventually(t, "it is kept who was told", patience, kept)
	p.kill()
	p = helped(t, dir, upstream.URL, "1s", ways)
	eventually(t, "the outage goes on", patience, func() bool { return strings.Contains(p.log.String(), `"way":"hangs"`) })
	if n := strings.Count(p.log.String(), `"way":"hangs"`); n != 1 {
		t.Errorf("the log says %d times that a way fails:\n%s", n, p.log)
	}
	if err := p.stop(t); err != nil {
		t.Errorf("it ended with %v:\n%s", err, p.log)
	}
	p = helped(t, dir, upstream.URL, "1s", ways)
	upstream.healed.Store(true)
	h.next(t, "resolved")
	if len(h) > 0 {
		t.Errorf("called once too often: %+v", <-h)
	}
}

// With a disk that hangs nothing can be read or written, and help is called for all the
// same: for the pages that wait, and because events are turned away.
func TestCallsForHelpWithAHangingDisk(t *testing.T) {
	prove.Long(t)
	prove.Need(t, "strace")
	dir := t.TempDir()
	h := make(hotline, 100)
	ways := kindsOfHelp(t, dir)["webhook"](t, h)
	p := helped(t, dir, "http://127.0.0.1:9", "8s", ways)
	p.accept(t, "page", "critical")
	hangDisk(t, dir, p.cmd.Process.Pid)
	if resp, said := p.answer(t, trigger("during", "critical", "nothing is well")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an event got %s: %s", resp.Status, said)
	}
	all := h.next(t, "firing").subject + h.next(t, "firing").subject
	for _, want := range []string{"1 critical event is not delivered to 127.0.0.1:9", "its queue turns events away"} {
		if !strings.Contains(all, want) {
			t.Errorf("nobody was told %q: %s", want, all)
		}
	}
}

// `notify test` sends a message by each way and says how each went.
func TestNotifyTest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := make(hotline, 100)
	kinds := kindsOfHelp(t, dir)
	ways := strings.ReplaceAll(kinds["webhook"](t, h), "name: help", "name: chat") + strings.ReplaceAll(kinds["smtp over TLS"](t, h), "name: help", "name: mail")
	config := writeFile(t, dir, "shoutrrrd.yaml", "notify:\n  ways:\n"+ways)
	environ := []string{"SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem")}
	status, stdout, stderr := command(t, dir, environ, "notify", "test", "-c", config)
	if status != exitOK || stdout != "chat  sent\nmail  sent\n" || stderr != "" {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	for range 2 {
		if got := h.next(t, "test"); !strings.Contains(got.subject, "nothing is wrong") {
			t.Errorf("got %+v", got)
		}
	}
	writeFile(t, dir, "headers", "Authorization: Bearer wrong\n")
	status, stdout, stderr = command(t, dir, nil, "notify", "test", "chat", "-c", config)
	if want := "chat  failed  127.0.0.1:"; status != exitMachine || !strings.HasPrefix(stdout, want) || !strings.HasSuffix(stdout, " answers 403 Forbidden\n") || !strings.Contains(stderr, "1 of 1 ways failed") {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	if status, _, stderr = command(t, dir, nil, "notify", "test", "pager", "-c", config); status != exitUsage || !strings.Contains(stderr, "they are chat, mail") {
		t.Errorf("status %d, %q", status, stderr)
	}
	if status, _, stderr = command(t, dir, nil, "notify", "tset"); status != exitUsage || !strings.Contains(stderr, "did you mean test?") {
		t.Errorf("status %d, %q", status, stderr)
	}
	if status, _, stderr = command(t, dir, nil, "notify", "test"); status != exitConfig || !strings.Contains(stderr, "nobody is called") {
		t.Errorf("status %d, %q", status, stderr)
	}
}

// followCalls hands on what a command writes to a file, a JSON value for each call.
func followCalls(t *testing.T, path string, h hotline) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for known := 0; ; {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return
		}
		lines := strings.Split(string(data), "\n")
		for ; known < len(lines)-1; known++ {
			var m struct{ Status, Subject, Text string }
			if err := json.Unmarshal([]byte(lines[known]), &m); err != nil {
				t.Errorf("%v in %q", err, lines[known])
				return
			}
			h <- called{m.Status, m.Subject, m.Text}
		}
	}
}
