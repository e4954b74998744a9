package pagerdutytest

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a test that remembers what was said to it.
type recorder struct {
	mu       sync.Mutex
	said     []string
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return r.failed }
func (r *recorder) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}
func (r *recorder) Errorf(format string, args ...any) { r.Logf(format, args...); r.failed = true }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...) }

// end runs the cleanups, the latest first.
func (r *recorder) end() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

var (
	_ TB = (*recorder)(nil)
	_ TB = (*testing.T)(nil)
	_ TB = (*testing.B)(nil)
)

func TestServerAddresses(t *testing.T) {
	plain, secure := NewServer(t), NewTLSServer(t)
	if got, want := plain.ServiceURL(testKey), "pagerduty://"+plain.Addr()+"/"+testKey+"?disabletls=yes"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := secure.ServiceURL(testKey), "pagerduty://"+secure.Addr()+"/"+testKey; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if plain.URL() != "http://"+plain.Addr() || secure.URL() != "https://"+secure.Addr() {
		t.Errorf("got %s and %s", plain.URL(), secure.URL())
	}
	if plain.CAFile() != "" || plain.CertPool() != nil {
		t.Errorf("plain HTTP has a CA: %s", plain.CAFile())
	}
	content, err := os.ReadFile(secure.CAFile())
	if err != nil || !strings.HasPrefix(string(content), "-----BEGIN CERTIFICATE-----") {
		t.Errorf("got %q, %v", content, err)
	}
}

func TestServerClose(t *testing.T) {
	s := NewTLSServer(t)
	s.Close()
	s.Close()
	if _, err := os.Stat(s.CAFile()); !os.IsNotExist(err) {
		t.Errorf("the CA file is still there: %v", err)
	}
	if _, err := try(plainClient(t), "http://"+s.Addr()+pathAlert, "{}"); err == nil {
		t.Error("a closed server answers")
	}
}

func TestStartServerOnATakenAddress(t *testing.T) {
	s := NewServer(t)
	if _, err := StartServer(New(Options{}), ServerOptions{Listen: s.Addr(), TLS: true}); err == nil || !strings.Contains(err.Error(), "start the emulator") {
		t.Errorf("got %v", err)
	}
}

// TestTLSServerNames: the certificates are good for every name that the server
// may be called by, and only for those who trust its CA.
func TestTLSServerNames(t *testing.T) {
	s := NewTLSServer(t)
	for _, name := range []string{"127.0.0.1", "::1", "localhost", "events.pagerduty.com", "events.eu.pagerduty.com"} {
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: s.CertPool(), ServerName: name, NextProtos: []string{"h2"}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
			t.Errorf("%s: got protocol %q", name, got)
		}
		_ = conn.Close()
	}
	if conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{}); err == nil {
		_ = conn.Close()
		t.Error("a client that does not know the CA was content")
	}
	other, err := NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: other.Pool()}); err == nil {
		_ = conn.Close()
		t.Error("a client that trusts another CA of the same name was content")
	}
}

// lineWriter hands on what is logged.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	select {
	case w <- string(p):
	default:
	}
	return len(p), nil
}

