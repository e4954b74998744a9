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
	"strconv"
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
	"internal/clock":           {"internal/queue"},
	"internal/queue/sqlite":    {"internal/queue", root + "/pkg/eventsv2"},
	"internal/queue/queuetest": {"internal/queue", root + "/pkg/eventsv2"},
	"internal/lane":            {"internal/queue", root + "/pkg/eventsv2"},
	"internal/outlook":         {"internal/lane", "internal/queue"},
	"internal/relay":           {"internal/lane", "internal/queue", root + "/pkg/eventsv2"},
	"internal/share":           {},
	"internal/door":            {"internal/share"},
	"internal/intake":          {"internal/queue", "internal/share", root + "/internal/charset", root + "/pkg/eventsv2"},
	"internal/insight":         {"internal/lane", "internal/outlook", "internal/queue", root + "/pkg/eventsv2"},
	"internal/ops":             {"internal/queue"},
	"internal/admin":           {"internal/door", "internal/insight", "internal/lane", "internal/ops", "internal/outlook", "internal/queue"},
	"internal/trend":           {},
	"internal/console":         {"internal/door", "internal/insight", "internal/lane", "internal/ops", "internal/outlook", "internal/queue", "internal/trend", root + "/internal/look"},
	"internal/access":          {},
	"internal/unit":            {},
	"internal/notify":          {root + "/pkg/eventsv2"},
	"internal/settings":        {"internal/access", root + "/internal/redact", root + "/pkg/eventsv2"},
	"internal/routes":          {"internal/intake", "internal/lane", "internal/queue", "internal/relay", "internal/settings", root + "/pkg/eventsv2"},
	"internal/walls":           {},
	"": {
		"internal/access", "internal/admin", "internal/clock", "internal/console", "internal/door", "internal/insight", "internal/intake", "internal/lane", "internal/notify", "internal/ops", "internal/outlook", "internal/queue", "internal/queue/sqlite", "internal/relay", "internal/routes", "internal/share",
		"internal/settings", "internal/trend", "internal/unit", root + "/internal/redact", root + "/pagerdutytest", root + "/pkg/eventsv2",
	},
}

// banned are names that say nothing about what a package provides.
var banned = []string{"util", "utils", "common", "helper", "helpers", "models", "config"}

// impure is what the lanes' core may not import: it would not replay any more.
var impure = []string{"os", "net", "net/url", "sync", "sync/atomic", "database/sql", "log", "log/slog", "crypto/rand", "io"}

// listed is the part of `go list -json` that the walls need.
type listed struct {
	ImportPath, Name, Dir                                       string
	GoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles, Imports []string
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

// taboo tells what of a package may not be used.
type taboo struct {
	path  string
	names []string // nil for all
	but   []string
}

// sleep cannot be interrupted: wait for a timer and the context.
var sleep = []taboo{{path: "time", names: []string{"Sleep"}}}

// outside is what would make two runs of the core differ: clocks, and the random
// numbers that no seed of ours begins.
var outside = []taboo{
	{path: "time", names: []string{"Sleep", "Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}},
	{path: "math/rand"},
	{path: "math/rand/v2", but: []string{"New", "NewPCG", "NewChaCha8", "Rand", "Source", "PCG", "ChaCha8"}},
}

func (t taboo) forbids(name string) bool {
	return (t.names == nil || slices.Contains(t.names, name)) && !slices.Contains(t.but, name)
}

// uses gives the places of a file where what is taboo is named, under whatever name
// the file imports its package, and, if threads are taboo, those where one begins.
func uses(filename string, src any, taboos []taboo, threads bool) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, filename, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	note := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s", set.Position(n.Pos()), what))
	}
	imported := map[string]taboo{} // by its name in this file
	for _, spec := range file.Imports {
		where, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		for _, one := range taboos {
			if one.path != where {
				continue
			}
			name := path.Base(strings.TrimSuffix(where, "/v2"))
			if spec.Name != nil {
				name = spec.Name.Name
			}
			if name == "." { // its names would be everywhere
				note(spec, "import . "+spec.Path.Value)
			}
			imported[name] = one
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if threads {
				note(n, "go")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				if one, known := imported[x.Name]; known && one.forbids(n.Sel.Name) {
					note(n, one.path+"."+n.Sel.Name)
				}
			}
		}
		return true
	})
	return found, nil
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-buildvcs=false", "-json=ImportPath,Name,Dir,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
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
		taboos, isCore := sleep, p.ImportPath == daemon+"/internal/lane"
		if isCore {
			taboos = outside
		}
		look(t, p.Dir, slices.Concat(p.GoFiles, p.IgnoredGoFiles), taboos, isCore)
	}
}

