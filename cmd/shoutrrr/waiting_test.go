//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"golang.org/x/sys/unix"
)

// onTerminal runs the command with its standard error on a terminal.
type onTerminal struct {
	cmd   *exec.Cmd
	ended chan error

	mu   sync.Mutex
	said strings.Builder
	more chan struct{}
}

func startOnTerminal(t *testing.T, environ []string, args ...string) *onTerminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		prove.Missing(t, "pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	dir := t.TempDir()
	p := &onTerminal{cmd: exec.Command(filepath.Join(binaries, "shoutrrr"), args...), ended: make(chan error, 1), more: make(chan struct{}, 1)}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, append([]string{"HOME=" + dir, "TZ=UTC"}, environ...), slave
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it may have ended
	go func() {
		_, _ = io.Copy(p, master) // ends with an error when nobody has the terminal any more
		p.ended <- p.cmd.Wait()
	}()
	return p
}

func (p *onTerminal) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.said.Write(data)
}

// screen is all that was written.
func (p *onTerminal) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// until waits until a text stands on the terminal.
func (p *onTerminal) until(t *testing.T, text string) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !strings.Contains(p.screen(), text) {
		select {
		case <-p.more:
		case err := <-p.ended:
			p.ended <- err
			if !strings.Contains(p.screen(), text) {
				t.Fatalf("it ended with %v and never said %q:\n%s", err, text, p.screen())
			}
		case <-timer.C:
			t.Fatalf("it never said %q:\n%s", text, p.screen())
		}
	}
}

// end returns the exit status, and the lines that stay on the terminal.
func (p *onTerminal) end(t *testing.T) (status int, lines []string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("it does not end:\n%s", p.screen())
	}
	for line := range strings.Lines(p.screen()) {
		_, line, _ = cutLast(strings.TrimRight(line, "\r\n"), "\r\x1b[K") // what was drawn over
		if line != "" {
			lines = append(lines, line)
		}
	}
	return p.cmd.ProcessState.ExitCode(), lines
}

func cutLast(text, by string) (before, after string, found bool) {
	if at := strings.LastIndex(text, by); at >= 0 {
		return text[:at], text[at+len(by):], true
	}
	return "", text, false
}

// While an event waits a person sees, in one line that stays, what has failed, at which
// host and until when it is tried, and after Ctrl-C once more why.
func TestWaitingOnATerminal(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	upstream.Inject(pagerdutytest.Fault{Name: "503", Count: -1})
	p := startOnTerminal(t, nil, "send", "-u", upstream.ServiceURL(scriptKey), "-m", "Server is down", "--retry-for", "48h")
	p.until(t, "attempt 3 in")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	status, lines := p.end(t)
	host := regexp.QuoteMeta(upstream.Addr())
	want := []string{
		`^shoutrrr: ` + host + ` cannot take the event now \(503\).*; trying until 20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} UTC at the latest$`,
		`^shoutrrr: interrupted, NOT accepted: trigger, dedup key `,
		`^  the last attempt failed: ` + host + ` cannot take the event now \(503\)`,
		`^  to go on, send it again with `,
	}
	if status != exitInterrupted || len(lines) != len(want) {
		t.Fatalf("status %d, %d lines:\n%s", status, len(lines), strings.Join(lines, "\n"))
	}
	for i, line := range lines {
		if !regexp.MustCompile(want[i]).MatchString(line) {
			t.Errorf("line %q does not match %s", line, want[i])
		}
	}
	keyleak.Check(t, scriptKey, keyleak.Text("terminal", p.screen()))
}

// A server that takes the event and does not answer is named while a person waits, and
// after Ctrl-C.
func TestSilentServerOnATerminal(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	upstream.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultHang, Count: -1})
	p := startOnTerminal(t, nil, "send", "-u", upstream.ServiceURL(scriptKey), "-m", "Server is down")
	host := upstream.Addr()
	p.until(t, "no answer from "+host+" for ")
	if screen := p.screen(); !strings.Contains(screen, "; until ") {
		t.Errorf("no word of until when:\n%s", screen)
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	status, lines := p.end(t)
	want := []string{
		`^shoutrrr: interrupted, NOT accepted: trigger, dedup key `,
		`^  ` + regexp.QuoteMeta(host) + ` had not answered for [0-9]+ s$`,
		`^  to go on, send it again with `,
	}
	if status != exitInterrupted || len(lines) != len(want) {
		t.Fatalf("status %d, %d lines:\n%s", status, len(lines), strings.Join(lines, "\n"))
	}
	for i, line := range lines {
		if !regexp.MustCompile(want[i]).MatchString(line) {
			t.Errorf("line %q does not match %s", line, want[i])
		}
	}
	keyleak.Check(t, scriptKey, keyleak.Text("terminal", p.screen()))
}

