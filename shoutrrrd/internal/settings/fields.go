package settings

import (
	"errors"
	"fmt"
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
	IsSwitch bool
	IsList   bool // several values: commas between them, in the file also a list
	AtStart  bool // a change needs a new start
	set      func(s *Settings, value string) error
	get      func(s *Settings) string
}

// Flag returns the name of the flag.
func (f Field) Flag() string { return strings.ReplaceAll(f.Name, "_", "-") }

// Variable returns the name of the environment variable.
func (f Field) Variable() string { return "SHOUTRRRD_" + strings.ToUpper(f.Name) }

func (f Field) atStart() Field {
	f.AtStart = true
	return f
}

func fixed(value string) func(func(string) string) string {
	return func(func(string) string) string { return value }
}

// Fields lists the settings in the order in which they are explained.
func Fields() []Field {
	return []Field{
		address("listen", "`address` of the events listener, where events come in", "127.0.0.1:8686", func(s *Settings) *string { return &s.Listen }).atStart(),
		address("admin", "`address` of the admin listener: status, queue, metrics", "127.0.0.1:8687", func(s *Settings) *string { return &s.Admin }).atStart(),
		hosts("admin_hosts", "`names` by which the admin listener is called beside its address, such as a proxy's; they need tokens", func(s *Settings) *[]string { return &s.AdminHosts }),
		queueField().atStart(),
		upstream("upstream", "`URL` that events go to: PagerDuty, an emulator, or another relay", eventsv2.DefaultBaseURL, func(s *Settings) *string { return &s.Upstream }),
		rateField(), maxField(),
		choice("settle_while_waiting", "`way` for an alert that was opened and resolved while nothing could be sent: one incident tells of all, a note pages nobody, all are sent", "one", whileWaiting, func(s *Settings) *string { return &s.WhileWaiting }),
		duration("max_age", "`age` that an event may have when it leaves", 72*time.Hour, time.Minute, func(s *Settings) *time.Duration { return &s.MaxAge }),
		duration("retention", "`time` for which delivered events are kept", 168*time.Hour, time.Minute, func(s *Settings) *time.Duration { return &s.Retention }),
		number("max_queued", "`events` that may wait; the last hundredth is reserved for critical ones", 2_000_000, 100, 1_000_000_000, func(s *Settings) *int { return &s.MaxQueued }).atStart(),
		number("max_dead", "`dead letters` that are kept; the oldest and least severe go first", 100_000, 100, 1_000_000_000, func(s *Settings) *int { return &s.MaxDead }).atStart(),
		size("max_dead_size", "`bytes` that dead letters may have together", 1<<30, 1<<20, 1<<50, func(s *Settings) *int64 { return &s.MaxDeadBytes }).atStart(),
		number("max_lanes", "`keys` that the file does not list and that may send at once; idle ones are forgotten", 20_000, 1, 10_000_000, func(s *Settings) *int { return &s.MaxLanes }).atStart(),
		sizeOrAuto("max_disk", "`bytes` that the queue may have on the disk; auto for the smaller of 20 GB and what leaves a tenth of the file system free", 16<<20, 1<<50, func(s *Settings) *int64 { return &s.MaxDisk }),
		number("max_connections", "`connections` to the events listener at once", 4096, 1, 1_000_000, func(s *Settings) *int { return &s.MaxConnections }).atStart(),
		number("max_requests_per_client", "`requests` of one address beyond loopback in hand at once", 64, 1, 1_000_000, func(s *Settings) *int { return &s.MaxRequestsPerClient }).atStart(),
		size("max_body_memory", "`bytes` for requests that are being received, of all clients", 64<<20, 16<<20, 64<<30, func(s *Settings) *int64 { return &s.MaxBodyMemory }).atStart(),
		text("web_config", "`file` with TLS for the events listener, in the form of Prometheus' web configuration", "", func(s *Settings) *string { return &s.WebConfig }).atStart(),
		text("admin_web_config", "`file` with TLS for the admin listener", "", func(s *Settings) *string { return &s.AdminWebConfig }).atStart(),
		toggle("allow_plain", "let other machines reach the events listener without TLS", func(s *Settings) *bool { return &s.AllowPlain }),
		toggle("only_listed", "accept only the keys that the file lists", func(s *Settings) *bool { return &s.OnlyListed }),
		choice("log_level", "`level` from which on lines are logged: debug, info, warn, error", "info", []string{"debug", "info", "warn", "error"}, func(s *Settings) *string { return &s.LogLevel }),
		choice("log_format", "`format` of the log: auto, text, json", "auto", []string{"auto", "text", "json"}, func(s *Settings) *string { return &s.LogFormat }).atStart(),
	}
}

