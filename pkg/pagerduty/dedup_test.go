package pagerduty

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

func TestDerivedKeyIsStable(t *testing.T) {
	with := func(change func(*Config)) *Config {
		c := &Config{Source: "db-1", SourceGiven: true, Class: "c", Component: "p", Group: "g", Title: "Backup", Severity: "info"}
		change(c)
		return c
	}
	same := func(*Config) {}
	// A golden value: another one would open a second incident for each that is
	// open when a program is upgraded.
	const want = "shoutrrr-huwyhxue2n7lgufux6qi23b2oa"
	if got := derivedKey(with(same), "Disk full", "vm-1"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, c := range map[string]*Config{
		"severity": with(func(c *Config) { c.Severity = "critical" }),
		"details":  with(func(c *Config) { c.Details = eventsv2.Details{}.With("a", "b") }),
		"action":   with(func(c *Config) { c.Action = eventsv2.Resolve }),
	} {
		if derivedKey(c, "Disk full", "vm-1") != want {
			t.Errorf("the %s changes the key", name)
		}
	}
	if derivedKey(with(same), "Disk full", "vm-2") != want || derivedKey(with(same), "\nDisk full\n", "vm-1") != want {
		t.Error("the machine beside a source, or white space, changes the key")
	}
	seen := map[string]string{want: "all"}
	for name, other := range map[string]string{
		"source":            derivedKey(with(func(c *Config) { c.Source = "db-2" }), "Disk full", "vm-1"),
		"class":             derivedKey(with(func(c *Config) { c.Class = "" }), "Disk full", "vm-1"),
		"component":         derivedKey(with(func(c *Config) { c.Component = "" }), "Disk full", "vm-1"),
		"group":             derivedKey(with(func(c *Config) { c.Group = "" }), "Disk full", "vm-1"),
		"border":            derivedKey(with(func(c *Config) { c.Class, c.Component = "cp", "" }), "Disk full", "vm-1"),
		"title":             derivedKey(with(func(c *Config) { c.Title = "" }), "Disk full", "vm-1"),
		"message":           derivedKey(with(same), "Disk broken", "vm-1"),
		"second line":       derivedKey(with(same), "Disk full\n/var", "vm-1"),
		"other second line": derivedKey(with(same), "Disk full\n/home", "vm-1"),
		"long":              derivedKey(with(same), strings.Repeat("x", 2000), "vm-1"),
		"longer":            derivedKey(with(same), strings.Repeat("x", 2001), "vm-1"),
		"machine":           derivedKey(with(func(c *Config) { c.Source, c.SourceGiven = "default", false }), "Disk full", "vm-1"),
		"other machine":     derivedKey(with(func(c *Config) { c.Source, c.SourceGiven = "default", false }), "Disk full", "vm-2"),
		"given default":     derivedKey(with(func(c *Config) { c.Source = "default" }), "Disk full", "vm-2"),
	} {
		if twin, taken := seen[other]; taken {
			t.Errorf("%s and %s have the same key", name, twin)
		}
		seen[other] = name
	}
}

// Rendezvous hashing: the order of the keys does not matter, a key that goes
// moves only what it had, and each gets its share.
func TestChooseKey(t *testing.T) {
	all := mustParse(t, "pagerduty:///11111111111111111111111111111111,22222222222222222222222222222222,33333333333333333333333333333333").Keys
	turned := []eventsv2.Key{all[2], all[0], all[1]}
	share := make([]int, 3)
	for i := range 3000 {
		dedup := fmt.Sprintf("web/%d", i)
		chosen := eventsv2.Rendezvous(all, dedup)
		share[chosen]++
		if !turned[eventsv2.Rendezvous(turned, dedup)].Equal(all[chosen]) {
			t.Fatalf("%s: the order of the keys matters", dedup)
		}
		if chosen != 2 && eventsv2.Rendezvous(all[:2], dedup) != chosen {
			t.Fatalf("%s: moved although its key stayed", dedup)
		}
	}
	for i, n := range share {
		if n < 850 || n > 1150 {
			t.Errorf("key %d got %d of 3000", i, n)
		}
	}
	// A golden choice: another one would send resolves where no incident is.
	if got := eventsv2.Rendezvous(all, "web/1"); got != 1 {
		t.Errorf("web/1 goes to key %d", got)
	}
}
