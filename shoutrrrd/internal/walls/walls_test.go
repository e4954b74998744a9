package walls

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	daemon = "github.com/containrrr/shoutrrr/shoutrrrd"
	root   = "github.com/containrrr/shoutrrr"
)

// walls names every package of the daemon and what of ours it may import outside
// its tests: its own packages below internal/, and those of the root module.
var walls = map[string][]string{
	"internal/queue":           {root + "/pkg/eventsv2"}, // for the key, which hides itself
	"internal/queue/sqlite":    {"internal/queue", root + "/pkg/eventsv2"},
	"internal/queue/queuetest": {"internal/queue", root + "/pkg/eventsv2"},
	"internal/lane":            {"internal/queue", root + "/pkg/eventsv2"},
	"internal/relay":           {"internal/lane", "internal/queue", root + "/pkg/eventsv2"},
	"internal/door":            {},
	"internal/intake":          {"internal/queue", root + "/pkg/eventsv2"},
	"internal/admin":           {"internal/door", "internal/lane", "internal/queue", root + "/pkg/eventsv2"},
	"internal/settings":        {root + "/pkg/eventsv2"},
	"internal/walls":           {},
	"": {
		"internal/admin", "internal/door", "internal/intake", "internal/lane", "internal/queue", "internal/queue/sqlite", "internal/relay",
		"internal/settings", root + "/pagerdutytest", root + "/pkg/eventsv2",
	},
}

// banned are names that say nothing about what a package provides.
var banned = []string{"util", "utils", "common", "helper", "helpers", "models", "config"}

// impure is what the lanes' core may not import: it would not replay any more.
var impure = []string{"os", "net", "net/url", "sync", "sync/atomic", "database/sql", "log", "log/slog", "crypto/rand", "io"}

// listed is the part of `go list -json` that the walls need.
type listed struct {
	ImportPath, Name, Dir string
	GoFiles, Imports      []string
}

// breaches lists every wall that a package breaks.
func breaches(p listed) []string {
	var found []string
	name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, daemon), "/")
	if slices.Contains(banned, p.Name) || slices.Contains(banned, path.Base(p.ImportPath)) {
		found = append(found, fmt.Sprintf("%s: its name says nothing about what it provides", p.ImportPath))
	}
	allowed, known := walls[name]
	if !known {
		return append(found, fmt.Sprintf("%s: no wall: give it a line in the table", p.ImportPath))
	}
	for _, imported := range p.Imports {
		target := imported
		if below, ours := strings.CutPrefix(imported, daemon+"/"); ours {
			target = below
		} else if imported != root && !strings.HasPrefix(imported, root+"/") {
			if name == "internal/lane" && slices.Contains(impure, imported) {
				found = append(found, fmt.Sprintf("%s imports %s: the core would not replay", p.ImportPath, imported))
			}
			continue
		}
		if !slices.Contains(allowed, target) {
			found = append(found, fmt.Sprintf("%s imports %s", p.ImportPath, imported))
		}
	}
	return found
}

// calls gives the places in a file where one of the functions is named, as
// "time.Sleep", and where a goroutine begins, as "go".
func calls(filename string, src any, names ...string) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, filename, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	note := func(n ast.Node, name string) {
		if slices.Contains(names, name) {
			found = append(found, fmt.Sprintf("%s: %s", set.Position(n.Pos()), name))
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			note(n, "go")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				note(n, x.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found, nil
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-buildvcs=false", "-json=ImportPath,Name,Dir,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestWalls(t *testing.T) {
	all := list(t)
	for name := range walls {
		if !slices.ContainsFunc(all, func(p listed) bool { return p.ImportPath == path.Join(daemon, name) }) {
			t.Errorf("there is no package %q: take its line out of the table", name)
		}
	}
	for _, p := range all {
		for _, breach := range breaches(p) {
			t.Error(breach)
		}
		wanted := []string{"time.Sleep"}
		if strings.HasSuffix(p.ImportPath, "/internal/lane") {
			wanted = append(wanted, "time.Now", "time.Since", "time.After", "rand.Float64", "rand.Int", "rand.IntN", "go")
		}
		for _, name := range p.GoFiles {
			found, err := calls(filepath.Join(p.Dir, name), nil, wanted...)
			if err != nil {
				t.Error(err)
			}
			for _, place := range found {
				t.Errorf("%s has no place here", place)
			}
		}
	}
}

func TestWallsAreSeenToBreak(t *testing.T) {
	for _, c := range []struct {
		name string
		pkg  listed
		want string // "" for none
	}{
		{"allowed", listed{ImportPath: daemon + "/internal/relay", Name: "relay", Imports: []string{"time", daemon + "/internal/lane"}}, ""},
		{"the core has a clock of its own", listed{ImportPath: daemon + "/internal/lane", Name: "lane", Imports: []string{"os"}}, "would not replay"},
		{"the front door knows the scheduler", listed{ImportPath: daemon + "/internal/intake", Name: "intake", Imports: []string{daemon + "/internal/relay"}}, "imports"},
		{"the queue knows the emulator", listed{ImportPath: daemon + "/internal/queue", Name: "queue", Imports: []string{root + "/pagerdutytest"}}, "imports"},
		{"new package", listed{ImportPath: daemon + "/internal/postgres", Name: "postgres"}, "no wall"},
		{"named for nothing", listed{ImportPath: daemon + "/internal/util", Name: "util"}, "says nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(breaches(c.pkg), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	found, err := calls("p.go", `package p; import "time"; func f() { time.Sleep(1); go f() }`, "time.Sleep", "go")
	if err != nil || len(found) != 2 {
		t.Errorf("%v %v", found, err)
	}
}
