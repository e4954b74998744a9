package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// throughput compares events per second over TLS. The clients are processes of
// their own, so that neither shares its memory and garbage collector with the
// server or the other.
func throughput(s setting) error {
	dir, err := os.MkdirTemp("", "shoutrrr-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ca, err := pagerdutytest.NewAuthority(time.Now())
	if err != nil {
		return err
	}
	bundle, err := trustIn(dir, s.bundle, ca)
	if err != nil {
		return err
	}
	t := newTable(s.out, fmt.Sprintf("Events over TLS, %d at a time (%d rounds of %v)", parallelism, s.loads, s.loadFor))
	var opened []string
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		server, err := newReceiver(ca, protocol == "HTTP/2")
		if err != nil {
			return err
		}
		conns, err := compareLoads(s, t, protocol, server, environment(dir, bundle))
		server.Close()
		if err != nil {
			return err
		}
		opened = append(opened, conns...)
	}
	t.flush()
	fmt.Fprintln(s.out, "  connections opened:")
	for _, line := range opened {
		fmt.Fprintln(s.out, "    "+line)
	}
	return nil
}

// load is what one client did in all rounds.
type load struct {
	name        string
	rate, cpu   []float64 // events per second, CPU ns per event
	events      int64
	first, more int64 // connections opened while warming up, and after it
}

// compareLoads runs the clients in turn against the server.
func compareLoads(s setting, t table, protocol string, server *receiver, env []string) (opened []string, err error) {
	loads := make([]*load, len(clients))
	for i, c := range clients {
		loads[i] = &load{name: c.name}
	}
	order := slices.Clone(loads)
	for range s.loads {
		slices.Reverse(order) // whoever comes second in one round comes first in the next
		for _, l := range order {
			if err := l.run(s, server, env); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", protocol, l.name, err)
			}
		}
	}
	for i := 0; i+1 < len(loads); i += 2 { // each router stands before its counterpart
		ours, hand := loads[i], loads[i+1]
		what := protocol + ", " + strings.ReplaceAll(ours.name, "-", " ") + " / by hand"
		t.row(what+": events per second", ratiosOf(ours.rate, hand.rate), atLeast(0.95),
			fmt.Sprintf("%.0f / %.0f", median(ours.rate), median(hand.rate)))
		t.row(what+": CPU per event", ratiosOf(ours.cpu, hand.cpu), noGoal,
			fmt.Sprintf("%.0f µs / %.0f µs", median(ours.cpu)/1e3, median(hand.cpu)/1e3))
	}
	for _, l := range loads {
		opened = append(opened, fmt.Sprintf("%s, %s: %d in %d starts, then %d for %d events", protocol, l.name, l.first, s.loads, l.more, l.events))
	}
	return opened, nil
}

// run starts the client, lets it warm up, and has it send for the time given.
func (l *load) run(s setting, server *receiver, env []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.loadFor+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-load", l.name, "-target", server.Addr, "-load-for", s.loadFor.String())
	cmd.Env, cmd.Stderr = env, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	before := server.connections.Load()
	if err := cmd.Start(); err != nil {
		return err
	}
	answers := bufio.NewReader(out)
	if line, err := answers.ReadString('\n'); line != warm {
		return fmt.Errorf("the client did not warm up: %q: %w", line, errors.Join(err, cmd.Wait()))
	}
	warmed := server.connections.Load()
	if _, err := io.WriteString(in, "go\n"); err != nil {
		return err
	}
	var events, elapsed, cpu int64
	if _, err := fmt.Fscan(answers, &events, &elapsed, &cpu); err != nil {
		return fmt.Errorf("the client printed no figures: %w", err)
	}
	l.first += warmed - before
	l.more += server.connections.Load() - warmed
	l.events += events
	l.rate = append(l.rate, float64(events)/float64(elapsed)*1e9)
	l.cpu = append(l.cpu, float64(cpu)/float64(events))
	return cmd.Wait()
}
