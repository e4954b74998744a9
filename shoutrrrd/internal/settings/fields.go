package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Field is a setting that stands in the file, in a variable and in a flag.
type Field struct {
	Name     string // in the file; the variable is SHOUTRRRD_NAME, the flag --name with dashes
	Usage    string
	Default  func(getenv func(string) string) string
	set      func(s *Settings, value string) error
	get      func(s *Settings) string
	IsSwitch bool
}

// Flag returns the name of the flag.
func (f Field) Flag() string { return strings.ReplaceAll(f.Name, "_", "-") }

// Variable returns the name of the environment variable.
func (f Field) Variable() string { return "SHOUTRRRD_" + strings.ToUpper(f.Name) }

func fixed(value string) func(func(string) string) string {
	return func(func(string) string) string { return value }
}

// Fields lists the settings in the order in which they are explained.
func Fields() []Field {
	return []Field{
		text("listen", "`address` of the front door, where events come in", "127.0.0.1:8686", func(s *Settings) *string { return &s.Listen }),
		text("admin", "`address` of the second door: status, queue, metrics", "127.0.0.1:8687", func(s *Settings) *string { return &s.Admin }),
		queueField(),
		text("upstream", "`URL` that events go to: PagerDuty, an emulator, or another relay", eventsv2.DefaultBaseURL, func(s *Settings) *string { return &s.Upstream }),
		number("rate", "`events` per key accepted upstream in any 60 s", 300, 1, 100_000, func(s *Settings) *int { return &s.Rate }),
		duration("max_age", "`age` that an event may have when it leaves", 72*time.Hour, time.Minute, func(s *Settings) *time.Duration { return &s.MaxAge }),
		duration("retention", "`time` for which delivered events are kept", 168*time.Hour, time.Minute, func(s *Settings) *time.Duration { return &s.Retention }),
		number("max_queued", "`events` that may wait; the last hundredth is kept for critical ones", 2_000_000, 100, 1_000_000_000, func(s *Settings) *int { return &s.MaxQueued }),
		number("max_connections", "`connections` to the front door at once", 4096, 1, 1_000_000, func(s *Settings) *int { return &s.MaxConnections }),
		text("web_config", "`file` with TLS for the front door, in the form of Prometheus' web configuration", "", func(s *Settings) *string { return &s.WebConfig }),
		text("admin_web_config", "`file` with TLS for the second door", "", func(s *Settings) *string { return &s.AdminWebConfig }),
		toggle("allow_plain", "let other machines reach the front door without TLS", func(s *Settings) *bool { return &s.AllowPlain }),
		toggle("only_listed", "accept only the keys that the file lists", func(s *Settings) *bool { return &s.OnlyListed }),
		choice("log_level", "`level` from which on lines are logged: debug, info, warn, error", "info", []string{"debug", "info", "warn", "error"}, func(s *Settings) *string { return &s.LogLevel }),
		choice("log_format", "`format` of the log: auto, text, json", "auto", []string{"auto", "text", "json"}, func(s *Settings) *string { return &s.LogFormat }),
	}
}

func text(name, usage, standard string, at func(*Settings) *string) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(standard),
		set: func(s *Settings, value string) error { *at(s) = strings.TrimSpace(value); return nil },
		get: func(s *Settings) string { return *at(s) },
	}
}

func choice(name, usage, standard string, allowed []string, at func(*Settings) *string) Field {
	f := text(name, usage, standard, at)
	f.set = func(s *Settings, value string) error {
		for _, word := range allowed {
			if strings.EqualFold(word, value) {
				*at(s) = word
				return nil
			}
		}
		return fmt.Errorf("%q is not one of %s%s", shown(value), strings.Join(allowed, ", "), suggestion(value, allowed))
	}
	return f
}

func number(name, usage string, standard, low, high int, at func(*Settings) *int) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(strconv.Itoa(standard)),
		set: func(s *Settings, value string) error {
			n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(value), "_", ""))
			if err != nil || n < low || n > high {
				return fmt.Errorf("%q is no number from %d to %d", shown(value), low, high)
			}
			*at(s) = n
			return nil
		},
		get: func(s *Settings) string { return strconv.Itoa(*at(s)) },
	}
}

