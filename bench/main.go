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
	out     io.Writer
}

// sections are the parts of the report, in their order.
var sections = []struct {
	name string
	run  func(setting) error
}{
	{"oneshot", oneShot},
	{"library", library},
	{"kept", keptRouter},
	{"tls", throughput},
	{"relay", relaySection},
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
	only := flags.String("only", "", "comma-separated sections: oneshot, library, kept, tls, relay (default all)")
	load := flags.String("load", "", "what the benchmark starts itself with: be the client named so")
	target := flags.String("target", "", "with -load: host:port of the server")
	flags.IntVar(&s.rounds, "rounds", 60, "rounds of the one-shot programs, the first 5 dropped")
	flags.StringVar(&s.bundle, "bundle", "/etc/ssl/certs/ca-certificates.crt", "the system's CA certificates")
	flags.StringVar(&s.command, "shoutrrr", "", "measure this program instead of building cmd/shoutrrr")
	serve := flags.String("serve", "", "what the benchmark starts itself with: be the server named so")
	flags.IntVar(&s.rows, "rows", 1_000_000, "events in a long queue of the relay")
	flags.IntVar(&s.loads, "loads", 15, "rounds of the TLS and relay throughput")
	flags.DurationVar(&s.loadFor, "load-for", 500*time.Millisecond, "how long each of them sends")
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
		if *only != "" && !strings.Contains(","+*only+",", ","+section.name+",") {
			continue
		}
		if err := section.run(s); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	return nil
}
