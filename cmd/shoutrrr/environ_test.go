package main

import "testing"

func TestColourful(t *testing.T) {
	tests := []struct {
		environ  []string
		terminal bool
		want     bool
	}{
		{nil, true, true},
		{nil, false, false},
		{[]string{"TERM=dumb"}, true, false},
		{[]string{"NO_COLOR=1"}, true, false},
		{[]string{"NO_COLOR="}, true, true}, // https://no-color.org: "when present and not an empty string"
	}
	for _, tt := range tests {
		sys := &system{environ: tt.environ, isTerminal: func(any) bool { return tt.terminal }}
		if got := sys.colourful(nil); got != tt.want {
			t.Errorf("%v, terminal %v: got %v", tt.environ, tt.terminal, got)
		}
	}
}

func TestStateFolder(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		want    string
	}{
		{[]string{"XDG_STATE_HOME=/s", "HOME=/h"}, "/s/shoutrrr"},
		{[]string{"XDG_STATE_HOME=s", "HOME=/h"}, "/h/.local/state/shoutrrr"},
		{[]string{"HOME=/a", "HOME=/h"}, "/h/.local/state/shoutrrr"},
		{[]string{"PATH=/bin"}, ""},
	} {
		if got := (&system{environ: tt.environ}).stateFolder(); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.environ, got, tt.want)
		}
	}
}
