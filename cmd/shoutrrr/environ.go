package main

import (
	"path/filepath"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
)

// getenv returns the value of an environment variable, the last one if it stands
// there several times.
func (s *system) getenv(name string) string {
	for i := len(s.environ) - 1; i >= 0; i-- {
		if n, value, ok := strings.Cut(s.environ[i], "="); ok && n == name {
			return value
		}
	}
	return ""
}

// openLedger returns the ledger in the user's state folder, or one in memory and
// a warning if there is no such folder.
func (s *system) openLedger() (ledger pagerduty.Ledger, warning string) {
	dir := s.stateFolder()
	if dir == "" {
		return pagerduty.NewMemoryLedger(), "neither XDG_STATE_HOME nor HOME is set, so open incidents are not remembered: a later acknowledge or resolve will need the dedup key"
	}
	return pagerduty.OpenFileLedger(dir), ""
}

// stateFolder follows the XDG base directory specification, which has a folder
// that is not absolute ignored.
func (s *system) stateFolder() string {
	if state := s.getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "shoutrrr")
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home := s.getenv(name); home != "" {
			return filepath.Join(home, ".local", "state", "shoutrrr")
		}
	}
	return ""
}

// colourful reports whether a stream is shown with colours.
func (s *system) colourful(stream any) bool {
	return s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb" && s.isTerminal(stream)
}
