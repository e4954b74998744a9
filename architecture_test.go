package shoutrrr_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/containrrr/shoutrrr"

// walls names every package of the module (below its path) and which of ours it may import outside its tests. Imports point down: to move a
// wall, change the table and say why in docs/ARCHITECTURE.md.
var walls = map[string][]string{
	"pkg/types":            {},
	"pkg/eventsv2":         {"internal/plain", "internal/redact"},
	"internal/look":        {},
	"internal/plain":       {},
	"internal/charset":     {"internal/plain"},
	"internal/redact":      {},
	"pagerdutytest":        {"internal/look"}, // the style sheet, and nothing of the sender's
	"pkg/pagerduty":        {"internal/plain", "internal/redact", "pkg/eventsv2", "pkg/types"},
	"pkg/router":           {"internal/redact", "pkg/pagerduty", "pkg/types"},
	"":                     {"pkg/router", "pkg/types"},
	"cmd/shoutrrr":         {"", "internal/charset", "internal/redact", "pagerdutytest", "pkg/eventsv2", "pkg/pagerduty", "pkg/router", "pkg/types"},
	"internal/bodies":      {},
	"internal/conformance": {},
	"internal/keyleak":     {},
	"internal/prove":       {},
}

// banned are names that say nothing about what a package provides.
var banned = []string{"util", "utils", "common", "helper", "helpers", "models", "config"}

// linkable are the modules that the command may link beside the standard library. Each of them costs start-up time and size.
var linkable = []string{
	"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/mattn/go-isatty", "golang.org/x/sys",
	"golang.org/x/text",                    // the encodings of the locales: 1.3 MB that are not touched where texts are UTF-8
	"github.com/inconshreveable/mousetrap", // windows: cobra tells a double-click from a shell
}

// unlinkable are parts of the standard library that a user's program must not carry for our sake.
var unlinkable = []string{"testing", "net/http/httptest", "html/template"}

// listed is the part of `go list -json` that the walls need.
type listed struct {
	ImportPath, Name, Dir                  string
	GoFiles, IgnoredGoFiles, Imports, Deps []string
}

// below gives the package's path below the module's, and whether it is ours.
func below(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// breaches lists every wall that the packages break.
func breaches(pkgs []listed) []string {
	var found []string
	for _, p := range pkgs {
		name, ours := below(p.ImportPath)
		if !ours {
			continue
		}
		if slices.Contains(banned, p.Name) || slices.Contains(banned, path.Base(p.ImportPath)) {
			found = append(found, fmt.Sprintf("%s: a package named %s says nothing about what it provides", p.ImportPath, path.Base(p.ImportPath)))
		}
		allowed, known := walls[name]
		if !known {
			found = append(found, fmt.Sprintf("%s: no wall: give it a line in architecture_test.go", p.ImportPath))
			continue
		}
		for _, imported := range p.Imports {
			if target, ours := below(imported); ours && !slices.Contains(allowed, target) {
				found = append(found, fmt.Sprintf("%s imports %s", p.ImportPath, imported))
			}
		}
		found = append(found, links(p)...)
	}
	return found
}

// links lists what a package that ships would carry into a program and must not.
func links(p listed) []string {
	name, _ := below(p.ImportPath)
	if name == "internal/conformance" || name == "internal/keyleak" || name == "internal/prove" { // used by tests alone, see TestWalls
		return nil
	}
	var found []string
	for _, dep := range p.Deps {
		_, ours := below(dep)
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case ours:
		case slices.Contains(unlinkable, dep):
			found = append(found, fmt.Sprintf("%s links %s", p.ImportPath, dep))
		case !strings.Contains(first, "."): // the standard library
		case (strings.HasPrefix(name, "cmd/") || name == "internal/charset") && slices.ContainsFunc(linkable, func(m string) bool { return dep == m || strings.HasPrefix(dep, m+"/") }):
		default:
			found = append(found, fmt.Sprintf("%s links %s", p.ImportPath, dep))
		}
	}
	return found
}

// sleeps gives the positions of calls of time.Sleep, under whatever name the file imports package time.
func sleeps(filename string, src any) ([]string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, filename, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == `"time"` {
			name = "time"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if isSleep(n, name) {
			found = append(found, fset.Position(n.Pos()).String())
		}
		return true
	})
	return found, nil
}

// isSleep reports whether n names Sleep of the package that the file knows as timeName. A dot import counts as well.
func isSleep(n ast.Node, timeName string) bool {
	if selector, ok := n.(*ast.SelectorExpr); ok {
		x, ok := selector.X.(*ast.Ident)
		return ok && timeName != "" && x.Name == timeName && selector.Sel.Name == "Sleep"
	}
	call, ok := n.(*ast.CallExpr)
	if !ok || timeName != "." {
		return false
	}
	fun, ok := call.Fun.(*ast.Ident)
	return ok && fun.Name == "Sleep"
}

// list runs go list over the whole module as it is built for goos.
func list(t *testing.T, goos string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,GoFiles,IgnoredGoFiles,Imports,Deps", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", goos, err, stderr.String())
	}
	var pkgs []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("output of go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestWalls(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			pkgs := list(t, goos)
			for name := range walls {
				if !slices.ContainsFunc(pkgs, func(p listed) bool { got, ours := below(p.ImportPath); return ours && got == name }) {
					t.Errorf("there is no package %s: take its line out of the table", path.Join(module, name))
				}
			}
			for _, breach := range breaches(pkgs) {
				t.Error(breach)
			}
		})
	}
}

