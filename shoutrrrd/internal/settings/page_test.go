package settings

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The page explains each member of keys, pools and tokens.
func TestPageMembers(t *testing.T) {
	page, err := os.ReadFile("../../../docs/shoutrrrd.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## The file\n")
	file, _, found := strings.Cut(rest, "\n## ")
	if !found {
		t.Fatal("the page has lost its part about the file")
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| .+ \\|$").FindAllStringSubmatch(file, -1) {
		got = append(got, row[1])
	}
	var want []string
	for _, names := range [][]string{keyNames, poolNames, tokenNames, wayNames} {
		want = append(want, names...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
