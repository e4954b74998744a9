package shoutrrr

import (
	"runtime/debug"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/types"
)

// The last params stand above the others, in whatever case their names are.
func TestMergeParams(t *testing.T) {
	got := merge([]*types.Params{{"severity": "info", "source": "a"}, nil, {" Severity": "critical"}})
	if len(*got) != 2 || (*got)["severity"] != "critical" || (*got)["source"] != "a" {
		t.Errorf("got %v", *got)
	}
	if merge(nil) != nil {
		t.Error("no params became some")
	}
}

// A program can have this module by a replace alone; its requirement then names
// the version of another one.
func TestVersionUnderReplace(t *testing.T) {
	of := func(m debug.Module) string {
		m.Path = modulePath
		return versionOf(&debug.BuildInfo{Main: debug.Module{Path: "example.com/app", Version: "v9.9.9"}, Deps: []*debug.Module{&m}})
	}
	if got := of(debug.Module{Version: "v1.2.3"}); got != "v1.2.3" {
		t.Errorf("got %s", got)
	}
	if got := of(debug.Module{Version: "v0.8.0", Replace: &debug.Module{Path: "/src/shoutrrr"}}); got != "(devel)" {
		t.Errorf("replaced by a folder: got %s", got)
	}
	if got := of(debug.Module{Version: "v0.8.0", Replace: &debug.Module{Path: "example.com/ours", Version: "v1.2.3"}}); got != "v1.2.3" {
		t.Errorf("replaced by a module: got %s", got)
	}
}
