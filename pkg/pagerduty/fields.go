package pagerduty

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Names of parameters that stand in more than one place.
const (
	paramSeverity   = "severity"
	paramSource     = "source"
	paramAction     = "action"
	paramTitle      = "title"
	paramDetails    = "details"
	paramContexts   = "contexts"
	paramClientURL  = "client_url"
	paramDedupKey   = "dedup_key"
	paramTimestamp  = "timestamp"
	paramDisableTLS = "disabletls"
)

// Field describes a parameter of the URL, for documentation and completion. [Fields]
// makes them; one that was made otherwise has no values.
type Field struct {
	Name        string
	Type        string   // "string", "object", "array" or "bool"
	Default     string   // "" for none
	Allowed     string   // what may stand there, in words; Markdown
	Values      []string // all values there are, if they can be listed
	Description string   // a sentence without its full stop; Markdown

	set func(c *Config, value string, wrong *problems)
	get func(c *Config) string // as it stands in a URL; the default if unset
}

// Fields returns the parameters in the order in which they are documented.
func Fields() []Field { return slices.Clone(fields) }

// Value returns what the configuration has for the parameter, as it stands in a
// URL; the default if it is unset.
func (f Field) Value(c *Config) string {
	if f.get == nil {
		return ""
	}
	return f.get(c)
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// fields is assigned in init because its functions lead back to it.
var fields []Field

func init() {
	fields = []Field{
		{
			Name: paramSeverity, Type: "string", Default: string(eventsv2.SeverityError),
			Allowed: "`info`, `warning`, `error`, `critical`", Values: texts(eventsv2.Severities()),
			Description: "How bad it is, as the responder sees it; in any case of letters. The words of monitoring systems, such as `P1`, `DOWN` or `high`, are mapped, with a warning",
			set:         setSeverity,
			get:         func(c *Config) string { return string(c.Severity) },
		},
		{
			Name: paramSource, Type: "string", Default: defaultSource, Allowed: "any text",
			Description: "The affected system: a host name, a service, a job",
			set:         setSource,
			get:         func(c *Config) string { return c.Source },
		},
		{
			Name: paramAction, Type: "string", Default: string(eventsv2.Trigger),
			Allowed: "`trigger`, `acknowledge`, `resolve`", Values: texts(eventsv2.Actions()),
			Description: "What the event does to its incident",
			set:         choice(paramAction, eventsv2.Actions(), func(c *Config) *eventsv2.Action { return &c.Action }),
			get:         func(c *Config) string { return string(c.Action) },
		},
		{
			Name: paramDetails, Type: "object", Allowed: "a JSON object, or URL-encoded pairs (`a=1&b=2`)",
			Description: "Data for the responder, shown with the incident; kept in order and as it is written",
			set:         setDetails,
			get:         getDetails,
		},
		{
			Name: paramContexts, Type: "array", Allowed: "a JSON array of `link` and `image` objects",
			Description: "Links (`type`, `href`, `text`) and images (`type`, `src` by https, `href`, `text`) for the responder",
			set:         setContexts,
			get:         getContexts,
		},
		textField("client", "The name of the monitoring system that sends", func(c *Config) *string { return &c.Client }),
		{
			Name: paramClientURL, Type: "string", Allowed: "an absolute http or https URL",
			Description: "Where the monitoring system shows the alert",
			set:         setClientURL,
			get:         func(c *Config) string { return c.ClientURL },
		},
		{
			Name: paramDedupKey, Type: "string", Default: "", Allowed: "up to 255 characters; case matters",
			Description: "What makes events belong to one incident; without it a trigger gets one that is derived from source (without one, the machine), class, component, group, title and message, and an acknowledge or resolve finds the incident that was triggered before",
			set:         setDedupKey,
			get:         func(c *Config) string { return c.DedupKey },
		},
		textField("component", "The part of the source that is affected, such as `postgres`", func(c *Config) *string { return &c.Component }),
		textField("group", "The logical group that the source belongs to, such as `billing`", func(c *Config) *string { return &c.Group }),
		textField("class", "The kind of event, such as `disk full`", func(c *Config) *string { return &c.Class }),
		{
			Name: paramTimestamp, Type: "string", Allowed: "an ISO 8601 time with its zone, such as `2026-03-01T12:00:00+02:00`",
			Description: "When it happened; without it the time of the call",
			set:         setTimestamp,
			get:         getTimestamp,
		},
		textField(paramTitle, "The summary of the incident; the message then stands in the details", func(c *Config) *string { return &c.Title }),
		{
			Name: paramDisableTLS, Type: "bool", Default: "no", Allowed: "`yes`, `no`", Values: []string{"yes", "no"},
			Description: "Speak plain HTTP: only for a relay or a sandbox on a private address",
			set:         setDisableTLS,
			get:         getDisableTLS,
		},
	}
}

func textField(name, description string, at func(*Config) *string) Field {
	return Field{
		Name: name, Type: "string", Allowed: "any text", Description: description,
		set: func(c *Config, value string, _ *problems) { *at(c) = value },
		get: func(c *Config) string { return *at(c) },
	}
}

// choice takes one of the listed words in any case of letters.
func choice[T ~string](name string, allowed []T, at func(*Config) *T) func(*Config, string, *problems) {
	return func(c *Config, value string, wrong *problems) {
		word := T(strings.ToLower(strings.TrimSpace(value)))
		if !slices.Contains(allowed, word) {
			known := texts(allowed)
			wrong.add(name, value, "must be one of %s%s", strings.Join(known, ", "), suggest(string(word), known))
			return
		}
		*at(c) = word
	}
}

func texts[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// setSeverity takes PagerDuty's words in any case of letters, and those of other systems as
// the relay maps them: a page must not be lost for a word.
func setSeverity(c *Config, value string, wrong *problems) {
	severity, known := eventsv2.ReadSeverity(value)
	if !known {
		choice(paramSeverity, eventsv2.Severities(), func(c *Config) *eventsv2.Severity { return &c.Severity })(c, value, wrong)
		return
	}
	c.Severity = severity
	c.Warnings = slices.DeleteFunc(c.Warnings, func(w string) bool { return strings.HasPrefix(w, "severity ") }) // of the one before
	if !strings.EqualFold(strings.TrimSpace(value), string(severity)) {
		c.warn("severity %q became %s", quotable(strings.TrimSpace(value)), severity)
	}
}

func setSource(c *Config, value string, _ *problems) { c.Source, c.SourceGiven = value, true }

func setDetails(c *Config, value string, wrong *problems) {
	details, err := parseDetails(value)
	if err != nil {
		wrong.add(paramDetails, value, "%v", err)
		return
	}
	c.Details = details
}

var errDetailsForm = errors.New(`must be a JSON object such as {"key":"value"}, with quotes, or pairs such as key=value&other=value`)

// parseDetails reads a JSON object, or pairs; both may be percent-encoded.
func parseDetails(value string) (eventsv2.Details, error) {
	text := strings.TrimSpace(value)
	if decoded := strings.TrimSpace(decode(text)); strings.HasPrefix(text, "%") && strings.HasPrefix(decoded, "{") {
		text = decoded
	}
	if text[0] == '{' || json.Valid([]byte(text)) {
		return eventsv2.ParseDetails([]byte(text))
	}
	if text[0] == '[' {
		return nil, errDetailsForm
	}
	var details eventsv2.Details
	seen := make(map[string]bool)
	for pair := range strings.SplitSeq(text, "&") {
		name, value, ok := strings.Cut(pair, "=")
		name, value = plain.Text(plain.UTF8(decode(name))), plain.Text(plain.UTF8(decode(value)))
		if seen[name] {
			return nil, errors.New("the member " + quotable(name) + " stands twice")
		}
		seen[name] = true
		if !ok || name == "" {
			return nil, errDetailsForm
		}
		details = append(details, eventsv2.Text(name, value))
	}
	return details, nil
}

func getDetails(c *Config) string {
	if len(c.Details) == 0 {
		return ""
	}
	return string(c.Details.AppendJSON(nil))
}

func setClientURL(c *Config, value string, wrong *problems) {
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, strings.ToLower(u.Scheme)) {
		wrong.add(paramClientURL, value, "must be an absolute http or https URL")
		return
	}
	c.ClientURL = strings.TrimSpace(value)
}

func setDedupKey(c *Config, value string, wrong *problems) {
	value = plain.UTF8(value) // as it is sent, or a resolve would not find it
	if sent := eventsv2.PlainDedupKey(value); sent != value {
		c.warn("dedup_key held control characters: its SHA-256 stands for it, %s", sent)
		value = sent
	}
	if n := utf8.RuneCountInString(value); n > eventsv2.MaxDedupKey {
		wrong.add(paramDedupKey, "", "has %d characters, at most %d are allowed", n, eventsv2.MaxDedupKey)
		return
	}
	c.DedupKey = value
}

func setDisableTLS(c *Config, value string, wrong *problems) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "yes", "true", "1":
		c.DisableTLS = true
	case "no", "false", "0":
		c.DisableTLS = false
	default:
		wrong.add(paramDisableTLS, value, "must be yes or no")
	}
}

func getDisableTLS(c *Config) string {
	if c.DisableTLS {
		return "yes"
	}
	return "no"
}
