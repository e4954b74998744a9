package shoutrrr_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Without a source two machines that run the same example are told apart by their names
// alone, which the responder does not see. So every example that sends gives one.
func TestReadmeExamplesGiveASource(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for block := range strings.SplitSeq(string(text), "```bash\n") {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			if !regexp.MustCompile(`(^|\| |')shoutrrr send `).MatchString(line) {
				continue
			}
			examples++
			if !strings.Contains(line, "source=") {
				t.Errorf("no source: %s", line)
			}
		}
	}
	if examples < 7 {
		t.Errorf("%d examples", examples)
	}
}
