package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/spf13/cobra"
)

const execExamples = `  shoutrrr sandbox exec -- ./backup.sh
  shoutrrr sandbox exec --fault 429:retry-after=1 -- shoutrrr send -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889' -m 'Disk full'
  shoutrrr sandbox exec -- curl -sS -H 'Content-Type: application/json' https://events.pagerduty.com/v2/enqueue -d '{"routing_key":"eb243592faa24ba2a5511afdf565c889","event_action":"trigger","payload":{"summary":"Disk full","source":"db-1","severity":"error"}}'`

const execLong = `Run a program with the emulator in the place of PagerDuty. Its URLs stay as they are: it
reaches events.pagerduty.com and events.eu.pagerduty.com by a proxy that ends TLS with a
certificate authority of this run; other hosts are passed through. It works for programs
that read HTTPS_PROXY, and for Node.js. The incidents are told at the end on standard
error, and at the address in SHOUTRRR_SANDBOX while it runs. The exit status is the
program's. Other users of this machine can use neither the proxy nor that address: both
need a token that only the program gets, in HTTPS_PROXY and SHOUTRRR_SANDBOX.

A shoutrrr send in it remembers its incidents in a folder that is removed at the end, so
that a rehearsal is never mistaken for a page; --keep-state gives it the real one.`

// The exit statuses that shells and env have for a program that does not start.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128 // and the number of the signal
)

// rehearsal is what shoutrrr sandbox exec was told.
type rehearsal struct {
	emulation
	keepState bool
}

func newSandboxExec(sys *system) *cobra.Command {
	r := &rehearsal{}
	cmd := &cobra.Command{
		Use:     "exec [flags] -- COMMAND [ARGUMENT...]",
		Short:   "Run a program with the emulator in the place of PagerDuty",
		Long:    execLong,
		Example: execExamples,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which program? see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return r.run(sys, args)
		},
	}
	cmd.Flags().SetInterspersed(false) // the program's flags are its own
	cmd.Flags().BoolVar(&r.keepState, "keep-state", false, "let shoutrrr in it use the real folder of open incidents")
	r.addFlags(cmd)
	return cmd
}

// run has no context: what a signal means is for the program to say.
func (r *rehearsal) run(sys *system, args []string) error {
	emulator, err := r.emulator()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shoutrrr-sandbox-") // mode 0700
	if err != nil {
		return failf(exitMachine, "the sandbox needs a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir) // a leftover holds nothing secret
	token := newToken()
	proxy, err := pagerdutytest.StartProxy(emulator, pagerdutytest.ProxyOptions{Token: token})
	if err != nil {
		return failf(exitUnreachable, "the sandbox needs a port of 127.0.0.1: %w", err)
	}
	defer proxy.Close() // ends connections: there is nothing to lose
	server, err := pagerdutytest.StartServer(emulator, pagerdutytest.ServerOptions{Token: token})
	if err != nil {
		return failf(exitUnreachable, "the sandbox needs a port of 127.0.0.1: %w", err)
	}
	defer server.Close()
	p := place{
		dir: dir, proxyURL: proxy.URL(), tlsAddress: proxy.TLSAddr(), greeting: proxy.TLSGreeting(), pageURL: server.TokenURL(), token: token,
		ca: proxy.CA().CertPEM(), keepState: r.keepState,
	}
	environ, err := p.environ(sys)
	if err != nil {
		return failf(exitMachine, "the sandbox cannot be set up: %w", err)
	}
	status, err := runChild(sys, environ, args)
	if err != nil {
		return err
	}
	summarize(sys, emulator)
	return told(status)
}

// newToken makes what the program in the sandbox knows and no other user of this machine.
func newToken() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	return hex.EncodeToString(random[:])
}

// runChild runs the program to its end and returns its exit status.
func runChild(sys *system, environ, args []string) (int, error) {
	// The program is looked up in our PATH, as env does.
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, sys.stdin, sys.stdout, sys.stderr
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, startError(args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if !reachesChildren(s) {
				_ = cmd.Process.Signal(s) // it may have ended already
			}
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, failf(exitMachine, "%s: %w", args[0], err)
			}
			return childStatus(cmd.ProcessState), nil
		}
	}
}

func startError(name string, err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return failf(exitNotFound, "there is no program %s: check its name and PATH", name)
	}
	return failf(exitNotExecutable, "%s cannot be run: %w", name, withoutPath(err))
}

// summarize tells what the program did to PagerDuty.
func summarize(sys *system, emulator *pagerdutytest.Emulator) {
	say := func(format string, args ...any) {
		_, _ = fmt.Fprintf(sys.stderr, format, args...) // what counts is the program's own output
	}
	entries, incidents := emulator.Journal(), emulator.Incidents()
	say("shoutrrr sandbox: %s, %s\n", counted(len(entries), "request"), counted(len(incidents), "incident"))
	var keys redact.Set
	for _, entry := range entries {
		key, _ := readable(entry)
		keys.Add(key)
	}
	for _, entry := range entries {
		say("  %s\n", keys.Hide(requestLine(entry)))
	}
	for _, incident := range incidents {
		say("%s", keys.Hide(incidentText(incident)))
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
