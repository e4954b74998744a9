package main

import (
	"log/slog"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/lmittmann/tint"
)

// newLogger writes text to a terminal and JSON elsewhere, unless a format is set.
func newLogger(sys *system, s *settings.Settings, level *slog.LevelVar) *slog.Logger {
	setLevel(level, s)
	terminal := sys.isTerminal(sys.stderr)
	if s.LogFormat == "text" || s.LogFormat == "auto" && terminal {
		return slog.New(tint.NewTextHandler(sys.stderr, &tint.Options{
			Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal || sys.getenv("NO_COLOR") != "",
		}))
	}
	return slog.New(slog.NewJSONHandler(sys.stderr, &slog.HandlerOptions{Level: level}))
}

func setLevel(level *slog.LevelVar, s *settings.Settings) {
	_ = level.UnmarshalText([]byte(s.LogLevel)) // the settings have checked it
}

// warn logs what works about the settings and should not stay as it is.
func warn(log *slog.Logger, s *settings.Settings) {
	for _, text := range s.Warnings {
		log.Warn("the settings should not stay like this", "warning", text)
	}
}
