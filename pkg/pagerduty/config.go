package pagerduty

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Config is a pagerduty:// URL, read and checked. [Fields] describes what may
// stand in it. [Parse] makes one; [New] completes and checks one that was made by
// hand, while the methods of Config itself take its fields as they are.
type Config struct {
	Host       string // host name or address, IPv6 in brackets
	Port       int
	Keys       []eventsv2.Key // one or more; the dedup key chooses
	DisableTLS bool

	Severity  eventsv2.Severity
	Source    string // "default" unless given
	Action    eventsv2.Action
	Title     string
	DedupKey  string
	Component string
	Group     string
	Class     string
	Timestamp time.Time        // zero: the time of the call
	Details   eventsv2.Details // an object: a text or a list is no details
	Links     []eventsv2.Link
	Images    []eventsv2.Image
	Client    string
	ClientURL string

	// SourceGiven tells a source that was given from the default one: only the
	// former narrows down which incident an acknowledge or resolve means, and
	// without it the derived dedup key has the name of the machine in it.
	SourceGiven bool

	// Warnings tell what was taken otherwise than it was written, such as an image
	// that is served by http, which became a link.
	Warnings []string
}

// defaultSource stands in payload.source, which PagerDuty requires, for an event
// that names no source.
const defaultSource = "default"

