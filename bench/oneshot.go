package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

const (
	droppedRounds = 5 // until the files are in the page cache
	sizeGoal      = 8_000_000
)

// cost is what a run of a program took, one entry for each round.
type cost struct {
	wall, cpu, memory []float64 // ns, ns, KiB
}

// contender is one of the programs that are run in turn.
type contender struct {
	name string
	args []string
	cost
}

// oneShot measures programs that send one event over TLS and end.
func oneShot(s setting) error {
	dir, err := os.MkdirTemp("", "shoutrrr-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(dir, s.command); err != nil {
		return err
	}
	ca, err := pagerdutytest.NewAuthority(time.Now())
	if err != nil {
		return err
	}
	server, err := newReceiver(ca, true)
	if err != nil {
		return err
	}
	defer server.Close()
	bundle, err := trustIn(dir, s.bundle, ca)
	if err != nil {
		return err
	}
	env := environment(dir, bundle)
	contenders, err := line(dir, bundle, env, server)
	if err != nil {
		return err
	}
	for round := range s.rounds + droppedRounds {
		if round == droppedRounds {
			for _, c := range contenders {
				c.cost = cost{}
			}
		}
		for _, c := range contenders {
			if err := c.run(dir, env); err != nil {
				return err
			}
		}
	}
	return reportOneShot(s, dir, contenders)
}

// usualFlags are the flags with which people build what should be small.
var usualFlags = []string{"-trimpath", "-ldflags=-s -w"}

// build makes the programs: shoutrrr as it is shipped, unless one is given, and
// all others, shoutrrr once more among them, with the usual flags.
func build(dir, shoutrrr string) error {
	if shoutrrr == "" {
		if err := start("..", "make", "--silent", "build"); err != nil {
			return err
		}
		shoutrrr = "../bin/shoutrrr"
	}
	if err := copyProgram(filepath.Join(dir, "shoutrrr"), shoutrrr); err != nil {
		return err
	}
	for _, p := range []struct{ name, from, pkg string }{
		{"minimal", ".", "./minimal"},
		{"launch", ".", "./launch"},
		{"usual", "..", "./cmd/shoutrrr"}, // its own module has its dependencies
	} {
		args := append([]string{"build", "-o", filepath.Join(dir, p.name)}, usualFlags...)
		if err := start(p.from, "go", append(args, p.pkg)...); err != nil {
			return err
		}
	}
	return nil
}

// start runs a command of the build.
func start(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s (the benchmark runs in the folder bench): %w", cmd, err)
	}
	return nil
}

func copyProgram(to, from string) error {
	program, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, program, 0o700)
}

// line lines the programs up and makes sure that they send the same: shoutrrr
// goes first, minimal gets the dedup key that shoutrrr derived, and curl its
// whole body.
func line(dir, bundle string, env []string, server *receiver) ([]*contender, error) {
	send := []string{"send", "-u", "pagerduty://" + server.Addr + "/" + integrationKey, "-m", message}
	shoutrrr := &contender{name: "shoutrrr", args: append([]string{filepath.Join(dir, "shoutrrr")}, send...)}
	usual := &contender{name: "usual", args: append([]string{filepath.Join(dir, "usual")}, send...)}
	if err := shoutrrr.run(dir, env); err != nil {
		return nil, err
	}
	body := server.Last()
	var sent struct {
		DedupKey string `json:"dedup_key"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, fmt.Errorf("shoutrrr sent %s: %w", body, err)
	}
	url := "https://" + server.Addr + "/v2/enqueue"
	minimal := &contender{name: "minimal", args: []string{
		filepath.Join(dir, "minimal"), url, integrationKey, sent.DedupKey, message,
	}}
	if err := minimal.run(dir, env); err != nil {
		return nil, err
	}
	if err := sameEvent(body, server.Last()); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "event.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return nil, err
	}
	all := []*contender{shoutrrr, usual, minimal}
	if path, err := exec.LookPath("curl"); err == nil {
		all = append(all, &contender{name: "curl", args: []string{
			path, "--silent", "--show-error", "--fail", "--cacert", bundle, "--output", os.DevNull,
			"--header", "Content-Type: application/json", "--data-binary", "@" + file, url,
		}})
	}
	return all, nil
}

// sameEvent compares two bodies but for the time of the call.
func sameEvent(a, b []byte) error {
	var events [2]map[string]any
	for i, body := range [][]byte{a, b} {
		if err := json.Unmarshal(body, &events[i]); err != nil {
			return fmt.Errorf("%s: %w", body, err)
		}
		if payload, ok := events[i]["payload"].(map[string]any); ok {
			delete(payload, "timestamp")
		}
	}
	if !reflect.DeepEqual(events[0], events[1]) {
		return fmt.Errorf("the programs do not send the same:\n%s\n%s", a, b)
	}
	return nil
}

// run runs the program once and adds what it took.
func (c *contender) run(dir string, env []string) error {
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join(dir, "launch"), c.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	var wall, cpu, memory float64
	if _, err := fmt.Fscan(&out, &wall, &cpu, &memory); err != nil {
		return fmt.Errorf("%s: launch printed no figures: %w", c.name, err)
	}
	c.wall, c.cpu, c.memory = append(c.wall, wall), append(c.cpu, cpu), append(c.memory, memory)
	return nil
}

func reportOneShot(s setting, dir string, all []*contender) error {
	ours, usual, minimal := all[0], all[1], all[2]
	t := newTable(s.out, fmt.Sprintf("One event over TLS, process start included (%d rounds)", s.rounds))
	compare := func(what string, a, b []float64, g goal, unit float64, name string) {
		t.row(what, ratiosOf(a, b), g, fmt.Sprintf("%.1f %s / %.1f %s", median(a)/unit, name, median(b)/unit, name))
	}
	against := func(other *contender, wall, cpu, memory goal) {
		what := "shoutrrr / " + other.name
		compare(what+": wall", ours.wall, other.wall, wall, 1e6, "ms")
		compare(what+": CPU", ours.cpu, other.cpu, cpu, 1e6, "ms")
		compare(what+": peak memory", ours.memory, other.memory, memory, 1024, "MiB")
	}
	against(minimal, atMost(0.7), atMost(0.7), atMost(1))
	if len(all) > 3 {
		against(all[3], atMost(1), atMost(1), noGoal)
	}
	against(usual, noGoal, noGoal, noGoal)
	if err := compareSizes(t, dir); err != nil {
		return err
	}
	t.flush()
	fmt.Fprintln(s.out, "  usual: shoutrrr built with the flags of minimal instead of those of make build")
	if len(all) == 3 {
		fmt.Fprintln(s.out, "  there is no curl on this machine")
	}
	return nil
}

func compareSizes(t table, dir string) error {
	sizes := make(map[string]float64)
	for _, name := range []string{"shoutrrr", "usual", "minimal"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		sizes[name] = float64(info.Size())
	}
	ours := sizes["shoutrrr"]
	t.row("size / 8,000,000 bytes", ratios{ours / sizeGoal}, atMost(1), fmt.Sprintf("%.0f bytes", ours))
	for _, name := range []string{"minimal", "usual"} {
		t.row("size / "+name, ratios{ours / sizes[name]}, noGoal, fmt.Sprintf("%.0f bytes", sizes[name]))
	}
	return nil
}
