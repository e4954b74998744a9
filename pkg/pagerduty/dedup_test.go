package pagerduty

import (
	"fmt"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

func TestDerivedKeyIsStable(t *testing.T) {
	p := eventsv2.Payload{Source: "db-1", Class: "c", Component: "p", Group: "g", Summary: "Disk full", Severity: "info"}
	// A golden value: another one would open a second incident for each that is
	// open when a program is upgraded.
	const want = "shoutrrr-sg76s7nawlcpr42rdyrd2t2jgu"
	if got := derivedKey(&p); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	worse := p
	worse.Severity, worse.CustomDetails = "critical", eventsv2.Details{}.With("a", "b")
	if derivedKey(&worse) != want {
		t.Error("severity or details change the key")
	}
	seen := map[string]string{want: "all"}
	for name, change := range map[string]func(*eventsv2.Payload){
		"source":    func(p *eventsv2.Payload) { p.Source = "db-2" },
		"class":     func(p *eventsv2.Payload) { p.Class = "" },
		"component": func(p *eventsv2.Payload) { p.Component = "" },
		"group":     func(p *eventsv2.Payload) { p.Group = "" },
		"summary":   func(p *eventsv2.Payload) { p.Summary = "Disk broken" },
		"border":    func(p *eventsv2.Payload) { p.Class, p.Component = "cp", "" },
	} {
		other := p
		change(&other)
		if twin, taken := seen[derivedKey(&other)]; taken {
			t.Errorf("%s and %s have the same key", name, twin)
		}
		seen[derivedKey(&other)] = name
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