// The same for one that has failed before.
func TestServerThatFallsSilentOnATerminal(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	upstream.Inject(pagerdutytest.Fault{Name: "503", Count: 1})
	upstream.Inject(pagerdutytest.Fault{Name: pagerdutytest.FaultHang, Count: -1})
	p := startOnTerminal(t, nil, "send", "-u", upstream.ServiceURL(scriptKey), "-m", "Server is down")
	p.until(t, "503 Service Unavailable; no answer to attempt 2 for ")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status, lines := p.end(t); status != exitInterrupted {
		t.Errorf("status %d:\n%s", status, strings.Join(lines, "\n"))
	}
}

// A certificate that is not valid yet is waited for, and the person is told: at boot the
// clock is often behind. One that has expired ends it at once.
func TestCertificateNotValidYet(t *testing.T) {
	t.Parallel()
	ca := newTestAuthority(t)
	later := ca.issue(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	good := ca.issue(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	past := ca.issue(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	var valid atomic.Pointer[tls.Certificate]
	valid.Store(&later)
	emulator := pagerdutytest.New(pagerdutytest.Options{})
	server := httptest.NewUnstartedServer(emulator)
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*valid.Load()}}, nil
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	environ := []string{"SSL_CERT_FILE=" + ca.file}
	args := []string{"send", "-u", "pagerduty://" + address + "/" + scriptKey, "-m", "Server is down"}

	p := startOnTerminal(t, environ, args...)
	p.until(t, "certificate not valid yet, attempt 2 in")
	valid.Store(&good)
	status, lines := p.end(t)
	want := "shoutrrr: cannot trust the certificate of " + address + ": certificate is not valid yet (clock?): it is valid from "
	if status != exitAccepted || len(lines) != 1 || !strings.HasPrefix(lines[0], want) || !strings.Contains(lines[0], "; trying until ") {
		t.Errorf("status %d:\n%s", status, strings.Join(lines, "\n"))
	}
	if n := len(emulator.Journal()); n != 1 {
		t.Errorf("%d requests", n)
	}

	valid.Store(&past)
	if out, status := runBinary(t, t.TempDir(), environ, args...); status != exitUnreachable || !strings.Contains(out, "expired") {
		t.Errorf("expired: status %d, %s", status, out)
	}
	valid.Store(&later)
	if out, status := runBinary(t, t.TempDir(), environ, append(args, "--retry-for", "0")...); status != exitTemporary || !strings.Contains(out, "it is valid from ") {
		t.Errorf("without time: status %d, %s", status, out)
	}

	// Time alone does not help one whose authority nobody here knows, or that is another
	// host's: neither is waited for.
	strange := newTestAuthority(t).issue(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	valid.Store(&strange)
	if out, status := runBinary(t, t.TempDir(), environ, append(args, "--retry-for", "3s")...); status != exitUnreachable || !strings.Contains(out, "unknown authority") {
		t.Errorf("of an unknown authority: status %d, %s", status, out)
	}
	valid.Store(&later)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	other := []string{"send", "-u", "pagerduty://localhost:" + port + "/" + scriptKey, "-m", "Server is down", "--retry-for", "3s"}
	if out, status := runBinary(t, t.TempDir(), environ, other...); status != exitUnreachable || !strings.Contains(out, "cannot trust the certificate of localhost:") {
		t.Errorf("of another host: status %d, %s", status, out)
	}
}

// testAuthority signs certificates for any time.
type testAuthority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newTestAuthority(t *testing.T) *testAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the test's authority"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &testAuthority{key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *testAuthority) issue(t *testing.T, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