func duration(name, usage string, standard, low time.Duration, at func(*Settings) *time.Duration) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(shortDuration(standard)),
		set: func(s *Settings, value string) error {
			d, err := time.ParseDuration(strings.TrimSpace(value))
			if err != nil || d < low {
				return fmt.Errorf("%q is no duration of at least %s; write it like 90m or 72h", shown(value), shortDuration(low))
			}
			*at(s) = d
			return nil
		},
		get: func(s *Settings) string { return shortDuration(*at(s)) },
	}
}

// shortDuration is 72h for 72h0m0s.
func shortDuration(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "0s")
	if text = strings.TrimSuffix(text, "0m"); text == "" {
		return "0s"
	}
	return text
}

func toggle(name, usage string, at func(*Settings) *bool) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed("false"), IsSwitch: true,
		set: func(s *Settings, value string) error {
			on, err := strconv.ParseBool(strings.TrimSpace(value))
			if err != nil {
				return fmt.Errorf("%q is neither true nor false", shown(value))
			}
			*at(s) = on
			return nil
		},
		get: func(s *Settings) string { return strconv.FormatBool(*at(s)) },
	}
}

func queueField() Field {
	f := text("queue", "`file` of the queue", "", func(s *Settings) *string { return &s.Queue })
	f.Default = func(getenv func(string) string) string {
		if folder, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); folder != "" { // systemd's StateDirectory=
			return filepath.Join(folder, "queue.db")
		}
		state := getenv("XDG_STATE_HOME")
		if state == "" {
			home := getenv("HOME")
			if home == "" {
				home = os.TempDir() // a daemon without a home: better than the root folder
			}
			state = filepath.Join(home, ".local", "state")
		}
		return filepath.Join(state, "shoutrrr", "queue.db")
	}
	return f
}

// Value is a setting with its origin, for people.
type Value struct{ Name, Value, Origin string }

// Values lists every setting. There is no secret in it.
func (s *Settings) Values() []Value {
	var list []Value
	for _, f := range Fields() {
		list = append(list, Value{f.Name, f.get(s), s.Origins[f.Name]})
	}
	for i, k := range s.Keys {
		at := fmt.Sprintf("keys[%d]", i)
		text := k.Alias + " (" + k.Key.Fingerprint() + ")"
		if k.Rate > 0 {
			text += fmt.Sprintf(", rate %d", k.Rate)
		}
		if k.Upstream != "" {
			text += ", " + k.Upstream
		}
		list = append(list, Value{at, text, s.Origins[at]})
	}
	for i, p := range s.Pools {
		at := fmt.Sprintf("pools[%d]", i)
		list = append(list, Value{at, p.Name + ": " + strings.Join(p.Keys, ", "), s.Origins[at]})
	}
	for i, t := range s.Tokens {
		at := fmt.Sprintf("tokens[%d]", i)
		role := "viewer"
		if t.Operator {
			role = "operator"
		}
		list = append(list, Value{at, t.Name + ", " + role, s.Origins[at]})
	}
	return list
}

// Diff tells what differs between two configurations, a line each, and which of it
// needs a new start.
func Diff(before, after *Settings) (changes, needStart []string) {
	was := map[string]string{}
	for _, v := range before.Values() {
		was[v.Name] = v.Value
	}
	for _, v := range after.Values() {
		old, known := was[v.Name]
		delete(was, v.Name)
		if known && old == v.Value {
			continue
		}
		line := fmt.Sprintf("%s: %s -> %s", v.Name, orNone(old), orNone(v.Value))
		changes = append(changes, line)
		switch v.Name {
		case "listen", "admin", "queue", "max_queued", "max_connections", "web_config", "admin_web_config", "log_format", "log_level", "max_age", "retention":
			needStart = append(needStart, line)
		}
	}
	for _, v := range before.Values() {
		if _, gone := was[v.Name]; gone {
			changes = append(changes, fmt.Sprintf("%s: %s -> none", v.Name, v.Value))
		}
	}
	return changes, needStart
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