func text(name, usage, standard string, at func(*Settings) *string) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(standard),
		set: func(s *Settings, value string) error { *at(s) = strings.TrimSpace(value); return nil },
		get: func(s *Settings) string { return *at(s) },
	}
}

// checked is a text that is taken only if check finds nothing wrong.
func checked(f Field, check func(string) error) Field {
	take := f.set
	f.set = func(s *Settings, value string) error {
		if err := check(strings.TrimSpace(value)); err != nil {
			return err
		}
		return take(s, value)
	}
	return f
}

func address(name, usage, standard string, at func(*Settings) *string) Field {
	return checked(text(name, usage, standard, at), checkAddress)
}

func upstream(name, usage, standard string, at func(*Settings) *string) Field {
	return checked(text(name, usage, standard, at), checkUpstream)
}

func choice(name, usage, standard string, allowed []string, at func(*Settings) *string) Field {
	f := text(name, usage, standard, at)
	f.set = func(s *Settings, value string) error {
		word, err := oneOf(value, allowed)
		if err == nil {
			*at(s) = word
		}
		return err
	}
	return f
}

// whileWaiting are the values of settle_while_waiting.
var whileWaiting = []string{"one", "note", "all"}

// oneOf returns the word that a text is, in any case of letters.
func oneOf(value string, allowed []string) (string, error) {
	for _, word := range allowed {
		if strings.EqualFold(word, strings.TrimSpace(value)) {
			return word, nil
		}
	}
	return "", fmt.Errorf("%q is not one of %s%s", shown(value), strings.Join(allowed, ", "), Suggestion(value, allowed))
}

func number(name, usage string, standard, low, high int, at func(*Settings) *int) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(strconv.Itoa(standard)),
		set: func(s *Settings, value string) (err error) {
			*at(s), err = parseNumber(value, low, high)
			return err
		},
		get: func(s *Settings) string { return strconv.Itoa(*at(s)) },
	}
}

func parseNumber(value string, low, high int) (int, error) {
	n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(value), "_", ""))
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is no number from %d to %d", shown(value), low, high)
	}
	return n, nil
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

// shortDuration is 72h for 72h0m0s, and 1m30s as it is.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func toggle(name, usage string, at func(*Settings) *bool) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed("false"), IsSwitch: true,
		set: func(s *Settings, value string) error {
			on, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(value)))
			if err != nil {
				return fmt.Errorf("%q is neither true nor false", shown(value))
			}
			*at(s) = on
			return nil
		},
		get: func(s *Settings) string { return strconv.FormatBool(*at(s)) },
	}
}

func hosts(name, usage string, at func(*Settings) *[]string) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(""), IsList: true,
		set: func(s *Settings, value string) error {
			*at(s) = nil
			if strings.TrimSpace(value) == "" {
				return nil
			}
			for host := range strings.SplitSeq(value, ",") {
				host = strings.TrimSpace(host)
				if host == "" || len(host) > 253 || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
					return fmt.Errorf("%q is no host name such as relay.example.com; it has neither scheme nor port", shown(host))
				}
				*at(s) = append(*at(s), host)
			}
			return nil
		},
		get: func(s *Settings) string { return strings.Join(*at(s), ", ") },
	}
}

func queueField() Field {
	f := checked(text("queue", "`file` of the queue", "", func(s *Settings) *string { return &s.Queue }), func(value string) error {
		if value == "" {
			return errors.New("no path is given: give one, such as --queue /var/lib/shoutrrr/queue.db; without it the queue is below STATE_DIRECTORY, XDG_STATE_HOME or HOME, and one of them must be set")
		}
		return nil
	})
	f.Default = func(getenv func(string) string) string {
		if folder, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); folder != "" { // systemd's StateDirectory=
			return filepath.Join(folder, "queue.db")
		}
		state := getenv("XDG_STATE_HOME")
		if state == "" {
			home := getenv("HOME")
			if home == "" { // never a folder that other users share: the queue holds keys
				return ""
			}
			state = filepath.Join(home, ".local", "state")
		}
		return filepath.Join(state, "shoutrrr", "queue.db")
	}
	return f
}