// look tells of what is taboo in files.
func look(t *testing.T, dir string, files []string, taboos []taboo, threads bool) {
	t.Helper()
	for _, name := range files {
		found, err := uses(filepath.Join(dir, name), nil, taboos, threads)
		if err != nil {
			t.Error(err)
		}
		for _, place := range found {
			t.Errorf("%s has no place here", place)
		}
	}
}

// Nothing sleeps in the tests either: a test that waits for a time fails on a slow
// machine, and makes a fast one slow.
func TestWallsTestsDoNotSleep(t *testing.T) {
	for _, p := range list(t) {
		look(t, p.Dir, slices.Concat(p.TestGoFiles, p.XTestGoFiles), sleep, false)
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
		{"the core stores", listed{ImportPath: daemon + "/internal/lane", Name: "lane", Imports: []string{"database/sql"}}, "would not replay"},
		{"the core locks", listed{ImportPath: daemon + "/internal/lane", Name: "lane", Imports: []string{"sync"}}, "would not replay"},
		{"a door knows events", listed{ImportPath: daemon + "/internal/door", Name: "door", Imports: []string{root + "/pkg/eventsv2"}}, "imports " + root},
		{"the command of another module", listed{ImportPath: daemon + "/internal/settings", Name: "settings", Imports: []string{root}}, "imports " + root},
		{"a test's package ships", listed{ImportPath: daemon, Name: "main", Imports: []string{root + "/internal/keyleak"}}, "keyleak"},
		{"package clause named for nothing", listed{ImportPath: daemon + "/internal/lane", Name: "helpers"}, "says nothing"},
		{"named for nothing", listed{ImportPath: daemon + "/internal/util", Name: "util"}, "says nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(breaches(c.pkg), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWallsTaboosAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, src string
		taboos    []taboo
		threads   bool
		want      []string
	}{
		{"sleep", `import "time"; func f() { time.Sleep(1) }`, sleep, false, []string{"time.Sleep"}},
		{"sleep handed on", `import "time"; var f = time.Sleep`, sleep, false, []string{"time.Sleep"}},
		{"sleep under another name", `import clock "time"; func f() { clock.Sleep(1) }`, sleep, false, []string{"time.Sleep"}},
		{"dot import", `import . "time"; func f() { Sleep(1) }`, sleep, false, []string{`import . "time"`}},
		{"another Sleep", `import "time"; var _ time.Time; type c struct{}; func (c) Sleep(int) {}; func f() { c{}.Sleep(1) }`, sleep, false, nil},
		{"a clock outside the core", `import "time"; var _ = time.Now`, sleep, false, nil},
		{"a clock in the core", `import "time"; var _ = time.Now`, outside, true, []string{"time.Now"}},
		{"times in the core", `import "time"; var _ = time.Second`, outside, true, nil},
		{"global random numbers", `import "math/rand/v2"; var _ = rand.IntN(3) + rand.Int()`, outside, true, []string{"math/rand/v2.IntN", "math/rand/v2.Int"}},
		{"random numbers from a seed", `import "math/rand/v2"; var r *rand.Rand = rand.New(rand.NewPCG(1, 2))`, outside, true, nil},
		{"the old package", `import "math/rand"; var _ = rand.New`, outside, true, []string{"math/rand.New"}},
		{"a thread in the core", `func f() { go f() }`, outside, true, []string{"go"}},
		{"a thread elsewhere", `func f() { go f() }`, sleep, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := uses("p.go", "package p; "+c.src, c.taboos, c.threads)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, c.want, func(place, what string) bool { return strings.HasSuffix(place, ": "+what) }) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
