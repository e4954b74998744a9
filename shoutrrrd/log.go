package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/lmittmann/tint"
)

// newLogger writes text to a terminal and JSON elsewhere, unless a format is set. The secrets are hidden in whatever
// it gets, and nothing in it acts on a terminal.
func newLogger(sys *system, s *settings.Settings, level *slog.LevelVar, secrets *redact.Set) *slog.Logger {
	setLevel(level, s)
	fit := func(text string) string { return redact.Line(secrets.Hide(text)) }
	terminal := sys.isTerminal(sys.stderr)
	if s.LogFormat == "text" || s.LogFormat == "auto" && terminal {
		// With colours tint turns the text \x1b of a value that it quotes back into ESC, so that four ordinary
		// characters of a sender would do.
		return slog.New(fitting{fit: func(text string) string { return strings.ReplaceAll(fit(text), `\x1b`, `\u005cx1b`) }, next: tint.NewTextHandler(sys.stderr, &tint.Options{
			Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal || sys.getenv("NO_COLOR") != "",
		})})
	}
	return slog.New(fitting{fit: fit, next: slog.NewJSONHandler(sys.stderr, &slog.HandlerOptions{Level: level})})
}

// fitting makes every text of a record fit to be logged: the message, the names and the values, in groups too. What
// is logged is the word of senders, servers, operators and libraries as well, and no place that logs has to think of that.
type fitting struct {
	fit  func(string) string
	next slog.Handler
}

func (f fitting) Enabled(ctx context.Context, level slog.Level) bool {
	return f.next.Enabled(ctx, level)
}

func (f fitting) Handle(ctx context.Context, r slog.Record) error {
	fit := slog.NewRecord(r.Time, r.Level, f.fit(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		fit.AddAttrs(f.attr(a))
		return true
	})
	return f.next.Handle(ctx, fit)
}

func (f fitting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return fitting{f.fit, f.next.WithAttrs(f.attrs(attrs))}
}

func (f fitting) WithGroup(name string) slog.Handler {
	return fitting{f.fit, f.next.WithGroup(f.fit(name))}
}

func (f fitting) attrs(attrs []slog.Attr) []slog.Attr {
	fit := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		fit[i] = f.attr(a)
	}
	return fit
}

// attr leaves numbers and times as they are. Whatever else is no text becomes one, as fmt writes it: inside of an
// error, a map or a struct nothing could be hidden.
func (f fitting) attr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		value = slog.StringValue(f.fit(value.String()))
	case slog.KindGroup:
		value = slog.GroupValue(f.attrs(value.Group())...)
	case slog.KindAny:
		switch v := value.Any().(type) {
		case []string:
			list := make([]string, len(v))
			for i, text := range v {
				list[i] = f.fit(text)
			}
			value = slog.AnyValue(list)
		case []byte:
			value = slog.StringValue(f.fit(string(v)))
		default:
			value = slog.StringValue(f.fit(fmt.Sprintf("%+v", v)))
		}
	}
	return slog.Attr{Key: f.fit(a.Key), Value: value}
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
