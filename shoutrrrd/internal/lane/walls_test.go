package lane_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// No decision and no status shows an integration key, however it is printed.
func TestNoKeyIsShown(t *testing.T) {
	const text = "0123456789abcdef0123456789abcdef"
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	core := lane.New(lane.Options{})
	decisions := core.Step(epoch, lane.Opened{Lane: queue.Lane{ID: 1, Key: key}, Host: "pagerduty", Limit: 60})
	decisions = append(decisions, core.Step(epoch, lane.Arrived{Lane: 1, Rank: queue.Critical})...)
	e := queue.Event{ID: 1, Lane: 1, Action: eventsv2.Trigger, Fresh: epoch}
	decisions = append(decisions, core.Step(epoch, lane.Claimed{Token: 1, Taken: []lane.Taken{{Taken: queue.Taken{Events: []queue.Event{e}}}}})...)
	decisions = append(decisions, core.Step(epoch, lane.Answered{Lane: 1, ID: 1, Err: &eventsv2.Error{Status: 429}})...)
	decisions = append(decisions, core.Step(epoch, lane.Answered{Lane: 1, ID: 1})...) // with a trace of all that
	var shown strings.Builder
	saves := 0
	for _, d := range decisions {
		if _, ok := d.(lane.Save); ok {
			saves++
		}
		fmt.Fprintf(&shown, "%v %+v %#v\n", d, d, d)
	}
	fmt.Fprintf(&shown, "%+v", core.Statuses(epoch))
	if saves == 0 {
		t.Error("there was no decision with a key in it")
	}
	keyleak.Check(t, text, keyleak.Text("decisions", shown.String()))
}

// The core has no clock, no randomness but its seed's, no I/O and no threads.
func TestImports(t *testing.T) {
	allowed := map[string]bool{
		"container/heap": true, "container/list": true, "context": true, "errors": true, "fmt": true, "maps": true, "math": true, "math/rand/v2": true, "net/http": true, "slices": true, "strings": true, "time": true,
		"github.com/containrrr/shoutrrr/pkg/eventsv2":             true,
		"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue": true,
	}
	banned := []string{
		"time.Now", "time.Since", "time.Until", "time.After(", "time.Tick(", "time.NewTimer", "time.NewTicker", "time.Sleep",
		"rand.Int", "rand.Float", "rand.N(", "rand.Perm", "rand.Shuffle", "rand.Uint", "http.Get", "http.Client", "http.Default", "go func",
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if path.Ext(f.Name()) != ".go" || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			if name, _ := strconv.Unquote(i.Path.Value); !allowed[name] {
				t.Errorf("%s imports %s", f.Name(), name)
			}
		}
		for _, word := range banned {
			if strings.Contains(string(text), word) {
				t.Errorf("%s says %s", f.Name(), word)
			}
		}
	}
}
