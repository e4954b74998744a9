package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/rogpeppe/go-internal/testscript"
)

// The keys of the scripts. None of them may come out of the command again.
const (
	scriptKey  = "0123456789abcdef0123456789abcdef"
	scriptKey2 = "ABCDEFABCDEF00112233445566778899"
)

var update = flag.Bool("update", false, "write what the scripts compare with")

// patience is how long a script waits for what should come at once.
const patience = 20 * time.Second

// The scripts of testdata run the real binary. Each has an emulator of its own,
// at $SANDBOX and at PagerDuty's own hosts:
//
//	run STATUS ARGUMENT...       runs shoutrrr; any key in its output or state fails
//	run-showing STATUS ...       the same for output that is meant to hold the key
//	interrupt TEXT ARGUMENT...   runs shoutrrr, sends SIGINT when the text stands on stderr
//	                             (or "hanging": when a request hangs), wants status 130
//	fault FAULT...               injects faults
//	want-incident STATUS [KEY]   waits for the latest incident
//	want-requests N              counts requests
//	want-incidents N             counts incidents
//	want-body REGEXP             searches the body of the last request
//	fill-in FILE                 puts the sandbox's URLs for @URL@ and @URL2@ in the file
//	env-file NAME FILE           sets a variable to the text of the file
//	relay ARGUMENT...            starts a relay before the emulator, at $RELAYED and $RELAYED2,
//	                             whose doors are $FRONT and $SHOUTRRR_RELAY
//	want-check STATUS            waits until status --check of the relay exits with that
//	want-event ID STATE          waits until an event of the relay has a state
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		UpdateScripts:      *update,
		Setup:              setUpScript,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"run":           func(ts *testscript.TestScript, _ bool, args []string) { runCommand(ts, args, false) },
			"run-showing":   func(ts *testscript.TestScript, _ bool, args []string) { runCommand(ts, args, true) },
			"interrupt":     func(ts *testscript.TestScript, _ bool, args []string) { interruptCommand(ts, args) },
			"fault":         func(ts *testscript.TestScript, _ bool, args []string) { injectFaults(ts, args) },
			"want-incident": func(ts *testscript.TestScript, _ bool, args []string) { wantIncident(ts, args) },
			"want-requests": func(ts *testscript.TestScript, _ bool, args []string) {
				wantCount(ts, args, len(emulatorOf(ts).Journal()))
			},
			"want-incidents": func(ts *testscript.TestScript, _ bool, args []string) {
				wantCount(ts, args, len(emulatorOf(ts).Incidents()))
			},
			"fill-in":    func(ts *testscript.TestScript, _ bool, args []string) { fillIn(ts, args) },
			"env-file":   func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], ts.ReadFile(args[1])) },
			"relay":      func(ts *testscript.TestScript, _ bool, args []string) { relayCommand(ts, args) },
			"want-check": func(ts *testscript.TestScript, _ bool, args []string) { wantCheck(ts, args) },
			"want-event": func(ts *testscript.TestScript, _ bool, args []string) { wantEvent(ts, args) },
			"want-lane":  func(ts *testscript.TestScript, _ bool, args []string) { wantLane(ts, args) },
			"want-body":  func(ts *testscript.TestScript, neg bool, args []string) { wantBody(ts, neg, args) },
		},
	})
}

func fillIn(ts *testscript.TestScript, args []string) {
	for _, name := range args {
		second := strings.Replace(ts.Getenv("URL"), scriptKey, scriptKey2, 1)
		text := strings.NewReplacer("@URL@", ts.Getenv("URL"), "@URL2@", second).Replace(ts.ReadFile(name))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

type emulatorKey struct{}

func emulatorOf(ts *testscript.TestScript) *pagerdutytest.Emulator {
	return ts.Value(emulatorKey{}).(*pagerdutytest.Emulator)
}

func setUpScript(env *testscript.Env) error {
	emulator := pagerdutytest.New(pagerdutytest.Options{Limit: -1})
	server, err := pagerdutytest.StartServer(emulator, pagerdutytest.ServerOptions{})
	if err != nil {
		return err
	}
	env.Defer(server.Close)
	proxy, err := pagerdutytest.StartProxy(emulator, pagerdutytest.ProxyOptions{All: true})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = proxy.Close() })
	ca := filepath.Join(env.WorkDir, ".ca.pem")
	if err := os.WriteFile(ca, proxy.CA().CertPEM(), 0o600); err != nil {
		return err
	}
	env.Values[emulatorKey{}] = emulator
	env.Values[daemonKey{}] = new(daemon) // for the command that starts it
	env.Setenv("PATH", binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, ".state"))
	env.Setenv("HTTPS_PROXY", proxy.URL())
	env.Setenv("SSL_CERT_FILE", ca)
	env.Setenv("SSL_CERT_DIR", filepath.Join(env.WorkDir, ".none"))
	env.Setenv("KEY", scriptKey)
	env.Setenv("KEY2", scriptKey2)
	env.Setenv("SANDBOX", server.Addr())
	env.Setenv("URL", server.ServiceURL(scriptKey))
	return nil
}