// Parse reads a pagerduty:// URL. Its error is a [*ConfigError] that lists
// everything that is wrong and quotes no key.
func Parse(rawURL string) (*Config, error) {
	var wrong problems
	loc := parseLocation(rawURL, &wrong)
	c := &Config{
		Keys:     loc.keys,
		Warnings: loc.warnings,
		Severity: eventsv2.SeverityError,
		Source:   defaultSource,
		Action:   eventsv2.Trigger,
	}
	seen := make(map[string]bool)
	for _, p := range splitQuery(loc.query) {
		if seen[p.name] {
			wrong.add("parameter", p.name, "stands twice: give it once")
			continue
		}
		seen[p.name] = true
		c.set(p.name, p.value, &wrong)
	}
	c.locate(loc)
	c.checkDedupKey(&wrong)
	c.checkPlainHost(&wrong)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkDedupKey refuses a dedup key that holds an integration key: it is printed,
// logged and remembered, and the integration key must not be.
func (c *Config) checkDedupKey(wrong *problems) {
	if c.Scrub(c.DedupKey) != c.DedupKey {
		wrong.add(paramDedupKey, "", "must not hold the integration key, which is a secret")
	}
}

// Scrub takes the integration keys out of a text, for whoever put one there.
func (c *Config) Scrub(text string) string {
	for _, k := range c.Keys {
		text = k.Scrub(text)
	}
	return text
}

// warn adds a warning.
func (c *Config) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// clone returns a copy that shares nothing with c that can be changed.
func (c *Config) clone() *Config {
	with := *c
	with.Keys = slices.Clone(c.Keys)
	with.Details = slices.Clone(c.Details)
	with.Links = slices.Clone(c.Links)
	with.Images = slices.Clone(c.Images)
	return &with
}

// complete returns a copy with the defaults in place of what is unset. The error is
// a [*ConfigError] that tells what Parse would not have let pass.
func (c *Config) complete() (*Config, error) {
	done := c.clone()
	if strings.TrimSpace(done.Source) == "" {
		done.Source, done.SourceGiven = defaultSource, false
	}
	done.SourceGiven = done.SourceGiven || done.Source != defaultSource
	if done.Severity == "" {
		done.Severity = eventsv2.SeverityError
	}
	if done.Action == "" {
		done.Action = eventsv2.Trigger
	}
	done.locate(location{host: c.Host, port: c.Port})
	return done, done.check()
}

func (c *Config) check() error {
	var wrong problems
	if !validHost(c.Host) || holdsKey(c.Host) {
		wrong.add("host", c.Host, "is not a host name or address; an IPv6 address stands in brackets")
	}
	if c.Port < 1 || c.Port > 65535 {
		wrong.add("port", strconv.Itoa(c.Port), "must be a number from 1 to 65535")
	}
	if len(c.Keys) == 0 || slices.ContainsFunc(c.Keys, eventsv2.Key.IsZero) {
		wrong.add(partKey, "", "it is missing: make one with eventsv2.ParseKey")
	} else {
		ev := c.event(0)
		ev.DedupKey, ev.Payload.Summary = "any", "any" // each message brings its own
		if err := ev.Validate(); err != nil {
			wrong.add("config", "", "%s", strings.ReplaceAll(c.Scrub(err.Error()), "\n", ", "))
		}
	}
	if n := utf8.RuneCountInString(c.DedupKey); n > eventsv2.MaxDedupKey {
		wrong.add(paramDedupKey, "", "has %d characters, at most %d are allowed", n, eventsv2.MaxDedupKey)
	}
	c.checkDedupKey(&wrong)
	c.checkPlainHost(&wrong)
	return wrong.err()
}

// checkPlainHost refuses a public host without TLS.
func (c *Config) checkPlainHost(wrong *problems) {
	if !c.DisableTLS {
		return
	}
	if err := eventsv2.CheckPlainHost(c.Host); err != nil {
		wrong.add(paramDisableTLS, "yes", "is for a relay or a sandbox on a private address: %v", err)
	}
}

// locate fills in what the URL leaves to defaults.
func (c *Config) locate(loc location) {
	c.Host, c.Port = loc.host, loc.port
	if c.Host == "" {
		c.Host = DefaultHost
	}
	if c.Port == 0 && c.DisableTLS {
		c.Port = defaultPlainPort
	}
	if c.Port == 0 {
		c.Port = defaultPort
	}
}

// With returns the configuration with the params of one message in place of the
// URL's; without params that is c itself. Its error is a [*ConfigError].
func (c *Config) With(params *types.Params) (*Config, error) {
	if params == nil || len(*params) == 0 {
		return c, nil
	}
	var room [8]string // most messages have fewer, and need no memory for them
	names := room[:0]
	for name := range *params {
		names = append(names, name)
	}
	sort.Strings(names) // or the same mistakes would be told in another order each time
	with := *c
	with.Warnings = slices.Clone(c.Warnings) // what is added, or taken away, does not reach c
	var wrong problems
	seen := make(map[string]bool, len(names))
	for _, given := range names {
		name := strings.ToLower(strings.TrimSpace(given))
		if seen[name] {
			wrong.add("parameter", name, "stands twice: give it once")
			continue
		}
		seen[name] = true
		with.override(name, (*params)[given], &wrong)
	}
	with.checkDedupKey(&wrong)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return &with, nil
}

func (c *Config) override(name, value string, wrong *problems) {
	switch name {
	case types.MessageKey: // Send's own message stands above it
		return
	case types.LevelKey:
		c.setLevel(value, wrong)
		return
	case paramDisableTLS:
		wrong.add(name, value, "belongs into the URL: it cannot be changed for one message")
		return
	}
	c.set(name, value, wrong)
}

// setLevel takes the level that programs give for any service. A severity stands
// above it: names come in alphabetical order.
func (c *Config) setLevel(name string, wrong *problems) {
	level, known := types.ParseMessageLevel(strings.TrimSpace(name))
	if !known && strings.TrimSpace(name) != "" {
		wrong.add(types.LevelKey, name, "must be one of debug, info, warning, error; severity=critical is a parameter of its own")
		return
	}
	c.Severity = severityOf(level, c.Severity)
}

// set puts a parameter into the configuration. An empty value means unset.
func (c *Config) set(name, value string, wrong *problems) {
	for i := range fields {
		if fields[i].Name != name {
			continue
		}
		if name != paramDedupKey { // of which each character counts
			value = plain.Text(plain.UTF8(value))
		}
		if strings.TrimSpace(value) != "" {
			fields[i].set(c, value, wrong)
		}
		return
	}
	wrong.add("parameter", name, "is not known%s; known are %s", suggest(name, fieldNames()), strings.Join(fieldNames(), ", "))
}

func severityOf(level types.MessageLevel, otherwise eventsv2.Severity) eventsv2.Severity {
	switch level {
	case types.Debug, types.Info:
		return eventsv2.SeverityInfo
	case types.Warning:
		return eventsv2.SeverityWarning
	case types.Error:
		return eventsv2.SeverityError
	}
	return otherwise
}

// BaseURL returns the address of the Events API that the URL names.
func (c *Config) BaseURL() string {
	if c.DisableTLS {
		return "http://" + c.hostPort(defaultPlainPort)
	}
	return "https://" + c.hostPort(defaultPort)
}

// hostPort leaves out the port that the protocol has anyway.
func (c *Config) hostPort(usual int) string {
	if c.Port == usual {
		return c.Host
	}
	return net.JoinHostPort(strings.Trim(c.Host, "[]"), strconv.Itoa(c.Port))
}

// Address is the host, with the port if it is not the usual one.
func (c *Config) Address() string {
	if c.DisableTLS {
		return c.hostPort(defaultPlainPort)
	}
	return c.hostPort(defaultPort)
}

// URL returns the URL that gives this configuration, integration keys included:
// it is a secret.
func (c *Config) URL() string {
	keys := make([]string, len(c.Keys))
	for i, k := range c.Keys {
		keys[i] = k.Reveal()
	}
	host := c.Address()
	if host == DefaultHost {
		host = ""
	}
	raw := Scheme + "://" + host + "/" + strings.Join(keys, ",")
	for i, separator := 0, "?"; i < len(fields); i++ {
		value := fields[i].get(c)
		given := value != fields[i].Default || fields[i].Name == paramSource && c.SourceGiven
		if given {
			raw += separator + fields[i].Name + "=" + url.QueryEscape(value)
			separator = "&"
		}
	}
	return raw
}

// Redacted names the URL without its secrets: the host and the fingerprints of
// the keys.
func (c *Config) Redacted() string {
	return Scheme + "://" + c.Address() + "/" + c.Fingerprints()
}

// Fingerprints stands for the keys, joined with commas.
func (c *Config) Fingerprints() string {
	names := make([]string, len(c.Keys))
	for i, k := range c.Keys {
		names[i] = k.Fingerprint()
	}
	return strings.Join(names, ",")
}
