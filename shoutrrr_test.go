package shoutrrr

import (
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