func runCommand(ts *testscript.TestScript, args []string, showing bool) {
	if len(args) == 0 {
		ts.Fatalf("usage: run STATUS ARGUMENT...")
	}
	err := ts.Exec("shoutrrr", args[1:]...)
	var exit *exec.ExitError
	status := 0
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if !showing {
		checkLeaks(ts, "stdout", ts.ReadFile("stdout"))
		checkLeaks(ts, "stderr", ts.ReadFile("stderr"))
	}
	checkState(ts)
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

// checkLeaks looks for keys in every form. It does not show what it finds.
func checkLeaks(ts *testscript.TestScript, name, text string) {
	for _, key := range []string{scriptKey, scriptKey2, demoKey} {
		for _, form := range keyleak.Find(key, []byte(text)) {
			ts.Fatalf("%s holds an integration key (%s)", name, form)
		}
	}
}

// checkState looks for keys in the state folder: in its files and their names.
func checkState(ts *testscript.TestScript) {
	root := ts.Getenv("XDG_STATE_HOME")
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		checkLeaks(ts, "a name in the state folder", strings.TrimPrefix(path, root))
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		checkLeaks(ts, path, string(text))
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		ts.Fatalf("the state folder: %v", err)
	}
}

// interruptCommand runs shoutrrr and sends it SIGINT when a text stands on its
// standard error, or when the emulator has a request that it will not answer.
func interruptCommand(ts *testscript.TestScript, args []string) {
	when, args := args[0], args[1:]
	stderr := &watched{w: ts.Stderr(), text: when, seen: make(chan struct{})}
	cmd := exec.Command(filepath.Join(binaries, "shoutrrr"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), ts.Stdout(), stderr
	for _, name := range []string{"PATH", "HOME", "XDG_STATE_HOME", "HTTPS_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	if when == "hanging" {
		go func() {
			eventually(emulatorOf(ts), func() bool { return hangs(emulatorOf(ts)) })
			close(stderr.seen)
		}()
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	go func() {
		<-stderr.seen
		_ = cmd.Process.Signal(syscall.SIGINT)
	}()
	_ = cmd.Wait() // its status is what is looked at
	checkState(ts)
	if got := cmd.ProcessState.ExitCode(); got != exitInterrupted {
		ts.Fatalf("exit status %d, want %d", got, exitInterrupted)
	}
}

func hangs(e *pagerdutytest.Emulator) bool {
	entries := e.Journal()
	return len(entries) > 0 && entries[len(entries)-1].Fault == pagerdutytest.FaultHang
}

// watched says when a text has gone through it.
type watched struct {
	w    io.Writer
	text string
	all  []byte
	once sync.Once
	seen chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	if w.all = append(w.all, p...); bytes.Contains(w.all, []byte(w.text)) {
		w.once.Do(func() { close(w.seen) })
	}
	return w.w.Write(p)
}

// eventually waits for a condition on the emulator.
func eventually(e *pagerdutytest.Emulator, condition func() bool) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		updated := e.Updated()
		if condition() {
			return true
		}
		select {
		case <-updated:
		case <-timer.C:
			return false
		}
	}
}

func injectFaults(ts *testscript.TestScript, args []string) {
	for _, text := range args {
		fault, err := pagerdutytest.ParseFault(text)
		ts.Check(err)
		emulatorOf(ts).Inject(fault)
	}
}

func wantIncident(ts *testscript.TestScript, args []string) {
	status, dedupKey := args[0], ""
	if len(args) > 1 {
		dedupKey = args[1]
	}
	is := "not there"
	found := eventually(emulatorOf(ts), func() bool {
		for _, incident := range emulatorOf(ts).Incidents() {
			if dedupKey == "" || incident.DedupKey == dedupKey {
				is = incident.Status
			}
		}
		return is == status
	})
	if !found {
		ts.Fatalf("the incident is %s, want %s", is, status)
	}
}

func wantCount(ts *testscript.TestScript, args []string, got int) {
	if len(args) != 1 || args[0] != strconv.Itoa(got) {
		ts.Fatalf("got %d, want %s", got, strings.Join(args, " "))
	}
}

func wantBody(ts *testscript.TestScript, neg bool, args []string) {
	entries := emulatorOf(ts).Journal()
	if len(entries) == 0 || len(args) != 1 {
		ts.Fatalf("no request came, or no pattern is given")
	}
	body := string(entries[len(entries)-1].Body)
	if regexp.MustCompile(args[0]).MatchString(body) == neg {
		ts.Fatalf("the body is %.2000s", body)
	}
}

// newHost brings a test that is no script to the emulator by PagerDuty's own
// name.
func newHost(t *testing.T) (e *pagerdutytest.Emulator, environ []string) {
	t.Helper()
	e = pagerdutytest.New(pagerdutytest.Options{Limit: -1})
	proxy, err := pagerdutytest.StartProxy(e, pagerdutytest.ProxyOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, proxy.CA().CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return e, []string{
		"PATH=" + binaries + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "TMPDIR=" + dir,
		"HTTPS_PROXY=" + proxy.URL(), "SSL_CERT_FILE=" + ca, "SSL_CERT_DIR=" + filepath.Join(dir, "none"),
	}
}