func TestWallsNoSleep(t *testing.T) {
	for _, p := range list(t, "linux") {
		for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			found, err := sleeps(filepath.Join(p.Dir, name), nil)
			if err != nil {
				t.Error(err)
			}
			for _, position := range found {
				t.Errorf("%s: time.Sleep cannot be interrupted; select on a timer and the context", position)
			}
		}
	}
}

func TestWallsAreSeenToBreak(t *testing.T) {
	tests := []struct {
		name string
		pkg  listed
		want string // "" for none
	}{
		{"allowed", listed{ImportPath: module + "/pkg/router", Name: "router", Imports: []string{"net/url", module + "/pkg/pagerduty"}}, ""},
		{"ground floor imports ours", listed{ImportPath: module + "/pkg/eventsv2", Name: "eventsv2", Imports: []string{module + "/pkg/types"}}, "pkg/eventsv2 imports"},
		{"emulator shares a struct with the sender", listed{ImportPath: module + "/pagerdutytest", Name: "pagerdutytest", Imports: []string{module + "/pkg/eventsv2"}}, "pagerdutytest imports"},
		{"upwards", listed{ImportPath: module + "/pkg/pagerduty", Name: "pagerduty", Imports: []string{module + "/pkg/router"}}, "pkg/pagerduty imports"},
		{"the library imports the root", listed{ImportPath: module + "/pkg/router", Name: "router", Imports: []string{module}}, "pkg/router imports " + module},
		{"the command is imported", listed{ImportPath: module, Name: "shoutrrr", Imports: []string{module + "/cmd/shoutrrr"}}, "imports " + module + "/cmd/shoutrrr"},
		{"a test package ships", listed{ImportPath: module + "/cmd/shoutrrr", Name: "main", Imports: []string{module + "/internal/keyleak"}}, "imports " + module + "/internal/keyleak"},
		{"new package", listed{ImportPath: module + "/pkg/slack", Name: "slack"}, "no wall"},
		{"named for nothing", listed{ImportPath: module + "/pkg/util", Name: "util"}, "package named util"},
		{"package clause named for nothing", listed{ImportPath: module + "/pkg/types", Name: "models"}, "says nothing"},
		{"the library links a module", listed{ImportPath: module, Name: "shoutrrr", Deps: []string{"net/http", "vendor/golang.org/x/net/idna", "golang.org/x/sys/unix"}}, "links golang.org/x/sys/unix"},
		{"the library links the standard library", listed{ImportPath: module, Name: "shoutrrr", Deps: []string{"net/http", "vendor/golang.org/x/net/idna", module + "/pkg/types"}}, ""},
		{"the command links cobra", listed{ImportPath: module + "/cmd/shoutrrr", Name: "main", Deps: []string{"github.com/spf13/cobra", "golang.org/x/sys/unix"}}, ""},
		{"the command links another", listed{ImportPath: module + "/cmd/shoutrrr", Name: "main", Deps: []string{"github.com/spf13/viper"}}, "links github.com/spf13/viper"},
		{"a name that only begins alike", listed{ImportPath: module + "/cmd/shoutrrr", Name: "main", Deps: []string{"github.com/spf13/cobra-cli"}}, "links github.com/spf13/cobra-cli"},
		{"the emulator links testing", listed{ImportPath: module + "/pagerdutytest", Name: "pagerdutytest", Deps: []string{"testing"}}, "links testing"},
		{"somebody else's package", listed{ImportPath: "github.com/spf13/cobra", Name: "util", Imports: []string{module}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(breaches([]listed{tt.pkg}), "\n")
			if tt.want == "" && got != "" {
				t.Errorf("got %q, want no breach", got)
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want a breach with %q", got, tt.want)
			}
		})
	}
}

func TestWallsSleepIsSeen(t *testing.T) {
	tests := []struct {
		name, src string
		want      int
	}{
		{"called", `package p; import "time"; func f() { time.Sleep(1) }`, 1},
		{"handed on", `package p; import "time"; var f = time.Sleep`, 1},
		{"under another name", `package p; import clock "time"; func f() { clock.Sleep(1) }`, 1},
		{"dot import", `package p; import . "time"; func f() { Sleep(1) }`, 1},
		{"another Sleep", `package p; import "time"; var _ time.Time; type c struct{}; func (c) Sleep(int) {}; func f() { c{}.Sleep(1) }`, 0},
		{"a timer", `package p; import "time"; var _ = time.NewTimer`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sleeps("p.go", tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != tt.want {
				t.Errorf("got %d calls at %v, want %d", len(got), got, tt.want)
			}
		})
	}
}

// A test that is skipped without a word is not seen to be missing: internal/prove says aloud what is not tested, and fails it in CI.
func TestSkipsGoThroughProve(t *testing.T) {
	skip := regexp.MustCompile(`\b[tbf]\.Skip(f|Now)?\(`)
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "internal/prove/") {
			return err
		}
		text, err := os.ReadFile(name)
		for i, line := range strings.Split(string(text), "\n") {
			if skip.MatchString(line) {
				t.Errorf("%s:%d: use prove.Need, Missing or Long: %s", name, i+1, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
