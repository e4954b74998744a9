// Command elsewhere checks that packages and their tests compile for other systems. It
// reads the source of all that they import: go vet would compile it, which takes minutes
// for each system where the build cache is empty.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: elsewhere SYSTEMS FOLDER...; such as: elsewhere windows,darwin . shoutrrrd")
		os.Exit(64)
	}
	failed := false
	for _, dir := range os.Args[2:] {
		for system := range strings.SplitSeq(os.Args[1], ",") {
			problems, err := check(dir, system)
			if err != nil {
				problems = append(problems, err.Error())
			}
			fmt.Printf("%s for %s: %d errors\n", dir, system, len(problems))
			for _, problem := range problems {
				fmt.Fprintln(os.Stderr, problem)
			}
			failed = failed || len(problems) > 0
			debug.FreeOSMemory() // each system has a library of its own
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check returns what keeps the packages below a folder from compiling for a system.
func check(dir, system string) (problems []string, err error) {
	const types = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule | packages.NeedTypesSizes
	all, err := packages.Load(&packages.Config{
		Mode: types, Dir: dir, Tests: true,
		Env: append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"),
	}, "./...")
	if err != nil {
		return nil, fmt.Errorf("cannot read the packages of %s for %s: %w", dir, system, err)
	}
	packages.Visit(all, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			problems = append(problems, fmt.Sprintf("for %s: %s", system, e))
		}
	})
	return problems, nil
}