func TestErrorLogHearsOfClientsThatDoNotTrust(t *testing.T) {
	lines := make(lineWriter, 1)
	s, err := StartServer(New(Options{}), ServerOptions{TLS: true, ErrorLog: log.New(lines, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := try(plainClient(t), s.URL()+pathAlert, "{}"); err == nil {
		t.Fatal("got an answer")
	}
	if got := <-lines; !strings.Contains(got, "TLS handshake error") {
		t.Errorf("got %q", got)
	}
}

func TestJournalIsLoggedWhenTheTestFailed(t *testing.T) {
	for _, failed := range []bool{false, true} {
		r := &recorder{}
		s := NewServer(r)
		client := plainClient(t)
		post(t, client, s.URL()+pathAlert, minimal("trigger", "db1/disk"))
		post(t, client, s.URL()+pathAlert, "\x1b[31m\u202e")
		r.failed = failed
		r.end()
		said := strings.Join(r.said, "\n")
		if !failed && said != "" {
			t.Errorf("a test that passed was told %s", said)
		}
		for _, want := range []string{"#1 ", "POST " + s.Addr() + pathAlert, Fingerprint(testKey), "trigger", "202 Accepted, opened", "disk full"} {
			if failed && !strings.Contains(said, want) {
				t.Errorf("the journal lacks %q: %s", want, said)
			}
		}
		if strings.Contains(said, testKey) {
			t.Errorf("the journal shows the key: %s", said)
		}
		if strings.ContainsAny(said, "\x1b\u202e") {
			t.Errorf("the journal would steer a terminal: %q", said)
		}
	}
}

func TestNoRequestIsSaidToo(t *testing.T) {
	r := &recorder{failed: true}
	NewServer(r)
	r.end()
	if got := strings.Join(r.said, "\n"); got != "pagerdutytest: no request came" {
		t.Errorf("got %q", got)
	}
}

// TestWantWaits: the incident comes after the wait has begun.
func TestWantWaits(t *testing.T) {
	s := NewServer(t)
	client := plainClient(t)
	for _, step := range []struct {
		action string
		want   func(*Want) Incident
	}{{"trigger", (*Want).Triggered}, {"acknowledge", (*Want).Acknowledged}, {"resolve", (*Want).Resolved}} {
		got := make(chan Incident)
		go func() { got <- step.want(s.WantIncident(t, "d").Within(20 * time.Second)) }()
		post(t, client, s.URL()+pathAlert, minimal(step.action, "d"))
		if i := <-got; i.DedupKey != "d" {
			t.Errorf("%s: got %+v", step.action, i)
		}
	}
	post(t, client, s.URL()+pathAlert, minimal("trigger", "d"))
	if got := s.WantIncident(t, "").Triggered(); got.ID != 2 {
		t.Errorf("got incident %d, want the latest", got.ID)
	}
}

func TestWantFailsWithTheJournal(t *testing.T) {
	s := NewServer(t)
	post(t, plainClient(t), s.URL()+pathAlert, minimal("trigger", "d"))
	for _, tt := range []struct{ key, want string }{{"d", "it is triggered"}, {"other", "no such incident"}} {
		r := &recorder{}
		s.WantIncident(r, tt.key).Within(time.Millisecond).Resolved()
		said := strings.Join(r.said, "\n")
		for _, want := range []string{"want resolved within 1ms", tt.want, "202 Accepted, opened"} {
			if !r.failed || !strings.Contains(said, want) {
				t.Errorf("%s: got %q, want %q in it", tt.key, said, want)
			}
		}
		if strings.Contains(said, testKey) {
			t.Errorf("the failure shows the key: %s", said)
		}
	}
}

func TestTarget(t *testing.T) {
	s := NewServer(t)
	for _, tt := range []struct{ host, want string }{
		{"events.pagerduty.com", "events.pagerduty.com:80"},
		{"events.pagerduty.com:8080", "events.pagerduty.com:8080"},
		{"[2001:db8::5]", "[2001:db8::5]:80"},
		{"[2001:db8::5]:8443", "[2001:db8::5]:8443"},
	} {
		do(t, plainClient(t), "POST", s.URL()+pathAlert, "{}", "Host", tt.host)
		journal := s.Journal()
		if got := journal[len(journal)-1].Target; got != tt.want {
			t.Errorf("Host %s: got %s, want %s", tt.host, got, tt.want)
		}
	}
}

// TestHandlerOfAnotherServer: the emulator serves and cuts also without our
// server around it.
func TestHandlerOfAnotherServer(t *testing.T) {
	e := New(Options{})
	server := &http.Server{Handler: e, ErrorLog: log.New(io.Discard, "", 0)}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	base := &url.URL{Scheme: "http", Host: l.Addr().String(), Path: pathAlert}
	e.Inject(Fault{Name: FaultResetAfter})
	if _, err := try(plainClient(t), base.String(), minimal("trigger", "d")); err == nil {
		t.Error("got an answer")
	}
	e.WantIncident(t, "d").Triggered()
	if got := e.Journal()[0].Conn; got != 0 {
		t.Errorf("got connection %d of a server that does not count", got)
	}
	_ = server.Close()
	<-served
}
