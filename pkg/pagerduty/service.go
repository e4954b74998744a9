package pagerduty

import (
	"context"
	"errors"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Options say how a [Service] delivers. The zero value is ready for use.
type Options struct {
	types.SenderOptions
	// Budget returns how long a delivery may take; it is asked for each. 0 means
	// one attempt. Defaults to the Budget of the SenderOptions.
	Budget func() time.Duration
	// Ledger remembers open incidents. Defaults to one in memory.
	Ledger Ledger
	// Index is the position of the URL among its sender's, told in attempts.
	Index int
	// Machine stands in the derived dedup key of an event that names no source, so
	// that two machines with the same message open two incidents. Defaults to the
	// name of the host.
	Machine string
	// UserAgent names the sending program to the server. Defaults to "shoutrrr".
	UserAgent string
}

// Service delivers to the integration keys of one URL. What does not differ from
// one message to the next is worked out once, in [New]. It is safe for
// concurrent use.
//
// A zero Service becomes useful by [Service.Initialize].
type Service struct {
	config *Config
	broken error // what is wrong with the config or the options
	opts   Options
	client *eventsv2.Client
	retry  eventsv2.Retry
	logger atomic.Pointer[stdLogger]
	// For each integration key: the constant part of the event, encoded; what
	// stands for the key in the ledger; and what stands for it everywhere else.
	heads  [][]byte
	ids    []string
	prints []string
	// redacted names the URL in results.
	redacted string
}

type stdLogger struct{ types.StdLogger }

var (
	_ types.Service       = (*Service)(nil)
	_ types.ContextSender = (*Service)(nil)
)

// ErrNotInitialized is returned by a zero [Service].
var ErrNotInitialized = errors.New("the pagerduty service has no URL yet: call Initialize first")

// New returns a service for a copy of the configuration. One that was made by hand
// gets the defaults of [Parse], and is held to what Parse lets pass: what is wrong
// with it, or with the options ([CheckOptions]), is the [*ConfigError] of every delivery. With a nil config that is
// [ErrNotInitialized].
func New(config *Config, opts Options) *Service {
	s := new(Service)
	s.init(config, opts)
	return s
}

// machineName is empty if the system does not say: then the source alone counts.
var machineName = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
})

func (s *Service) init(config *Config, opts Options) {
	if config == nil {
		return
	}
	config, s.broken = config.complete()
	if s.broken == nil {
		s.broken = CheckOptions(opts.SenderOptions)
	}
	if opts.Ledger == nil {
		opts.Ledger = NewMemoryLedger()
	}
	if opts.Budget == nil {
		opts.Budget = opts.SenderOptions.Budget
	}
	if opts.Machine == "" {
		opts.Machine = machineName()
	}
	s.config, s.opts, s.redacted = config, opts, config.Redacted()
	s.UseUserAgent(opts.UserAgent)
	s.heads, s.ids, s.prints = nil, nil, nil
	for i, key := range config.Keys {
		ev := config.event(i)
		s.heads = append(s.heads, ev.AppendHead(nil))
		s.ids = append(s.ids, keyID(key))
		s.prints = append(s.prints, key.Fingerprint())
	}
}

// UseUserAgent names the sending program to the server; "" stands for "shoutrrr". It
// must not be called while a delivery is under way.
func (s *Service) UseUserAgent(agent string) {
	if agent == "" {
		agent = "shoutrrr"
	}
	s.opts.UserAgent = agent
	if s.config == nil {
		return // Initialize will make the client
	}
	// A new client, because a used one keeps what it began with.
	s.client = &eventsv2.Client{BaseURL: s.config.BaseURL(), UserAgent: agent, Timeout: attemptTimeout}
	if s.opts.HTTPClient != nil {
		s.client.HTTP = s.opts.HTTPClient
	}
}

// UseLedger makes the service remember open incidents in another ledger; nil stands
// for one in memory. It must not be called while a delivery is under way.
func (s *Service) UseLedger(ledger Ledger) {
	if ledger == nil {
		ledger = NewMemoryLedger()
	}
	s.opts.Ledger = ledger
}

// event returns the event that the configuration makes, but for what the message
// gives.
func (c *Config) event(key int) eventsv2.Event {
	return eventsv2.Event{
		RoutingKey: c.Keys[key],
		Action:     c.Action,
		Client:     c.Client,
		ClientURL:  c.ClientURL,
		Links:      c.Links,
		Images:     c.Images,
		Payload: eventsv2.Payload{
			Source:    c.Source,
			Severity:  c.Severity,
			Component: c.Component,
			Group:     c.Group,
			Class:     c.Class,
		},
	}
}

// Initialize implements [types.Service] for programs that make services by
// themselves; options then have their defaults. A # in raw JSON, which net/url
// takes for the start of a fragment, is put back.
func (s *Service) Initialize(serviceURL *url.URL, logger types.StdLogger) error {
	config, err := Parse(rawURL(serviceURL))
	if err != nil {
		return err
	}
	s.init(config, s.opts)
	s.SetLogger(logger)
	return nil
}

func rawURL(u *url.URL) string {
	raw := u.Scheme + "://"
	if u.User != nil {
		raw += "user@" // refused, with the reason
	}
	raw += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		raw += "?" + u.RawQuery
	}
	if u.RawFragment != "" { // net/url keeps it only if it is unlike its own escaping
		raw += "#" + u.RawFragment
	} else if u.Fragment != "" {
		raw += "#" + u.EscapedFragment()
	}
	return raw
}

// SetLogger implements [types.Service]. The logger gets a line for each attempt that
// fails and for each warning; nil, or a nil pointer, gets none.
func (s *Service) SetLogger(logger types.StdLogger) {
	if types.IsNilLogger(logger) {
		s.logger.Store(nil)
		return
	}
	s.logger.Store(&stdLogger{logger})
}

// GetID implements [types.Service].
func (s *Service) GetID() string { return Scheme }

// Config returns a copy of the configuration that the service was made of. What the
// caller changes in it does not change the service: [New] makes another one of it.
func (s *Service) Config() *Config {
	if s.config == nil {
		return nil
	}
	return s.config.clone()
}

// SameURL reports whether both services were made of URLs that mean the same: the
// same keys, host and parameters.
func (s *Service) SameURL(other *Service) bool {
	return s.config != nil && other.config != nil && s.config.URL() == other.config.URL()
}

// Send implements [types.Service]: it delivers, or tries for as long as the
// options say, and blocks until then; see [Service.Deliver].
func (s *Service) Send(message string, params *types.Params) error {
	return s.SendContext(context.Background(), message, params)
}

// SendContext implements [types.ContextSender].
func (s *Service) SendContext(ctx context.Context, message string, params *types.Params) error {
	_, err := s.Deliver(ctx, message, params)
	return err
}

// Redacted names the URL without its secrets.
func (s *Service) Redacted() string { return s.redacted }
