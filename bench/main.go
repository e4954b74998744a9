// Bench measures what shoutrrr costs against doing the same by hand, and prints
// ratios: below 1 shoutrrr is cheaper. What is compared is measured in turn, in
// one run, so that a busy machine disturbs both alike. README.md tells more.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// setting is what the flags say.
type setting struct {
	rounds  int           // of the one-shot programs
	bundle  string        // the system's CA certificates
	command string        // a shoutrrr that is built already
	loads   int           // rounds of the TLS throughput
	loadFor time.Duration // of one of them
	rows    int           // of a long queue
	lanes   int           // of a relay with many
	peak    time.Duration // how long most requests fail, of the half-dead day
	then    time.Duration // and how long some do
	full    bool          // both as long as they were
	before  string        // the commit of an older relay to compare with
	seed    uint64        // of that day's events and faults
	plot    string        // the file for its plot
	out     io.Writer
}

// sections are the parts of the report, in their order.
var sections = []struct {
	name  string
	run   func(setting) error
	asked bool // only if it is asked for
}{
	{"oneshot", oneShot, false},
	{"library", library, false},
	{"kept", keptRouter, false},
	{"tls", throughput, false},
	{"relay", relaySection, false},
	{"limit", limitSection, false},
	{"hedge", hedgeSection, false},
	{"view", viewSection, false},
	{"august", augustSection, true},
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	s := setting{out: out}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "comma-separated sections: oneshot, library, kept, tls, relay, limit, hedge, view, august (default all but august)")
	load := flags.String("load", "", "what the benchmark starts itself with: be the client named so")
	target := flags.String("target", "", "with -load: host:port of the server")
	flags.IntVar(&s.rounds, "rounds", 60, "rounds of the one-shot programs, the first 5 dropped")
	flags.StringVar(&s.bundle, "bundle", "/etc/ssl/certs/ca-certificates.crt", "the system's CA certificates")
	flags.StringVar(&s.command, "shoutrrr", "", "measure this program instead of building cmd/shoutrrr")
	serve := flags.String("serve", "", "what the benchmark starts itself with: be the server named so")
	flags.IntVar(&s.rows, "rows", 1_000_000, "events in a long queue of the relay")
	flags.IntVar(&s.lanes, "lanes", 10_000, "lanes of a relay with many")
	flags.IntVar(&s.loads, "loads", 15, "rounds of the TLS and relay throughput")
	flags.DurationVar(&s.loadFor, "load-for", 500*time.Millisecond, "how long each of them sends")
	flags.DurationVar(&s.peak, "peak", 5*time.Minute, "august: how long 95 % of requests fail")
	flags.DurationVar(&s.then, "then", 5*time.Minute, "august: how long 18 % of them fail after that")
	flags.BoolVar(&s.full, "full", false, "august: 38 and 130 minutes, as it was")
	flags.StringVar(&s.before, "before", "", "august: `commit` of an older relay to run beside the others")
	flags.Uint64Var(&s.seed, "seed", 1, "august: of events and faults")
	flags.StringVar(&s.plot, "plot", "", "august: `file` for a plot, as SVG")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *serve != "" {
		return serveOwn(*serve, *target, out)
	}
	if *load != "" {
		return runLoad(*load, *target, s.loadFor, os.Stdin, out)
	}
	for _, section := range sections {
		if *only == "" && section.asked || *only != "" && !strings.Contains(","+*only+",", ","+section.name+",") {
			continue
		}
		if err := section.run(s); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	return nil
}
