package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/spf13/cobra"
)

const sandboxExamples = `  shoutrrr sandbox
  shoutrrr sandbox --listen 127.0.0.1:0 --fault 429:retry-after=2:count=3 --fault reset-after
  shoutrrr sandbox --listen 127.0.0.1:0 --tls --ca-file sandbox-ca.pem
  shoutrrr sandbox exec -- ./backup.sh`

const sandboxLong = `Serve an emulator of PagerDuty's Events API v2, until Ctrl-C. It is stricter than
PagerDuty, forgets all at its end, and shows its incidents on a page at its address;
as JSON at /sandbox/incidents and /sandbox/journal. POST /sandbox/faults injects faults,
POST /sandbox/reset forgets all. Each event is told in one line.

A fault is latency, hang, reset-before, reset-after, half-body, goaway, 429-retry-after
or an HTTP status, with options behind colons: 429:retry-after=2:count=3,
500:probability=0.05, latency:delay=300ms, 503:action=resolve. count=-1 is for ever.`

// sandboxKey stands in the URL that is printed. The emulator takes any key.
const sandboxKey = "0123456789abcdef0123456789abcdef"

const sandboxAddress = "127.0.0.1:9480"

// emulation is how the emulator should behave.
type emulation struct {
	limit   int
	lenient bool
	seed    uint64
	faults  []string
}

func (e *emulation) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&e.limit, "limit", pagerdutytest.DocumentedLimit, "`events` per key accepted in any 60 s, PagerDuty's own figure if unset; negative: no limit")
	flags.BoolVar(&e.lenient, "lenient", false, "take what PagerDuty itself would let pass, such as unknown members")
	flags.Uint64Var(&e.seed, "seed", 0, "`number` that decides which requests meet a fault that has a probability")
	flags.StringArrayVar(&e.faults, "fault", nil, "`fault` that requests meet, in this order (repeatable)")
	mustComplete(cmd, "fault", oneOf("429-retry-after", "500", "503", "reset-before", "reset-after", "latency:delay=1s", "hang", "half-body", "goaway"))
}

// emulator makes the emulator, its faults waiting.
func (e *emulation) emulator() (*pagerdutytest.Emulator, error) {
	if e.limit == 0 {
		return nil, usagef("--limit 0 would accept nothing: give a number of events, or a negative one for no limit")
	}
	var faults []pagerdutytest.Fault
	for _, text := range e.faults {
		fault, err := pagerdutytest.ParseFault(text)
		if err != nil {
			return nil, usagef("--fault: %w", err)
		}
		faults = append(faults, fault)
	}
	emulator := pagerdutytest.New(pagerdutytest.Options{
		Limit: e.limit, Lenient: e.lenient, Seed: e.seed, MaxEntries: 10_000,
	})
	emulator.Inject(faults...)
	return emulator, nil
}

// serving is what shoutrrr sandbox was told.
type serving struct {
	emulation
	listen string
	remote bool
	tls    bool
	caFile string
}

func newSandbox(sys *system) *cobra.Command {
	s := &serving{}
	cmd := &cobra.Command{
		Use:     "sandbox",
		Short:   "Serve an emulator of PagerDuty, or run a program in it",
		Long:    sandboxLong,
		Example: sandboxExamples,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.Context(), sys)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.listen, "listen", sandboxAddress, "`address` to listen on; port 0 takes a free one")
	flags.BoolVar(&s.remote, "allow-remote", false, "listen also where other machines can reach it")
	flags.BoolVar(&s.tls, "tls", false, "serve HTTPS, with a certificate authority of its own")
	flags.StringVar(&s.caFile, "ca-file", "sandbox-ca.pem", "`file` that gets its certificate, with --tls")
	s.addFlags(cmd)
	mustComplete(cmd, "listen", nothing)
	cmd.AddCommand(newSandboxExec(sys))
	return cmd
}

func (s *serving) run(ctx context.Context, sys *system) error {
	if err := s.checkAddress(); err != nil {
		return err
	}
	emulator, err := s.emulator()
	if err != nil {
		return err
	}
	options := pagerdutytest.ServerOptions{Listen: s.listen, TLS: s.tls, ErrorLog: log.New(sys.stderr, "shoutrrr sandbox: ", 0)}
	if s.tls {
		if options.CA, err = s.authority(); err != nil {
			return err
		}
	}
	server, err := pagerdutytest.StartServer(emulator, options)
	if err != nil {
		return failf(exitUnreachable, "cannot listen on %s: %w; --listen 127.0.0.1:0 takes a free port", s.listen, withoutAddress(err))
	}
	defer server.Close()
	if err := s.greet(sys, server); err != nil {
		return err
	}
	newEventLog(sys.stderr, emulator).follow(ctx)
	return nil
}

// checkAddress refuses an address that other machines reach: the emulator shows
// all that it gets to everybody who asks.
func (s *serving) checkAddress() error {
	host, port, err := net.SplitHostPort(s.listen)
	if err != nil {
		return usagef("--listen %s is no address: give host:port, such as %s", s.listen, sandboxAddress)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return usagef("--listen %s: the port must be a number from 0 to 65535", s.listen)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() || s.remote {
		return nil
	}
	return usagef("--listen %s would let other machines read the events: give an address of 127.0.0.1, or --allow-remote", s.listen)
}

// authority makes a certificate authority and leaves its certificate in the file.
func (s *serving) authority() (*pagerdutytest.Authority, error) {
	authority, err := pagerdutytest.NewAuthority(time.Now())
	if err != nil {
		return nil, err
	}
	old, err := os.ReadFile(s.caFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, failf(exitMachine, "--ca-file %s cannot be written: %w", s.caFile, withoutPath(err))
	case !isSandboxCA(old):
		return nil, usagef("--ca-file %s holds something else, which is not overwritten: name another file", s.caFile)
	}
	// Clients that run as other users have to read it; it is no secret.
	if err := os.WriteFile(s.caFile, authority.CertPEM(), 0o644); err != nil {
		return nil, failf(exitMachine, "--ca-file %s cannot be written: %w", s.caFile, withoutPath(err))
	}
	return authority, nil
}

// isSandboxCA knows the certificate that an earlier sandbox left, alone in its
// file.
func isSandboxCA(file []byte) bool {
	block, rest := pem.Decode(file)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return len(bytes.TrimSpace(file)) == 0
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && cert.Subject.CommonName == "shoutrrr sandbox CA"
}

func (s *serving) greet(sys *system, server *pagerdutytest.Server) error {
	notify(sys.stderr, "sandbox: ", "any key of 32 hexadecimal digits will do; incidents at "+server.URL()+"/; Ctrl-C ends it")
	if s.tls {
		notify(sys.stderr, "sandbox: ", "clients trust it with SSL_CERT_FILE="+shellQuoted(s.caFile))
	}
	_, err := fmt.Fprintln(sys.stdout, server.ServiceURL(sandboxKey)) // last: programs wait for it
	return err
}

// withoutAddress is why listening failed, without where, which stands before it
// already.
func withoutAddress(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		var call *os.SyscallError
		if errors.As(op.Err, &call) {
			return call.Err
		}
		return op.Err
	}
	return err
}
